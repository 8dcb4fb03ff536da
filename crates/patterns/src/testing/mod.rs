//! A kit for testing layers: scripted streams, services and sinks, and the laws that a layer keeps.
//!
//! Everything here is driven by a [`TestClock`](crate::time::TestClock): no test sleeps, and each runs
//! twice in the same way.
//!
//! * [`Script`] makes a stream of items, pauses, errors and stalls; [`ready`] makes one that never waits.
//! * [`MockService`] and [`MockSink`] answer and collect as a test says, and are strict about the order
//!   of calls.
//! * [`Probe`], [`ServiceProbe`] and [`SinkProbe`] tell what became of them. [`WakeProbe`] counts wakes.
//! * [`Token`] is an item that knows how many of it are alive.
//! * [`laws`] puts a layer through all of this at once. Start there.
//!
//! What it does not do: find races. Everything runs on one thread; use loom for the rest.
//!
//! ```
//! use std::time::Duration;
//! use futures::StreamExt;
//! use ziggurat_patterns::testing::{Fault, Script};
//! use ziggurat_patterns::time::TestClock;
//!
//! let clock = TestClock::new();
//! let (stream, probe) = Script::new(&clock)
//!     .ok("first")
//!     .wait(Duration::from_secs(60))
//!     .err(Fault(1))
//!     .build();
//! let items: Vec<_> = clock.block_on(stream.collect());
//! assert_eq!(items, [Ok("first"), Err(Fault(1))]);
//! assert_eq!(clock.elapsed(), Duration::from_secs(60));
//! assert_eq!(probe.items(), 2);
//! ```

pub mod laws;
mod probe;
mod script;
mod service;
mod sink;
mod token;

pub use probe::{Probe, WakeProbe};
pub use script::{Script, ScriptedStream, ready};
pub use service::{MockFuture, MockService, Reply, ServiceProbe};
pub use sink::{MockSink, SinkProbe};
pub use token::{Fault, Ledger, Token, Tokens};
