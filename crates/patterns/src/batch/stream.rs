//! Batches of the items of a stream.

use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use super::batcher::{Batcher, Limits};
use super::{NextBatchInto, Unweighed, Weigh};
use crate::buffer::POLLS;

pub use super::try_stream::{TryBatch, TryBatchLayer};

/// Wraps streams in [`Batch`]. All its limits hold together.
///
/// ```
/// use std::{num::NonZeroUsize, time::Duration};
/// use ziggurat_patterns::stream::BatchLayer;
///
/// let layer = BatchLayer::count(NonZeroUsize::new(500).unwrap())
///     .with_weight(1 << 20, |row: &Vec<u8>| row.len())
///     .with_time(Duration::from_millis(50));
/// # let _ = layer;
/// ```
#[derive(Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct BatchLayer<W = Unweighed, T = DefaultTimer> {
    pub(super) limits: Limits,
    pub(super) weigh: W,
    pub(super) timer: T,
}

impl BatchLayer {
    fn with(limits: Limits) -> Self {
        BatchLayer { limits, weigh: Unweighed, timer: DefaultTimer }
    }

    /// At most so many items in a batch.
    pub fn count(count: NonZeroUsize) -> Self {
        Self::with(Limits { count: Some(count), ..Limits::default() })
    }

    /// No batch for longer than so long after its first item. Without another limit a batch has no
    /// greatest size.
    pub fn time(limit: Duration) -> Self {
        Self::with(Limits { time: Some(limit), ..Limits::default() })
    }
}

impl<W> BatchLayer<W> {
    /// At most so heavy a batch, by the weight that `weigh` tells of each item.
    pub fn weight(limit: usize, weigh: W) -> Self {
        let limits = Limits { weight: Some(limit), ..Limits::default() };
        BatchLayer { limits, weigh, timer: DefaultTimer }
    }
}

impl<W, T> BatchLayer<W, T> {
    /// As [`count`](BatchLayer::count), beside the limits that are set.
    pub fn with_count(mut self, count: NonZeroUsize) -> Self {
        self.limits.count = Some(count);
        self
    }

    /// As [`weight`](BatchLayer::weight), beside the limits that are set.
    pub fn with_weight<V>(self, limit: usize, weigh: V) -> BatchLayer<V, T> {
        let limits = Limits { weight: Some(limit), ..self.limits };
        BatchLayer { limits, weigh, timer: self.timer }
    }

    /// As [`time`](BatchLayer::time), beside the limits that are set.
    pub fn with_time(mut self, limit: Duration) -> Self {
        self.limits.time = Some(limit);
        self
    }

    /// Completes a batch as soon as the source has nothing ready.
    pub fn eager(mut self) -> Self {
        self.limits.eager = true;
        self
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> BatchLayer<W, U> {
        BatchLayer { limits: self.limits, weigh: self.weigh, timer }
    }
}

impl<W, T> fmt::Debug for BatchLayer<W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchLayer").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<S: Stream, W: Clone, T: Timer> Layer<S> for BatchLayer<W, T> {
    type Service = Batch<S, W, T>;

    fn layer(&self, inner: S) -> Batch<S, W, T> {
        Batch {
            inner,
            alarm: Alarm::new(self.timer.clone()),
            batch: Batcher::new(self.limits, self.weigh.clone()),
            done: false,
        }
    }
}

pin_project! {
    /// A stream of batches. Made by [`BatchLayer`].
    ///
    /// `Item = Vec<S::Item>`, never empty. The rest at the end of the source is a batch too. A poll
    /// takes at most 128 items from the source before it lets others run. The time of a batch counts
    /// from the end of the poll that took its first item.
    ///
    /// # Cancel safety
    ///
    /// The items of the batch that is not complete stay here: [`into_parts`](Self::into_parts).
    #[must_use = "streams do nothing unless polled"]
    pub struct Batch<S: Stream, W = Unweighed, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        #[pin]
        alarm: Alarm<T>,
        batch: Batcher<S::Item, W>,
        done: bool,
    }
}

/// What a poll found.
enum Found<I> {
    /// The batch that is being collected.
    Complete,
    /// The one before it.
    Before(Vec<I>),
    End,
}

impl<S: Stream, W, T: Timer> Batch<S, W, T> {
    /// The stream inside, and the items of the batch that is not complete.
    pub fn into_parts(self) -> (S, Vec<S::Item>) {
        (self.inner, self.batch.into_items())
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The items of the batch that is not complete.
    pub fn held(&self) -> &[S::Item] {
        self.batch.items()
    }
}

impl<S: Stream, W: Weigh<S::Item>, T: Timer> Batch<S, W, T> {
    /// As `poll_next`, with memory that is used again: adds the next batch to `out`. If that is empty,
    /// its memory serves a later batch. Returns how many items the batch has, or `None` at the end.
    pub fn poll_next_into(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut Vec<S::Item>,
    ) -> Poll<Option<usize>> {
        self.as_mut().poll_found(cx).map(|found| match found {
            Found::Complete => Some(self.project().batch.take_into(out)),
            Found::Before(mut items) => {
                let count = items.len();
                out.append(&mut items);
                Some(count)
            }
            Found::End => None,
        })
    }

    /// The next batch, in memory that is used again: [`poll_next_into`](Self::poll_next_into) as a
    /// future.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it completes, it has added nothing to `out`.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use futures::stream;
    /// use ziggurat_patterns::{StreamLayerExt, stream::BatchLayer};
    ///
    /// # futures::executor::block_on(async {
    /// let layer = BatchLayer::count(NonZeroUsize::new(100).unwrap());
    /// let mut batches = stream::iter(0..1000).layer(layer);
    /// let (mut batch, mut sum) = (Vec::new(), 0);
    /// while batches.next_batch_into(&mut batch).await.is_some() {
    ///     sum += batch.drain(..).sum::<i32>();
    /// }
    /// assert_eq!(sum, 499_500);
    /// # });
    /// ```
    pub fn next_batch_into<'a>(
        &'a mut self,
        out: &'a mut Vec<S::Item>,
    ) -> NextBatchInto<'a, Self, S::Item>
    where
        Self: Unpin,
    {
        NextBatchInto::new(self, out)
    }

    /// Inlined, as the compiler would not do by itself: passing `Found` on costs as much as filling a
    /// short batch.
    #[inline(always)]
    fn poll_found(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Found<S::Item>> {
        let mut this = self.project();
        if *this.done {
            return Poll::Ready(Found::End);
        }
        if this.batch.is_full() {
            // The item that the batch before could not take is a whole one.
            this.alarm.as_mut().clear();
            return Poll::Ready(Found::Complete);
        }
        let mut ready = true;
        let stop = this.batch.most_items().min(this.batch.len() + POLLS);
        while this.batch.len() < stop {
            match this.inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if let Some(before) = this.batch.push(item) {
                        restart(this.alarm.as_mut(), this.batch.limits.time);
                        return Poll::Ready(Found::Before(before));
                    }
                    if this.batch.is_heavy() {
                        break;
                    }
                }
                Poll::Ready(None) => {
                    *this.done = true;
                    this.alarm.as_mut().clear();
                    let empty = this.batch.is_empty();
                    return Poll::Ready(if empty { Found::End } else { Found::Complete });
                }
                Poll::Pending => {
                    ready = false;
                    break;
                }
            }
        }
        if this.batch.is_full() || is_due(this.alarm.as_mut(), this.batch, ready, cx) {
            this.alarm.as_mut().clear();
            return Poll::Ready(Found::Complete);
        }
        if ready {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// The alarm of a batch that begins with an item that the one before could not take.
pub(super) fn restart<T: Timer>(mut alarm: Pin<&mut Alarm<T>>, time: Option<Duration>) {
    alarm.as_mut().clear();
    if let Some(time) = time {
        alarm.set_after(time);
    }
}

/// Whether the batch is complete though it has room. `ready` if the source may have more at once.
pub(super) fn is_due<I, W, T: Timer>(
    mut alarm: Pin<&mut Alarm<T>>,
    batch: &Batcher<I, W>,
    ready: bool,
    cx: &mut Context<'_>,
) -> bool {
    if batch.is_empty() {
        return false;
    }
    if batch.limits.eager && !ready {
        return true;
    }
    let Some(time) = batch.limits.time else { return false };
    if !alarm.is_set() {
        alarm.as_mut().set_after(time);
    }
    alarm.poll(cx).is_ready()
}

impl<S: Stream, W: Weigh<S::Item>, T: Timer> Stream for Batch<S, W, T> {
    type Item = Vec<S::Item>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.as_mut().poll_found(cx).map(|found| match found {
            Found::Complete => Some(self.project().batch.take()),
            Found::Before(items) => Some(items),
            Found::End => None,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (lower, upper) = if self.done { (0, Some(0)) } else { self.inner.size_hint() };
        (self.batch.least(lower), upper.and_then(|upper| self.batch.most(upper)))
    }
}

impl<S: Stream, W: Weigh<S::Item>, T: Timer> FusedStream for Batch<S, W, T> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: Stream + fmt::Debug, W, T: Timer> fmt::Debug for Batch<S, W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("inner", &self.inner)
            .field("limits", &self.batch.limits)
            .field("len", &self.batch.len())
            .finish_non_exhaustive()
    }
}
