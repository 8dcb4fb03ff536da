//! Streams and sinks of plain items over an other side that breaks the rules.

use std::task::Poll;

use futures::SinkExt;
use ziggurat_zig_ffi::abi::{self, READY};
use ziggurat_zig_ffi::testing::{Closing, Crossing, FakeSink, FakeSource, Taking, Task};

use super::{collect, drive, next};
use crate::{ProtocolError, ZigError, ZigSink, ZigStream};

/// What a stream with this script yields, and how often it was cancelled.
fn yields(script: impl IntoIterator<Item = Crossing<u64>>) -> (Vec<Result<u64, ZigError>>, usize) {
    let fake = FakeSource::new(script);
    let items = collect(ZigStream::from_source(fake.open(), 4).unwrap());
    fake.assert_released();
    (items, fake.calls().cancels)
}

fn broke(error: ProtocolError) -> Result<u64, ZigError> {
    Err(ZigError::Protocol(error))
}

#[test]
fn a_breach_is_an_error_after_the_items_before_it() {
    for (breach, error) in [
        (Crossing::new(READY), ProtocolError::EmptyReady),
        (Crossing::new(-1), ProtocolError::UnknownStatus(-1)),
        (Crossing::new(i32::MAX), ProtocolError::UnknownStatus(i32::MAX)),
        (Crossing::ready([8]).claiming(5), ProtocolError::TooManyItems { items: 5, cap: 4 }),
        (
            Crossing::done().claiming(usize::MAX),
            ProtocolError::TooManyItems { items: usize::MAX, cap: 4 },
        ),
    ] {
        let (items, cancels) = yields([Crossing::ready([1, 2]), breach]);
        assert_eq!(items, [Ok(1), Ok(2), broke(error)]);
        assert_eq!(cancels, 1);
    }
}

#[test]
fn items_that_were_claimed_and_not_written_are_old_ones_or_zero() {
    let script = [
        Crossing::ready([1, 2]).claiming(3),
        Crossing::ready([5]).claiming(4),
        Crossing::pending().claiming(1),
        Crossing::done(),
    ];
    let (items, cancels) = yields(script);
    assert_eq!(items, [1, 2, 0, 5, 2, 0, 0, 5].map(Ok));
    assert_eq!(cancels, 0);
}

#[test]
fn items_that_were_written_and_not_claimed_are_not_seen() {
    let (items, _) = yields([Crossing::ready([1, 2, 3]).claiming(1), Crossing::done().items([4])]);
    assert_eq!(items, [Ok(1), Ok(4)]);
}

#[test]
fn batches_stop_at_a_breach_as_well() {
    let fake = FakeSource::new([Crossing::new(99).items([1, 2])]);
    let mut stream = ZigStream::from_source(fake.open(), 4).unwrap();
    assert_eq!(drive(stream.next_batch()), Some(Ok(&[1, 2][..])));
    let breach = ZigError::Protocol(ProtocolError::UnknownStatus(99));
    assert_eq!(drive(stream.next_batch()), Some(Err(breach)));
    assert_eq!(drive(stream.next_batch()), None);
    assert_eq!(next(&mut stream, &Task::new()), Poll::Ready(None));
}

/// A sink that was sent three items and has crossed once, and how that went.
fn sends(taking: Taking) -> (FakeSink<u64, u64>, ZigSink<u64, u64>, ZigError) {
    let fake = FakeSink::new([taking], []);
    let mut sink = ZigSink::from_sink(fake.open(), 8).unwrap();
    let error = drive(async {
        for item in 1..=3 {
            sink.feed(item).await.unwrap();
        }
        sink.flush().await.unwrap_err()
    });
    (fake, sink, error)
}

#[test]
fn a_sink_keeps_what_was_not_taken_before_a_breach() {
    for (taking, error, unsent) in [
        (Taking::new(1, READY), ProtocolError::ShortReady { taken: 1, offered: 3 }, &[2, 3][..]),
        (Taking::new(2, -1), ProtocolError::UnknownStatus(-1), &[3]),
        (Taking::new(0, i32::MIN), ProtocolError::UnknownStatus(i32::MIN), &[1, 2, 3]),
        // How many it took is unknown; no item is offered twice.
        (
            Taking::new(1, READY).claiming(usize::MAX),
            ProtocolError::TooManyItems { items: usize::MAX, cap: 3 },
            &[],
        ),
    ] {
        let (fake, mut sink, found) = sends(taking);
        assert_eq!(found, ZigError::Protocol(error));
        assert_eq!(sink.unsent(), unsent);
        let calls = fake.calls();
        assert_eq!(calls.cancels, 1);
        assert_eq!(drive(sink.send(9)), Err(ZigError::Closed));
        assert_eq!(drive(sink.close()), Err(ZigError::Closed), "the end was told before");
        assert_eq!(sink.take_result(), None);
        assert_eq!(fake.calls(), calls, "nothing is called after the end");
        assert_eq!(sink.into_unsent(), unsent);
        fake.assert_released();
    }
}

#[test]
fn closing_with_a_status_that_cannot_be() {
    for status in [READY, -1, 6, i32::MAX, i32::MIN] {
        let fake = FakeSink::<u64, u64>::new([], [Closing::new(status)]);
        let mut sink = ZigSink::<u64, u64>::from_sink(fake.open(), 8).unwrap();
        let breach = ZigError::Protocol(ProtocolError::UnknownStatus(status));
        assert_eq!(drive(sink.close()), Err(breach));
        assert_eq!(drive(sink.close()), Err(ZigError::Closed));
        drop(sink);
        assert_eq!((fake.calls().closes, fake.calls().cancels), (1, 1));
        fake.assert_released();
    }
}

#[test]
fn a_result_that_was_claimed_and_not_written_is_zero() {
    let fake = FakeSink::<u64, [u32; 4]>::new([], [Closing::new(abi::DONE)]);
    let mut sink = ZigSink::<u64, [u32; 4]>::from_sink(fake.open(), 8).unwrap();
    assert_eq!(drive(sink.close()), Ok([0; 4]));
}
