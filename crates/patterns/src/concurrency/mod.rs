//! Limits of how much goes on at the same time: concurrency limits and bulkheads.
//!
//! | what | who finds no room |
//! |---|---|
//! | [`service::ConcurrencyLimitLayer`] | waits in `poll_ready`; a limit per service that is made |
//! | [`service::GlobalConcurrencyLimitLayer`] | waits in `poll_ready`; one limit for all services |
//! | [`bulkhead::BulkheadLayer`] | waits in its call, in a bounded queue, or is rejected |
//! | [`keyed::KeyedBulkheadLayer`] | as that, with a limit and a queue per key |
//! | [`Semaphore`] | waits for a permit that it owns |
//!
//! All are made of [`Semaphore`]: first come, first served, and one atomic operation where there is room.
//!
//! It is our own. async-lock's semaphore lets newcomers overtake who waits, so that somebody may wait
//! for ever, and can't be polled without a future that is pinned; tokio's is fair, but who waits by
//! polling has a boxed future for it (`tokio_util::sync::PollSemaphore`), each release takes a lock, and
//! it would bring tokio into every program; event-listener is a list of who waits, without the count that
//! makes it a semaphore.
//!
//! ```
//! use ziggurat_patterns::concurrency::Semaphore;
//!
//! # futures::executor::block_on(async {
//! let semaphore = Semaphore::new(2);
//! let (a, _b) = (semaphore.acquire().await.unwrap(), semaphore.acquire().await.unwrap());
//! assert!(semaphore.try_acquire().is_err());
//! drop(a);
//! assert!(semaphore.try_acquire().is_ok());
//! # });
//! ```

pub mod bulkhead;
mod error;
pub mod keyed;
mod keys;
mod permit;
pub(crate) mod permits;
pub mod service;

pub use error::{BulkheadError, Closed, TryAcquireError};
pub use permit::{Acquire, Permit, PollSemaphore, Semaphore};
