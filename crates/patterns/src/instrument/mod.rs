//! What passes through a stage of a pipeline: counters, and a span.
//!
//! An `InstrumentLayer` of streams, services or sinks counts into a [`Meter`], which can be read at any
//! time from anywhere: items, errors, bytes, how often it had to wait, and how long it was busy.
//!
//! | counter | streams | services | sinks |
//! |---|---|---|---|
//! | `items` | items, errors among them | calls answered, with errors | items accepted |
//! | `errors` | `Err` items, with [`errors`](crate::stream::InstrumentLayer::errors) | calls and readiness that failed, and what is [observed](Observation::error) | operations that failed |
//! | `pending` | polls that were pending | those of readiness and calls | those of all operations |
//! | `bytes` | what a closure says of each item | of each request | of each item |
//! | `busy` | inside the polls, if asked for | the same | the same |
//! | `ended` | streams that ended | | sinks that closed |
//!
//! Counting costs a relaxed atomic addition per counter that changes. `busy` costs two readings of the
//! clock per poll, so it is off unless [`busy_time`](crate::stream::InstrumentLayer::busy_time) asks
//! for it.
//!
//! With the feature `tracing` each stage has a span as well, which is entered for each poll: what
//! happens inside is seen as part of the stage. Without a subscriber a span costs a test.
//!
//! ```
//! use futures::{StreamExt, stream};
//! use ziggurat_patterns::{StreamLayerExt, instrument::Meter, stream::InstrumentLayer};
//!
//! # futures::executor::block_on(async {
//! let meter = Meter::new();
//! let lines = stream::iter(["to be", "or not"]);
//! let lines = lines.layer(
//!     InstrumentLayer::new("lines").with_meter(&meter).bytes(|line: &&str| line.len() as u64),
//! );
//! assert_eq!(lines.count().await, 2);
//! let stats = meter.stats();
//! assert_eq!((stats.items, stats.bytes, stats.ended), (2, 11, 1));
//! # });
//! ```

mod layer;
mod meter;
mod observe;
pub(crate) mod service;
pub(crate) mod sink;
mod stage;
pub(crate) mod stream;

pub use meter::{Meter, Stats};
pub use observe::{Bytes, Items, Observation, Observe, Results};
