//! A sink of chunks: the memory is lent, and comes back once.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::Bytes;
use futures::{Sink, SinkExt};
use ziggurat_core::RawBuffer;
use ziggurat_zig_ffi::testing::{Closing, FakeSink, Taking};

use super::drive;
use crate::{Buffer, OpenError, ZigByteSink, ZigError};

type Fake = FakeSink<RawBuffer, u64>;

fn sink(fake: &Fake, batch: usize) -> ZigByteSink<u64> {
    ZigByteSink::from_sink(fake.open(), batch).unwrap()
}

#[test]
fn chunks_cross_without_a_copy() {
    let fake = Fake::bytes([], [Closing::done(3)]);
    let mut sink = sink(&fake, 8);
    let chunk = Bytes::from(vec![1, 2, 3]);
    let buffer = Buffer::from(vec![4, 5]);
    let addresses = [chunk.as_ptr(), buffer.as_ptr()];
    drive(sink.send(chunk.clone())).unwrap();
    drive(sink.send_buffer(buffer)).unwrap();
    let received = fake.take_buffers();
    assert_eq!([received[0].as_ptr(), received[1].as_ptr()], addresses);
    assert!(!chunk.is_unique(), "it is still in use over there");
    drop(received);
    assert!(chunk.is_unique());
    assert_eq!(drive(sink.close()), Ok(3));
    drop(sink);
    fake.assert_released();
}

#[test]
fn chunks_wait_for_their_batch_and_a_buffer_does_not() {
    let fake = Fake::bytes([], []);
    let mut sink = sink(&fake, 2);
    drive(sink.feed(Bytes::from_static(b"a"))).unwrap();
    assert_eq!((fake.calls().crossings, sink.unsent().len()), (0, 1));
    drive(sink.send_buffer(Buffer::from(b"b".to_vec()))).unwrap();
    assert_eq!((fake.calls().crossings, sink.unsent().len()), (1, 0));
    drop(sink);
    assert_eq!(fake.take_buffers().len(), 2);
    fake.assert_released();
}

#[test]
fn a_function_that_returns_early_gives_its_result_and_the_chunks_back() {
    let fake = Fake::bytes([Taking::done(1)], [Closing::pending(), Closing::done(5)]);
    let mut sink = sink(&fake, 8);
    for chunk in ["a", "b", "c"] {
        drive(sink.feed(Bytes::from(chunk))).unwrap();
    }
    let closed = drive(poll_fn(|cx| Sink::<Bytes>::poll_close(Pin::new(&mut sink), cx)));
    assert_eq!(closed, Err(ZigError::Closed));
    let late = drive(sink.send_buffer(Buffer::from(vec![1])));
    assert_eq!(late, Err(ZigError::Closed));
    assert_eq!(sink.take_result(), Some(5));
    let unsent = sink.into_unsent();
    assert_eq!(unsent.iter().map(|b| &b[..]).collect::<Vec<_>>(), [b"b", b"c"]);
    drop(fake.take_buffers());
    fake.assert_released();
}

#[test]
fn a_close_that_was_dropped_is_gone_on_with() {
    for polls in 0..5 {
        let fake = Fake::bytes([Taking::pending(0)], [Closing::pending(), Closing::done(7)]);
        let mut sink = sink(&fake, 8);
        drive(sink.feed(Bytes::from_static(b"x"))).unwrap();
        let result = super::abandon(sink.close(), polls).unwrap_or_else(|| drive(sink.close()));
        assert_eq!((result, fake.take_buffers().len()), (Ok(7), 1));
        drop(sink);
        fake.assert_released();
    }
}

#[test]
fn impossible_configurations_are_refused_and_leave_nothing_behind() {
    let fake = Fake::bytes([], []);
    let refused = ZigByteSink::<u64>::from_sink(fake.open(), 0).map(drop);
    assert_eq!(refused, Err(OpenError::Zero("batch")));
    let refused = ZigByteSink::<()>::from_sink(fake.open(), 1).map(drop);
    assert!(matches!(refused, Err(OpenError::ResultType { .. })));
    let refused = crate::ZigSink::<[u64; 6], u64>::from_sink(fake.open(), 1).map(drop);
    assert!(matches!(refused, Err(OpenError::ItemType { .. })));
    fake.assert_released();
}
