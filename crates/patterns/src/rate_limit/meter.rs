//! Rate limits of services whose requests are told apart: by weight, or by key.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::{Acquire, Cost, KeyedRateLimiter, Mode, RateLimitError, RateLimiter, Rejected};

/// Which limiter a request is for, and what it costs. [`Weighted`] and [`ByKey`] are all there are.
pub trait Meter<Request>: sealed::Sealed {
    /// What time goes by.
    type Timer: Timer;

    /// The limiter and the cells.
    fn measure(&mut self, request: &Request) -> (RateLimiter<Self::Timer>, u32);
}

mod sealed {
    pub trait Sealed {}
    impl<C, T> Sealed for super::Weighted<C, T> {}
    impl<F, K, T> Sealed for super::ByKey<F, K, T> {}
}

/// One quota for all requests, each of which has a cost.
#[derive(Clone)]
pub struct Weighted<C, T = DefaultTimer> {
    pub(super) limiter: RateLimiter<T>,
    pub(super) cost: C,
}

impl<C: Cost<Request>, Request, T: Timer> Meter<Request> for Weighted<C, T> {
    type Timer = T;

    fn measure(&mut self, request: &Request) -> (RateLimiter<T>, u32) {
        (self.limiter.clone(), self.cost.cost(request))
    }
}

impl<C, T> fmt::Debug for Weighted<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weighted").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}

/// One quota for each key.
#[derive(Clone)]
pub struct ByKey<F, K, T = DefaultTimer> {
    pub(super) limiter: KeyedRateLimiter<K, T>,
    pub(super) key: F,
}

impl<F, K, Request, T> Meter<Request> for ByKey<F, K, T>
where
    F: FnMut(&Request) -> K,
    K: Hash + Eq + Clone,
    T: Timer,
{
    type Timer = T;

    fn measure(&mut self, request: &Request) -> (RateLimiter<T>, u32) {
        (self.limiter.get(&(self.key)(request)), 1)
    }
}

impl<F, K, T> fmt::Debug for ByKey<F, K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByKey").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}

/// Wraps services in [`TryRateLimit`]: with weights, by key, or rejecting. Made by the methods of
/// [`RateLimitLayer`](super::service::RateLimitLayer).
///
/// ```
/// use std::num::NonZeroU32;
/// use tower::{ServiceExt, service_fn};
/// use ziggurat_patterns::{ServiceLayerExt, rate_limit::Quota, service::RateLimitLayer};
///
/// # futures::executor::block_on(async {
/// let greet = service_fn(|name: &'static str| async move { Ok::<_, std::io::Error>(name.len()) });
/// let layer = RateLimitLayer::new(Quota::per_hour(NonZeroU32::MIN))
///     .by_key(|name: &&'static str| *name)
///     .enforcing();
/// let service = ServiceLayerExt::<&'static str>::layer(greet, layer);
/// assert_eq!(service.clone().oneshot("alice").await.unwrap(), 5);
/// assert_eq!(service.clone().oneshot("bob").await.unwrap(), 3);
/// assert!(service.oneshot("alice").await.unwrap_err().is_rejected());
/// # });
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct TryRateLimitLayer<M> {
    meter: M,
    mode: Mode,
}

impl<M> TryRateLimitLayer<M> {
    pub(super) fn new(meter: M) -> Self {
        TryRateLimitLayer { meter, mode: Mode::Shaping }
    }

    /// What becomes of a call for which there is no room.
    pub fn with_mode(self, mode: Mode) -> Self {
        TryRateLimitLayer { mode, ..self }
    }

    /// Rejects a call for which there is no room. The service inside does not see it.
    pub fn enforcing(self) -> Self {
        self.with_mode(Mode::Enforcing)
    }
}

impl<F, K: Hash + Eq, T: Timer> TryRateLimitLayer<ByKey<F, K, T>> {
    /// The quotas of the keys, for those who use them too, or who forget keys at times of their own.
    pub fn limiter(&self) -> &KeyedRateLimiter<K, T> {
        &self.meter.limiter
    }
}

impl<S, M: Clone> Layer<S> for TryRateLimitLayer<M> {
    type Service = TryRateLimit<S, M>;

    fn layer(&self, inner: S) -> TryRateLimit<S, M> {
        TryRateLimit { inner, meter: self.meter.clone(), mode: self.mode }
    }
}

/// A service whose requests are weighed, have keys, or are rejected. Made by [`TryRateLimitLayer`].
///
/// What a request costs is known only when it comes. If there is room, it is passed on in `call`. Else
/// it waits in the call's future, together with the service inside that is ready for it; in the place
/// of that comes a clone.
///
/// # Cancel safety
///
/// A call that is dropped while it waits has taken nothing from the quota, and has not reached the
/// service inside.
#[derive(Debug, Clone)]
pub struct TryRateLimit<S, M> {
    inner: S,
    meter: M,
    mode: Mode,
}

impl<S, M> TryRateLimit<S, M> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, M, Request> Service<Request> for TryRateLimit<S, M>
where
    S: Service<Request> + Clone,
    M: Meter<Request>,
{
    type Response = S::Response;
    type Error = RateLimitError<S::Error>;
    type Future = RateLimitFuture<S, Request, M::Timer>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(RateLimitError::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (limiter, cells) = self.meter.measure(&request);
        let state = match limiter.try_acquire(cells) {
            Ok(()) => State::Call { future: self.inner.call(request) },
            Err(Rejected::TooSoon { .. }) if self.mode == Mode::Shaping => {
                let clone = self.inner.clone();
                let call = Some((mem::replace(&mut self.inner, clone), request));
                State::Wait { acquire: limiter.acquire(cells), call }
            }
            // The service inside stays ready for the next one.
            Err(reason) => State::Rejected { reason },
        };
        RateLimitFuture { state }
    }
}

pin_project! {
    /// The future of [`TryRateLimit`].
    #[must_use = "futures do nothing unless polled"]
    pub struct RateLimitFuture<S: Service<Request>, Request, T: Timer = DefaultTimer> {
        #[pin]
        state: State<S, S::Future, Request, T>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, Request, T: Timer> {
        Rejected { reason: Rejected },
        Wait { #[pin] acquire: Acquire<T>, call: Option<(S, Request)> },
        Call { #[pin] future: F },
    }
}

impl<S: Service<Request>, Request, T: Timer> Future for RateLimitFuture<S, Request, T> {
    type Output = Result<S::Response, RateLimitError<S::Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let rejected = match state.as_mut().project() {
                StateProj::Call { future } => {
                    return future.poll(cx).map_err(RateLimitError::Inner);
                }
                StateProj::Rejected { reason } => *reason,
                StateProj::Wait { acquire, call } => match ready!(acquire.poll(cx)) {
                    Err(too_large) => too_large.into(),
                    Ok(()) => {
                        let (mut service, request) = call.take().expect("it waits once");
                        let future = service.call(request);
                        state.set(State::Call { future });
                        continue;
                    }
                },
            };
            return Poll::Ready(Err(RateLimitError::Rejected { reason: rejected, item: () }));
        }
    }
}

impl<S: Service<Request>, Request, T: Timer> fmt::Debug for RateLimitFuture<S, Request, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitFuture").finish_non_exhaustive()
    }
}
