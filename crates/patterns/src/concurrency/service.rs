//! Concurrency limits of services.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Permit, PollSemaphore, Semaphore};

/// Wraps services in [`ConcurrencyLimit`]. Each service that it makes has a limit of its own, which its
/// clones share.
///
/// ```
/// use std::num::NonZeroUsize;
/// use tower::{ServiceExt, service_fn};
/// use ziggurat_patterns::{Service, ServiceLayerExt};
///
/// # futures::executor::block_on(async {
/// let echo = service_fn(|n: u32| async move { Ok::<_, std::io::Error>(n) });
/// let mut service = ServiceLayerExt::<u32>::concurrency_limit(echo, NonZeroUsize::MIN);
/// let first = service.ready().await.unwrap().call(1);
/// let mut clone = service.clone();
/// let second = clone.ready(); // waits until the first call has ended
/// # use futures::FutureExt;
/// # let second = second.now_or_never();
/// # assert!(second.is_none());
/// assert_eq!(first.await.unwrap(), 1);
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct ConcurrencyLimitLayer {
    max: NonZeroUsize,
}

impl ConcurrencyLimitLayer {
    /// At most `max` calls at a time, per service.
    pub fn new(max: NonZeroUsize) -> Self {
        ConcurrencyLimitLayer { max }
    }
}

impl<S> Layer<S> for ConcurrencyLimitLayer {
    type Service = ConcurrencyLimit<S>;

    fn layer(&self, inner: S) -> ConcurrencyLimit<S> {
        ConcurrencyLimit::new(inner, Semaphore::new(self.max.get()))
    }
}

/// Wraps services in [`ConcurrencyLimit`]. All services that it makes share one limit.
///
/// ```
/// use std::num::NonZeroUsize;
/// use ziggurat_patterns::{concurrency::Semaphore, service::GlobalConcurrencyLimitLayer};
///
/// let layer = GlobalConcurrencyLimitLayer::new(NonZeroUsize::new(100).unwrap());
/// let semaphore: &Semaphore = layer.semaphore();
/// semaphore.add_permits(50); // the limit may change while calls go on
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct GlobalConcurrencyLimitLayer {
    semaphore: Semaphore,
}

impl GlobalConcurrencyLimitLayer {
    /// At most `max` calls at a time, in all.
    pub fn new(max: NonZeroUsize) -> Self {
        Self::with_semaphore(Semaphore::new(max.get()))
    }

    /// Permits that others use too. There may be none yet: until some are added, no call is made.
    pub fn with_semaphore(semaphore: Semaphore) -> Self {
        GlobalConcurrencyLimitLayer { semaphore }
    }

    /// The permits.
    pub fn semaphore(&self) -> &Semaphore {
        &self.semaphore
    }
}

impl<S> Layer<S> for GlobalConcurrencyLimitLayer {
    type Service = ConcurrencyLimit<S>;

    fn layer(&self, inner: S) -> ConcurrencyLimit<S> {
        ConcurrencyLimit::new(inner, self.semaphore.clone())
    }
}

/// A service with so many calls in flight at most. Made by [`ConcurrencyLimitLayer`] and
/// [`GlobalConcurrencyLimitLayer`].
///
/// Readiness holds a permit, before the service inside is asked; the call's future holds it until it
/// completes or is dropped. An error in place of readiness gives it back. A clone shares the permits,
/// and is not ready. A service whose semaphore was closed is never ready.
///
/// # Panics
///
/// `call` panics if `poll_ready` has not returned `Ready(Ok(()))` before.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit<S> {
    inner: S,
    permit: PollSemaphore,
}

impl<S> ConcurrencyLimit<S> {
    /// Limits `inner` by the permits of `semaphore`.
    pub fn new(inner: S, semaphore: Semaphore) -> Self {
        ConcurrencyLimit { inner, permit: PollSemaphore::new(semaphore) }
    }

    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The permits.
    pub fn semaphore(&self) -> &Semaphore {
        self.permit.semaphore()
    }
}

impl<S: Service<Request>, Request> Service<Request> for ConcurrencyLimit<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = ConcurrencyLimitFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if ready!(self.permit.poll_ready(cx)).is_err() {
            return Poll::Pending;
        }
        let polled = self.inner.poll_ready(cx);
        if let Poll::Ready(Err(_)) = polled {
            self.permit.give_up();
        }
        polled
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let permit = self.permit.take().expect("`poll_ready` must be called first");
        ConcurrencyLimitFuture { inner: self.inner.call(request), permit: Some(permit) }
    }
}

pin_project! {
    /// The future of [`ConcurrencyLimit`], which holds a permit until it completes.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ConcurrencyLimitFuture<F> {
        #[pin]
        inner: F,
        permit: Option<Permit>,
    }
}

impl<F: Future> Future for ConcurrencyLimitFuture<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let output = ready!(this.inner.poll(cx));
        // Not when the future is dropped, which may be much later.
        *this.permit = None;
        Poll::Ready(output)
    }
}
