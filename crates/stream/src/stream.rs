//! A stream of plain items that Zig produces.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedFuture, FusedStream, Stream};
use ziggurat_zig_ffi::abi::{RawHandle, TypeDesc};
use ziggurat_zig_ffi::{OpenError, Plain, RawSource, ZigError};

use crate::batch::Batches;

/// Items that cross the border at once, unless the builder says otherwise.
pub const DEFAULT_BATCH: usize = 128;

/// Items after which a stream that is always ready yields to the executor once.
const BUDGET: usize = 4096;

/// A Zig source as a [`Stream`] of `Result<T, ZigError>`.
///
/// After an error or the end it yields `None` forever, and the Zig side is not called again.
///
/// # Backpressure
///
/// The Zig side is at most `capacity` items (between the two sides) plus one batch (here) ahead of
/// the consumer; then it waits.
///
/// # Cancellation
///
/// Dropping the stream cancels the Zig function: it gets `error.Canceled` where it next waits, and its
/// `defer`s run. Dropping does not wait for that. [`cancel`](Self::cancel) does;
/// [`request_cancel`](Self::request_cancel) asks for the same without giving up the items that are still
/// under way.
#[must_use = "streams do nothing unless polled"]
pub struct ZigStream<T> {
    batches: Batches<T>,
}

impl<T: Plain> ZigStream<T> {
    /// A stream over a raw handle, of items that cross `batch` at a time.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the handle's table cannot be used, its items are not `T`, or `batch` is 0.
    ///
    /// # Safety
    ///
    /// As for [`RawSource::from_raw`].
    pub unsafe fn from_raw(handle: RawHandle, batch: usize) -> Result<Self, OpenError> {
        // SAFETY: passed on.
        let source = unsafe { RawSource::from_raw(handle, TypeDesc::of::<T>()) }?;
        Self::from_source(source, batch)
    }

    /// A stream over an opened source.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the source's items are not `T`, or `batch` is 0.
    pub fn from_source(source: RawSource, batch: usize) -> Result<Self, OpenError> {
        let (expected, found) = (TypeDesc::of::<T>(), source.item());
        if expected != found {
            return Err(OpenError::ItemType { expected, found });
        }
        // SAFETY: the source's items have `T`'s size and alignment, and any bit pattern is a `Plain`.
        let batches = unsafe { Batches::new(source, T::zeroed(), batch, BUDGET) }?;
        Ok(ZigStream { batches })
    }

    /// All the items that the next crossing delivers, as a slice where they lie: nothing is copied
    /// again. `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: items are taken when it completes.
    pub fn next_batch(&mut self) -> NextBatch<'_, T> {
        NextBatch { stream: Some(self) }
    }

    /// As [`next_batch`](Self::next_batch), for hand-written futures.
    pub fn poll_next_batch(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<&[T], ZigError>>> {
        match ready!(self.batches.poll_fill(cx)) {
            Ok(true) => Poll::Ready(Some(Ok(self.batches.pop_all()))),
            Ok(false) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    /// Items that have crossed and were not yet taken.
    pub fn delivered(&self) -> &[T] {
        self.batches.buffered()
    }

    /// Asks the Zig function to end, and goes on delivering what is under way, then
    /// [`ZigError::Canceled`] (or whatever the function makes of it).
    pub fn request_cancel(&self) {
        self.batches.cancel();
    }

    /// Asks the Zig function to end, waits until it has, and returns what it said:
    /// [`ZigError::Canceled`] as a rule; `Ok` if it came to its own end before it noticed, or the stream
    /// has ended before. Its `defer`s have run then.
    ///
    /// Items that were not taken are dropped: [`request_cancel`](Self::request_cancel) is for those who
    /// want them.
    ///
    /// # Errors
    ///
    /// How the function ended, unless that was well.
    ///
    /// # Cancel safety
    ///
    /// The function has been asked to end by the first poll. Dropping the future is dropping the stream:
    /// what the function still has to do is done in the background.
    pub async fn cancel(mut self) -> Result<(), ZigError> {
        self.batches.cancel();
        poll_fn(|cx| self.poll_end(cx)).await
    }

    /// Drops items up to the end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        while ready!(self.batches.poll_fill(cx))? {
            self.batches.pop_all();
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn batches(&mut self) -> &mut Batches<T> {
        &mut self.batches
    }
}

impl<T: Plain> Stream for ZigStream<T> {
    type Item = Result<T, ZigError>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(item) = self.batches.pop() {
                return Poll::Ready(Some(Ok(item)));
            }
            match ready!(self.batches.poll_fill(cx)) {
                Ok(true) => {}
                Ok(false) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batches.size_hint()
    }
}

impl<T: Plain> FusedStream for ZigStream<T> {
    fn is_terminated(&self) -> bool {
        self.batches.is_terminated()
    }
}

impl<T> Unpin for ZigStream<T> {}

impl<T: Plain> fmt::Debug for ZigStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZigStream")
            .field("item", &std::any::type_name::<T>())
            .field("buffered", &self.delivered().len())
            .field("terminated", &self.is_terminated())
            .finish_non_exhaustive()
    }
}

/// The future of [`ZigStream::next_batch`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct NextBatch<'a, T: Plain> {
    /// `None` once it has completed.
    stream: Option<&'a mut ZigStream<T>>,
}

impl<T: Plain> FusedFuture for NextBatch<'_, T> {
    fn is_terminated(&self) -> bool {
        self.stream.is_none()
    }
}

impl<'a, T: Plain> Future for NextBatch<'a, T> {
    type Output = Option<Result<&'a [T], ZigError>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let stream = self.stream.as_mut().expect("polled after completion");
        let filled = ready!(stream.batches.poll_fill(cx));
        let stream = self.stream.take().expect("just seen");
        Poll::Ready(match filled {
            Ok(true) => Some(Ok(stream.batches.pop_all())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        })
    }
}
