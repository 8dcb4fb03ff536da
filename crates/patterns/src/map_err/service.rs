//! Errors of services, made into others.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// Wraps services in [`MapErrInto`].
///
/// ```
/// use std::time::Duration;
/// use tower::{ServiceBuilder, ServiceExt};
/// use ziggurat_patterns::{BoxError, service::{MapErrIntoLayer, TimeoutLayer}};
///
/// # futures::executor::block_on(async {
/// let service = ServiceBuilder::new()
///     .layer(MapErrIntoLayer::<BoxError>::new())
///     .layer(TimeoutLayer::new(Duration::from_secs(1)))
///     .service_fn(|n: u32| async move { n.checked_add(1).ok_or("too large") });
/// # let _ = service;
/// # });
/// ```
#[must_use = "layers do nothing unless applied"]
pub struct MapErrIntoLayer<E>(PhantomData<fn() -> E>);

impl<E> MapErrIntoLayer<E> {
    /// Makes errors into `E`.
    pub fn new() -> Self {
        MapErrIntoLayer(PhantomData)
    }
}

impl<E> Default for MapErrIntoLayer<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Clone for MapErrIntoLayer<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for MapErrIntoLayer<E> {}

impl<E> fmt::Debug for MapErrIntoLayer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapErrIntoLayer").finish_non_exhaustive()
    }
}

impl<S, E> Layer<S> for MapErrIntoLayer<E> {
    type Service = MapErrInto<S, E>;

    fn layer(&self, inner: S) -> MapErrInto<S, E> {
        MapErrInto { inner, error: PhantomData }
    }
}

/// A service whose errors are made into `E`. Made by [`MapErrIntoLayer`].
pub struct MapErrInto<S, E> {
    inner: S,
    error: PhantomData<fn() -> E>,
}

impl<S, E> MapErrInto<S, E> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Clone, E> Clone for MapErrInto<S, E> {
    fn clone(&self) -> Self {
        MapErrInto { inner: self.inner.clone(), error: PhantomData }
    }
}

impl<S: fmt::Debug, E> fmt::Debug for MapErrInto<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapErrInto").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S: Service<Request, Error: Into<E>>, E, Request> Service<Request> for MapErrInto<S, E> {
    type Response = S::Response;
    type Error = E;
    type Future = MapErrIntoFuture<S::Future, E>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        MapErrIntoFuture { inner: self.inner.call(request), error: PhantomData }
    }
}

pin_project! {
    /// The future of [`MapErrInto`].
    #[must_use = "futures do nothing unless polled"]
    pub struct MapErrIntoFuture<F, E> {
        #[pin]
        inner: F,
        error: PhantomData<fn() -> E>,
    }
}

impl<F, Response, Error, E> Future for MapErrIntoFuture<F, E>
where
    F: Future<Output = Result<Response, Error>>,
    Error: Into<E>,
{
    type Output = Result<Response, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx).map_err(Into::into)
    }
}

impl<F, E> fmt::Debug for MapErrIntoFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapErrIntoFuture").finish_non_exhaustive()
    }
}
