//! Batches in memory that is used again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use ziggurat_core::time::Timer;

use super::Weigh;
use super::stream::Batch;

/// The future of [`Batch::next_batch_into`].
#[must_use = "futures do nothing unless polled"]
pub struct NextBatchInto<'a, B, I> {
    batches: &'a mut B,
    out: &'a mut Vec<I>,
}

impl<'a, B, I> NextBatchInto<'a, B, I> {
    pub(super) fn new(batches: &'a mut B, out: &'a mut Vec<I>) -> Self {
        NextBatchInto { batches, out }
    }
}

impl<S, W, T> Future for NextBatchInto<'_, Batch<S, W, T>, S::Item>
where
    S: Stream,
    W: Weigh<S::Item>,
    T: Timer,
    Batch<S, W, T>: Unpin,
{
    type Output = Option<usize>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        let this = self.get_mut();
        Pin::new(&mut *this.batches).poll_next_into(cx, this.out)
    }
}

impl<B: fmt::Debug, I> fmt::Debug for NextBatchInto<'_, B, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextBatchInto").field("batches", &self.batches).finish_non_exhaustive()
    }
}
