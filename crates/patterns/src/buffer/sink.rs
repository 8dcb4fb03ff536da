//! Buffers before a sink.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use pin_project_lite::pin_project;
use tower_layer::Layer;

use super::policy::Rule;
use super::queue::Queue;
use super::{BufferError, Overflow, POLLS, Policy};

/// Wraps sinks of `Item`s in [`Buffer`].
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{SinkExt, channel::mpsc};
/// use ziggurat_patterns::{SinkLayerExt, buffer::Overflow, sink::BufferLayer};
///
/// # futures::executor::block_on(async {
/// let room = NonZeroUsize::new(100).unwrap();
/// let (sender, receiver) = mpsc::channel(0);
/// let mut sink = sender.layer(BufferLayer::new(room, Overflow::Backpressure));
/// for n in 0..100 {
///     sink.feed(n).await.unwrap(); // there is room, though nobody receives
/// }
/// drop(receiver);
/// assert!(sink.flush().await.is_err());
/// let (_sender, left) = sink.into_parts();
/// assert!(left.len() >= 98); // the sender took the others
/// # });
/// ```
#[must_use = "layers do nothing unless applied"]
pub struct BufferLayer<Item, P = Overflow> {
    capacity: NonZeroUsize,
    policy: P,
    item: PhantomData<fn(Item)>,
}

impl<Item, P: Policy> BufferLayer<Item, P> {
    /// Room for `capacity` items, and what happens when it is full.
    pub fn new(capacity: NonZeroUsize, policy: P) -> Self {
        BufferLayer { capacity, policy, item: PhantomData }
    }
}

impl<Item, P: Copy> Clone for BufferLayer<Item, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Item, P: Copy> Copy for BufferLayer<Item, P> {}

impl<Item, P: fmt::Debug> fmt::Debug for BufferLayer<Item, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferLayer")
            .field("capacity", &self.capacity)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<S, Item, P: Policy> Layer<S> for BufferLayer<Item, P> {
    type Service = Buffer<S, Item>;

    fn layer(&self, inner: S) -> Buffer<S, Item> {
        let rule = self.policy.rule();
        Buffer { inner, queue: Queue::new(self.capacity, rule), rule }
    }
}

pin_project! {
    /// A sink with a queue before it. Made by [`BufferLayer`].
    ///
    /// It takes items while there is room, whether the sink inside is ready or not. Each poll hands on
    /// what the sink inside takes; a flush and a close hand on all. A full buffer is pending under
    /// [`Overflow::Backpressure`]; under [`Reject`](crate::buffer::Reject) `start_send` gives the item
    /// back as [`BufferError::Overflow`]; the other policies drop, and [count](Self::dropped).
    ///
    /// After an error of the sink inside the items that it has not taken are still here:
    /// [`into_parts`](Self::into_parts). The one whose `start_send` failed went with the error.
    #[must_use = "sinks do nothing unless polled"]
    pub struct Buffer<S, Item> {
        #[pin]
        inner: S,
        queue: Queue<Item>,
        rule: Rule,
    }
}

impl<S, Item> Buffer<S, Item> {
    /// The sink inside, and the items that it has not taken, the oldest first.
    pub fn into_parts(self) -> (S, VecDeque<Item>) {
        (self.inner, self.queue.into_items())
    }

    /// The sink inside.
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

impl<S: Sink<Item>, Item> Buffer<S, Item> {
    /// Hands items on. Ready when none is left, pending when the sink inside is, or after 128 of them.
    fn poll_empty(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let mut this = self.project();
        for _ in 0..POLLS {
            if this.queue.is_empty() {
                return Poll::Ready(Ok(()));
            }
            ready!(this.inner.as_mut().poll_ready(cx))?;
            let (item, _) = this.queue.pop().expect("looked at above");
            this.inner.as_mut().start_send(item)?;
        }
        if this.queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: Sink<Item>, Item> Sink<Item> for Buffer<S, Item> {
    type Error = BufferError<Item, S::Error>;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let emptied = self.as_mut().poll_empty(cx).map_err(BufferError::Inner)?;
        if emptied.is_pending() && self.rule == Rule::Backpressure && self.queue.is_full() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), Self::Error> {
        let this = self.project();
        if *this.rule == Rule::Reject && this.queue.is_full() {
            return Err(BufferError::Overflow { item });
        }
        drop(this.queue.push(item));
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.as_mut().poll_empty(cx)).map_err(BufferError::Inner)?;
        self.project().inner.poll_flush(cx).map_err(BufferError::Inner)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.as_mut().poll_empty(cx)).map_err(BufferError::Inner)?;
        self.project().inner.poll_close(cx).map_err(BufferError::Inner)
    }
}

impl<S: fmt::Debug, Item> fmt::Debug for Buffer<S, Item> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("inner", &self.inner)
            .field("rule", &self.rule)
            .field("len", &self.len())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}
