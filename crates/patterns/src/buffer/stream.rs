//! Buffers that a stream fills and empties itself.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;

use super::queue::Queue;
use super::{Overflow, POLLS, Policy};

/// Wraps streams in [`Buffer`].
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{StreamLayerExt, buffer::{Overflow, Reject}, stream::BufferLayer};
///
/// # futures::executor::block_on(async {
/// let room = NonZeroUsize::new(2).unwrap();
/// // All five are ready when the buffer looks.
/// let mut last = stream::iter(1..=5).layer(BufferLayer::new(room, Overflow::DropOldest));
/// assert_eq!(last.next().await, Some(4));
/// assert_eq!(last.dropped(), 3);
///
/// let strict = stream::iter(1..=3).layer(BufferLayer::new(room, Reject));
/// let items: Vec<_> = strict.collect().await;
/// assert_eq!(items[..2], [Ok(1), Ok(2)]);
/// assert_eq!(items[2].clone().unwrap_err().into_item(), Some(3));
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct BufferLayer<P = Overflow> {
    capacity: NonZeroUsize,
    policy: P,
}

impl<P: Policy> BufferLayer<P> {
    /// Room for `capacity` items, and what happens when it is full.
    pub fn new(capacity: NonZeroUsize, policy: P) -> Self {
        BufferLayer { capacity, policy }
    }
}

impl BufferLayer {
    /// Only the latest of the items that were ready.
    pub fn latest() -> Self {
        BufferLayer { capacity: NonZeroUsize::MIN, policy: Overflow::Latest }
    }
}

impl<S: Stream, P: Policy> Layer<S> for BufferLayer<P> {
    type Service = Buffer<S, P>;

    fn layer(&self, inner: S) -> Buffer<S, P> {
        let queue = Queue::new(self.capacity, self.policy.rule());
        Buffer { inner, queue, done: false, policy: self.policy }
    }
}

pin_project! {
    /// A stream that reads ahead. Made by [`BufferLayer`].
    ///
    /// Each poll takes what the source has ready, at most 128 items, until the buffer is full; then the
    /// policy decides. With [`Overflow::Backpressure`] it is a prefetch: it starts work in the source
    /// early, and never asks for more than there is room for. The lossy policies drop what the consumer
    /// was too slow for. It sees its source only when it is polled; to run the source meanwhile, use
    /// [`pair`](crate::buffer::pair).
    ///
    /// Under [`Reject`](crate::buffer::Reject) its items are `Result<T, BufferError<T>>`.
    #[must_use = "streams do nothing unless polled"]
    pub struct Buffer<S: Stream, P = Overflow> {
        #[pin]
        inner: S,
        queue: Queue<S::Item>,
        done: bool,
        policy: P,
    }
}

impl<S: Stream, P> Buffer<S, P> {
    /// The stream inside, and the items that it gave and nobody took, the oldest first.
    pub fn into_parts(self) -> (S, VecDeque<S::Item>) {
        (self.inner, self.queue.into_items())
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// How many items are held.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many items the policy has dropped.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}

impl<S: Stream, P: Policy> Stream for Buffer<S, P> {
    type Item = P::Item<S::Item>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if !*this.done {
            // After so many items the queue is not empty, so it is never left without a wake.
            for _ in 0..POLLS {
                if !this.queue.wants() {
                    break;
                }
                match this.inner.as_mut().poll_next(cx) {
                    Poll::Ready(Some(item)) => drop(this.queue.push(item)),
                    Poll::Ready(None) => {
                        *this.done = true;
                        break;
                    }
                    Poll::Pending => break,
                }
            }
        }
        match this.queue.pop() {
            Some((item, overflow)) => Poll::Ready(Some(P::item(item, overflow))),
            None if *this.done => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = self.queue.len();
        let (lower, upper) = if self.done { (0, Some(0)) } else { self.inner.size_hint() };
        let upper = upper.and_then(|upper| upper.checked_add(held));
        // What is dropped makes room for no less than itself.
        let lower =
            if self.queue.is_lossy() { held.max(lower.min(1)) } else { lower.saturating_add(held) };
        (lower, upper)
    }
}

impl<S: Stream, P: Policy> FusedStream for Buffer<S, P> {
    fn is_terminated(&self) -> bool {
        self.done && self.queue.is_empty()
    }
}

impl<S: Stream + fmt::Debug, P: fmt::Debug> fmt::Debug for Buffer<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("inner", &self.inner)
            .field("policy", &self.policy)
            .field("len", &self.len())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}
