//! Byte streams and sinks over an other side that breaks the rules: no buffer is released twice.

use std::task::Poll;

use futures::SinkExt;
use ziggurat_core::{BufferError, RawBuffer};
use ziggurat_zig_ffi::abi::{self, READY};
use ziggurat_zig_ffi::testing::{Buffers, Crossing, FakeSink, FakeSource, Taking, Task};

use super::{collect, drive, next};
use crate::{Buffer, ProtocolError, ZigByteSink, ZigByteStream, ZigError};

/// Buffers that cannot be, and why. They have the release function of a real one, which must not be
/// called.
fn impossible(real: RawBuffer) -> [(RawBuffer, BufferError); 8] {
    let addr = real.ptr.addr();
    let end = std::ptr::without_provenance_mut(usize::MAX - 7);
    [
        (RawBuffer { ptr: std::ptr::null_mut(), ..real }, BufferError::Null { cap: 4 }),
        (RawBuffer { len: 5, ..real }, BufferError::Length { len: 5, cap: 4 }),
        (RawBuffer { len: usize::MAX, ..real }, BufferError::Length { len: usize::MAX, cap: 4 }),
        (RawBuffer { cap: usize::MAX, ..real }, BufferError::TooLarge { cap: usize::MAX }),
        (RawBuffer { ptr: end, cap: 64, ..real }, BufferError::TooLarge { cap: 64 }),
        (RawBuffer { align: 0, ..real }, BufferError::Align { align: 0 }),
        (RawBuffer { align: 24, ..real }, BufferError::Align { align: 24 }),
        (
            RawBuffer { ptr: real.ptr.wrapping_add(1), align: 1 << 40, ..real },
            BufferError::Misaligned { addr: addr + 1, align: 1 << 40 },
        ),
    ]
}

#[test]
fn an_impossible_buffer_ends_the_stream_wherever_it_comes() {
    for (case, position) in (0..8).flat_map(|case| [0, 1, 3].map(|position| (case, position))) {
        for end in [READY, abi::PENDING, abi::DONE, abi::ERROR, 50] {
            let buffers = Buffers::new();
            let mut batch: Vec<_> = (0..4).map(|i| buffers.lend(&[i; 4])).collect();
            let (bad, error) = impossible(batch[position])[case];
            batch[position] = bad;
            let fake = FakeSource::bytes([Crossing::new(end).items(batch)]);
            let items = collect(ZigByteStream::from_source(fake.open(), 8).unwrap());
            assert_eq!(items.len(), position + 1);
            for (i, item) in items[..position].iter().enumerate() {
                assert_eq!(item.as_ref().unwrap()[..], [i as u8; 4]);
            }
            let breach = ZigError::Protocol(ProtocolError::Buffer(error));
            assert_eq!(items.last(), Some(&Err(breach)));
            drop(items);
            let mut expected = vec![1; 4];
            expected[position] = 0;
            assert_eq!(buffers.releases(), expected, "the good ones once, the bad one never");
            let ended = [abi::DONE, abi::ERROR].contains(&end);
            assert_eq!(fake.calls().cancels > 0, !ended);
            fake.assert_released();
        }
    }
}

#[test]
fn a_good_stream_that_is_dropped_with_an_impossible_buffer_inside() {
    let buffers = Buffers::new();
    let good = [buffers.lend(b"1"), buffers.lend(b"2"), buffers.lend(b"3")];
    let batch = [good[0], impossible(good[1])[0].0, good[2]];
    let fake = FakeSource::bytes([Crossing::ready(batch)]);
    let mut stream = ZigByteStream::from_source(fake.open(), 8).unwrap();
    assert!(next(&mut stream, &Task::new()).is_ready());
    drop(stream);
    assert_eq!(buffers.releases(), [1, 0, 1]);
    fake.assert_released();
}

#[test]
fn buffers_that_were_claimed_and_not_written_are_refused() {
    // First into fresh room, then over buffers that were taken before.
    for lead in [vec![], vec![3]] {
        let buffers = Buffers::new();
        let first = lead.iter().map(|&n| Crossing::ready((0..n).map(|_| buffers.lend(b"old"))));
        let second = Crossing::ready([buffers.lend(b"new")]).claiming(3);
        let script: Vec<_> = first.chain([second]).collect();
        let fake = FakeSource::bytes(script);
        let items = collect(ZigByteStream::from_source(fake.open(), 4).unwrap());
        let breach = ProtocolError::Buffer(BufferError::Align { align: 0 });
        assert_eq!(items.last(), Some(&Err(ZigError::Protocol(breach))));
        assert_eq!(items.len(), lead.iter().sum::<usize>() + 2);
        drop(items);
        buffers.assert_released();
        fake.assert_released();
    }
}

#[test]
fn more_buffers_than_there_was_room_for_are_left_alone() {
    let buffers = Buffers::new();
    let crossing = Crossing::ready([buffers.lend(b"a"), buffers.lend(b"b")]).claiming(usize::MAX);
    let fake = FakeSource::bytes([crossing]);
    let items = collect(ZigByteStream::from_source(fake.open(), 4).unwrap());
    let breach = ProtocolError::TooManyItems { items: usize::MAX, cap: 4 };
    assert_eq!(items, [Err(ZigError::Protocol(breach))]);
    // Nothing is known about them: a leak, and no double release.
    assert_eq!(buffers.releases(), [0, 0]);
    fake.assert_released();
}

#[test]
fn buffers_of_no_bytes_are_released_too() {
    let buffers = Buffers::new();
    let script = [
        Crossing::ready([buffers.lend(b""), RawBuffer::EMPTY, buffers.lend(b"x")]),
        Crossing::done(),
    ];
    let fake = FakeSource::bytes(script);
    let items = collect(ZigByteStream::from_source(fake.open(), 4).unwrap());
    let lengths: Vec<_> = items.iter().map(|item| item.as_ref().unwrap().len()).collect();
    assert_eq!(lengths, [0, 0, 1]);
    drop(items);
    buffers.assert_released();
}

/// A sink that was sent three buffers and has crossed once, and how that went.
fn sends(buffers: &Buffers, taking: Taking) -> (FakeSink<RawBuffer>, ZigByteSink, ZigError) {
    let fake = FakeSink::bytes([taking], []);
    let mut sink = ZigByteSink::from_sink(fake.open(), 8).unwrap();
    for byte in [1, 2, 3] {
        // SAFETY: a real buffer, used once.
        let buffer = unsafe { Buffer::from_raw(buffers.lend(&[byte])) }.unwrap();
        sink.outbox().accept(buffer);
    }
    let error = drive(SinkExt::<bytes::Bytes>::flush(&mut sink)).unwrap_err();
    (fake, sink, error)
}

#[test]
fn a_byte_sink_keeps_what_was_not_taken_before_a_breach() {
    for (taking, kept) in [
        (Taking::new(1, READY), 2),
        (Taking::new(2, -1), 1),
        (Taking::new(0, 6), 3),
        (Taking::new(3, i32::MAX), 0),
        (Taking::new(1, abi::CANCELLED), 2),
        (Taking::done(2), 1),
    ] {
        let buffers = Buffers::new();
        let (fake, sink, error) = sends(&buffers, taking);
        assert_eq!(fake.received().len(), 3 - kept);
        assert!(matches!(error, ZigError::Protocol(_) | ZigError::Canceled | ZigError::Closed));
        let unsent = sink.into_unsent();
        assert_eq!(unsent.len(), kept);
        assert_eq!(buffers.releases(), [0; 3]);
        drop((unsent, fake.take_buffers()));
        buffers.assert_released();
        fake.assert_released();
    }
}

#[test]
fn a_byte_sink_that_claims_to_have_taken_more_than_all_gets_nothing_back() {
    let buffers = Buffers::new();
    let (fake, sink, _) = sends(&buffers, Taking::new(2, READY).claiming(4));
    assert!(sink.unsent().is_empty());
    drop(sink);
    drop(fake.take_buffers());
    assert_eq!(buffers.releases(), [1, 1, 0], "a leak, and no double release");
    fake.assert_released();
}

#[test]
fn after_a_breach_a_buffer_stream_is_over() {
    let buffers = Buffers::new();
    let (bad, _) = impossible(buffers.lend(b"four"))[2];
    let fake = FakeSource::bytes([Crossing::ready([bad])]);
    let mut stream = ZigByteStream::from_source(fake.open(), 8).unwrap().into_buffers();
    let task = Task::new();
    assert!(matches!(next(&mut stream, &task), Poll::Ready(Some(Err(ZigError::Protocol(_))))));
    assert!(matches!(next(&mut stream, &task), Poll::Ready(None)));
    // It is asked to end at once, not only when the stream is dropped.
    assert_eq!((fake.calls().crossings, fake.calls().cancels), (1, 1));
}
