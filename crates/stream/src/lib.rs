//! Zig code as Rust streams and sinks, on any executor or none.
//!
//! * [`ZigStream`]: plain items as a [`Stream`](futures_core::Stream), singly or in batches.
//! * [`ZigByteStream`]: bytes without a copy, as `Bytes`, [`Buffer`]s, or `AsyncRead`.
//! * [`ZigSink`], [`ZigByteSink`]: the other direction; closing yields what the function returned.
//! * [`ZigTransform`]: both at once; [`stream.through_zig(…)`](ThroughZigExt::through_zig).
//! * [`ZigFuture`]: what a function returns.
//! * [`Local`]: any of these, for Zig code that is bound to its thread.
//! * [`bind!`]: Rust functions over what a Zig library exports.
//! * [`host`]: what a function waits by when it runs as a coroutine.
//!
//! # Guarantees
//!
//! * The Zig side is never called again after it ended, and never by two callers at once.
//! * Opening starts nothing: the Zig function starts at the first poll.
//! * A slow consumer bounds the producer: at most `capacity` items between the two sides and one
//!   batch here.
//! * Dropping never blocks and never leaks: the function is cancelled, runs its `defer`s, and
//!   the last of both sides frees the state.
//! * A source that is always ready yields to the executor from time to time.
//!
//! # Not guaranteed
//!
//! Dropping does not wait for the Zig function to end; a function that never waits for anything and
//! never sends ends when it likes.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod bind;
mod byte_sink;
mod byte_stream;
mod future;
pub mod host;
mod local;
mod outbox;
mod reader;
mod sink;
mod stream;
#[cfg(all(test, not(ziggurat_loom)))]
mod tests;
mod transform;
mod writer;

pub use bind::{
    Bind, BoundLibrary, ByteSinkBuilder, ByteStreamBuilder, DEFAULT_BLOCK_SIZE, DEFAULT_BLOCKS,
    FutureBuilder, SinkBuilder, StreamBuilder, TransformBuilder,
};
pub use byte_sink::ZigByteSink;
pub use byte_stream::{Buffers, DEFAULT_BYTE_BATCH, ZigByteStream};
pub use future::ZigFuture;
pub use local::{
    Local, LocalZigByteSink, LocalZigByteStream, LocalZigFuture, LocalZigSink, LocalZigStream,
    LocalZigTransform,
};
pub use reader::ByteReader;
pub use sink::ZigSink;
pub use stream::{DEFAULT_BATCH, NextBatch, ZigStream};
pub use transform::{
    Through, ThroughZigExt, TransformError, TransformItem, TryThrough, ZigTransform,
};
pub use writer::ByteWriter;
pub use ziggurat_core::{Buffer, BufferMut, BufferPool, Growth, PoolError};
pub use ziggurat_zig_ffi as ffi;
pub use ziggurat_zig_ffi::{
    Argument, Failure, OpenError, Outcome, Panic, PanicPolicy, Plain, ProtocolError, ZigError,
};
