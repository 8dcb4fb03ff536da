//! Async-runtime-agnostic streaming middleware for Rust and Zig.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[doc(inline)]
pub use ziggurat_channel as channel;
#[doc(inline)]
pub use ziggurat_core as core;
#[doc(inline)]
pub use ziggurat_patterns as patterns;
#[doc(inline)]
pub use ziggurat_stream as stream;
#[doc(inline)]
pub use ziggurat_zig_ffi as ffi;

pub use ziggurat_stream::{
    Buffer, BufferMut, BufferPool, ByteReader, ByteWriter, Growth, Local, LocalZigByteSink,
    LocalZigByteStream, LocalZigFuture, LocalZigSink, LocalZigStream, LocalZigTransform, OpenError,
    PanicPolicy, Plain, Through, ThroughZigExt, TransformError, TransformItem, TryThrough,
    ZigByteSink, ZigByteStream, ZigError, ZigFuture, ZigSink, ZigStream, ZigTransform, bind,
};
