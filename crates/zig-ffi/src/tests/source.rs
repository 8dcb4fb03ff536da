//! What a source may answer, and what it may not.

use std::task::Context;

use super::UNKNOWN;
use crate::abi::{self, READY};
use crate::testing::{Crossing, FakeSource, Task};
use crate::{Progress, ProtocolError, ZigError};

const END: Progress = Progress::Ended(None);

fn broke(error: ProtocolError) -> Progress {
    Progress::Ended(Some(ZigError::Protocol(error)))
}

/// Polls a source with this script, with room for `cap` items, until it ends; then once more.
fn crossings(
    script: impl IntoIterator<Item = Crossing<u64>>,
    cap: usize,
) -> Vec<(Vec<u64>, Progress)> {
    let fake = FakeSource::new(script);
    let mut source = fake.open();
    let task = Task::new();
    let (waker, mut seen) = (task.waker(), Vec::new());
    let mut cx = Context::from_waker(&waker);
    loop {
        let (items, progress) = fake.poll(&mut source, &mut cx, cap);
        let ended = matches!(progress, Progress::Ended(_));
        assert_eq!(source.ended(), ended);
        seen.push((items, progress));
        if ended {
            break;
        }
    }
    let calls = fake.calls();
    assert_eq!(fake.poll(&mut source, &mut cx, cap), (vec![], END), "the end is the end");
    source.cancel();
    assert_eq!(fake.calls(), calls, "nothing is called after the end");
    drop(source);
    assert_eq!(fake.calls().releases, 1);
    fake.assert_released();
    seen
}

#[test]
fn items_then_the_end() {
    let script = [
        Crossing::ready([1, 2, 3]),
        Crossing::pending(),
        Crossing::pending().items([4]),
        Crossing::done().items([5, 6]),
    ];
    let seen = crossings(script, 2);
    let expected = [
        (vec![1, 2], Progress::Ready),
        (vec![3], Progress::Ready),
        (vec![], Progress::Pending),
        (vec![4], Progress::Pending),
        (vec![5, 6], END),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn every_end_is_told_with_its_items() {
    let canceled = crossings([Crossing::new(abi::CANCELLED).items([1])], 4);
    assert_eq!(canceled, [(vec![1], Progress::Ended(Some(ZigError::Canceled)))]);
    let failed = crossings([Crossing::new(abi::ERROR).items([1])], 4);
    assert!(
        matches!(&failed[..], [(items, Progress::Ended(Some(ZigError::Failed(_))))] if items == &[1])
    );
    let panicked = crossings([Crossing::new(abi::PANICKED).items([1])], 4);
    assert!(
        matches!(&panicked[..], [(items, Progress::Ended(Some(ZigError::Panicked(_))))] if items == &[1])
    );
}

#[test]
fn an_unknown_status_ends_the_stream_with_its_items() {
    for status in UNKNOWN {
        let seen = crossings([Crossing::new(status).items([1, 2])], 4);
        assert_eq!(seen, [(vec![1, 2], broke(ProtocolError::UnknownStatus(status)))]);
    }
}

#[test]
fn ready_without_an_item_ends_the_stream() {
    assert_eq!(crossings([Crossing::new(READY)], 4), [(vec![], broke(ProtocolError::EmptyReady))]);
}

#[test]
fn more_items_than_there_was_room_for_are_none() {
    let statuses = [READY, abi::PENDING, abi::DONE, abi::ERROR, abi::PANICKED, -1];
    for (items, status) in
        [5, usize::MAX, isize::MAX as usize].into_iter().zip(statuses.iter().cycle())
    {
        let seen = crossings([Crossing::new(*status).items([1, 2]).claiming(items)], 4);
        assert_eq!(seen, [(vec![], broke(ProtocolError::TooManyItems { items, cap: 4 }))]);
    }
}

#[test]
fn a_breach_cancels_once_and_then_only_releases() {
    let fake = FakeSource::<u64>::new([Crossing::new(READY)]);
    let mut source = fake.open();
    let waker = Task::new().waker();
    fake.poll(&mut source, &mut Context::from_waker(&waker), 1);
    assert_eq!((fake.calls().cancels, fake.calls().releases), (1, 0));
    drop(source);
    assert_eq!((fake.calls().cancels, fake.calls().releases), (1, 1));
    fake.assert_released();
}

#[test]
fn a_claim_without_writing_shows_what_was_there_before() {
    let script = [Crossing::ready([7, 8]), Crossing::ready([9]).claiming(2), Crossing::done()];
    let seen = crossings(script, 2);
    // The room of this test is fresh, and zero, for each crossing.
    assert_eq!(seen[1], (vec![9, 0], Progress::Ready));
}

#[test]
fn room_for_no_items_is_a_plain_poll() {
    let script = [Crossing::pending(), Crossing::done()];
    assert_eq!(crossings(script, 0), [(vec![], Progress::Pending), (vec![], END)]);
}

#[test]
fn dropping_cancels_unless_it_has_ended() {
    for (script, cancels) in [
        (vec![], 1),
        (vec![Crossing::ready([1_u64])], 1),
        (vec![Crossing::done()], 0),
        (vec![Crossing::new(abi::CANCELLED)], 0),
        (vec![Crossing::new(abi::ERROR)], 0),
    ] {
        let fake = FakeSource::new(script);
        let mut source = fake.open();
        let waker = Task::new().waker();
        fake.poll(&mut source, &mut Context::from_waker(&waker), 1);
        drop(source);
        assert_eq!((fake.calls().cancels, fake.calls().releases), (cancels, 1));
        fake.assert_released();
    }
}

#[test]
fn a_source_that_was_never_polled_is_cancelled_and_released() {
    let fake = FakeSource::<u64>::new([]);
    let source = fake.open();
    source.cancel();
    source.cancel();
    drop(source);
    assert_eq!((fake.calls().cancels, fake.calls().releases, fake.calls().crossings), (3, 1, 0));
    fake.assert_released();
}
