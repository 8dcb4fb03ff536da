//! Batches of the items of a stream that may fail.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream, TryStream};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use super::batcher::Batcher;
use super::stream::{BatchLayer, is_due, restart};
use super::{Unweighed, Weigh};
use crate::buffer::POLLS;

/// Wraps fallible streams in [`TryBatch`]. It has the limits of a [`BatchLayer`].
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{StreamLayerExt, stream::{BatchLayer, TryBatchLayer}};
///
/// # futures::executor::block_on(async {
/// let layer = TryBatchLayer::new(BatchLayer::count(NonZeroUsize::new(2).unwrap()));
/// let source = stream::iter([Ok(1), Ok(2), Ok(3), Err("lost"), Ok(4)]);
/// let batches: Vec<_> = source.layer(layer).collect().await;
/// assert_eq!(batches, [Ok(vec![1, 2]), Ok(vec![3]), Err("lost"), Ok(vec![4])]);
/// # });
/// ```
#[derive(Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct TryBatchLayer<W = Unweighed, T = DefaultTimer> {
    batch: BatchLayer<W, T>,
}

impl<W, T> fmt::Debug for TryBatchLayer<W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryBatchLayer").field("batch", &self.batch).finish()
    }
}

impl<W, T> TryBatchLayer<W, T> {
    /// With the limits of `batch`, whose weight is that of the good items.
    pub fn new(batch: BatchLayer<W, T>) -> Self {
        TryBatchLayer { batch }
    }
}

impl<S: TryStream, W: Clone, T: Timer> Layer<S> for TryBatchLayer<W, T> {
    type Service = TryBatch<S, W, T>;

    fn layer(&self, inner: S) -> TryBatch<S, W, T> {
        let BatchLayer { limits, weigh, timer } = &self.batch;
        TryBatch {
            inner,
            alarm: Alarm::new(timer.clone()),
            batch: Batcher::new(*limits, weigh.clone()),
            error: None,
            done: false,
        }
    }
}

pin_project! {
    /// A stream of batches and errors. Made by [`TryBatchLayer`].
    ///
    /// `Item = Result<Vec<S::Ok>, S::Error>`. An error completes the batch before it: that comes first,
    /// and then the error. The stream goes on after it. Else it is as [`Batch`](super::stream::Batch).
    #[must_use = "streams do nothing unless polled"]
    pub struct TryBatch<S: TryStream, W = Unweighed, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        #[pin]
        alarm: Alarm<T>,
        batch: Batcher<S::Ok, W>,
        // It comes after the batch that it has completed.
        error: Option<S::Error>,
        done: bool,
    }
}

impl<S: TryStream, W, T: Timer> TryBatch<S, W, T> {
    /// The stream inside, the items of the batch that is not complete, and the error that comes next.
    pub fn into_parts(self) -> (S, Vec<S::Ok>, Option<S::Error>) {
        (self.inner, self.batch.into_items(), self.error)
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The items of the batch that is not complete.
    pub fn held(&self) -> &[S::Ok] {
        self.batch.items()
    }
}

impl<S: TryStream, W: Weigh<S::Ok>, T: Timer> Stream for TryBatch<S, W, T> {
    type Item = Result<Vec<S::Ok>, S::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if let Some(error) = this.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if *this.done {
            return Poll::Ready(None);
        }
        let mut ready = true;
        for _ in 0..POLLS {
            if this.batch.is_full() {
                break;
            }
            match this.inner.as_mut().try_poll_next(cx) {
                Poll::Ready(Some(Ok(item))) => {
                    if let Some(before) = this.batch.push(item) {
                        restart(this.alarm.as_mut(), this.batch.limits.time);
                        return Poll::Ready(Some(Ok(before)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    if this.batch.is_empty() {
                        return Poll::Ready(Some(Err(error)));
                    }
                    *this.error = Some(error);
                    this.alarm.as_mut().clear();
                    return Poll::Ready(Some(Ok(this.batch.take())));
                }
                Poll::Ready(None) => {
                    *this.done = true;
                    this.alarm.as_mut().clear();
                    let empty = this.batch.is_empty();
                    return Poll::Ready((!empty).then(|| Ok(this.batch.take())));
                }
                Poll::Pending => {
                    ready = false;
                    break;
                }
            }
        }
        if this.batch.is_full() || is_due(this.alarm.as_mut(), this.batch, ready, cx) {
            this.alarm.as_mut().clear();
            return Poll::Ready(Some(Ok(this.batch.take())));
        }
        if ready {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (lower, upper) = if self.done { (0, Some(0)) } else { self.inner.size_hint() };
        // Errors among what comes add to the batches: each item may be one.
        let error = usize::from(self.error.is_some());
        let upper = upper.and_then(|upper| upper.checked_add(self.batch.len() + error));
        (self.batch.least(lower).saturating_add(error), upper)
    }
}

impl<S: TryStream, W: Weigh<S::Ok>, T: Timer> FusedStream for TryBatch<S, W, T> {
    fn is_terminated(&self) -> bool {
        self.done && self.error.is_none()
    }
}

impl<S: TryStream + fmt::Debug, W, T: Timer> fmt::Debug for TryBatch<S, W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryBatch")
            .field("inner", &self.inner)
            .field("limits", &self.batch.limits)
            .field("len", &self.batch.len())
            .finish_non_exhaustive()
    }
}
