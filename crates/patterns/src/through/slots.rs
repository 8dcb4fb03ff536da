//! The futures in flight: places that are allocated once and used again, each with a waker of its own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::wake_set::WakeSet;

/// Places for futures, made as they are needed.
pub(super) struct Slots<F> {
    /// Each in a box of its own, which stays where it is; the future in it comes and goes by `Pin::set`.
    places: Vec<Pin<Box<Option<F>>>>,
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

/// An output whose future is being dropped. That is the user's drop, and may panic: the output is saved
/// then, and comes later.
struct Saved<T, S: FnMut(T)> {
    output: Option<T>,
    save: S,
}

impl<T, S: FnMut(T)> Saved<T, S> {
    #[inline]
    fn new(output: T, save: S) -> Self {
        Saved { output: Some(output), save }
    }

    #[inline]
    fn take(mut self) -> T {
        self.output.take().expect("taken once")
    }
}

impl<T, S: FnMut(T)> Drop for Saved<T, S> {
    #[inline]
    fn drop(&mut self) {
        if let Some(output) = self.output.take() {
            (self.save)(output);
        }
    }
}

impl<F: Future> Slots<F> {
    pub(super) fn new() -> Self {
        Slots { places: Vec::new(), free: Vec::new(), wakes: WakeSet::new(0), cursor: 0 }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Polls a future for the first time, and keeps it if it is pending. `save` gets the output of one
    /// that is ready and panics when it is dropped.
    #[inline]
    pub(super) fn start(&mut self, future: F, save: impl FnMut(F::Output)) -> Started<F::Output> {
        let slot = match self.free.last() {
            Some(&slot) => slot,
            None => self.grow(),
        };
        let mut place = self.places[slot].as_mut();
        place.set(Some(future));
        let waker = self.wakes.waker(slot);
        let mut cx = Context::from_waker(&waker);
        let future = place.as_mut().as_pin_mut().expect("just set");
        match future.poll(&mut cx) {
            Poll::Ready(output) => {
                let output = Saved::new(output, save);
                place.set(None);
                Started::Ready(output.take())
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
        let slot = self.places.len();
        if slot == self.wakes.capacity() {
            self.wakes.grow((slot * 2).max(16));
        }
        self.places.push(Box::pin(None));
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

    /// Polls the future of a slot, which is free when that is ready: `done` gets the output. A stale
    /// waker may have named an empty slot.
    #[inline]
    pub(super) fn poll(&mut self, slot: usize, mut done: impl FnMut(F::Output)) {
        let Some(place) = self.places.get_mut(slot) else { return };
        let mut place = place.as_mut();
        let Some(future) = place.as_mut().as_pin_mut() else { return };
        let waker = self.wakes.waker(slot);
        let mut cx = Context::from_waker(&waker);
        let Poll::Ready(output) = future.poll(&mut cx) else { return };
        // All of it before the drop: that is the user's, and may panic.
        self.free.push(slot);
        done(output);
        place.set(None);
    }

    /// The boxes, by their slots.
    pub(super) fn into_futures(self) -> Vec<Pin<Box<Option<F>>>> {
        self.places
    }
}
