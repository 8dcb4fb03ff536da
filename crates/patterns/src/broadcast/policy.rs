//! What happens to a consumer that lags a whole ring behind.

/// A consumer lagged behind by more than the ring holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the consumer lagged behind and missed {missed} items")]
pub struct Lagged {
    /// How many items it missed since the last one that it got. Of a consumer that was disconnected,
    /// how many it had not taken when that happened.
    pub missed: u64,
}

/// A policy: [`Backpressure`], [`DropOldest`] or [`Disconnect`].
pub trait LagPolicy: sealed::Sealed {
    /// What a consumer's stream is made of.
    type Item<T>;

    #[doc(hidden)]
    const ON_FULL: OnFull;
    #[doc(hidden)]
    fn item<T>(item: T) -> Self::Item<T>;
    #[doc(hidden)]
    fn lagged<T>(lagged: Lagged) -> Option<Self::Item<T>>;
}

/// What is done when the ring is full.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFull {
    Wait,
    DropOldest,
    Disconnect,
}

/// The slowest consumer holds the others up. Nothing is lost.
#[derive(Debug, Clone, Copy)]
pub struct Backpressure;

/// The slowest consumer misses the oldest items. It gets [`Lagged`] in their place, and goes on with
/// the oldest that there is.
#[derive(Debug, Clone, Copy)]
pub struct DropOldest;

/// The slowest consumer is cut off: it gets [`Lagged`], and its stream ends.
#[derive(Debug, Clone, Copy)]
pub struct Disconnect;

impl LagPolicy for Backpressure {
    type Item<T> = T;
    const ON_FULL: OnFull = OnFull::Wait;

    fn item<T>(item: T) -> T {
        item
    }

    fn lagged<T>(_: Lagged) -> Option<T> {
        None
    }
}

impl LagPolicy for DropOldest {
    type Item<T> = Result<T, Lagged>;
    const ON_FULL: OnFull = OnFull::DropOldest;

    fn item<T>(item: T) -> Result<T, Lagged> {
        Ok(item)
    }

    fn lagged<T>(lagged: Lagged) -> Option<Result<T, Lagged>> {
        Some(Err(lagged))
    }
}

impl LagPolicy for Disconnect {
    type Item<T> = Result<T, Lagged>;
    const ON_FULL: OnFull = OnFull::Disconnect;

    fn item<T>(item: T) -> Result<T, Lagged> {
        Ok(item)
    }

    fn lagged<T>(lagged: Lagged) -> Option<Result<T, Lagged>> {
        Some(Err(lagged))
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Backpressure {}
    impl Sealed for super::DropOldest {}
    impl Sealed for super::Disconnect {}
}
