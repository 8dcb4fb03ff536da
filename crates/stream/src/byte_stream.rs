//! A stream of byte chunks that Zig produces, without a copy.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::{FusedStream, Stream};
use ziggurat_core::{Buffer, RawBuffer};
use ziggurat_zig_ffi::abi::{RawHandle, TypeDesc};
use ziggurat_zig_ffi::{OpenError, ProtocolError, RawSource, ZigError};

use crate::batch::Batches;
use crate::reader::ByteReader;

/// Chunks that cross the border at once, unless the builder says otherwise.
pub const DEFAULT_BYTE_BATCH: usize = 8;

/// Chunks after which a stream that is always ready yields to the executor once.
const BUDGET: usize = 64;

/// In the place of a chunk that was taken, or has not come: refused by every check.
pub(crate) const NO_BUFFER: RawBuffer = RawBuffer { align: 0, ..RawBuffer::EMPTY };

/// A Zig source of bytes as a [`Stream`] of `Result<Bytes, ZigError>`, without a copy: the chunks are
/// the memory that Zig wrote, and go back where they came from when the last [`Bytes`] over them is
/// dropped.
///
/// Making a chunk into [`Bytes`] costs one small allocation ([`Bytes::from_owner`]);
/// [`into_buffers`](Self::into_buffers) is for those who want none. Backpressure, cancellation and
/// fusing are those of [`ZigStream`](crate::ZigStream).
#[must_use = "streams do nothing unless polled"]
pub struct ZigByteStream {
    batches: Batches<RawBuffer>,
}

// SAFETY: the descriptors in the batch are owned like `Buffer`s, which are `Send`.
unsafe impl Send for ZigByteStream {}
// SAFETY: `&self` gives no access to the descriptors.
unsafe impl Sync for ZigByteStream {}

impl ZigByteStream {
    /// A stream over a raw handle, of chunks that cross `batch` at a time.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the handle's table cannot be used, its items are not bytes, or `batch` is 0.
    ///
    /// # Safety
    ///
    /// As for [`RawSource::from_raw`], and each buffer that the source delivers must be as
    /// [`Buffer::from_raw`] wants it.
    pub unsafe fn from_raw(handle: RawHandle, batch: usize) -> Result<Self, OpenError> {
        // SAFETY: passed on.
        let source = unsafe { RawSource::from_raw(handle, TypeDesc::BYTES) }?;
        Self::from_source(source, batch)
    }

    /// A stream over an opened source.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the source's items are not bytes, or `batch` is 0.
    pub fn from_source(source: RawSource, batch: usize) -> Result<Self, OpenError> {
        let (expected, found) = (TypeDesc::BYTES, source.item());
        if expected != found {
            return Err(OpenError::ItemType { expected, found });
        }
        // SAFETY: the items are `RawBuffer`s, which are integers and pointers.
        let batches = unsafe { Batches::new(source, NO_BUFFER, batch, BUDGET) }?;
        Ok(ZigByteStream { batches })
    }

    /// The next chunk as the buffer that it is, for hand-written futures: no allocation at all.
    pub fn poll_next_buffer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Buffer, ZigError>>> {
        if !ready!(self.batches.poll_fill(cx))? {
            return Poll::Ready(None);
        }
        let raw = self.batches.replace_next(NO_BUFFER).expect("`poll_fill` said so");
        // SAFETY: the source gave this buffer to us, and `NO_BUFFER` in its place makes sure that it
        // is used once, whatever counts the source claims.
        match unsafe { Buffer::from_raw(raw) } {
            Ok(buffer) => Poll::Ready(Some(Ok(buffer))),
            Err(error) => {
                self.release_buffered();
                self.batches.abort();
                Poll::Ready(Some(Err(ProtocolError::from(error).into())))
            }
        }
    }

    /// The same stream with [`Buffer`] for [`Bytes`]: no allocation per chunk.
    pub fn into_buffers(self) -> Buffers {
        Buffers { stream: self }
    }

    /// The bytes as [`AsyncRead`](futures_io::AsyncRead) and
    /// [`AsyncBufRead`](futures_io::AsyncBufRead).
    pub fn into_async_read(self) -> ByteReader {
        ByteReader::new(self)
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

    /// Drops chunks up to the end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        while ready!(self.batches.poll_fill(cx))? {
            self.release_buffered();
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn batches(&mut self) -> &mut Batches<RawBuffer> {
        &mut self.batches
    }

    pub(crate) fn release_buffered(&mut self) {
        while let Some(raw) = self.batches.replace_next(NO_BUFFER) {
            // SAFETY: as in `poll_next_buffer`.
            drop(unsafe { Buffer::from_raw(raw) });
        }
    }
}

impl Drop for ZigByteStream {
    fn drop(&mut self) {
        self.release_buffered();
    }
}

impl Stream for ZigByteStream {
    type Item = Result<Bytes, ZigError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_buffer(cx).map_ok(Bytes::from)
    }

    /// At least one if any are here: an impossible chunk among them would be the last item.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let (here, most) = self.batches.size_hint();
        (here.min(1), most)
    }
}

impl FusedStream for ZigByteStream {
    fn is_terminated(&self) -> bool {
        self.batches.is_terminated()
    }
}

impl fmt::Debug for ZigByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZigByteStream")
            .field("buffered", &self.batches.buffered().len())
            .field("terminated", &self.is_terminated())
            .finish_non_exhaustive()
    }
}

/// The stream of [`ZigByteStream::into_buffers`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Buffers {
    stream: ZigByteStream,
}

impl Buffers {
    /// The stream of [`Bytes`] again.
    pub fn into_inner(self) -> ZigByteStream {
        self.stream
    }
}

impl Stream for Buffers {
    type Item = Result<Buffer, ZigError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.poll_next_buffer(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl FusedStream for Buffers {
    fn is_terminated(&self) -> bool {
        self.stream.is_terminated()
    }
}
