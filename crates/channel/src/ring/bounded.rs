//! The bounded many-to-many ring (Vyukov's, with exact capacities, reservations and batches).
//!
//! The layout and the algorithm are described in [`layout`](crate::layout). A channel of kind 1 has one
//! such ring, whose words are in its header; one of kind 4 has a [row](super::row) of them.

mod reserve;

use std::marker::PhantomData;
use std::mem::offset_of;

use super::{Miss, Slot, full};
use crate::fence;
use crate::layout::{
    CLOSED, FAULT_POSITION, FAULT_STAMP, Header, KIND_BOUNDED, ONE, POSITION, RESERVATION, RESERVED,
};
use crate::sync::{AtomicU64, Backoff, Ordering};

/// How many slots a ring has, and how its positions count. See "Position words" in `layout`.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    capacity: u64,
    mask: u64,
    wrap: u64,
}

impl Shape {
    /// The shape of a ring with a power of two of slots.
    #[inline(always)]
    pub(crate) fn power(capacity: u64) -> Self {
        Shape { capacity, mask: capacity - 1, wrap: 0 }
    }

    /// The position word `n` items after `at`.
    #[inline(always)]
    fn advance(&self, at: u64, n: u64) -> u64 {
        let next = at.wrapping_add(n * ONE);
        if self.wrap != 0 && next >= self.wrap { next - self.wrap } else { next }
    }

    /// Items from position word `from` to `to`.
    #[inline(always)]
    fn distance(&self, from: u64, to: u64) -> u64 {
        let words = to.wrapping_sub(from);
        (if to < from { words.wrapping_add(self.wrap) } else { words }) / ONE
    }

    /// The index of a position word's slot.
    #[inline(always)]
    fn index(&self, at: u64) -> usize {
        let position = at / ONE;
        if self.mask != 0 {
            (position & self.mask) as usize
        } else {
            (position % self.capacity) as usize
        }
    }
}

/// A view of a ring. It is `Copy`: all that changes is behind it.
pub(crate) struct Bounded<'a, T> {
    tail: &'a AtomicU64,
    head: &'a AtomicU64,
    slots: *const Slot<T>,
    shape: Shape,
    _slots: PhantomData<&'a Slot<T>>,
}

impl<T> Clone for Bounded<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Bounded<'_, T> {}

/// A run of positions that belong to the caller.
#[derive(Clone, Copy)]
pub(crate) struct Claim {
    at: u64,
    count: u64,
}

impl Claim {
    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }
}

/// A header for `capacity` items, and the slots that it points to, which are freed by [`free`].
pub(crate) fn make<T>(capacity: usize) -> Header {
    make_at::<T>(capacity, 0)
}

/// As [`make`], for a ring that has moved `laps * capacity` items already.
pub(crate) fn make_at<T>(capacity: usize, laps: u64) -> Header {
    let count = capacity as u64;
    let start = laps * count * ONE;
    let slots: Box<[Slot<T>]> = (0..count).map(|i| Slot::new(start + i * ONE)).collect();
    let slots = Box::into_raw(slots).cast::<u8>();
    let header = Header::new::<T>(
        KIND_BOUNDED,
        count,
        slots,
        size_of::<Slot<T>>(),
        offset_of!(Slot<T>, value),
    );
    // Relaxed: nobody else sees the header yet.
    header.senders_line.tail.store(start, Ordering::Relaxed);
    header.receivers_line.head.store(start, Ordering::Relaxed);
    header
}

/// Frees the slots of a ring, whose items the caller has taken out.
///
/// # Safety
///
/// The header was made by [`make`] for the same type, and is not used any more.
pub(crate) unsafe fn free<T>(header: &Header) {
    let slots = std::ptr::slice_from_raw_parts_mut(
        header.slots.cast::<Slot<T>>(),
        header.capacity as usize,
    );
    // SAFETY: this is the box that `make` took apart.
    drop(unsafe { Box::from_raw(slots) });
}

impl<'a, T> Bounded<'a, T> {
    /// The ring of a channel of kind 1.
    ///
    /// # Safety
    ///
    /// The header was made by [`make`] for the same type.
    #[inline(always)]
    pub(crate) unsafe fn new(header: &'a Header) -> Self {
        let Header { capacity, mask, wrap, slots, .. } = *header;
        let (tail, head) = (&header.senders_line.tail, &header.receivers_line.head);
        // SAFETY: `make` has made the slots for this capacity; they live as long as the header.
        unsafe { Bounded::of(tail, head, slots.cast(), Shape { capacity, mask, wrap }) }
    }

    /// The ring with these words and slots.
    ///
    /// # Safety
    ///
    /// There are as many slots as `shape` says, and they live as long as the words.
    #[inline(always)]
    pub(crate) unsafe fn of(
        tail: &'a AtomicU64,
        head: &'a AtomicU64,
        slots: *const Slot<T>,
        shape: Shape,
    ) -> Self {
        Bounded { tail, head, slots, shape, _slots: PhantomData }
    }

    #[inline(always)]
    fn slot(&self, at: u64) -> &'a Slot<T> {
        // SAFETY: an index is below the number of slots, which live as long as the words.
        unsafe { &*self.slots.add(self.shape.index(at)) }
    }

    /// Moves an item in if that takes no second look: the first round of [`push`](Self::push).
    #[inline(always)]
    pub(crate) fn push_quick(&self, item: T) -> Result<(), T> {
        let tail_word = self.tail;
        // The orderings are those of `claim_push`.
        let tail = tail_word.load(Ordering::Acquire);
        let slot = self.slot(tail);
        // A stamp of a free slot has no lower bits, so that `tail` has none, either, if they are equal.
        if slot.stamp.load(Ordering::Acquire) != tail {
            return Err(item);
        }
        let next = self.shape.advance(tail, 1);
        if tail_word.compare_exchange(tail, next, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return Err(item);
        }
        fence::after_exchange();
        // SAFETY: claimed just now.
        unsafe { slot.write(item) };
        // Release: the item is there when the stamp says so.
        slot.stamp.store(full(tail), Ordering::Release);
        Ok(())
    }

    /// Moves an item in.
    pub(crate) fn push(&self, item: T) -> Result<(), (Miss, T)> {
        match self.claim_push(1) {
            Ok(claim) => {
                self.put(claim.at, item);
                Ok(())
            }
            Err(miss) => Err((miss, item)),
        }
    }

    /// Fills the slot of the position `at`, which the caller has claimed, and which is free.
    #[inline(always)]
    fn put(&self, at: u64, item: T) {
        let slot = self.slot(at);
        // SAFETY: claimed by the caller.
        unsafe { slot.write(item) };
        // Release: as in `push_quick`.
        slot.stamp.store(full(at), Ordering::Release);
    }

    /// Takes an item out if that takes no second look: the first round of [`pop`](Self::pop).
    #[inline(always)]
    pub(crate) fn pop_quick(&self) -> Option<T> {
        let head_word = self.head;
        // The orderings are those of `claim_pop`.
        let head = head_word.load(Ordering::Relaxed);
        let slot = self.slot(head);
        if slot.stamp.load(Ordering::Acquire) != full(head) {
            return None;
        }
        let next = self.shape.advance(head, 1);
        if head_word.compare_exchange(head, next, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return None;
        }
        fence::after_exchange();
        Some(self.take(head, slot))
    }

    /// Empties the slot of the claimed position `at`.
    #[inline(always)]
    fn take(&self, at: u64, slot: &Slot<T>) -> T {
        // SAFETY: claimed by the caller.
        let item = unsafe { slot.read() };
        // Release: the slot is empty when the stamp says so.
        slot.stamp.store(self.shape.advance(at, self.shape.capacity), Ordering::Release);
        item
    }

    /// Claims between 1 and `most` positions for sending.
    pub(crate) fn claim_push(&self, most: u64) -> Result<Claim, Miss> {
        let tail_word = self.tail;
        // Acquire, and SeqCst below: a slot that is kept for reservations was found free by whoever
        // changed `tail` before, not necessarily by whoever uses it. SeqCst: see "Parked words" in
        // `layout`, here and wherever `tail` and `head` move.
        let mut tail = tail_word.load(Ordering::Acquire);
        let mut backoff = Backoff::new();
        loop {
            if tail & CLOSED != 0 {
                return Err(Miss::Closed);
            }
            let at = tail & POSITION;
            let first = self.after_reserved(tail);
            let count = self.run(first, most, |at| at);
            if count == 0 {
                // Acquire: what came before the last change is needed for the checks.
                let now = tail_word.load(Ordering::Acquire);
                if now != tail {
                    tail = now;
                    continue;
                }
                return Err(self.why_no_push(tail, first));
            }
            let next = self.shape.advance(at, count) | (tail & !POSITION);
            // That neither `CLOSED` nor the reservations have changed is part of the comparison.
            match tail_word.compare_exchange_weak(tail, next, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => {
                    fence::after_exchange();
                    let claim = Claim { at, count };
                    return Ok(if tail & RESERVED == 0 { claim } else { self.wait_free(claim) });
                }
                Err(now) => tail = now,
            }
            backoff.snooze();
        }
    }

    /// Waits until the slots of a claim are free. They are, unless a [`force`](Self::force) beside
    /// reservations is not finished.
    #[cold]
    fn wait_free(&self, claim: Claim) -> Claim {
        for i in 0..claim.count {
            let at = self.shape.advance(claim.at, i);
            let mut backoff = Backoff::new();
            while self.slot(at).stamp.load(Ordering::Acquire) != at {
                backoff.snooze();
            }
        }
        claim
    }

    /// The first position that is not kept for those who have reserved.
    #[inline(always)]
    fn after_reserved(&self, tail: u64) -> u64 {
        let reserved = (tail & RESERVED) / RESERVATION;
        if reserved == 0 { tail & POSITION } else { self.shape.advance(tail & POSITION, reserved) }
    }

    /// How many positions from `first` on, at most `most`, have the stamp that `expected` says.
    #[inline(always)]
    fn run(&self, first: u64, most: u64, expected: impl Fn(u64) -> u64) -> u64 {
        let most = most.min(self.shape.capacity);
        let (mut at, mut count) = (first, 0);
        // Acquire: pairs with the release of whoever used the slot before.
        while count < most && self.slot(at).stamp.load(Ordering::Acquire) == expected(at) {
            at = self.shape.advance(at, 1);
            count += 1;
        }
        count
    }

    /// Why the slot of `first` is not free, `tail` being what it was when that was seen.
    #[cold]
    fn why_no_push(&self, tail: u64, first: u64) -> Miss {
        // SeqCst: a full ring is full in the order that all threads agree on.
        let head = self.head.load(Ordering::SeqCst) & POSITION;
        let reserved = (tail & RESERVED) / RESERVATION;
        let used = self.shape.distance(head, tail & POSITION) + reserved;
        let stamp = self.slot(first).stamp.load(Ordering::Acquire);
        if used == self.shape.capacity {
            Miss::Blocked
        } else if stamp == first || self.is_behind(stamp, first) {
            // Being emptied, or emptied since. (`used` may be too large by a claim of `force` or, when
            // `tail` is out of date, by anything; then the caller has to look again, too.)
            Miss::Busy
        } else if self.tail.load(Ordering::Acquire) != tail {
            Miss::Busy
        } else {
            Miss::Corrupt(FAULT_STAMP)
        }
    }

    /// Claims between 1 and `most` positions for receiving.
    pub(crate) fn claim_pop(&self, most: u64) -> Result<Claim, Miss> {
        let head_word = self.head;
        // Relaxed: as in `claim_push`.
        let mut head = head_word.load(Ordering::Relaxed);
        let mut backoff = Backoff::new();
        loop {
            let count = self.run(head, most, full);
            if count == 0 {
                let now = head_word.load(Ordering::Acquire);
                if now != head {
                    head = now;
                    continue;
                }
                return Err(self.why_no_pop(head));
            }
            let next = self.shape.advance(head, count);
            // SeqCst: see `claim_push`. The order of the items is carried by the stamps.
            match head_word.compare_exchange_weak(head, next, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => {
                    fence::after_exchange();
                    return Ok(Claim { at: head, count });
                }
                Err(now) => head = now,
            }
            backoff.snooze();
        }
    }

    /// Why the slot of `head` has no item.
    #[cold]
    fn why_no_pop(&self, head: u64) -> Miss {
        // SeqCst: an empty ring is empty in the order that all threads agree on, and what came before
        // `close` is visible to whoever sees it closed.
        let tail = self.tail.load(Ordering::SeqCst);
        if tail & POSITION == head {
            return if tail & CLOSED != 0 { Miss::Closed } else { Miss::Blocked };
        }
        let stamp = self.slot(head).stamp.load(Ordering::Acquire);
        let current = self.head.load(Ordering::Acquire) == head;
        if !current || stamp == full(head) {
            Miss::Busy
        } else if self.shape.distance(head, tail & POSITION) > self.shape.capacity + 1 {
            // One more than the capacity is what `force` does in between.
            Miss::Corrupt(FAULT_POSITION)
        } else if stamp == head || self.is_behind(stamp, head) {
            Miss::Busy
        } else {
            Miss::Corrupt(FAULT_STAMP)
        }
    }

    /// Whether a stamp is one that the slot of `at` may have had before its turn: that of the lap
    /// before, or, while a [`force`](Self::force) is not finished, of the one before that.
    fn is_behind(&self, stamp: u64, at: u64) -> bool {
        let lap = self.lap_before(at);
        [lap, full(lap), full(self.lap_before(lap))].contains(&stamp)
    }

    /// The position word one lap before `at`.
    fn lap_before(&self, at: u64) -> u64 {
        let lap = self.shape.capacity * ONE;
        if self.shape.wrap != 0 && at < lap {
            at + self.shape.wrap - lap
        } else {
            at.wrapping_sub(lap)
        }
    }

    /// Fills a claim with the first items of `items`. When the iterator ends too early the process is
    /// aborted: the claim cannot be taken back.
    pub(crate) fn fill(&self, claim: Claim, items: &mut impl Iterator<Item = T>) {
        let mut at = claim.at;
        for _ in 0..claim.count {
            let Some(item) = items.next() else { std::process::abort() };
            self.put(at, item);
            at = self.shape.advance(at, 1);
        }
    }

    /// Fills a claim of one.
    #[inline(always)]
    pub(crate) fn fill_one(&self, claim: Claim, item: T) {
        self.put(claim.at, item);
    }

    /// Takes the item of a claim of one.
    #[inline(always)]
    pub(crate) fn drain_one(&self, claim: Claim) -> T {
        self.take(claim.at, self.slot(claim.at))
    }

    /// Hands the items of a claim to `sink`, which must not panic.
    pub(crate) fn drain(&self, claim: Claim, mut sink: impl FnMut(T)) {
        let mut at = claim.at;
        for _ in 0..claim.count {
            sink(self.take(at, self.slot(at)));
            at = self.shape.advance(at, 1);
        }
    }

    /// Whether the next send would find a slot, for passing wakes on.
    #[cold]
    pub(crate) fn has_room(&self) -> bool {
        let tail = self.tail.load(Ordering::Acquire);
        let first = self.after_reserved(tail);
        self.slot(first).stamp.load(Ordering::Acquire) == first
    }

    /// Whether the next receive would find an item, for passing wakes on.
    #[cold]
    pub(crate) fn has_item(&self) -> bool {
        let head = self.head.load(Ordering::Acquire);
        self.slot(head).stamp.load(Ordering::Acquire) == full(head)
    }

    /// The senders' word.
    pub(crate) fn tail(&self) -> &'a AtomicU64 {
        self.tail
    }

    /// The receivers' word.
    pub(crate) fn head(&self) -> &'a AtomicU64 {
        self.head
    }

    /// Ends a ring of a row: nothing more is sent into it.
    #[cold]
    pub(crate) fn seal(&self) {
        // SeqCst, both: in one order with the senders' claims, and with the parkers' looks.
        if !self.is_sealed() {
            self.tail.fetch_or(CLOSED, Ordering::SeqCst);
        }
        fence::after_exchange();
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.tail.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// Items that were claimed by senders and not yet by receivers.
    pub(crate) fn len(&self) -> usize {
        loop {
            // SeqCst: both belong to one moment when `tail` is the same again.
            let tail = self.tail.load(Ordering::SeqCst);
            let head = self.head.load(Ordering::SeqCst);
            if self.tail.load(Ordering::SeqCst) == tail {
                let len = self.shape.distance(head & POSITION, tail & POSITION);
                return len.min(self.shape.capacity) as usize;
            }
        }
    }
}
