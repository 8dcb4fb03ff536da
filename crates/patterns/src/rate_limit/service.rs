//! Rate limits of services.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tower_layer::Layer;
use tower_service::Service;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::{KeyedRateLimiter, Quota, RateLimiter, Unit, Waiter};

pub use super::meter::{ByKey, Meter, RateLimitFuture, TryRateLimit, TryRateLimitLayer, Weighted};

/// Wraps services in [`RateLimit`]: the service is ready when there is room.
///
/// The layer, its clones, all services that they make and the clones of those share one quota: other than
/// with tower's layer of the same name, a clone per connection multiplies nothing.
///
/// ```
/// use std::num::NonZeroU32;
/// use tower::{ServiceExt, service_fn};
/// use ziggurat_patterns::{Service, ServiceLayerExt, rate_limit::Quota, service::RateLimitLayer};
/// use ziggurat_patterns::time::TestClock;
///
/// let clock = TestClock::new();
/// let echo = service_fn(|n: u32| async move { Ok::<_, std::io::Error>(n) });
/// let layer = RateLimitLayer::new(Quota::per_second(NonZeroU32::MIN)).with_timer(clock.clone());
/// let mut service = ServiceLayerExt::<u32>::layer(echo, layer);
/// clock.block_on(async {
///     for n in 0..3 {
///         service.ready().await.unwrap().call(n).await.unwrap();
///     }
/// });
/// assert_eq!(clock.elapsed().as_secs(), 2);
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct RateLimitLayer<T = DefaultTimer> {
    limiter: RateLimiter<T>,
}

impl RateLimitLayer {
    /// One cell per call.
    pub fn new(quota: Quota) -> Self {
        Self::shared(RateLimiter::new(quota))
    }
}

impl<T> RateLimitLayer<T> {
    /// A quota that others use too.
    pub fn shared(limiter: RateLimiter<T>) -> Self {
        RateLimitLayer { limiter }
    }

    /// Uses another timer, and a new quota with it.
    pub fn with_timer<U: Timer>(self, timer: U) -> RateLimitLayer<U> {
        RateLimitLayer { limiter: self.limiter.with_timer(timer) }
    }

    /// A call costs as many cells as `cost` says of its request.
    pub fn weighted<C>(self, cost: C) -> TryRateLimitLayer<Weighted<C, T>> {
        TryRateLimitLayer::new(Weighted { limiter: self.limiter, cost })
    }

    /// A call for which there is no room is rejected.
    pub fn enforcing(self) -> TryRateLimitLayer<Weighted<Unit, T>> {
        self.weighted(Unit).enforcing()
    }

    /// Each key that `key` reads off a request has a quota of its own, of the same size.
    pub fn by_key<F, K>(self, key: F) -> TryRateLimitLayer<ByKey<F, K, T>>
    where
        T: Timer,
    {
        let limiter = KeyedRateLimiter::new(*self.limiter.quota());
        let limiter = limiter.with_timer(self.limiter.timer().clone());
        TryRateLimitLayer::new(ByKey { limiter, key })
    }
}

impl<S, T: Timer> Layer<S> for RateLimitLayer<T> {
    type Service = RateLimit<S, T>;

    fn layer(&self, inner: S) -> RateLimit<S, T> {
        RateLimit { inner, cell: Reserved::new(self.limiter.clone()), waiter: None }
    }
}

/// A cell that was taken and not used yet. It is given back on drop.
pub(super) struct Reserved<T: Timer> {
    limiter: RateLimiter<T>,
    /// When, in the timer's nanoseconds.
    pub(super) taken: Option<u64>,
}

impl<T: Timer> Reserved<T> {
    pub(super) fn new(limiter: RateLimiter<T>) -> Self {
        Reserved { limiter, taken: None }
    }

    pub(super) fn give_back(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.limiter.give_back_unit(taken);
        }
    }
}

impl<T: Timer> Drop for Reserved<T> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A service that is ready when there is room. Made by [`RateLimitLayer`].
///
/// Readiness takes a cell, before the service inside is asked, and the cell counts from then on. If there
/// is no call, dropping the service gives it back, and so does an error of the service inside. A clone
/// shares the quota, and is not ready.
///
/// # Panics
///
/// `call` panics if `poll_ready` has not returned `Ready(Ok(()))` before.
pub struct RateLimit<S, T: Timer = DefaultTimer> {
    inner: S,
    cell: Reserved<T>,
    /// Made when it has to wait for the first time. Services are not pinned, so what waits is boxed.
    waiter: Option<Pin<Box<Waiter<T>>>>,
}

impl<S, T: Timer> RateLimit<S, T> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    #[inline(never)]
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limiter = &self.cell.limiter;
        let waiter = self.waiter.get_or_insert_with(|| Box::pin(limiter.waiter()));
        // A single cell is never too much.
        self.cell.taken = ready!(waiter.as_mut().poll_take(1, cx)).ok();
        Poll::Ready(())
    }
}

impl<S: Clone, T: Timer> Clone for RateLimit<S, T> {
    fn clone(&self) -> Self {
        let cell = Reserved::new(self.cell.limiter.clone());
        RateLimit { inner: self.inner.clone(), cell, waiter: None }
    }
}

impl<S: Service<Request>, Request, T: Timer> Service<Request> for RateLimit<S, T> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.cell.taken.is_none() {
            self.cell.taken = self.cell.limiter.try_take_unit();
            if self.cell.taken.is_none() {
                ready!(self.poll_wait(cx));
            }
        }
        let polled = self.inner.poll_ready(cx);
        if let Poll::Ready(Err(_)) = polled {
            self.cell.give_back();
        }
        polled
    }

    #[inline]
    fn call(&mut self, request: Request) -> S::Future {
        assert!(self.cell.taken.take().is_some(), "`poll_ready` must be called first");
        self.inner.call(request)
    }
}

impl<S: fmt::Debug, T: Timer> fmt::Debug for RateLimit<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("inner", &self.inner)
            .field("limiter", &self.cell.limiter)
            .field("ready", &self.cell.taken.is_some())
            .finish_non_exhaustive()
    }
}
