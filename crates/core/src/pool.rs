//! A bounded pool of fixed-size, aligned blocks.

mod builder;
mod storage;
#[cfg(all(test, not(ziggurat_loom)))]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub use builder::{Growth, PoolBuilder, PoolError};
use storage::Handle;

use crate::buffer::{BufferMut, RawBuffer};

/// A bounded pool of fixed-size, aligned blocks. Clones share the blocks.
///
/// Taking and returning a block is one compare-and-swap each, on any thread. A block returns when
/// the last [`Buffer`](crate::Buffer) or [`Bytes`](bytes::Bytes) over it is dropped, also after every
/// handle to the pool is gone; the memory is freed when both handles and blocks are.
///
/// When all blocks are in use the pool waits (backpressure) or grows, as [`Growth`] says.
#[derive(Clone)]
pub struct BufferPool {
    handle: Arc<Handle>,
}

impl BufferPool {
    /// A pool of blocks of `block_size` bytes each: 16 of them, at 64-byte alignment, fixed, unless
    /// the builder is told otherwise.
    pub fn builder(block_size: usize) -> PoolBuilder {
        PoolBuilder::new(block_size)
    }

    /// Bytes in each block.
    pub fn block_size(&self) -> usize {
        self.handle.block_size()
    }

    /// Blocks that exist now, in use or free.
    pub fn blocks(&self) -> usize {
        self.handle.count()
    }

    /// Takes a block, or `None` when all are in use and the pool may not grow.
    #[inline]
    pub fn try_acquire(&self) -> Option<BufferMut> {
        self.handle.take()
    }

    /// Takes a block, waiting for one to come back when all are in use.
    ///
    /// There is no queue: a block that comes back wakes all who wait, and whoever asks first gets it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn acquire(&self) -> Acquire {
        Acquire { waiter: PoolWaiter::new(self.clone()) }
    }

    /// Makes one more owner for the block behind a descriptor, so that a part of it can be handed on
    /// while the rest is still being filled. Every owner calls `release` once; the block returns with
    /// the last.
    ///
    /// Returns `false`, and does nothing, for a descriptor that is not of this pool's kind.
    ///
    /// # Safety
    ///
    /// If the descriptor came from a pool (`BufferMut::into_raw`, `Buffer::into_raw`), it must not
    /// have been released yet.
    pub unsafe fn share(raw: &RawBuffer) -> bool {
        // SAFETY: passed on.
        unsafe { storage::share(raw) }
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool")
            .field("block_size", &self.block_size())
            .field("blocks", &self.blocks())
            .finish_non_exhaustive()
    }
}

/// A place among those who wait for a pool's blocks: for code that waits again and again without
/// making a future each time.
#[derive(Debug)]
pub struct PoolWaiter {
    pool: BufferPool,
    id: Option<u64>,
}

impl PoolWaiter {
    /// A place that is not taken yet.
    pub fn new(pool: BufferPool) -> Self {
        PoolWaiter { pool, id: None }
    }

    /// As [`BufferPool::acquire`]. After it was ready it may be called again.
    pub fn poll_acquire(&mut self, cx: &mut Context<'_>) -> Poll<BufferMut> {
        if let Some(block) = self.pool.try_acquire() {
            return self.ready(block);
        }
        self.pool.handle.wait(&mut self.id, cx.waker());
        match self.pool.try_acquire() {
            Some(block) => self.ready(block),
            None => Poll::Pending,
        }
    }

    fn ready(&mut self, block: BufferMut) -> Poll<BufferMut> {
        self.leave();
        Poll::Ready(block)
    }

    fn leave(&mut self) {
        if let Some(id) = self.id.take() {
            self.pool.handle.stop_waiting(id);
        }
    }
}

impl Drop for PoolWaiter {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The future of [`BufferPool::acquire`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Acquire {
    waiter: PoolWaiter,
}

impl Future for Acquire {
    type Output = BufferMut;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BufferMut> {
        self.waiter.poll_acquire(cx)
    }
}
