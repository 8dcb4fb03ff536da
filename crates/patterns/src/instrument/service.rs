//! Counting calls.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::layer::builder;
use super::stage::{Plan, Stage};
use super::{Bytes, Items, Meter, Observe};

/// Wraps services in [`Instrument`].
///
/// ```
/// use ziggurat_patterns::{Service, ServiceLayerExt, service::InstrumentLayer};
///
/// # futures::executor::block_on(async {
/// let layer = InstrumentLayer::new("upstream");
/// let meter = layer.meter();
/// let halve = tower::service_fn(|n: u32| async move { if n % 2 == 0 { Ok(n / 2) } else { Err("odd") } });
/// let mut service = halve.layer(layer);
/// let _ = (service.call(4).await, service.call(5).await);
/// assert_eq!((meter.stats().items, meter.stats().errors), (2, 1));
/// # });
/// ```
#[derive(Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct InstrumentLayer<O = Items, T = DefaultTimer> {
    plan: Plan<T>,
    observe: O,
}

builder!();

/// A service whose calls are counted. Made by [`InstrumentLayer`].
#[derive(Clone)]
pub struct Instrument<S, O = Items, T = DefaultTimer> {
    inner: S,
    stage: Stage<T>,
    observe: O,
}

impl<S, O, T, Request> Service<Request> for Instrument<S, O, T>
where
    S: Service<Request>,
    O: Observe<Request>,
    T: Timer,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = InstrumentFuture<S::Future, T>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let inner = &mut self.inner;
        self.stage.poll(|| inner.poll_ready(cx))
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let seen = self.observe.observe(&request);
        self.stage.see(seen);
        let inner = &mut self.inner;
        let future = self.stage.run(|| inner.call(request));
        InstrumentFuture { inner: future, stage: self.stage.clone() }
    }
}

pin_project! {
    /// The future of [`Instrument`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InstrumentFuture<F, T = DefaultTimer> {
        #[pin]
        inner: F,
        stage: Stage<T>,
    }
}

impl<F, T, Response, E> Future for InstrumentFuture<F, T>
where
    F: Future<Output = Result<Response, E>>,
    T: Timer,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let inner = this.inner;
        let result = this.stage.poll(|| inner.poll(cx));
        if result.is_ready() {
            this.stage.meter.item();
        }
        result
    }
}

impl<F, T> fmt::Debug for InstrumentFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstrumentFuture").finish_non_exhaustive()
    }
}
