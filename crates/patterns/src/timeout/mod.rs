//! Timeouts: per call, for the first item, between items, for the whole, until a deadline.
//!
//! | kind | over | the time that counts |
//! |---|---|---|
//! | per call | services | from the first poll of the call's future to its answer |
//! | readiness | services, sinks | while `poll_ready` waits |
//! | deadline | services, streams | until an instant, which a service may read off each request |
//! | initial | streams | while we wait for the first item |
//! | idle | streams | while we wait for an item; the consumer's own time does not count |
//! | completion | streams | from the first poll to the end |
//! | backpressure | streams | from an item to the next poll: the consumer's time alone |
//! | flush, close | sinks | while the sink flushes or closes |
//!
//! Making a layer, a stream or a call reads no clock and arms no timer; that happens when something has
//! to wait. What is always ready never touches the timer, except under the limits of a whole stream and
//! of its consumer, which are compared with the clock at each item.
//!
//! A stream that was too slow says so with an error, and is still there: the wait starts anew with the
//! next poll. Only completion and deadline end the stream.
//!
//! ```
//! use std::time::Duration;
//! use futures::{TryStreamExt, stream};
//! use ziggurat_patterns::{StreamLayerExt, stream::TimeoutLayer};
//!
//! # futures::executor::block_on(async {
//! let slow = stream::once(async { Ok::<_, std::io::Error>(1) }).chain(stream::pending());
//! # use futures::StreamExt;
//! let mut items = std::pin::pin!(slow.layer(TimeoutLayer::idle(Duration::from_millis(10))));
//! assert_eq!(items.try_next().await.unwrap(), Some(1));
//! assert!(items.try_next().await.unwrap_err().is_elapsed());
//! # });
//! ```

pub mod service;
pub mod sink;
pub mod stream;

mod error;

pub use error::{Elapsed, TimeoutError, TimeoutKind};
