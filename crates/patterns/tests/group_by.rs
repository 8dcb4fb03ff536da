//! A stream taken apart: every item in its group, once and in order; the bounds; who waits for whom.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::channel::mpsc;
use futures::stream::FusedStream;
use futures::{FutureExt, Stream, StreamExt, stream};
use proptest::prelude::*;
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::group_by::{GroupByLayer, GroupError, OnDrop, Overflow, WhenFull};
use ziggurat_patterns::stream::{Group, GroupBy};
use ziggurat_patterns::testing::laws::{self, Token};
use ziggurat_patterns::testing::{Ledger, Script, WakeProbe, ready};
use ziggurat_patterns::time::TestClock;

mod support;

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn poll<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    stream.poll_next_unpin(&mut Context::from_waker(Waker::noop()))
}

fn item<T>(item: T) -> Poll<Option<T>> {
    Poll::Ready(Some(item))
}

/// The next group.
fn open<St, K, F>(groups: &mut GroupBy<St, K, F>) -> (K, Group<St, K, F>)
where
    St: Stream,
    K: std::hash::Hash + Eq + Clone,
    F: FnMut(&St::Item) -> K,
{
    match poll(groups) {
        Poll::Ready(Some(Ok(group))) => group,
        _ => panic!("there is no group"),
    }
}

// Laws.

/// All groups, flattened again.
struct Flat<St: Stream, F> {
    groups: GroupBy<St, u64, F>,
    open: Vec<Group<St, u64, F>>,
}

impl<St: Stream<Item = Token>, F: FnMut(&Token) -> u64> Stream for Flat<St, F> {
    type Item = Token;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
        let this = &mut *self;
        while let Poll::Ready(Some(group)) = this.groups.poll_next_unpin(cx) {
            this.open.push(group.unwrap().1);
        }
        for group in &mut this.open {
            if let Poll::Ready(Some(token)) = group.poll_next_unpin(cx) {
                return Poll::Ready(Some(token));
            }
        }
        if self.is_terminated() { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<St: Stream<Item = Token>, F: FnMut(&Token) -> u64> FusedStream for Flat<St, F> {
    fn is_terminated(&self) -> bool {
        self.groups.is_terminated() && self.open.iter().all(FusedStream::is_terminated)
    }
}

#[test]
fn groups_are_lawful() {
    laws::stream("group_by", |source, _| Flat {
        groups: source.group_by(|token: &Token| token.id() % 3, n(2), n(3)),
        open: Vec::new(),
    })
    .unordered()
    .check();
}

#[test]
fn halves_are_lawful() {
    laws::stream("partition", |source, _| source.partition(|_| true, n(1)).0).check();
    laws::stream("partition, both", |source, _| {
        let (even, odd) = source.partition(|token| token.id() % 2 == 0, n(1));
        Merged(even, odd)
    })
    .unordered()
    .check();
}

/// Two streams as one.
struct Merged<S>(S, S);

impl<S: FusedStream<Item = Token> + Unpin> Stream for Merged<S> {
    type Item = Token;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
        let this = &mut *self;
        for stream in [&mut this.0, &mut this.1] {
            if let Poll::Ready(Some(token)) = stream.poll_next_unpin(cx) {
                return Poll::Ready(Some(token));
            }
        }
        if self.is_terminated() { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<S: FusedStream<Item = Token> + Unpin> FusedStream for Merged<S> {
    fn is_terminated(&self) -> bool {
        self.0.is_terminated() && self.1.is_terminated()
    }
}

// Bounds.

#[test]
fn a_full_group_holds_the_source_back() {
    let (source, probe) = ready([0, 0, 0, 1, 0]);
    let mut groups = source.group_by(|k| *k, n(2), n(4));
    let (_, mut zeros) = open(&mut groups);
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    assert!(groups.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    // Two are put by, and one is held.
    assert_eq!((probe.items(), zeros.len(), wakes.count()), (3, 2, 0));
    assert_eq!(poll(&mut zeros), item(0));
    assert_eq!(wakes.count(), 1);
    let (key, mut ones) = open(&mut groups);
    assert_eq!((key, poll(&mut ones)), (1, item(1)));
    assert_eq!([poll(&mut zeros), poll(&mut zeros)], [item(0), item(0)]);
    assert_eq!(poll(&mut zeros), item(0));
    assert_eq!([poll(&mut zeros), poll(&mut ones)], [Poll::Ready(None), Poll::Ready(None)]);
    assert!(matches!(poll(&mut groups), Poll::Ready(None)));
}

#[test]
fn a_full_group_can_be_an_error() {
    let layer = GroupByLayer::new(|k: &i32| *k % 2, n(1), n(4)).overflow(Overflow::Error);
    let mut groups = stream::iter([0, 2, 4, 1]).layer(layer);
    let (_, mut even) = open(&mut groups);
    for lost in [2, 4] {
        let Poll::Ready(Some(Err(error))) = poll(&mut groups) else { panic!("not full") };
        assert_eq!(error, GroupError::Overflow { key: 0, item: lost });
    }
    assert_eq!(open(&mut groups).0, 1);
    assert_eq!(poll(&mut even), item(0));
}

#[test]
fn all_groups_together_are_bounded() {
    let (source, probe) = ready(0_u64..);
    let layer = GroupByLayer::new(|k: &u64| *k % 10, n(5), n(10)).total(n(3));
    let mut groups = source.layer(layer);
    let mut open: Vec<_> = (0..3).map(|_| open(&mut groups).1).collect();
    assert!(poll(&mut groups).is_pending());
    assert_eq!(probe.items(), 3);
    assert_eq!(poll(&mut open[0]), item(0));
    assert!(matches!(poll(&mut groups), Poll::Ready(Some(Ok((3, _))))));
}

#[test]
fn too_many_groups_are_an_error_with_the_item() {
    let mut groups = stream::iter([0, 1, 2, 0]).group_by(|k| *k, n(2), n(2));
    let (mut zeros, _ones) = (open(&mut groups).1, open(&mut groups).1);
    let Poll::Ready(Some(Err(error))) = poll(&mut groups) else { panic!("no error") };
    assert!(error.is_too_many_groups());
    assert_eq!(error.into_parts(), (2, 2));
    assert!(matches!(poll(&mut groups), Poll::Ready(None)));
    assert_eq!([poll(&mut zeros), poll(&mut zeros)], [item(0), item(0)]);
}

#[test]
fn an_idle_group_makes_room() {
    let layer = GroupByLayer::new(|k: &i32| *k, n(2), n(2)).when_full(WhenFull::EvictIdle);
    let mut groups = stream::iter([0, 1, 2, 3, 0]).layer(layer);
    let (mut zeros, mut ones) = (open(&mut groups).1, open(&mut groups).1);
    assert_eq!([poll(&mut zeros), poll(&mut ones)], [item(0), item(1)]);
    let (key, _twos) = open(&mut groups);
    assert_eq!(key, 2);
    // The oldest of the two that held nothing.
    assert_eq!(poll(&mut zeros), Poll::Ready(None));
    let (key, _threes) = open(&mut groups);
    assert_eq!((key, poll(&mut ones)), (3, Poll::Ready(None)));
    // Those two hold something: no room for a new 0.
    assert!(matches!(poll(&mut groups), Poll::Ready(Some(Err(_)))));
}

// Dropping.

#[test]
fn a_dropped_group_opens_again_with_what_it_held() {
    let mut groups = stream::iter([0, 0, 0, 0]).group_by(|k| *k, n(2), n(1));
    let (_, zeros) = open(&mut groups);
    assert!(poll(&mut groups).is_pending());
    drop(zeros);
    let (key, mut again) = open(&mut groups);
    assert_eq!((key, again.len()), (0, 2));
    let rest: Vec<_> = again.by_ref().collect().now_or_never().unwrap();
    assert_eq!(rest, [0, 0, 0, 0]);
    assert_eq!(groups.discarded(), 0);
}

#[test]
fn an_empty_group_that_was_dropped_gives_its_place() {
    let mut groups = stream::iter([0, 1, 0]).group_by(|k| *k, n(2), n(1));
    for expected in [0, 1, 0] {
        let (key, mut group) = open(&mut groups);
        assert_eq!((key, poll(&mut group)), (expected, item(expected)));
    }
    assert!(matches!(poll(&mut groups), Poll::Ready(None)));
}

#[test]
fn a_dropped_group_can_discard_and_counts() {
    let layer = GroupByLayer::new(|k: &i32| *k, n(2), n(2)).on_drop(OnDrop::Discard);
    let mut groups = stream::iter([0, 0, 0, 1, 0]).layer(layer);
    let (_, zeros) = open(&mut groups);
    assert!(poll(&mut groups).is_pending());
    drop(zeros);
    let (key, mut ones) = open(&mut groups);
    assert_eq!((key, poll(&mut ones)), (1, item(1)));
    assert!(matches!(poll(&mut groups), Poll::Ready(None)));
    assert_eq!(groups.discarded(), 4);
}

#[test]
fn without_the_stream_of_groups_they_end_with_what_they_hold() {
    let (source, probe) = ready(0_u64..);
    let mut groups = source.group_by(|k| k % 2, n(3), n(2));
    let (_, mut even) = open(&mut groups);
    let (_, odd) = open(&mut groups);
    assert!(poll(&mut groups).is_pending());
    let items = probe.items();
    drop((groups, odd));
    let rest: Vec<_> = even.by_ref().collect().now_or_never().unwrap();
    // Three that were put by, and the one that was held.
    assert_eq!((rest, probe.items()), (vec![0, 2, 4, 6], items));
}

#[test]
fn it_can_be_taken_apart() {
    let ledger = Ledger::new();
    let tokens: Vec<_> = (0..4).map(|id| ledger.token(id)).collect();
    let mut groups = stream::iter(tokens).group_by(|token: &Token| token.id() % 2, n(4), n(1));
    let (_, even) = open(&mut groups);
    let mut groups = groups.into_parts().unwrap_err();
    assert!(matches!(poll(&mut groups), Poll::Ready(Some(Err(_)))));
    drop(even);
    let parts = groups.into_parts().unwrap();
    assert_eq!(parts.items.iter().map(Token::id).collect::<Vec<_>>(), [0]);
    assert_eq!(parts.source.count().now_or_never(), Some(2));
    assert_eq!(ledger.alive(), 1);
}

#[test]
fn the_last_half_gets_the_source_back() {
    let (mut even, odd) = stream::iter([1, 3, 2, 4]).partition(|k| k % 2 == 0, n(2));
    assert_eq!(poll(&mut even), item(2));
    let odd = odd.into_parts().unwrap_err();
    drop(even);
    let parts = odd.into_parts().unwrap();
    assert_eq!(parts.items, [1, 3]);
    assert_eq!(parts.source.collect::<Vec<_>>().now_or_never().unwrap(), [4]);
}

#[test]
fn a_half_that_is_dropped_holds_nobody_back() {
    let (mut even, odd) = stream::iter(0..1000).partition(|k| k % 2 == 0, n(1));
    assert_eq!([poll(&mut even), poll(&mut even)], [item(0), item(2)]);
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    assert!(even.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    drop(odd);
    assert_eq!(wakes.count(), 1);
    assert_eq!(even.count().now_or_never(), Some(498));
}

// Conservation.

proptest! {
    #[test]
    fn every_item_is_in_its_group_once_and_in_order(
        keys in prop::collection::vec(0_u8..6, 0..120),
        acts in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..10), 0..400),
        capacity in 1_usize..4,
        total in 1_usize..8,
        max_groups in 1_usize..7,
        evict in any::<bool>(),
        overflow in any::<bool>(),
    ) {
        let source: Vec<_> = keys.iter().copied().enumerate().collect();
        let layer = GroupByLayer::new(|item: &(usize, u8)| item.1, n(capacity), n(max_groups))
            .total(n(total))
            .when_full(if evict { WhenFull::EvictIdle } else { WhenFull::Error })
            .overflow(if overflow { Overflow::Error } else { Overflow::Backpressure });
        let mut groups = stream::iter(source.clone()).layer(layer);
        let mut open = Vec::new();
        let mut got: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
        let mut lost = Vec::new();
        let mut step = |which: usize, act: u8, open: &mut Vec<_>| {
            let at = which % (open.len() + 1);
            let Some((key, group)) = open.get_mut(at) else {
                return match poll(&mut groups) {
                    Poll::Ready(Some(Ok(group))) => open.push(group),
                    Poll::Ready(Some(Err(error))) => lost.push(error.into_parts().1.0),
                    Poll::Ready(None) | Poll::Pending => {}
                };
            };
            match poll(group) {
                Poll::Ready(Some((index, of))) => {
                    assert_eq!(of, *key);
                    got.entry(of).or_default().push(index);
                }
                Poll::Ready(None) => drop(open.swap_remove(at)),
                // The items go to another group.
                Poll::Pending if act == 0 => drop(open.swap_remove(at)),
                Poll::Pending => {}
            }
        };
        for (which, act) in acts {
            step(which.index(1000), act, &mut open);
        }
        // To the end: everybody in turn.
        for round in 0..20_000 {
            step(round, 1, &mut open);
        }
        prop_assert!(open.is_empty());
        for indices in got.values() {
            prop_assert!(indices.is_sorted());
        }
        let mut all: Vec<_> = got.into_values().flatten().chain(lost).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..source.len()).collect::<Vec<_>>());
    }
}

// Under executors and threads.

async fn grouped() -> BTreeMap<u64, Vec<u64>> {
    let clock = TestClock::new();
    let script = Script::new(&clock).items(0..10).wait(Duration::from_secs(1)).items(10..20);
    let groups = script.pending().item(20).build().0.group_by(|k: &u64| k % 3, n(1), n(3));
    let all = Mutex::new(BTreeMap::new());
    let collect = groups.for_each_concurrent(None, |group| async {
        let (key, group) = group.unwrap();
        let items: Vec<_> = group.collect().await;
        all.lock().unwrap().insert(key, items);
    });
    clock.auto(collect).await;
    all.into_inner().unwrap()
}

#[test]
fn it_works_under_every_executor() {
    let expected: BTreeMap<u64, Vec<u64>> =
        (0..3).map(|key| (key, (0..=20).filter(|k| k % 3 == key).collect())).collect();
    for groups in support::on_every_executor(grouped) {
        assert_eq!(groups, expected);
    }
}

/// Groups on threads of their own, a source fed by another thread, and groups that are dropped and
/// opened again. A wake that is lost shows as a test that does not end.
#[test]
fn no_wake_is_lost_between_threads() {
    const ITEMS: u64 = 3_000;
    for round in 0..20_u64 {
        let (sender, receiver) = mpsc::unbounded();
        let mut groups = receiver.group_by(|k: &u64| k % 3, n(1 + (round % 3) as usize), n(3));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let feeder = thread::spawn(move || {
            for item in 0..ITEMS {
                sender.unbounded_send(item).unwrap();
                if item % 64 == round {
                    thread::yield_now();
                }
            }
        });
        let mut threads = vec![feeder];
        while let Some(group) = futures::executor::block_on(groups.next()) {
            let (key, mut group) = group.unwrap();
            let seen = Arc::clone(&seen);
            threads.push(thread::spawn(move || {
                // Those of key 0 leave after some items, and their group opens again.
                let limit = if key == 0 { 100 } else { usize::MAX };
                let mut items = Vec::new();
                while items.len() < limit {
                    match futures::executor::block_on(group.next()) {
                        Some(item) => items.push(item),
                        None => break,
                    }
                }
                // What is left goes with a group that is dropped after the end.
                let rest = group.len() as u64;
                drop(group);
                seen.lock().unwrap().push((items, rest));
            }));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let mut all: Vec<_> = seen.into_iter().flat_map(|(items, _)| items).collect();
        all.sort_unstable();
        all.dedup();
        // A group of key 0 that leaves when the source has ended takes its last items with it.
        assert_eq!(all.len() as u64 + groups.discarded(), ITEMS);
    }
}

#[test]
fn halves_run_on_two_threads() {
    let (sender, receiver) = mpsc::unbounded();
    let (even, odd) = receiver.partition(|k: &u64| k % 2 == 0, n(2));
    let threads = [even, odd]
        .map(|half| thread::spawn(move || futures::executor::block_on(half.collect::<Vec<_>>())));
    (0..10_000).for_each(|k| sender.unbounded_send(k).unwrap());
    drop(sender);
    let [even, odd] = threads.map(|thread| thread.join().unwrap());
    assert_eq!((even.len(), odd.len()), (5_000, 5_000));
    assert!(even.is_sorted() && odd.is_sorted());
}
