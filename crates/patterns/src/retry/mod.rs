//! Retries: calls that are made again, streams that are restarted or resumed.
//!
//! | what | how |
//! |---|---|
//! | a call that failed, or whose answer is to be retried | [`service::RetryLayer`] |
//! | a stream that failed, from its start | [`stream::restart_with_backoff`] |
//! | the same, with a `connect` that takes time | [`stream::reconnect_with_backoff`] |
//! | a stream that failed, from where it was | [`stream::resume_from`], [`stream::reconnect_from`] |
//! | how long to wait before each attempt | [`Backoff`], [`NoBackoff`], or any [`MakeBackoff`] |
//! | what is tried again | [`Policy`], [`ErrorPolicy`], or a predicate |
//! | how many retries a whole program makes | [`RetryBudget`], or any [`Budget`] |
//!
//! All of them stop at the same limits: a number of retries (3 unless another is set), a time within
//! which the last one starts, a budget. A delay that would end too late is not waited for: the last error
//! is returned at once. Errors are [`RetryError`]s, which say why there was no further attempt.
//!
//! A call that succeeds at once reads no clock, and arms no timer.
//!
//! ```
//! use std::time::Duration;
//! use tower::ServiceExt;
//! use ziggurat_patterns::ServiceLayerExt;
//! use ziggurat_patterns::retry::{Backoff, RetryBudget};
//! use ziggurat_patterns::service::RetryLayer;
//!
//! let backoff = Backoff::exponential(Duration::from_millis(20))
//!     .with_max(Duration::from_secs(1))
//!     .with_full_jitter();
//! // Shared by all services of this layer: a fifth of the calls, and ten retries per second.
//! let budget = RetryBudget::new(Duration::from_secs(10), 10, 20)?;
//! let layer = RetryLayer::new(backoff).max_elapsed(Duration::from_secs(5)).budget(budget);
//!
//! let service = tower::service_fn(|n: u32| async move { Ok::<_, std::io::Error>(n * 2) });
//! # futures::executor::block_on(async {
//! assert_eq!(service.layer(layer).oneshot(21).await.unwrap(), 42);
//! # });
//! # Ok::<_, ziggurat_patterns::retry::InvalidBudget>(())
//! ```

pub mod service;
pub mod stream;

mod backoff;
mod budget;
mod configure;
mod error;
mod future;
mod limits;
mod make;
mod policy;
mod restart;
mod tokens;

pub use backoff::{Backoff, Delays, InvalidFactor, MakeBackoff, NoBackoff};
pub use budget::{Budget, InvalidBudget, RetryBudget};
pub use error::{GaveUp, RetryError};
pub use limits::{Attempts, Limit, Limits};
pub use make::{Connect, Make, MakeStream, Positioned};
pub use policy::{AnyError, Decision, ErrorPolicy, Hinted, Policy, When};
#[cfg(ziggurat_loom)]
pub use tokens::Tokens;
