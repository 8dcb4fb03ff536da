//! The atomics and locks that this crate is built on: core's, or loom's when the models run.

#[cfg(not(ziggurat_loom))]
pub(crate) use atomic_waker::AtomicWaker;
#[cfg(not(ziggurat_loom))]
pub(crate) use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
#[cfg(not(ziggurat_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(ziggurat_loom)]
pub(crate) use loom::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
#[cfg(ziggurat_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};

/// Locks, whether or not somebody has panicked with the lock held: what is inside is consistent whenever
/// foreign code runs.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// loom's, with the name that the other has for leaving a waker.
#[cfg(ziggurat_loom)]
#[derive(Debug, Default)]
pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

#[cfg(ziggurat_loom)]
impl AtomicWaker {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.0.register_by_ref(waker);
    }

    pub(crate) fn wake(&self) {
        self.0.wake();
    }
}
