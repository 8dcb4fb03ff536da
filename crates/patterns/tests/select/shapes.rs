//! Tuples, zips, races and switches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures::channel::mpsc;
use futures::executor::block_on;
use futures::stream::{self, FusedStream, Stream, StreamExt};
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::stream::{CombineTuple, MergeTuple, RaceTuple, ZipTuple, race, zip};
use ziggurat_patterns::testing::{Script, ready};
use ziggurat_patterns::time::TestClock;

use crate::support::{Counted, Monster, spawn};

/// Streams that are not `Unpin`, of three types, and nothing is boxed.
#[test]
fn a_tuple_takes_any_streams() {
    let unfolded = stream::unfold(3, async |n| (n < 5).then_some((n, n + 1)));
    let merged = (stream::once(async { 1 }), stream::iter([2]), unfolded).merge();
    let mut items: Vec<i32> = block_on(merged.collect());
    items.sort_unstable();
    assert_eq!(items, [1, 2, 3, 4]);
}

#[test]
fn a_tuple_drops_what_has_ended_and_gives_back_the_rest() {
    let clock = TestClock::new();
    let (short, probe) = Script::new(&clock).item(1).build();
    let mut merged = spawn((short, stream::pending()).merge());
    assert_eq!(merged.poll(), Poll::Ready(Some(1)));
    assert!(!probe.dropped());
    assert!(merged.poll().is_pending());
    assert!(probe.dropped());
    assert!(!merged.is_terminated());
    let (short, pending) = merged.stream.into_parts();
    assert!(short.is_none() && pending.is_some());
}

#[test]
fn eight_streams_are_merged_in_time() {
    let clock = TestClock::new();
    let script = |n: u64| {
        let times = (0..5).map(move |time| 8 * time + n);
        times.fold(Script::new(&clock), |script, at| script.at(Duration::from_secs(at)).item(at))
    };
    let s = |n| script(n).build().0;
    let merged = (s(7), s(6), s(5), s(4), s(3), s(2), s(1), s(0)).merge();
    assert_eq!(merged.size_hint(), (40, Some(40)));
    assert_eq!(clock.block_on(merged.collect::<Vec<_>>()), (0..40).collect::<Vec<_>>());
}

#[test]
fn zip_holds_one_item_of_each_and_gives_it_back() {
    let (many, probe) = ready(0..10);
    let (tx, rx) = mpsc::unbounded();
    let mut zipped = spawn(zip(many, rx));
    for _ in 0..3 {
        assert!(zipped.poll().is_pending());
        assert_eq!(probe.items(), 1);
    }
    assert_eq!(zipped.size_hint(), (0, Some(10)));
    tx.unbounded_send('a').unwrap();
    assert!(zipped.is_woken());
    assert_eq!(zipped.poll(), Poll::Ready(Some((0, 'a'))));
    assert!(zipped.poll().is_pending());
    drop(tx);
    assert_eq!(zipped.poll(), Poll::Ready(None));
    assert!(zipped.is_terminated());
    assert_eq!(zipped.poll(), Poll::Ready(None));
    let ((many, _), held) = zipped.stream.into_parts();
    assert_eq!(held, (Some(1), None));
    assert_eq!(block_on(many.collect::<Vec<_>>()), (2..10).collect::<Vec<_>>());
}

#[test]
fn zip_does_not_ask_those_behind_one_that_has_ended() {
    let (many, probe) = ready(0..10);
    let mut zipped = zip(stream::empty::<()>(), many);
    assert_eq!(zipped.size_hint(), (0, Some(0)));
    assert_eq!(block_on(zipped.next()), None);
    assert_eq!(probe.polls(), 0);
}

#[test]
fn zips_have_hints() {
    let three = (stream::iter(0..5), stream::repeat(()), stream::iter(0..4)).zip();
    assert_eq!(three.size_hint(), (4, Some(4)));
    assert_eq!(block_on(three.count()), 4);
    assert_eq!(zip(Monster, Monster).size_hint(), (usize::MAX, Some(usize::MAX)));
    assert_eq!(zip(stream::repeat(1), stream::repeat(2)).size_hint(), (usize::MAX, None));
    let n = || stream::iter(0..2);
    let eight = (n(), n(), n(), n(), n(), n(), n(), n()).zip();
    let rows: Vec<_> = block_on(eight.collect());
    assert_eq!(rows, [(0, 0, 0, 0, 0, 0, 0, 0), (1, 1, 1, 1, 1, 1, 1, 1)]);
}

#[test]
fn combine_has_a_tuple_for_each_item() {
    let clock = TestClock::new();
    let second = Duration::from_secs(1);
    let (fast, fast_probe) = ready('a'..='c');
    let (slow, _) = Script::new(&clock).wait(second).items([1, 2]).wait(second).item(3).build();
    let mut combined = spawn((fast, slow).combine_latest());
    // One item of the first waits, and no other is asked for.
    for _ in 0..3 {
        assert!(combined.poll().is_pending());
    }
    assert_eq!(fast_probe.items(), 1);
    let combined: Vec<_> = clock.block_on(combined.stream.collect());
    assert_eq!(combined, [('a', 1), ('b', 1), ('b', 2), ('c', 2), ('c', 3)]);
}

#[test]
fn combine_ends_when_there_can_be_no_tuple() {
    let mut never =
        (stream::iter([1, 2]), stream::empty::<()>(), stream::pending::<()>()).combine_latest();
    assert_eq!(never.size_hint(), (0, Some(0)));
    assert_eq!(block_on(never.next()), None);
    assert!(never.is_terminated());
    assert_eq!(block_on(never.next()), None);
    let (_, (held, ..)) = never.into_parts();
    assert_eq!(held, Some(1));
}

#[test]
fn combine_has_exact_hints() {
    let n = |n| stream::iter(0..n);
    let mut combined = (n(3), n(1), n(2), n(1), n(1), n(1), n(1), n(4)).combine_latest();
    for rest in (1..=7).rev() {
        assert_eq!(combined.size_hint(), (rest, Some(rest)));
        assert!(block_on(combined.next()).is_some());
    }
    assert_eq!(combined.size_hint(), (0, Some(0)));
    assert_eq!(block_on(combined.next()), None);
    let unsure = (n(3), stream::iter(0..3).filter(|_| std::future::ready(true))).combine_latest();
    assert_eq!(unsure.size_hint(), (0, Some(5)));
}

#[test]
fn a_race_goes_to_the_first_item() {
    let clock = TestClock::new();
    let second = Duration::from_secs(1);
    let script = |n: u32| Script::new(&clock).wait(n * second).items([n, 10 + n]).build();
    let ((a, slow), (b, quick)) = (script(2), script(1));
    let (empty, _) = Script::new(&clock).build();
    let mut won = race([empty, a, b]);
    assert!(!won.is_terminated() && won.winner().is_none());
    assert_eq!(won.size_hint(), (0, Some(2)));
    assert_eq!(clock.block_on(won.next()), Some(1));
    assert!(slow.dropped() && !quick.dropped());
    assert_eq!(won.size_hint(), (1, Some(1)));
    assert!(won.winner().is_some());
    assert_eq!(clock.block_on(won.next()), Some(11));
    assert_eq!(clock.block_on(won.next()), None);
    assert!(won.is_terminated() && quick.dropped());
    assert_eq!(clock.elapsed(), second);
}

#[test]
fn losers_can_be_kept() {
    let mut won = race([stream::iter(vec![1, 2]), stream::iter(vec![3])]).keep_losers();
    assert_eq!(block_on(won.next()), Some(1));
    let (winner, losers) = won.into_parts();
    assert_eq!(block_on(winner.unwrap().collect::<Vec<_>>()), [2]);
    assert_eq!(losers.len(), 1);

    let (winner, all) = race([stream::iter([1]), stream::iter([2])]).into_parts();
    assert!(winner.is_none() && all.len() == 2);
}

#[test]
fn a_race_that_nobody_wins_ends() {
    let mut won = race([stream::empty::<u8>(), stream::empty()]);
    assert_eq!(won.size_hint(), (0, Some(0)));
    assert_eq!(block_on(won.next()), None);
    assert!(won.is_terminated());
    assert_eq!(block_on(race(Vec::<stream::Empty<u8>>::new()).next()), None);
}

#[test]
fn switch_drops_the_old_stream_for_the_new() {
    let clock = TestClock::new();
    let second = Duration::from_secs(1);
    let inner = |name: &'static str| {
        (0..10).fold(Script::new(&clock), |script, n| script.wait(second).item((name, n))).build()
    };
    let ((a, a_probe), (b, b_probe)) = (inner("a"), inner("b"));
    let (outer, _) = Script::new(&clock).item(a).at(second * 5 / 2).item(b).build();
    let mut switched = outer.switch();
    assert_eq!(clock.block_on(switched.next()), Some(("a", 0)));
    assert_eq!(clock.block_on(switched.next()), Some(("a", 1)));
    assert_eq!(clock.block_on(switched.next()), Some(("b", 0)));
    assert!(a_probe.dropped() && !b_probe.dropped());
    // The outer stream has ended; the inner one goes on.
    assert!(!switched.is_terminated());
    assert_eq!(switched.size_hint(), (9, Some(9)));
    assert_eq!(clock.block_on(switched.by_ref().count()), 9);
    assert!(switched.is_terminated() && b_probe.dropped());
}

#[test]
fn switch_waits_for_another_stream_when_one_has_ended() {
    let (tx, rx) = mpsc::unbounded();
    let mut switched = spawn(rx.switch());
    assert_eq!(switched.size_hint(), (0, None));
    assert!(switched.poll().is_pending());
    for n in 0..3 {
        tx.unbounded_send(stream::iter([n])).unwrap();
        assert!(switched.is_woken());
        assert_eq!(switched.poll(), Poll::Ready(Some(n)));
        assert!(switched.poll().is_pending());
    }
    tx.unbounded_send(stream::iter([7])).unwrap();
    let (mut outer, inner) = switched.stream.into_parts();
    assert!(inner.is_none() && outer.try_recv().is_ok());
}

/// An outer stream without end starves neither the items nor the executor.
#[test]
fn switch_is_fair_to_items() {
    let polls = Arc::new(AtomicUsize::new(0));
    let outer = Counted(stream::repeat_with(|| stream::iter([1])), Arc::clone(&polls));
    let mut switched = spawn(outer.switch());
    for n in 1..10 {
        assert_eq!(switched.poll(), Poll::Ready(Some(1)));
        assert_eq!(polls.load(Ordering::Relaxed), 64 * n);
    }
    let mut switched = spawn(stream::repeat_with(stream::pending::<()>).switch());
    assert!(switched.poll().is_pending());
    assert!(switched.is_woken());
}

#[test]
fn a_tuple_races_streams_of_any_types() {
    let clock = TestClock::new();
    let (slow, slow_probe) = Script::new(&clock).at(Duration::from_secs(2)).item(1).build();
    let (quick, quick_probe) =
        Script::new(&clock).at(Duration::from_secs(1)).item(2).item(3).build();
    let unfolded = Box::pin(stream::unfold((), async |()| std::future::pending().await));
    let mut race = spawn((slow, unfolded, stream::empty(), quick).race());
    assert_eq!((race.stream.size_hint(), race.stream.winner()), ((0, None), None));
    assert!(race.poll().is_pending());
    clock.advance(Duration::from_secs(1));
    assert!(race.is_woken());
    assert_eq!((race.poll(), race.stream.winner()), (Poll::Ready(Some(2)), Some(3)));
    assert!(slow_probe.dropped() && !quick_probe.dropped());
    assert_eq!(clock.armed(), 0);
    assert_eq!(race.stream.size_hint(), (1, Some(1)));
    assert_eq!(race.poll(), Poll::Ready(Some(3)));
    assert!(!race.is_terminated());
    assert_eq!(race.poll(), Poll::Ready(None));
    assert!(race.is_terminated() && quick_probe.dropped());
    assert_eq!((race.poll(), race.stream.size_hint()), (Poll::Ready(None), (0, Some(0))));
}

#[test]
fn the_first_in_order_wins_and_losers_may_be_kept() {
    let (first, _) = ready(0..2);
    let (second, second_probe) = ready(5..8);
    let mut race = spawn((stream::empty(), first, second).race().keep_losers());
    let items: Vec<_> = std::iter::from_fn(|| match race.poll() {
        Poll::Ready(item) => item,
        Poll::Pending => None,
    })
    .collect();
    assert_eq!(items, [0, 1]);
    assert!(race.is_terminated());
    assert_eq!((race.stream.size_hint(), second_probe.items()), ((0, Some(0)), 0));
    let (none, winner, loser) = race.stream.into_parts();
    assert!(none.is_none() && winner.is_none());
    assert_eq!(block_on(loser.unwrap().collect::<Vec<_>>()), [5, 6, 7]);
}

#[test]
fn a_tuple_race_of_nothing_ends() {
    let mut race = spawn((stream::empty::<u32>(), stream::iter([])).race());
    assert_eq!(race.stream.size_hint(), (0, Some(0)));
    assert_eq!(race.poll(), Poll::Ready(None));
    assert!(race.is_terminated() && race.stream.winner().is_none());
}
