//! Auto traits and sizes, which are part of the interface without being written down in it.

use std::task::Poll;

use ziggurat_zig_ffi::{HostPool, HostWaker, Library, Progress, RawSink, RawSource};

use crate::*;

fn send<T: Send>() {}
fn sync<T: Sync>() {}
fn unpin<T: Unpin>() {}
fn all<T: Send + Sync + Unpin>() {}
fn error<T: std::error::Error + Clone + Send + Sync + 'static>() {}

/// Plain, and not `Unpin` by itself.
#[derive(Clone, Copy)]
struct Odd(std::marker::PhantomPinned);

// SAFETY: it has no bytes.
unsafe impl ffi::bytemuck::Zeroable for Odd {}
// SAFETY: as above.
unsafe impl ffi::bytemuck::AnyBitPattern for Odd {}

#[test]
fn auto_traits() {
    all::<ZigStream<u64>>();
    all::<NextBatch<'static, u64>>();
    all::<ZigByteStream>();
    all::<Buffers>();
    all::<ByteReader>();
    all::<ZigSink<u64, u64>>();
    all::<ZigByteSink<u64>>();
    all::<ByteWriter<u64>>();
    all::<ZigTransform<u64, [u8]>>();
    all::<Through<futures::stream::Empty<u64>, u64, [u8]>>();
    all::<TryThrough<futures::stream::Empty<u64>, u64, [u8], ZigError>>();
    all::<ZigFuture<[u8]>>();
    all::<TransformBuilder<u64, [u8]>>();
    all::<FutureBuilder<[u8]>>();
    all::<StreamBuilder<u64>>();
    all::<ByteStreamBuilder>();
    all::<SinkBuilder<u64, u64>>();
    all::<ByteSinkBuilder<u64>>();
    all::<RawSource>();
    all::<RawSink>();
    all::<HostWaker>();
    all::<HostPool>();
    all::<Library>();
    all::<Progress>();
    all::<host::HostRef>();
    all::<host::DefaultHost>();
    all::<host::Job>();
    all::<host::Orphan>();
    unpin::<ZigStream<Odd>>();
    unpin::<ZigSink<Odd, Odd>>();
    unpin::<ByteWriter<Odd>>();
    error::<ZigError>();
    error::<OpenError>();
    error::<ProtocolError>();
    error::<TransformError<ZigError>>();
}

/// As code sees it that does not know the items.
#[test]
fn auto_traits_of_any_transform() {
    fn of<T: ?Sized + TransformItem, U: ?Sized + TransformItem>() {
        send::<ZigTransform<T, U>>();
        send::<Through<futures::stream::Empty<T::Item>, T, U>>();
        unpin::<ZigTransform<T, U>>();
    }
    of::<[u8], u64>();
}

#[test]
fn the_futures_may_be_selected() {
    fn fused<F: futures::future::FusedFuture + Unpin>() {}
    fused::<NextBatch<'static, u64>>();
    fused::<ZigFuture<[u8]>>();
    fused::<Local<NextBatch<'static, u64>>>();
}

#[cfg(all(unix, feature = "tokio"))]
#[test]
fn auto_traits_of_tokio_s_host() {
    all::<host::Descriptor>();
    all::<host::TokioHost>();
    all::<host::TokioWait>();
    all::<host::TokioDescriptor>();
    error::<host::NoRuntime>();
}

#[test]
fn the_futures_of_a_sink_may_be_spawned() {
    fn sent<F: Future + Send>(_: impl FnOnce(&'static mut ZigSink<u64, u64>) -> F) {}
    fn bytes_sent<F: Future + Send>(_: impl FnOnce(&'static mut ZigByteSink<u64>) -> F) {}
    sent(|sink| sink.close());
    bytes_sent(|sink| sink.close());
    bytes_sent(|sink| sink.send_buffer(Buffer::new()));
    send::<Box<dyn futures::Stream<Item = Result<u64, ZigError>> + Send>>();
    sync::<std::sync::Arc<ZigError>>();
}

#[test]
fn an_item_on_its_way_out_fits_into_a_few_registers() {
    assert_eq!(size_of::<ZigError>(), 24);
    assert_eq!(size_of::<Poll<Option<Result<u64, ZigError>>>>(), 24);
    assert_eq!(size_of::<Poll<Option<Result<bytes::Bytes, ZigError>>>>(), 40);
}
