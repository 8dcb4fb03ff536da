//! Hedging: a call that takes long is made a second time, and the first answer wins.
//!
//! Jeffrey Dean and Luiz André Barroso, "The Tail at Scale" (CACM, 2013): when the second request is
//! sent after the 95th percentile of the expected latency, it adds about 5 percent of load, and takes
//! away most of the tail. Requests must be such that they can be done twice.
//!
//! * [`HedgeLayer::new`](crate::service::HedgeLayer::new) waits for a fixed time before the second call.
//! * [`HedgeLayer::percentile`](crate::service::HedgeLayer::percentile) measures how long calls take.
//! * A [`Budget`](crate::retry::Budget) bounds the load that second calls add, which matters most when
//!   all calls become slow at once.
//!
//! A call that is answered at once arms no timer. There is no error of its own: what fails is a call.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use std::time::Duration;
//! use ziggurat_patterns::{Service, ServiceLayerExt};
//!
//! # futures::executor::block_on(async {
//! let calls = AtomicU32::new(0);
//! let service = tower::service_fn(|_: ()| {
//!     let call = calls.fetch_add(1, Ordering::Relaxed);
//!     async move {
//!         if call == 0 {
//!             std::future::pending::<()>().await; // the slow one
//!         }
//!         Ok::<_, std::io::Error>(call)
//!     }
//! });
//! assert_eq!(service.hedge(Duration::from_millis(1)).call(()).await.unwrap(), 1);
//! # });
//! ```

pub mod service;

mod latency;

/// Copies the requests that may be sent twice.
///
/// [`CloneAny`] copies all; every `Fn(&Request) -> Option<Request>` is one too.
pub trait CloneRequest<Request> {
    /// A copy to send again; `None`, if this request must not be sent twice.
    fn clone_request(&self, request: &Request) -> Option<Request>;
}

impl<Request, F: Fn(&Request) -> Option<Request>> CloneRequest<Request> for F {
    #[inline]
    fn clone_request(&self, request: &Request) -> Option<Request> {
        self(request)
    }
}

/// Copies all requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneAny;

impl<Request: Clone> CloneRequest<Request> for CloneAny {
    #[inline]
    fn clone_request(&self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}

/// A hedge that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHedge {
    /// A percentile is not between 0 and 100.
    #[error("a percentile must be between 0 and 100, not {0}")]
    Percentile(f64),
    /// A period of measurement has no length.
    #[error("the period of measurement must not be zero")]
    Period,
}
