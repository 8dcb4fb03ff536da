//! The primitives under the host's waker: real ones, or loom's when the models run.

#[cfg(not(ziggurat_loom))]
pub(crate) use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(ziggurat_loom)]
pub(crate) use loom::cell::UnsafeCell;
#[cfg(ziggurat_loom)]
pub(crate) use loom::sync::atomic::{AtomicU8, Ordering};

/// `std`'s cell with the face of loom's, which watches who is inside.
#[cfg(not(ziggurat_loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(ziggurat_loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
