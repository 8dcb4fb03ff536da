//! What a sink may answer, and what it may not.

use std::task::Context;

use super::UNKNOWN;
use crate::abi::{self, PENDING, READY};
use crate::testing::{Closing, FakeSink, Taking, Task};
use crate::{Plain, Progress, ProtocolError, RawSink, ZigError};

const END: Progress = Progress::Ended(None);

fn broke(error: ProtocolError) -> Progress {
    Progress::Ended(Some(ZigError::Protocol(error)))
}

fn sink(
    takings: impl IntoIterator<Item = Taking>,
    closings: impl IntoIterator<Item = Closing<u64>>,
) -> (FakeSink<u64, u64>, RawSink) {
    let fake = FakeSink::new(takings, closings);
    let sink = fake.open();
    (fake, sink)
}

fn send(sink: &mut RawSink, items: &[u64]) -> (usize, Progress) {
    let waker = Task::new().waker();
    // SAFETY: as many items as it says, of the sink's type.
    unsafe { sink.send_batch(&mut Context::from_waker(&waker), items.as_ptr().cast(), items.len()) }
}

fn close<R: Plain>(sink: &mut RawSink) -> (Progress, R) {
    let (waker, mut result) = (Task::new().waker(), R::zeroed());
    let mut cx = Context::from_waker(&waker);
    // SAFETY: room for a result of the sink's type.
    let progress = unsafe { sink.poll_close(&mut cx, (&raw mut result).cast()) };
    (progress, result)
}

/// The sink has ended: nothing is called any more but a release.
#[track_caller]
fn is_over(fake: &FakeSink<u64, u64>, mut sink: RawSink) {
    let calls = fake.calls();
    assert!(sink.refused());
    assert_eq!(send(&mut sink, &[1]), (0, END));
    assert_eq!(close::<u64>(&mut sink).0, Progress::Ended(Some(ZigError::Closed)));
    sink.cancel();
    assert_eq!(fake.calls(), calls, "nothing is called after the end");
    drop(sink);
    assert_eq!((fake.calls().releases, fake.calls().cancels), (1, calls.cancels));
    fake.assert_released();
}

#[test]
fn items_backpressure_and_a_result() {
    let (fake, mut sink) = sink(
        [Taking::all(), Taking::pending(1), Taking::pending(0)],
        [Closing::pending(), Closing::done(42)],
    );
    assert_eq!(send(&mut sink, &[1, 2]), (2, Progress::Ready));
    assert_eq!(send(&mut sink, &[3, 4]), (1, Progress::Pending));
    assert_eq!(send(&mut sink, &[4]), (0, Progress::Pending));
    assert_eq!(send(&mut sink, &[4]), (1, Progress::Ready));
    assert_eq!(fake.received(), [1, 2, 3, 4]);
    assert_eq!(close(&mut sink), (Progress::Pending, 0_u64));
    assert_eq!(close(&mut sink), (END, 42_u64));
    is_over(&fake, sink);
}

#[test]
fn a_function_that_ends_early_still_has_its_result() {
    let (fake, mut sink) = sink([Taking::done(1)], [Closing::pending(), Closing::done(7)]);
    assert_eq!(send(&mut sink, &[1, 2, 3]), (1, END));
    assert!(sink.refused());
    assert_eq!(send(&mut sink, &[2, 3]), (0, END));
    assert_eq!(fake.calls().crossings, 1, "it is not offered anything again");
    assert_eq!(close(&mut sink), (Progress::Pending, 0_u64));
    assert_eq!(close(&mut sink), (END, 7_u64));
    is_over(&fake, sink);
}

#[test]
fn a_function_that_ends_early_and_is_not_closed_is_cancelled() {
    let (fake, mut sink) = sink([Taking::done(0)], []);
    send(&mut sink, &[1]);
    drop(sink);
    assert_eq!((fake.calls().cancels, fake.calls().releases), (1, 1));
    fake.assert_released();
}

#[test]
fn a_bad_end_while_sending() {
    let (fake, mut sink) = self::sink([Taking::new(1, abi::CANCELLED)], []);
    assert_eq!(send(&mut sink, &[1, 2]), (1, Progress::Ended(Some(ZigError::Canceled))));
    is_over(&fake, sink);
    for status in [abi::ERROR, abi::PANICKED] {
        let (fake, mut sink) = self::sink([Taking::new(2, status)], []);
        assert!(matches!(send(&mut sink, &[1, 2]), (2, Progress::Ended(Some(_)))));
        assert_eq!(fake.calls().descriptions, 1);
        is_over(&fake, sink);
    }
}

#[test]
fn unknown_statuses() {
    for status in UNKNOWN {
        let (fake, mut sink) = sink([Taking::new(1, status)], []);
        assert_eq!(send(&mut sink, &[1, 2]), (1, broke(ProtocolError::UnknownStatus(status))));
        assert_eq!(fake.calls().cancels, 1);
        is_over(&fake, sink);
    }
    // There is no "ready" for a close.
    for status in UNKNOWN.into_iter().chain([READY]) {
        let (fake, mut sink) = sink([], [Closing::new(status)]);
        assert_eq!(close::<u64>(&mut sink).0, broke(ProtocolError::UnknownStatus(status)));
        assert_eq!(fake.calls().cancels, 1);
        is_over(&fake, sink);
    }
}

#[test]
fn a_short_ready() {
    let (fake, mut sink) = sink([Taking::new(1, READY)], []);
    let breach = ProtocolError::ShortReady { taken: 1, offered: 3 };
    assert_eq!(send(&mut sink, &[1, 2, 3]), (1, broke(breach)));
    is_over(&fake, sink);
}

#[test]
fn more_taken_than_offered_counts_as_all() {
    for (items, status) in [(3, READY), (usize::MAX, PENDING), (usize::MAX, abi::DONE), (9, -1)] {
        let (fake, mut sink) = sink([Taking::new(1, status).claiming(items)], []);
        let breach = ProtocolError::TooManyItems { items, cap: 2 };
        assert_eq!(send(&mut sink, &[1, 2]), (2, broke(breach)));
        is_over(&fake, sink);
    }
}

#[test]
fn nothing_may_be_offered() {
    let (fake, mut sink) = sink([Taking::all(), Taking::pending(0), Taking::done(0)], []);
    assert_eq!(send(&mut sink, &[]), (0, Progress::Ready));
    assert_eq!(send(&mut sink, &[]), (0, Progress::Pending));
    assert_eq!(send(&mut sink, &[]), (0, END));
    drop(sink);
    fake.assert_released();
}

#[test]
fn bad_ends_while_closing() {
    let (fake, mut sink) = sink([], [Closing::new(abi::CANCELLED)]);
    assert_eq!(close::<u64>(&mut sink).0, Progress::Ended(Some(ZigError::Canceled)));
    is_over(&fake, sink);
    for status in [abi::ERROR, abi::PANICKED] {
        let (fake, mut sink) = self::sink([], [Closing::new(status)]);
        assert!(matches!(close::<u64>(&mut sink).0, Progress::Ended(Some(_))));
        is_over(&fake, sink);
    }
}

#[test]
fn a_result_that_was_not_written_is_what_the_caller_had_there() {
    let (fake, mut sink) = sink([], [Closing::new(abi::DONE)]);
    assert_eq!(close(&mut sink), (END, 0_u64));
    is_over(&fake, sink);
}
