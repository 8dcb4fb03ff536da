//! Buffers: a bounded room between a producer and a consumer, and a policy for when it is full.
//!
//! | form | who fills it | who empties it |
//! |---|---|---|
//! | [`stream::BufferLayer`] | its own `poll_next`, with what is ready | the same `poll_next` |
//! | [`pair`] | a [`Driver`] future, in a task of its own | a [`Receiver`] stream |
//! | [`sink::BufferLayer`] | `start_send` | `poll_ready`, `poll_flush` and `poll_close` |
//! | [`service::Buffer::pair`] | the calls of its clones | a worker future, which owns the service |
//!
//! A layer sees its source only when it is polled: a consumer that takes its time between two polls stops
//! the source too. When the source is to run on meanwhile, use [`pair`] and give its driver to a task.
//! Nothing here spawns: the caller has the executor, or joins both halves in one task.
//!
//! What happens to an item that finds the room full is an [`Overflow`], or [`Reject`], which makes it an
//! error that hands the item back. No policy but those that say so loses an item, and those count them.
//!
//! ```
//! use std::num::NonZeroUsize;
//! use futures::{StreamExt, future::join, stream};
//! use ziggurat_patterns::buffer::{self, Overflow};
//!
//! # futures::executor::block_on(async {
//! let room = NonZeroUsize::new(4).unwrap();
//! let (driver, items) = buffer::pair(stream::iter(0..100), room, Overflow::Backpressure);
//! // Here both are in one task; usually the driver is spawned.
//! let (left, items) = join(driver, items.collect::<Vec<i32>>()).await;
//! assert!(left.is_empty());
//! assert_eq!(items, Vec::from_iter(0..100));
//! # });
//! ```

pub mod service;
pub mod sink;
pub mod stream;

mod error;
mod pair;
mod policy;
mod queue;
mod requests;

pub use error::{BufferError, CallError, Closed, ServiceError};
pub use pair::{Driver, Receiver, pair};
pub use policy::{Overflow, Policy, Reject};

/// How often one poll of a layer polls what is inside, at most. Then it lets others run.
pub(crate) const POLLS: usize = 128;
