//! What is looked at in an item.

use std::fmt;

/// What an item counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Observation {
    /// It is an error.
    pub error: bool,
    /// Its size.
    pub bytes: u64,
}

/// Looks at items: [`Items`], [`Results`], [`Bytes`], or yours.
pub trait Observe<T: ?Sized> {
    /// What `item` counts for.
    fn observe(&mut self, item: &T) -> Observation;
}

/// An item is an item.
#[derive(Debug, Clone, Copy, Default)]
pub struct Items;

impl<T: ?Sized> Observe<T> for Items {
    #[inline]
    fn observe(&mut self, _: &T) -> Observation {
        Observation::default()
    }
}

/// An item may be an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct Results;

impl<T, E> Observe<Result<T, E>> for Results {
    #[inline]
    fn observe(&mut self, item: &Result<T, E>) -> Observation {
        Observation { error: item.is_err(), bytes: 0 }
    }
}

/// A closure says how large an item is.
#[derive(Clone, Copy)]
pub struct Bytes<F, O = Items> {
    pub(super) size: F,
    pub(super) other: O,
}

impl<F, O: fmt::Debug> fmt::Debug for Bytes<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bytes").field("other", &self.other).finish_non_exhaustive()
    }
}

impl<T: ?Sized, F: FnMut(&T) -> u64, O: Observe<T>> Observe<T> for Bytes<F, O> {
    #[inline]
    fn observe(&mut self, item: &T) -> Observation {
        let other = self.other.observe(item);
        let bytes = other.bytes.saturating_add((self.size)(item));
        Observation { bytes, ..other }
    }
}
