//! A byte sink as `AsyncWrite`.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::AsyncWrite;
use ziggurat_core::{Acquire, BufferMut, BufferPool};
use ziggurat_zig_ffi::{Outcome, ZigError};

use crate::ZigByteSink;

/// A [`ZigByteSink`] as [`AsyncWrite`]. What is written is copied once, into a block of a pool. A full
/// block goes to the sink, where up to a batch of them waits; flush, close and a pool without a free
/// block send everything on its way.
///
/// Errors become [`io::Error`]s whose source is the [`ZigError`](crate::ZigError). tokio's traits are
/// one `tokio_util::compat::FuturesAsyncWriteCompatExt::compat_write` away.
pub struct ByteWriter<R = ()> {
    sink: ZigByteSink<R>,
    pool: BufferPool,
    block: Option<BufferMut>,
    acquire: Option<Acquire>,
}

impl<R: Outcome<Value = R>> ByteWriter<R> {
    pub(crate) fn new(sink: ZigByteSink<R>, pool: BufferPool) -> Self {
        ByteWriter { sink, pool, block: None, acquire: None }
    }

    /// What the function returned, after the writer was closed. Once.
    pub fn take_result(&mut self) -> Option<R> {
        self.sink.take_result()
    }

    /// The sink, and the bytes that were written and have not gone to it.
    pub fn into_parts(self) -> (ZigByteSink<R>, Option<BufferMut>) {
        (self.sink, self.block)
    }

    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut BufferMut, ZigError>> {
        if self.block.is_none() {
            let acquire = self.acquire.get_or_insert_with(|| self.pool.acquire());
            let Poll::Ready(block) = Pin::new(acquire).poll(cx) else {
                // The blocks that the pool misses may be those that wait in the sink, or those that the
                // function has: as a coroutine, it runs only while it is polled.
                ready!(self.sink.outbox().poll_flush(cx))?;
                self.sink.outbox().poll_drive(cx)?;
                return Poll::Pending;
            };
            self.acquire = None;
            self.block = Some(block);
        }
        Poll::Ready(Ok(self.block.as_mut().expect("just made")))
    }

    fn poll_send_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        if self.block.as_ref().is_some_and(|block| !block.is_empty()) {
            ready!(self.sink.outbox().poll_ready(cx))?;
            let block = self.block.take().expect("just seen");
            self.sink.outbox().accept(block.freeze());
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: Outcome<Value = R>> AsyncWrite for ByteWriter<R> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if this.block.as_ref().is_some_and(|block| block.len() == block.capacity()) {
            ready!(this.poll_send_block(cx))?;
        }
        let block = ready!(this.poll_block(cx))?;
        Poll::Ready(Ok(block.put_slice(bytes)))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send_block(cx))?;
        this.sink.outbox().poll_flush(cx).map_err(Into::into)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let sent = match ready!(this.poll_send_block(cx)) {
            // A function that returned early still has a result.
            Ok(()) | Err(ZigError::Closed) => this.block.as_ref().is_none_or(|b| b.is_empty()),
            Err(error) => return Poll::Ready(Err(error.into())),
        };
        ready!(futures_sink::Sink::poll_close(Pin::new(&mut this.sink), cx))?;
        Poll::Ready(if sent { Ok(()) } else { Err(ZigError::Closed.into()) })
    }
}

impl<R> Unpin for ByteWriter<R> {}

impl<R> fmt::Debug for ByteWriter<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteWriter")
            .field("sink", &self.sink)
            .field("block", &self.block)
            .finish_non_exhaustive()
    }
}
