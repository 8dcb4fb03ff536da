//! The scripted stream, the mock service and the mock sink do what they say.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::stream::{FusedStream, Stream, StreamExt};
use futures::{FutureExt, Sink, SinkExt};
use tower::{Service, ServiceExt};
use ziggurat_patterns::testing::{
    Fault, Ledger, MockService, MockSink, Probe, Reply, Script, ScriptedStream, ServiceProbe,
    SinkProbe, Token, WakeProbe, ready,
};
use ziggurat_patterns::time::TestClock;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_script_is_followed() {
    let clock = TestClock::new();
    let script = Script::new(&clock).item('a').pending().pending().item('b').wait(SECOND);
    let (mut stream, probe) = script.at(3 * SECOND).items(['c', 'd']).at(SECOND).build();
    assert_eq!((stream.size_hint(), clock.armed(), probe.polls()), ((4, Some(4)), 0, 0));
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let cx = &mut Context::from_waker(&waker);
    assert_eq!(stream.poll_next_unpin(cx), Poll::Ready(Some('a')));
    for woken in 1..=2 {
        assert!(stream.poll_next_unpin(cx).is_pending());
        assert_eq!(wakes.count(), woken);
    }
    assert_eq!(stream.poll_next_unpin(cx), Poll::Ready(Some('b')));
    assert_eq!(clock.armed(), 0);
    assert!(stream.poll_next_unpin(cx).is_pending());
    assert_eq!(clock.next_deadline(), Some(SECOND));
    clock.advance(SECOND);
    assert_eq!(wakes.count(), 3);
    assert!(stream.poll_next_unpin(cx).is_pending());
    assert_eq!(clock.next_deadline(), Some(3 * SECOND));
    clock.advance(5 * SECOND);
    assert_eq!(stream.size_hint(), (2, Some(2)));
    assert_eq!(stream.poll_next_unpin(cx), Poll::Ready(Some('c')));
    assert_eq!(stream.poll_next_unpin(cx), Poll::Ready(Some('d')));
    assert!(!stream.is_terminated() && !probe.ended());
    assert_eq!(stream.poll_next_unpin(cx), Poll::Ready(None));
    assert!(stream.is_terminated() && probe.ended() && !probe.dropped());
    drop(stream);
    assert!(probe.dropped());
    assert_eq!((probe.polls(), probe.items(), clock.armed()), (9, 4, 0));
}

#[test]
fn a_stall_is_for_ever() {
    let (mut stream, probe) = Script::<u8>::new(&TestClock::new()).item(1).stall().build();
    assert_eq!(stream.size_hint(), (1, Some(1)));
    assert_eq!(stream.next().now_or_never(), Some(Some(1)));
    assert!(!probe.stalled());
    for _ in 0..3 {
        assert_eq!(stream.next().now_or_never(), None);
    }
    assert!(probe.stalled() && !probe.ended());
}

#[test]
#[should_panic(expected = "a step after `stall` is never reached")]
fn nothing_follows_a_stall() {
    let _ = Script::new(&TestClock::new()).stall().item(1);
}

#[test]
#[should_panic(expected = "the scripted stream was polled again after it had returned `None`")]
fn a_script_ends_once() {
    let (mut stream, _) = ready([1]);
    assert_eq!(stream.next().now_or_never(), Some(Some(1)));
    assert_eq!(stream.next().now_or_never(), Some(None));
    let _ = stream.next().now_or_never();
}

#[test]
fn lazy_items_may_be_endless() {
    let clock = TestClock::new();
    let (stream, _) = Script::new(&clock).item(0).lazily([1, 2]).lazily([]).item(3).build();
    assert_eq!(stream.size_hint(), (4, Some(4)));
    assert_eq!(clock.block_on(stream.collect::<Vec<u32>>()), [0, 1, 2, 3]);
    let (stream, probe) = Script::new(&clock).item(0).lazily(1_u64..).build();
    assert_eq!(stream.size_hint(), (usize::MAX, None));
    assert_eq!(clock.block_on(stream.take(100).collect::<Vec<_>>()).len(), 100);
    assert_eq!(probe.polls(), 100);
}

#[test]
fn a_dropped_wait_is_disarmed() {
    let clock = TestClock::new();
    let (mut stream, _) = Script::<()>::new(&clock).wait(SECOND).build();
    assert!(stream.next().now_or_never().is_none());
    assert_eq!(clock.armed(), 1);
    drop(stream);
    assert_eq!(clock.armed(), 0);
}

/// Whether `poll_ready` says yes.
fn is_ready<S: Service<u32>>(service: &mut S, wakes: &WakeProbe) -> bool {
    service.poll_ready(&mut Context::from_waker(&wakes.waker())).is_ready()
}

#[test]
fn a_service_counts() {
    let clock = TestClock::new();
    let mut service =
        MockService::new(&clock, |n: &u32| Reply::<u32, Fault>::ok(n + 1).after(SECOND));
    let (probe, wakes) = (service.probe(), WakeProbe::new());
    let mut call = |n| {
        assert!(is_ready(&mut service, &wakes));
        service.call(n)
    };
    let (first, second) = (call(1), call(2));
    assert_eq!((probe.calls(), probe.in_flight(), probe.reserved()), (2, 2, 0));
    assert_eq!(clock.armed(), 0);
    assert_eq!(clock.block_on(first), Ok(2));
    assert_eq!((probe.completed(), probe.cancelled()), (1, 0));
    drop(second);
    assert_eq!((probe.completed(), probe.cancelled(), probe.in_flight()), (1, 1, 0));
    assert_eq!((probe.max_in_flight(), probe.poll_readies()), (2, 2));
    assert_eq!(probe.requests(), [1, 2]);
    assert_eq!(probe.take_requests(), [1, 2]);
    assert!(probe.requests().is_empty());
}

#[test]
fn a_capacity_is_kept_and_given_back() {
    let clock = TestClock::new();
    let mut first = MockService::<u32, _, _>::echo(&clock).capacity(1);
    let (mut second, probe, wakes) = (first.clone(), first.probe(), WakeProbe::new());
    let quiet = WakeProbe::new();
    assert!(is_ready(&mut first, &quiet) && is_ready(&mut first, &quiet));
    assert!(!is_ready(&mut second, &quiet));
    assert!(!is_ready(&mut second, &wakes));
    assert_eq!(probe.reserved(), 1);
    let response = first.call(7);
    assert!(!is_ready(&mut second, &wakes) && !wakes.take());
    assert_eq!(response.now_or_never(), Some(Ok(7)));
    // The last waker, and that one only.
    assert!(wakes.take() && quiet.count() == 0);
    assert!(is_ready(&mut second, &wakes));
    assert!(!is_ready(&mut first, &wakes));
    drop(second);
    assert!(wakes.take() && is_ready(&mut first, &wakes));
}

#[test]
fn a_service_is_not_ready_at_first() {
    let mut service = MockService::<u32, _, _>::echo(&TestClock::new()).not_ready(2);
    let wakes = WakeProbe::new();
    for _ in 0..2 {
        for _ in 0..2 {
            assert!(!is_ready(&mut service, &wakes) && wakes.take());
        }
        assert!(is_ready(&mut service, &wakes) && !wakes.take());
        assert_eq!(service.call(1).now_or_never(), Some(Ok(1)));
    }
}

#[test]
fn a_service_fails_as_told() {
    let clock = TestClock::new();
    let dead = MockService::<u32, _, _>::echo(&clock).ready_error(Fault(1));
    assert_eq!(clock.block_on(dead.oneshot(1)), Err(Fault(1)));
    let replies = [Reply::err(Fault(2)).after(SECOND), Reply::ok("fine"), Reply::never()];
    let mut flaky = MockService::<u32, _, _>::replies(&clock, replies);
    let mut call = || clock.try_block_on(async { flaky.ready().await?.call(0).await });
    assert_eq!(call(), Ok(Err(Fault(2))));
    assert_eq!(call(), Ok(Ok("fine")));
    assert!(call().is_err());
}

#[test]
#[should_panic(expected = "called without `Ready` from `poll_ready` of this clone")]
fn a_clone_is_not_ready() {
    let mut service = MockService::<u32, _, _>::echo(&TestClock::new());
    assert!(is_ready(&mut service, &WakeProbe::new()));
    drop(service.clone().call(1));
}

#[test]
fn a_sink_is_blocked_and_delayed() {
    let clock = TestClock::new();
    let (sink, probe) = MockSink::new(&clock);
    let mut sink = pin!(sink);
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let cx = &mut Context::from_waker(&waker);
    probe.block();
    assert!(sink.as_mut().poll_ready(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(sink.as_mut().poll_ready(cx).is_pending() && probe.waiting());
    probe.unblock();
    assert!(wakes.take() && !probe.waiting());
    probe.delay(SECOND);
    assert!(sink.as_mut().poll_ready(cx).is_pending());
    clock.advance(SECOND);
    assert!(wakes.take());
    assert_eq!(sink.as_mut().poll_ready(cx), Poll::Ready(Ok(())));
    probe.block(); // too late for this one
    assert_eq!(sink.as_mut().poll_ready(cx), Poll::Ready(Ok(())));
    assert_eq!(sink.as_mut().start_send(1), Ok(()));
    probe.flush_delay(SECOND);
    assert_eq!(clock.block_on(sink.flush()), Ok(()));
    assert_eq!(clock.block_on(sink.close()), Ok(()));
    assert_eq!((probe.sent(), probe.flushes(), probe.closes()), (1, 1, 1));
    assert_eq!(clock.elapsed(), 3 * SECOND);
    assert_eq!(probe.take(), [1]);
    assert!(probe.items().is_empty() && probe.sent() == 1);
}

#[test]
fn a_sink_fails_as_told() {
    let clock = TestClock::new();
    let (mut sink, probe) = MockSink::with_error(&clock);
    probe.fail_next("one");
    probe.fail_next("two");
    assert_eq!(clock.block_on(sink.send(1)), Err("one"));
    assert_eq!(clock.block_on(sink.flush()), Err("two"));
    assert_eq!(clock.block_on(sink.send(2)), Ok(()));
    assert_eq!(probe.items(), [2]);
    drop(sink);
    assert!(probe.dropped());
}

#[test]
#[should_panic(expected = "sent an item without `Ready` from `poll_ready`")]
fn a_sink_wants_to_be_asked() {
    let (mut sink, _) = MockSink::new(&TestClock::new());
    let _ = sink.start_send_unpin(1);
}

#[test]
#[should_panic(expected = "sent an item after it had been closed")]
fn a_closed_sink_takes_nothing() {
    let clock = TestClock::new();
    let (mut sink, _) = MockSink::<i32>::new(&clock);
    clock.block_on(sink.close()).expect("closed");
    let _ = clock.block_on(sink.feed(1));
}

#[test]
fn auto_traits() {
    fn send_sync_unpin<T: Send + Sync + Unpin>() {}
    send_sync_unpin::<ScriptedStream<u8>>();
    send_sync_unpin::<Script<u8>>();
    send_sync_unpin::<Probe>();
    send_sync_unpin::<WakeProbe>();
    send_sync_unpin::<MockService<u8, u8, Fault>>();
    send_sync_unpin::<ServiceProbe<u8>>();
    send_sync_unpin::<MockSink<u8>>();
    send_sync_unpin::<SinkProbe<u8>>();
    send_sync_unpin::<Token>();
    send_sync_unpin::<Ledger>();
    fn unpin<T: Unpin>() {}
    unpin::<ScriptedStream<std::marker::PhantomPinned>>();
}
