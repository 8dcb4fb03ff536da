//! Room that is kept for later, and room that is made: what a bounded ring can do beyond sending in turn.

use super::{Bounded, Claim};
use crate::fence;
use crate::layout::{CLOSED, POSITION, RESERVATION, RESERVED};
use crate::ring::{Miss, full};
use crate::sync::{Backoff, Ordering};

impl<T> Bounded<'_, T> {
    /// Moves an item in, and when the ring is full, the oldest one out.
    pub(crate) fn force(&self, mut item: T) -> Result<Option<T>, (Miss, T)> {
        loop {
            match self.push(item) {
                Ok(()) => return Ok(None),
                Err((Miss::Blocked, back)) => item = back,
                Err(miss) => return Err(miss),
            }
            let tail_word = self.tail;
            let tail = tail_word.load(Ordering::Acquire);
            let first = self.after_reserved(tail);
            // The full ring's oldest item is in the slot that the next position would need.
            let oldest = self.lap_before(first);
            let head_word = self.head;
            if tail & CLOSED != 0 || head_word.load(Ordering::SeqCst) != oldest {
                continue;
            }
            if oldest == tail & POSITION {
                // All room is reserved, and nothing is there that could go but this very item.
                return Ok(Some(item));
            }
            // The position is claimed before its slot is free: until it is, other senders are `Busy`.
            let at = tail & POSITION;
            let next = self.shape.advance(at, 1) | (tail & !POSITION);
            if tail_word.compare_exchange(tail, next, Ordering::SeqCst, Ordering::Relaxed).is_err()
            {
                continue;
            }
            fence::after_exchange();
            let after = self.shape.advance(oldest, 1);
            // Release at least: whoever sees that the oldest is gone sees the claim of the new one, and
            // not an empty ring.
            let taken =
                head_word.compare_exchange(oldest, after, Ordering::SeqCst, Ordering::Relaxed);
            // `Err`: a receiver was faster, and nothing needs to go.
            let displaced = taken.ok().map(|_| {
                let slot = self.slot(oldest);
                let mut backoff = Backoff::new();
                while slot.stamp.load(Ordering::Acquire) != full(oldest) {
                    backoff.snooze();
                }
                // SAFETY: claimed just now.
                let old = unsafe { slot.read() };
                slot.stamp.store(first, Ordering::Release);
                old
            });
            self.wait_free(Claim { at, count: 1 });
            self.put(at, item);
            return Ok(displaced);
        }
    }

    /// Keeps a free slot for [`push_reserved`](Self::push_reserved).
    pub(crate) fn reserve(&self) -> Result<(), Miss> {
        let tail_word = self.tail;
        let mut tail = tail_word.load(Ordering::Relaxed);
        loop {
            if tail & CLOSED != 0 {
                return Err(Miss::Closed);
            }
            let first = self.after_reserved(tail);
            // Acquire: it is the claim's look at the stamp; the later push makes none.
            let free = self.slot(first).stamp.load(Ordering::Acquire) == first;
            if !free || tail & RESERVED == RESERVED {
                let now = tail_word.load(Ordering::Acquire);
                if now != tail {
                    tail = now;
                    continue;
                }
                return Err(if free { Miss::Blocked } else { self.why_no_push(tail, first) });
            }
            // AcqRel: whoever uses a reservation has seen what the one who made it has seen: that the
            // slots up to here are free.
            let reserved = tail + RESERVATION;
            match tail_word.compare_exchange_weak(
                tail,
                reserved,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => tail = now,
            }
        }
    }

    /// Uses up a reservation. `Err`: closed; the reservation is gone all the same.
    pub(crate) fn push_reserved(&self, item: T) -> Result<(), T> {
        let tail_word = self.tail;
        // Acquire, here and below: see `reserve`.
        let mut tail = tail_word.load(Ordering::Acquire);
        loop {
            let closed = tail & CLOSED != 0;
            let at = tail & POSITION;
            let next = if closed { at } else { self.shape.advance(at, 1) };
            let next = next | ((tail & !POSITION) - RESERVATION);
            match tail_word.compare_exchange_weak(tail, next, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) if closed => return Err(item),
                Ok(_) => {
                    fence::after_exchange();
                    self.wait_free(Claim { at, count: 1 });
                    self.put(at, item);
                    return Ok(());
                }
                Err(now) => tail = now,
            }
        }
    }

    /// Gives a reservation back.
    pub(crate) fn unreserve(&self) {
        // SeqCst: it makes room, as a claim of `head` does.
        self.tail.fetch_sub(RESERVATION, Ordering::SeqCst);
        fence::after_exchange();
    }

    /// Slots that are kept for permits.
    pub(crate) fn reserved(&self) -> usize {
        ((self.tail.load(Ordering::SeqCst) & RESERVED) / RESERVATION) as usize
    }
}
