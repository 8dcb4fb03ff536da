//! Sinks that are dropped, and futures over them that are dropped, at every poll.

use futures::SinkExt;
use ziggurat_core::RawBuffer;
use ziggurat_zig_ffi::testing::{Buffers, Closing, FakeSink, Taking};

use super::{abandon, drive};
use crate::{Buffer, ZigByteSink, ZigSink};

fn takings() -> [Taking; 6] {
    [
        Taking::pending(0),
        Taking::pending(1),
        Taking::all(),
        Taking::pending(2),
        Taking::pending(0),
        Taking::pending(1),
    ]
}

/// A real buffer of one byte.
fn buffer(buffers: &Buffers, byte: u8) -> Buffer {
    // SAFETY: lent for this, and used once.
    unsafe { Buffer::from_raw(buffers.lend(&[byte])) }.unwrap()
}

fn bytes(list: &[Buffer]) -> Vec<u8> {
    list.iter().map(|buffer| buffer[0]).collect()
}

#[test]
fn no_item_is_lost_or_doubled_wherever_sending_stops() {
    for polls in 0.. {
        let fake = FakeSink::new(takings(), [Closing::pending(), Closing::done(1_u64)]);
        let mut sink = ZigSink::<u64, u64>::from_sink(fake.open(), 2).unwrap();
        let mut accepted = 0;
        let run = async {
            for item in 0..6_u64 {
                sink.feed(item).await.unwrap();
                accepted = item + 1;
            }
            sink.close().await.unwrap()
        };
        let result = abandon(run, polls);
        let unsent = sink.into_unsent();
        let all: Vec<_> = fake.received().into_iter().chain(unsent).collect();
        assert_eq!(all, (0..accepted).collect::<Vec<_>>());
        let calls = fake.calls();
        assert_eq!((calls.releases, calls.cancels), (1, usize::from(result.is_none())));
        fake.assert_released();
        if result.is_some() {
            break;
        }
    }
}

#[test]
fn every_buffer_is_released_once_wherever_sending_stops() {
    for polls in 0.. {
        let (buffers, mut accepted) = (Buffers::new(), 0);
        let fake =
            FakeSink::<RawBuffer, u64>::bytes(takings(), [Closing::pending(), Closing::done(1)]);
        let mut sink = ZigByteSink::<u64>::from_sink(fake.open(), 2).unwrap();
        let run = async {
            for byte in 0..6 {
                sink.send_buffer(buffer(&buffers, byte)).await.unwrap();
                accepted = byte + 1;
            }
            sink.close().await.unwrap()
        };
        let done = abandon(run, polls).is_some();
        let (unsent, received) = (sink.into_unsent(), fake.take_buffers());
        let all = [bytes(&received), bytes(&unsent)].concat();
        // One more may have been on its way when the future was dropped.
        assert!(all.len() >= accepted as usize && all.iter().copied().eq(0..all.len() as u8));
        drop((unsent, received));
        buffers.assert_released();
        fake.assert_released();
        if done {
            break;
        }
    }
}

#[test]
fn a_send_that_was_dropped_before_there_was_room_drops_its_buffer() {
    let buffers = Buffers::new();
    let fake = FakeSink::<RawBuffer>::bytes([Taking::pending(0), Taking::pending(0)], []);
    let mut sink = ZigByteSink::<()>::from_sink(fake.open(), 1).unwrap();
    // The first has room, and waits for its crossing; the second has none.
    assert!(abandon(sink.send_buffer(buffer(&buffers, 1)), 1).is_none());
    assert!(abandon(sink.send_buffer(buffer(&buffers, 2)), 1).is_none());
    assert_eq!((bytes(sink.unsent()), buffers.releases()), (vec![1], vec![0, 1]));
    drive(sink.send_buffer(buffer(&buffers, 3))).unwrap();
    assert_eq!(bytes(&fake.take_buffers()), [1, 3]);
    buffers.assert_released();
    drop(sink);
    fake.assert_released();
}
