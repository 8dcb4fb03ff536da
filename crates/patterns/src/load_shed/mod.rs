//! Load shedding: what is not ready at once is told so, and nobody waits.
//!
//! [`service::LoadShedLayer`] fails a call when the service inside is not ready;
//! [`sink::LoadShedLayer`] hands an item back when the sink inside is not. There is none
//! for streams: a stream makes an item when its consumer asks, so there is nothing to shed. What a slow
//! consumer misses is the policy of a buffer or a broadcast.
//!
//! It goes around something that limits: a concurrency limit, a rate limit, a bounded channel.
//!
//! ```
//! use std::num::NonZeroUsize;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use ziggurat_patterns::service::{ConcurrencyLimitLayer, LoadShedLayer};
//!
//! # futures::executor::block_on(async {
//! let stuck = service_fn(|_: u32| std::future::pending::<Result<(), std::io::Error>>());
//! let service = ServiceBuilder::new()
//!     .layer(LoadShedLayer::new())
//!     .layer(ConcurrencyLimitLayer::new(NonZeroUsize::MIN))
//!     .service(stuck);
//! let mut first = service.clone().oneshot(1);
//! assert!(futures::poll!(&mut first).is_pending());
//! assert!(service.oneshot(2).await.unwrap_err().is_overloaded());
//! # });
//! ```

mod error;
pub mod service;
pub mod sink;

pub use error::LoadShedError;
