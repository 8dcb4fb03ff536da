//! Buffers of streams and sinks: the laws, conservation over random schedules, halves on threads.

mod support;

use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::join;
use futures::stream::FusedStream;
use futures::{FutureExt, SinkExt, Stream, StreamExt, stream};
use proptest::prelude::*;
use ziggurat_patterns::buffer::{BufferError, Driver, Overflow, Policy, Receiver, Reject, pair};
use ziggurat_patterns::stream::{Buffer, BufferLayer};
use ziggurat_patterns::testing::laws::{self, Source, Token};
use ziggurat_patterns::testing::{self, Fault, MockSink, Script, WakeProbe};
use ziggurat_patterns::time::{TestClock, Timer};
use ziggurat_patterns::{SinkLayerExt, StreamLayerExt, sink};

const MS: Duration = Duration::from_millis(1);
const LOSSY: [Overflow; 3] = [Overflow::DropOldest, Overflow::DropNewest, Overflow::Latest];

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn held<P>(buffer: Buffer<Source, P>) -> Vec<Token> {
    buffer.into_parts().1.into()
}

fn ids(item: &Result<Token, BufferError<Token>>) -> Vec<u64> {
    match item {
        Ok(token) => vec![token.id()],
        Err(error) => vec![error.clone().into_item().unwrap().id()],
    }
}

#[test]
fn laws_of_the_stream() {
    for capacity in [1, 4, 500] {
        laws::stream("buffer", move |source, _| source.buffer(n(capacity), Overflow::Backpressure))
            .bound(128)
            .conserves(held)
            .check();
        laws::stream("rejecting buffer", move |source, _| source.buffer(n(capacity), Reject))
            .bound(128)
            .conserves(held)
            .check_with(ids);
        for policy in LOSSY {
            laws::stream("lossy buffer", move |source, _| source.buffer(n(capacity), policy))
                .bound(128)
                .lossy()
                .conserves(held)
                .check();
        }
    }
}

#[test]
fn laws_of_the_sink() {
    let held = |sink: sink::Buffer<laws::Drain, Token>| Vec::from(sink.into_parts().1);
    let fault = |error: &BufferError<Token, Fault>| error.clone().into_inner();
    for capacity in [1, 3, 100] {
        laws::sink("buffer", move |sink, _| sink.queued(n(capacity), Overflow::Backpressure))
            .faults(fault)
            .conserves(held)
            .check();
        for policy in LOSSY {
            laws::sink("lossy buffer", move |sink, _| sink.queued(n(capacity), policy))
                .lossy()
                .faults(fault)
                .conserves(held)
                .check();
        }
    }
    for capacity in [2, 100] {
        laws::sink("rejecting buffer", move |sink, _| sink.queued(n(capacity), Reject))
            .faults(fault)
            .conserves(held)
            .refuses()
            .check();
    }
}

/// Both halves in one task.
struct Joined<S: Stream, P> {
    driver: Option<Pin<Box<Driver<S>>>>,
    receiver: Receiver<S::Item, P>,
}

impl<S: Stream, P: Policy> Joined<S, P> {
    fn new(source: S, capacity: usize, policy: P) -> Self {
        let (driver, receiver) = pair(source, n(capacity), policy);
        Joined { driver: Some(Box::pin(driver)), receiver }
    }
}

impl<S: Stream, P: Policy> Stream for Joined<S, P> {
    type Item = P::Item<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.driver.as_mut().map(|driver| driver.as_mut().poll(cx));
        if let Some(Poll::Ready(left)) = polled {
            assert!(left.is_empty());
            self.driver = None;
        }
        self.receiver.poll_next_unpin(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.receiver.size_hint()
    }
}

impl<S: Stream, P: Policy> FusedStream for Joined<S, P> {
    fn is_terminated(&self) -> bool {
        self.receiver.is_terminated()
    }
}

impl<S: Stream, P> Unpin for Joined<S, P> {}

#[test]
fn laws_of_the_pair() {
    for capacity in [1, 4, 500] {
        laws::stream("pair", move |source, _| {
            Joined::new(source, capacity, Overflow::Backpressure)
        })
        .bound(128)
        .conserves(|joined: Joined<_, _>| joined.receiver.into_items().into())
        .check();
        laws::stream("rejecting pair", move |source, _| Joined::new(source, capacity, Reject))
            .conserves(|joined: Joined<_, _>| joined.receiver.into_items().into())
            .check_with(ids);
        for policy in LOSSY {
            laws::stream("lossy pair", move |source, _| Joined::new(source, capacity, policy))
                .lossy()
                .check();
        }
    }
}

#[test]
fn each_policy_keeps_what_it_says() {
    let kept = |policy| {
        let mut buffer = stream::iter(1..=6).layer(BufferLayer::new(n(3), policy));
        let items: Vec<_> = buffer.by_ref().collect().now_or_never().unwrap();
        (items, buffer.dropped())
    };
    assert_eq!(kept(Overflow::Backpressure), (vec![1, 2, 3, 4, 5, 6], 0));
    assert_eq!(kept(Overflow::DropOldest), (vec![4, 5, 6], 3));
    assert_eq!(kept(Overflow::DropNewest), (vec![1, 2, 3], 3));
    assert_eq!(kept(Overflow::Latest), (vec![6], 5));
}

#[test]
fn it_reads_no_further_than_it_has_room() {
    let (source, probe) = testing::ready(0..);
    let mut buffer = source.buffer(n(10), Overflow::Backpressure);
    assert_eq!(probe.polls(), 0);
    assert_eq!(buffer.next().now_or_never(), Some(Some(0)));
    assert_eq!((probe.items(), buffer.len()), (10, 9));
    let (mut source, items) = buffer.into_parts();
    assert_eq!(items, VecDeque::from_iter(1..10));
    assert_eq!(source.next().now_or_never(), Some(Some(10)));
}

#[test]
fn after_an_overflow_nothing_is_read_until_it_is_taken() {
    let (source, probe) = testing::ready(0..);
    let mut buffer = source.buffer(n(2), Reject);
    let next = |buffer: &mut Buffer<_, _>| buffer.next().now_or_never().unwrap().unwrap();
    assert_eq!(next(&mut buffer), Ok(0));
    assert_eq!(next(&mut buffer), Ok(1));
    assert_eq!(probe.items(), 3);
    assert!(next(&mut buffer).unwrap_err().is_overflow());
    assert_eq!(next(&mut buffer), Ok(3));
}

#[test]
fn a_full_sink_refuses_or_drops() {
    let clock = TestClock::new();
    let fill = |policy| {
        let (inner, probe) = MockSink::<u32>::new(&clock);
        probe.block();
        let mut sink = inner.queued(n(2), policy);
        let fed = (1..=4).map(|n| sink.feed(n).now_or_never().is_some()).collect::<Vec<_>>();
        (fed, sink.dropped(), Vec::from(sink.into_parts().1))
    };
    assert_eq!(fill(Overflow::Backpressure), (vec![true, true, false, false], 0, vec![1, 2]));
    assert_eq!(fill(Overflow::DropOldest), (vec![true; 4], 2, vec![3, 4]));
    assert_eq!(fill(Overflow::DropNewest), (vec![true; 4], 2, vec![1, 2]));
    assert_eq!(fill(Overflow::Latest), (vec![true; 4], 3, vec![4]));

    let (inner, probe) = MockSink::<u32>::new(&clock);
    probe.block();
    let mut sink = inner.queued(n(1), Reject);
    clock.block_on(sink.feed(1)).unwrap();
    assert_eq!(clock.block_on(sink.feed(2)), Err(BufferError::Overflow { item: 2 }));
    probe.unblock();
    clock.block_on(sink.flush()).unwrap();
    assert_eq!(probe.items(), [1]);
}

#[test]
fn a_sink_that_fails_leaves_the_items() {
    let clock = TestClock::new();
    let (inner, probe) = MockSink::<u32>::new(&clock);
    probe.block();
    let mut sink = inner.layer(sink::BufferLayer::new(n(5), Overflow::Backpressure));
    for n in 1..=3 {
        clock.block_on(sink.feed(n)).unwrap();
    }
    probe.fail_next(Fault(1));
    assert_eq!(clock.block_on(sink.flush()), Err(BufferError::Inner(Fault(1))));
    assert_eq!(sink.into_parts().1, [1, 2, 3]);
}

#[test]
fn a_driver_waits_for_room_and_is_woken_for_half_of_it() {
    let (source, probe) = testing::ready(0..);
    let (mut driver, mut receiver) = pair(source, n(4), Overflow::Backpressure);
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let cx = &mut Context::from_waker(&waker);
    assert!(driver.poll_unpin(cx).is_pending());
    assert_eq!((probe.items(), receiver.len()), (4, 4));
    assert_eq!(receiver.next().now_or_never(), Some(Some(0)));
    assert!(!wakes.take());
    assert_eq!(receiver.next().now_or_never(), Some(Some(1)));
    assert!(wakes.take());
}

#[test]
fn the_end_of_the_receiver_ends_the_driver_with_what_is_left() {
    let clock = TestClock::new();
    let (source, probe) = Script::new(&clock).items(0..3).stall().build();
    let (mut driver, mut receiver) = pair(source, n(4), Overflow::Backpressure);
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let cx = &mut Context::from_waker(&waker);
    assert!(driver.poll_unpin(cx).is_pending());
    assert_eq!(receiver.next().now_or_never(), Some(Some(0)));
    drop(receiver);
    assert!(wakes.take());
    assert_eq!(driver.poll_unpin(cx), Poll::Ready(VecDeque::from([1, 2])));
    drop(driver.into_inner());
    assert!(probe.dropped());
}

#[test]
fn the_end_of_the_driver_ends_the_receiver_after_what_is_there() {
    let (source, _) = testing::ready(0..);
    let (mut driver, mut receiver) = pair(source, n(2), Overflow::Backpressure);
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let cx = &mut Context::from_waker(&waker);
    assert!(receiver.poll_next_unpin(cx).is_pending());
    assert!((&mut driver).now_or_never().is_none());
    assert!(wakes.take());
    drop(driver);
    let items: Vec<_> = receiver.by_ref().collect().now_or_never().unwrap();
    assert_eq!((items, receiver.is_complete()), (vec![0, 1], false));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Delivered, dropped and held are what the source gave, in order.
    #[test]
    fn items_are_conserved(
        waits in prop::collection::vec(0u32..30, 0..60),
        consumer in prop::collection::vec(0u32..30, 0..60),
        capacity in 1usize..6,
        policy in 0usize..4,
        halves: bool,
    ) {
        let policy = LOSSY.get(policy).copied().unwrap_or(Overflow::Backpressure);
        let clock = TestClock::new();
        let script = (0..).zip(&waits).fold(Script::new(&clock), |script, (index, wait)| {
            let script = if *wait > 15 { script.wait(*wait * MS) } else { script };
            script.item(index)
        });
        let (source, probe) = script.build();
        let mut out = Vec::new();
        let consume = async |out: &mut Vec<u32>, items: &mut (dyn Stream<Item = u32> + Unpin)| {
            for wait in &consumer {
                if *wait > 10 {
                    clock.sleep(*wait * MS).await;
                }
                match items.next().await {
                    Some(item) => out.push(item),
                    None => break,
                }
            }
        };
        let (dropped, left) = if halves {
            let (driver, receiver) = pair(source, n(capacity), policy);
            clock.block_on(join(driver, async {
                let mut receiver = receiver;
                consume(&mut out, &mut receiver).await;
                (receiver.dropped(), Vec::from(receiver.into_items()))
            })).1
        } else {
            let mut buffer = source.buffer(n(capacity), policy);
            clock.block_on(consume(&mut out, &mut buffer));
            (buffer.dropped(), Vec::from(buffer.into_parts().1))
        };
        prop_assert_eq!(out.len() + dropped as usize + left.len(), probe.items());
        prop_assert!(left.len() <= capacity);
        out.extend(left);
        prop_assert!(out.is_sorted_by(|a, b| a < b));
        prop_assert!(policy != Overflow::Backpressure || dropped == 0);
    }
}

/// The driver in one task, the receiver in another.
async fn halves<H: Future>(spawn: impl FnOnce(Driver<Yielding>) -> H) {
    let source = Yielding { next: 0 };
    let (driver, receiver) = pair(source, n(7), Overflow::Backpressure);
    let driver = spawn(driver);
    let items: Vec<_> = receiver.collect().await;
    assert_eq!(items, Vec::from_iter(0..LAST));
    driver.await;
}

const LAST: u32 = 20_000;

/// Counts, and is not ready now and then.
#[derive(Debug)]
struct Yielding {
    next: u32,
}

impl Stream for Yielding {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        self.next += 1;
        let value = self.next / 2;
        if self.next % 2 == 1 {
            if value % 3 == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.next += 1;
        }
        let value = self.next / 2 - 1;
        Poll::Ready((value < LAST).then_some(value))
    }
}

#[test]
fn halves_under_every_executor() {
    support::with_every_spawner(|spawn| halves(move |driver| support::join(spawn, driver)));
}

#[test]
fn what_is_left_is_handed_back_across_threads() {
    for round in 0..200 {
        let (driver, mut receiver) = pair(stream::iter(0..1000), n(5), Overflow::Backpressure);
        let thread = std::thread::spawn(|| {
            let mut driver = driver;
            let left = futures::executor::block_on(&mut driver);
            (left, futures::executor::block_on(driver.into_inner().collect::<Vec<_>>()))
        });
        let some = futures::executor::block_on(receiver.by_ref().take(round).collect::<Vec<i32>>());
        drop(receiver);
        let (left, rest) = thread.join().unwrap();
        let all: Vec<_> = some.into_iter().chain(left).chain(rest).collect();
        assert_eq!(all, Vec::from_iter(0..1000));
    }
}

/// With whichever item the receiver goes, also with the last one that a poll of the driver takes.
#[test]
fn what_is_left_is_handed_back_by_the_last_step_of_a_poll() {
    for last in 0..300 {
        let slot = std::rc::Rc::new(std::cell::RefCell::new(None));
        let receiver = slot.clone();
        let source = stream::iter(0..1000).inspect(move |item| {
            if *item == last {
                drop(receiver.take());
            }
        });
        let (mut driver, receiver) = pair(source, n(1000), Overflow::Backpressure);
        slot.replace(Some(receiver));
        let left = futures::executor::block_on(&mut driver);
        assert_eq!(left, (0..=last).collect::<Vec<_>>());
    }
}
