//! The same as a layer, for those who compose with `ServiceBuilder`.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;

use futures_core::Stream;
use tower_layer::Layer;
use tower_service::Service;

use super::queue::Order;
use super::{AsFinished, Calls, InOrder};

/// Wraps streams of requests in [`Calls`] of a service, of which each gets a clone.
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{StreamExt, stream};
/// use tower::ServiceBuilder;
/// use ziggurat_patterns::stream::{DedupeLayer, ThroughLayer};
///
/// # futures::executor::block_on(async {
/// let halve = tower::service_fn(|n: u32| async move { if n % 2 == 0 { Ok(n / 2) } else { Err(n) } });
/// let answers = ServiceBuilder::new()
///     .layer(ThroughLayer::ordered(halve).concurrency(NonZeroUsize::new(4).unwrap()))
///     .layer(DedupeLayer::consecutive())
///     .service(stream::iter([2, 2, 3, 8]));
/// assert_eq!(answers.collect::<Vec<_>>().await, [Ok(1), Err(3), Ok(4)]);
/// # });
/// ```
#[must_use = "layers do nothing unless applied"]
pub struct ThroughLayer<Svc, O> {
    service: Svc,
    limit: NonZeroUsize,
    release: Option<fn(&Svc) -> Svc>,
    order: PhantomData<fn() -> O>,
}

impl<Svc> ThroughLayer<Svc, InOrder> {
    /// Responses in the order of their requests. One call at a time, unless
    /// [`concurrency`](Self::concurrency) says otherwise.
    pub fn ordered(service: Svc) -> Self {
        Self::new(service)
    }
}

impl<Svc> ThroughLayer<Svc, AsFinished> {
    /// Responses as their calls finish. One call at a time, unless
    /// [`concurrency`](Self::concurrency) says otherwise.
    pub fn unordered(service: Svc) -> Self {
        Self::new(service)
    }
}

impl<Svc, O> ThroughLayer<Svc, O> {
    fn new(service: Svc) -> Self {
        ThroughLayer { service, limit: NonZeroUsize::MIN, release: None, order: PhantomData }
    }

    /// How many calls may be in flight, or finished and not yet taken.
    pub fn concurrency(mut self, calls: NonZeroUsize) -> Self {
        self.limit = calls;
        self
    }

    /// As [`Through::release_idle`](super::Through::release_idle).
    pub fn release_idle(mut self) -> Self
    where
        Svc: Clone,
    {
        self.release = Some(Svc::clone);
        self
    }
}

impl<St, Svc, O> Layer<St> for ThroughLayer<Svc, O>
where
    St: Stream,
    Svc: Service<St::Item> + Clone,
    O: Order,
{
    type Service = Calls<St, Svc, O>;

    fn layer(&self, inner: St) -> Calls<St, Svc, O> {
        Calls::new(inner, self.service.clone(), self.limit.get(), self.release)
    }
}

impl<Svc: Clone, O> Clone for ThroughLayer<Svc, O> {
    fn clone(&self) -> Self {
        ThroughLayer { service: self.service.clone(), ..*self }
    }
}

impl<Svc: fmt::Debug, O> fmt::Debug for ThroughLayer<Svc, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThroughLayer")
            .field("service", &self.service)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
