//! A Zig function as a future.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::FusedFuture;
use ziggurat_zig_ffi::abi::{RawHandle, TypeDesc};
use ziggurat_zig_ffi::{OpenError, Outcome, Progress, RawSink, ZigError};

/// A Zig function as a [`Future`] of what it returns: `()`, a plain value, an end of a channel, or bytes
/// (`ZigFuture<[u8]>`, whose output is [`Bytes`](bytes::Bytes)).
///
/// It starts at the first poll. After it has completed it says [`ZigError::Closed`].
///
/// # Memory
///
/// The bytes are the function's own, without a copy. A `[]u8` comes from `ziggurat.allocator`, the C
/// library's heap, and is freed there by whoever drops the last of the [`Bytes`](bytes::Bytes).
///
/// # Cancellation
///
/// Dropping the future cancels the function: it gets `error.Canceled` where it next waits, and its
/// `defer`s run. Dropping does not wait for that. A result that nobody took is dropped.
#[must_use = "futures do nothing unless polled"]
pub struct ZigFuture<R: ?Sized = ()> {
    sink: RawSink,
    marker: PhantomData<fn() -> PhantomData<R>>,
}

impl<R: ?Sized + Outcome> ZigFuture<R> {
    /// A future over a raw handle.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the handle's table cannot be used, it takes items, or its result is not `R`.
    ///
    /// # Safety
    ///
    /// As for [`RawSink::from_raw`], and a buffer that it returns must be as
    /// [`Buffer::from_raw`](ziggurat_core::Buffer::from_raw) wants it.
    pub unsafe fn from_raw(handle: RawHandle) -> Result<Self, OpenError> {
        // SAFETY: passed on.
        let sink = unsafe { RawSink::from_raw(handle, TypeDesc::of::<()>(), R::desc()) }?;
        Self::from_sink(sink)
    }

    /// A future over an opened sink that takes no items.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when it takes items, or its result is not `R`.
    pub fn from_sink(sink: RawSink) -> Result<Self, OpenError> {
        crate::sink::check(&sink, TypeDesc::of::<()>(), R::desc())?;
        Ok(ZigFuture { sink, marker: PhantomData })
    }

    /// Asks the function to end. What it makes of that is the future's output,
    /// [`ZigError::Canceled`] as a rule.
    pub fn request_cancel(&self) {
        self.sink.cancel();
    }

    /// Asks the function to end, waits until it has, and returns what it said:
    /// [`ZigError::Canceled`] as a rule, or its result if it had returned before it noticed. Its `defer`s
    /// have run then.
    ///
    /// # Errors
    ///
    /// How the function ended; [`ZigError::Closed`] when the future has completed before.
    ///
    /// # Cancel safety
    ///
    /// The function has been asked to end by the first poll. Dropping this future is dropping the other:
    /// what the function still has to do is done in the background.
    pub async fn cancel(self) -> Result<R::Value, ZigError> {
        self.request_cancel();
        self.await
    }
}

impl<R: ?Sized + Outcome> Future for ZigFuture<R> {
    type Output = Result<R::Value, ZigError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut result = R::empty();
        // SAFETY: a value of the sink's result type, initialised whatever the other side writes into it,
        // and any bit pattern is an `R::Raw`.
        match unsafe { self.sink.poll_close(cx, (&raw mut result).cast()) } {
            Progress::Pending | Progress::Ready => Poll::Pending,
            Progress::Ended(None) => {
                // SAFETY: the function has returned, and this is the one time that it is asked for what.
                let value = unsafe { R::from_raw(result) };
                Poll::Ready(value.map_err(Into::into))
            }
            Progress::Ended(Some(error)) => Poll::Ready(Err(error)),
        }
    }
}

impl<R: ?Sized + Outcome> FusedFuture for ZigFuture<R> {
    fn is_terminated(&self) -> bool {
        self.sink.refused()
    }
}

impl<R: ?Sized> Unpin for ZigFuture<R> {}

impl<R: ?Sized> fmt::Debug for ZigFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZigFuture")
            .field("result", &std::any::type_name::<R>())
            .field("terminated", &self.sink.refused())
            .finish_non_exhaustive()
    }
}
