//! What the ends of a channel share: the header, the waiting lists, and how many ends there are.

mod memory;

use std::collections::VecDeque;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::inspect;
use crate::layout::{CLOSED, FAULT_ITEM, FAULT_NONE, Header, KIND_BOUNDED, KIND_UNBOUNDED, PARKED};
use crate::ring::{Bounded, Miss, Row, Unbounded, bounded, unbounded};
use crate::sync::{AtomicU64, AtomicUsize, Backoff, Ordering};
use crate::wait::Queue;
use crate::waiters::{Place, Side, Waiters};

pub(crate) use memory::Items;
use memory::Memory;

/// See [`Channel::gives_up`].
const PEER_TURNS: u32 = 100_000;

/// The header comes first: its address is the channel's address.
#[repr(C)]
pub(crate) struct Channel<T> {
    pub(crate) header: Header,
    pub(crate) waiters: Waiters,
    closed: Queue,
    pub(crate) sender_count: AtomicUsize,
    pub(crate) receiver_count: AtomicUsize,
    memory: Memory<T>,
}

// SAFETY: items are handed from thread to thread, each to one at a time; the rest is shared atomically.
unsafe impl<T: Send> Send for Channel<T> {}
// SAFETY: as above; nobody gets a reference to an item.
unsafe impl<T: Send> Sync for Channel<T> {}

// An operation either moves an item or does not; there is no half-way that a panic could expose.
impl<T> UnwindSafe for Channel<T> {}
impl<T> RefUnwindSafe for Channel<T> {}

impl<T> Channel<T> {
    #[inline(always)]
    fn is_bounded(&self) -> bool {
        self.header.kind == KIND_BOUNDED
    }

    #[inline(always)]
    fn ring(&self) -> Bounded<'_, T> {
        // SAFETY: `bounded` made the header for this type; callers check `is_bounded`.
        unsafe { Bounded::new(&self.header) }
    }

    #[inline(always)]
    fn is_linked(&self) -> bool {
        self.header.kind == KIND_UNBOUNDED
    }

    #[inline(always)]
    fn segments(&self) -> Unbounded<'_, T> {
        // SAFETY: `unbounded` made the header for this type; callers check `is_linked`.
        unsafe { Unbounded::new(&self.header, &self.memory.own.spare) }
    }

    /// The row, of a channel that has one.
    #[inline(always)]
    fn row(&self) -> Option<Row<'_, T>> {
        if self.is_bounded() {
            return None;
        }
        let rings = self.memory.own.rings.as_deref()?;
        // SAFETY: `growable` made both for this type.
        Some(unsafe { Row::new(&self.header, rings) })
    }

    /// Claims between 1 and `most` positions of a ring for sending.
    #[inline(always)]
    fn claim_push(&self, most: u64) -> Result<(Bounded<'_, T>, bounded::Claim), Miss> {
        let claimed = match self.row() {
            Some(row) => row.claim_push(most),
            None => self.ring().claim_push(most).map(|claim| (self.ring(), claim)),
        };
        claimed.map_err(|miss| self.check(miss))
    }

    /// Claims between 1 and `most` positions of a ring for receiving.
    #[inline(always)]
    fn claim_pop(&self, most: u64) -> Result<(Bounded<'_, T>, bounded::Claim), Miss> {
        let claimed = match self.row() {
            Some(row) => row.claim_pop(most),
            None => self.ring().claim_pop(most).map(|claim| (self.ring(), claim)),
        };
        claimed.map_err(|miss| self.check(miss))
    }

    /// Moves an item in if that takes no second look. `Err` says nothing more.
    #[inline(always)]
    pub(crate) fn push_quick(&self, item: T) -> Result<(), T> {
        if !self.is_bounded() {
            return self.push_quick_in_row(item);
        }
        self.ring().push_quick(item)?;
        self.moved(Side::Receivers, 1);
        Ok(())
    }

    /// As [`push_quick`](Self::push_quick), which is in everything, and small for bounded channels' sake.
    #[cold]
    #[inline(never)]
    fn push_quick_in_row(&self, item: T) -> Result<(), T> {
        let Some(ring) = self.row().and_then(Row::newest) else { return Err(item) };
        ring.push_quick(item)?;
        self.moved(Side::Receivers, 1);
        Ok(())
    }

    /// Moves an item in, without waiting for anybody.
    pub(crate) fn push(&self, item: T) -> Result<(), (Miss, T)> {
        if self.is_linked() {
            self.segments().push(item).map_err(|item| (Miss::Closed, item))?;
        } else {
            match self.claim_push(1) {
                Ok((ring, claim)) => ring.fill_one(claim, item),
                Err(miss) => return Err((miss, item)),
            }
        }
        self.moved(Side::Receivers, 1);
        Ok(())
    }

    /// As [`push`](Self::push), but waits while somebody else is in the middle of an operation.
    #[inline]
    pub(crate) fn push_settled(&self, mut item: T) -> Result<(), (Miss, T)> {
        let mut backoff = Backoff::new();
        let mut turns = 0;
        loop {
            match self.push(item) {
                Err((Miss::Busy, back)) if !self.gives_up(&mut turns) => item = back,
                done => return done,
            }
            backoff.snooze();
        }
    }

    /// Moves an item in, and the oldest out if there is no room.
    pub(crate) fn force(&self, mut item: T) -> Result<Option<T>, T> {
        if !self.is_bounded() {
            return self.push(item).map(|()| None).map_err(|(_, item)| item);
        }
        let mut backoff = Backoff::new();
        loop {
            match self.ring().force(item) {
                Ok(displaced) => {
                    self.moved(Side::Receivers, 1);
                    return match displaced {
                        Some(item) if !inspect::passes(&self.header, &item) => {
                            Ok(self.refuse(item).ok())
                        }
                        displaced => Ok(displaced),
                    };
                }
                Err((Miss::Closed, back)) => return Err(back),
                Err((miss, back)) => {
                    self.check(miss);
                    item = back;
                }
            }
            backoff.snooze();
        }
    }

    /// Takes an item out if that takes no second look. `None` says nothing more.
    #[inline(always)]
    pub(crate) fn pop_quick(&self) -> Option<T> {
        if !self.is_bounded() {
            return self.pop_quick_in_row();
        }
        self.take_quick(self.ring())
    }

    /// As [`pop_quick`](Self::pop_quick); see [`push_quick_in_row`](Self::push_quick_in_row).
    #[cold]
    #[inline(never)]
    fn pop_quick_in_row(&self) -> Option<T> {
        self.take_quick(self.row()?.oldest()?)
    }

    #[inline(always)]
    fn take_quick(&self, ring: Bounded<'_, T>) -> Option<T> {
        let item = ring.pop_quick()?;
        self.moved(Side::Senders, 1);
        if inspect::passes(&self.header, &item) { Some(item) } else { self.refuse(item).ok() }
    }

    /// Takes an item out, without waiting for anybody.
    pub(crate) fn pop(&self) -> Result<T, Miss> {
        if self.is_linked() {
            let item = self.segments().pop()?;
            self.moved(Side::Senders, 1);
            return Ok(item);
        }
        let (ring, claim) = self.claim_pop(1)?;
        let item = ring.drain_one(claim);
        self.moved(Side::Senders, 1);
        if inspect::passes(&self.header, &item) { Ok(item) } else { self.refuse(item) }
    }

    /// An item that cannot be is left alone, and the channel is closed. Yields the next one.
    #[cold]
    #[inline(never)]
    fn refuse(&self, item: T) -> Result<T, Miss> {
        std::mem::forget(item);
        self.fail(FAULT_ITEM);
        self.pop()
    }

    /// As [`pop`](Self::pop), but waits while somebody else is in the middle of an operation.
    #[inline]
    pub(crate) fn pop_settled(&self) -> Result<T, Miss> {
        let mut backoff = Backoff::new();
        let mut turns = 0;
        loop {
            match self.pop() {
                Err(Miss::Busy) if !self.gives_up(&mut turns) => backoff.snooze(),
                done => return done,
            }
        }
    }

    /// Whether so many turns are enough to wait for somebody who is in the middle of an operation. Rust
    /// code is a few instructions from being done, unless it does not run; of another language's code
    /// nobody knows.
    #[cold]
    fn gives_up(&self, turns: &mut u32) -> bool {
        *turns = turns.saturating_add(1);
        *turns > PEER_TURNS && !self.header.vtable.load(Ordering::Relaxed).is_null()
    }

    /// Moves up to `most` items from the front of `items` in; at least one.
    pub(crate) fn push_many(&self, items: &mut VecDeque<T>) -> Result<usize, Miss> {
        let most = items.len() as u64;
        let count = if self.is_linked() {
            let claim = self.segments().claim_push(most).ok_or(Miss::Closed)?;
            self.segments().fill(claim, &mut items.drain(..claim.count()));
            claim.count()
        } else {
            let (ring, claim) = self.claim_push(most)?;
            ring.fill(claim, &mut items.drain(..claim.count()));
            claim.count()
        };
        self.moved(Side::Receivers, count);
        Ok(count)
    }

    /// Moves up to `most` items to the end of `items`; at least one.
    pub(crate) fn pop_many(&self, items: &mut Vec<T>, most: usize) -> Result<usize, Miss> {
        if self.is_linked() {
            let most = most.min(unbounded::SLOTS as usize);
            items.reserve(most);
            let claim = self.segments().claim_pop(most as u64)?;
            self.segments().drain(claim, |item| items.push(item));
            self.moved(Side::Senders, claim.count());
            return Ok(claim.count());
        }
        // Before the claim, so that nothing after it can fail; and for what there is, no more.
        let there = self.row().map_or_else(|| self.ring().len(), |row| row.len_of_oldest());
        let most = most.min(there.max(1));
        items.reserve(most);
        let (ring, claim) = self.claim_pop(most as u64)?;
        let before = items.len();
        ring.drain(claim, |item| items.push(item));
        self.moved(Side::Senders, claim.count());
        if inspect::retain(&self.header, items, before) < claim.count() {
            self.fail(FAULT_ITEM);
            if items.len() == before {
                return self.pop_many(items, most);
            }
        }
        Ok(items.len() - before)
    }

    /// Keeps room for one item.
    pub(crate) fn reserve(&self) -> Result<(), Miss> {
        if self.is_bounded() {
            self.ring().reserve().map_err(|miss| self.check(miss))
        } else if self.is_closed() {
            Err(Miss::Closed)
        } else {
            Ok(())
        }
    }

    /// Uses what [`reserve`](Self::reserve) has kept.
    pub(crate) fn push_reserved(&self, item: T) -> Result<(), T> {
        if !self.is_bounded() {
            return self.push(item).map_err(|(_, item)| item);
        }
        self.ring().push_reserved(item)?;
        self.moved(Side::Receivers, 1);
        Ok(())
    }

    /// Gives back what [`reserve`](Self::reserve) has kept.
    pub(crate) fn unreserve(&self) {
        if self.is_bounded() {
            self.ring().unreserve();
            self.moved(Side::Senders, 1);
        }
    }

    /// After something was moved that `count` of a side may wait for: wakes whom it concerns.
    #[inline(always)]
    fn moved(&self, side: Side, count: usize) {
        // SeqCst: see "Parked words" in `layout`.
        let receivers = self.header.receivers.word.load(Ordering::SeqCst);
        let senders = self.header.senders.word.load(Ordering::SeqCst);
        if receivers | senders != 0 {
            self.wake_after(side, count);
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_after(&self, side: Side, count: usize) {
        let words = [&self.header.receivers.word, &self.header.senders.word];
        // SeqCst: as in `moved`.
        let is_parked = |side: Side| words[side as usize].load(Ordering::SeqCst) & PARKED != 0;
        if is_parked(side) {
            self.wake(side, count);
        }
        let own = side.other();
        // See "A slot that is claimed but not finished" in `layout`.
        if is_parked(own) {
            self.pass_on(own);
        }
    }

    /// Wakes one of a side, if it would find what it waits for.
    #[cold]
    fn pass_on(&self, side: Side) {
        let ready = match side {
            Side::Senders => self.is_bounded() && self.ring().has_room(),
            Side::Receivers if self.is_bounded() => self.ring().has_item(),
            Side::Receivers => self.len() > 0,
        };
        if ready {
            self.wake(side, 1);
        }
    }

    /// Closes the channel when its memory makes no sense.
    #[inline]
    fn check(&self, miss: Miss) -> Miss {
        match miss {
            Miss::Corrupt(fault) => {
                self.fail(fault);
                Miss::Closed
            }
            miss => miss,
        }
    }

    #[cold]
    pub(crate) fn fail(&self, fault: u32) {
        // The first one is the one that is told.
        let fault_word = &self.header.fault;
        let _ = fault_word.compare_exchange(FAULT_NONE, fault, Ordering::AcqRel, Ordering::Relaxed);
        self.close();
    }

    pub(crate) fn fault(&self) -> u32 {
        self.header.fault.load(Ordering::Acquire)
    }

    /// Closes the channel. `true`: it was open.
    pub(crate) fn close(&self) -> bool {
        // SeqCst: in one order with the senders' claims, and with the parkers' looks.
        let was = self.header.senders_line.tail.fetch_or(CLOSED, Ordering::SeqCst);
        if let Some(row) = self.row() {
            // Not only the first: nothing may be sent after any `close` has returned.
            row.seal(was);
        }
        if was & CLOSED != 0 {
            return false;
        }
        crate::sync::fence(Ordering::SeqCst);
        self.wake(Side::Senders, usize::MAX);
        self.wake(Side::Receivers, usize::MAX);
        self.closed.wake(usize::MAX);
        true
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self.row() {
            Some(row) => row.is_closed(),
            None => self.header.senders_line.tail.load(Ordering::SeqCst) & CLOSED != 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        if self.is_bounded() {
            return self.ring().len();
        }
        self.row().map_or_else(|| self.segments().len(), |row| row.len())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.is_bounded()
            && self.ring().len() + self.ring().reserved() >= self.header.capacity as usize
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        self.is_bounded().then_some(self.header.capacity as usize)
    }

    #[inline]
    pub(crate) fn wake(&self, side: Side, count: usize) {
        self.waiters.wake(&self.header, side, count);
    }

    /// Those who wait for the end.
    pub(crate) fn at_close(&self) -> &Queue {
        &self.closed
    }
}

impl<T> Place for &Channel<T> {
    #[inline(always)]
    fn place(&self) -> (&Header, &Waiters) {
        (&self.header, &self.waiters)
    }

    fn progress(&self, side: Side) -> &AtomicU64 {
        match (side, self.row()) {
            (Side::Receivers, Some(row)) => row.progress(),
            _ => self.header.progress(side),
        }
    }
}

#[cfg(all(test, not(ziggurat_loom)))]
mod tests {
    use super::*;

    /// Positions have 48 bits, and come back to 0.
    #[test]
    fn positions_wrap() {
        for (capacity, laps) in [(4, (1 << 46) - 1), (3, (1 << 47) / 3 - 1), (1, (1 << 48) - 2)] {
            let channel = Channel::bounded_at(capacity, laps);
            for i in 0..capacity as u32 * 5 {
                channel.push(i).expect("room");
                if i % 2 == 0 && capacity > 1 {
                    channel.reserve().expect("room");
                    channel.push_reserved(i).expect("open");
                    assert_eq!(channel.pop(), Ok(i));
                }
                assert_eq!(channel.len(), 1);
                assert_eq!(channel.pop(), Ok(i));
                assert_eq!(channel.pop(), Err(Miss::Blocked));
            }
            for i in 0..capacity as u32 {
                channel.push(i).expect("room");
            }
            assert_eq!(channel.push(0).map_err(|(miss, _)| miss), Err(Miss::Blocked));
            assert_eq!(channel.force(9), Ok(Some(0)));
            assert!(channel.is_full() && channel.fault() == FAULT_NONE);
        }
    }
}
