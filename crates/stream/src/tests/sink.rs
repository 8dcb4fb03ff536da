//! A sink of plain items: batches, backpressure, early ends, results.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{Sink, SinkExt};
use ziggurat_zig_ffi::abi::{self, ErrorRecord};
use ziggurat_zig_ffi::testing::{Closing, FakeSink, Taking, Task, text};

use super::{drive, poll_once};
use crate::{OpenError, ZigError, ZigSink};

fn sink(fake: &FakeSink<u64, u64>, batch: usize) -> ZigSink<u64, u64> {
    ZigSink::from_sink(fake.open(), batch).unwrap()
}

/// Offers items one by one; `Err` says which one was not accepted, and why.
fn feed(
    sink: &mut ZigSink<u64, u64>,
    items: impl IntoIterator<Item = u64>,
) -> Result<(), (u64, ZigError)> {
    items.into_iter().try_for_each(|item| drive(sink.feed(item)).map_err(|error| (item, error)))
}

#[test]
fn items_wait_for_their_batch() {
    let fake = FakeSink::new([], [Closing::done(6)]);
    let mut sink = sink(&fake, 3);
    feed(&mut sink, 1..=3).unwrap();
    assert_eq!((fake.calls().crossings, sink.unsent()), (0, &[1, 2, 3][..]));
    feed(&mut sink, [4]).unwrap();
    assert_eq!((fake.calls().crossings, sink.unsent()), (1, &[4][..]));
    drive(sink.flush()).unwrap();
    assert_eq!((fake.calls().crossings, fake.received()), (2, vec![1, 2, 3, 4]));
    // With nothing to hand over, it gives the function a turn.
    drive(sink.flush()).unwrap();
    assert_eq!((fake.calls().crossings, fake.received()), (3, vec![1, 2, 3, 4]));
    assert_eq!(drive(sink.close()), Ok(6));
    assert_eq!(
        (fake.calls().crossings, fake.calls().closes),
        (3, 1),
        "nothing was left to hand over"
    );
    drop(sink);
    assert_eq!(fake.calls().cancels, 0);
    fake.assert_released();
}

#[test]
fn closing_hands_over_what_is_left() {
    let fake = FakeSink::new(
        [Taking::pending(1), Taking::pending(0)],
        [Closing::pending(), Closing::done(7)],
    );
    let mut sink = sink(&fake, 8);
    feed(&mut sink, 1..=3).unwrap();
    assert_eq!(drive(sink.close()), Ok(7));
    assert_eq!(fake.received(), [1, 2, 3]);
    assert_eq!(drive(sink.close()), Err(ZigError::Closed), "a result is given once");
    assert_eq!(drive(sink.send(4)), Err(ZigError::Closed));
    drop(sink);
    assert_eq!((fake.calls().crossings, fake.calls().closes), (3, 2));
    fake.assert_released();
}

#[test]
fn a_sink_without_room_is_ready_when_one_item_was_taken() {
    let fake = FakeSink::new([Taking::pending(0), Taking::pending(1)], []);
    let (mut sink, task) = (sink(&fake, 2), Task::new());
    let waker = task.waker();
    let mut cx = Context::from_waker(&waker);
    feed(&mut sink, 1..=2).unwrap();
    assert!(Pin::new(&mut sink).poll_ready(&mut cx).is_pending());
    fake.waker().unwrap().wake();
    assert_eq!(task.wakes(), 1);
    assert_eq!(Pin::new(&mut sink).poll_ready(&mut cx), Poll::Ready(Ok(())));
    assert_eq!((fake.received(), sink.unsent()), (vec![1], &[2][..]));
    drop(sink);
    fake.assert_released();
}

#[test]
fn the_task_that_polled_last_is_woken() {
    let fake = FakeSink::<u64, u64>::new([], [Closing::pending(), Closing::pending()]);
    let (mut sink, first, second) = (sink(&fake, 2), Task::new(), Task::new());
    for task in [&first, &second] {
        let waker = task.waker();
        let closing = Pin::new(&mut sink).poll_close(&mut Context::from_waker(&waker));
        assert!(closing.is_pending());
    }
    fake.waker().unwrap().wake();
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
    let kept = fake.waker().unwrap();
    drop(sink);
    kept.wake();
    assert_eq!((second.wakes(), second.wakers()), (1, 0));
    fake.assert_released();
}

#[test]
fn a_function_that_returns_early_gives_its_result_and_the_items_back() {
    let fake = FakeSink::new([Taking::done(2)], [Closing::pending(), Closing::done(40)]);
    let mut sink = sink(&fake, 3);
    feed(&mut sink, 1..=3).unwrap();
    assert_eq!(feed(&mut sink, [4]), Err((4, ZigError::Closed)));
    assert_eq!(sink.unsent(), [3]);
    assert_eq!(drive(sink.flush()), Err(ZigError::Closed));
    assert_eq!(fake.calls().crossings, 1, "it is offered nothing more");
    assert_eq!(drive(sink.close()), Ok(40));
    assert_eq!(sink.into_unsent(), [3]);
    assert_eq!((fake.received(), fake.calls().cancels), (vec![1, 2], 0));
    fake.assert_released();
}

#[test]
fn a_function_that_returns_with_the_last_item_has_taken_everything() {
    let fake = FakeSink::new([Taking::done(3)], [Closing::done(40)]);
    let mut sink = sink(&fake, 8);
    feed(&mut sink, 1..=3).unwrap();
    assert_eq!(drive(sink.flush()), Ok(()));
    assert_eq!(feed(&mut sink, [4]), Err((4, ZigError::Closed)), "the next item is too much");
    assert_eq!(drive(sink.close()), Ok(40));
    drop(sink);
    fake.assert_released();
}

#[test]
fn closing_through_the_trait_is_an_error_when_items_are_left() {
    let fake = FakeSink::new([Taking::done(1)], [Closing::done(40)]);
    let mut sink = sink(&fake, 3);
    feed(&mut sink, 1..=2).unwrap();
    for _ in 0..2 {
        let closed = drive(poll_fn(|cx| Pin::new(&mut sink).poll_close(cx)));
        assert_eq!(closed, Err(ZigError::Closed));
    }
    assert_eq!(sink.unsent(), [2]);
    assert_eq!((sink.take_result(), sink.take_result()), (Some(40), None));
    drop(sink);
    fake.assert_released();
}

#[test]
fn closing_through_the_trait_keeps_the_result() {
    let fake = FakeSink::new([], [Closing::pending(), Closing::done(9)]);
    let mut sink = sink(&fake, 3);
    feed(&mut sink, 1..=2).unwrap();
    assert_eq!(sink.take_result(), None);
    for _ in 0..2 {
        assert_eq!(drive(poll_fn(|cx| Pin::new(&mut sink).poll_close(cx))), Ok(()));
    }
    assert_eq!(drive(sink.close()), Ok(9), "closing again yields it");
    assert_eq!(sink.take_result(), None);
    drop(sink);
    assert_eq!(fake.calls().closes, 2);
    fake.assert_released();
}

#[test]
fn an_error_is_told_once_and_then_it_is_closed() {
    let record = ErrorRecord { name: text(b"DiskQuota"), ..ErrorRecord::EMPTY };
    let fake = FakeSink::new([Taking::new(1, abi::ERROR)], []).describing(record);
    let mut sink = sink(&fake, 8);
    feed(&mut sink, 1..=3).unwrap();
    assert_eq!(drive(sink.flush()).unwrap_err().name(), Some("DiskQuota"));
    assert_eq!(sink.unsent(), [2, 3]);
    assert_eq!(drive(sink.flush()), Err(ZigError::Closed));
    assert_eq!(drive(sink.close()), Err(ZigError::Closed));
    drop(sink);
    assert_eq!((fake.calls().crossings, fake.calls().closes, fake.calls().cancels), (1, 0, 0));
    fake.assert_released();
}

#[test]
fn an_error_while_closing() {
    for (status, canceled) in [(abi::CANCELLED, true), (abi::ERROR, false), (abi::PANICKED, false)]
    {
        let fake = FakeSink::<u64, u64>::new([], [Closing::pending(), Closing::new(status)]);
        let mut sink = sink(&fake, 8);
        sink.request_cancel();
        assert_eq!(drive(sink.close()).unwrap_err().is_canceled(), canceled);
        assert_eq!(drive(sink.close()), Err(ZigError::Closed));
        sink.request_cancel();
        assert_eq!(fake.calls().cancels, 1);
        drop(sink);
        fake.assert_released();
    }
}

#[test]
fn a_sink_that_is_taken_apart_is_cancelled_and_gives_the_items_back() {
    let fake = FakeSink::new([], []);
    let mut sink = sink(&fake, 8);
    feed(&mut sink, 1..=3).unwrap();
    assert_eq!(sink.into_unsent(), [1, 2, 3]);
    assert_eq!((fake.calls().cancels, fake.calls().crossings), (1, 0));
    fake.assert_released();
}

#[test]
fn impossible_configurations_are_refused_and_leave_nothing_behind() {
    let fake = FakeSink::<u64, u64>::new([], []);
    let refused = ZigSink::<u64, u64>::from_sink(fake.open(), 0).map(drop);
    assert_eq!(refused, Err(OpenError::Zero("batch")));
    let refused = ZigSink::<i64, u64>::from_sink(fake.open(), 1).map(drop);
    assert!(matches!(refused, Err(OpenError::ItemType { .. })));
    let refused = ZigSink::<u64>::from_sink(fake.open(), 1).map(drop);
    assert!(matches!(refused, Err(OpenError::ResultType { .. })));
    // SAFETY: a good handle.
    let refused = unsafe { ZigSink::<u64, u64>::from_raw(fake.handle(), 0) }.map(drop);
    assert_eq!(refused, Err(OpenError::Zero("batch")));
    fake.assert_released();
}

#[test]
fn a_close_that_was_dropped_is_gone_on_with() {
    for polls in 0..6 {
        let fake = FakeSink::new(
            [Taking::pending(1), Taking::pending(1)],
            [Closing::pending(), Closing::done(7)],
        );
        let mut sink = sink(&fake, 8);
        feed(&mut sink, 1..=3).unwrap();
        let mut result = None;
        {
            let mut closing = Box::pin(sink.close());
            for _ in 0..polls {
                if let Poll::Ready(closed) = poll_once(&mut closing) {
                    result = Some(closed);
                    break;
                }
            }
        }
        let result = result.unwrap_or_else(|| drive(sink.close()));
        assert_eq!((result, fake.received()), (Ok(7), vec![1, 2, 3]));
        drop(sink);
        fake.assert_released();
    }
}
