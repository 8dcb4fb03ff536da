//! A bounded pool of fixed-size, aligned blocks.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use crate::buffer::{BufferMut, RawBuffer};
use crate::free_list::{FreeList, MAX_SLOTS, Pushed};
use crate::sync::{AtomicU32, Ordering};
use crate::waiters::Waiters;

/// Segments double, so this many hold every slot that a `u32` can number.
const MAX_SEGMENTS: usize = 33;

/// What a pool does when every block is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Growth {
    /// Nothing: `try_acquire` returns `None`, and `acquire` waits for a block to come back.
    #[default]
    Fixed,
    /// It doubles its blocks up to this number in all; then as `Fixed`.
    UpTo(NonZeroUsize),
    /// It doubles its blocks for as long as the allocator gives memory. Blocks are reused, and freed
    /// with the pool.
    Unbounded,
}

/// Why a pool was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The block size is zero.
    #[error("a pool's block size must not be zero")]
    ZeroBlockSize,
    /// The number of blocks is zero.
    #[error("a pool must have at least one block")]
    ZeroBlocks,
    /// The alignment is not a power of two.
    #[error("a pool's alignment {align} is not a power of two")]
    Align {
        /// The alignment that was asked for.
        align: usize,
    },
    /// The growth limit is below the number of blocks to begin with.
    #[error("a pool of {blocks} blocks cannot be limited to {limit}")]
    LimitBelowBlocks {
        /// The number of blocks to begin with.
        blocks: usize,
        /// The limit that was asked for.
        limit: usize,
    },
    /// The blocks do not fit the address space.
    #[error("{blocks} blocks of {block_size} bytes are beyond the address space")]
    TooLarge {
        /// The number of blocks.
        blocks: usize,
        /// Bytes in each.
        block_size: usize,
    },
    /// The allocator has no memory for the blocks.
    #[error("out of memory for {blocks} blocks of {block_size} bytes")]
    OutOfMemory {
        /// The number of blocks.
        blocks: usize,
        /// Bytes in each.
        block_size: usize,
    },
}

/// Makes a [`BufferPool`].
#[derive(Debug, Clone, Copy)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PoolBuilder {
    block_size: usize,
    blocks: usize,
    align: usize,
    growth: Growth,
}

impl PoolBuilder {
    /// Blocks to begin with; 16 unless set.
    pub fn blocks(mut self, blocks: usize) -> Self {
        self.blocks = blocks;
        self
    }

    /// Alignment of every block, in bytes, a power of two; 64 (a cache line) unless set.
    ///
    /// The distance from block to block is the block size rounded up to it.
    pub fn align(mut self, align: usize) -> Self {
        self.align = align;
        self
    }

    /// What happens when every block is in use; [`Growth::Fixed`] unless set.
    pub fn growth(mut self, growth: Growth) -> Self {
        self.growth = growth;
        self
    }

    /// Allocates the blocks. Their pages are first touched by whoever fills them.
    ///
    /// # Errors
    ///
    /// [`PoolError`] when the configuration is impossible or the allocator has no memory.
    pub fn build(self) -> Result<BufferPool, PoolError> {
        let PoolBuilder { block_size, blocks, align, growth } = self;
        if block_size == 0 {
            return Err(PoolError::ZeroBlockSize);
        }
        if blocks == 0 {
            return Err(PoolError::ZeroBlocks);
        }
        if !align.is_power_of_two() {
            return Err(PoolError::Align { align });
        }
        let too_large = PoolError::TooLarge { blocks, block_size };
        let limit = match growth {
            Growth::Fixed => blocks,
            Growth::UpTo(limit) if limit.get() < blocks => {
                return Err(PoolError::LimitBelowBlocks { blocks, limit: limit.get() });
            }
            Growth::UpTo(limit) => limit.get(),
            Growth::Unbounded => MAX_SLOTS as usize,
        };
        let limit = u32::try_from(limit).ok().filter(|&l| l <= MAX_SLOTS).ok_or(too_large)?;
        let stride = block_size.checked_next_multiple_of(align).ok_or(too_large)?;
        let pool = Box::new(Pool {
            free: FreeList::new(),
            waiters: Arc::new(Waiters::new()),
            block_size,
            stride,
            align,
            first: blocks as u32,
            limit,
            extent: Mutex::new(Extent { segments: 0, blocks: 0 }),
            segments: [const { OnceLock::new() }; MAX_SEGMENTS],
            base: ptr::null(),
            this: NonNull::dangling(),
        });
        let this = NonNull::from(Box::leak(pool));
        let handle = Handle { pool: this };
        // SAFETY: nobody else has seen the pool yet, and no reference to it is alive.
        unsafe { (*this.as_ptr()).this = this };
        let mut extent = Extent { segments: 0, blocks: 0 };
        let fresh = handle.pool().add_segment(&mut extent, blocks as u32)?;
        let base = handle.pool().segments[0].get().map_or(ptr::null(), |s| s.blocks.as_ptr());
        // SAFETY: as above.
        unsafe { (*this.as_ptr()).base = base };
        // SAFETY: as above.
        unsafe { (*this.as_ptr()).extent = Mutex::new(extent) };
        fresh.for_each(|index| handle.pool().put(index));
        Ok(BufferPool { handle: Arc::new(handle) })
    }
}

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

/// What the public handles share; closes the pool when the last of them goes.
struct Handle {
    pool: NonNull<Pool>,
}

// SAFETY: `Pool` is `Sync` in all of its parts (atomics, locks, and blocks whose data is only
// touched by their owner), and freed by whoever counts the last block or handle home.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

struct Pool {
    free: FreeList,
    waiters: Arc<Waiters>,
    block_size: usize,
    stride: usize,
    align: usize,
    /// Blocks in segment 0. Segment `k > 0` has room for `first << (k - 1)` and starts at that index.
    first: u32,
    limit: u32,
    /// What exists. Only growing takes the lock.
    extent: Mutex<Extent>,
    segments: [OnceLock<Segment>; MAX_SEGMENTS],
    /// The blocks of segment 0, for the common case.
    base: *const Block,
    /// The pool itself, as a pointer that may free it.
    this: NonNull<Pool>,
}

struct Extent {
    segments: usize,
    blocks: u32,
}

struct Segment {
    blocks: Box<[Block]>,
    data: NonNull<u8>,
    layout: Layout,
}

/// What a block's buffers point to (`RawBuffer::ctx`).
struct Block {
    pool: NonNull<Pool>,
    data: *mut u8,
    index: u32,
    next: AtomicU32,
    /// Buffers over this block. More than one only after [`BufferPool::share`].
    owners: AtomicU32,
}

impl Pool {
    /// Of a slot that is not in segment 0.
    fn segment_of(&self, index: u32) -> (usize, u32) {
        let k = (index / self.first).ilog2();
        (k as usize + 1, index - (self.first << k))
    }

    #[inline]
    fn block(&self, index: u32) -> &Block {
        if index < self.first {
            // SAFETY: segment 0 has `first` blocks, from `base` on, for as long as the pool lives.
            return unsafe { &*self.base.add(index as usize) };
        }
        let (segment, offset) = self.segment_of(index);
        let segment = self.segments[segment].get().expect("a slot number of a segment that exists");
        &segment.blocks[offset as usize]
    }

    fn link<'a>(&'a self) -> impl Fn(u32) -> &'a AtomicU32 {
        |index| &self.block(index).next
    }

    /// Allocates `blocks` more blocks, numbered by the returned range. They are not yet on the list.
    fn add_segment(
        &self,
        extent: &mut Extent,
        blocks: u32,
    ) -> Result<impl Iterator<Item = u32> + use<>, PoolError> {
        let (count, block_size) = (blocks as usize, self.block_size);
        let layout = self
            .stride
            .checked_mul(count)
            .and_then(|size| Layout::from_size_align(size, self.align).ok())
            .ok_or(PoolError::TooLarge { blocks: count, block_size })?;
        // SAFETY: the layout's size is not zero: neither the block size nor the count is.
        let data = NonNull::new(unsafe { alloc(layout) })
            .ok_or(PoolError::OutOfMemory { blocks: count, block_size })?;
        let start = extent.blocks;
        let table = (0..blocks)
            .map(|i| Block {
                pool: self.this,
                // SAFETY: the block lies inside the allocation of `count` strides.
                data: unsafe { data.as_ptr().add(i as usize * self.stride) },
                index: start + i,
                next: AtomicU32::new(0),
                owners: AtomicU32::new(0),
            })
            .collect();
        self.free.add_slots(count);
        let segment = Segment { blocks: table, data, layout };
        if self.segments[extent.segments].set(segment).is_err() {
            unreachable!("segments are only added under the lock");
        }
        extent.segments += 1;
        extent.blocks += blocks;
        // Reversed, so that the lowest addresses are on top of the stack.
        Ok((start..start + blocks).rev())
    }

    /// Puts a block on the list of a pool that cannot go away meanwhile.
    fn put(&self, index: u32) {
        if let Pushed::Free(Some(waiters)) =
            self.free.push(index, &self.block(index).next, || Arc::clone(&self.waiters))
        {
            waiters.wake_all();
        }
    }

    /// The slow path of taking a block: doubles the pool if it may grow.
    #[cold]
    fn grow(&self) -> Option<u32> {
        let mut extent = self.extent.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have grown the pool, or returned a block, while we waited for the lock.
        if let Some(index) = self.free.pop(self.link()) {
            return Some(index);
        }
        let more = extent.blocks.min(self.limit - extent.blocks);
        if more == 0 {
            return None;
        }
        // No memory is no reason to fail: blocks that are out will come back.
        let mut fresh = self.add_segment(&mut extent, more).ok()?;
        let ours = fresh.next();
        // `put` wakes who waits, which must not happen under the lock.
        drop(extent);
        fresh.for_each(|index| self.put(index));
        ours
    }

    #[inline]
    fn take(&self) -> Option<u32> {
        match self.free.pop(self.link()) {
            Some(index) => Some(index),
            None if self.limit > self.first => self.grow(),
            None => None,
        }
    }

    #[inline]
    fn buffer(&self, index: u32) -> BufferMut {
        let block = self.block(index);
        // Relaxed: the block is ours; the list's own ordering hands it to the next owner.
        block.owners.store(1, Ordering::Relaxed);
        let raw = RawBuffer {
            ptr: block.data,
            len: 0,
            cap: self.block_size,
            align: self.align,
            release: Some(release_block),
            ctx: ptr::from_ref(block).cast_mut().cast(),
        };
        // SAFETY: the block was taken from the list, so nobody else has it; its data is a live
        // allocation of at least `block_size` bytes at this alignment, kept until it is released.
        unsafe { BufferMut::from_raw(raw) }
    }

    /// # Safety
    ///
    /// Nobody may use the pool afterwards: no handle and no block is left.
    unsafe fn free(pool: NonNull<Pool>) {
        // SAFETY: the pool was leaked from a box by the builder, and the caller is its last user.
        let mut pool = unsafe { Box::from_raw(pool.as_ptr()) };
        for segment in pool.segments.iter_mut().filter_map(OnceLock::take) {
            // SAFETY: allocated by `add_segment` with this layout, and no block of it is out.
            unsafe { dealloc(segment.data.as_ptr(), segment.layout) };
        }
    }
}

/// A buffer over a block is done with it: the `release` callback of this pool's buffers.
unsafe extern "C" fn release_block(ctx: *mut c_void, _: *mut u8, _: usize, _: usize) {
    let block = ctx.cast::<Block>().cast_const();
    // SAFETY: `ctx` is the block that this buffer owns (a share of), so it and its pool are alive.
    let owners = unsafe { &(*block).owners };
    // Acquire/Release as in `Arc`: all the others' reads happen before the block is reused. Seeing 1
    // means that nobody else has the block, so nobody else can make it 2.
    if owners.load(Ordering::Acquire) != 1 && owners.fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
    // SAFETY: as above; the last owner may still read the block's constant fields.
    let (index, pool) = unsafe { ((*block).index, (*block).pool) };
    // Raw from here on, because a push ends this function's claim on the pool: another thread may
    // free it while `push` returns. References are made only to parts that are atomic or are read
    // before the push.
    let raw = pool.as_ptr().cast_const();
    // SAFETY: alive until the push, and `FreeList` is made of atomics, so that a reference to it may
    // outlive its last use.
    let free = unsafe { &(*raw).free };
    // SAFETY: as above; the link is an atomic too.
    let link = unsafe { &(*block).next };
    let pushed = free.push(index, link, || {
        // SAFETY: `push` calls this before it gives the block away.
        Arc::clone(unsafe { &(*raw).waiters })
    });
    match pushed {
        Pushed::Free(Some(waiters)) => {
            waiters.wake_all();
        }
        Pushed::Free(None) | Pushed::Closed => {}
        // SAFETY: the list is closed and this was the last block: nobody else is left.
        Pushed::Last => unsafe { Pool::free(pool) },
    }
}

impl Handle {
    fn pool(&self) -> &Pool {
        // SAFETY: the pool is freed only after it is closed, which the last handle's drop does.
        unsafe { self.pool.as_ref() }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let pool = self.pool.as_ptr().cast_const();
        // SAFETY: the pool is alive until its list is closed and all its blocks are home.
        let free = unsafe { &(*pool).free };
        // SAFETY: as above; `close` follows the links before it counts the blocks home.
        if let Pushed::Last = free.close(|i| &unsafe { &*pool }.block(i).next) {
            // SAFETY: closed, and no block is out: nobody else is left.
            unsafe { Pool::free(self.pool) }
        }
    }
}

impl BufferPool {
    /// A pool of blocks of `block_size` bytes each: 16 of them, at 64-byte alignment, fixed, unless
    /// the builder is told otherwise.
    pub fn builder(block_size: usize) -> PoolBuilder {
        PoolBuilder { block_size, blocks: 16, align: 64, growth: Growth::Fixed }
    }

    /// Bytes in each block.
    pub fn block_size(&self) -> usize {
        self.handle.pool().block_size
    }

    /// Blocks that exist now, in use or free.
    pub fn blocks(&self) -> usize {
        let extent = self.handle.pool().extent.lock();
        extent.unwrap_or_else(PoisonError::into_inner).blocks as usize
    }

    /// Takes a block, or `None` when all are in use and the pool may not grow.
    #[inline]
    pub fn try_acquire(&self) -> Option<BufferMut> {
        let pool = self.handle.pool();
        pool.take().map(|index| pool.buffer(index))
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
        let ours =
            raw.release.is_some_and(|f| ptr::fn_addr_eq(f, release_block as crate::ReleaseFn));
        if ours {
            // SAFETY: `release_block` is private, so the context is a block of a pool; not yet
            // released, says the caller, so it is alive.
            let owners = unsafe { &(*raw.ctx.cast::<Block>()).owners };
            // Relaxed as in `Arc::clone`: a new owner is made from an existing one.
            owners.fetch_add(1, Ordering::Relaxed);
        }
        ours
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
        // Wait, then announce, then look once more (see `free_list`).
        let pool = self.pool.handle.pool();
        pool.waiters.register(&mut self.id, cx.waker());
        pool.free.announce_waiter();
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
            self.pool.handle.pool().waiters.remove(id);
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Buffer;
    use bytes::Bytes;
    use futures::FutureExt;
    use futures::executor::block_on;
    use futures::future::join;

    fn pool(blocks: usize) -> BufferPool {
        BufferPool::builder(128).blocks(blocks).build().unwrap()
    }

    #[test]
    fn hands_out_aligned_distinct_blocks_and_no_more_than_it_has() {
        let pool = BufferPool::builder(100).blocks(5).align(256).build().unwrap();
        let mut blocks: Vec<_> = (0..5).map(|_| pool.try_acquire().unwrap()).collect();
        assert!(pool.try_acquire().is_none());
        for (i, block) in blocks.iter_mut().enumerate() {
            assert_eq!((block.capacity(), block.len()), (100, 0));
            assert_eq!(block.put_slice(&[i as u8; 300]), 100);
        }
        let mut starts: Vec<_> = blocks.iter().map(|b| b.as_ptr().addr()).collect();
        starts.sort_unstable();
        assert!(starts.iter().all(|a| a % 256 == 0));
        assert!(starts.windows(2).all(|w| w[1] - w[0] >= 100));
        assert!(blocks.iter().enumerate().all(|(i, b)| b.iter().all(|&x| x == i as u8)));
        drop(blocks.pop());
        assert!(pool.try_acquire().is_some());
    }

    #[test]
    fn a_block_returns_with_the_last_bytes_over_it() {
        let pool = pool(1);
        let mut block = pool.try_acquire().unwrap();
        block.put_slice(b"hello world");
        let bytes = Bytes::from(block.freeze());
        let tail = bytes.slice(6..);
        drop(bytes);
        assert!(pool.try_acquire().is_none());
        assert_eq!(&tail[..], b"world");
        drop(tail);
        assert!(pool.try_acquire().is_some());
    }

    #[test]
    fn shared_parts_of_a_block_return_it_together() {
        let pool = pool(1);
        let mut block = pool.try_acquire().unwrap();
        block.put_slice(b"onetwo");
        let raw = block.into_raw();
        // SAFETY: not released yet.
        assert!(unsafe { BufferPool::share(&raw) });
        let part = |at: usize| {
            // SAFETY: two owners were counted, and each releases once; the parts are initialised.
            unsafe {
                Buffer::from_raw(RawBuffer {
                    ptr: raw.ptr.add(at),
                    len: 3,
                    cap: 3,
                    align: 1,
                    ..raw
                })
            }
        };
        let (one, two) = (part(0).unwrap(), part(3).unwrap());
        assert_eq!((&*one, &*two), (&b"one"[..], &b"two"[..]));
        drop(one);
        assert!(pool.try_acquire().is_none());
        drop(two);
        assert!(pool.try_acquire().is_some());
        // SAFETY: not of a pool at all.
        assert!(!unsafe { BufferPool::share(&RawBuffer::EMPTY) });
    }

    #[test]
    fn blocks_outlive_the_pool() {
        let (first, second) = {
            let pool = pool(3);
            let _home_before_the_pool_goes = pool.try_acquire().unwrap();
            (pool.try_acquire().unwrap(), pool.try_acquire().unwrap())
        };
        assert_eq!(first.capacity(), 128);
        std::thread::spawn(move || drop(first)).join().unwrap();
        drop(second);
    }

    #[test]
    fn exhaustion_waits_and_a_dropped_waiter_loses_nothing() {
        let pool = pool(1);
        let block = pool.try_acquire().unwrap();
        let (mut first, mut second) = (pool.acquire(), pool.acquire());
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        let (_, got) = block_on(join(async { drop(block) }, second));
        assert_eq!(got.capacity(), 128);
    }

    #[test]
    fn threads_share_few_blocks() {
        let pool = pool(2);
        let work = |seed: u8| {
            let pool = pool.clone();
            move || {
                for i in 0..2_000_u32 {
                    let mut block = block_on(pool.acquire());
                    let mark = seed ^ i as u8;
                    block.put_slice(&[mark; 128]);
                    let bytes = Bytes::from(block.freeze());
                    assert!(bytes.iter().all(|&b| b == mark));
                }
            }
        };
        let threads: Vec<_> = (0..4).map(|i| std::thread::spawn(work(i * 64))).collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(pool.blocks(), 2);
    }

    #[test]
    fn grows_by_doubling_up_to_its_limit() {
        let limit = NonZeroUsize::new(11).unwrap();
        let pool = BufferPool::builder(8).blocks(3).growth(Growth::UpTo(limit)).build().unwrap();
        let mut blocks: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
        assert_eq!((blocks.len(), pool.blocks()), (11, 11));
        blocks.iter_mut().for_each(|b| assert_eq!(b.put_slice(&[1; 9]), 8));
        let mut starts: Vec<_> = blocks.iter().map(|b| b.as_ptr().addr()).collect();
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts.len(), 11);
        drop(blocks);
        assert_eq!(std::iter::from_fn(|| pool.try_acquire()).take(11).count(), 11);

        let pool = BufferPool::builder(8).blocks(1).growth(Growth::Unbounded).build().unwrap();
        let blocks: Vec<_> = (0..1000).map(|_| pool.try_acquire().unwrap()).collect();
        assert_eq!(blocks.len(), 1000);
        assert_eq!(pool.blocks(), 1024);
    }

    #[test]
    fn impossible_configurations_are_typed_errors() {
        let limit = NonZeroUsize::new(1).unwrap();
        let b = BufferPool::builder;
        assert_eq!(b(0).build().unwrap_err(), PoolError::ZeroBlockSize);
        assert_eq!(b(8).blocks(0).build().unwrap_err(), PoolError::ZeroBlocks);
        assert_eq!(b(8).align(3).build().unwrap_err(), PoolError::Align { align: 3 });
        assert_eq!(
            b(8).blocks(2).growth(Growth::UpTo(limit)).build().unwrap_err(),
            PoolError::LimitBelowBlocks { blocks: 2, limit: 1 }
        );
        assert_eq!(
            b(usize::MAX / 4).blocks(8).build().unwrap_err(),
            PoolError::TooLarge { blocks: 8, block_size: usize::MAX / 4 }
        );
    }
}
