//! Load shedding by services.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::LoadShedError;

/// Wraps services in [`LoadShed`].
///
/// ```
/// use tower::{ServiceExt, service_fn};
/// use ziggurat_patterns::concurrency::Semaphore;
/// use ziggurat_patterns::service::{ConcurrencyLimit, LoadShed};
/// use ziggurat_patterns::ServiceLayerExt;
///
/// # futures::executor::block_on(async {
/// let echo = service_fn(|n: u32| async move { Ok::<_, std::io::Error>(n) });
/// let busy = ConcurrencyLimit::new(echo, Semaphore::new(0)); // has no permit to give
/// let service: LoadShed<_> = ServiceLayerExt::<u32>::load_shed(busy);
/// assert!(service.oneshot(1).await.unwrap_err().is_overloaded());
/// # });
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "layers do nothing unless applied"]
pub struct LoadShedLayer {
    _priv: (),
}

impl LoadShedLayer {
    /// Fails calls when the service inside is not ready.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for LoadShedLayer {
    type Service = LoadShed<S>;

    fn layer(&self, inner: S) -> LoadShed<S> {
        LoadShed { inner, is_ready: false }
    }
}

/// A service that is always ready, and whose calls fail when the service inside is not. Made by
/// [`LoadShedLayer`].
///
/// A service inside that is waited for keeps its place: a call that is refused does not give it up. A
/// clone is not ready.
///
/// So a clone that was refused and is then kept, but not used, has a place in the queue of a limit
/// inside, and in time a permit. Drop such clones. Where they are kept, as one per connection is, use a
/// limit that refuses by itself and has no queue:
/// [`BulkheadLayer::new(max, 0)`](crate::service::BulkheadLayer::new),
/// [`RateLimitLayer::enforcing`](crate::service::RateLimitLayer::enforcing).
#[derive(Debug)]
pub struct LoadShed<S> {
    inner: S,
    is_ready: bool,
}

impl<S> LoadShed<S> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Clone> Clone for LoadShed<S> {
    fn clone(&self) -> Self {
        LoadShed { inner: self.inner.clone(), is_ready: false }
    }
}

impl<S: Service<Request>, Request> Service<Request> for LoadShed<S> {
    type Response = S::Response;
    type Error = LoadShedError<S::Error>;
    type Future = LoadShedFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Asked each time, so that an error of a service that was ready is not missed.
        let polled = self.inner.poll_ready(cx);
        self.is_ready = matches!(polled, Poll::Ready(Ok(())));
        match polled {
            Poll::Ready(Err(error)) => Poll::Ready(Err(LoadShedError::Inner(error))),
            _ => Poll::Ready(Ok(())),
        }
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let ready = std::mem::take(&mut self.is_ready);
        LoadShedFuture { inner: ready.then(|| self.inner.call(request)) }
    }
}

pin_project! {
    /// The future of [`LoadShed`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct LoadShedFuture<F> {
        // `None` if the call was refused.
        #[pin]
        inner: Option<F>,
    }
}

impl<F, Response, Error> Future for LoadShedFuture<F>
where
    F: Future<Output = Result<Response, Error>>,
{
    type Output = Result<Response, LoadShedError<Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().inner.as_pin_mut() {
            Some(inner) => inner.poll(cx).map_err(LoadShedError::Inner),
            None => Poll::Ready(Err(LoadShedError::Overloaded { item: () })),
        }
    }
}
