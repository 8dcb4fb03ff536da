//! The primitives under the host's waker: real ones, or loom's when the models run.

#[cfg(not(loom))]
pub(crate) use atomic_waker::AtomicWaker;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};

/// What the models use in place of the `atomic-waker` crate, which loom cannot see into: the same
/// contract, by a lock.
#[cfg(loom)]
pub(crate) struct AtomicWaker(loom::sync::Mutex<Option<std::task::Waker>>);

#[cfg(loom)]
impl AtomicWaker {
    pub(crate) fn new() -> Self {
        AtomicWaker(loom::sync::Mutex::new(None))
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        *self.0.lock().unwrap() = Some(waker.clone());
    }

    pub(crate) fn take(&self) -> Option<std::task::Waker> {
        self.0.lock().unwrap().take()
    }
}
