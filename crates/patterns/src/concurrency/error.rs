//! What a semaphore and a bulkhead say.

use std::time::Duration;

/// The semaphore was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the semaphore is closed")]
pub struct Closed;

/// There is no permit at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TryAcquireError {
    /// There are not enough, or somebody waits.
    #[error("no permit is available")]
    NoPermits,
    /// The semaphore was closed.
    #[error("the semaphore is closed")]
    Closed,
}

/// A call was rejected by a bulkhead, or whatever is inside failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BulkheadError<E> {
    /// As many calls wait already as may.
    #[error("the bulkhead is full: {waiting} calls wait already")]
    Full {
        /// How many may wait.
        waiting: usize,
    },
    /// It has waited for as long as it may.
    #[error("the bulkhead had no room within {after:?}")]
    WaitedTooLong {
        /// How long that is.
        after: Duration,
    },
    /// As many keys have calls already as may.
    #[error("the bulkhead is full: {max} keys have calls already")]
    TooManyKeys {
        /// How many may.
        max: usize,
    },
    /// The semaphore of the bulkhead was closed.
    #[error(transparent)]
    Closed(Closed),
    /// The error of the service inside.
    #[error(transparent)]
    Inner(E),
}

impl<E> BulkheadError<E> {
    /// Whether the call was rejected, for whichever reason. It has not reached the service inside.
    pub fn is_rejected(&self) -> bool {
        !matches!(self, BulkheadError::Inner(_))
    }

    /// Whether there was no room: not in the queue, or not for one more key.
    pub fn is_full(&self) -> bool {
        matches!(self, BulkheadError::Full { .. } | BulkheadError::TooManyKeys { .. })
    }

    /// The error from inside, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            BulkheadError::Inner(error) => Some(error),
            _ => None,
        }
    }
}
