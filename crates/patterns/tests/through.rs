//! Streams through services: order, bounds, who drives the calls, and what comes back.

mod support;

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::stream::FusedStream;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, future, stream};
use proptest::prelude::*;
use tower::{Service, ServiceExt};
use ziggurat_patterns::testing::laws::{self, Token, Tokens};
use ziggurat_patterns::testing::{Fault, Ledger, MockService, Reply, Script, ready};
use ziggurat_patterns::through::{Call, Calls, Order, ThroughError, ZeroConcurrency};
use ziggurat_patterns::time::{TestClock, Timer};
use ziggurat_patterns::{StreamLayerExt, stream as layers};

const SECOND: Duration = Duration::from_secs(1);

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    SECOND * u32::try_from(seconds).unwrap()
}

fn poll<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    stream.poll_next_unpin(&mut Context::from_waker(Waker::noop()))
}

/// Answers with the request, after as many seconds as it says.
fn sleepy(clock: &TestClock) -> MockService<u64, u64, Fault> {
    MockService::new(clock, |n: &u64| Reply::ok(*n).after(seconds(*n)))
}

// Laws.

/// What was begun and can be had at once.
fn held<St, O>(calls: Calls<St, MockService<Token, Token, Fault>, O>) -> Vec<Token>
where
    St: Stream<Item = Token>,
    O: Order,
{
    let calls = calls.into_parts().calls.into_iter();
    calls.filter_map(|call| call.now_or_never()).map(Result::unwrap).collect()
}

#[test]
fn ordered_is_lawful() {
    for concurrency in [1, 2, 7, 200] {
        laws::stream("ordered", |source, clock| {
            source.through(MockService::echo(clock)).concurrency(n(concurrency)).ordered()
        })
        .conserves(held)
        .check();
        laws::stream("ordered, slow", |source, clock| {
            let service = MockService::new(clock, |token: &Token| {
                Reply::<_, Fault>::ok(token.clone()).after(seconds(token.id() % 3))
            });
            source.through(service.not_ready(1)).concurrency(n(concurrency)).ordered()
        })
        .check();
    }
}

#[test]
fn unordered_is_lawful() {
    for concurrency in [1, 2, 7, 200] {
        laws::stream("unordered", |source, clock| {
            source.through(MockService::echo(clock)).concurrency(n(concurrency)).unordered()
        })
        .unordered()
        .conserves(held)
        .check();
        laws::stream("unordered, slow", |source, clock| {
            let service = MockService::new(clock, |token: &Token| {
                Reply::<_, Fault>::ok(token.clone()).after(seconds(2 - token.id() % 3))
            });
            source.through(service.not_ready(1)).concurrency(n(concurrency)).unordered()
        })
        .unordered()
        .check();
    }
}

#[test]
fn through_layer_is_lawful() {
    laws::stream("through layer", |source, clock| {
        source.layer(layers::ThroughLayer::ordered(MockService::echo(clock)).concurrency(n(3)))
    })
    .conserves(held)
    .check();
}

#[test]
fn try_through_is_lawful() {
    laws::try_stream("try_through", |source, clock| {
        source.try_through(MockService::echo(clock)).concurrency(n(3)).release_idle().ordered()
    })
    .check();
}

proptest! {
    #[test]
    fn every_request_is_answered_once_and_in_order(
        latencies in prop::collection::vec(0_u64..4, 0..60),
        pauses in prop::collection::vec(0_u64..3, 60),
        concurrency in 1_usize..9,
        not_ready in 0_usize..3,
    ) {
        for ordered in [true, false] {
            let clock = TestClock::new();
            let mut script = Script::new(&clock);
            for (index, latency) in latencies.iter().enumerate() {
                if pauses[index] > 0 {
                    script = script.wait(seconds(pauses[index]));
                }
                script = script.item((index, *latency));
            }
            let (source, _) = script.build();
            let service = MockService::new(&clock, |&(index, latency): &(usize, u64)| {
                Reply::<_, Fault>::ok(index).after(seconds(latency))
            });
            let service = service.not_ready(not_ready);
            let probe = service.probe();
            let through = source.through(service).concurrency(n(concurrency));
            let mut answers: Vec<usize> = if ordered {
                clock.block_on(through.ordered().try_collect()).unwrap()
            } else {
                clock.block_on(through.unordered().try_collect()).unwrap()
            };
            if !ordered {
                answers.sort_unstable();
            }
            prop_assert_eq!(answers, (0..latencies.len()).collect::<Vec<_>>());
            prop_assert!(probe.max_in_flight() <= concurrency);
            prop_assert_eq!(probe.cancelled(), 0);
        }
    }
}

// Order and bounds.

#[test]
fn ordered_waits_for_the_oldest_and_unordered_for_the_first() {
    let clock = TestClock::new();
    let requests = [3, 1, 2];
    let ordered = stream::iter(requests).through(sleepy(&clock)).concurrency(n(3)).ordered();
    assert_eq!(clock.block_on(ordered.try_collect::<Vec<_>>()), Ok(vec![3, 1, 2]));
    assert_eq!(clock.elapsed(), seconds(3));
    let unordered = stream::iter(requests).through(sleepy(&clock)).concurrency(n(3)).unordered();
    assert_eq!(clock.block_on(unordered.try_collect::<Vec<_>>()), Ok(vec![1, 2, 3]));
    assert_eq!(clock.elapsed(), seconds(6));
}

#[test]
fn what_is_finished_counts_until_it_is_taken() {
    // The first call never ends: those behind it finish, and then nothing more is taken.
    let clock = TestClock::new();
    let service = MockService::new(&clock, |n: &u64| match n {
        0 => Reply::<_, Fault>::never(),
        n => Reply::ok(*n),
    });
    let (source, probe) = ready(0_u64..);
    let mut calls = source.through(service).concurrency(n(4)).ordered();
    for _ in 0..10 {
        assert!(poll(&mut calls).is_pending());
    }
    assert_eq!(probe.items(), 4);
    assert_eq!((calls.in_flight(), calls.finished()), (1, 3));
    assert_eq!(calls.size_hint().0, 4);
}

#[test]
fn no_item_is_taken_before_the_service_is_ready() {
    let clock = TestClock::new();
    let (source, probe) = ready(0_u64..3);
    let mut calls = source.through(MockService::echo(&clock).not_ready(2)).unordered();
    assert!(poll(&mut calls).is_pending());
    assert!(poll(&mut calls).is_pending());
    assert_eq!(probe.polls(), 0);
    assert_eq!(poll(&mut calls), Poll::Ready(Some(Ok(0))));
}

#[test]
fn a_poll_polls_every_call_that_was_woken() {
    let clock = TestClock::new();
    let service = sleepy(&clock);
    let probe = service.probe();
    let mut calls = stream::iter([5, 1, 1, 1]).through(service).concurrency(n(4)).ordered();
    assert!(poll(&mut calls).is_pending());
    clock.advance(SECOND);
    assert!(poll(&mut calls).is_pending());
    // The first one is not there, but the others were driven.
    assert_eq!(probe.completed(), 3);
}

#[test]
fn more_than_a_budget_of_calls() {
    // More are started, and woken at once, than one poll may poll.
    let clock = TestClock::new();
    let service = MockService::new(&clock, |n: &u64| Reply::<_, Fault>::ok(*n).after(SECOND));
    let calls = stream::iter(0..1000).through(service).concurrency(n(1000)).ordered();
    let answers: Vec<u64> = clock.block_on(calls.try_collect()).unwrap();
    assert_eq!(answers, (0..1000).collect::<Vec<_>>());
    assert_eq!(clock.elapsed(), SECOND);
}

#[test]
fn zero_is_an_error() {
    let echo = MockService::<u64, u64, Fault>::echo(&TestClock::new());
    let result = stream::iter([1]).through(echo).try_concurrency(0);
    assert_eq!(result.unwrap_err(), ZeroConcurrency);
}

// Errors.

#[test]
fn an_error_of_a_call_is_an_item() {
    let clock = TestClock::new();
    let replies = [Reply::ok(1), Reply::err(Fault(2)), Reply::ok(3)];
    let service = MockService::<u64, _, _>::replies(&clock, replies);
    let calls = stream::iter([1, 2, 3]).through(service).concurrency(n(2)).ordered();
    let answers: Vec<_> = clock.block_on(calls.collect());
    assert_eq!(answers, [Ok(1), Err(Fault(2)), Ok(3)]);
}

/// Is ready so many times, and then fails.
struct Dying(usize, MockService<u64, u64, Fault>);

impl Service<u64> for Dying {
    type Response = u64;
    type Error = Fault;
    type Future = <MockService<u64, u64, Fault> as Service<u64>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.0 == 0 { Poll::Ready(Err(Fault(9))) } else { self.1.poll_ready(cx) }
    }

    fn call(&mut self, request: u64) -> Self::Future {
        self.0 -= 1;
        self.1.call(request)
    }
}

#[test]
fn a_dead_service_ends_the_stream_after_what_is_in_flight() {
    let clock = TestClock::new();
    let dying = || Dying(2, sleepy(&clock));
    let mut calls = stream::iter([2, 1, 7, 8]).through(dying()).concurrency(n(3)).ordered();
    let answers: Vec<_> = clock.block_on(calls.by_ref().collect());
    assert_eq!(answers, [Ok(2), Ok(1), Err(Fault(9))]);
    assert!(calls.is_terminated());
    // What the service could not take is still there.
    let rest: Vec<_> = clock.block_on(calls.into_parts().source.collect());
    assert_eq!(rest, [7, 8]);

    let calls = stream::iter([2, 1, 7, 8]).through(dying()).concurrency(n(3)).unordered();
    let answers: Vec<_> = clock.block_on(calls.collect());
    assert_eq!(answers, [Err(Fault(9)), Ok(1), Ok(2)]);
}

#[test]
fn source_errors_keep_their_place() {
    let clock = TestClock::new();
    let source = stream::iter([Ok(2), Err("broken"), Ok(1)]);
    let calls = source.try_through(sleepy(&clock)).concurrency(n(3)).ordered();
    let answers: Vec<_> = clock.block_on(calls.collect());
    assert_eq!(answers, [Ok(2), Err(ThroughError::Source("broken")), Ok(1)]);
    assert!(answers[1].as_ref().unwrap_err().is_source());
}

// Who drives the calls.

/// What has completed when the consumer's work on the first response is over.
fn completed_after_work(drive: bool) -> usize {
    let clock = TestClock::new();
    let service = MockService::new(&clock, |n: &u64| Reply::<_, Fault>::ok(*n).after(SECOND));
    let probe = service.probe();
    let mut calls = pin!(stream::iter(0..100).through(service).concurrency(n(8)).ordered());
    clock.block_on(async {
        assert_eq!(calls.next().await, Some(Ok(0)));
        let work = clock.sleep(seconds(60));
        if drive { calls.as_mut().drive_with(work).await } else { work.await }
    });
    probe.completed()
}

#[test]
fn calls_go_on_while_the_consumer_works() {
    // The eight that came with the first one, and the one that was begun in its place.
    assert_eq!(completed_after_work(true), 9);
    // A consumer that only polls leaves that one alone.
    assert_eq!(completed_after_work(false), 8);
}

/// Calls of 10 s each, one at a time, and 10 s of work on each response. A call takes its time in two
/// parts: the second one begins only if somebody polls the call after the first one.
async fn ten_times_ten(clock: TestClock, drive: bool) -> Vec<(u64, u64)> {
    let service = tower::service_fn(|n: u64| {
        let clock = clock.clone();
        async move {
            clock.sleep(seconds(5)).await;
            clock.sleep(seconds(5)).await;
            Ok::<_, Infallible>(n)
        }
    });
    let mut log = Vec::new();
    let work = |answer: Result<u64, Infallible>| {
        log.push((answer.unwrap(), clock.elapsed().as_secs()));
        clock.sleep(seconds(10))
    };
    let calls = stream::iter(0..10).through(service).ordered();
    if drive {
        calls.for_each(work).await
    } else {
        StreamExt::for_each(calls, work).await
    }
    log
}

/// One call beside the work on the one before: that is the stall gone.
fn overlapped() -> Vec<(u64, u64)> {
    (0..10).map(|n| (n, (n + 1) * 10)).collect()
}

#[test]
fn for_each_overlaps_calls_and_work() {
    let clock = TestClock::new();
    assert_eq!(clock.block_on(ten_times_ten(clock.clone(), true)), overlapped());
    assert_eq!(clock.elapsed(), seconds(110));
    // Where nobody drives the calls, their second halves wait for the work to be over.
    let clock = TestClock::new();
    clock.block_on(ten_times_ten(clock.clone(), false));
    assert_eq!(clock.elapsed(), seconds(10 + 9 * 15 + 10));
}

#[test]
fn for_each_does_so_under_every_executor() {
    let run = || {
        let clock = TestClock::new();
        async move { clock.auto(ten_times_ten(clock.clone(), true)).await }
    };
    for items in support::on_every_executor(run) {
        assert_eq!(items, overlapped());
    }
}

#[test]
fn the_calls_of_a_stream_that_drives_are_bounded() {
    let clock = TestClock::new();
    let (source, probe) = ready(0_u64..);
    let mut calls = pin!(source.through(MockService::echo(&clock)).concurrency(n(5)).unordered());
    clock.block_on(calls.as_mut().drive_with(clock.sleep(SECOND)));
    assert_eq!((probe.items(), calls.finished()), (5, 5));
    assert_eq!(clock.block_on(calls.next()), Some(Ok(0)));
}

// Taking it apart.

#[test]
fn into_parts_gives_everything_back_in_order() {
    let clock = TestClock::new();
    let (source, _) = ready(vec![3_u64, 1, 2, 0, 9, 9]);
    let mut calls = source.through(sleepy(&clock)).concurrency(n(4)).ordered();
    assert!(poll(&mut calls).is_pending());
    clock.advance(SECOND);
    assert!(poll(&mut calls).is_pending());
    let parts = calls.into_parts();
    let finished: Vec<_> = parts.calls.iter().map(Call::is_finished).collect();
    assert_eq!(finished, [false, true, false, true]);
    let answers = clock.block_on(future::join_all(parts.calls));
    assert_eq!(answers, [Ok(3), Ok(1), Ok(2), Ok(0)]);
    assert_eq!(clock.block_on(parts.source.collect::<Vec<_>>()), [9, 9]);
}

#[test]
fn into_parts_of_unordered_has_the_finished_first() {
    let clock = TestClock::new();
    let mut calls = stream::iter([3, 1, 2]).through(sleepy(&clock)).concurrency(n(3)).unordered();
    clock.block_on(Pin::new(&mut calls).drive_with(clock.sleep(SECOND * 2)));
    let parts = calls.into_parts();
    let finished = parts.calls.iter().filter(|call| call.is_finished()).count();
    assert!(parts.calls[0].is_finished() && finished < 3);
    let mut answers = clock.block_on(future::join_all(parts.calls));
    answers.sort_unstable();
    assert_eq!(answers, [Ok(1), Ok(2), Ok(3)]);
}

#[test]
fn a_drop_cancels_what_is_in_flight() {
    let (clock, ledger) = (TestClock::new(), Ledger::new());
    let service = MockService::new(&clock, |_: &Token| Reply::<Token, Fault>::never());
    let probe = service.probe();
    let tokens: Vec<_> = (0..9).map(|id| ledger.token(id)).collect();
    let mut calls = stream::iter(tokens).through(service).concurrency(n(4)).unordered();
    assert!(poll(&mut calls).is_pending());
    assert_eq!(probe.in_flight(), 4);
    drop(calls);
    assert_eq!(probe.cancelled(), 4);
    assert_eq!(probe.take_requests().ids(), [0, 1, 2, 3]);
    assert_eq!(ledger.alive(), 0);
}

// A permit is given back while there is nothing to call with.

#[test]
fn an_idle_stream_holds_no_readiness_if_told_so() {
    let clock = TestClock::new();
    let service = MockService::<u64, u64, Fault>::echo(&clock).capacity(1);
    let probe = service.probe();
    let holds = service.clone();
    let mut calls = stream::pending().through(holds).ordered();
    assert!(poll(&mut calls).is_pending());
    assert_eq!(probe.reserved(), 1);
    drop(calls);
    let mut calls = stream::pending().through(service.clone()).release_idle().ordered();
    assert!(poll(&mut calls).is_pending());
    assert_eq!(probe.reserved(), 0);
    assert_eq!(clock.block_on(service.oneshot(1)), Ok(1));
}
