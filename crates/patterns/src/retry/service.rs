//! Calls that are made again.

use std::task::{Context, Poll};
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;
use ziggurat_core::time::{DefaultTimer, Timer};

pub use super::future::RetryFuture;
use super::{
    AnyError, Attempts, Backoff, Budget, GaveUp, Hinted, Limit, Limits, MakeBackoff, Policy,
    RetryError,
};

/// Wraps services in [`Retry`].
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::time::Duration;
/// use ziggurat_patterns::retry::Backoff;
/// use ziggurat_patterns::{Service, ServiceLayerExt, service::RetryLayer};
///
/// # futures::executor::block_on(async {
/// let calls = AtomicU32::new(0);
/// let flaky = tower::service_fn(|name: &'static str| {
///     let call = calls.fetch_add(1, Ordering::Relaxed);
///     async move { if call < 2 { Err(Error::from(ErrorKind::TimedOut)) } else { Ok(name.len()) } }
/// });
/// let backoff = Backoff::exponential(Duration::from_millis(1)).with_full_jitter();
/// let retry = RetryLayer::new(backoff)
///     .when(|error: &Error| error.kind() == ErrorKind::TimedOut)
///     .max_retries(5)
///     .max_elapsed(Duration::from_secs(2));
/// assert_eq!((&flaky).layer(retry).call("three").await.unwrap(), 5);
/// # });
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct RetryLayer<P = AnyError, B = Backoff, T = DefaultTimer, L = Attempts> {
    setup: Setup<P, B, T, L>,
}

/// What each call has a copy of.
#[derive(Debug, Clone)]
pub(super) struct Setup<P, B, T, L> {
    pub(super) policy: P,
    pub(super) backoff: B,
    pub(super) limits: L,
    pub(super) timer: T,
}

impl<B> RetryLayer<AnyError, B> {
    /// Retries every error, at most 3 times.
    pub fn new(backoff: B) -> Self {
        let limits = Attempts::default();
        RetryLayer { setup: Setup { policy: AnyError, backoff, limits, timer: DefaultTimer } }
    }
}

impl<P, B, T, L: Limit> RetryLayer<P, B, T, L> {
    /// Retries only the errors for which `predicate` holds.
    pub fn when<E, F>(self, predicate: F) -> RetryLayer<super::When<F>, B, T, L>
    where
        F: Fn(&E) -> bool,
    {
        self.policy(super::When(predicate))
    }

    /// Retries what `policy` decides to: answers too, and of requests that need not be `Clone`.
    pub fn policy<Q>(self, policy: Q) -> RetryLayer<Q, B, T, L> {
        let Setup { backoff, limits, timer, .. } = self.setup;
        RetryLayer { setup: Setup { policy, backoff, limits, timer } }
    }

    /// `hint` finds how long an error wants us to wait, as `Retry-After` of HTTP says. It takes the place
    /// of the backoff's delay; a backoff that ends still ends the retries. The wait is never shorter; if
    /// the limits have no room for it, there is no further attempt.
    pub fn hint<E, F>(self, hint: F) -> RetryLayer<Hinted<P, F>, B, T, L>
    where
        F: Fn(&E) -> Option<Duration>,
    {
        let Setup { policy, backoff, limits, timer } = self.setup;
        let policy = Hinted::new(policy, hint);
        RetryLayer { setup: Setup { policy, backoff, limits, timer } }
    }

    /// At most so many retries, after the first attempt.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.setup.limits.set_max_retries(retries);
        self
    }

    /// As many retries as the other limits allow.
    pub fn unlimited_retries(self) -> Self {
        self.max_retries(u32::MAX)
    }

    /// No retry starts later than `limit` after the first attempt: where the delay before it would end
    /// later, the last error is returned at once. An attempt that is under way is not cut short, nor is
    /// the wait for the service to be ready; put a timeout inside for that.
    ///
    /// With this, the clock is read when the first attempt is not answered at once, or fails.
    pub fn max_elapsed(self, limit: Duration) -> RetryLayer<P, B, T, Limits> {
        self.limited(|limits| limits.set_max_elapsed(limit))
    }

    /// Each call deposits in `budget`, and each retry is made only if it can withdraw from it.
    pub fn budget(self, budget: impl Budget + 'static) -> RetryLayer<P, B, T, Limits> {
        self.limited(|limits| limits.set_budget(budget))
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> RetryLayer<P, B, U, L> {
        let Setup { policy, backoff, limits, .. } = self.setup;
        RetryLayer { setup: Setup { policy, backoff, limits, timer } }
    }

    fn limited(self, set: impl FnOnce(&mut Limits)) -> RetryLayer<P, B, T, Limits> {
        let Setup { policy, backoff, limits, timer } = self.setup;
        let mut limits = limits.into();
        set(&mut limits);
        RetryLayer { setup: Setup { policy, backoff, limits, timer } }
    }
}

impl<S, P: Clone, B: Clone, T: Clone, L: Clone> Layer<S> for RetryLayer<P, B, T, L> {
    type Service = Retry<S, P, B, T, L>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry { inner, setup: self.setup.clone() }
    }
}

/// A service that makes failed calls again. Made by [`RetryLayer`].
///
/// An answer that is to be retried, by its [`Policy`], is returned as it is when a limit is reached: only
/// errors become [`RetryError`]s.
///
/// Retries go to a clone of the service inside, which is waited for until it is ready, as any other.
///
/// # Cancel safety
///
/// Dropping the response future cancels the attempt that is under way, or the wait before the next.
#[derive(Debug, Clone)]
pub struct Retry<S, P = AnyError, B = Backoff, T = DefaultTimer, L = Attempts> {
    inner: S,
    setup: Setup<P, B, T, L>,
}

impl<S, P, B, T, L> Retry<S, P, B, T, L> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, P, B, T, L, Request> Service<Request> for Retry<S, P, B, T, L>
where
    S: Service<Request> + Clone,
    P: Policy<Request, S::Response, S::Error> + Clone,
    B: MakeBackoff + Clone,
    T: Timer,
    L: Limit,
{
    type Response = S::Response;
    type Error = RetryError<S::Error>;
    type Future = RetryFuture<S, P, B, T, Request, L>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(|error| RetryError::new(GaveUp::NotReady, 0, None, error))
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        if let Some(budget) = self.setup.limits.budget() {
            budget.deposit();
        }
        let mut setup = self.setup.clone();
        let copy = setup.policy.clone_request(&request);
        // The one that is ready is called; the clone for the retries is made ready when it is needed.
        let call = self.inner.call(request);
        RetryFuture::new(call, copy, self.inner.clone(), setup)
    }
}
