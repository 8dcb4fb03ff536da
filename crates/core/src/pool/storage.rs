//! The blocks of a pool: where they lie, how they are taken, how they come home, and how they go.
//!
//! Blocks may outlive every handle to their pool: whoever counts the last of both home frees it.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

use super::builder::PoolError;
use crate::ReleaseFn;
use crate::buffer::{BufferMut, RawBuffer};
use crate::free_list::{FreeList, Pushed};
use crate::sync::{AtomicU32, Ordering};
use crate::waiters::Waiters;

/// Segments double, so this many hold every slot that a `u32` can number.
const MAX_SEGMENTS: usize = 33;

/// A configuration that has been checked.
pub(super) struct Shape {
    pub(super) block_size: usize,
    /// From block to block, in bytes.
    pub(super) stride: usize,
    pub(super) align: usize,
    /// Blocks in segment 0. Segment `k > 0` has room for `first << (k - 1)` and starts at that index.
    pub(super) first: u32,
    pub(super) limit: u32,
}

/// What the public handles share; closes the list of free blocks when the last of them goes.
pub(super) struct Handle {
    storage: NonNull<Storage>,
}

// SAFETY: `Storage` is `Sync` in all of its parts (atomics, locks, and blocks whose data is only
// touched by their owner), and freed by whoever counts the last block or handle home.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Deref for Handle {
    type Target = Storage;
    #[inline]
    fn deref(&self) -> &Storage {
        // SAFETY: freed only after the list is closed, which the last handle's drop does.
        unsafe { self.storage.as_ref() }
    }
}

/// A pool without its handles: the blocks, the list of the free ones, and who waits for one.
pub(super) struct Storage {
    free: FreeList,
    waiters: Arc<Waiters>,
    shape: Shape,
    /// What exists. Only growing takes the lock.
    extent: Mutex<Extent>,
    segments: [OnceLock<Segment>; MAX_SEGMENTS],
    /// The blocks of segment 0, for the common case.
    base: *const Block,
    /// This itself, as a pointer that may free it.
    this: NonNull<Storage>,
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
    home: NonNull<Storage>,
    data: *mut u8,
    index: u32,
    next: AtomicU32,
    /// Buffers over this block. More than one only after [`share`].
    owners: AtomicU32,
}

impl Storage {
    /// Allocates the first blocks.
    pub(super) fn open(shape: Shape) -> Result<Arc<Handle>, PoolError> {
        let first = shape.first;
        let storage = Box::new(Storage {
            free: FreeList::new(),
            waiters: Arc::new(Waiters::new()),
            shape,
            extent: Mutex::new(Extent { segments: 0, blocks: 0 }),
            segments: [const { OnceLock::new() }; MAX_SEGMENTS],
            base: ptr::null(),
            this: NonNull::dangling(),
        });
        let this = NonNull::from(Box::leak(storage));
        let handle = Handle { storage: this };
        // SAFETY: nobody else has seen it yet, and no reference to it is alive.
        unsafe { (*this.as_ptr()).this = this };
        let mut extent = Extent { segments: 0, blocks: 0 };
        let fresh = handle.add_segment(&mut extent, first)?;
        let base = handle.segments[0].get().map_or(ptr::null(), |s| s.blocks.as_ptr());
        // SAFETY: as above.
        unsafe { (*this.as_ptr()).base = base };
        // SAFETY: as above.
        unsafe { (*this.as_ptr()).extent = Mutex::new(extent) };
        fresh.for_each(|index| handle.put(index));
        Ok(Arc::new(handle))
    }

    pub(super) fn block_size(&self) -> usize {
        self.shape.block_size
    }

    /// Blocks that exist now.
    pub(super) fn count(&self) -> usize {
        self.extent.lock().unwrap_or_else(PoisonError::into_inner).blocks as usize
    }

    /// Takes a block, or `None` when all are in use and there may not be more.
    #[inline]
    pub(super) fn take(&self) -> Option<BufferMut> {
        match self.free.pop(self.link()) {
            Some(index) => Some(self.buffer(index)),
            None if self.shape.limit > self.shape.first => {
                self.grow().map(|index| self.buffer(index))
            }
            None => None,
        }
    }

    /// Waits, as `id`, for a block to come home: a look at `take` has to follow.
    pub(super) fn wait(&self, id: &mut Option<u64>, waker: &Waker) {
        // The waiter first, then the announcement, then the look (see `free_list`).
        self.waiters.register(id, waker);
        self.free.announce_waiter();
    }

    pub(super) fn stop_waiting(&self, id: u64) {
        self.waiters.remove(id);
    }

    /// Of a slot that is not in segment 0.
    fn segment_of(&self, index: u32) -> (usize, u32) {
        let k = (index / self.shape.first).ilog2();
        (k as usize + 1, index - (self.shape.first << k))
    }

    #[inline]
    fn block(&self, index: u32) -> &Block {
        if index < self.shape.first {
            // SAFETY: segment 0 has `first` blocks, from `base` on, for as long as the pool lives.
            return unsafe { &*self.base.add(index as usize) };
        }
        let (segment, offset) = self.segment_of(index);
        let segment = self.segments[segment].get().expect("a slot number of a segment that exists");
        &segment.blocks[offset as usize]
    }

    #[inline]
    fn link<'a>(&'a self) -> impl Fn(u32) -> &'a AtomicU32 {
        |index| &self.block(index).next
    }

    /// Allocates `blocks` more blocks, numbered by the returned range. They are not yet on the list.
    fn add_segment(
        &self,
        extent: &mut Extent,
        blocks: u32,
    ) -> Result<impl Iterator<Item = u32> + use<>, PoolError> {
        let (count, block_size) = (blocks as usize, self.shape.block_size);
        let layout = self
            .shape
            .stride
            .checked_mul(count)
            .and_then(|size| Layout::from_size_align(size, self.shape.align).ok())
            .ok_or(PoolError::TooLarge { blocks: count, block_size })?;
        // SAFETY: the layout's size is not zero: neither the block size nor the count is.
        let data = NonNull::new(unsafe { alloc(layout) })
            .ok_or(PoolError::OutOfMemory { blocks: count, block_size })?;
        let start = extent.blocks;
        let table = (0..blocks)
            .map(|i| Block {
                home: self.this,
                // SAFETY: the block lies inside the allocation of `count` strides.
                data: unsafe { data.as_ptr().add(i as usize * self.shape.stride) },
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
        let more = extent.blocks.min(self.shape.limit - extent.blocks);
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
    fn buffer(&self, index: u32) -> BufferMut {
        let block = self.block(index);
        // Relaxed: the block is ours; the list's own ordering hands it to the next owner.
        block.owners.store(1, Ordering::Relaxed);
        let raw = RawBuffer {
            ptr: block.data,
            len: 0,
            cap: self.shape.block_size,
            align: self.shape.align,
            release: Some(release_block),
            ctx: ptr::from_ref(block).cast_mut().cast(),
        };
        // SAFETY: the block was taken from the list, so nobody else has it; its data is a live
        // allocation of at least `block_size` bytes at this alignment, kept until it is released.
        unsafe { BufferMut::from_raw(raw) }
    }

    /// # Safety
    ///
    /// Nobody may use it afterwards: no handle and no block is left.
    unsafe fn free(this: NonNull<Storage>) {
        // SAFETY: leaked from a box by `open`, and the caller is the last user.
        let mut this = unsafe { Box::from_raw(this.as_ptr()) };
        for segment in this.segments.iter_mut().filter_map(OnceLock::take) {
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
    let (index, home) = unsafe { ((*block).index, (*block).home) };
    // Raw from here on, because a push ends this function's claim on the pool: another thread may
    // free it while `push` returns. References are made only to parts that are atomic or are read
    // before the push.
    let raw = home.as_ptr().cast_const();
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
        Pushed::Last => unsafe { Storage::free(home) },
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let storage = self.storage.as_ptr().cast_const();
        // SAFETY: alive until its list is closed and all its blocks are home.
        let free = unsafe { &(*storage).free };
        // SAFETY: as above; `close` follows the links before it counts the blocks home.
        if let Pushed::Last = free.close(|i| &unsafe { &*storage }.block(i).next) {
            // SAFETY: closed, and no block is out: nobody else is left.
            unsafe { Storage::free(self.storage) }
        }
    }
}

/// As `BufferPool::share`.
///
/// # Safety
///
/// If the descriptor came from a pool, it must not have been released yet.
pub(super) unsafe fn share(raw: &RawBuffer) -> bool {
    let ours = raw.release.is_some_and(|f| ptr::fn_addr_eq(f, release_block as ReleaseFn));
    if ours {
        // SAFETY: `release_block` is private, so the context is a block of a pool; not yet
        // released, says the caller, so it is alive.
        let owners = unsafe { &(*raw.ctx.cast::<Block>()).owners };
        // Relaxed as in `Arc::clone`: a new owner is made from an existing one.
        owners.fetch_add(1, Ordering::Relaxed);
    }
    ours
}
