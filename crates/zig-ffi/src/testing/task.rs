//! A task that does nothing but count.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{RawWaker, RawWakerVTable, Waker};

/// Counts what happens to its wakers.
#[derive(Debug, Default)]
pub struct Task {
    wakes: AtomicUsize,
    clones: AtomicUsize,
}

impl Task {
    /// A task that was never woken.
    pub fn new() -> Arc<Task> {
        Arc::default()
    }

    /// A waker of this task. All of its wakers are the same to [`Waker::will_wake`].
    pub fn waker(self: &Arc<Self>) -> Waker {
        let data = Arc::into_raw(self.clone()).cast();
        // SAFETY: the table keeps the contract: each waker owns one reference to the task.
        unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) }
    }

    /// Wakes so far.
    pub fn wakes(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }

    /// Clones of its wakers so far.
    pub fn clones(&self) -> usize {
        self.clones.load(Ordering::SeqCst)
    }

    /// Wakers that are alive.
    pub fn wakers(self: &Arc<Self>) -> usize {
        Arc::strong_count(self) - 1
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: the waker that is cloned holds a reference; the clone gets its own.
        let task = unsafe {
            Arc::increment_strong_count(data.cast::<Task>());
            &*data.cast::<Task>()
        };
        task.clones.fetch_add(1, Ordering::SeqCst);
        RawWaker::new(data, &VTABLE)
    },
    |data| {
        // SAFETY: the reference of the waker that is used up.
        let task = unsafe { Arc::from_raw(data.cast::<Task>()) };
        task.wakes.fetch_add(1, Ordering::SeqCst);
    },
    |data| {
        // SAFETY: the waker holds a reference.
        unsafe { &*data.cast::<Task>() }.wakes.fetch_add(1, Ordering::SeqCst);
    },
    // SAFETY: the reference of the waker that is dropped.
    |data| drop(unsafe { Arc::from_raw(data.cast::<Task>()) }),
);
