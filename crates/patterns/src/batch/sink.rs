//! Batches before a sink of batches.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_sink::Sink;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::batcher::{Batcher, Limits};
use super::{Unweighed, Weigh};

/// Wraps sinks of `Vec<Item>` in [`Batch`]. All its limits hold together.
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{SinkExt, StreamExt, channel::mpsc};
/// use ziggurat_patterns::{SinkLayerExt, sink::BatchLayer};
///
/// # futures::executor::block_on(async {
/// let (sender, receiver) = mpsc::unbounded::<Vec<u32>>();
/// let mut sink = sender.layer(BatchLayer::count(NonZeroUsize::new(2).unwrap()));
/// for n in 1..=5 {
///     sink.feed(n).await.unwrap();
/// }
/// sink.close().await.unwrap();
/// drop(sink);
/// assert_eq!(receiver.collect::<Vec<_>>().await, [vec![1, 2], vec![3, 4], vec![5]]);
/// # });
/// ```
#[must_use = "layers do nothing unless applied"]
pub struct BatchLayer<Item, W = Unweighed, T = DefaultTimer> {
    limits: Limits,
    weigh: W,
    timer: T,
    item: PhantomData<fn(Item)>,
}

impl<Item> BatchLayer<Item> {
    /// At most so many items in a batch.
    pub fn count(count: NonZeroUsize) -> Self {
        let limits = Limits { count: Some(count), ..Limits::default() };
        BatchLayer { limits, weigh: Unweighed, timer: DefaultTimer, item: PhantomData }
    }
}

impl<Item, W> BatchLayer<Item, W> {
    /// At most so heavy a batch, by the weight that `weigh` tells of each item.
    pub fn weight(limit: usize, weigh: W) -> Self {
        let limits = Limits { weight: Some(limit), ..Limits::default() };
        BatchLayer { limits, weigh, timer: DefaultTimer, item: PhantomData }
    }
}

impl<Item, W, T> BatchLayer<Item, W, T> {
    /// As [`count`](BatchLayer::count), beside the limits that are set.
    pub fn with_count(mut self, count: NonZeroUsize) -> Self {
        self.limits.count = Some(count);
        self
    }

    /// As [`weight`](BatchLayer::weight), beside the limits that are set.
    pub fn with_weight<V>(self, limit: usize, weigh: V) -> BatchLayer<Item, V, T> {
        let limits = Limits { weight: Some(limit), ..self.limits };
        BatchLayer { limits, weigh, timer: self.timer, item: PhantomData }
    }

    /// A batch is sent so long after its first item, at the next poll: nothing wakes the task for it,
    /// as a sink is polled only by those who have something to send or flush. This reads the clock once
    /// per item, since there is no other way to see that time has passed.
    pub fn with_time(mut self, limit: Duration) -> Self {
        self.limits.time = Some(limit);
        self
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> BatchLayer<Item, W, U> {
        BatchLayer { limits: self.limits, weigh: self.weigh, timer, item: PhantomData }
    }
}

impl<Item, W: Clone, T: Clone> Clone for BatchLayer<Item, W, T> {
    fn clone(&self) -> Self {
        let (weigh, timer) = (self.weigh.clone(), self.timer.clone());
        BatchLayer { limits: self.limits, weigh, timer, item: PhantomData }
    }
}

impl<Item, W, T> fmt::Debug for BatchLayer<Item, W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchLayer").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<S, Item, W: Clone, T: Timer> Layer<S> for BatchLayer<Item, W, T> {
    type Service = Batch<S, Item, W, T>;

    fn layer(&self, inner: S) -> Batch<S, Item, W, T> {
        Batch {
            inner,
            timer: self.timer.clone(),
            batch: Batcher::new(self.limits, self.weigh.clone()),
            due: None,
            complete: None,
        }
    }
}

pin_project! {
    /// A sink of items before one of batches. Made by [`BatchLayer`].
    ///
    /// A complete batch is sent by the next poll. A flush and a close send the one that is not complete,
    /// too.
    ///
    /// After an error of the sink inside the items that it has not got are still here:
    /// [`into_parts`](Self::into_parts). The batch whose `start_send` failed went with the error.
    #[must_use = "sinks do nothing unless polled"]
    pub struct Batch<S, Item, W = Unweighed, T = DefaultTimer> {
        #[pin]
        inner: S,
        timer: T,
        batch: Batcher<Item, W>,
        // When the batch is to be sent, complete or not.
        due: Option<Instant>,
        // It is sent before `batch`.
        complete: Option<Vec<Item>>,
    }
}

impl<S, Item, W, T> Batch<S, Item, W, T> {
    /// The sink inside, and the items that it has not got, the oldest first.
    pub fn into_parts(self) -> (S, Vec<Item>) {
        let mut items = self.complete.unwrap_or_default();
        items.append(&mut self.batch.into_items());
        (self.inner, items)
    }

    /// The sink inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// How many items are held.
    pub fn len(&self) -> usize {
        self.batch.len() + self.complete.as_ref().map_or(0, Vec::len)
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<S: Sink<Vec<Item>>, Item, W: Weigh<Item>, T: Timer> Batch<S, Item, W, T> {
    /// Sends what is complete, or all.
    #[inline]
    fn poll_send(
        self: Pin<&mut Self>,
        all: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), S::Error>> {
        let mut this = self.project();
        loop {
            if this.complete.is_none() {
                let due = |timer: &T| this.due.is_some_and(|due| timer.now() >= due);
                let send =
                    !this.batch.is_empty() && (all || this.batch.is_full() || due(this.timer));
                if !send {
                    return Poll::Ready(Ok(()));
                }
            }
            ready!(this.inner.as_mut().poll_ready(cx))?;
            let batch = this.complete.take().unwrap_or_else(|| {
                *this.due = None;
                this.batch.take()
            });
            this.inner.as_mut().start_send(batch)?;
        }
    }
}

impl<S: Sink<Vec<Item>>, Item, W: Weigh<Item>, T: Timer> Sink<Item> for Batch<S, Item, W, T> {
    type Error = S::Error;

    #[inline]
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.poll_send(false, cx)
    }

    #[inline]
    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), S::Error> {
        let this = self.project();
        let before = this.batch.push(item);
        if let Some(time) = this.batch.limits.time.filter(|_| this.batch.len() == 1) {
            *this.due = Some(this.timer.deadline(time));
        }
        if let Some(mut before) = before {
            // It is empty, unless the caller did not ask for readiness.
            this.complete.get_or_insert_default().append(&mut before);
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        ready!(self.as_mut().poll_send(true, cx))?;
        self.project().inner.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        ready!(self.as_mut().poll_send(true, cx))?;
        self.project().inner.poll_close(cx)
    }
}

impl<S: fmt::Debug, Item, W, T> fmt::Debug for Batch<S, Item, W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("inner", &self.inner)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
