//! Bulkheads with a compartment for each key.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::BulkheadError;
use super::bulkhead::{Bounds, BulkheadFuture};
use super::keys::{Keys, Lease};

/// Wraps services in [`KeyedBulkhead`]: each key that is read off a request, a tenant or a host, has a
/// bulkhead of its own, so that one that is slow or greedy does not take the places of the others. All
/// services that it makes share them.
///
/// # Memory
///
/// A key is kept while a call of it waits or is served, and not longer. So there are never more keys than
/// calls; [`with_max_keys`](Self::with_max_keys) bounds them further.
///
/// ```
/// use std::num::NonZeroUsize;
/// use tower::{ServiceExt, service_fn};
/// use ziggurat_patterns::{ServiceLayerExt, service::KeyedBulkheadLayer};
///
/// # futures::executor::block_on(async {
/// let stuck = service_fn(|_: &str| std::future::pending::<Result<(), std::io::Error>>());
/// let layer = KeyedBulkheadLayer::new(|tenant: &&'static str| *tenant, NonZeroUsize::MIN, 0);
/// let service = ServiceLayerExt::<&'static str>::layer(stuck, layer.clone());
/// let (mut alice, mut bob) = (service.clone().oneshot("alice"), service.clone().oneshot("bob"));
/// assert!(futures::poll!(&mut alice).is_pending()); // is being served
/// assert!(futures::poll!(&mut bob).is_pending()); // and so is he
/// assert!(service.oneshot("alice").await.unwrap_err().is_full());
/// assert_eq!(layer.keys(), 2);
/// drop((alice, bob));
/// assert_eq!(layer.keys(), 0);
/// # });
/// ```
#[must_use = "layers do nothing unless applied"]
pub struct KeyedBulkheadLayer<F, K, T = DefaultTimer> {
    key: F,
    limits: Limits<K>,
    timer: T,
}

struct Limits<K> {
    keys: Keys<K>,
    max_keys: NonZeroUsize,
    bounds: Bounds,
}

impl<F, K> KeyedBulkheadLayer<F, K> {
    /// Per key at most `max_calls` at a time, and at most `max_waiting` that wait. With a queue of 0
    /// nobody waits.
    pub fn new<Request>(key: F, max_calls: NonZeroUsize, max_waiting: usize) -> Self
    where
        F: FnMut(&Request) -> K,
    {
        let bounds = Bounds { max_waiting, max_wait: None };
        let limits = Limits { keys: Keys::new(max_calls), max_keys: NonZeroUsize::MAX, bounds };
        KeyedBulkheadLayer { key, limits, timer: DefaultTimer }
    }
}

impl<F, K, T> KeyedBulkheadLayer<F, K, T> {
    /// How many keys may have calls at a time. The calls of one more are rejected.
    pub fn with_max_keys(mut self, max_keys: NonZeroUsize) -> Self {
        self.limits.max_keys = max_keys;
        self
    }

    /// How long a call may wait, from the first poll of its future.
    pub fn with_max_wait(mut self, limit: Duration) -> Self {
        self.limits.bounds.max_wait = Some(limit);
        self
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> KeyedBulkheadLayer<F, K, U> {
        KeyedBulkheadLayer { key: self.key, limits: self.limits, timer }
    }

    /// How many keys have calls that wait or are served.
    pub fn keys(&self) -> usize {
        self.limits.keys.len()
    }
}

impl<S, F: Clone, K, T: Timer> Layer<S> for KeyedBulkheadLayer<F, K, T> {
    type Service = KeyedBulkhead<S, F, K, T>;

    fn layer(&self, inner: S) -> Self::Service {
        let (key, limits) = (self.key.clone(), self.limits.clone());
        KeyedBulkhead { inner, key, limits, timer: self.timer.clone() }
    }
}

/// A service with so many calls in flight per key, and so many that wait. Made by
/// [`KeyedBulkheadLayer`].
///
/// It is always ready, and serves as [`Bulkhead`](super::bulkhead::Bulkhead) does.
///
/// # Cancel safety
///
/// A call that is dropped while it waits leaves the queue, and has not reached the service inside.
pub struct KeyedBulkhead<S, F, K, T = DefaultTimer> {
    inner: S,
    key: F,
    limits: Limits<K>,
    timer: T,
}

impl<S, F, K, T> KeyedBulkhead<S, F, K, T> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, F, K, Request, T> Service<Request> for KeyedBulkhead<S, F, K, T>
where
    S: Service<Request> + Clone,
    F: FnMut(&Request) -> K,
    K: Hash + Eq + Clone,
    T: Timer,
{
    type Response = S::Response;
    type Error = BulkheadError<S::Error>;
    type Future = KeyedBulkheadFuture<S, Request, K, T>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (limits, max) = (&self.limits, self.limits.max_keys.get());
        let Some((semaphore, lease)) = limits.keys.lease((self.key)(&request), max) else {
            return KeyedBulkheadFuture { state: State::Refused { max } };
        };
        let (service, timer) = (self.inner.clone(), self.timer.clone());
        let call = BulkheadFuture::new(&semaphore, service, request, limits.bounds, timer);
        KeyedBulkheadFuture { state: State::Call { call, lease } }
    }
}

pin_project! {
    /// The future of [`KeyedBulkhead`].
    #[must_use = "futures do nothing unless polled"]
    pub struct KeyedBulkheadFuture<S, Request, K, T = DefaultTimer>
    where
        S: Service<Request>,
        K: Hash,
        K: Eq,
        T: Timer,
    {
        #[pin]
        state: State<BulkheadFuture<S, Request, T>, Lease<K>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, L> {
        // The lease last, so that the permit is given back first.
        Call { #[pin] call: F, lease: L },
        Refused { max: usize },
        Done,
    }
}

impl<S, Request, K, T> Future for KeyedBulkheadFuture<S, Request, K, T>
where
    S: Service<Request>,
    K: Hash + Eq,
    T: Timer,
{
    type Output = Result<S::Response, BulkheadError<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let result = match state.as_mut().project() {
            StateProj::Call { call, .. } => ready!(call.poll(cx)),
            StateProj::Refused { max } => Err(BulkheadError::TooManyKeys { max: *max }),
            StateProj::Done => panic!("the future was polled again after it had completed"),
        };
        state.set(State::Done);
        Poll::Ready(result)
    }
}

impl<K> Clone for Limits<K> {
    fn clone(&self) -> Self {
        Limits { keys: self.keys.clone(), ..*self }
    }
}

impl<F: Clone, K, T: Clone> Clone for KeyedBulkheadLayer<F, K, T> {
    fn clone(&self) -> Self {
        let (key, limits) = (self.key.clone(), self.limits.clone());
        KeyedBulkheadLayer { key, limits, timer: self.timer.clone() }
    }
}

impl<S: Clone, F: Clone, K, T: Clone> Clone for KeyedBulkhead<S, F, K, T> {
    fn clone(&self) -> Self {
        let (inner, key) = (self.inner.clone(), self.key.clone());
        KeyedBulkhead { inner, key, limits: self.limits.clone(), timer: self.timer.clone() }
    }
}

impl<K> fmt::Debug for Limits<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("keys", &self.keys)
            .field("max_keys", &self.max_keys)
            .field("bounds", &self.bounds)
            .finish()
    }
}

impl<F, K, T> fmt::Debug for KeyedBulkheadLayer<F, K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBulkheadLayer").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, F, K, T> fmt::Debug for KeyedBulkhead<S, F, K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBulkhead")
            .field("inner", &self.inner)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<S, Request, K, T> fmt::Debug for KeyedBulkheadFuture<S, Request, K, T>
where
    S: Service<Request>,
    K: Hash + Eq,
    T: Timer,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBulkheadFuture").finish_non_exhaustive()
    }
}
