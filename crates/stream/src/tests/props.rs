//! Laws: whatever the other side's rhythm and the consumer's, nothing is lost, doubled or reordered.

use futures::SinkExt;
use proptest::prelude::*;
use ziggurat_core::RawBuffer;
use ziggurat_zig_ffi::abi;
use ziggurat_zig_ffi::testing::{Buffers, Closing, Crossing, FakeSink, FakeSource, Taking, Task};

use super::{abandon, drive, next};
use crate::{Buffer, ZigByteSink, ZigByteStream, ZigSink, ZigStream};

/// A crossing: items, and whether it says to wait.
fn rhythm() -> impl Strategy<Value = Vec<(usize, bool)>> {
    prop::collection::vec((0..6_usize, any::<bool>()), 0..12)
}

/// A source with this rhythm, which ends with `end` and some more items. Items are numbered.
fn script<W>(
    rhythm: &[(usize, bool)],
    end: (i32, usize),
    mut item: impl FnMut(u64) -> W,
) -> (Vec<Crossing<W>>, u64) {
    let (mut script, mut sent) = (Vec::new(), 0);
    let mut some = |n: usize, sent: &mut u64| {
        let items: Vec<W> = (*sent..*sent + n as u64).map(&mut item).collect();
        *sent += n as u64;
        items
    };
    for &(n, wait) in rhythm {
        let status = if wait || n == 0 { abi::PENDING } else { abi::READY };
        script.push(Crossing::new(status).items(some(n, &mut sent)));
    }
    script.push(Crossing::new(end.0).items(some(end.1, &mut sent)));
    (script, sent)
}

fn end() -> impl Strategy<Value = (i32, usize)> {
    (prop::sample::select(vec![abi::DONE, abi::ERROR, abi::CANCELLED, abi::PENDING]), 0..4_usize)
}

/// What a consumer does next: takes an item, takes a batch, or gives up a batch after a poll.
#[derive(Debug, Clone, Copy)]
enum Step {
    Item,
    Batch,
    Abandon,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop::sample::select(vec![Step::Item, Step::Batch, Step::Abandon]);
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn items_arrive_as_they_were_sent(
        rhythm in rhythm(), end in end(), steps in steps(), batch in 1..9_usize,
    ) {
        let (script, sent) = script(&rhythm, end, |i| i);
        let fake = FakeSource::new(script);
        let mut stream = ZigStream::from_source(fake.open(), batch).unwrap();
        let (task, mut seen, mut ended) = (Task::new(), Vec::new(), false);
        for step in steps {
            let taken = match step {
                Step::Item => match next(&mut stream, &task) {
                    std::task::Poll::Ready(item) => Some(item.map(|item| item.map(|i| vec![i]))),
                    std::task::Poll::Pending => None,
                },
                Step::Batch => abandon(stream.next_batch(), 1)
                    .map(|batch| batch.map(|batch| batch.map(<[u64]>::to_vec))),
                Step::Abandon => { drop(stream.next_batch()); None }
            };
            match taken {
                Some(Some(Ok(items))) => { prop_assert!(!ended); seen.extend(items) }
                Some(Some(Err(_))) => { prop_assert!(!ended && end.0 != abi::DONE); ended = true }
                Some(None) => ended = true,
                None => {}
            }
        }
        prop_assert!(seen.iter().copied().eq(0..seen.len() as u64));
        prop_assert!(!ended || seen.len() as u64 == sent);
        drop(stream);
        fake.assert_released();
    }

    #[test]
    fn buffers_that_crossed_are_released_once(
        rhythm in rhythm(), end in end(), batch in 1..9_usize, polls in 0..60_usize,
        keep in any::<bool>(),
    ) {
        let buffers = Buffers::new();
        let (script, sent) = script(&rhythm, end, |i| buffers.lend(&[i as u8]));
        let fake = FakeSource::bytes(script);
        let mut stream = ZigByteStream::from_source(fake.open(), batch).unwrap();
        let task = Task::new();
        let mut kept = Vec::new();
        for _ in 0..polls {
            if let std::task::Poll::Ready(Some(Ok(chunk))) = next(&mut stream, &task) {
                prop_assert_eq!(chunk[0] as usize, kept.len());
                kept.push(keep.then_some(chunk));
            }
        }
        drop(stream);
        drop(kept);
        let crossed = sent as usize - fake.left().1;
        let expected: Vec<_> = (0..sent as usize).map(|i| usize::from(i < crossed)).collect();
        prop_assert_eq!(buffers.releases(), expected);
        fake.assert_released();
    }

    #[test]
    fn items_are_taken_as_they_were_sent_or_handed_back(
        takings in takings(), early in early(), items in 0..30_u64, batch in 1..9_usize,
        polls in 0..80_usize, flush in any::<bool>(),
    ) {
        let takings = takings.into_iter().map(Taking::pending).chain(early.map(Taking::done));
        let fake = FakeSink::new(takings, [Closing::pending(), Closing::done(1_u64)]);
        let mut sink = ZigSink::<u64, u64>::from_sink(fake.open(), batch).unwrap();
        let mut accepted = 0;
        let run = async {
            for item in 0..items {
                sink.feed(item).await?;
                accepted = item + 1;
                if flush { sink.flush().await? }
            }
            sink.close().await
        };
        let closed = abandon(run, polls);
        if let Some(Ok(result)) = closed {
            prop_assert_eq!(result, 1);
        }
        let all: Vec<_> = fake.received().into_iter().chain(sink.into_unsent()).collect();
        prop_assert!(all.into_iter().eq(0..accepted));
        fake.assert_released();
    }

    #[test]
    fn chunks_are_taken_once_or_handed_back(
        takings in takings(), early in early(), items in 0..20_u8, batch in 1..9_usize,
        polls in 0..60_usize,
    ) {
        let buffers = Buffers::new();
        let takings = takings.into_iter().map(Taking::pending).chain(early.map(Taking::done));
        let fake = FakeSink::<RawBuffer, u64>::bytes(takings, [Closing::pending()]);
        let mut sink = ZigByteSink::<u64>::from_sink(fake.open(), batch).unwrap();
        let run = async {
            for item in 0..items {
                // SAFETY: lent for this, and used once.
                let buffer = unsafe { Buffer::from_raw(buffers.lend(&[item])) }.unwrap();
                sink.send_buffer(buffer).await?;
            }
            sink.close().await
        };
        let closed = abandon(run, polls);
        let (received, unsent) = (fake.take_buffers(), sink.into_unsent());
        let all: Vec<_> = received.iter().chain(&unsent).map(|buffer| buffer[0]).collect();
        prop_assert!(all.iter().copied().eq(0..all.len() as u8));
        prop_assert!(!matches!(closed, Some(Ok(_))) || all.len() == items as usize || early.is_some());
        drop((received, unsent));
        buffers.assert_released();
        fake.assert_released();
    }
}

fn takings() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..4_usize, 0..12)
}

/// After how many items of its last crossing the function returns early, if it does.
fn early() -> impl Strategy<Value = Option<usize>> {
    prop::option::of(0..4_usize)
}

#[test]
fn a_stream_without_an_end_is_drained_by_waking_consumers() {
    let fake = FakeSource::new(
        (0..50_u64).map(|i| Crossing::pending().items([i, i]).during(|w| w.wake())),
    );
    let mut stream = ZigStream::<u64>::from_source(fake.open(), 1).unwrap();
    for i in 0..50 {
        assert_eq!(drive(stream.next_batch()).unwrap().unwrap(), [i]);
        assert_eq!(drive(stream.next_batch()).unwrap().unwrap(), [i]);
    }
}
