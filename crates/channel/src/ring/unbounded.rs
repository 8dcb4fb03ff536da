//! The unbounded many-to-many queue: linked segments of stamped slots.
//!
//! A segment has [`SLOTS`] slots, and a position word's position modulo [`LAP`] says which one; the one
//! number too many stands for "the next segment is being linked". Whoever claims a segment's last slot
//! links the next one; whoever counts a segment's last item out recycles it. The claims are those of
//! crossbeam's `SegQueue`; that the last reader frees a segment is counted per segment and not noted
//! per slot, so that a batch costs one addition.

use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr;

use super::{Miss, Slot};
use crate::fence;
use crate::layout::{CLOSED, FULL, Header, KIND_UNBOUNDED, ONE, POSITION};
use crate::sync::{AtomicPtr, AtomicU64, Backoff, Ordering};

/// Positions per segment.
pub(crate) const LAP: u64 = if cfg!(ziggurat_loom) { 4 } else { 64 };
/// Slots per segment.
pub(crate) const SLOTS: u64 = LAP - 1;

/// In `head`: this segment is not the last one, so that `tail` need not be read.
const HAS_NEXT: u64 = 1;

#[repr(C)]
pub(crate) struct Segment<T> {
    next: AtomicPtr<u8>,
    /// Slots whose items have been moved out.
    emptied: AtomicU64,
    slots: [Slot<T>; SLOTS as usize],
}

/// The queue behind a header. It is `Copy`: all that there is is in the header.
pub(crate) struct Unbounded<'a, T> {
    header: &'a Header,
    /// One emptied segment, or null.
    spare: &'a AtomicPtr<u8>,
    _items: PhantomData<Slot<T>>,
}

impl<T> Clone for Unbounded<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Unbounded<'_, T> {}

/// A run of positions in one segment that belong to the caller.
#[derive(Clone, Copy)]
pub(crate) struct Claim {
    segment: *mut u8,
    offset: u64,
    count: u64,
}

impl Claim {
    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }
}

/// A header for an unbounded queue. Segments are allocated when they are needed.
pub(crate) fn make<T>() -> Header {
    let stride = size_of::<Slot<T>>();
    let mut header =
        Header::new::<T>(KIND_UNBOUNDED, 0, ptr::null_mut(), stride, offset_of!(Slot<T>, value));
    header.mask = LAP - 1;
    header
}

/// Frees the segments of a queue, whose items the caller has taken out.
///
/// # Safety
///
/// `header` and `spare` belong together, hold items of type `T`, and are not used any more.
pub(crate) unsafe fn free<T>(header: &Header, spare: &AtomicPtr<u8>) {
    let mut segment = header.receivers_line.head_ptr.load(Ordering::Acquire);
    while !segment.is_null() {
        // SAFETY: a linked segment is one that `fresh` made.
        let boxed = unsafe { Box::from_raw(segment.cast::<Segment<T>>()) };
        segment = boxed.next.load(Ordering::Acquire);
    }
    let spare = spare.load(Ordering::Acquire);
    if !spare.is_null() {
        // SAFETY: as above, and no longer linked.
        drop(unsafe { Box::from_raw(spare.cast::<Segment<T>>()) });
    }
}

impl<'a, T> Unbounded<'a, T> {
    /// # Safety
    ///
    /// `header` was made by [`make`] for the same type, and `spare` is always the same for it.
    #[inline(always)]
    pub(crate) unsafe fn new(header: &'a Header, spare: &'a AtomicPtr<u8>) -> Self {
        Unbounded { header, spare, _items: PhantomData }
    }

    /// An empty segment, from the spare one or from the allocator.
    fn fresh(&self) -> *mut u8 {
        // Acquire: pairs with `recycle`.
        let spare = self.spare.swap(ptr::null_mut(), Ordering::Acquire);
        if !spare.is_null() {
            return spare;
        }
        let segment = Segment::<T> {
            next: AtomicPtr::new(ptr::null_mut()),
            emptied: AtomicU64::new(0),
            slots: std::array::from_fn(|_| Slot::new(0)),
        };
        Box::into_raw(Box::new(segment)).cast()
    }

    /// Keeps a segment that nobody uses any more for the next that is needed, or frees it.
    fn recycle(&self, segment: *mut u8) {
        // SAFETY: the caller is the last to know of the segment.
        let clean = unsafe { &*segment.cast::<Segment<T>>() };
        // Relaxed: published by the swap below.
        clean.next.store(ptr::null_mut(), Ordering::Relaxed);
        clean.emptied.store(0, Ordering::Relaxed);
        for slot in &clean.slots {
            slot.stamp.store(0, Ordering::Relaxed);
        }
        self.put_spare(segment);
    }

    fn put_spare(&self, segment: *mut u8) {
        // AcqRel: whoever takes it out sees it clean, and we see clean what we take out.
        let old = self.spare.swap(segment, Ordering::AcqRel);
        if !old.is_null() {
            // SAFETY: made by `fresh`, and nobody else knows of it.
            drop(unsafe { Box::from_raw(old.cast::<Segment<T>>()) });
        }
    }

    /// Moves an item in.
    #[inline]
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let Some(claim) = self.claim_push(1) else { return Err(item) };
        let slot = slot::<T>(claim.segment, claim.offset);
        // SAFETY: claimed just now.
        unsafe { slot.write(item) };
        // Release: the item is there when the stamp says so.
        slot.stamp.store(FULL, Ordering::Release);
        Ok(())
    }

    /// Claims between 1 and `most` positions for sending. `None`: closed.
    #[inline]
    pub(crate) fn claim_push(&self, most: u64) -> Option<Claim> {
        let line = &self.header.senders_line;
        let mut backoff = Backoff::new();
        let mut next: *mut u8 = ptr::null_mut();
        // Acquire: pairs with the release that moved `tail` into a new segment, so that `tail_ptr` is at
        // least that of `tail`. If it is a later one, `tail` has moved on and the exchange fails.
        let mut tail = line.tail.load(Ordering::Acquire);
        let claim = loop {
            if tail & CLOSED != 0 {
                break None;
            }
            let offset = (tail / ONE) % LAP;
            let segment = line.tail_ptr.load(Ordering::Acquire);
            if offset == SLOTS {
                backoff.snooze();
                tail = line.tail.load(Ordering::Acquire);
                continue;
            }
            if segment.is_null() {
                self.link_first();
                continue;
            }
            let count = most.min(SLOTS - offset);
            let last = offset + count == SLOTS;
            if last && next.is_null() {
                // Before the claim: others wait for the link from then on.
                next = self.fresh();
            }
            let claimed = tail + count * ONE;
            // SeqCst: see "Parked words" in `layout`.
            match line.tail.compare_exchange_weak(
                tail,
                claimed,
                Ordering::SeqCst,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    fence::after_exchange();
                    if last {
                        self.link(segment, std::mem::replace(&mut next, ptr::null_mut()));
                    }
                    break Some(Claim { segment, offset, count });
                }
                Err(now) => tail = now,
            }
            backoff.snooze();
        };
        if !next.is_null() {
            self.put_spare(next);
        }
        claim
    }

    #[cold]
    fn link_first(&self) {
        let first = self.fresh();
        // Release: others see the segment whole.
        let linked = self.header.senders_line.tail_ptr.compare_exchange(
            ptr::null_mut(),
            first,
            Ordering::Release,
            Ordering::Relaxed,
        );
        match linked {
            Ok(_) => self.header.receivers_line.head_ptr.store(first, Ordering::Release),
            Err(_) => self.put_spare(first),
        }
    }

    /// The claimer of the last slot of `segment` links the next.
    #[cold]
    fn link(&self, segment: *mut u8, next: *mut u8) {
        let line = &self.header.senders_line;
        // Release, all three: whoever sees the position, or the link, sees the segment.
        line.tail_ptr.store(next, Ordering::Release);
        line.tail.fetch_add(ONE, Ordering::Release);
        // SAFETY: the segment lives until its last slot, which is ours and not yet full, is emptied.
        unsafe { &*segment.cast::<Segment<T>>() }.next.store(next, Ordering::Release);
    }

    /// Takes an item out.
    #[inline]
    pub(crate) fn pop(&self) -> Result<T, Miss> {
        let claim = self.claim_pop(1)?;
        let slot = slot::<T>(claim.segment, claim.offset);
        await_full(slot);
        // SAFETY: claimed just now, and full.
        let item = unsafe { slot.read() };
        self.count_out(claim);
        Ok(item)
    }

    /// Claims between 1 and `most` positions for receiving.
    #[inline]
    pub(crate) fn claim_pop(&self, most: u64) -> Result<Claim, Miss> {
        let line = &self.header.receivers_line;
        let mut backoff = Backoff::new();
        // Acquire: as for `tail`.
        let mut head = line.head.load(Ordering::Acquire);
        loop {
            let offset = (head / ONE) % LAP;
            let segment = line.head_ptr.load(Ordering::Acquire);
            if offset == SLOTS {
                backoff.snooze();
                head = line.head.load(Ordering::Acquire);
                continue;
            }
            let mut ready = SLOTS - offset;
            let mut mark = head & HAS_NEXT;
            if mark == 0 {
                // SeqCst: an empty queue is empty in the order that all threads agree on.
                let tail = self.header.senders_line.tail.load(Ordering::SeqCst);
                if head == tail & POSITION {
                    return Err(if tail & CLOSED != 0 { Miss::Closed } else { Miss::Blocked });
                }
                if (head / ONE) / LAP == (tail / ONE) / LAP {
                    ready = ((tail / ONE) % LAP).wrapping_sub(offset);
                } else {
                    mark = HAS_NEXT;
                }
            }
            if segment.is_null() {
                // The first segment is in `tail_ptr`, and about to be here.
                backoff.snooze();
                head = line.head.load(Ordering::Acquire);
                continue;
            }
            // (`ready` is nonsense when `head` is out of date: the exchange fails then.)
            let count = most.min(ready).min(SLOTS - offset);
            let claimed = (head & POSITION) + count * ONE;
            match line.head.compare_exchange_weak(
                head,
                claimed | mark,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    if offset + count == SLOTS {
                        self.leave(segment, claimed);
                    }
                    return Ok(Claim { segment, offset, count });
                }
                Err(now) => head = now,
            }
            backoff.snooze();
        }
    }

    /// The claimer of the last item of `segment` moves `head` to the next.
    #[cold]
    fn leave(&self, segment: *mut u8, claimed: u64) {
        // SAFETY: the segment lives until its last slot, which is ours, is emptied.
        let next = await_link(&unsafe { &*segment.cast::<Segment<T>>() }.next);
        // SAFETY: a linked segment; it lives at least until `head` has passed it.
        let last = unsafe { &*next.cast::<Segment<T>>() }.next.load(Ordering::Acquire).is_null();
        let head = claimed + ONE + if last { 0 } else { HAS_NEXT };
        let line = &self.header.receivers_line;
        // Release: whoever sees the position sees the segment.
        line.head_ptr.store(next, Ordering::Release);
        line.head.store(head, Ordering::Release);
    }

    /// Fills a claim with the first items of `items`. When the iterator ends too early the process is
    /// aborted: the claim cannot be taken back.
    pub(crate) fn fill(&self, claim: Claim, items: &mut impl Iterator<Item = T>) {
        for i in 0..claim.count {
            let Some(item) = items.next() else { std::process::abort() };
            let slot = slot::<T>(claim.segment, claim.offset + i);
            // SAFETY: claimed by the caller.
            unsafe { slot.write(item) };
            // Release: the item is there when the stamp says so.
            slot.stamp.store(FULL, Ordering::Release);
        }
    }

    /// Hands the items of a claim to `sink`, which must not panic.
    #[inline]
    pub(crate) fn drain(&self, claim: Claim, mut sink: impl FnMut(T)) {
        for i in 0..claim.count {
            let slot = slot::<T>(claim.segment, claim.offset + i);
            await_full(slot);
            // SAFETY: claimed by the caller, and full.
            sink(unsafe { slot.read() });
        }
        self.count_out(claim);
    }

    /// Ends a claim whose items have been taken out.
    #[inline(always)]
    fn count_out(&self, claim: Claim) {
        // SAFETY: the segment lives until all its slots are counted, ours among them.
        let emptied = &unsafe { &*claim.segment.cast::<Segment<T>>() }.emptied;
        // AcqRel: whoever counts the last one has all other readers behind it.
        if emptied.fetch_add(claim.count, Ordering::AcqRel) + claim.count == SLOTS {
            self.recycle(claim.segment);
        }
    }

    /// Items that were claimed by senders and not yet by receivers.
    pub(crate) fn len(&self) -> usize {
        loop {
            // SeqCst: both belong to one moment when `tail` is the same again.
            let tail = self.header.senders_line.tail.load(Ordering::SeqCst);
            let head = self.header.receivers_line.head.load(Ordering::SeqCst);
            if self.header.senders_line.tail.load(Ordering::SeqCst) == tail {
                return items_before(tail).saturating_sub(items_before(head)) as usize;
            }
        }
    }
}

/// How many slots there are before a position.
fn items_before(word: u64) -> u64 {
    let position = word / ONE;
    position - position / LAP
}

/// # Safety
///
/// As a function it is safe to call with claims only; their segment lives while they do.
#[inline(always)]
fn slot<'s, T>(segment: *mut u8, offset: u64) -> &'s Slot<T> {
    // SAFETY: a claim's segment lives until its slots are counted, and its offsets are below `SLOTS`.
    unsafe { &(*segment.cast::<Segment<T>>()).slots[offset as usize] }
}

/// Waits for the sender that claimed the slot: it is a few instructions from being done.
#[inline(always)]
fn await_full<T>(slot: &Slot<T>) {
    let mut backoff = Backoff::new();
    while slot.stamp.load(Ordering::Acquire) != FULL {
        backoff.snooze();
    }
}

fn await_link(next: &AtomicPtr<u8>) -> *mut u8 {
    let mut backoff = Backoff::new();
    loop {
        let linked = next.load(Ordering::Acquire);
        if !linked.is_null() {
            return linked;
        }
        backoff.snooze();
    }
}
