//! Windows of so many items that share items.

use std::fmt;
use std::mem;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;

use crate::buffer::POLLS;

/// Wraps streams in [`SlidingWindow`].
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{StreamLayerExt, stream::SlidingWindowLayer};
///
/// # futures::executor::block_on(async {
/// let [one, four] = [1, 4].map(|n| NonZeroUsize::new(n).unwrap());
/// let windows = stream::iter([3, 1, 4, 1, 5, 9]).layer(SlidingWindowLayer::new(four, one));
/// let sums: Vec<i32> = windows.map(|window| window.iter().sum::<i32>()).collect().await;
/// assert_eq!(sums, [9, 11, 19]);
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct SlidingWindowLayer {
    size: NonZeroUsize,
    step: NonZeroUsize,
    partial: bool,
}

impl SlidingWindowLayer {
    /// Windows of `size` items, of which each begins `step` items after the one before it.
    ///
    /// With a `step` beyond `size` the items between two windows are dropped, and
    /// [counted](SlidingWindow::skipped).
    pub fn new(size: NonZeroUsize, step: NonZeroUsize) -> Self {
        SlidingWindowLayer { size, step, partial: true }
    }

    /// Whether items that were in no window at the end come in a smaller one, with those that it shares.
    /// They do by default.
    pub fn emit_partial(mut self, emit: bool) -> Self {
        self.partial = emit;
        self
    }
}

impl<S: Stream<Item: Clone>> Layer<S> for SlidingWindowLayer {
    type Service = SlidingWindow<S>;

    fn layer(&self, inner: S) -> SlidingWindow<S> {
        let items = Vec::new();
        SlidingWindow { inner, layer: *self, items, shared: 0, skip: 0, skipped: 0, done: false }
    }
}

pin_project! {
    /// A stream of windows that share items. Made by [`SlidingWindowLayer`].
    ///
    /// An item is cloned once for each further window that it is in. A poll takes at most 128 items
    /// from the source before it lets others run.
    #[must_use = "streams do nothing unless polled"]
    pub struct SlidingWindow<S: Stream> {
        #[pin]
        inner: S,
        layer: SlidingWindowLayer,
        items: Vec<S::Item>,
        // How many of the first items are copies that have been in a window.
        shared: usize,
        // How many items still to come are before the next window.
        skip: usize,
        skipped: u64,
        done: bool,
    }
}

impl<S: Stream> SlidingWindow<S> {
    /// The stream inside, and the items that are held, the oldest first: some of them may have been in a
    /// window.
    pub fn into_parts(self) -> (S, Vec<S::Item>) {
        (self.inner, self.items)
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// How many items were dropped between windows.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many windows there will be, if so many items come.
    fn windows(&self, items: usize) -> usize {
        let (size, step) = (self.layer.size.get(), self.layer.step.get());
        let came = items.saturating_sub(self.skip);
        let all = came.saturating_add(self.items.len());
        let Some(rest) = all.checked_sub(size) else {
            return usize::from(self.layer.partial && all > self.shared);
        };
        let left = (rest % step).saturating_sub(step.saturating_sub(size));
        (rest / step).saturating_add(1 + usize::from(self.layer.partial && left > 0))
    }
}

/// The window that is full, in the memory in which it was collected. What the next one shares with it is
/// copied there.
#[inline]
fn slide<I: Clone>(items: &mut Vec<I>, layer: SlidingWindowLayer) -> Vec<I> {
    let mut next = Vec::new();
    if let Some(shared @ [_, ..]) = items.get(layer.step.get()..) {
        next = Vec::with_capacity(layer.size.get().min(RESERVED));
        next.extend_from_slice(shared);
    }
    mem::replace(items, next)
}

/// More items than this are not reserved in advance.
const RESERVED: usize = 4096;

impl<S: Stream<Item: Clone>> Stream for SlidingWindow<S> {
    type Item = Vec<S::Item>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        let mut this = self.project();
        if *this.done {
            return Poll::Ready(None);
        }
        let (size, step) = (this.layer.size.get(), this.layer.step.get());
        let mut polls = POLLS;
        while *this.skip > 0 && polls > 0 {
            if ready!(this.inner.as_mut().poll_next(cx)).is_none() {
                *this.done = true;
                return Poll::Ready(None);
            }
            (*this.skip, *this.skipped) = (*this.skip - 1, *this.skipped + 1);
            polls -= 1;
        }
        if this.items.capacity() == 0 {
            *this.items = Vec::with_capacity(size.min(RESERVED));
        }
        let stop = size.min(this.items.len() + polls);
        while this.items.len() < stop {
            let Some(item) = ready!(this.inner.as_mut().poll_next(cx)) else {
                *this.done = true;
                let last = this.layer.partial && this.items.len() > *this.shared;
                return Poll::Ready(last.then(|| mem::take(this.items)));
            };
            this.items.push(item);
        }
        if stop == size {
            let window = slide(this.items, *this.layer);
            *this.shared = this.items.len();
            *this.skip = step.saturating_sub(size);
            return Poll::Ready(Some(window));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done {
            return (0, Some(0));
        }
        // More items never make fewer windows.
        let (lower, upper) = self.inner.size_hint();
        (self.windows(lower), upper.map(|upper| self.windows(upper)))
    }
}

impl<S: Stream<Item: Clone>> FusedStream for SlidingWindow<S> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: Stream + fmt::Debug> fmt::Debug for SlidingWindow<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlidingWindow")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .field("len", &self.items.len())
            .finish_non_exhaustive()
    }
}
