//! A byte stream as `AsyncRead` and `AsyncBufRead`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_io::{AsyncBufRead, AsyncRead};
use ziggurat_core::Buffer;

use crate::ZigByteStream;

/// The bytes of a [`ZigByteStream`], whatever chunks they come in. `poll_fill_buf` lends a chunk where
/// it lies; `poll_read` copies out of it.
///
/// Errors become [`io::Error`]s whose source is the [`ZigError`](crate::ZigError); after one, it reads
/// as ended. tokio's traits are one `tokio_util::compat::FuturesAsyncReadCompatExt::compat` away.
#[derive(Debug)]
pub struct ByteReader {
    stream: ZigByteStream,
    chunk: Buffer,
    /// Bytes of `chunk` that were read.
    read: usize,
}

impl ByteReader {
    pub(crate) fn new(stream: ZigByteStream) -> Self {
        ByteReader { stream, chunk: Buffer::new(), read: 0 }
    }

    /// The bytes that were received and not yet read, and the stream of the rest.
    pub fn into_parts(self) -> (Bytes, ZigByteStream) {
        let rest = if self.read < self.chunk.len() {
            Bytes::from(self.chunk).slice(self.read..)
        } else {
            // Not an empty slice of the chunk: that would keep the whole of it.
            Bytes::new()
        };
        (rest, self.stream)
    }
}

impl AsyncBufRead for ByteReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.read == this.chunk.len() {
            // Released before waiting: it may be the one that the Zig side waits for.
            this.chunk = Buffer::new();
            this.read = 0;
            match ready!(this.stream.poll_next_buffer(cx)) {
                Some(Ok(chunk)) => this.chunk = chunk,
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                None => return Poll::Ready(Ok(&[])),
            }
        }
        Poll::Ready(Ok(&this.chunk[this.read..]))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        assert!(amount <= self.chunk.len() - self.read, "consumed more than was lent");
        self.read += amount;
    }
}

impl AsyncRead for ByteReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let here = ready!(self.as_mut().poll_fill_buf(cx))?;
        let n = here.len().min(buf.len());
        buf[..n].copy_from_slice(&here[..n]);
        self.consume(n);
        Poll::Ready(Ok(n))
    }
}
