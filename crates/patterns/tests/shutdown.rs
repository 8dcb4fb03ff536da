//! Graceful shutdown: the laws of layers, and what begins, goes on, drains and aborts.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Sink, SinkExt, Stream, StreamExt, TryStreamExt, stream};
use proptest::prelude::*;
use tower::ServiceExt;
use ziggurat_patterns::shutdown::{DrainError, Shutdown, ShutdownError};
use ziggurat_patterns::testing::laws::{self, Fault, Token};
use ziggurat_patterns::testing::{self, MockService, MockSink, Reply, Script, WakeProbe};
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::{Layer, Service, StreamLayerExt, service, sink, stream as layers};

mod support;

const SECOND: Duration = Duration::from_secs(1);

fn poll<F: Future + Unpin>(future: &mut F, wakes: &WakeProbe) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&wakes.waker()))
}

fn shutdown(clock: &TestClock) -> Shutdown<TestClock> {
    Shutdown::new().with_timer(clock.clone())
}

fn fault<E: Copy>(error: &ShutdownError<E>) -> Option<E> {
    match error {
        ShutdownError::Inner(error) => Some(*error),
        _ => None,
    }
}

#[test]
fn the_layers_keep_the_laws() {
    let signal = || Shutdown::new().signal();
    laws::stream("shutdown", |source, _| layers::ShutdownLayer::new(signal()).layer(source))
        .conserves(|stream| {
            drop(stream.into_inner());
            Vec::new()
        })
        .check();
    laws::try_stream("abort", |source, _| layers::AbortLayer::new(signal()).layer(source))
        .check_with(|item: &Result<Token, _>| item.iter().map(Token::id).collect());
    laws::service("shutdown", |inner, _| service::ShutdownLayer::new(signal()).layer(inner))
        .faults(fault)
        .clones()
        .check();
    laws::sink("shutdown", |sink, _| sink::ShutdownLayer::new(signal()).layer(sink))
        .faults(fault)
        .check();
}

// Services.

#[test]
fn calls_in_flight_finish_and_new_ones_are_refused() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let inner = MockService::new(&clock, |n: &u32| Reply::<_, Fault>::ok(*n).after(SECOND));
    let (layer, probe) = (service::ShutdownLayer::new(shutdown.signal()), inner.probe());
    let service = layer.layer(inner);
    let wakes = WakeProbe::new();
    let mut call = Box::pin(service.clone().oneshot(1));
    assert!(poll(&mut call, &wakes).is_pending());
    assert_eq!(shutdown.in_flight(), 1);
    let mut drain = Box::pin(shutdown.drain(SECOND * 2));
    assert!(poll(&mut drain, &wakes).is_pending());
    assert!(clock.block_on(service.clone().oneshot(2)).unwrap_err().is_refused());
    assert_eq!(clock.block_on(call), Ok(1));
    assert!(poll(&mut drain, &wakes).is_ready());
    assert_eq!((probe.calls(), clock.elapsed()), (1, SECOND));
}

#[test]
fn a_drain_gives_up_and_an_abort_ends_the_rest() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let inner = MockService::new(&clock, |_: &u32| Reply::<u32, Fault>::never());
    let (layer, probe) = (service::ShutdownLayer::new(shutdown.signal()), inner.probe());
    let service = layer.layer(inner);
    let (a, b) = (WakeProbe::new(), WakeProbe::new());
    let mut first = Box::pin(service.clone().oneshot(1));
    let mut second = Box::pin(service.oneshot(2));
    assert!(poll(&mut first, &a).is_pending() && poll(&mut second, &b).is_pending());
    let drained = clock.block_on(shutdown.drain(SECOND));
    assert_eq!((drained, clock.elapsed()), (Err(DrainError { left: 2 }), SECOND));
    assert!(!a.take() && !b.take()); // that it has begun is nothing to them
    shutdown.abort();
    assert!(a.take() && b.take());
    let aborted = |polled| matches!(polled, Poll::Ready(Err(ShutdownError::Aborted)));
    assert!(aborted(poll(&mut first, &a)));
    // The call inside has ended, though the future is still there.
    assert_eq!((probe.in_flight(), shutdown.in_flight()), (1, 1));
    assert!(aborted(poll(&mut second, &b)));
    assert_eq!(clock.block_on(shutdown.drain(SECOND)), Ok(()));
}

#[test]
fn a_service_that_waits_for_readiness_is_woken() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let inner = MockService::<u32, u32, Fault>::echo(&clock).capacity(0);
    let mut service = service::ShutdownLayer::new(shutdown.signal()).layer(inner);
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let mut cx = Context::from_waker(&waker);
    assert!(service.poll_ready(&mut cx).is_pending());
    shutdown.begin();
    assert!(wakes.take());
    assert!(service.poll_ready(&mut cx).is_ready());
    assert!(clock.block_on(service.call(1)).unwrap_err().is_refused());
}

#[test]
fn a_service_that_was_ready_refuses_when_it_is_called_too_late() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let inner = MockService::<u32, u32, Fault>::echo(&clock);
    let (mut service, probe) =
        (service::ShutdownLayer::new(shutdown.signal()).layer(inner.clone()), inner.probe());
    clock.block_on(poll_fn(|cx| service.poll_ready(cx))).unwrap();
    assert_eq!(clock.block_on(shutdown.drain(SECOND)), Ok(()));
    assert!(clock.block_on(service.call(1)).unwrap_err().is_refused());
    assert_eq!((probe.calls(), probe.reserved()), (0, 1));
    drop(service);
    assert_eq!(probe.reserved(), 0);
}

// Streams.

#[test]
fn a_stream_leaves_its_source_alone_and_gives_it_back() {
    let shutdown = Shutdown::new();
    let (source, probe) = testing::ready(0..10);
    let mut stream = source.layer(layers::ShutdownLayer::new(shutdown.signal()));
    let first = futures::executor::block_on(stream.next());
    shutdown.begin();
    assert_eq!(futures::executor::block_on(stream.next()), None);
    assert_eq!((first, probe.polls(), shutdown.in_flight()), (Some(0), 1, 0));
    let rest: Vec<_> = futures::executor::block_on(stream.into_inner().collect());
    assert_eq!(rest, (1..10).collect::<Vec<_>>());
}

#[test]
fn a_stream_that_waits_is_woken_and_ends() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let (source, _) = Script::new(&clock).item(1).stall().build();
    let mut stream = source.layer(layers::ShutdownLayer::new(shutdown.signal()));
    assert_eq!(clock.block_on(stream.next()), Some(1));
    let wakes = WakeProbe::new();
    assert!(poll(&mut stream.next(), &wakes).is_pending());
    let mut drain = Box::pin(shutdown.drain(SECOND));
    assert!(wakes.take());
    assert!(poll(&mut drain, &WakeProbe::new()).is_pending()); // it has not ended yet
    assert_eq!(poll(&mut stream.next(), &wakes), Poll::Ready(None));
    assert_eq!(clock.block_on(drain), Ok(()));
}

#[test]
fn a_stream_that_was_never_polled_is_not_under_way() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let (source, probe) = testing::ready(0..);
    let mut stream = source.layer(layers::ShutdownLayer::new(shutdown.signal()));
    assert_eq!(clock.block_on(shutdown.drain(SECOND)), Ok(()));
    assert_eq!((clock.block_on(stream.next()), probe.polls()), (None, 0));
}

#[test]
fn a_pipeline_drains_what_is_in_it() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let head = layers::ShutdownLayer::new(shutdown.signal());
    let tail = layers::AbortLayer::new(shutdown.signal());
    let (source, probe) = testing::ready((0..).map(Ok::<_, Fault>));
    // In between, three items at a time are prefetched.
    let pipeline = source.layer(head).map(std::future::ready).buffered(3).layer(tail);
    let mut pipeline = pin!(pipeline);
    assert_eq!(clock.block_on(pipeline.try_next()), Ok(Some(0)));
    shutdown.begin();
    let left = clock.block_on(pipeline.as_mut().try_collect::<Vec<_>>()).unwrap();
    assert_eq!(left.len() + 1, probe.items());
    assert_eq!(clock.block_on(shutdown.drain(SECOND)), Ok(()));
}

#[test]
fn an_aborted_stream_says_so_and_ends() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let (source, _) = Script::new(&clock).item(Ok::<_, Fault>(1)).stall().build();
    let mut stream = source.layer(layers::AbortLayer::new(shutdown.signal()));
    let wakes = WakeProbe::new();
    assert_eq!(poll(&mut stream.next(), &wakes), Poll::Ready(Some(Ok(1))));
    assert!(poll(&mut stream.next(), &wakes).is_pending());
    shutdown.begin();
    wakes.take();
    assert!(poll(&mut stream.next(), &wakes).is_pending());
    shutdown.abort();
    assert!(wakes.take());
    let aborted = Poll::Ready(Some(Err(ShutdownError::Aborted)));
    assert_eq!(poll(&mut stream.next(), &wakes), aborted);
    assert_eq!(poll(&mut stream.next(), &wakes), Poll::Ready(None));
    let late = stream::iter([Ok::<_, Fault>(1)]).layer(layers::AbortLayer::new(shutdown.signal()));
    let late: Vec<_> = clock.block_on(late.collect());
    assert!(matches!(late[..], [Err(ShutdownError::Refused(_))]));
}

// Sinks.

#[test]
fn a_sink_refuses_and_flushes() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let (inner, probe) = MockSink::<u32>::new(&clock);
    let mut sink = pin!(sink::ShutdownLayer::new(shutdown.signal()).layer(inner));
    clock.block_on(sink.feed(1)).unwrap();
    // It is ready for one more when the shutdown begins: that one is taken.
    clock.block_on(poll_fn(|cx| Sink::<u32>::poll_ready(sink.as_mut(), cx))).unwrap();
    shutdown.begin();
    Sink::<u32>::start_send(sink.as_mut(), 2).unwrap();
    assert!(clock.block_on(sink.feed(3)).unwrap_err().is_refused());
    assert_eq!(clock.block_on(shutdown.drain(SECOND)), Err(DrainError { left: 1 }));
    clock.block_on(SinkExt::<u32>::flush(&mut sink)).unwrap();
    assert_eq!(clock.block_on(shutdown.drain(SECOND)), Ok(()));
    assert_eq!(probe.items(), [1, 2]);
}

#[test]
fn a_sink_that_waits_is_woken() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let (inner, probe) = MockSink::<u32>::new(&clock);
    let mut sink = pin!(sink::ShutdownLayer::new(shutdown.signal()).layer(inner));
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let mut cx = Context::from_waker(&waker);
    clock.block_on(sink.feed(1)).unwrap();
    probe.block();
    probe.flush_delay(SECOND * 10);
    assert!(Sink::<u32>::poll_flush(sink.as_mut(), &mut cx).is_pending());
    shutdown.begin();
    assert!(wakes.take());
    assert!(Sink::<u32>::poll_flush(sink.as_mut(), &mut cx).is_pending());
    shutdown.abort();
    assert!(wakes.take());
    let polled = Sink::<u32>::poll_flush(sink.as_mut(), &mut cx);
    assert!(matches!(polled, Poll::Ready(Err(ShutdownError::Aborted))));
    assert_eq!(shutdown.in_flight(), 0);
}

// The signal.

#[test]
fn a_signal_can_be_waited_for() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let wakes = WakeProbe::new();
    let mut begun = shutdown.signal().begun();
    let mut aborted = shutdown.signal().aborted();
    assert!(poll(&mut begun, &wakes).is_pending() && poll(&mut aborted, &wakes).is_pending());
    shutdown.begin();
    assert!(wakes.take() && poll(&mut begun, &wakes).is_ready());
    assert!(poll(&mut aborted, &wakes).is_pending());
    shutdown.abort();
    assert!(wakes.take() && poll(&mut aborted, &wakes).is_ready());
    assert!(shutdown.signal().is_aborted());
}

#[test]
fn several_drains_end_together_and_one_may_be_dropped() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let work = shutdown.signal().enter().unwrap();
    let (a, b) = (WakeProbe::new(), WakeProbe::new());
    let mut first = Box::pin(shutdown.drain(SECOND));
    let mut second = Box::pin(shutdown.clone().drain(SECOND * 2));
    assert!(poll(&mut first, &a).is_pending() && poll(&mut second, &b).is_pending());
    drop(first);
    assert_eq!(clock.armed(), 1);
    drop(work);
    assert!(!a.take() && b.take());
    assert!(poll(&mut second, &b).is_ready());
}

proptest! {
    /// Whenever it begins, those who entered are counted, nobody else enters, and the drain ends with
    /// the last.
    #[test]
    fn the_count_is_true(steps in prop::collection::vec(any::<(bool, usize)>(), 0..50)) {
        let clock = TestClock::new();
        let shutdown = shutdown(&clock);
        let signal = shutdown.signal();
        let mut inside = Vec::new();
        for (enter, index) in steps {
            if enter {
                inside.push(signal.enter().unwrap());
            } else if !inside.is_empty() {
                drop(inside.swap_remove(index % inside.len()));
            }
            prop_assert_eq!(shutdown.in_flight(), inside.len());
        }
        let wakes = WakeProbe::new();
        let mut drain = Box::pin(shutdown.drain(SECOND));
        while let Some(work) = inside.pop() {
            prop_assert!(signal.enter().is_err());
            prop_assert!(poll(&mut drain, &wakes).is_pending());
            drop(work);
            prop_assert_eq!(wakes.take(), inside.is_empty());
        }
        prop_assert!(poll(&mut drain, &wakes).is_ready());
    }
}

// Executors.

/// Tasks that work until the signal; all of them are through when the drain is.
async fn crowd(spawn: fn(support::Task)) {
    let shutdown = Shutdown::new();
    let started = ziggurat_patterns::concurrency::Semaphore::new(0);
    for _ in 0..20 {
        let (signal, started) = (shutdown.signal(), started.clone());
        spawn(Box::pin(async move {
            let _in_flight = signal.enter().unwrap();
            let endless = stream::pending::<u32>().until_shutdown(signal.clone());
            started.add_permits(1);
            assert_eq!(endless.count().await, 0);
        }));
    }
    drop(started.acquire_many(20).await.unwrap());
    shutdown.drain(Duration::from_secs(60)).await.unwrap();
    assert_eq!(shutdown.in_flight(), 0);
}

#[test]
fn under_every_executor() {
    support::with_every_spawner(crowd);
}

#[test]
fn its_streams_end_fused() {
    let shutdown = Shutdown::new();
    let stream = stream::iter(0..3).until_shutdown(shutdown.signal());
    assert_eq!(stream.size_hint(), (0, Some(3)));
    assert_eq!(futures::executor::block_on(stream.collect::<Vec<_>>()), [0, 1, 2]);
    assert_eq!(shutdown.in_flight(), 0);
}

#[test]
fn a_sink_that_is_ready_counts_until_its_item_is_through() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let (inner, _probe) = MockSink::<u32>::new(&clock);
    let mut sink = pin!(sink::ShutdownLayer::new(shutdown.signal()).layer(inner));
    clock.block_on(poll_fn(|cx| Sink::<u32>::poll_ready(sink.as_mut(), cx))).unwrap();
    clock.block_on(SinkExt::<u32>::flush(&mut sink)).unwrap();
    assert_eq!(clock.block_on(shutdown.drain(SECOND)), Err(DrainError { left: 1 }));
    Sink::<u32>::start_send(sink.as_mut(), 1).unwrap();
    clock.block_on(SinkExt::<u32>::flush(&mut sink)).unwrap();
    assert_eq!(clock.block_on(shutdown.drain(SECOND)), Ok(()));
}

#[test]
fn a_sink_that_was_ready_and_is_refused_is_not_under_way_for_ever() {
    let clock = TestClock::new();
    let shutdown = shutdown(&clock);
    let (inner, _) = MockSink::<u32>::new(&clock);
    let mut sink = pin!(sink::ShutdownLayer::new(shutdown.signal()).layer(inner));
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let mut cx = Context::from_waker(&waker);
    // As a fan-out does: ready, and asked again since another sink was not.
    assert_eq!(sink.as_mut().poll_ready(&mut cx), Poll::Ready(Ok(())));
    shutdown.begin();
    assert!(
        matches!(sink.as_mut().poll_ready(&mut cx), Poll::Ready(Err(error)) if error.is_refused())
    );
    clock.block_on(sink.flush()).unwrap();
    assert_eq!(shutdown.in_flight(), 0);
}
