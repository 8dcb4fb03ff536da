//! Why there was no further attempt.

use std::fmt;
use std::time::Duration;

/// Why there was no further attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GaveUp {
    /// The policy does not want this error to be retried.
    NotRetryable,
    /// The policy did not clone the request, so there was nothing to send again.
    NotCloned,
    /// As many retries as are allowed were made.
    Attempts,
    /// The next retry would have come after the time that is allowed.
    Elapsed,
    /// The retry budget was used up.
    Budget,
    /// The backoff's delays came to an end.
    Backoff,
    /// The service inside failed to become ready, which services do not recover from.
    NotReady,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GaveUp::NotRetryable => "the error is not to be retried",
            GaveUp::NotCloned => "the request cannot be sent again",
            GaveUp::Attempts => "no retry is left",
            GaveUp::Elapsed => "no time is left for another retry",
            GaveUp::Budget => "the retry budget is used up",
            GaveUp::Backoff => "the backoff has ended",
            GaveUp::NotReady => "the service cannot become ready",
        })
    }
}

/// The last error, and why there was no further attempt.
///
/// ```
/// use ziggurat_patterns::{Service, ServiceLayerExt};
/// use ziggurat_patterns::retry::{Backoff, GaveUp};
///
/// # futures::executor::block_on(async {
/// let broken = tower::service_fn(|_: u32| async { Err::<(), _>(std::io::Error::other("broken")) });
/// let error = broken.retry(Backoff::none()).call(1).await.unwrap_err();
/// assert_eq!(error.to_string(), "gave up after 4 attempts: no retry is left");
/// assert_eq!(error.reason(), GaveUp::Attempts);
/// assert_eq!(error.into_inner().to_string(), "broken");
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gave up after {attempts} attempts: {reason}")]
pub struct RetryError<E> {
    reason: GaveUp,
    attempts: u32,
    elapsed: Option<Duration>,
    #[source]
    error: E,
}

impl<E> RetryError<E> {
    pub(crate) fn new(reason: GaveUp, attempts: u32, elapsed: Option<Duration>, error: E) -> Self {
        RetryError { reason, attempts, elapsed, error }
    }

    /// Why there was no further attempt.
    pub fn reason(&self) -> GaveUp {
        self.reason
    }

    /// How many attempts there were. Of a stream: since it last made progress.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long they took, if that is limited.
    pub fn elapsed(&self) -> Option<Duration> {
        self.elapsed
    }

    /// Whether this error was not to be retried; else it was, and some limit was in the way.
    pub fn is_not_retryable(&self) -> bool {
        self.reason == GaveUp::NotRetryable
    }

    /// The last error.
    pub fn get_ref(&self) -> &E {
        &self.error
    }

    /// The last error.
    pub fn into_inner(self) -> E {
        self.error
    }
}
