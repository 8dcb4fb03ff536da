//! What the receiver of a one-to-one ring does.

use super::super::{Miss, look_again, publish};
use super::{OPEN, Rx};
use crate::fence;
use crate::inspect;
use crate::layout::{ASYMMETRIC, ENDED, FAULT_ITEM, FAULT_POSITION, Header, ONE, PARKED, SETTLED};
use crate::sync::{Ordering, fence as full_fence};
use crate::waiters::{Place, Side, Waiters};

impl<T> Rx<T> {
    /// Items that are there, of which `wanted` are enough.
    #[inline(always)]
    fn available(&mut self, wanted: u64) -> Result<u64, Miss> {
        let available = self.tail.wrapping_sub(self.head) / ONE;
        if available >= wanted {
            return Ok(available);
        }
        // Acquire: the items are there.
        let tail = self.ring.header.senders_line.tail.load(Ordering::Acquire);
        let known = tail.wrapping_sub(self.head) / ONE;
        if known >= wanted && known <= self.ring.header.capacity && !self.closed {
            self.tail = tail;
            return Ok(known);
        }
        self.available_slow(available)
    }

    #[inline(never)]
    fn available_slow(&mut self, known: u64) -> Result<u64, Miss> {
        if self.closed {
            return if known > 0 { Ok(known) } else { Err(Miss::Closed) };
        }
        let header = &self.ring.header;
        // Acquire: the items are there.
        let mut tail = header.senders_line.tail.load(Ordering::Acquire);
        if tail == self.head {
            // Acquire: what the sender did before it closed. Only the sender can have closed here.
            let last = header.senders.last.load(Ordering::Acquire);
            if last == OPEN {
                return Err(Miss::Blocked);
            }
            (tail, self.closed) = (last, true);
        }
        let available = tail.wrapping_sub(self.head) / ONE;
        if available > header.capacity {
            self.ring.fail(FAULT_POSITION);
            // Nothing more is taken from the other side, but what was sound before.
            self.closed = true;
            self.end();
            return if known > 0 { Ok(known) } else { Err(Miss::Closed) };
        }
        self.tail = tail;
        if available == 0 { Err(Miss::Closed) } else { Ok(available) }
    }

    /// Takes an item out if one is known to be there. `None` says nothing more.
    #[inline(always)]
    pub(crate) fn pop_quick(&mut self) -> Option<T> {
        if self.tail == self.head {
            if self.closed {
                return None;
            }
            // Acquire: the items are there.
            let tail = self.ring.header.senders_line.tail.load(Ordering::Acquire);
            let count = tail.wrapping_sub(self.head) / ONE;
            if count == 0 || count > self.ring.header.capacity {
                return None;
            }
            self.tail = tail;
        }
        // SAFETY: published by the sender, and there is no other receiver.
        let item = self.ring.slot(self.head).with(|slot| unsafe { (*slot).assume_init_read() });
        self.publish(1);
        if inspect::passes(&self.ring.header, &item) { Some(item) } else { self.refuse(item).ok() }
    }

    /// Takes an item out.
    pub(crate) fn pop(&mut self) -> Result<T, Miss> {
        self.available(1)?;
        // Nothing is there only if what was there could not be.
        self.pop_quick().ok_or(Miss::Closed)
    }

    /// Moves up to `most` items to the end of `items`, at least one.
    pub(crate) fn pop_many(&mut self, items: &mut Vec<T>, most: usize) -> Result<usize, Miss> {
        let count = self.available(most as u64)?.min(most as u64) as usize;
        // Before anything is taken, so that nothing after it can fail.
        items.reserve(count);
        let (first, second) = self.ring.slots(self.head, count);
        let room = items.spare_capacity_mut();
        for (slot, room) in first.iter().chain(second).zip(room) {
            // SAFETY: published by the sender, and there is no other receiver.
            room.write(slot.with(|slot| unsafe { (*slot).assume_init_read() }));
        }
        // SAFETY: that many were written just now, into reserved room.
        unsafe { items.set_len(items.len() + count) };
        self.publish(count as u64);
        let before = items.len() - count;
        if inspect::retain(&self.ring.header, items, before) < count {
            self.fail_item();
            if items.len() == before {
                return self.pop_many(items, most);
            }
        }
        Ok(items.len() - before)
    }

    /// An item that cannot be is left alone, and the ring is closed. Yields the next one.
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, item: T) -> Result<T, Miss> {
        std::mem::forget(item);
        self.fail_item();
        self.pop()
    }

    #[cold]
    fn fail_item(&mut self) {
        self.ring.fail(FAULT_ITEM);
        self.close();
    }

    #[inline(always)]
    fn publish(&mut self, count: u64) {
        let header = &self.ring.header;
        self.head = self.head.wrapping_add(count * ONE);
        match publish(&header.receivers_line.head, self.head, &header.senders.word) {
            0 => {}
            word => self.published(word),
        }
    }

    /// As [`Tx::published`](super::Tx).
    #[cold]
    #[inline(never)]
    fn published(&mut self, word: u32) {
        if word != SETTLED || !self.settled.is_here() {
            self.published_for_others();
        }
    }

    #[cold]
    #[inline(never)]
    fn published_for_others(&mut self) {
        let taking_turns = self.ring.waiters.are_here(Side::Senders);
        if !taking_turns || !self.settled.is_here() {
            self.leave_home();
        }
        if look_again(&self.ring.header.senders.word) & PARKED != 0 {
            if taking_turns {
                self.settle();
            }
            self.ring.waiters.wake(&self.ring.header, Side::Senders, 1);
        }
    }

    fn settle(&mut self) {
        if self.ring.header.flags & ASYMMETRIC != 0 {
            let home = self.ring.waiters.home(Side::Senders);
            self.settled.settle(home, &self.ring.header.senders.word);
        }
    }

    /// See [`Settled::leave`].
    #[cold]
    pub(crate) fn leave_home(&mut self) {
        let home = self.ring.waiters.home(Side::Senders);
        self.settled.leave(home, &self.ring.header.senders.word);
    }

    /// `true`: it was open.
    pub(crate) fn close(&mut self) -> bool {
        if self.closed {
            return false;
        }
        self.closed = true;
        // Acquire: what the sender did before it closed. It is about to set `ENDED` itself.
        let last = self.ring.header.senders.last.load(Ordering::Acquire);
        if last != OPEN {
            self.tail = last;
            return false;
        }
        let was_open;
        (self.tail, was_open) = self.end();
        was_open
    }

    /// Ends the ring, and returns where, and whether it was open.
    fn end(&self) -> (u64, bool) {
        let header = &self.ring.header;
        let was_open = header.receivers.word.fetch_or(ENDED, Ordering::SeqCst) & ENDED == 0;
        if header.flags & ASYMMETRIC != 0 {
            fence::heavy();
        }
        full_fence(Ordering::SeqCst);
        let last = self.ring.end_at(header.senders_line.tail.load(Ordering::Acquire));
        self.ring.waiters.wake(header, Side::Senders, usize::MAX);
        (last, was_open)
    }

    pub(crate) fn is_terminated(&self) -> bool {
        self.closed && self.head == self.tail
    }

    /// Drops what is left. An item whose drop panics does not keep the others.
    fn drop_items(&mut self) {
        struct Rest<'a, T>(&'a mut Rx<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                self.0.drop_items();
            }
        }
        while let Ok(item) = self.pop() {
            let rest = Rest(self);
            drop(item);
            std::mem::forget(rest);
        }
    }
}

impl<T> Place for Rx<T> {
    #[inline(always)]
    fn place(&self) -> (&Header, &Waiters) {
        (&self.ring.header, &self.ring.waiters)
    }
}

impl<T> Drop for Rx<T> {
    fn drop(&mut self) {
        self.close();
        self.drop_items();
    }
}
