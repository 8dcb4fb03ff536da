//! The C ABI between Ziggurat's Rust and Zig halves: vtables, owned handles, wakers, typed errors.
//!
//! * [`abi`]: the C layout of everything that crosses the border.
//! * [`Library`]: what a Zig library offers, looked up by name and checked by type.
//! * [`RawSource`], [`RawSink`]: owned handles, validated at every crossing.
//! * [`HostWaker`], [`HostPool`], [`host`]: what the Rust side lends to the Zig side.
//! * [`RawEnd`]: ends of channels as arguments; [`Outcome`]: what a function may return.
//! * [`ZigError`], [`OpenError`]: what can go wrong.
//!
//! It needs no executor, and no Zig symbol to link. `Stream` and `Sink` over these handles are in the
//! crate `ziggurat-stream`.
//!
//! # Guarantees
//!
//! Whatever values a Zig library returns through the ABI (unknown statuses, counts beyond the
//! capacity, impossible buffers, tables of another version), the safe part of this crate answers with
//! a typed error. What no receiver can check, the library promises where it is opened
//! ([`Library::open`] is `unsafe`): that its pointers are what they claim to be.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod abi;
mod argument;
mod end;
mod error;
pub mod host;
mod library;
mod outcome;
mod plain;
mod pool;
mod sink;
mod source;
mod sync;
#[cfg(any(all(test, not(ziggurat_loom)), feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
#[cfg(all(test, not(ziggurat_loom)))]
mod tests;
mod transform;
mod waker;
mod waker_slot;

pub use argument::Argument;
pub use bytemuck;
pub use end::{EndError, RawEnd};
pub use error::{Failure, OpenError, Panic, ProtocolError, ZigError};
pub use library::{Args, Library, Options, PanicPolicy};
pub use outcome::Outcome;
pub use plain::Plain;
pub use pool::HostPool;
pub use sink::RawSink;
pub use source::{Progress, RawSource, Unready};
pub use waker::{HostWaker, foreign_waker};
