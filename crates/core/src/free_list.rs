//! A lock-free stack of slot numbers, and the count-down that says when the last slot came home.
//!
//! The stack is Treiber's (R. K. Treiber, "Systems programming: coping with parallelism", 1986) with
//! a version tag beside the head index in one 64-bit word, so that a slot that was popped and pushed
//! again in between cannot be mistaken for an unchanged head (the ABA problem). A slot is a number,
//! never a pointer, so no memory reclamation scheme is needed.
//!
//! One bit of the same word says that somebody waits for a slot. A push that finds it set clears it
//! and tells its caller to wake them all. Because the bit and the list are one word, no fence is
//! needed: either the push sees the bit, or the waiter, who looks once more after setting it, sees
//! the slot.

use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// End of the list.
const NIL: u32 = u32::MAX;
/// In place of the head once the list is closed: nothing can be pushed or popped any more.
const CLOSED: u32 = u32::MAX - 1;
/// The highest number of slots that a list can have.
pub(crate) const MAX_SLOTS: u32 = u32::MAX - 2;

/// Somebody waits (bit 63; the tag has the 31 bits between it and the index).
const WAITERS: u64 = 1 << 63;

/// The stack's head and the state of its closing. The links live with the slots, which the caller
/// keeps: every operation takes a function from a slot number to its link.
pub struct FreeList {
    /// `waiters << 63 | tag << 32 | index`.
    head: AtomicU64,
    /// Slots that exist, plus one for the open list itself. Only counted down after `close`.
    outstanding: AtomicUsize,
}

/// What became of a slot that was pushed. `W` is what the caller needs to wake the waiters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed<W> {
    /// It is on the list. From here on the list may be freed by somebody else at any time, so
    /// whatever wakes the waiters was taken before the push.
    Free(Option<W>),
    /// The list is closed, and other slots are still out.
    Closed,
    /// The list is closed and this was the last slot that was out: the caller frees everything.
    Last,
}

#[inline]
fn index_of(word: u64) -> u32 {
    word as u32
}

/// The word that follows `word` with `index` as its head: the tag counts up, the waiters stay.
#[inline]
fn succeed(word: u64, index: u32) -> u64 {
    let tag = (word >> 32).wrapping_add(1) & 0x7FFF_FFFF;
    (word & WAITERS) | tag << 32 | u64::from(index)
}

impl Default for FreeList {
    fn default() -> Self {
        Self::new()
    }
}

impl FreeList {
    /// An empty open list with no slots.
    pub fn new() -> Self {
        FreeList { head: AtomicU64::new(u64::from(NIL)), outstanding: AtomicUsize::new(1) }
    }

    /// Counts `slots` new slots as existing (and, until they are pushed, as out).
    pub fn add_slots(&self, slots: usize) {
        // Relaxed: slots are only added while the list is open, by a holder of the pool, whose
        // later `close` is ordered after this by the handle's own reference count.
        self.outstanding.fetch_add(slots, Ordering::Relaxed);
    }

    /// Says that somebody waits. Call it after the waiter can be woken, then `pop` once more.
    pub fn announce_waiter(&self) {
        // Relaxed: all that matters is the place in the head word's own modification order, which
        // the following `pop` (same word, same thread) cannot precede. What the waker needs to see
        // of the waiter is ordered by the waker primitive's own lock.
        self.head.fetch_or(WAITERS, Ordering::Relaxed);
    }

    /// Takes a slot, or `None` when the list is empty or closed.
    #[inline]
    pub fn pop<'a>(&self, link: impl Fn(u32) -> &'a AtomicU32) -> Option<u32> {
        // Acquire: the slot's link and contents were written before the push that released them.
        let mut word = self.head.load(Ordering::Acquire);
        loop {
            let index = index_of(word);
            if index == NIL || index == CLOSED {
                return None;
            }
            // The slot may be popped by somebody else right now, so this may read a stale link; then
            // the tag has moved on and the exchange below fails.
            let next = link(index).load(Ordering::Relaxed);
            let new = succeed(word, next);
            match self.head.compare_exchange_weak(word, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(index),
                Err(current) => word = current,
            }
        }
    }

    /// Gives a slot back, whose link is `link`. `waiters` is called before the push, if anybody waits,
    /// for what wakes them.
    #[inline]
    pub fn push<W>(&self, index: u32, link: &AtomicU32, waiters: impl Fn() -> W) -> Pushed<W> {
        let mut word = self.head.load(Ordering::Relaxed);
        loop {
            let top = index_of(word);
            if top == CLOSED {
                return self.came_home(1);
            }
            let wake = (word & WAITERS != 0).then(&waiters);
            link.store(top, Ordering::Relaxed);
            let new = succeed(word, index) & !WAITERS;
            // Release: the next owner acquires the link and what this one wrote into the slot.
            match self.head.compare_exchange_weak(word, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Pushed::Free(wake),
                Err(current) => word = current,
            }
        }
    }

    /// Closes the list: slots that are on it are home, those that are out come home by `push`.
    /// [`Pushed::Last`] means that none is out. Must be called once, when nobody waits or pops.
    pub fn close<'a>(&self, link: impl Fn(u32) -> &'a AtomicU32) -> Pushed<()> {
        let mut index = index_of(self.head.swap(u64::from(CLOSED), Ordering::Acquire));
        let mut home = 0;
        while index != NIL {
            home += 1;
            index = link(index).load(Ordering::Relaxed);
        }
        self.came_home(home + 1)
    }

    /// AcqRel: whoever counts to zero frees memory that all the others have written to.
    fn came_home<W>(&self, slots: usize) -> Pushed<W> {
        match self.outstanding.fetch_sub(slots, Ordering::AcqRel) {
            before if before == slots => Pushed::Last,
            _ => Pushed::Closed,
        }
    }
}

#[cfg(all(test, not(ziggurat_loom)))]
mod tests {
    use super::*;

    fn links(n: usize) -> Vec<AtomicU32> {
        (0..n).map(|_| AtomicU32::new(0)).collect()
    }

    #[test]
    fn is_a_stack() {
        let (list, links) = (FreeList::new(), links(3));
        let link = |i: u32| &links[i as usize];
        list.add_slots(3);
        assert_eq!(list.pop(link), None);
        for i in 0..3 {
            assert_eq!(list.push(i, link(i), || ()), Pushed::Free(None));
        }
        assert_eq!([list.pop(link), list.pop(link), list.pop(link)], [Some(2), Some(1), Some(0)]);
        assert_eq!(list.pop(link), None);
    }

    #[test]
    fn the_last_slot_home_after_close_is_told() {
        let (list, links) = (FreeList::new(), links(3));
        let link = |i: u32| &links[i as usize];
        list.add_slots(3);
        list.push(0, link(0), || ());
        assert_eq!(list.close(link), Pushed::Closed);
        assert_eq!(list.pop(link), None);
        assert_eq!(list.push(1, link(1), || ()), Pushed::Closed);
        assert_eq!(list.push(2, link(2), || ()), Pushed::Last);
    }

    #[test]
    fn a_push_takes_the_waiters_along_once() {
        let (list, links) = (FreeList::new(), links(2));
        let link = |i: u32| &links[i as usize];
        list.add_slots(2);
        list.announce_waiter();
        assert_eq!(list.pop(link), None);
        assert_eq!(list.push(0, link(0), || "wake"), Pushed::Free(Some("wake")));
        assert_eq!(list.push(1, link(1), || "wake"), Pushed::Free(None));
    }

    #[test]
    fn closing_with_every_slot_home_is_the_end() {
        let (list, links) = (FreeList::new(), links(2));
        let link = |i: u32| &links[i as usize];
        list.add_slots(2);
        list.push(0, link(0), || ());
        list.push(1, link(1), || ());
        assert_eq!(list.close(link), Pushed::Last);
    }
}
