//! One stream for several consumers: every item for each, once and in order; who waits for whom; and no
//! wake is lost.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::channel::mpsc;
use futures::stream::FusedStream;
use futures::{FutureExt, Stream, StreamExt, future, stream};
use proptest::prelude::*;
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::broadcast::{
    Backpressure, Broadcast, Disconnect, DropOldest, LagPolicy, Lagged, tee,
};
use ziggurat_patterns::stream::Subscriber;
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

// Laws.

#[test]
fn a_consumer_is_lawful() {
    laws::stream("broadcast", |source, _| source.broadcast(n(3)).subscribe())
        .conserves(|stream| stream.into_parts().unwrap().items)
        .check();
    laws::stream("drop oldest", |source, _| {
        Broadcast::with_policy(source, n(1), DropOldest).subscribe()
    })
    .check_with(|item| item.iter().map(Token::id).collect());
    laws::stream("disconnect", |source, _| {
        Broadcast::with_policy(source, n(1), Disconnect).subscribe()
    })
    .check_with(|item| item.iter().map(Token::id).collect());
}

/// Both ends of a tee, in turn.
struct Both<S: Stream>(Subscriber<S>, Subscriber<S>, VecDeque<S::Item>);

impl<S: Stream<Item = Token>> Unpin for Both<S> {}

impl<S: Stream<Item = Token>> Stream for Both<S> {
    type Item = Token;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
        let this = &mut *self;
        let right = this.1.poll_next_unpin(cx);
        if let Poll::Ready(Some(item)) = this.0.poll_next_unpin(cx) {
            this.2.push_back(item);
        }
        // The left one is ahead now, if at all: that the right one has more to come wakes it.
        let Poll::Ready(Some(item)) = right else { return right };
        assert_eq!(this.2.pop_front().as_ref(), Some(&item));
        Poll::Ready(Some(item))
    }
}

impl<S: Stream<Item = Token>> FusedStream for Both<S> {
    fn is_terminated(&self) -> bool {
        self.1.is_terminated()
    }
}

#[test]
fn two_consumers_are_lawful() {
    laws::stream("tee", |source, _| {
        let (left, right) = source.tee(n(2));
        Both(left, right, VecDeque::new())
    })
    .check();
}

// Policies.

#[test]
fn the_slowest_bounds_all() {
    let (source, probe) = ready(0..);
    let (mut quick, mut slow) = tee(source, n(3));
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    for k in 0..3 {
        assert_eq!(poll(&mut quick), item(k));
    }
    let mut cx = Context::from_waker(&waker);
    assert!(quick.poll_next_unpin(&mut cx).is_pending());
    assert_eq!((probe.items(), wakes.count()), (3, 0));
    assert_eq!(slow.size_hint(), (3, None));
    assert_eq!(poll(&mut slow), item(0));
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll(&mut quick), item(3));
}

#[test]
fn a_dropped_consumer_bounds_nobody() {
    let (mut quick, slow) = tee(stream::iter(0..), n(1));
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    assert_eq!(poll(&mut quick), item(0));
    assert!(quick.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    drop(slow);
    assert_eq!(wakes.count(), 1);
    for k in 1..100 {
        assert_eq!(poll(&mut quick), item(k));
    }
}

#[test]
fn the_lagging_are_told_how_much_they_missed() {
    let broadcast = Broadcast::with_policy(stream::iter(0..10), n(4), DropOldest);
    let (mut quick, mut slow) = (broadcast.subscribe(), broadcast.subscribe());
    assert_eq!(quick.by_ref().count().now_or_never(), Some(10));
    assert_eq!(slow.size_hint(), (1, Some(5)));
    let rest: Vec<_> = slow.by_ref().collect().now_or_never().unwrap();
    assert_eq!(rest, [Err(Lagged { missed: 6 }), Ok(6), Ok(7), Ok(8), Ok(9)]);
}

#[test]
fn the_lagging_are_cut_off() {
    let broadcast = Broadcast::with_policy(stream::iter(0..10), n(4), Disconnect);
    let (mut quick, mut slow) = (broadcast.subscribe(), broadcast.subscribe());
    assert_eq!(poll(&mut quick), item(Ok(0)));
    assert_eq!(poll(&mut slow), item(Ok(0)));
    assert_eq!(quick.by_ref().count().now_or_never(), Some(9));
    assert_eq!(poll(&mut slow), item(Err(Lagged { missed: 4 })));
    assert_eq!(poll(&mut slow), Poll::Ready(None));
    assert!(slow.is_terminated());
}

#[test]
fn a_late_consumer_begins_with_what_comes() {
    let broadcast = stream::iter(0..6).broadcast(n(8));
    let mut early = broadcast.subscribe();
    assert_eq!((poll(&mut early), poll(&mut early)), (item(0), item(1)));
    let mut late = early.subscribe();
    let collect = |stream: &mut Subscriber<_>| stream.collect::<Vec<_>>().now_or_never().unwrap();
    assert_eq!(collect(&mut late), [2, 3, 4, 5]);
    assert_eq!(collect(&mut early), [2, 3, 4, 5]);
    assert_eq!(collect(&mut broadcast.subscribe()), [0; 0]);
}

#[test]
fn the_last_one_gets_the_source_back() {
    let broadcast = stream::iter(0..6).broadcast(n(8));
    let (mut left, right) = (broadcast.subscribe(), broadcast.subscribe());
    assert_eq!((poll(&mut left), poll(&mut left)), (item(0), item(1)));
    let broadcast = broadcast.into_inner().unwrap_err();
    drop(broadcast);
    let right = right.into_parts().unwrap_err();
    drop(left);
    let parts = right.into_parts().unwrap();
    assert_eq!(parts.items, [0, 1]);
    assert_eq!(parts.source.collect::<Vec<_>>().now_or_never().unwrap(), [2, 3, 4, 5]);
    assert!(stream::iter(0..6).broadcast(n(1)).into_inner().is_ok());
}

#[test]
fn the_last_to_take_gets_the_item_itself() {
    let ledger = Ledger::new();
    let tokens: Vec<_> = (0..3).map(|id| ledger.token(id)).collect();
    let (mut left, mut right) = tee(stream::iter(tokens), n(4));
    let (a, b) = (poll(&mut left), poll(&mut right));
    assert_eq!(ledger.alive(), 2 + 2);
    drop((a, b, left, right));
    assert_eq!(ledger.alive(), 0);
}

// Who polls the source.

#[test]
fn a_wake_of_the_source_wakes_all_that_wait() {
    let (sender, receiver) = mpsc::unbounded();
    let (mut left, mut right) = tee(receiver, n(4));
    let wakes = [WakeProbe::new(), WakeProbe::new()];
    for (stream, wakes) in [(&mut left, &wakes[0]), (&mut right, &wakes[1])] {
        let waker = wakes.waker();
        assert!(stream.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    }
    sender.unbounded_send(1).unwrap();
    // The one that polled last may never be polled again: the other one takes the turn.
    assert_eq!((wakes[0].count(), wakes[1].count()), (1, 1));
    drop(right);
    assert_eq!(poll(&mut left), item(1));
}

#[test]
fn a_source_that_panics_is_put_back() {
    let mut calls = 0;
    let source = stream::poll_fn(move |_| {
        calls += 1;
        assert!(calls != 1, "the first one");
        item(calls)
    });
    let (mut left, mut right) = tee(source, n(4));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut left)));
    assert!(result.is_err());
    assert_eq!(poll(&mut right), item(2));
    assert_eq!(poll(&mut left), item(2));
}

proptest! {
    /// Against a model: each consumer sees what came since it joined, and with a lag exactly what it
    /// missed.
    #[test]
    fn every_consumer_gets_every_item(
        acts in prop::collection::vec((0_u8..12, any::<prop::sample::Index>()), 1..200),
        capacity in 1_usize..6,
        policy in 0..3,
    ) {
        match policy {
            0 => check_model(acts, capacity, Backpressure, Ok),
            1 => check_model(acts, capacity, DropOldest, |item| item),
            _ => check_model(acts, capacity, Disconnect, |item| item),
        }
    }
}

fn check_model<P: LagPolicy>(
    acts: Vec<(u8, prop::sample::Index)>,
    capacity: usize,
    policy: P,
    look: fn(P::Item<u64>) -> Result<u64, Lagged>,
) {
    const END: u64 = 100;
    let broadcast = Broadcast::with_policy(stream::iter(0..END), n(capacity), policy);
    // The consumer, what it expects next, and whether it was cut off.
    let mut consumers = vec![(broadcast.subscribe(), 0, false)];
    let mut polled = 0;
    for (act, index) in acts {
        let at = index.index(consumers.len());
        match act {
            0 => consumers.push((broadcast.subscribe(), polled, false)),
            1 if consumers.len() > 1 => drop(consumers.swap_remove(at)),
            _ => {
                let slowest = consumers.iter().map(|(_, next, _)| *next).min().unwrap();
                let (stream, next, cut) = &mut consumers[at];
                match poll(stream) {
                    Poll::Ready(Some(item)) => match look(item) {
                        Ok(item) => {
                            assert_eq!((item, *cut), (*next, false));
                            *next += 1;
                            polled = polled.max(*next);
                        }
                        Err(Lagged { missed }) => {
                            assert!(missed > 0);
                            *next += missed;
                            assert!(*next <= polled);
                            *cut = policy_cuts::<P>();
                        }
                    },
                    Poll::Ready(None) => assert!(*next == END || *cut),
                    // Only backpressure waits here: the source is always ready.
                    Poll::Pending => assert_eq!(*next, slowest + capacity as u64),
                }
            }
        }
    }
}

fn policy_cuts<P>() -> bool {
    std::any::type_name::<P>().ends_with("Disconnect")
}

// Under executors and threads.

async fn both_halves() -> (Vec<u64>, Vec<u64>) {
    let clock = TestClock::new();
    let second = Duration::from_secs(1);
    let script = Script::new(&clock).items(0..10).wait(second).items(10..20).pending().item(20);
    let (left, right) = script.build().0.tee(n(2));
    clock.auto(future::join(left.collect(), right.collect())).await
}

#[test]
fn it_works_under_every_executor() {
    let all: Vec<u64> = (0..=20).collect();
    for (left, right) in support::on_every_executor(both_halves) {
        assert_eq!((&left, &right), (&all, &all));
    }
}

/// Consumers on threads of their own, of which some leave early and come back, and a source fed by
/// another thread. A wake that is lost shows as a test that does not end.
#[test]
fn no_wake_is_lost_between_threads() {
    const ITEMS: u64 = 2_000;
    for round in 0..20_u64 {
        let (sender, receiver) = mpsc::unbounded();
        let broadcast = receiver.broadcast(n(1 + (round % 3) as usize));
        let stayers: Vec<_> = (0..2).map(|_| broadcast.subscribe()).collect();
        let sum = Arc::new(AtomicU64::new(0));
        let mut threads: Vec<_> = stayers
            .into_iter()
            .map(|mut stream| {
                let sum = Arc::clone(&sum);
                thread::spawn(move || {
                    let mut next = 0;
                    while let Some(item) = futures::executor::block_on(stream.next()) {
                        assert_eq!(item, next);
                        next += 1;
                        sum.fetch_add(item, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let leaver = broadcast.clone();
        threads.push(thread::spawn(move || {
            let mut over = false;
            while !over {
                let mut stream = leaver.subscribe();
                for _ in 0..7 {
                    over |= futures::executor::block_on(stream.next()).is_none();
                }
                // Left in the middle of a wait, or of nothing.
                let _ = stream.next().now_or_never();
            }
        }));
        drop(broadcast);
        threads.push(thread::spawn(move || {
            for item in 0..ITEMS {
                sender.unbounded_send(item).unwrap();
                if item % 64 == round {
                    thread::yield_now();
                }
            }
        }));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(sum.load(Ordering::Relaxed), ITEMS * (ITEMS - 1));
    }
}

/// An item whose drop panics. Its clones are harmless.
struct Bomb {
    armed: bool,
}

impl Clone for Bomb {
    fn clone(&self) -> Self {
        Bomb { armed: false }
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.armed || std::thread::panicking(), "boom");
    }
}

#[test]
fn a_drop_that_panics_keeps_nobody_waiting() {
    let source = stream::iter([true, false]).map(|armed| Bomb { armed });
    let (mut stays, leaves) = source.tee(NonZeroUsize::MIN);
    let woken = WakeProbe::new();
    let waker = woken.waker();
    let mut cx = Context::from_waker(&waker);
    assert!(stays.poll_next_unpin(&mut cx).is_ready());
    assert!(
        stays.poll_next_unpin(&mut cx).is_pending(),
        "no room before the other takes the first"
    );
    // The one that leaves is the last owner of the first item.
    assert!(catch_unwind(AssertUnwindSafe(|| drop(leaves))).is_err());
    assert!(woken.is_woken());
    assert!(matches!(stays.poll_next_unpin(&mut cx), Poll::Ready(Some(_))));
}
