//! What a circuit breaker says.

use std::fmt;
use std::time::Duration;

/// The breaker lets no call through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub struct Open {
    /// When a call is let through again, from now; `None` while probes are under way, because that
    /// depends on them.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.retry_after {
            Some(after) => write!(f, "the circuit breaker is open for another {after:?}"),
            None => f.write_str("the circuit breaker waits for its probes"),
        }
    }
}

/// The call was rejected, or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CircuitBreakerError<E> {
    /// The breaker let no call through; the service inside was not called.
    #[error(transparent)]
    Open(Open),
    /// The error of the service inside.
    #[error(transparent)]
    Inner(E),
}

impl<E> CircuitBreakerError<E> {
    /// Whether the call was rejected.
    pub fn is_open(&self) -> bool {
        matches!(self, CircuitBreakerError::Open(_))
    }

    /// When it is worth to try again, if the call was rejected and that is known. Retries can take
    /// this as their hint: `RetryLayer::hint(CircuitBreakerError::retry_after)`.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            CircuitBreakerError::Open(open) => open.retry_after,
            CircuitBreakerError::Inner(_) => None,
        }
    }

    /// The error from inside, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            CircuitBreakerError::Open(_) => None,
            CircuitBreakerError::Inner(error) => Some(error),
        }
    }
}
