//! Services behind a circuit breaker.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::breaker::Permit;
use super::{CircuitBreaker as Breaker, CircuitBreakerError, Open};

/// Decides which answers a circuit breaker counts as failures.
///
/// [`EveryError`] does; so does every `Fn(Result<&Response, &Error>) -> bool`.
pub trait Classify<Response, Error> {
    /// Whether this answer is a failure of the service, and not, say, of the one who asked.
    fn is_failure(&self, result: Result<&Response, &Error>) -> bool;
}

impl<F, Response, Error> Classify<Response, Error> for F
where
    F: Fn(Result<&Response, &Error>) -> bool,
{
    #[inline]
    fn is_failure(&self, result: Result<&Response, &Error>) -> bool {
        self(result)
    }
}

/// Counts every error as a failure.
#[derive(Debug, Clone, Copy, Default)]
pub struct EveryError;

impl<Response, Error> Classify<Response, Error> for EveryError {
    #[inline]
    fn is_failure(&self, result: Result<&Response, &Error>) -> bool {
        result.is_err()
    }
}

/// Wraps services in [`CircuitBreaker`]. All of them share the breaker.
///
/// ```
/// use std::{io, num::NonZeroU32};
/// use ziggurat_patterns::circuit_breaker::{CircuitBreaker, Config, State};
/// use ziggurat_patterns::{Service, ServiceLayerExt, service::CircuitBreakerLayer};
///
/// # futures::executor::block_on(async {
/// let breaker = CircuitBreaker::new(Config::consecutive(NonZeroU32::MIN)).unwrap();
/// let layer = CircuitBreakerLayer::new(breaker.clone())
///     .classify(|result: Result<&(), &io::Error>| {
///         result.is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
///     });
/// let broken = tower::service_fn(|kind| async move { Err::<(), _>(io::Error::from(kind)) });
/// let mut service = broken.layer(layer);
///
/// assert!(!service.call(io::ErrorKind::NotFound).await.unwrap_err().is_open());
/// assert_eq!(breaker.state(), State::Closed);
/// assert!(!service.call(io::ErrorKind::TimedOut).await.unwrap_err().is_open());
/// assert_eq!(breaker.state(), State::Open);
/// assert!(service.call(io::ErrorKind::TimedOut).await.unwrap_err().is_open());
/// # });
/// ```
#[derive(Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct CircuitBreakerLayer<C = EveryError, T = DefaultTimer> {
    breaker: Breaker<T>,
    classify: C,
}

impl<T> CircuitBreakerLayer<EveryError, T> {
    /// Every error counts as a failure.
    pub fn new(breaker: Breaker<T>) -> Self {
        CircuitBreakerLayer { breaker, classify: EveryError }
    }
}

impl<C, T> CircuitBreakerLayer<C, T> {
    /// Counts those answers as failures for which `is_failure` holds.
    pub fn classify<Response, Error, F>(self, is_failure: F) -> CircuitBreakerLayer<F, T>
    where
        F: Fn(Result<&Response, &Error>) -> bool,
    {
        CircuitBreakerLayer { breaker: self.breaker, classify: is_failure }
    }
}

impl<S, C: Clone, T: Clone> Layer<S> for CircuitBreakerLayer<C, T> {
    type Service = CircuitBreaker<S, C, T>;

    fn layer(&self, inner: S) -> CircuitBreaker<S, C, T> {
        let (breaker, classify) = (self.breaker.clone(), self.classify.clone());
        CircuitBreaker { inner, skipped: false, breaker, classify }
    }
}

impl<C, T> fmt::Debug for CircuitBreakerLayer<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerLayer")
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

/// A service whose calls a circuit breaker watches. Made by [`CircuitBreakerLayer`].
///
/// Calls are rejected by their response, not by `poll_ready`: an error there would say that the
/// service is lost for good, and `Pending` would queue what should fail fast. So while the breaker is
/// open, this service is ready without asking the one inside, and its calls fail at once.
///
/// Only answers are counted. A call that is dropped is not, and an error of `poll_ready` is passed on.
///
/// When the breaker opens between `poll_ready` and the call, the call is rejected, and the service inside
/// stays ready for the next call that is let through. Who waits for it in `poll_ready` goes on to do so:
/// an opening breaker wakes nobody.
///
/// Clones share the breaker, but not the readiness.
///
/// # Cancel safety
///
/// Dropping the response future of a probe gives its place to another.
pub struct CircuitBreaker<S, C = EveryError, T = DefaultTimer> {
    inner: S,
    /// Whether this was said to be ready without asking the service inside.
    skipped: bool,
    breaker: Breaker<T>,
    classify: C,
}

impl<S, C, T> CircuitBreaker<S, C, T> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The breaker.
    pub fn breaker(&self) -> &Breaker<T> {
        &self.breaker
    }
}

impl<S: Clone, C: Clone, T: Clone> Clone for CircuitBreaker<S, C, T> {
    fn clone(&self) -> Self {
        CircuitBreaker {
            inner: self.inner.clone(),
            skipped: false,
            breaker: self.breaker.clone(),
            classify: self.classify.clone(),
        }
    }
}

impl<S, C, T, Request> Service<Request> for CircuitBreaker<S, C, T>
where
    S: Service<Request>,
    C: Classify<S::Response, S::Error> + Clone,
    T: Timer,
{
    type Response = S::Response;
    type Error = CircuitBreakerError<S::Error>;
    type Future = CircuitBreakerFuture<S::Future, C, T>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.skipped = self.breaker.rejects().is_some();
        if self.skipped {
            return Poll::Ready(Ok(()));
        }
        self.inner.poll_ready(cx).map_err(CircuitBreakerError::Inner)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let state = match self.permit() {
            Ok(permit) => {
                let future = self.inner.call(request);
                State::Called { future, permit: Some(permit), classify: self.classify.clone() }
            }
            Err(open) => State::Rejected { open },
        };
        CircuitBreakerFuture { state }
    }
}

impl<S, C, T: Timer> CircuitBreaker<S, C, T> {
    #[inline]
    fn permit(&self) -> Result<Permit<T>, Open> {
        if !self.skipped {
            return self.breaker.try_acquire();
        }
        Err(self.breaker.rejects().unwrap_or(Open { retry_after: None }))
    }
}

impl<S: fmt::Debug, C, T> fmt::Debug for CircuitBreaker<S, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("inner", &self.inner)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`CircuitBreaker`].
    #[must_use = "futures do nothing unless polled"]
    pub struct CircuitBreakerFuture<F, C, T: Timer = DefaultTimer> {
        #[pin]
        state: State<F, C, T>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, C, T: Timer> {
        Called { #[pin] future: F, permit: Option<Permit<T>>, classify: C },
        Rejected { open: Open },
    }
}

impl<F, C, T, Response, Error> Future for CircuitBreakerFuture<F, C, T>
where
    F: Future<Output = Result<Response, Error>>,
    C: Classify<Response, Error>,
    T: Timer,
{
    type Output = Result<Response, CircuitBreakerError<Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Called { future, permit, classify } => {
                let result = ready!(future.poll(cx));
                if let Some(permit) = permit.take() {
                    permit.finish(classify.is_failure(result.as_ref()));
                }
                Poll::Ready(result.map_err(CircuitBreakerError::Inner))
            }
            StateProj::Rejected { open } => Poll::Ready(Err(CircuitBreakerError::Open(*open))),
        }
    }
}

impl<F, C, T: Timer> fmt::Debug for CircuitBreakerFuture<F, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rejected = matches!(self.state, State::Rejected { .. });
        f.debug_struct("CircuitBreakerFuture").field("rejected", &rejected).finish_non_exhaustive()
    }
}
