//! What `Merge` does with its streams: adds, removes, wakes, and leaves alone.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::channel::mpsc;
use futures::executor::block_on;
use futures::stream::{self, FusedStream, Stream, StreamExt};
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::select::{Class, Priority, RoundRobin, Weight, Weighted};
use ziggurat_patterns::stream::{Merge, merge};
use ziggurat_patterns::testing::{Ledger, Script, Token, WakeProbe};
use ziggurat_patterns::time::TestClock;

use crate::support::{Counted, Monster, Restless, spawn};

// tokio-stream's tests of `merge`, on two streams and on any number.

#[test]
fn ready_streams_take_turns() {
    let mut two = stream::iter(vec![0, 2, 4, 6]).merge_with(stream::iter(vec![1, 3, 5]));
    let mut many = merge([stream::iter(vec![0, 2, 4, 6]), stream::iter(vec![1, 3, 5])]);
    for i in 0..7 {
        let rest = 7 - i;
        assert_eq!(two.size_hint(), (rest, Some(rest)));
        assert_eq!(many.size_hint(), (rest, Some(rest)));
        assert_eq!(block_on(two.next()), Some(i));
        assert_eq!(block_on(many.next()), Some(i));
    }
    assert!(block_on(two.next()).is_none() && two.is_terminated());
    assert!(block_on(many.next()).is_none() && many.is_terminated());
}

fn wakes_for_each_item<S>(
    make: impl Fn(mpsc::UnboundedReceiver<i32>, mpsc::UnboundedReceiver<i32>) -> S,
) where
    S: FusedStream<Item = i32> + Unpin,
{
    let (tx1, rx1) = mpsc::unbounded();
    let (tx2, rx2) = mpsc::unbounded();
    let mut merged = spawn(make(rx1, rx2));
    assert_eq!(merged.size_hint(), (0, None));
    for (tx, n) in [(&tx1, 1), (&tx2, 2)] {
        assert!(merged.poll().is_pending());
        tx.unbounded_send(n).unwrap();
        assert!(merged.is_woken());
        assert_eq!(merged.poll(), Poll::Ready(Some(n)));
    }
    assert!(merged.poll().is_pending());
    drop(tx1);
    assert!(merged.is_woken());
    assert!(merged.poll().is_pending());
    tx2.unbounded_send(3).unwrap();
    assert!(merged.is_woken());
    assert_eq!(merged.poll(), Poll::Ready(Some(3)));
    assert!(merged.poll().is_pending());
    drop(tx2);
    assert!(merged.is_woken());
    assert_eq!(merged.poll(), Poll::Ready(None));
    assert!(merged.is_terminated());
}

#[test]
fn each_item_wakes() {
    wakes_for_each_item(|a, b| a.merge_with(b));
    wakes_for_each_item(|a, b| merge([a, b]));
}

#[test]
fn hints_do_not_overflow() {
    assert_eq!(Monster.merge_with(Monster).size_hint(), (usize::MAX, None));
    assert_eq!(merge([Monster, Monster]).size_hint(), (usize::MAX, None));
    assert_eq!(merge([Monster]).size_hint(), (usize::MAX, Some(usize::MAX)));
    assert_eq!(Merge::<Monster>::new().size_hint(), (0, Some(0)));
}

#[test]
fn it_ends_when_empty_and_goes_on_after_a_push() {
    let mut merged = Merge::new();
    assert!(merged.is_terminated());
    assert_eq!(block_on(merged.next()), None);
    for n in 0..3 {
        merged.push(stream::iter([n]));
        assert!(!merged.is_terminated());
        assert_eq!(block_on(merged.next()), Some(n));
        assert_eq!(block_on(merged.next()), None);
        assert!(merged.is_terminated());
    }
}

#[test]
fn ids_are_not_used_again() {
    let mut merged = Merge::new();
    let a = merged.push(stream::iter(vec![1]));
    assert!(merged.contains(a));
    assert_eq!(merged.remove(a).map(|stream| stream.size_hint().0), Some(1));
    let b = merged.push(stream::iter(vec![1, 2]));
    assert_ne!(a, b);
    assert!(merged.remove(a).is_none() && merged.get(a).is_none() && merged.get_mut(a).is_none());
    assert_eq!(merged.get(b).unwrap().size_hint().0, 2);
    assert_eq!(block_on(merged.get_mut(b).unwrap().next()), Some(1));
    // It ends, and its place goes to another one.
    assert_eq!(block_on(merged.by_ref().collect::<Vec<_>>()), [2]);
    let c = merged.push(stream::iter(vec![]));
    assert!(!merged.contains(b) && merged.contains(c));
    assert_eq!(merged.len(), 1);
}

#[test]
fn streams_that_are_pushed_and_removed_between_polls() {
    let mut merged = spawn(Merge::new());
    let senders: Vec<_> = (0..300)
        .map(|_| {
            let (tx, rx) = mpsc::unbounded();
            (tx, merged.push(rx))
        })
        .collect();
    assert!(merged.poll().is_pending());
    // The others keep being woken while there is more and more room.
    for (n, (tx, _)) in senders.iter().enumerate() {
        merged.push(mpsc::unbounded().1);
        tx.unbounded_send(n).unwrap();
        assert_eq!(merged.drain(), (vec![n], false));
    }
    for (n, (tx, id)) in senders.iter().enumerate() {
        tx.unbounded_send(n).unwrap();
        if n % 2 == 0 {
            // What it had not delivered is still in it.
            let mut stream = merged.remove(*id).unwrap();
            assert_eq!(stream.try_recv().ok(), Some(n));
        }
    }
    let (items, ended) = merged.drain();
    assert_eq!((items, ended), ((1..300).step_by(2).collect(), false));
}

/// The waker of a stream that was removed wakes whoever has its place, who does not mind.
#[test]
fn wakes_after_removal() {
    let (tx1, rx1) = mpsc::unbounded();
    let (tx2, rx2) = mpsc::unbounded();
    let mut merged = spawn(Merge::new());
    let first = merged.push(rx1);
    assert!(merged.poll().is_pending());
    let mut rx1 = merged.remove(first).unwrap();
    tx1.unbounded_send(1).unwrap();
    // Nobody is there.
    assert_eq!(merged.poll(), Poll::Ready(None));
    merged.push(rx2);
    assert!(merged.poll().is_pending());
    tx1.unbounded_send(2).unwrap();
    assert!(merged.poll().is_pending());
    tx2.unbounded_send(3).unwrap();
    assert!(merged.is_woken());
    assert_eq!(merged.poll(), Poll::Ready(Some(3)));
    assert_eq!((rx1.try_recv().ok(), rx1.try_recv().ok()), (Some(1), Some(2)));
    // And a wake that comes when all is gone is for nobody.
    drop(merged);
    drop((tx1, tx2));
}

#[test]
fn only_those_that_were_woken_are_polled() {
    let polls = Arc::new(AtomicUsize::new(0));
    let mut merged = spawn(Merge::with_capacity(10_000));
    let senders: Vec<_> = (0..10_000)
        .map(|_| {
            let (tx, rx) = mpsc::unbounded();
            merged.push(Counted(rx, Arc::clone(&polls)));
            tx
        })
        .collect();
    // New ones are polled, no more than 128 at a time.
    assert!(merged.poll().is_pending());
    assert_eq!(polls.swap(0, Ordering::Relaxed), 128);
    assert!(merged.is_woken());
    assert_eq!(merged.drain(), (vec![], false));
    assert_eq!(polls.swap(0, Ordering::Relaxed), 10_000 - 128);

    for round in 0..100 {
        let woken: Vec<_> = (0..100).map(|n| n * 100 + round).collect();
        woken.iter().for_each(|&n| senders[n].unbounded_send(n).unwrap());
        assert!(merged.is_woken());
        let (mut items, ended) = merged.drain();
        items.sort_unstable();
        assert_eq!((items, ended), (woken, false));
        // Once for the item, and once to see that there is no other.
        assert_eq!(polls.swap(0, Ordering::Relaxed), 200);
    }
}

#[test]
fn streams_that_wake_themselves_share_the_executor() {
    let polls = Arc::new(AtomicUsize::new(0));
    let mut merged = spawn(merge((0..3).map(|_| Restless(Arc::clone(&polls)))));
    for round in 1..10 {
        assert!(merged.poll().is_pending());
        assert!(merged.is_woken());
        assert_eq!(polls.load(Ordering::Relaxed), 128 * round);
    }
    // And with another stream, which is ready.
    let polls = Arc::new(AtomicUsize::new(0));
    let streams = [Restless(Arc::clone(&polls)).boxed(), stream::repeat(1).boxed()];
    let mut merged = spawn(merge(streams));
    for _ in 0..100 {
        assert_eq!(merged.poll(), Poll::Ready(Some(1)));
    }
    assert!(polls.load(Ordering::Relaxed) <= 101);
}

/// However many it is asked for, other tasks get their turn; and nothing waits for the rest.
#[test]
fn next_many_yields() {
    let mut merged = merge([stream::repeat(1).left_stream(), stream::pending().right_stream()]);
    let (mut buffer, wakes) = (vec![], WakeProbe::new());
    let waker = wakes.waker();
    let mut cx = Context::from_waker(&waker);
    let mut next = merged.next_many(&mut buffer, 1000);
    for polls in 1..8 {
        assert!(Pin::new(&mut next).poll(&mut cx).is_pending());
        assert_eq!(wakes.count(), polls);
    }
    assert_eq!(Pin::new(&mut next).poll(&mut cx), Poll::Ready(1000));
    assert_eq!(buffer.len(), 1000);
    // What was received is there when the future is dropped half-way.
    assert!(Pin::new(&mut merged.next_many(&mut buffer, 1000)).poll(&mut cx).is_pending());
    assert_eq!(buffer.len(), 1128);
    buffer.clear();
    assert_eq!(merged.poll_next_many(&mut cx, &mut buffer, usize::MAX), Poll::Ready(128));

    let mut merged = merge([stream::iter(0..128).chain(stream::pending())]);
    buffer.clear();
    let mut next = merged.next_many(&mut buffer, 200);
    assert!(Pin::new(&mut next).poll(&mut cx).is_pending());
    assert_eq!(Pin::new(&mut next).poll(&mut cx), Poll::Ready(128));
}

#[test]
fn next_many_and_entries() {
    let mut merged = Merge::new();
    let a = merged.push(stream::iter(vec![1, 2]));
    let b = merged.push(stream::iter(vec![10]));
    let mut merged = spawn(merged);
    let mut entry = || merged.with(|merged, cx| merged.poll_next_entry(cx));
    assert_eq!(entry(), Poll::Ready(Some((a, 1))));
    assert_eq!(entry(), Poll::Ready(Some((b, 10))));
    assert_eq!(entry(), Poll::Ready(Some((a, 2))));
    assert_eq!(entry(), Poll::Ready(None));

    let (mut merged, mut buffer) = (Merge::new(), vec![]);
    merged.extend((0..4).map(|n| stream::iter(vec![n; 3])));
    assert_eq!(block_on(merged.next_many(&mut buffer, 5)), 5);
    assert_eq!(buffer, [0, 1, 2, 3, 0]);
    assert_eq!(block_on(merged.next_many(&mut buffer, 100)), 7);
    assert_eq!(block_on(merged.next_many(&mut buffer, 100)), 0);
}

#[test]
fn shares_change_and_policies_too() {
    let mut merged = Merge::new().with_policy(Weighted);
    merged.push(stream::repeat('a'));
    let b = merged.push(stream::repeat('b'));
    let take = |merged: &mut Merge<_, _>, count| block_on(merged.take(count).collect::<String>());
    assert_eq!(take(&mut merged, 4), "abab");
    assert!(merged.set_share(b, Weight::new(2.try_into().unwrap())));
    assert_eq!(take(&mut merged, 6), "bbabba");

    let mut merged = merged.with_policy(Priority::new(1000.try_into().unwrap()));
    assert!(merged.set_share(b, Class(1)));
    assert_eq!(block_on(merged.by_ref().take(3).collect::<String>()), "aaa");
    assert!(merged.remove(b).is_some());
    assert!(!merged.set_share(b, Class(0)));

    let mut merged = merged.with_policy(RoundRobin);
    merged.push(stream::repeat('c'));
    assert_eq!(block_on(merged.by_ref().take(3).collect::<String>()), "aca");
    assert_eq!(merged.iter().count(), 2);
    assert_eq!(merged.iter_mut().count(), 2);
    merged.clear();
    assert!(merged.is_empty());
}

#[test]
fn streams_are_dropped_when_they_end() {
    let clock = TestClock::new();
    let (stream, probe) = Script::new(&clock).item(1).build();
    let mut merged = merge([stream.boxed(), stream::pending().boxed()]);
    assert_eq!(block_on(merged.next()), Some(1));
    assert!(!probe.dropped());
    assert!(spawn(&mut merged).poll().is_pending());
    assert!(probe.dropped());
    assert_eq!(merged.into_inner().len(), 1);
}

/// Dropped after each number of polls, it takes its streams and their items with it, and no others.
#[test]
fn dropped_at_every_poll() {
    let make = |clock: &TestClock, ledger: &Ledger| {
        let script = |n: u64| {
            let script = Script::new(clock).items((0..n).map(|id| ledger.token(id)));
            script.pending().item(ledger.token(n)).build().0
        };
        spawn(merge((0..5).map(script)))
    };
    for polls in 0..40 {
        let (clock, ledger) = (TestClock::new(), Ledger::new());
        let mut merged = make(&clock, &ledger);
        let items: Vec<Token> = (0..polls)
            .filter_map(|_| match merged.poll() {
                Poll::Ready(item) => item,
                Poll::Pending => None,
            })
            .collect();
        drop(merged);
        assert_eq!(ledger.alive(), items.len());
    }
}

#[test]
fn it_is_send_and_sync_when_its_streams_are() {
    fn check<T: Send + Sync + Unpin>(_: &T) {}
    check(&merge([stream::iter([1])]));
    check(&Merge::<stream::Pending<u8>>::new().with_policy(Weighted));
}
