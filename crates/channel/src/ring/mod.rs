//! The engines: what moves items, without ever waiting for anybody who is not running.
//!
//! An engine is a view of a [`Header`] that knows the item's type. It neither parks nor wakes; it says
//! whether somebody is parked who should be woken. The protocol is described in
//! [`layout`](crate::layout).

use crate::fence;
use crate::layout::{FULL, Header, PARKED, STRICT};
use crate::sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell};
use std::mem::MaybeUninit;

pub(crate) mod bounded;
pub(crate) mod spsc;
pub(crate) mod unbounded;

pub(crate) use bounded::Bounded;
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

/// A slot of both many-to-many engines.
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

/// Stores a stamp, and says whether somebody of the other side is parked.
#[inline(always)]
pub(crate) fn publish(stamp: &AtomicU64, value: u64, peer: &AtomicU32) -> bool {
    publish_word(stamp, value, peer) & PARKED != 0
}

/// Stores a stamp or a position, and returns the other side's parked word as it is afterwards. See
/// "Parked words and the fence" in [`layout`](crate::layout).
#[inline(always)]
pub(crate) fn publish_word(stamp: &AtomicU64, value: u64, peer: &AtomicU32) -> u32 {
    // Relaxed: either answer is right, the second look decides.
    if peer.load(Ordering::Relaxed) & STRICT != 0 {
        publish_strictly(stamp, value);
        return peer.load(Ordering::SeqCst);
    }
    // Release: the item, or the emptiness, is there when the stamp says so.
    stamp.store(value, Ordering::Release);
    look(peer)
}

/// The second half of a publication of more than one stamp.
#[inline(always)]
pub(crate) fn is_parked(peer: &AtomicU32) -> bool {
    look(peer) & PARKED != 0
}

/// Looks at the other side's word after a publication.
#[inline(always)]
fn look(peer: &AtomicU32) -> u32 {
    fence::light();
    // Relaxed: the parker's `membarrier` is what orders this load after the stores before it.
    match peer.load(Ordering::Relaxed) {
        0 => 0,
        _ => look_strictly(peer),
    }
}

#[cold]
#[inline(never)]
fn look_strictly(peer: &AtomicU32) -> u32 {
    // SeqCst: pairs with the parker's fence between setting `PARKED` and looking for what it waits for.
    crate::sync::fence(Ordering::SeqCst);
    peer.load(Ordering::Relaxed)
}

#[inline(always)]
fn publish_strictly(stamp: &AtomicU64, value: u64) {
    if cfg!(ziggurat_loom) {
        // Loom treats sequentially consistent accesses as acquire and release; its fences are right.
        stamp.store(value, Ordering::Release);
        crate::sync::fence(Ordering::SeqCst);
    } else {
        // An exchange is a full barrier on x86, and cheaper than a store and a fence.
        stamp.swap(value, Ordering::SeqCst);
    }
}

/// The word that a side's publications look at.
#[inline(always)]
pub(crate) fn receivers(header: &Header) -> &AtomicU32 {
    &header.receivers.word
}

/// As [`receivers`].
#[inline(always)]
pub(crate) fn senders(header: &Header) -> &AtomicU32 {
    &header.senders.word
}

/// The stamp of a slot that holds the item of position word `at`.
#[inline(always)]
pub(crate) fn full(at: u64) -> u64 {
    at | FULL
}
