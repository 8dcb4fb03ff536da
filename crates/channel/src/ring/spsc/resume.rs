//! Halves of a ring that come back from the other language, and what either side's end does there.

use super::{OPEN, Ring, Rx, Tx};
use crate::fence;
use crate::home::Settled;
use crate::layout::{ASYMMETRIC, ENDED, FAULT_NONE, FAULT_POSITION, ONE};
use crate::sync::{Arc, Ordering, fence as full_fence};
use crate::waiters::Side;

impl<T> Ring<T> {
    /// Closes the ring for either side, as the receiver does: the sender's `tail` is in the header, too.
    pub(crate) fn close_by_either(&self, fault: u32) {
        if fault != FAULT_NONE {
            self.fail(fault);
        }
        let header = &self.header;
        header.receivers.word.fetch_or(ENDED, Ordering::SeqCst);
        if header.flags & ASYMMETRIC != 0 {
            fence::heavy();
        }
        full_fence(Ordering::SeqCst);
        self.end_at(header.senders_line.tail.load(Ordering::Acquire));
        self.waiters.wake(header, Side::Senders, usize::MAX);
        self.waiters.wake(header, Side::Receivers, usize::MAX);
    }
}

impl<T> Tx<T> {
    /// The sender's half, which is in no other hands.
    pub(crate) fn resume(ring: Arc<Ring<T>>) -> Self {
        // Acquire: what the last owner did.
        let tail = ring.header.senders_line.tail.load(Ordering::Acquire);
        let mut head = ring.header.receivers_line.head.load(Ordering::Acquire);
        if tail.wrapping_sub(head) / ONE > ring.header.capacity {
            ring.close_by_either(FAULT_POSITION);
            // Full, and closed: nothing more is written.
            head = tail.wrapping_sub(ring.header.capacity * ONE);
        }
        Tx { ring, tail, head, settled: Settled::default() }
    }
}

impl<T> Rx<T> {
    /// The receiver's half, which is in no other hands.
    pub(crate) fn resume(ring: Arc<Ring<T>>) -> Self {
        // Acquire: what the last owner did.
        let head = ring.header.receivers_line.head.load(Ordering::Acquire);
        let last = ring.header.senders.last.load(Ordering::Acquire);
        let mut rx = Rx { ring, head, tail: head, closed: false, settled: Settled::default() };
        if last != OPEN {
            (rx.tail, rx.closed) = (last, true);
            if last.wrapping_sub(head) / ONE > rx.ring.header.capacity {
                rx.ring.fail(FAULT_POSITION);
                rx.tail = head;
            }
        }
        rx
    }
}
