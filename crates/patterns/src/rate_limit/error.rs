//! What a rate limit says.

use std::time::Duration;

/// The quota has no room at present, or never will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// It is too soon.
    #[error("the rate limit is exceeded; there is room in {wait:?}")]
    TooSoon {
        /// How long until there is room, if nobody else takes it.
        wait: Duration,
    },
    /// It weighs more than the quota's burst, so it would never be admitted.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

impl Rejected {
    /// How long to wait; `None` if that is of no use.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Rejected::TooSoon { wait } => Some(*wait),
            Rejected::TooLarge(_) => None,
        }
    }
}

/// Something weighs more than the quota's burst, so it would never be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("a cost of {cost} is never admitted by a quota with a burst of {burst}")]
pub struct TooLarge {
    /// The cost, in cells.
    pub cost: u32,
    /// The quota's burst, in cells.
    pub burst: u32,
}

/// An item or request was not admitted, or whatever is inside failed.
///
/// `I` is the item, which streams and sinks hand back. A service keeps nothing: `I` is `()` there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateLimitError<E, I = ()> {
    /// There was no room for it.
    #[error("{reason}")]
    Rejected {
        /// Why, and for how long.
        reason: Rejected,
        /// What was not admitted.
        item: I,
    },
    /// The error of the stream, sink or service inside.
    #[error(transparent)]
    Inner(E),
}

impl<E, I> RateLimitError<E, I> {
    /// Whether it was not admitted.
    pub fn is_rejected(&self) -> bool {
        matches!(self, RateLimitError::Rejected { .. })
    }

    /// How long to wait; `None` if it was not rejected, or waiting is of no use.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            RateLimitError::Rejected { reason, .. } => reason.wait(),
            RateLimitError::Inner(_) => None,
        }
    }

    /// What was not admitted.
    pub fn into_item(self) -> Option<I> {
        match self {
            RateLimitError::Rejected { item, .. } => Some(item),
            RateLimitError::Inner(_) => None,
        }
    }

    /// The error from inside, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            RateLimitError::Rejected { .. } => None,
            RateLimitError::Inner(error) => Some(error),
        }
    }
}
