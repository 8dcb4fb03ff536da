//! A sink of byte chunks that Zig consumes, without a copy.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_sink::Sink;
use ziggurat_core::{Buffer, BufferPool};
use ziggurat_zig_ffi::abi::{RawHandle, TypeDesc};
use ziggurat_zig_ffi::{OpenError, Outcome, RawSink, ZigError};

use crate::outbox::{Outbox, sink_methods, take_back_bytes};
use crate::writer::ByteWriter;

/// A Zig function that consumes bytes, as a [`Sink`] of [`Bytes`], without a copy: Zig reads the memory
/// of the chunk and releases it when it is done with it.
///
/// A [`Bytes`] costs one small allocation on its way; a [`Buffer`] ([`send_buffer`](Self::send_buffer))
/// costs none. The rest is as for [`ZigSink`](crate::ZigSink).
#[must_use = "sinks do nothing unless polled"]
pub struct ZigByteSink<R = ()> {
    outbox: Outbox<Buffer, R>,
}

impl<R: Outcome<Value = R>> ZigByteSink<R> {
    /// A sink over a raw handle, of chunks that cross `batch` at a time.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the handle's table cannot be used, its items are not bytes or its result is
    /// not `R`, or `batch` is 0.
    ///
    /// # Safety
    ///
    /// As for [`RawSink::from_raw`], and each buffer that the sink takes must be released once.
    pub unsafe fn from_raw(handle: RawHandle, batch: usize) -> Result<Self, OpenError> {
        // SAFETY: passed on.
        let sink = unsafe { RawSink::from_raw(handle, TypeDesc::BYTES, R::desc()) }?;
        Self::from_sink(sink, batch)
    }

    /// A sink over an opened one.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when its items are not bytes or its result is not `R`, or `batch` is 0.
    pub fn from_sink(sink: RawSink, batch: usize) -> Result<Self, OpenError> {
        crate::sink::check(&sink, TypeDesc::BYTES, R::desc())?;
        // SAFETY: just checked; a `Buffer` is a `RawBuffer` (`repr(transparent)`).
        Ok(ZigByteSink { outbox: unsafe { Outbox::new(sink, batch, take_back_bytes) }? })
    }

    /// Sends one chunk and hands it over. No allocation.
    ///
    /// # Errors
    ///
    /// [`ZigError`] when the function has ended; the chunk is then [`unsent`](Self::unsent), or was
    /// never accepted.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before there was room, the chunk is dropped with it; after that it is
    /// `unsent` here and goes out with the next send, flush or close.
    pub async fn send_buffer(&mut self, buffer: Buffer) -> Result<(), ZigError> {
        poll_fn(|cx| self.outbox.poll_ready(cx)).await?;
        self.outbox.accept(buffer);
        poll_fn(|cx| self.outbox.poll_flush(cx)).await
    }

    /// The sink as [`AsyncWrite`](futures_io::AsyncWrite): what is written is gathered in blocks of
    /// `pool`, which go out when they are full or flushed.
    pub fn into_async_write(self, pool: BufferPool) -> ByteWriter<R> {
        ByteWriter::new(self, pool)
    }

    pub(crate) fn outbox(&mut self) -> &mut Outbox<Buffer, R> {
        &mut self.outbox
    }
}

sink_methods! { ZigByteSink<R: [Outcome<Value = R>]>, of Bytes, waiting as Buffer }

impl<R> fmt::Debug for ZigByteSink<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZigByteSink")
            .field("result", &std::any::type_name::<R>())
            .finish_non_exhaustive()
    }
}
