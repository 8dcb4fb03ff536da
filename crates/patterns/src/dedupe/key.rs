//! What is compared.

use std::fmt;

/// Makes the key of an item.
pub trait Key<T> {
    /// The key.
    type Key;

    /// The key of `item`; `None` for one that always passes.
    fn key(&mut self, item: &T) -> Option<Self::Key>;
}

/// The item itself, as a clone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whole;

impl<T: Clone> Key<T> for Whole {
    type Key = T;

    #[inline]
    fn key(&mut self, item: &T) -> Option<T> {
        Some(item.clone())
    }
}

/// What a closure makes of the item.
#[derive(Clone, Copy)]
pub struct ByKey<F>(pub(super) F);

impl<F> fmt::Debug for ByKey<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByKey").finish_non_exhaustive()
    }
}

impl<T, K, F: FnMut(&T) -> K> Key<T> for ByKey<F> {
    type Key = K;

    #[inline]
    fn key(&mut self, item: &T) -> Option<K> {
        Some((self.0)(item))
    }
}

/// What a closure makes of the `Ok`s; errors pass.
#[derive(Clone, Copy)]
pub struct TryByKey<F>(pub(super) F);

impl<F> fmt::Debug for TryByKey<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryByKey").finish_non_exhaustive()
    }
}

impl<T, E, K, F: FnMut(&T) -> K> Key<Result<T, E>> for TryByKey<F> {
    type Key = K;

    #[inline]
    fn key(&mut self, item: &Result<T, E>) -> Option<K> {
        item.as_ref().ok().map(&mut self.0)
    }
}
