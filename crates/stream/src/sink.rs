//! A sink of plain items that Zig consumes.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_sink::Sink;
use ziggurat_zig_ffi::abi::{RawHandle, TypeDesc};
use ziggurat_zig_ffi::{OpenError, Outcome, Plain, RawSink, ZigError};

use crate::outbox::{Outbox, sink_methods, take_back_plain};

/// A Zig function that consumes `T`s, as a [`Sink`]. When the input is closed the function returns an
/// `R`, which [`close`](Self::close) yields.
///
/// Up to `batch` items wait here before they cross together; [`flush`](Sink::poll_flush) hands them
/// over (it does not wait until the function has taken them from its input).
///
/// # When the function ends early
///
/// Sending fails with [`ZigError::Closed`] when the function has returned, and with its error when it
/// failed. Items that it did not take stay in the sink: see [`unsent`](Self::unsent).
///
/// # Cancellation
///
/// Dropping the sink before it is closed cancels the function; items that it has not taken are dropped.
#[must_use = "sinks do nothing unless polled"]
pub struct ZigSink<T, R = ()> {
    outbox: Outbox<T, R>,
}

impl<T: Plain, R: Outcome<Value = R>> ZigSink<T, R> {
    /// A sink over a raw handle, of items that cross `batch` at a time.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the handle's table cannot be used, its items are not `T` or its result is
    /// not `R`, or `batch` is 0.
    ///
    /// # Safety
    ///
    /// As for [`RawSink::from_raw`].
    pub unsafe fn from_raw(handle: RawHandle, batch: usize) -> Result<Self, OpenError> {
        // SAFETY: passed on.
        let sink = unsafe { RawSink::from_raw(handle, TypeDesc::of::<T>(), R::desc()) }?;
        Self::from_sink(sink, batch)
    }

    /// A sink over an opened one.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when its items are not `T` or its result is not `R`, or `batch` is 0.
    pub fn from_sink(sink: RawSink, batch: usize) -> Result<Self, OpenError> {
        check(&sink, TypeDesc::of::<T>(), R::desc())?;
        // SAFETY: just checked.
        Ok(ZigSink { outbox: unsafe { Outbox::new(sink, batch, take_back_plain) }? })
    }

    pub(crate) fn outbox(&mut self) -> &mut Outbox<T, R> {
        &mut self.outbox
    }
}

sink_methods! { ZigSink<T: [Plain], R: [Outcome<Value = R>]>, of T, waiting as T }

/// Checks a sink's types.
pub(crate) fn check(sink: &RawSink, item: TypeDesc, result: TypeDesc) -> Result<(), OpenError> {
    if sink.item() != item {
        return Err(OpenError::ItemType { expected: item, found: sink.item() });
    }
    if sink.result() != result {
        return Err(OpenError::ResultType { expected: result, found: sink.result() });
    }
    Ok(())
}

impl<T, R> fmt::Debug for ZigSink<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZigSink")
            .field("item", &std::any::type_name::<T>())
            .field("result", &std::any::type_name::<R>())
            .finish_non_exhaustive()
    }
}
