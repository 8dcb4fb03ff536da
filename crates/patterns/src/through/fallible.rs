//! A service that takes a fallible stream's items.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::ThroughError;

/// A service that is called with `Result<Request, E>`: an `Err` is answered with
/// [`ThroughError::Source`] and does not reach the service inside.
///
/// It is what [`try_through`](crate::StreamLayerExt::try_through) puts round your service.
///
/// ```
/// use futures::executor::block_on;
/// use ziggurat_patterns::{Service, through::{FallibleService, ThroughError}};
///
/// let echo = tower::service_fn(|n: u32| async move { Ok::<_, std::fmt::Error>(n) });
/// let mut service = FallibleService::new(echo);
/// let ok: Result<u32, &str> = Ok(1);
/// assert_eq!(block_on(service.call(ok)), Ok(1));
/// assert_eq!(block_on(service.call(Err("broken"))), Err(ThroughError::Source("broken")));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FallibleService<S> {
    inner: S,
}

impl<S> FallibleService<S> {
    /// Over `inner`.
    pub fn new(inner: S) -> Self {
        FallibleService { inner }
    }

    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, Request, E> Service<Result<Request, E>> for FallibleService<S>
where
    S: Service<Request>,
{
    type Response = S::Response;
    type Error = ThroughError<E, S::Error>;
    type Future = FallibleFuture<S::Future, E>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(ThroughError::Service)
    }

    #[inline]
    fn call(&mut self, request: Result<Request, E>) -> Self::Future {
        match request {
            Ok(request) => FallibleFuture { call: Some(self.inner.call(request)), error: None },
            // The readiness stands, for the next request.
            Err(error) => FallibleFuture { call: None, error: Some(error) },
        }
    }
}

pin_project! {
    /// The future of [`FallibleService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct FallibleFuture<F, E> {
        #[pin]
        call: Option<F>,
        error: Option<E>,
    }
}

impl<F, E, Response, SE> Future for FallibleFuture<F, E>
where
    F: Future<Output = Result<Response, SE>>,
{
    type Output = Result<Response, ThroughError<E, SE>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.call.as_pin_mut() {
            Some(call) => call.poll(cx).map_err(ThroughError::Service),
            None => {
                let error = this.error.take().expect("not polled after completion");
                Poll::Ready(Err(ThroughError::Source(error)))
            }
        }
    }
}

impl<F, E> fmt::Debug for FallibleFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallibleFuture").field("failed", &self.error.is_some()).finish()
    }
}
