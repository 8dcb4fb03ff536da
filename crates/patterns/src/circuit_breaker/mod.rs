//! Circuit breakers: what keeps failing is left alone for a while.
//!
//! The pattern is Michael Nygard's ("Release It!", 2007); windows, thresholds and slow calls are those of
//! resilience4j.
//!
//! ```text
//!               the window says so                its time is over
//!    closed ─────────────────────────▶ open ─────────────────────────▶ half-open
//!      ▲                                ▲        a probe fails            │
//!      │                                └─────────────────────────────────┤
//!      └──────────────────────────────────────────────────────────────────┘
//!                              all probes succeed
//! ```
//!
//! | it opens | with |
//! |---|---|
//! | after so many failures in a row | [`Config::consecutive`] |
//! | when a share of the last `n` calls failed | [`Config::count`] |
//! | when a share of the calls of the last while failed | [`Config::time`] |
//! | when a share of them was slow | [`Config::with_slow_calls`] |
//!
//! While it is open, calls are rejected without reaching the service. When that time is over, the next
//! calls are probes; what comes beyond them is rejected until they are answered. No timer is involved:
//! the clock is read when a call comes.
//!
//! A closed breaker costs an atomic load to pass. Its window takes a short lock when a call is answered,
//! except that consecutive failures take none for a success.
//!
//! There is no layer for streams, because a stream is not called: what would be rejected is the attempt
//! to make it. [`CircuitBreaker::try_acquire`] guards that, in the closure given to
//! [`reconnect_with_backoff`](crate::stream::reconnect_with_backoff).
//!
//! ```
//! use std::num::NonZeroU32;
//! use ziggurat_patterns::circuit_breaker::{CircuitBreaker, Config};
//! use ziggurat_patterns::{Service, ServiceLayerExt};
//!
//! # futures::executor::block_on(async {
//! let broken = tower::service_fn(|_: u32| async { Err::<(), _>(std::io::Error::other("broken")) });
//! let breaker = CircuitBreaker::new(Config::consecutive(NonZeroU32::new(5).unwrap())).unwrap();
//! let mut service = broken.circuit_breaker(breaker);
//! for _ in 0..5 {
//!     assert!(!service.call(1).await.unwrap_err().is_open());
//! }
//! assert!(service.call(1).await.unwrap_err().is_open());
//! # });
//! ```

pub mod service;

mod breaker;
mod config;
mod core;
mod error;
mod window;

#[cfg(ziggurat_loom)]
pub use self::core::Core;
pub use breaker::{CircuitBreaker, Permit, State, Transition};
pub use config::{Config, InvalidConfig};
pub use error::{CircuitBreakerError, Open};
pub use service::{Classify, EveryError};
