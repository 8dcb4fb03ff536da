//! Stream layers for services whose responses are streams.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// Wraps services whose responses are streams, so that a stream layer is put on each response.
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use futures::{StreamExt, TryStreamExt, stream};
/// use tower::ServiceBuilder;
/// use ziggurat_patterns::{Service, service::ResponseStreamLayer, stream::TimeoutLayer};
///
/// # futures::executor::block_on(async {
/// let tail = tower::service_fn(|_file: &'static str| async {
///     Ok::<_, Infallible>(stream::iter(["line"]).map(Ok::<_, Infallible>).chain(stream::pending()))
/// });
/// let mut service = ServiceBuilder::new()
///     .layer(ResponseStreamLayer::new(TimeoutLayer::idle(Duration::from_millis(10))))
///     .service(tail);
/// let mut lines = std::pin::pin!(service.call("log").await.unwrap());
/// assert_eq!(lines.try_next().await.unwrap(), Some("line"));
/// assert!(lines.try_next().await.unwrap_err().is_elapsed());
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct ResponseStreamLayer<L> {
    layer: L,
}

impl<L> ResponseStreamLayer<L> {
    /// Puts `layer` on each response. Each call clones it.
    pub fn new(layer: L) -> Self {
        ResponseStreamLayer { layer }
    }
}

impl<S, L: Clone> Layer<S> for ResponseStreamLayer<L> {
    type Service = ResponseStream<S, L>;

    fn layer(&self, inner: S) -> ResponseStream<S, L> {
        ResponseStream { inner, layer: self.layer.clone() }
    }
}

/// A service whose responses are streams with a layer on each. Made by [`ResponseStreamLayer`].
#[derive(Debug, Clone, Copy)]
pub struct ResponseStream<S, L> {
    inner: S,
    layer: L,
}

impl<S, L> ResponseStream<S, L> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, L, Request> Service<Request> for ResponseStream<S, L>
where
    S: Service<Request>,
    L: Layer<S::Response> + Clone,
{
    type Response = L::Service;
    type Error = S::Error;
    type Future = ResponseStreamFuture<S::Future, L>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        ResponseStreamFuture { inner: self.inner.call(request), layer: self.layer.clone() }
    }
}

pin_project! {
    /// The future of [`ResponseStream`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseStreamFuture<F, L> {
        #[pin]
        inner: F,
        layer: L,
    }
}

impl<F, L, Response, E> Future for ResponseStreamFuture<F, L>
where
    F: Future<Output = Result<Response, E>>,
    L: Layer<Response>,
{
    type Output = Result<L::Service, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        Poll::Ready(Ok(this.layer.layer(response)))
    }
}

impl<F, L> fmt::Debug for ResponseStreamFuture<F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStreamFuture").finish_non_exhaustive()
    }
}
