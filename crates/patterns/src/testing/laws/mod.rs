//! The laws of streams, services and sinks, checked on a layer.
//!
//! Each check drives the layer through a table of scripts in virtual time, polls it at the wrong moments,
//! and drops it after every poll. A failure names the layer, the script, the law and the poll.
//!
//! ```
//! use futures::StreamExt;
//! use ziggurat_patterns::testing::laws;
//!
//! // The layer here is futures' `fuse`; the closure makes it anew for each run.
//! laws::stream("fuse", |source, _clock| source.fuse()).check();
//! ```
//!
//! A stream layer that holds items says how they are got back, and then no item may be missing after
//! any poll:
//!
//! ```
//! use futures::stream::{Peekable, StreamExt};
//! use ziggurat_patterns::testing::laws::{self, Source};
//!
//! laws::stream("peekable", |source, _clock| source.peekable())
//!     .conserves(|stream: Peekable<Source>| {
//!         drop(stream.into_inner());
//!         Vec::new() // nobody peeked
//!     })
//!     .check();
//! ```

mod drive;
mod jobs;
mod report;
mod scripts;
mod service;
mod sink;
mod stream;

pub use scripts::{Input, Source, TrySource, TryToken};
pub use service::{Inner, ServiceLaws, service};
pub use sink::{Drain, SinkLaws, sink, sink_of};
pub use stream::{StreamLaws, stream, streams, try_stream, try_streams};

pub use super::token::{Fault, Ledger, Token, Tokens};
