//! What a shutdown says.

/// The shutdown has begun, so nothing new is taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("shutting down")]
pub struct Refused;

/// Not everything was finished in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{left} operations are still in flight")]
pub struct DrainError {
    /// How much is still under way.
    pub left: usize,
}

/// The shutdown came in between, or whatever is inside failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError<E> {
    /// It has begun, so nothing new is taken on.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What was under way has been ended.
    #[error("aborted by the shutdown")]
    Aborted,
    /// The error of the stream, service or sink inside.
    #[error(transparent)]
    Inner(E),
}

impl<E> ShutdownError<E> {
    /// Whether it came too late.
    pub fn is_refused(&self) -> bool {
        matches!(self, ShutdownError::Refused(_))
    }

    /// Whether it was ended while it was under way.
    pub fn is_aborted(&self) -> bool {
        matches!(self, ShutdownError::Aborted)
    }

    /// The error from inside, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            ShutdownError::Inner(error) => Some(error),
            _ => None,
        }
    }
}
