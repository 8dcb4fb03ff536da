//! Drops that panic: nothing else is lost, nothing is dropped twice, nobody waits for ever.

use std::cell::Cell;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::stream::FusedStream;
use futures::{FutureExt, SinkExt, Stream, StreamExt, future, stream};
use tower::{Service, ServiceExt};
use ziggurat_patterns::buffer::{Overflow, pair};
use ziggurat_patterns::group_by::{GroupByLayer, OnDrop};
use ziggurat_patterns::service::{Buffer, SpawnLayer};
use ziggurat_patterns::stream::{CombineTuple, MergeMap, RaceTuple, merge, race};
use ziggurat_patterns::testing::{MockSink, WakeProbe};
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::{ServiceLayerExt, SinkLayerExt, StreamLayerExt};

const ITEMS: usize = 12;

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

/// How often each was dropped.
#[derive(Clone, Default)]
struct Drops(Arc<Mutex<[u32; ITEMS]>>);

impl Drops {
    /// Something with this number. It panics when it is dropped, if that is `bad`.
    fn bomb(&self, id: usize, bad: usize) -> Bomb {
        Bomb { id, armed: Cell::new(id == bad), drops: self.clone() }
    }

    fn all_once(&self) -> bool {
        *self.0.lock().unwrap() == [1; ITEMS]
    }
}

struct Bomb {
    id: usize,
    armed: Cell<bool>,
    drops: Drops,
}

impl Bomb {
    /// It is harmless from here on.
    fn id(self) -> usize {
        self.armed.set(false);
        self.id
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.drops.0.lock().unwrap()[self.id] += 1;
        assert!(!self.armed.get() || std::thread::panicking(), "boom");
    }
}

/// Whether it panicked; and what it returned, if it did not.
fn caught<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}

/// All items of a stream that is ready or ended, as `take` sees them, and how often it panicked.
fn drain<S: Stream + Unpin, T>(
    stream: &mut S,
    mut take: impl FnMut(S::Item) -> T,
) -> (Vec<T>, u32) {
    let (mut items, mut panics) = (Vec::new(), 0);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        match caught(|| stream.poll_next_unpin(&mut cx)) {
            Some(Poll::Ready(Some(item))) => items.push(take(item)),
            Some(Poll::Ready(None)) => return (items, panics),
            Some(Poll::Pending) => {}
            None => panics += 1,
        }
    }
    panic!("it does not end: {} items", items.len());
}

#[test]
fn buffers() {
    let policies = [(Overflow::DropOldest, 9..12), (Overflow::DropNewest, 0..3)];
    for (policy, kept) in policies {
        for bad in 0..ITEMS {
            let is_dropped = u32::from(!kept.contains(&bad));
            let drops = Drops::default();
            let bombs = || {
                let drops = drops.clone();
                stream::iter((0..ITEMS).map(move |id| drops.bomb(id, bad)))
            };
            let mut buffer = bombs().buffer(n(3), policy);
            let (items, panics) = drain(&mut buffer, Bomb::id);
            assert_eq!((buffer.dropped(), panics), (9, is_dropped));
            // A poll that panics delivers nothing, and the items after that may find room.
            assert_eq!(items.len(), 3);
            drop(buffer);
            assert!(drops.all_once());

            let drops = Drops::default();
            let bombs = stream::iter((0..ITEMS).map(|id| drops.bomb(id, bad)));
            let (mut driver, mut receiver) = pair(bombs, n(3), policy);
            let mut panics = 0;
            while caught(|| assert!((&mut driver).now_or_never().is_some())).is_none() {
                panics += 1;
            }
            assert_eq!(panics, is_dropped);
            let items: Vec<_> = drain(&mut receiver, Bomb::id).0;
            assert_eq!(items, kept.clone().collect::<Vec<_>>());
            assert!(drops.all_once());
        }
    }
}

#[test]
fn a_receiver_that_goes() {
    for bad in 0..3 {
        let drops = Drops::default();
        let bombs = stream::iter((0..ITEMS).map(|id| drops.bomb(id, bad)));
        let (mut driver, receiver) = pair(bombs, n(3), Overflow::Backpressure);
        assert!((&mut driver).now_or_never().is_none());
        drop(driver);
        assert!(caught(|| drop(receiver)).is_none());
        // The source was not asked for the others.
        let dropped = *drops.0.lock().unwrap();
        assert!(dropped[..3] == [1; 3] && dropped[3..] == [0; ITEMS - 3]);
    }
}

#[test]
fn sinks() {
    for bad in 0..ITEMS {
        let (clock, drops) = (TestClock::new(), Drops::default());
        let (inner, probe) = MockSink::<Bomb>::new(&clock);
        probe.block();
        let mut sink = SinkLayerExt::<Bomb>::queued(inner, n(3), Overflow::DropOldest);
        let mut panics = 0;
        for id in 0..ITEMS {
            let bomb = drops.bomb(id, bad);
            panics += u32::from(caught(|| sink.feed(bomb).now_or_never().unwrap()).is_none());
        }
        assert_eq!((panics, sink.dropped()), (u32::from(bad < 9), 9));
        probe.unblock();
        assert!(clock.block_on(sink.flush()).is_ok());
        let items: Vec<_> = probe.take().into_iter().map(Bomb::id).collect();
        assert_eq!(items, [9, 10, 11]);
        assert!(drops.all_once());
    }
}

#[test]
fn buffered_services() {
    for bad in 0..ITEMS {
        let drops = Drops::default();
        let service = tower::service_fn(|bomb: Bomb| future::ready(Ok::<_, ()>(bomb.id())));
        let pair = Buffer::pair(service, n(ITEMS));
        let (handle, mut worker) = (pair.0, Box::pin(pair.1));
        let mut calls: Vec<_> =
            (0..ITEMS).map(|id| Box::pin(handle.clone().oneshot(drops.bomb(id, bad)))).collect();
        calls.iter_mut().for_each(|call| assert!(call.now_or_never().is_none()));
        // Given up: the request is dropped.
        let given_up = calls.remove(bad);
        assert!(caught(|| drop(given_up)).is_none());
        assert!((&mut worker).now_or_never().is_none());
        let answers: Vec<_> = calls.iter_mut().map(|call| call.now_or_never().unwrap()).collect();
        let expected: Vec<_> = (0..ITEMS).filter(|id| *id != bad).map(Ok).collect();
        assert_eq!(
            answers.into_iter().map(|answer| answer.map_err(drop)).collect::<Vec<_>>(),
            expected
        );
        drop((calls, handle));
        assert!((&mut worker).now_or_never().is_some());
        assert!(drops.all_once());
    }
}

#[test]
fn a_worker_that_goes() {
    for bad in 0..ITEMS {
        let drops = Drops::default();
        let service = tower::service_fn(|bomb: Bomb| future::ready(Ok::<_, ()>(bomb.id())));
        let (handle, worker) = Buffer::pair(service, n(ITEMS));
        let mut calls: Vec<_> =
            (0..ITEMS).map(|id| Box::pin(handle.clone().oneshot(drops.bomb(id, bad)))).collect();
        calls.iter_mut().for_each(|call| assert!(call.now_or_never().is_none()));
        assert!(caught(|| drop(worker)).is_none());
        for call in &mut calls {
            assert!(call.now_or_never().unwrap().is_err(), "nobody waits for ever");
        }
        assert!(drops.all_once());
    }
}

/// Yields so often, then answers. Its drop may panic.
struct Call {
    bomb: Bomb,
    yields: usize,
}

impl Future for Call {
    type Output = Result<usize, ()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.yields == 0 {
            return Poll::Ready(Ok(self.bomb.id));
        }
        self.yields -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn calls(
    drops: &Drops,
    bad: usize,
    yields: usize,
) -> impl Service<usize, Response = usize, Error = (), Future = Call> + Clone {
    let drops = drops.clone();
    tower::service_fn(move |id| Call { bomb: drops.bomb(id, bad), yields: yields * (id % 3) })
}

#[test]
fn calls_of_a_stream() {
    for (bad, yields) in (0..ITEMS).flat_map(|bad| [(bad, 0), (bad, 1)]) {
        for limit in [1, 3, ITEMS] {
            let drops = Drops::default();
            let service = calls(&drops, bad, yields);
            let through = stream::iter(0..ITEMS).through(service).concurrency(n(limit));
            let (responses, panics) = drain(&mut through.ordered(), Result::unwrap);
            assert_eq!((responses, panics), ((0..ITEMS).collect(), 1));
            assert!(drops.all_once());

            let drops = Drops::default();
            let service = calls(&drops, bad, yields);
            let through = stream::iter(0..ITEMS).through(service).concurrency(n(limit));
            let (mut responses, panics) = drain(&mut through.unordered(), Result::unwrap);
            responses.sort_unstable();
            assert_eq!((responses, panics), ((0..ITEMS).collect(), 1));
            assert!(drops.all_once());
        }
    }
}

#[test]
fn calls_on_tasks() {
    for bad in 0..ITEMS {
        let drops = Drops::default();
        let tasks = Mutex::new(Vec::new());
        let service = calls(&drops, bad, 0);
        let mut service =
            service.layer(SpawnLayer::new(|task| tasks.lock().unwrap().push(Box::pin(task))));
        let answers: Vec<_> = (0..ITEMS).map(|id| service.call(id)).collect();
        let mut panics = 0;
        for mut task in tasks.lock().unwrap().drain(..) {
            panics += u32::from(caught(|| (&mut task).now_or_never()).is_none());
        }
        assert_eq!(panics, 1);
        for (id, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.now_or_never(), Some(Ok(id)));
        }
        assert!(drops.all_once());
    }
}

/// An item or two, and a bomb that goes when it is dropped.
fn child(bomb: Bomb) -> stream::BoxStream<'static, usize> {
    let id = bomb.id;
    let item = move |_| {
        let all = &bomb; // the bomb is the stream's now
        all.id
    };
    stream::iter(0..1 + id % 2).map(item).boxed()
}

#[test]
fn merges() {
    let expected: Vec<_> = (0..ITEMS).flat_map(|id| vec![id; 1 + id % 2]).collect();
    for bad in 0..ITEMS {
        let drops = Drops::default();
        let mut merged = merge((0..ITEMS).map(|id| child(drops.bomb(id, bad))));
        let (mut items, panics) = drain(&mut merged, |item| item);
        items.sort_unstable();
        assert_eq!((items, panics), (expected.clone(), 1));
        assert!(merged.is_empty() && drops.all_once());

        let drops = Drops::default();
        let streams = (0..ITEMS).map(|id| (id, child(drops.bomb(id, bad))));
        let mut map: MergeMap<_, _> = streams.collect();
        let (mut items, panics) = drain(&mut map, |(key, item)| {
            assert_eq!(key, item);
            item
        });
        items.sort_unstable();
        assert_eq!((items, panics), (expected.clone(), 1));
        assert!(map.is_empty() && map.keys().count() == 0 && drops.all_once());

        let drops = Drops::default();
        let mut merged = merge((0..ITEMS).map(|id| child(drops.bomb(id, bad))));
        assert!(caught(|| merged.clear()).is_none());
        assert!(merged.is_empty() && drops.all_once());
        merged.push(child(Drops::default().bomb(1, 0)));
        assert_eq!(drain(&mut merged, |item| item), (vec![1, 1], 0));
    }
}

#[test]
fn races() {
    // The second of the list wins with its first item, and has another one.
    for bad in 0..ITEMS {
        let drops = Drops::default();
        let streams = [1, 0].into_iter().chain(2..ITEMS).map(|id| child(drops.bomb(id, bad)));
        let mut raced = race(streams);
        assert_eq!(drain(&mut raced, |item| item), (vec![1, 1], 1));
        assert!(raced.is_terminated() && drops.all_once());
    }
    for bad in 0..3 {
        let drops = Drops::default();
        let [winner, first, last] = [1, 0, 2].map(|id| child(drops.bomb(id, bad)));
        let mut raced = (stream::empty(), winner, first, last).race();
        assert_eq!(drain(&mut raced, |item| item), (vec![1, 1], 1));
        drop(raced);
        assert_eq!(drops.0.lock().unwrap()[..3], [1; 3]);
    }
}

/// A number; when it is dropped or cloned for the first time, it may panic.
struct Sizzling(u32, Cell<Option<Bad>>);

#[derive(Clone, Copy, PartialEq)]
enum Bad {
    Drop,
    Clone,
}

impl Clone for Sizzling {
    fn clone(&self) -> Self {
        let bad = self.1.take();
        assert!(bad != Some(Bad::Clone), "boom");
        self.1.set(bad);
        Sizzling(self.0, Cell::new(None))
    }
}

impl Drop for Sizzling {
    fn drop(&mut self) {
        assert!(self.1.take() != Some(Bad::Drop) || std::thread::panicking(), "boom");
    }
}

#[test]
fn combinations() {
    for bad in [Bad::Drop, Bad::Clone] {
        for id in 1..=3 {
            let bad = move |n| Sizzling(n, Cell::new((n == id).then_some(bad)));
            let (left, right) = (stream::iter(1..=4).map(bad), stream::iter([10]));
            let mut pairs = (left, right).combine_latest();
            let items = drain(&mut pairs, |(left, right)| (left.0, right));
            assert_eq!(items, (vec![(1, 10), (2, 10), (3, 10), (4, 10)], 1));
        }
    }
}

#[test]
fn groups() {
    for bad in 0..ITEMS {
        let drops = Drops::default();
        let bombs = stream::iter((0..ITEMS).map(|id| drops.bomb(id, bad)));
        let layer = GroupByLayer::new(|bomb: &Bomb| bomb.id % 2, n(3), n(2));
        let mut groups = bombs.layer(layer.on_drop(OnDrop::Discard));
        let mut open = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(Ok((_, group)))) = groups.poll_next_unpin(&mut cx) {
            open.push(group);
        }
        let (mut odd, even) = (open.pop().unwrap(), open.pop().unwrap());
        let wakes = WakeProbe::new();
        let waker = wakes.waker();
        let mut items = Vec::new();
        while let Poll::Ready(Some(bomb)) = odd.poll_next_unpin(&mut Context::from_waker(&waker)) {
            items.push(bomb.id());
        }
        // What it held is dropped, and what comes for it.
        let mut panics = u32::from(caught(|| drop(even)).is_none());
        assert!(wakes.take(), "the source may go on");
        let (rest, more) = drain(&mut odd, Bomb::id);
        items.extend(rest);
        panics += more;
        assert_eq!(items, [1, 3, 5, 7, 9, 11]);
        assert_eq!((panics, groups.discarded()), (u32::from(bad % 2 == 0), 6));
        drop((odd, groups));
        assert!(drops.all_once());
    }
}
