//! The atomics that this crate is built on: core's, or loom's when the models run.

#[cfg(not(ziggurat_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(not(ziggurat_loom))]
pub(crate) use atomic_waker::AtomicWaker;

#[cfg(ziggurat_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

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
