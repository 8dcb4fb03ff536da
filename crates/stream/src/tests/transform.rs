//! Transforms and futures over an other side that follows a script, or breaks the rules.

use std::cell::Cell;
use std::task::Poll;

use futures::{SinkExt, stream};
use ziggurat_core::{BufferError, RawBuffer};
use ziggurat_zig_ffi::abi::{self, TypeDesc};
use ziggurat_zig_ffi::testing::{
    Buffers, Closing, Crossing, FakeSink, FakeSource, Taking, Task, text,
};

use super::{collect, drive, next};
use crate::{
    Local, OpenError, ProtocolError, ThroughZigExt, TransformError, ZigError, ZigFuture, ZigSink,
    ZigTransform,
};

/// A transform over the two, with batches of two items.
fn transform(sink: &FakeSink<u64>, source: &FakeSource<u64>) -> ZigTransform<u64, u64> {
    ZigTransform::from_halves(sink.open(), source.open(), (2, 2)).unwrap()
}

#[test]
fn what_comes_out_is_taken_before_anything_is_pulled() {
    let sink = FakeSink::new([Taking::pending(0), Taking::new(0, abi::READY)], []);
    let source = FakeSource::new([
        Crossing::ready([1, 2]),
        Crossing::pending(),
        Crossing::pending(),
        Crossing::ready([3]),
        Crossing::done(),
    ]);
    let pulled = Cell::new(0);
    let input = stream::repeat_with(|| {
        pulled.set(pulled.get() + 1);
        pulled.get()
    });
    let mut through = input.through_zig(transform(&sink, &source));
    let task = Task::new();
    assert_eq!(next(&mut through, &task), Poll::Ready(Some(Ok(1))));
    assert_eq!(next(&mut through, &task), Poll::Ready(Some(Ok(2))));
    assert_eq!(sink.calls().crossings, 0);
    // Nothing comes out, and the function asks for nothing.
    assert_eq!(next(&mut through, &task), Poll::Pending);
    assert_eq!((sink.calls().crossings, pulled.get()), (1, 0));
    // It asks: a batch is handed over, and what comes of that is taken.
    assert_eq!(next(&mut through, &task), Poll::Ready(Some(Ok(3))));
    assert_eq!((sink.received(), pulled.get()), (vec![1, 2], 2));
    assert_eq!(task.wakes(), 0);
    assert_eq!(next(&mut through, &task), Poll::Ready(None));
    drop(through);
    sink.assert_released();
    source.assert_released();
}

#[test]
fn an_always_ready_input_yields() {
    let sink = FakeSink::new([], []);
    let source = FakeSource::new((0..10_000).map(|_| Crossing::pending()));
    let mut through = stream::repeat(7).through_zig(transform(&sink, &source));
    let task = Task::new();
    assert_eq!(next(&mut through, &task), Poll::Pending);
    assert_eq!((task.wakes(), sink.received().len()), (1, 4096));
}

#[test]
fn a_breach_of_either_half_ends_the_transform() {
    let breach = |error| Some(Err(ZigError::Protocol(error)));
    // The source's.
    let (sink, source) = (FakeSink::new([], []), FakeSource::new([Crossing::new(77)]));
    let items = collect(stream::repeat(1).through_zig(transform(&sink, &source)));
    assert_eq!(items.into_iter().next(), breach(ProtocolError::UnknownStatus(77)));
    assert_eq!(source.calls().cancels, 1);
    // The sink's: asked, offered items, and closed. The source says nothing more.
    let too_many = ProtocolError::TooManyItems { items: 3, cap: 2 };
    for (takings, closing, error) in [
        (vec![Taking::new(0, -3)], None, ProtocolError::UnknownStatus(-3)),
        (vec![Taking::all(), Taking::all().claiming(3)], None, too_many),
        (vec![], Some(Closing::new(abi::READY)), ProtocolError::UnknownStatus(abi::READY)),
    ] {
        let sink = FakeSink::new(takings, closing);
        let source = FakeSource::new([]);
        let items = collect(stream::iter([1, 2]).through_zig(transform(&sink, &source)));
        assert_eq!(items, [Err(ZigError::Protocol(error))]);
        assert!(sink.calls().cancels > 0 && source.calls().cancels > 0);
        sink.assert_released();
        source.assert_released();
    }
}

#[test]
fn what_comes_back_is_bounded_and_checked() {
    let unsent = |returns: Vec<(Vec<u64>, usize)>| {
        let fake = FakeSink::<u64>::new([Taking::all(), Taking::done(0)], []).returning(returns);
        let mut sink = ZigSink::<u64>::from_sink(fake.open(), 2).unwrap();
        drive(async {
            sink.feed(1).await.unwrap();
            sink.send(2).await.unwrap();
            assert_eq!(sink.send(3).await, Err(ZigError::Closed));
        });
        let unsent = sink.unsent().to_vec();
        drop(sink);
        fake.assert_released();
        unsent
    };
    assert_eq!(unsent(vec![]), [3]);
    assert_eq!(unsent(vec![(vec![1], 1), (vec![2], 1)]), [1, 2, 3]);
    // No more comes back than was handed over, whatever is claimed.
    assert_eq!(unsent(vec![(vec![1], 1); 100]), [1, 1, 3]);
    assert_eq!(unsent(vec![(vec![1, 2], 3), (vec![1, 2], 2)]), [3]);
    assert_eq!(unsent(vec![(vec![], usize::MAX)]), [3]);
    // What was claimed and not written is zero.
    assert_eq!(unsent(vec![(vec![8], 2)]), [8, 0, 3]);
}

#[test]
fn large_items_come_back_without_a_large_stack() {
    type Large = [[u8; 4096]; 10];
    let large = |byte| [[byte; 4096]; 10];
    let fake = FakeSink::<Large>::new([Taking::all(), Taking::done(0)], [])
        .returning([(vec![large(1)], 1)]);
    let mut sink = ZigSink::<Large>::from_sink(fake.open(), 1).unwrap();
    drive(async {
        sink.send(large(1)).await.unwrap();
        assert_eq!(sink.send(large(2)).await, Err(ZigError::Closed));
    });
    assert!(sink.unsent() == [large(1), large(2)]);
}

#[test]
fn what_a_local_one_has_not_delivered_can_be_had_back() {
    let fake = FakeSink::<u64>::new([Taking::all(), Taking::done(0)], []).returning([(vec![2], 1)]);
    let mut sink = Local::new(ZigSink::<u64>::from_sink(fake.open(), 2).unwrap());
    drive(async {
        sink.feed(1).await.unwrap();
        sink.send(2).await.unwrap();
        assert_eq!(sink.send(3).await, Err(ZigError::Closed));
    });
    assert_eq!(sink.unsent(), [2, 3]);
    assert_eq!((sink.take_result(), sink.into_unsent()), (None, vec![2, 3]));
    fake.assert_released();

    let (sink, source) = (FakeSink::new([Taking::pending(0)], []), FakeSource::new([]));
    let mut local = Local::new(transform(&sink, &source));
    drive(local.feed(4)).unwrap();
    assert_eq!(local.unsent(), [4]);
    assert_eq!(local.into_unsent(), [4]);
}

#[test]
fn a_buffer_that_comes_back_is_released_once_and_an_impossible_one_never() {
    let buffers = Buffers::new();
    let (good, bad) = (buffers.lend(b"good"), buffers.lend(b"bad"));
    let bad = RawBuffer { len: 99, ..bad };
    let fake = FakeSink::bytes([Taking::all(), Taking::done(0)], [Closing::done(())])
        .returning([(vec![good, bad], 2)]);
    let mut sink = crate::ZigByteSink::<()>::from_sink(fake.open(), 2).unwrap();
    drive(async {
        sink.feed("one".into()).await.unwrap();
        sink.send("two".into()).await.unwrap();
        assert_eq!(sink.send("three".into()).await, Err(ZigError::Closed));
    });
    let unsent: Vec<_> = sink.into_unsent().iter().map(|buffer| buffer.to_vec()).collect();
    assert_eq!(unsent, [&b"good"[..], b"three"]);
    assert_eq!(buffers.releases(), [1, 0]);
    drop(fake.take_buffers());
    fake.assert_released();
}

#[test]
fn errors_of_the_input_and_of_the_function_are_told_apart() {
    let record = abi::ErrorRecord { name: text(b"Broke"), ..abi::ErrorRecord::EMPTY };
    let (sink, source) =
        (FakeSink::new([], []), FakeSource::new([Crossing::new(abi::ERROR)]).describing(record));
    let input = stream::iter([Ok::<u64, &str>(1)]);
    let ends = collect(input.try_through_zig(transform(&sink, &source)));
    assert!(
        matches!(&ends[..], [Err(TransformError::Zig(error))] if error.name() == Some("Broke"))
    );

    // The input's comes after what came out, and instead of what the function makes of its end.
    let (sink, source) = (
        FakeSink::new([], []),
        FakeSource::new([
            Crossing::pending(),
            Crossing::pending(),
            Crossing::ready([5]),
            Crossing::new(abi::CANCELLED),
        ]),
    );
    let input = stream::iter([Ok(1), Err("no more"), Ok(2)]);
    let ends = collect(input.try_through_zig(transform(&sink, &source)));
    assert_eq!(ends, [Ok(5), Err(TransformError::Input("no more"))]);
    assert_eq!(sink.received(), [1]);
    sink.assert_released();
    source.assert_released();
}

#[test]
fn an_error_of_the_input_that_was_not_delivered_is_among_the_parts() {
    let (sink, source) = (
        FakeSink::new([], []),
        FakeSource::new([Crossing::pending(), Crossing::ready([5]), Crossing::pending()]),
    );
    let input = stream::iter([Ok(1), Err("no more"), Ok(2)]);
    let mut through = input.try_through_zig(transform(&sink, &source));
    assert_eq!(next(&mut through, &Task::new()), Poll::Ready(Some(Ok(5))));
    let (mut input, _, error) = through.into_parts();
    assert_eq!(error, Some("no more"));
    assert_eq!(next(&mut input, &Task::new()), Poll::Ready(Some(Ok(2))));
}

#[test]
fn halves_of_other_types_are_refused() {
    let (sink, source) = (FakeSink::<u64>::new([], []), FakeSource::<u64>::new([]));
    let opened = ZigTransform::<u32, u64>::from_halves(sink.open(), source.open(), (1, 1));
    assert!(matches!(opened, Err(OpenError::ItemType { .. })));
    let opened = ZigTransform::<u64, [u8]>::from_halves(sink.open(), source.open(), (1, 1));
    assert!(matches!(opened, Err(OpenError::ItemType { .. })));
    let opened = ZigTransform::<u64, u64>::from_halves(sink.open(), source.open(), (1, 0));
    assert!(matches!(opened, Err(OpenError::Zero("batch"))));
    sink.assert_released();
    source.assert_released();
}

/// What a future says of bytes, when its sink closes like this.
fn bytes(closing: Closing<RawBuffer>) -> Result<Vec<u8>, ZigError> {
    let fake = FakeSink::<(), RawBuffer>::returning_bytes([Closing::pending(), closing]);
    let mut future = ZigFuture::<[u8]>::from_sink(fake.open()).unwrap();
    let said = drive(&mut future).map(|bytes| bytes.to_vec());
    assert_eq!(drive(&mut future), Err(ZigError::Closed));
    drop(future);
    fake.assert_released();
    said
}

#[test]
fn bytes_that_a_future_returns_are_checked() {
    let buffers = Buffers::new();
    assert_eq!(bytes(Closing::done(buffers.lend(b"text"))).unwrap(), b"text");
    assert_eq!(buffers.releases(), [1]);
    // Nothing was written, or what cannot be.
    let breach = |error: BufferError| Err(ZigError::Protocol(ProtocolError::Buffer(error)));
    assert_eq!(bytes(Closing::new(abi::DONE)), breach(BufferError::Align { align: 0 }));
    let bad = RawBuffer { len: 9, ..buffers.lend(b"bad") };
    assert_eq!(bytes(Closing::done(bad)), breach(BufferError::Length { len: 9, cap: 3 }));
    assert_eq!(buffers.releases(), [1, 0]);
    let unknown = ZigError::Protocol(ProtocolError::UnknownStatus(9));
    assert_eq!(bytes(Closing::new(9)), Err(unknown));
    assert_eq!(bytes(Closing::new(abi::CANCELLED)), Err(ZigError::Canceled));
    // A sink that takes items is no future.
    let sink = FakeSink::<u64, u64>::new([], []);
    let opened = ZigFuture::<u64>::from_sink(sink.open());
    let expected = TypeDesc::of::<()>();
    assert!(matches!(opened, Err(OpenError::ItemType { expected: e, .. }) if e == expected));
}
