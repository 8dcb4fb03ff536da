//! The bounded one-to-one ring: no compare-and-swap, no stamp, no barrier on the way of an item.
//!
//! The layout is described in [`layout`](crate::layout). The slots are bare items, a power of two of
//! them, of which `capacity` are used at a time.
//!
//! # The end
//!
//! `last` says at which position the ring ends; it is written once, by an exchange from "open". The
//! sender closes by writing its `tail`. The receiver closes by setting `ENDED` in the word that the
//! sender reads after each publication, passing the heavy barrier, and writing the `tail` that it sees
//! then. A sender that does not see `ENDED` after a publication has published before the barrier, so
//! that `last` is behind its item. One that sees it tries to write its own `tail` to `last`; whoever
//! writes first decides, and if that is not behind the item the sender takes the item back, which the
//! receiver will never look at.

mod receive;
#[cfg(feature = "zig")]
mod resume;

use std::mem::MaybeUninit;

use super::{Miss, look_again, publish};
use crate::channel::Items;
use crate::home::Settled;
use crate::layout::{
    ASYMMETRIC, ENDED, FAULT_NONE, FAULT_POSITION, Header, KIND_SPSC, ONE, PARKED, SETTLED,
};
use crate::sync::{Arc, Ordering, UnsafeCell, fence as full_fence};
use crate::waiters::{Place, Side, Waiters};

type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// `last` of a ring that is open.
const OPEN: u64 = u64::MAX;

/// What both ends share.
#[repr(C)]
pub(crate) struct Ring<T> {
    pub(crate) header: Header,
    pub(crate) waiters: Waiters,
    _items: Items<T>,
}

// SAFETY: an item is written by the sender and read by the receiver, after the position that hands it
// over.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        let count = self.header.mask as usize + 1;
        let slots = std::ptr::slice_from_raw_parts_mut(self.header.slots.cast::<Slot<T>>(), count);
        // SAFETY: this is the box that `make` took apart. The receiver has taken the items out.
        drop(unsafe { Box::from_raw(slots) });
    }
}

impl<T> Ring<T> {
    #[inline(always)]
    fn slot(&self, at: u64) -> &Slot<T> {
        let index = ((at / ONE) & self.header.mask) as usize;
        // SAFETY: the mask is the number of slots less one.
        unsafe { &*self.header.slots.cast::<Slot<T>>().add(index) }
    }

    /// The slots of `count` positions from `at` on, which are in the array's middle, or its end and
    /// start.
    fn slots(&self, at: u64, count: usize) -> (&[Slot<T>], &[Slot<T>]) {
        let all = self.header.mask as usize + 1;
        let index = ((at / ONE) & self.header.mask) as usize;
        let first = count.min(all - index);
        let slots = self.header.slots.cast::<Slot<T>>();
        // SAFETY: both runs are within the array, which lives as long as `self`.
        unsafe {
            (
                std::slice::from_raw_parts(slots.add(index), first),
                std::slice::from_raw_parts(slots, count - first),
            )
        }
    }

    /// Writes `last` if nobody has, and returns what it is.
    fn end_at(&self, position: u64) -> u64 {
        let last = &self.header.senders.last;
        // AcqRel: whoever sees the end sees what came before it.
        match last.compare_exchange(OPEN, position, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => position,
            Err(decided) => decided,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.header.receivers.word.load(Ordering::SeqCst) & ENDED != 0
            || self.header.senders.last.load(Ordering::SeqCst) != OPEN
    }

    pub(crate) fn len(&self) -> usize {
        let head = self.header.receivers_line.head.load(Ordering::SeqCst);
        let tail = self.header.senders_line.tail.load(Ordering::SeqCst);
        (tail.wrapping_sub(head) / ONE).min(self.header.capacity) as usize
    }

    #[cold]
    fn fail(&self, fault: u32) {
        let word = &self.header.fault;
        let _ = word.compare_exchange(FAULT_NONE, fault, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// The sender's half.
pub(crate) struct Tx<T> {
    pub(crate) ring: Arc<Ring<T>>,
    tail: u64,
    /// `head` as it was once.
    head: u64,
    settled: Settled,
}

/// The receiver's half.
pub(crate) struct Rx<T> {
    pub(crate) ring: Arc<Ring<T>>,
    head: u64,
    /// `tail` as it was once.
    tail: u64,
    /// `tail` is `last`.
    closed: bool,
    settled: Settled,
}

pub(crate) fn make<T>(capacity: usize) -> (Tx<T>, Rx<T>) {
    let count = capacity.next_power_of_two();
    // Initialised: whatever position a hostile peer writes, a plain item that is read is one.
    let slots: Box<[Slot<T>]> =
        (0..count).map(|_| UnsafeCell::new(MaybeUninit::zeroed())).collect();
    let slots = Box::into_raw(slots).cast::<u8>();
    let mut header = Header::new::<T>(KIND_SPSC, capacity as u64, slots, size_of::<Slot<T>>(), 0);
    header.mask = count as u64 - 1;
    header.wrap = 0;
    let ring = Arc::new(Ring { header, waiters: Waiters::new(), _items: std::marker::PhantomData });
    let tx = Tx { ring: ring.clone(), tail: 0, head: 0, settled: Settled::default() };
    (tx, Rx { ring, head: 0, tail: 0, closed: false, settled: Settled::default() })
}

impl<T> Tx<T> {
    /// Free slots, of which `wanted` are enough.
    #[inline(always)]
    fn free(&mut self, wanted: u64) -> Result<u64, Miss> {
        let capacity = self.ring.header.capacity;
        let free = capacity - self.tail.wrapping_sub(self.head) / ONE;
        if free >= wanted { Ok(free) } else { self.free_slow() }
    }

    #[inline(never)]
    fn free_slow(&mut self) -> Result<u64, Miss> {
        // Before anything is published: a receiver that has not seen the end would take what is refused.
        if self.ring.is_closed() {
            return Err(self.is_over());
        }
        // Acquire: the receiver has read the items whose slots are free now.
        let head = self.ring.header.receivers_line.head.load(Ordering::Acquire);
        let used = self.tail.wrapping_sub(head) / ONE;
        if used > self.ring.header.capacity {
            self.ring.fail(FAULT_POSITION);
            self.close();
            return Err(Miss::Closed);
        }
        self.head = head;
        match self.ring.header.capacity - used {
            0 => Err(Miss::Blocked),
            free => Ok(free),
        }
    }

    /// From now on the ring is full, as far as this end knows, so that it looks before it writes.
    fn is_over(&mut self) -> Miss {
        self.head = self.tail.wrapping_sub(self.ring.header.capacity * ONE);
        Miss::Closed
    }

    /// Moves an item in if there is known to be room. `Err` says nothing more.
    #[inline(always)]
    pub(crate) fn push_quick(&mut self, item: T) -> Result<(), T> {
        if self.tail.wrapping_sub(self.head) / ONE == self.ring.header.capacity {
            return Err(item);
        }
        // SAFETY: the slot is free, and there is no other sender.
        self.ring.slot(self.tail).with_mut(|slot| unsafe { (*slot).write(item) });
        match self.publish(1) {
            Ok(()) => Ok(()),
            // SAFETY: written above, and refused: the receiver never looks at it.
            Err(_) => Err(unsafe { self.take_back() }),
        }
    }

    /// Moves an item in.
    pub(crate) fn push(&mut self, item: T) -> Result<(), (Miss, T)> {
        match self.free(1) {
            Ok(_) => self.push_quick(item).map_err(|item| (Miss::Closed, item)),
            Err(miss) => Err((miss, item)),
        }
    }

    /// Whether a push would find room.
    pub(crate) fn has_room(&mut self) -> Result<(), Miss> {
        if self.ring.is_closed() { Err(self.is_over()) } else { self.free(1).map(|_| ()) }
    }

    /// Moves items in, at least one, from the front of `items`.
    pub(crate) fn push_many(
        &mut self,
        items: &mut std::collections::VecDeque<T>,
    ) -> Result<usize, Miss> {
        let count = self.free(items.len() as u64)?.min(items.len() as u64) as usize;
        for (i, item) in items.drain(..count).enumerate() {
            let at = self.tail.wrapping_add(i as u64 * ONE);
            // SAFETY: the slot is free, and there is no other sender.
            self.ring.slot(at).with_mut(|slot| unsafe { (*slot).write(item) });
        }
        self.publish(count as u64).or_else(|accepted| {
            for _ in accepted..count as u64 {
                // SAFETY: written above, and refused.
                items.push_front(unsafe { self.take_back() });
            }
            if accepted == 0 { Err(Miss::Closed) } else { Ok(()) }
        })?;
        Ok(count)
    }

    /// Copies items in, at least one, from the front of `items`.
    pub(crate) fn push_slice(&mut self, items: &[T]) -> Result<usize, Miss>
    where
        T: Copy,
    {
        let count = self.free(items.len() as u64)?.min(items.len() as u64) as usize;
        let (first, second) = self.ring.slots(self.tail, count);
        for (slot, item) in first.iter().chain(second).zip(items) {
            // SAFETY: the slot is free, and there is no other sender.
            slot.with_mut(|slot| unsafe { (*slot).write(*item) });
        }
        match self.publish(count as u64) {
            Ok(()) => Ok(count),
            Err(accepted) => {
                self.tail = self.tail.wrapping_sub((count as u64 - accepted) * ONE);
                self.ring.header.senders_line.tail.store(self.tail, Ordering::Release);
                if accepted == 0 { Err(Miss::Closed) } else { Ok(accepted as usize) }
            }
        }
    }

    /// Hands `count` written slots over. `Err`: the ring is closed, and only so many of them count.
    #[inline(always)]
    fn publish(&mut self, count: u64) -> Result<(), u64> {
        let header = &self.ring.header;
        self.tail = self.tail.wrapping_add(count * ONE);
        match publish(&header.senders_line.tail, self.tail, &header.receivers.word) {
            0 => Ok(()),
            word => self.published(word, count),
        }
    }

    /// Small, so that ends which take turns on one thread lose little by a call.
    #[cold]
    #[inline(never)]
    fn published(&mut self, word: u32, count: u64) -> Result<(), u64> {
        if word == SETTLED && self.settled.is_here() {
            return Ok(());
        }
        self.published_for_others(count)
    }

    #[cold]
    #[inline(never)]
    fn published_for_others(&mut self, count: u64) -> Result<(), u64> {
        let taking_turns = self.ring.waiters.are_here(Side::Receivers);
        if !taking_turns || !self.settled.is_here() {
            self.leave_home();
        }
        let word = look_again(&self.ring.header.receivers.word);
        if word & PARKED != 0 {
            if taking_turns {
                self.settle();
            }
            self.ring.waiters.wake(&self.ring.header, Side::Receivers, 1);
        }
        if word & ENDED == 0 {
            return Ok(());
        }
        let last = self.ring.end_at(self.tail);
        let refused = (self.tail.wrapping_sub(last) / ONE).min(count);
        if refused == 0 { Ok(()) } else { Err(count - refused) }
    }

    fn settle(&mut self) {
        if self.ring.header.flags & ASYMMETRIC != 0 {
            let home = self.ring.waiters.home(Side::Receivers);
            self.settled.settle(home, &self.ring.header.receivers.word);
        }
    }

    /// See [`Settled::leave`].
    #[cold]
    pub(crate) fn leave_home(&mut self) {
        let home = self.ring.waiters.home(Side::Receivers);
        self.settled.leave(home, &self.ring.header.receivers.word);
    }

    /// # Safety
    ///
    /// The item before `tail` has been refused, and is taken back once.
    #[cold]
    unsafe fn take_back(&mut self) -> T {
        self.tail = self.tail.wrapping_sub(ONE);
        self.ring.header.senders_line.tail.store(self.tail, Ordering::Release);
        // SAFETY: the receiver's `tail` is `last`, which is not behind this item.
        self.ring.slot(self.tail).with(|slot| unsafe { (*slot).assume_init_read() })
    }

    /// `true`: it was open.
    pub(crate) fn close(&mut self) -> bool {
        self.ring.end_at(self.tail);
        self.is_over();
        let word = &self.ring.header.receivers.word;
        // SeqCst: a receiver that parks from now on sees it. Whoever sets it first has closed the ring.
        let was_open = word.fetch_or(ENDED, Ordering::SeqCst) & ENDED == 0;
        full_fence(Ordering::SeqCst);
        self.ring.waiters.wake(&self.ring.header, Side::Receivers, usize::MAX);
        was_open
    }
}

impl<T> Place for Tx<T> {
    #[inline(always)]
    fn place(&self) -> (&Header, &Waiters) {
        (&self.ring.header, &self.ring.waiters)
    }
}

impl<T> Drop for Tx<T> {
    fn drop(&mut self) {
        self.close();
    }
}
