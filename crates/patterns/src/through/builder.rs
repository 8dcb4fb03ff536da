//! What is said before the first call.

use std::num::NonZeroUsize;

use futures_core::Stream;
use tower_service::Service;

use super::{Ordered, Unordered};

/// A concurrency of 0 would never call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number of concurrent calls must not be zero")]
pub struct ZeroConcurrency;

/// A stream of requests and a service for them: says how many calls may be in flight, and makes the
/// stream of responses. Made by [`through`](crate::StreamLayerExt::through).
///
/// One call at a time, unless [`concurrency`](Self::concurrency) says otherwise.
///
/// ```
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{StreamLayerExt, through::ZeroConcurrency};
///
/// # fn main() -> Result<(), ZeroConcurrency> {
/// let echo = tower::service_fn(|n: u32| async move { Ok::<_, std::fmt::Error>(n) });
/// let answers = stream::iter([1, 2]).through(echo).try_concurrency(8)?.unordered();
/// # let answers: Vec<_> = futures::executor::block_on(answers.collect());
/// # assert_eq!(answers, [Ok(1), Ok(2)]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it is not a stream yet: `ordered` or `unordered` make one"]
pub struct Through<St, Svc> {
    source: St,
    service: Svc,
    limit: NonZeroUsize,
    release: Option<fn(&Svc) -> Svc>,
}

impl<St, Svc> Through<St, Svc> {
    pub(crate) fn new(source: St, service: Svc) -> Self {
        Through { source, service, limit: NonZeroUsize::MIN, release: None }
    }

    /// How many calls may be in flight, or finished and not yet taken.
    pub fn concurrency(mut self, calls: NonZeroUsize) -> Self {
        self.limit = calls;
        self
    }

    /// As [`concurrency`](Self::concurrency), with a number that may come from a configuration.
    ///
    /// # Errors
    ///
    /// [`ZeroConcurrency`], when it is 0.
    pub fn try_concurrency(self, calls: usize) -> Result<Self, ZeroConcurrency> {
        Ok(self.concurrency(NonZeroUsize::new(calls).ok_or(ZeroConcurrency)?))
    }

    /// Gives the service's readiness back whenever the source has nothing to offer, by putting a clone
    /// in its place: a stream that idles then takes no permit of a shared limit. Each time costs a
    /// clone.
    pub fn release_idle(mut self) -> Self
    where
        Svc: Clone,
    {
        self.release = Some(Svc::clone);
        self
    }

    /// Responses in the order of their requests: a call that is done waits for those before it.
    pub fn ordered(self) -> Ordered<St, Svc>
    where
        St: Stream,
        Svc: Service<St::Item>,
    {
        Ordered::new(self.source, self.service, self.limit.get(), self.release)
    }

    /// Responses as their calls finish.
    pub fn unordered(self) -> Unordered<St, Svc>
    where
        St: Stream,
        Svc: Service<St::Item>,
    {
        Unordered::new(self.source, self.service, self.limit.get(), self.release)
    }
}
