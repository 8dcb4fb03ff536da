//! What a transform takes and gives, and the two halves that follow from it.

use bytes::Bytes;
use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use ziggurat_core::Buffer;
use ziggurat_zig_ffi::abi::TypeDesc;
use ziggurat_zig_ffi::{OpenError, Plain, RawSink, RawSource, ZigError};

use crate::byte_stream::DEFAULT_BYTE_BATCH;
use crate::outbox::Outbox;
use crate::stream::DEFAULT_BATCH;
use crate::{ZigByteSink, ZigByteStream, ZigSink, ZigStream};

/// What a transform may take or give: any plain type, and `[u8]` for runs of bytes.
///
/// It is implemented for all of those; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot go through a Zig function",
    note = "transforms take and give plain values, and runs of bytes, which are `[u8]` here"
)]
pub trait TransformItem: sealed::Sealed + 'static {
    /// The type that is sent and received: itself, or [`Bytes`].
    type Item: Into<Self::Wire> + From<Self::Wire> + Send + 'static;
    /// The type that waits to cross: itself, or [`Buffer`].
    type Wire: Send + 'static;
    /// What takes the input of a transform of these.
    type Sink: Sink<Self::Item, Error = ZigError> + InputHalf<Self::Wire> + Send + Unpin;
    /// What delivers the output of a transform of these.
    type Stream: Stream<Item = Result<Self::Item, ZigError>>
        + FusedStream
        + OutputHalf
        + Send
        + Unpin;

    /// Items that cross at once, unless the builder says otherwise.
    #[doc(hidden)]
    const BATCH: usize;

    #[doc(hidden)]
    fn desc() -> TypeDesc;

    #[doc(hidden)]
    fn sink(sink: RawSink, batch: usize) -> Result<Self::Sink, OpenError>;

    #[doc(hidden)]
    fn stream(source: RawSource, batch: usize) -> Result<Self::Stream, OpenError>;
}

impl<T: Plain> TransformItem for T {
    type Item = T;
    type Wire = T;
    type Sink = ZigSink<T>;
    type Stream = ZigStream<T>;

    const BATCH: usize = DEFAULT_BATCH;

    fn desc() -> TypeDesc {
        TypeDesc::of::<T>()
    }

    fn sink(sink: RawSink, batch: usize) -> Result<ZigSink<T>, OpenError> {
        ZigSink::from_sink(sink, batch)
    }

    fn stream(source: RawSource, batch: usize) -> Result<ZigStream<T>, OpenError> {
        ZigStream::from_source(source, batch)
    }
}

impl TransformItem for [u8] {
    type Item = Bytes;
    type Wire = Buffer;
    type Sink = ZigByteSink;
    type Stream = ZigByteStream;

    const BATCH: usize = DEFAULT_BYTE_BATCH;

    fn desc() -> TypeDesc {
        TypeDesc::BYTES
    }

    fn sink(sink: RawSink, batch: usize) -> Result<ZigByteSink, OpenError> {
        ZigByteSink::from_sink(sink, batch)
    }

    fn stream(source: RawSource, batch: usize) -> Result<ZigByteStream, OpenError> {
        ZigByteStream::from_source(source, batch)
    }
}

mod sealed {
    pub trait Sealed {}
    impl<T: ziggurat_zig_ffi::Plain> Sealed for T {}
    impl Sealed for [u8] {}
}

/// The half of a transform that takes the input.
pub trait InputHalf<W> {
    fn outbox(&mut self) -> &mut Outbox<W, ()>;
}

impl<T: Plain> InputHalf<T> for ZigSink<T> {
    fn outbox(&mut self) -> &mut Outbox<T, ()> {
        ZigSink::outbox(self)
    }
}

impl InputHalf<Buffer> for ZigByteSink {
    fn outbox(&mut self) -> &mut Outbox<Buffer, ()> {
        ZigByteSink::outbox(self)
    }
}

/// The half of a transform that delivers the output.
pub trait OutputHalf {
    /// Nobody waits for a wake until the next poll.
    fn forget_waker(&mut self);

    fn request_cancel(&self);

    /// Ends it from this side.
    fn abort(&mut self);
}

impl<T: Plain> OutputHalf for ZigStream<T> {
    fn forget_waker(&mut self) {
        self.batches().forget_waker();
    }

    fn request_cancel(&self) {
        ZigStream::request_cancel(self);
    }

    fn abort(&mut self) {
        self.batches().abort();
    }
}

impl OutputHalf for ZigByteStream {
    fn forget_waker(&mut self) {
        self.batches().forget_waker();
    }

    fn request_cancel(&self) {
        ZigByteStream::request_cancel(self);
    }

    fn abort(&mut self) {
        self.release_buffered();
        self.batches().abort();
    }
}
