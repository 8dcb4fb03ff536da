//! The layers of rate limits: their laws, and tower's own cases.

use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{SinkExt, StreamExt, stream};
use tower::ServiceExt;
use ziggurat_patterns::rate_limit::{Mode, Quota, RateLimitError, RateLimiter};
use ziggurat_patterns::testing::laws::{self, Fault, Token};
use ziggurat_patterns::testing::{MockService, MockSink, Reply, WakeProbe};
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::{Layer, Service, StreamLayerExt, service, sink, stream as layers};

const MS: Duration = Duration::from_millis(1);

fn nz(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn limiter(clock: &TestClock, per_second: u32) -> RateLimiter<TestClock> {
    RateLimiter::new(Quota::per_second(nz(per_second))).with_timer(clock.clone())
}

fn poll<F: Future + Unpin>(future: &mut F, wakes: &WakeProbe) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&wakes.waker()))
}

// The laws of layers.

/// More than the scripts have at once, so that some wait and some don't.
fn quota() -> Quota {
    Quota::per_second(nz(100)).with_burst(nz(5))
}

#[test]
fn streams_keep_the_laws() {
    let layer = |clock: &TestClock| layers::RateLimitLayer::new(quota()).with_timer(clock.clone());
    laws::stream("rate limit", |source, clock| layer(clock).layer(source))
        .conserves(|stream| stream.into_parts().1.into_iter().collect())
        .check();
    let cost = |token: &Token| (token.id() % 4) as u32;
    laws::try_stream("weighted", |source, clock| layer(clock).weighted(cost).layer(source))
        .conserves(|stream| stream.into_parts().1.into_iter().collect())
        .check_with(ids);
    laws::try_stream("enforcing", |source, clock| layer(clock).enforcing().layer(source))
        .conserves(|stream| stream.into_parts().1.into_iter().collect())
        .check_with(ids);
}

/// Rejected items count: they are handed out too.
fn ids(item: &Result<Token, RateLimitError<Fault, Token>>) -> Vec<u64> {
    match item {
        Ok(token) => vec![token.id()],
        Err(RateLimitError::Rejected { item, .. }) => vec![item.id()],
        Err(_) => vec![],
    }
}

#[test]
fn services_keep_the_laws() {
    let layer = |clock: &TestClock| {
        let quota = Quota::per_second(nz(100)).with_burst(nz(1));
        service::RateLimitLayer::new(quota).with_timer(clock.clone())
    };
    laws::service("rate limit", |inner, clock| layer(clock).layer(inner))
        .faults(|fault| Some(*fault))
        .clones()
        .check();
    let inner = |error: &RateLimitError<Fault>| match error {
        RateLimitError::Inner(fault) => Some(*fault),
        _ => None,
    };
    let cost = |token: &Token| (token.id() % 2) as u32;
    laws::service("weighted", |inner, clock| layer(clock).weighted(cost).layer(inner))
        .faults(inner)
        .clones()
        .check();
    laws::service("by key", |inner, clock| layer(clock).by_key(Token::id).layer(inner))
        .faults(inner)
        .clones()
        .check();
    laws::service("enforcing", |inner, clock| {
        service::RateLimitLayer::new(quota()).with_timer(clock.clone()).enforcing().layer(inner)
    })
    .faults(inner)
    .clones()
    .check();
}

#[test]
fn sinks_keep_the_laws() {
    let layer = |clock: &TestClock| sink::RateLimitLayer::new(quota()).with_timer(clock.clone());
    laws::sink("rate limit", |sink, clock| layer(clock).layer(sink))
        .faults(|fault| Some(*fault))
        .check();
    let cost = |token: &Token| (token.id() % 4) as u32;
    laws::sink("weighted", |sink, clock| layer(clock).weighted(cost).layer(sink))
        .faults(|error| match error {
            RateLimitError::Inner(fault) => Some(*fault),
            _ => None,
        })
        .conserves(|sink| sink.into_parts().1.into_iter().collect())
        .check();
}

// What tower's limit does wrong.

#[test]
fn clones_share_the_quota() {
    let clock = TestClock::new();
    let layer = service::RateLimitLayer::new(Quota::per_second(nz(3))).with_timer(clock.clone());
    let echo = MockService::<u32, u32, Fault>::echo(&clock);
    let services: Vec<_> = (0..4).map(|_| layer.clone().layer(echo.clone())).collect();
    let mut calls = 0;
    for service in services.iter().chain(&services).cloned() {
        let wakes = WakeProbe::new();
        if poll(&mut Box::pin(service.oneshot(1)), &wakes).is_ready() {
            calls += 1;
        }
    }
    assert_eq!(calls, 3);
}

#[test]
fn there_is_no_double_burst_at_the_edge_of_a_window() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 10);
    clock.advance(MS * 999);
    let taken = |n: u32| (0..n).filter(|_| limiter.try_acquire(1).is_ok()).count();
    assert_eq!(taken(20), 10);
    clock.advance(MS * 2);
    assert_eq!(taken(20), 0);
}

// tower's cases.

#[test]
fn reaching_capacity() {
    let clock = TestClock::new();
    let quota = Quota::new(1, MS * 100).unwrap();
    let layer = service::RateLimitLayer::new(quota).with_timer(clock.clone());
    let mut service = layer.layer(MockService::<_, _, Fault>::echo(&clock));
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let mut cx = Context::from_waker(&waker);
    assert!(service.poll_ready(&mut cx).is_ready());
    assert_eq!(clock.block_on(service.call("hello")), Ok("hello"));
    assert!(service.poll_ready(&mut cx).is_pending());
    clock.advance(MS * 101);
    assert!(wakes.take());
    assert!(service.poll_ready(&mut cx).is_ready());
    assert_eq!(clock.block_on(service.call("two")), Ok("two"));
}

#[test]
fn remaining_gets_reset() {
    let clock = TestClock::new();
    let quota = Quota::new(3, MS * 100).unwrap();
    let layer = service::RateLimitLayer::new(quota).with_timer(clock.clone());
    let mut service = layer.layer(MockService::<_, _, Fault>::echo(&clock));
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    assert_eq!(clock.block_on(service.call(1)), Ok(1));
    clock.advance(MS * 100);
    for n in 0..3 {
        assert!(service.poll_ready(&mut cx).is_ready());
        assert_eq!(clock.block_on(service.call(n)), Ok(n));
    }
}

#[test]
#[should_panic = "`poll_ready` must be called first"]
fn a_call_without_readiness_panics() {
    let clock = TestClock::new();
    let layer = service::RateLimitLayer::new(quota()).with_timer(clock.clone());
    drop(layer.layer(MockService::<_, _, Fault>::echo(&clock)).call(1));
}

// Layers.

#[test]
fn streams_that_share_a_layer_share_its_quota() {
    let clock = TestClock::new();
    let layer = layers::RateLimitLayer::new(Quota::per_second(nz(1))).with_timer(clock.clone());
    let a = stream::iter(0..5).layer(layer.clone());
    let b = stream::iter(5..10).layer(layer);
    assert_eq!(clock.block_on(stream::select(a, b).count()), 10);
    assert_eq!(clock.elapsed(), Duration::from_secs(9));
}

#[test]
fn an_item_that_is_too_heavy_is_handed_out_in_an_error() {
    let clock = TestClock::new();
    let layer = layers::RateLimitLayer::new(Quota::per_second(nz(4)))
        .with_timer(clock.clone())
        .weighted(|n: &u32| *n);
    let source = stream::iter([4, 9, 4].map(Ok::<_, Fault>)).layer(layer);
    let items: Vec<_> = clock.block_on(source.collect());
    assert!(matches!(items[..], [Ok(4), Err(_), Ok(4)]));
    let rejected = items.into_iter().find_map(Result::err).unwrap();
    assert_eq!((rejected.wait(), rejected.into_item()), (None, Some(9)));
    assert_eq!(clock.elapsed(), Duration::from_secs(1));
}

#[test]
fn an_enforcing_stream_loses_nothing() {
    let clock = TestClock::new();
    let layer = layers::RateLimitLayer::new(Quota::per_second(nz(2))).with_timer(clock.clone());
    let source = stream::iter((0..5).map(Ok::<_, Fault>)).layer(layer.enforcing());
    let items: Vec<_> = clock.block_on(source.collect());
    let (admitted, rejected): (Vec<_>, Vec<_>) = items.into_iter().partition(Result::is_ok);
    assert_eq!(admitted.len(), 2);
    let waits: Vec<_> = rejected.iter().map(|r| r.as_ref().unwrap_err().wait()).collect();
    assert_eq!(waits, [Some(MS * 500); 3]);
    let items: Vec<_> = rejected.into_iter().filter_map(|r| r.unwrap_err().into_item()).collect();
    assert_eq!(items, [2, 3, 4]);
}

#[test]
fn a_weighted_call_waits_in_its_future() {
    let clock = TestClock::new();
    let layer = service::RateLimitLayer::new(Quota::per_second(nz(4)))
        .with_timer(clock.clone())
        .weighted(|n: &u32| *n);
    let inner = MockService::new(&clock, |n: &u32| Reply::<_, Fault>::ok(*n));
    let (service, probe) = (layer.layer(inner.clone()), inner.probe());
    assert_eq!(clock.block_on(service.clone().oneshot(4)), Ok(4));
    let wakes = WakeProbe::new();
    let mut waits = Box::pin(service.clone().oneshot(4));
    assert!(poll(&mut waits, &wakes).is_pending());
    assert_eq!(probe.calls(), 1); // the second has not got there
    drop(waits);
    assert_eq!(clock.block_on(service.clone().oneshot(4)), Ok(4));
    assert_eq!(clock.elapsed(), Duration::from_secs(1));
    assert!(clock.block_on(service.oneshot(5)).unwrap_err().is_rejected());
    assert_eq!(probe.calls(), 2);
}

#[test]
fn an_enforcing_service_says_when_to_come_again() {
    let clock = TestClock::new();
    let layer = service::RateLimitLayer::new(Quota::per_second(nz(1))).with_timer(clock.clone());
    let inner = MockService::<u32, u32, Fault>::echo(&clock);
    let (service, probe) = (layer.enforcing().layer(inner.clone()), inner.probe());
    assert_eq!(clock.block_on(service.clone().oneshot(1)), Ok(1));
    let error = clock.block_on(service.clone().oneshot(2)).unwrap_err();
    assert_eq!(error.wait(), Some(Duration::from_secs(1)));
    assert_eq!((probe.calls(), probe.reserved()), (1, 0));
    clock.advance(error.wait().unwrap());
    assert_eq!(clock.block_on(service.oneshot(3)), Ok(3));
}

#[test]
fn an_enforcing_sink_hands_back() {
    let clock = TestClock::new();
    let (inner, probe) = MockSink::<u32>::new(&clock);
    let layer = sink::RateLimitLayer::new(Quota::per_second(nz(1))).with_timer(clock.clone());
    let mut sink = pin!(layer.enforcing().with_mode(Mode::Enforcing).layer(inner));
    clock.block_on(sink.send(1)).unwrap();
    assert_eq!(clock.block_on(sink.send(2)).unwrap_err().into_item(), Some(2));
    clock.advance(Duration::from_secs(1));
    clock.block_on(sink.send(3)).unwrap();
    assert_eq!(probe.items(), [1, 3]);
}

#[test]
fn a_sink_that_is_closed_gives_its_cell_back() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 1);
    let (inner, _probe) = MockSink::<u32>::new(&clock);
    let mut sink = pin!(sink::RateLimitLayer::shared(limiter.clone()).layer(inner));
    use futures::Sink;
    clock.block_on(poll_fn(|cx| Sink::<u32>::poll_ready(sink.as_mut(), cx))).unwrap();
    assert!(limiter.try_acquire(1).is_err());
    clock.block_on(SinkExt::<u32>::close(&mut sink)).unwrap();
    assert!(limiter.try_acquire(1).is_ok());
}

#[test]
fn what_crosses_threads_can() {
    fn crosses<T: Send + Sync>(_: &T) {}
    let clock = TestClock::new();
    let limiter = limiter(&clock, 1);
    let layer = layers::RateLimitLayer::shared(limiter.clone());
    crosses(&limiter.acquire(1));
    crosses(&layer.layer(stream::iter([1])));
    crosses(&layer.weighted(|_: &i32| 1).layer(stream::iter([Ok::<_, Fault>(1)])));
    let layer = service::RateLimitLayer::shared(limiter);
    let echo = MockService::<u32, u32, Fault>::echo(&clock);
    crosses(&layer.layer(echo.clone()));
    crosses(&layer.enforcing().layer(echo));
}

#[test]
fn a_sink_that_closes_leaves_the_queue() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 1);
    let (inner, _) = MockSink::<u32>::new(&clock);
    let mut sink = pin!(sink::RateLimitLayer::shared(limiter.clone()).layer(inner));
    clock.block_on(sink.send(1)).unwrap();
    let wakes = WakeProbe::new();
    assert!(poll(&mut sink.feed(2), &wakes).is_pending());
    assert_eq!(limiter.waiting(), 1);
    clock.block_on(sink.close()).unwrap();
    assert_eq!(limiter.waiting(), 0, "it holds up those behind it for as long as it is kept");
    clock.advance(Duration::from_secs(1));
    assert!(limiter.try_acquire(1).is_ok());
}

#[test]
fn a_service_that_failed_to_become_ready_holds_no_cell() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 1);
    let inner = MockService::<u32, u32, _>::echo(&clock).ready_error(Fault(1));
    let mut service = service::RateLimitLayer::shared(limiter.clone()).layer(inner);
    let waker = WakeProbe::new().waker();
    assert!(service.poll_ready(&mut Context::from_waker(&waker)).is_ready());
    assert!(limiter.try_acquire(1).is_ok());
}

#[test]
#[should_panic(expected = "`poll_ready` must be called first")]
fn a_sink_sends_nothing_past_the_quota() {
    let clock = TestClock::new();
    let (inner, _) = MockSink::<u32>::new(&clock);
    let mut sink = pin!(sink::RateLimitLayer::shared(limiter(&clock, 1)).layer(inner));
    clock.block_on(sink.feed(1)).unwrap();
    let _ = sink.start_send_unpin(2);
}

#[test]
#[should_panic(expected = "`poll_ready` must be called first")]
fn a_weighted_sink_does_not_replace_the_item_that_it_holds() {
    let clock = TestClock::new();
    let (inner, _) = MockSink::<u32>::new(&clock);
    let layer = sink::RateLimitLayer::shared(limiter(&clock, 1)).weighted(|_: &u32| 1);
    let mut sink = pin!(layer.layer(inner));
    clock.block_on(sink.feed(1)).unwrap();
    let _ = sink.start_send_unpin(2); // held
    let _ = sink.start_send_unpin(3);
}

#[test]
fn an_enforcing_sink_keeps_the_laws() {
    for quota in [Quota::per_second(nz(1_000_000_000)), Quota::per_second(nz(1))] {
        laws::sink("enforcing", |sink, clock| {
            let layer = sink::RateLimitLayer::new(quota).with_timer(clock.clone());
            layer.enforcing().layer(sink)
        })
        .faults(|error| match error {
            RateLimitError::Inner(fault) => Some(*fault),
            _ => None,
        })
        .conserves(|sink| sink.into_parts().1.into_iter().collect())
        .refuses()
        .check();
    }
}
