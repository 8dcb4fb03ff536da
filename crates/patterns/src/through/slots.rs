//! The futures in flight: places that are allocated once and used again, each with a waker of its own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::wake_set::WakeSet;

/// Places for futures, made as they are needed.
pub(super) struct Slots<F> {
    /// Each in a box of its own, which stays where it is; the future in it comes and goes by
    /// `Pin::set`.
    futures: Vec<Pin<Box<Option<F>>>>,
    /// Those that are empty.
    free: Vec<usize>,
    wakes: WakeSet,
    /// Where the next round begins, so that none of those that wake themselves keeps the others
    /// waiting.
    cursor: usize,
}

/// What became of a future that was started.
pub(super) enum Started<T> {
    /// It was ready at its first poll.
    Ready(T),
    /// It is in flight, in this slot.
    InFlight(usize),
}

impl<F: Future> Slots<F> {
    pub(super) fn new() -> Self {
        Slots { futures: Vec::new(), free: Vec::new(), wakes: WakeSet::new(0), cursor: 0 }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.futures.len() - self.free.len()
    }

    /// Polls a future for the first time, and keeps it if it is pending.
    #[inline]
    pub(super) fn start(&mut self, future: F) -> Started<F::Output> {
        let slot = match self.free.last() {
            Some(&slot) => slot,
            None => self.grow(),
        };
        let mut place = self.futures[slot].as_mut();
        place.set(Some(future));
        let mut cx = Context::from_waker(self.wakes.waker(slot));
        let future = place.as_mut().as_pin_mut().expect("just set");
        match future.poll(&mut cx) {
            Poll::Ready(output) => {
                place.set(None);
                Started::Ready(output)
            }
            Poll::Pending => {
                self.free.pop();
                Started::InFlight(slot)
            }
        }
    }

    /// One more place.
    #[cold]
    fn grow(&mut self) -> usize {
        let slot = self.futures.len();
        if slot == self.wakes.capacity() {
            self.wakes.grow((slot * 2).max(16));
        }
        self.futures.push(Box::pin(None));
        self.free.push(slot);
        slot
    }

    /// Collects who was woken.
    #[inline]
    pub(super) fn collect(&mut self) {
        self.wakes.collect();
    }

    /// From here on a wake of a future wakes the task. True if one was woken already.
    pub(super) fn collect_or_register(&mut self, cx: &Context<'_>) -> bool {
        self.wakes.collect_or_register(cx);
        !self.wakes.ready.is_empty()
    }

    /// Takes a slot that was woken.
    #[inline]
    pub(super) fn next_woken(&mut self) -> Option<usize> {
        let slot = self.wakes.ready.next_around(self.cursor)?;
        self.wakes.ready.remove(slot);
        self.cursor = slot + 1;
        Some(slot)
    }

    /// Polls the future of a slot, which is free when that is ready. A stale waker may have named an
    /// empty slot.
    #[inline]
    pub(super) fn poll(&mut self, slot: usize) -> Poll<F::Output> {
        let Some(place) = self.futures.get_mut(slot) else { return Poll::Pending };
        let mut place = place.as_mut();
        let Some(future) = place.as_mut().as_pin_mut() else { return Poll::Pending };
        let mut cx = Context::from_waker(self.wakes.waker(slot));
        let Poll::Ready(output) = future.poll(&mut cx) else { return Poll::Pending };
        place.set(None);
        self.free.push(slot);
        Poll::Ready(output)
    }

    /// The boxes, by their slots.
    pub(super) fn into_futures(self) -> Vec<Pin<Box<Option<F>>>> {
        self.futures
    }
}
