//! Streams that are dropped at every poll.

use std::task::Poll;

use ziggurat_zig_ffi::abi;
use ziggurat_zig_ffi::testing::{Buffers, Crossing, FakeSource, Task};

use super::next;
use crate::{ZigByteStream, ZigStream};

/// One script for both kinds of streams.
fn script<W>(mut item: impl FnMut(u64) -> W, end: i32) -> Vec<Crossing<W>> {
    let mut items = |range: std::ops::Range<u64>| range.map(&mut item).collect::<Vec<_>>();
    vec![
        Crossing::ready(items(0..3)),
        Crossing::pending(),
        Crossing::pending().items(items(3..5)),
        Crossing::pending().during(|waker| waker.wake()),
        Crossing::new(end).items(items(5..7)),
    ]
}

const ENDS: [i32; 4] = [abi::DONE, abi::CANCELLED, abi::PANICKED, 17];

#[test]
fn a_stream_that_is_dropped_is_released_once_and_cancelled_unless_it_ended() {
    for (end, batch) in ENDS.into_iter().flat_map(|end| [1, 2, 8].map(|batch| (end, batch))) {
        for polls in 0.. {
            let fake = FakeSource::new(script(|i| i, end));
            let mut stream = ZigStream::<u64>::from_source(fake.open(), batch).unwrap();
            let task = Task::new();
            let polled = (0..polls).map(|_| next(&mut stream, &task)).last();
            let crossings = fake.calls().crossings;
            drop(stream);
            let calls = fake.calls();
            assert_eq!((calls.releases, calls.crossings), (1, crossings));
            // It has ended if the last line of the script was read to its end; a breach cancels.
            let ended = matches!(fake.left(), (0, 0)) && (0..=5).contains(&end);
            assert_eq!(
                calls.cancels,
                usize::from(!ended),
                "end {end}, batch {batch}, {polls} polls"
            );
            assert_eq!(task.wakers(), 0);
            fake.assert_released();
            if matches!(polled, Some(Poll::Ready(None))) {
                break;
            }
        }
    }
}

#[test]
fn a_byte_stream_that_is_dropped_releases_every_buffer_that_crossed() {
    for (end, batch) in ENDS.into_iter().flat_map(|end| [1, 2, 8].map(|batch| (end, batch))) {
        for (polls, keep) in (0..16).flat_map(|polls| [(polls, false), (polls, true)]) {
            let buffers = Buffers::new();
            let fake = FakeSource::bytes(script(|i| buffers.lend(&[i as u8; 4]), end));
            let mut stream = ZigByteStream::from_source(fake.open(), batch).unwrap();
            let task = Task::new();
            let mut kept: Vec<_> = (0..polls).map(|_| next(&mut stream, &task)).collect();
            if !keep {
                kept.clear();
            }
            drop(stream);
            for (i, chunk) in kept.iter().filter_map(ok).enumerate() {
                assert_eq!(chunk[..], [i as u8; 4], "chunks outlive their stream");
            }
            drop(kept);
            let (_, left) = fake.left();
            let expected: Vec<_> = (0..7).map(|i| usize::from(i < 7 - left)).collect();
            assert_eq!(buffers.releases(), expected);
            assert_eq!(fake.calls().releases, 1);
            fake.assert_released();
        }
    }
}

fn ok<T, E>(polled: &Poll<Option<Result<T, E>>>) -> Option<&T> {
    match polled {
        Poll::Ready(Some(Ok(item))) => Some(item),
        _ => None,
    }
}
