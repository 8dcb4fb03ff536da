//! Timeouts. The stream part follows tokio-stream's suite, the service part tower's.

use std::io;
use std::time::Duration;

use futures::{FutureExt, SinkExt, StreamExt, TryStreamExt, stream as futures_stream};
use proptest::prelude::*;
use tower::{ServiceBuilder, ServiceExt};
use ziggurat_patterns::testing::{Fault, MockService, MockSink, Reply, Script, laws};
use ziggurat_patterns::time::{DefaultTimer, ErasedTimer, TestClock, Timer};
use ziggurat_patterns::timeout::{Elapsed, TimeoutError, TimeoutKind};
use ziggurat_patterns::{
    BoxError, Service, ServiceLayerExt, SinkLayerExt, StreamLayerExt, service, sink, stream,
};

mod support;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn elapsed<E>(kind: TimeoutKind, after: Duration) -> TimeoutError<E> {
    TimeoutError::Elapsed(Elapsed { kind, after: Some(after) })
}

#[test]
fn laws_of_the_stream() {
    laws::try_stream("idle", |source, clock| {
        source.layer(stream::TimeoutLayer::idle(HOUR).with_timer(clock.clone()))
    })
    .check();
    laws::try_stream("every kind", |source, clock| {
        let layer = stream::TimeoutLayer::initial(HOUR)
            .with_idle(HOUR)
            .with_completion(24 * HOUR)
            .with_deadline(clock.now() + 24 * HOUR)
            .with_backpressure(HOUR);
        source.layer(layer.with_timer(clock.clone()))
    })
    .check();
}

#[test]
fn laws_of_the_service() {
    laws::service("timeout", |inner, clock| {
        inner.layer(service::TimeoutLayer::new(HOUR).with_timer(clock.clone()))
    })
    .clones()
    .faults(|error| (*error).clone().into_inner())
    .check();
    laws::service("deadline", |inner, clock| {
        let until = clock.now() + HOUR;
        inner.layer(service::DeadlineLayer::new(move |_: &_| Some(until)).with_timer(clock.clone()))
    })
    .clones()
    .faults(|error| (*error).clone().into_inner())
    .check();
}

#[test]
fn laws_of_the_sink() {
    laws::sink("timeout", |inner, clock| {
        inner.layer(sink::TimeoutLayer::new(HOUR).with_timer(clock.clone()))
    })
    .faults(|error| (*error).clone().into_inner())
    .conserves(|_| Vec::new())
    .check();
}

#[test]
fn an_idle_timeout_is_an_error_and_the_stream_goes_on() {
    let clock = TestClock::new();
    let (source, _) = Script::<Result<_, Fault>>::new(&clock)
        .ok(1)
        .wait(25 * MS)
        .ok(2)
        .wait(5 * MS)
        .err(Fault(3))
        .wait(10 * MS)
        .ok(4)
        .build();
    let items: Vec<_> = clock.block_on(
        source.layer(stream::TimeoutLayer::idle(10 * MS).with_timer(clock.clone())).collect(),
    );
    let late = elapsed(TimeoutKind::Idle, 10 * MS);
    let expected = [
        Ok(1),
        Err(late.clone()),
        Err(late),
        Ok(2),
        Err(TimeoutError::Inner(Fault(3))),
        // In time: what comes at the very instant comes.
        Ok(4),
    ];
    assert_eq!(items, expected);
}

#[test]
fn the_time_of_the_consumer_does_not_count_as_idle() {
    let clock = TestClock::new();
    let (source, _) =
        Script::<Result<_, Fault>>::new(&clock).ok(1).ok(2).wait(5 * MS).ok(3).build();
    let mut items = source.layer(stream::TimeoutLayer::idle(10 * MS).with_timer(clock.clone()));
    clock.block_on(async {
        for expected in 1..=3 {
            assert_eq!(items.next().await, Some(Ok(expected)));
            clock.sleep(HOUR).await;
        }
        assert_eq!(items.next().await, None);
    });
}

#[test]
fn the_first_item_has_a_limit_of_its_own() {
    let clock = TestClock::new();
    let script = || Script::<Result<_, Fault>>::new(&clock).wait(20 * MS).ok(1).wait(20 * MS).ok(2);
    let layer = stream::TimeoutLayer::initial(30 * MS).with_timer(clock.clone());
    let items: Vec<_> =
        clock.block_on(script().build().0.layer(layer.with_idle(10 * MS)).collect());
    assert_eq!(items, [Ok(1), Err(elapsed(TimeoutKind::Idle, 10 * MS)), Ok(2)]);

    let layer = stream::TimeoutLayer::initial(10 * MS).with_timer(clock.clone());
    let items: Vec<_> = clock.block_on(script().build().0.layer(layer).collect());
    let late = || Err(elapsed(TimeoutKind::Initial, 10 * MS));
    assert_eq!(items[0], late());
    assert_eq!(items[items.len() - 2..], [Ok(1), Ok(2)], "and none for the others");
}

#[test]
fn the_whole_ends_with_its_limit() {
    let clock = TestClock::new();
    // It waits, so that the alarm goes off.
    let (source, probe) = Script::<Result<_, Fault>>::new(&clock).ok(1).stall().build();
    let layer = stream::TimeoutLayer::completion(10 * MS).with_timer(clock.clone());
    let mut whole = source.layer(layer);
    let items: Vec<_> = clock.block_on(whole.by_ref().collect());
    assert_eq!(items, [Ok(1), Err(elapsed(TimeoutKind::Completion, 10 * MS))]);
    assert!(!probe.ended() && !probe.dropped());
    assert_eq!(whole.into_inner().probe().items(), 1);

    // It never waits, so that the clock is looked at.
    let deadline = clock.now() + 10 * MS;
    let endless = futures_stream::repeat_with(|| {
        clock.advance(MS);
        Ok::<_, Fault>(())
    });
    let layer = stream::TimeoutLayer::deadline(deadline).with_timer(clock.clone());
    let items: Vec<_> = clock.block_on(endless.layer(layer).collect());
    assert_eq!(items.len(), 11);
    let error = items[10].clone().unwrap_err();
    assert_eq!(error.elapsed().unwrap().kind, TimeoutKind::Deadline);
}

#[test]
fn completion_counts_from_the_first_poll() {
    let clock = TestClock::new();
    let (source, _) = Script::<Result<_, Fault>>::new(&clock).wait(5 * MS).ok(1).build();
    let layer = stream::TimeoutLayer::completion(10 * MS).with_timer(clock.clone());
    let whole = source.layer(layer);
    clock.advance(HOUR);
    assert_eq!(clock.block_on(whole.try_collect::<Vec<_>>()), Ok(vec![1]));
}

#[test]
fn a_slow_consumer_is_told_once_and_loses_nothing() {
    let clock = TestClock::new();
    let (source, _) = Script::<Result<_, Fault>>::new(&clock).ok(1).ok(2).ok(3).build();
    let layer = stream::TimeoutLayer::backpressure(10 * MS).with_timer(clock.clone());
    let mut items = source.layer(layer);
    clock.block_on(async {
        assert_eq!(items.next().await, Some(Ok(1)));
        clock.sleep(10 * MS).await;
        assert_eq!(items.next().await, Some(Ok(2)), "just in time");
        clock.sleep(11 * MS).await;
        let late = elapsed(TimeoutKind::Backpressure, 10 * MS);
        assert_eq!(items.next().await, Some(Err(late)));
        assert_eq!(items.next().await, Some(Ok(3)));
    });
}

#[test]
fn a_call_is_answered_in_time_or_dropped() {
    let clock = TestClock::new();
    let inner = MockService::<u32, u32, Fault>::new(&clock, |&n: &u32| match n {
        0 => Reply::never(),
        9 => Reply::err(Fault(9)),
        n => Reply::ok(n).after(n * MS),
    });
    let probe = inner.probe();
    let mut service = ServiceBuilder::new()
        .layer(service::TimeoutLayer::new(5 * MS).with_timer(clock.clone()))
        .service(inner);
    let mut call = |n| clock.block_on(async { service.ready().await?.call(n).await });
    assert_eq!(call(5), Ok(5), "at the very instant");
    assert_eq!(call(6), Err(elapsed(TimeoutKind::Call, 5 * MS)));
    assert_eq!(call(0), Err(elapsed(TimeoutKind::Call, 5 * MS)));
    assert_eq!(call(9), Err(TimeoutError::Inner(Fault(9))));
    assert_eq!((probe.calls(), probe.cancelled(), probe.in_flight()), (4, 2, 0));
    assert_eq!((clock.elapsed(), clock.armed()), (15 * MS, 0));
}

#[test]
fn each_request_may_have_a_deadline() {
    let clock = TestClock::new();
    let inner = MockService::<_, u32, Fault>::new(&clock, |_| Reply::ok(1).after(5 * MS));
    let (start, timer) = (clock.now(), clock.clone());
    let layer =
        service::DeadlineLayer::new(move |after: &Option<Duration>| after.map(|d| start + d));
    let mut service = inner.layer(layer.with_timer(timer));
    let mut call = |until| clock.block_on(async { service.ready().await?.call(until).await });
    assert_eq!(call(Some(5 * MS)), Ok(1));
    assert!(call(Some(8 * MS)).unwrap_err().is_elapsed());
    assert!(call(Some(MS)).unwrap_err().is_elapsed(), "long past");
    assert_eq!(call(None), Ok(1));
    assert!(matches!(call(Some(HOUR)), Ok(1)));
}

#[test]
fn a_sink_has_room_flushes_and_closes_in_time() {
    let clock = TestClock::new();
    let (inner, probe) = MockSink::<u32>::new(&clock);
    let layer = sink::TimeoutLayer::ready(10 * MS).with_flush(20 * MS).with_close(30 * MS);
    let mut sink = inner.layer(layer.with_timer(clock.clone()));
    probe.delay(10 * MS);
    clock.block_on(sink.feed(1)).unwrap();
    probe.delay(11 * MS);
    assert_eq!(clock.block_on(sink.feed(2)), Err(elapsed(TimeoutKind::Ready, 10 * MS)));
    probe.delay(Duration::ZERO);
    clock.block_on(sink.feed(3)).unwrap();
    probe.flush_delay(21 * MS);
    let late = elapsed(TimeoutKind::Flush, 20 * MS);
    assert_eq!(clock.block_on(SinkExt::<u32>::flush(&mut sink)), Err(late));
    clock.block_on(SinkExt::<u32>::flush(&mut sink)).unwrap();
    assert_eq!(probe.items(), [1, 3]);
    probe.block();
    assert!(clock.block_on(sink.feed(4)).unwrap_err().is_elapsed());
    probe.unblock();
    probe.fail_next(Fault(5));
    assert_eq!(clock.block_on(sink.feed(4)), Err(TimeoutError::Inner(Fault(5))));
}

#[test]
fn errors_say_what_happened_and_keep_their_source() {
    let cases = [
        (TimeoutKind::Call, "the call was not answered within 1s"),
        (TimeoutKind::Ready, "it was not ready within 1s"),
        (TimeoutKind::Initial, "no first item came within 1s"),
        (TimeoutKind::Idle, "no item came within 1s"),
        (TimeoutKind::Completion, "the stream did not end within 1s"),
        (TimeoutKind::Deadline, "the deadline has passed"),
        (TimeoutKind::Backpressure, "the consumer did not ask for more within 1s"),
        (TimeoutKind::Flush, "the sink did not flush within 1s"),
        (TimeoutKind::Close, "the sink did not close within 1s"),
    ];
    for (kind, message) in cases {
        assert_eq!(elapsed::<Fault>(kind, 1000 * MS).to_string(), message);
    }
    let inner = io::Error::other(Fault(7));
    let error = TimeoutError::Inner(inner);
    assert!(!error.is_elapsed() && error.elapsed().is_none());
    assert_eq!(error.to_string(), Fault(7).to_string());
    let boxed: BoxError = Box::new(elapsed::<io::Error>(TimeoutKind::Idle, MS));
    assert!(boxed.source().is_none());
}

#[test]
fn it_works_in_real_time_under_every_executor_and_with_any_timer() {
    let stuck = || {
        futures_stream::iter([Ok::<_, Fault>(1)])
            .chain(futures_stream::pending())
            .layer(stream::TimeoutLayer::idle(5 * MS).with_timer(ErasedTimer::new(DefaultTimer)))
    };
    let body = move || async move {
        let mut items = std::pin::pin!(stuck());
        assert_eq!(items.next().await, Some(Ok(1)));
        assert!(items.next().await.unwrap().unwrap_err().is_elapsed());
    };
    support::on_every_executor(body);
}

#[test]
fn it_obeys_tokios_paused_clock() {
    use ziggurat_patterns::time::TokioTimer;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let stuck = futures_stream::pending::<Result<(), Fault>>();
        let mut items = stuck.layer(stream::TimeoutLayer::idle(HOUR).with_timer(TokioTimer));
        assert!(items.next().await.unwrap().unwrap_err().is_elapsed());
    });
}

#[test]
fn nothing_needs_the_timer_until_something_waits() {
    let clock = TestClock::new();
    let layer = stream::TimeoutLayer::idle(HOUR).with_timer(clock.clone());
    let mut ready = futures_stream::iter([Ok::<_, Fault>(1), Ok(2)]).layer(layer);
    assert_eq!(ready.next().now_or_never(), Some(Some(Ok(1))));
    assert_eq!(clock.armed(), 0);
}

proptest! {
    /// Against the rule itself: an item that takes longer than the limit is preceded by as many errors as
    /// the limit fits into its wait (at its end it wins).
    #[test]
    fn errors_come_exactly_as_often_as_the_limit_passes(
        waits in prop::collection::vec(0_u32..50, 0..20),
        limit in 1_u32..20,
    ) {
        let clock = TestClock::new();
        let script = waits.iter().fold(Script::<Result<u32, Fault>>::new(&clock), |script, &wait| {
            script.wait(wait * MS).ok(wait)
        });
        let layer = stream::TimeoutLayer::idle(limit * MS).with_timer(clock.clone());
        let items: Vec<_> = clock.block_on(script.build().0.layer(layer).collect());
        let late = || Err(elapsed(TimeoutKind::Idle, limit * MS));
        let mut expected = Vec::new();
        for wait in waits {
            let errors = wait.saturating_sub(1) / limit;
            expected.extend((0..errors).map(|_| late()));
            expected.push(Ok(wait));
        }
        prop_assert_eq!(items, expected);
    }
}
