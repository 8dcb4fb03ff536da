//! A stream of plain items: order, batches, ends, budget, wakes.

use std::task::{Context, Poll};

use futures::stream::{FusedStream, Stream};
use ziggurat_zig_ffi::abi;
use ziggurat_zig_ffi::testing::{Crossing, FakeSource, Task};

use super::{collect, drive, next, poll_once};
use crate::{OpenError, ZigError, ZigStream};

fn stream(fake: &FakeSource<u64>, batch: usize) -> ZigStream<u64> {
    ZigStream::from_source(fake.open(), batch).unwrap()
}

fn script() -> [Crossing<u64>; 6] {
    [
        Crossing::ready([1, 2, 3]),
        Crossing::pending(),
        Crossing::pending().items([4]),
        Crossing::ready([5]),
        Crossing::pending(),
        Crossing::done().items([6, 7, 8]),
    ]
}

fn oks(items: impl IntoIterator<Item = u64>) -> Vec<Result<u64, ZigError>> {
    items.into_iter().map(Ok).collect()
}

#[test]
fn items_come_in_order_and_then_nothing() {
    for batch in 1..10 {
        let fake = FakeSource::new(script());
        assert_eq!(collect(stream(&fake, batch)), oks(1..=8));
        assert_eq!(fake.calls().cancels, 0);
        fake.assert_released();
    }
}

#[test]
fn an_end_with_items_is_told_after_them() {
    for (status, error) in [(abi::CANCELLED, ZigError::Canceled)]
        .into_iter()
        .chain([(-3, ZigError::Protocol(crate::ProtocolError::UnknownStatus(-3)))])
    {
        let fake = FakeSource::new([Crossing::new(status).items([1, 2])]);
        let mut expected = oks([1, 2]);
        expected.push(Err(error));
        assert_eq!(collect(stream(&fake, 4)), expected);
        fake.assert_released();
    }
}

#[test]
fn the_hint_is_exact_once_the_end_is_known() {
    let fake = FakeSource::new([Crossing::new(abi::CANCELLED).items([1, 2])]);
    let (mut stream, task) = (stream(&fake, 4), Task::new());
    assert_eq!(stream.size_hint(), (0, None));
    for expected in [(2, Some(2)), (1, Some(1)), (0, Some(0))] {
        assert!(next(&mut stream, &task).is_ready());
        assert_eq!(stream.size_hint(), expected);
        assert_eq!(stream.is_terminated(), expected.0 == 0);
    }
}

#[test]
fn batches_are_the_same_items() {
    for batch in 1..10 {
        let fake = FakeSource::new(script());
        let mut stream = stream(&fake, batch);
        let mut items = Vec::new();
        while let Some(part) = drive(stream.next_batch()) {
            let part = part.unwrap();
            assert!(!part.is_empty() && part.len() <= batch);
            items.extend_from_slice(part);
        }
        assert_eq!(items, (1..=8).collect::<Vec<_>>());
        assert!(stream.is_terminated());
        assert!(drive(stream.next_batch()).is_none());
        drop(stream);
        fake.assert_released();
    }
}

#[test]
fn items_and_batches_may_be_mixed() {
    let fake = FakeSource::new([Crossing::ready([1, 2, 3]), Crossing::new(abi::CANCELLED)]);
    let (mut stream, task) = (stream(&fake, 8), Task::new());
    assert_eq!(next(&mut stream, &task), Poll::Ready(Some(Ok(1))));
    assert_eq!(stream.delivered(), [2, 3]);
    let waker = task.waker();
    let rest = stream.poll_next_batch(&mut Context::from_waker(&waker));
    assert!(matches!(rest, Poll::Ready(Some(Ok(&[2, 3])))));
    assert!(stream.delivered().is_empty());
    assert_eq!(drive(stream.next_batch()), Some(Err(ZigError::Canceled)));
    assert_eq!(drive(stream.next_batch()), None);
}

#[test]
fn a_future_of_a_batch_that_is_dropped_takes_nothing() {
    let fake = FakeSource::new([Crossing::pending(), Crossing::ready([1, 2]), Crossing::done()]);
    let mut stream = stream(&fake, 8);
    drop(stream.next_batch());
    assert!(poll_once(&mut stream.next_batch()).is_pending());
    assert_eq!(drive(stream.next_batch()).unwrap().unwrap(), [1, 2]);
    assert!(drive(stream.next_batch()).is_none());
}

#[test]
fn a_cancelled_stream_delivers_what_is_under_way() {
    let fake = FakeSource::new([Crossing::ready([1, 2]), Crossing::new(abi::CANCELLED).items([3])]);
    let (mut stream, task) = (stream(&fake, 1), Task::new());
    assert_eq!(next(&mut stream, &task), Poll::Ready(Some(Ok(1))));
    stream.request_cancel();
    assert_eq!(fake.calls().cancels, 1);
    let mut expected = oks([2, 3]);
    expected.push(Err(ZigError::Canceled));
    assert_eq!(collect(stream), expected);
    assert_eq!(fake.calls().cancels, 1);
    fake.assert_released();
}

#[test]
fn cancelling_after_the_end_calls_nobody() {
    let fake = FakeSource::<u64>::new([Crossing::done()]);
    let (mut stream, task) = (stream(&fake, 1), Task::new());
    assert_eq!(next(&mut stream, &task), Poll::Ready(None));
    stream.request_cancel();
    drop(stream);
    assert_eq!(fake.calls().cancels, 0);
    fake.assert_released();
}

/// Polls until `items` have come; returns how often the stream said to wait, having woken its task.
fn yields(fake: &FakeSource<u64>, items: usize, batchwise: bool) -> usize {
    let (mut stream, task) = (stream(fake, 128), Task::new());
    let (waker, mut seen, mut yields) = (task.waker(), Vec::new(), 0);
    while seen.len() < items {
        let mut cx = Context::from_waker(&waker);
        let before = task.wakes();
        let polled = match batchwise {
            true => stream.poll_next_batch(&mut cx).map_ok(<[u64]>::to_vec),
            false => next(&mut stream, &task).map_ok(|item| vec![item]),
        };
        match polled {
            Poll::Ready(part) => seen.extend(part.unwrap().unwrap()),
            Poll::Pending => {
                assert_eq!(task.wakes(), before + 1, "it asks to be polled again");
                yields += 1;
            }
        }
    }
    assert!(seen.iter().copied().eq(0..items as u64), "nothing is lost");
    yields
}

#[test]
fn a_source_that_is_always_ready_yields() {
    for batchwise in [false, true] {
        let fake = FakeSource::new([Crossing::ready(0..10_000)]);
        assert_eq!(yields(&fake, 10_000, batchwise), 2);
        fake.assert_released();
        // One that says "wait" with every item, and never is without one, is always ready as well.
        let fake = FakeSource::new((0..10_000).map(|i| Crossing::pending().items([i])));
        assert_eq!(yields(&fake, 10_000, batchwise), 2);
        fake.assert_released();
    }
}

#[test]
fn a_source_that_waits_has_its_budget_back() {
    let waits = (0..10).flat_map(|i| {
        [Crossing::ready(i * 4000..(i + 1) * 4000), Crossing::pending().during(|w| w.wake())]
    });
    let fake = FakeSource::new(waits);
    // Ten times it waited, and not once it yielded; the last wait is not reached.
    assert_eq!(yields(&fake, 40_000, true), 9);
}

#[test]
fn the_task_that_polled_last_is_woken() {
    let fake = FakeSource::<u64>::new([]);
    let (mut stream, first, second) = (stream(&fake, 4), Task::new(), Task::new());
    assert!(next(&mut stream, &first).is_pending());
    assert!(next(&mut stream, &second).is_pending());
    fake.waker().unwrap().wake();
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
    let kept = fake.waker().unwrap();
    assert!(next(&mut stream, &second).is_pending());
    drop(stream);
    kept.wake();
    assert_eq!((second.wakes(), second.wakers()), (1, 0));
    fake.assert_released();
}

#[test]
fn a_real_executor_is_woken_from_another_thread() {
    use futures::StreamExt;
    let fake = FakeSource::<u64>::new([]);
    let mut stream = stream(&fake, 4);
    for i in 0..100 {
        let script = fake.clone();
        assert!(next(&mut stream, &Task::new()).is_pending());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                script.push(Crossing::ready([i]));
                script.waker().unwrap().wake();
            });
            assert_eq!(futures::executor::block_on(stream.next()), Some(Ok(i)));
        });
    }
    drop(stream);
    fake.assert_released();
}

#[test]
fn impossible_configurations_are_refused_and_leave_nothing_behind() {
    let fake = FakeSource::<u64>::new([]);
    let refused = ZigStream::<u64>::from_source(fake.open(), 0).map(drop);
    assert_eq!(refused, Err(OpenError::Zero("batch")));
    let refused = ZigStream::<u32>::from_source(fake.open(), 1).map(drop);
    assert!(matches!(refused, Err(OpenError::ItemType { .. })));
    // SAFETY: a good handle.
    let refused = unsafe { ZigStream::<u64>::from_raw(fake.handle(), 0) }.map(drop);
    assert_eq!(refused, Err(OpenError::Zero("batch")));
    assert_eq!(fake.calls().releases, 3);
    fake.assert_released();
}

#[test]
fn items_of_any_plain_type() {
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq, bytemuck::AnyBitPattern)]
    struct Sample {
        tag: u8,
        value: u64,
    }
    let samples = [Sample { tag: 1, value: 2 }, Sample { tag: 3, value: 4 }];
    let fake = FakeSource::new([Crossing::ready(samples), Crossing::done()]);
    let stream = ZigStream::from_source(fake.open(), 3).unwrap();
    assert_eq!(collect(stream), samples.map(Ok));
    // Items of no size are counted all the same.
    let fake = FakeSource::new([Crossing::ready([(); 5]), Crossing::done()]);
    assert_eq!(collect(ZigStream::from_source(fake.open(), 2).unwrap()), [const { Ok(()) }; 5]);
}
