//! The engines: what moves items, without ever waiting for anybody who is not running.
//!
//! An engine is a view of a [`Header`] that knows the item's type. It neither parks nor wakes; it says
//! whether somebody is parked who should be woken. The protocol is described in
//! [`layout`](crate::layout).

use crate::fence;
use crate::layout::FULL;
use crate::sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell};
use std::mem::MaybeUninit;

pub(crate) mod bounded;
pub(crate) mod row;
pub(crate) mod spsc;
pub(crate) mod unbounded;

pub(crate) use bounded::Bounded;
pub(crate) use row::{Rings, Row};
pub(crate) use unbounded::Unbounded;

/// Why nothing was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// Full for a sender, empty for a receiver.
    Blocked,
    /// Somebody else is in the middle of an operation on the slot whose turn it is.
    Busy,
    /// Closed; for a receiver: and empty.
    Closed,
    /// The shared memory holds what cannot have come about.
    Corrupt(u32),
}

/// A slot of the many-to-many engines.
#[repr(C)]
pub(crate) struct Slot<T> {
    pub(crate) stamp: AtomicU64,
    /// Belongs to whoever claimed the position that the stamp names.
    pub(crate) value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Slot<T> {
    /// An empty slot. Its memory is initialised: whatever stamp a hostile peer writes, a plain item
    /// that is read is one.
    pub(crate) fn new(stamp: u64) -> Self {
        Slot { stamp: AtomicU64::new(stamp), value: UnsafeCell::new(MaybeUninit::zeroed()) }
    }

    /// # Safety
    ///
    /// The caller has claimed the position that this slot is free for.
    #[inline(always)]
    pub(crate) unsafe fn write(&self, item: T) {
        // SAFETY: the claim makes the caller the only one in here.
        self.value.with_mut(|value| unsafe { (*value).write(item) });
    }

    /// # Safety
    ///
    /// The caller has claimed the position whose item is in this slot, and calls this once.
    #[inline(always)]
    pub(crate) unsafe fn read(&self) -> T {
        // SAFETY: the claim makes the caller the only one in here, and the item was written before the
        // stamp that the claim was based on.
        self.value.with(|value| unsafe { (*value).assume_init_read() })
    }
}

/// Stores a position of a one-to-one ring, and looks at the other side's parked word. 0: that is all.
/// Otherwise [`look_again`] says what the word is, now that the position is known.
#[inline(always)]
pub(crate) fn publish(place: &AtomicU64, value: u64, peer: &AtomicU32) -> u32 {
    // Release: the item, or the emptiness, is there when the position says so.
    place.store(value, Ordering::Release);
    fence::light();
    // Relaxed: the parker's `membarrier` is what orders this load after the store before it.
    peer.load(Ordering::Relaxed)
}

/// See [`publish`].
#[inline(always)]
pub(crate) fn look_again(peer: &AtomicU32) -> u32 {
    // SeqCst: pairs with the parker's fence between setting `PARKED` and looking for what it waits for.
    crate::sync::fence(Ordering::SeqCst);
    peer.load(Ordering::Relaxed)
}

/// The stamp of a slot that holds the item of position word `at`.
#[inline(always)]
pub(crate) fn full(at: u64) -> u64 {
    at | FULL
}
