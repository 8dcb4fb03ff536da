//! Leaving out what came before: exactly that, and counted.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::channel::mpsc;
use futures::{FutureExt, SinkExt, StreamExt, stream};
use proptest::prelude::*;
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::stream::DedupeLayer;
use ziggurat_patterns::testing::laws;
use ziggurat_patterns::testing::{Script, WakeProbe, ready};
use ziggurat_patterns::time::TestClock;

mod support;

const SECOND: Duration = Duration::from_secs(1);

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn collect<S: futures::Stream>(stream: S) -> Vec<S::Item> {
    stream.collect().now_or_never().unwrap()
}

#[test]
fn they_are_lawful() {
    // All items are different: none is left out.
    laws::stream("dedupe", |source, _| source.dedupe_by_key(|token| token.id())).check();
    laws::stream("recent", |source, _| {
        source.layer(DedupeLayer::recent(n(2)).by_key(|token: &laws::Token| token.id()))
    })
    .check();
    laws::stream("within", |source, clock| {
        let layer = DedupeLayer::within(SECOND, n(8)).with_timer(clock.clone());
        source.layer(layer.by_key(|token: &laws::Token| token.id()))
    })
    .check();
    laws::try_stream("errors pass", |source, _| {
        source.layer(DedupeLayer::consecutive().try_by_key(|token: &laws::Token| token.id()))
    })
    .check();
    // All but the first are.
    laws::stream("all the same", |source, _| source.dedupe_by_key(|_| 1)).lossy().check();
}

#[test]
fn errors_are_no_duplicates() {
    let items = [Ok(1), Err("a"), Err("a"), Ok(1), Ok(2)];
    let stream = stream::iter(items).layer(DedupeLayer::consecutive().try_by_key(|n: &i32| *n));
    assert_eq!(collect(stream), [Ok(1), Err("a"), Err("a"), Ok(2)]);
}

#[test]
fn a_key_passes_again_when_its_time_is_over() {
    let clock = TestClock::new();
    let (source, _) = Script::new(&clock)
        .items(["a", "a"])
        .wait(SECOND)
        .item("a")
        .wait(SECOND)
        .items(["a", "b"])
        .build();
    let layer = DedupeLayer::within(SECOND * 2, n(8)).with_timer(clock.clone());
    let mut stream = source.layer(layer);
    let items: Vec<_> = clock.block_on(stream.by_ref().collect());
    assert_eq!(items, ["a", "a", "b"]);
    assert_eq!(stream.skipped(), 2);
}

#[test]
fn the_oldest_key_goes_when_there_is_no_room() {
    let clock = TestClock::new();
    let layer = DedupeLayer::within(SECOND, n(2)).with_timer(clock);
    assert_eq!(collect(stream::iter([1, 2, 1, 3, 1]).layer(layer)), [1, 2, 3, 1]);
}

#[test]
fn one_poll_leaves_out_so_many() {
    let (source, probe) = ready(std::iter::repeat(1));
    let mut stream = source.dedupe();
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let mut cx = Context::from_waker(&waker);
    assert_eq!(stream.poll_next_unpin(&mut cx), Poll::Ready(Some(1)));
    assert!(stream.poll_next_unpin(&mut cx).is_pending());
    assert_eq!((probe.polls(), wakes.count(), stream.skipped()), (129, 1, 128));
}

proptest! {
    #[test]
    fn recent_is_an_exact_lru(items in prop::collection::vec(0_u8..8, 0..200), keys in 1_usize..7) {
        let mut recent = VecDeque::new();
        let mut expected = Vec::new();
        for item in &items {
            let seen = recent.iter().position(|old| old == item);
            match seen {
                Some(index) => drop(recent.remove(index)),
                None => expected.push(*item),
            }
            recent.push_back(*item);
            if recent.len() > keys {
                recent.pop_front();
            }
        }
        let mut stream = stream::iter(items.clone()).layer(DedupeLayer::recent(n(keys)));
        prop_assert_eq!(collect(stream.by_ref()), expected.clone());
        prop_assert_eq!(stream.skipped() as usize, items.len() - expected.len());
    }

    #[test]
    fn consecutive_is_dedup(items in prop::collection::vec(0_u8..3, 0..300)) {
        let mut expected = items.clone();
        expected.dedup();
        let items = futures::executor::block_on(stream::iter(items).dedupe().collect::<Vec<_>>());
        prop_assert_eq!(items, expected);
    }
}

/// Items of another thread, each of them several times.
async fn run() {
    let (mut sender, receiver) = mpsc::channel(1);
    let thread = std::thread::spawn(move || {
        futures::executor::block_on(async {
            for n in 0..1000_u32 {
                sender.send(n / 4).await.expect("somebody receives");
            }
        });
    });
    let layer = DedupeLayer::within(SECOND * 3600, n(8));
    let mut stream = receiver.dedupe().layer(DedupeLayer::recent(n(4))).layer(layer);
    let mut next = 0;
    while let Some(item) = stream.next().await {
        assert_eq!(item, next);
        next += 1;
    }
    thread.join().unwrap();
    assert_eq!((next, stream.skipped()), (250, 0)); // the first layer has left all of them out
}

#[test]
fn under_every_executor() {
    support::on_every_executor(run);
}
