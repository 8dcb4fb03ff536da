//! Graceful shutdown: refuse what is new, finish what is under way, and abort what takes too long.
//!
//! [`Shutdown`] is the handle of whoever shuts down; a [`Signal`] is what everybody else has. After
//! [`begin`](Shutdown::begin):
//!
//! | layer | what is new | what is under way |
//! |---|---|---|
//! | [`service::ShutdownLayer`] | calls are refused | calls go on |
//! | [`stream::ShutdownLayer`] | the source is not polled: the stream ends | what it has handed out |
//! | [`stream::AbortLayer`] | | the stream goes on until it ends |
//! | [`sink::ShutdownLayer`] | items are refused | a flush or a close of what was accepted |
//!
//! [`drain`](Shutdown::drain) waits until nothing is under way, for so long at most.
//! [`abort`](Shutdown::abort) then ends what is left: calls, sinks and
//! [`AbortLayer`](crate::stream::AbortLayer)'s streams fail with [`ShutdownError::Aborted`].
//!
//! In a pipeline, `ShutdownLayer` goes to its head, so that no more comes in, and `AbortLayer` to its
//! tail, so that it counts as under way until the last item is through.
//!
//! It does what tokio-util's `TaskTracker` and `CancellationToken` do together, without an executor.
//! Entering and leaving are one atomic operation each; whoever waits leaves a waker, which takes a lock
//! the first time.
//!
//! ```
//! use std::time::Duration;
//! use tower::{ServiceExt, service_fn};
//! use ziggurat_patterns::{ServiceLayerExt, service::ShutdownLayer, shutdown::Shutdown};
//!
//! # futures::executor::block_on(async {
//! let shutdown = Shutdown::new();
//! let echo = service_fn(|n: u32| async move { Ok::<_, std::io::Error>(n) });
//! let service = ServiceLayerExt::<u32>::layer(echo, ShutdownLayer::new(shutdown.signal()));
//! assert_eq!(service.clone().oneshot(1).await.unwrap(), 1);
//! shutdown.drain(Duration::from_secs(10)).await.unwrap();
//! assert!(service.oneshot(2).await.unwrap_err().is_refused());
//! # });
//! ```

mod abort;
mod error;
mod handle;
pub mod service;
pub mod sink;
pub(crate) mod state;
pub mod stream;

pub use error::{DrainError, Refused, ShutdownError};
pub use handle::{Drain, InFlight, Shutdown, Signal, Signalled};
