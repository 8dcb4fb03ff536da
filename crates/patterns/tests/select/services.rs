//! Services that choose among services.

use std::error::Error;
use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use futures::executor::block_on;
use tower::{Service, ServiceExt};
use ziggurat_patterns::select::{FirstOk, FirstOkError, NoServices, SteerError};
use ziggurat_patterns::service::{Fallback, Steer};
use ziggurat_patterns::testing::{Fault, MockService, Reply, WakeProbe};
use ziggurat_patterns::time::TestClock;

type Mock = MockService<u32, u32, Fault>;

const SECOND: Duration = Duration::from_secs(1);

fn answers(clock: &TestClock, answer: u32) -> Mock {
    MockService::new(clock, move |_| Reply::ok(answer))
}

/// Waits until it is ready, calls, and waits for the answer.
fn call<S: Service<u32>>(service: &mut S, request: u32) -> Result<S::Response, S::Error> {
    block_on(async { service.ready().await?.call(request).await })
}

fn first(_: &u32, _: &[Mock]) -> usize {
    0
}

// tower's tests of `Steer`, and the points in which ours differs.

#[test]
fn steer_picks() {
    let clock = TestClock::new();
    let mut steer = Steer::new([answers(&clock, 42), answers(&clock, 57)], |_: &u32, _: &[Mock]| 1);
    assert_eq!(block_on(steer.ready()).unwrap().services().len(), 2);
    assert_eq!(block_on(steer.call(1)), Ok(57));
}

#[test]
fn steer_is_ready_when_all_are() {
    let clock = TestClock::new();
    let busy = answers(&clock, 2).capacity(1);
    let mut other = busy.clone();
    block_on(other.ready()).unwrap();
    let mut steer = Steer::new([answers(&clock, 1), busy], first);
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(steer.poll_ready(&mut cx).is_pending());
    drop(other);
    assert!(wakes.take());
    assert_eq!(steer.poll_ready(&mut cx), Poll::Ready(Ok(())));
}

/// All are asked at once, and those that are ready not again.
#[test]
fn steer_asks_all_side_by_side() {
    let clock = TestClock::new();
    let services: Vec<_> = (1..4).map(|n| answers(&clock, n as u32).not_ready(n)).collect();
    let probes: Vec<_> = services.iter().map(Mock::probe).collect();
    let mut steer = Steer::new(services, first);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut polls = 0;
    while steer.poll_ready(&mut cx).is_pending() {
        polls += 1;
    }
    assert_eq!(polls, 3);
    let readies = || probes.iter().map(|probe| probe.poll_readies()).collect::<Vec<_>>();
    assert_eq!(readies(), [2, 3, 4]);
    // Only the one that was called.
    assert_eq!(block_on(steer.call(0)), Ok(1));
    block_on(steer.ready()).unwrap();
    assert_eq!(readies(), [4, 3, 4]);
}

#[test]
fn steer_says_that_there_is_no_such_service() {
    let clock = TestClock::new();
    let mut steer = Steer::new([answers(&clock, 1)], |n: &u32, _: &[Mock]| *n as usize);
    assert_eq!(call(&mut steer, 0), Ok(1));
    let error = call(&mut steer, 5).unwrap_err();
    assert_eq!(error, SteerError::NoSuchService { index: 5, services: 1 });
    assert!(error.is_no_such_service() && error.to_string() == "the picker chose service 5 of 1");
    assert_eq!(error.into_inner(), None);
    // It goes on.
    assert_eq!(call(&mut steer, 0), Ok(1));
    let mut none = Steer::new([], first);
    assert!(call(&mut none, 0).unwrap_err().is_no_such_service());
}

#[test]
fn steer_passes_errors_on() {
    let clock = TestClock::new();
    let dead = answers(&clock, 1).ready_error(Fault(7));
    let mut steer = Steer::new([answers(&clock, 1), dead], first);
    assert_eq!(block_on(steer.ready()).err(), Some(SteerError::Inner(Fault(7))));
    let fails = MockService::new(&clock, |_| Reply::<u32, _>::err(Fault(1)));
    let steer = Steer::new([fails], first);
    assert_eq!(block_on(steer.oneshot(1)).unwrap_err().into_inner(), Some(Fault(1)));
}

#[test]
fn a_clone_of_a_steer_is_not_ready() {
    let clock = TestClock::new();
    let mut steer = Steer::new([answers(&clock, 1)], first);
    block_on(steer.ready()).unwrap();
    let mut clone = steer.clone();
    // The mock would panic if the clone called without asking.
    block_on(clone.ready()).unwrap();
    assert_eq!((block_on(clone.call(1)), block_on(steer.call(1))), (Ok(1), Ok(1)));
    assert_eq!(steer.into_inner().len(), 1);
}

fn after(clock: &TestClock, seconds: u32, answer: Result<u32, Fault>) -> Mock {
    MockService::new(clock, move |_| {
        let reply = match answer {
            Ok(answer) => Reply::ok(answer),
            Err(fault) => Reply::err(fault),
        };
        reply.after(seconds * SECOND)
    })
}

#[test]
fn the_first_success_answers_and_the_rest_is_cancelled() {
    let clock = TestClock::new();
    let services = [(1, Err(Fault(1))), (3, Ok(3)), (2, Ok(2))];
    let services = services.map(|(seconds, answer)| after(&clock, seconds, answer));
    let probes = services.each_ref().map(Mock::probe);
    let mut service = FirstOk::new(services).unwrap();
    clock.block_on(service.ready()).unwrap();
    let mut call = service.call(9);
    assert_eq!(clock.block_on(&mut call), Ok(2));
    assert_eq!(clock.elapsed(), 2 * SECOND);
    assert_eq!(probes.each_ref().map(|probe| probe.requests()), [[9], [9], [9]]);
    assert_eq!(
        probes.map(|probe| (probe.completed(), probe.cancelled())),
        [(1, 0), (0, 1), (1, 0)]
    );
    assert_eq!(clock.armed(), 0);
    drop(call);
}

#[test]
fn all_errors_come_in_the_order_of_the_services() {
    let clock = TestClock::new();
    let services = [(2, 1), (1, 2), (3, 3)];
    let services = services.map(|(seconds, fault)| after(&clock, seconds, Err(Fault(fault))));
    let error = clock.block_on(FirstOk::new(services).unwrap().oneshot(9)).unwrap_err();
    assert_eq!(error, FirstOkError { errors: vec![Fault(1), Fault(2), Fault(3)] });
    assert_eq!(clock.elapsed(), 3 * SECOND);
    assert!(error.source().unwrap().downcast_ref::<Fault>() == Some(&Fault(3)));
    assert!(error.to_string().starts_with("none of 3 services succeeded, the last with: "));
}

#[test]
fn all_have_to_be_ready_and_those_that_never_will_be_are_left_out() {
    let clock = TestClock::new();
    let dead = answers(&clock, 1).ready_error(Fault(1));
    let slow = answers(&clock, 2).not_ready(3);
    let (dead_probe, slow_probe) = (dead.probe(), slow.probe());
    let mut service = FirstOk::new([dead.clone(), slow]).unwrap();
    for calls in 1..4 {
        assert_eq!(block_on(async { service.ready().await.unwrap().call(1).await }), Ok(2));
        assert_eq!((dead_probe.calls(), slow_probe.calls()), (0, calls));
        // A dead one is asked again before each call: it may be alive by then.
        assert_eq!(dead_probe.poll_readies(), calls);
    }
    let fails = MockService::new(&clock, |_| Reply::err(Fault(2)));
    let service = FirstOk::new([fails, dead.clone()]).unwrap();
    assert_eq!(block_on(service.oneshot(1)).unwrap_err().errors, [Fault(2), Fault(1)]);
    let service = FirstOk::new([dead.clone(), dead]).unwrap();
    assert_eq!(block_on(service.oneshot(1)).unwrap_err().errors, [Fault(1), Fault(1)]);
}

#[test]
fn dropping_the_call_drops_all_calls() {
    let clock = TestClock::new();
    let services = [1, 2].map(|seconds| after(&clock, seconds, Ok(1)));
    let probes = services.each_ref().map(Mock::probe);
    let mut service = FirstOk::new(services).unwrap();
    block_on(service.ready()).unwrap();
    let call = service.call(1);
    assert_eq!(probes.each_ref().map(|probe| probe.in_flight()), [1, 1]);
    drop(call);
    assert_eq!(probes.map(|probe| probe.cancelled()), [1, 1]);
    assert_eq!(service.services().len(), 2);
}

#[test]
fn nobody_answers_if_there_are_no_services() {
    assert_eq!(FirstOk::<Mock, Fault>::new([]).err(), Some(NoServices));
    assert_eq!(NoServices.to_string(), "there are no services");
}

// One after the other.

#[test]
fn a_fallback_asks_the_next_when_one_fails() {
    let clock = TestClock::new();
    let services = [(1, Err(Fault(1))), (2, Ok(2)), (0, Ok(3))];
    let services = services.map(|(seconds, answer)| after(&clock, seconds, answer));
    let probes = services.each_ref().map(Mock::probe);
    let mut service = Fallback::new(services).unwrap();
    clock.block_on(service.ready()).unwrap();
    // Only the first has been asked whether it is ready.
    assert_eq!(probes.each_ref().map(|probe| probe.poll_readies()), [1, 0, 0]);
    let mut call = Box::pin(service.call(9));
    assert_eq!(clock.block_on(&mut call), Ok(2));
    assert_eq!(clock.elapsed(), 3 * SECOND);
    assert_eq!(probes.each_ref().map(|probe| probe.calls()), [1, 1, 0]);
    assert_eq!(probes.each_ref().map(|probe| probe.poll_readies()), [1, 1, 0]);
    drop(call);
}

#[test]
fn a_fallback_counts_readiness_and_waits_for_it() {
    let clock = TestClock::new();
    let dead = answers(&clock, 1).ready_error(Fault(1));
    let fails = MockService::new(&clock, |_| Reply::err(Fault(2)));
    let slow = answers(&clock, 3).not_ready(3);
    let mut service = Fallback::new([dead.clone(), fails.clone(), dead.clone(), slow]).unwrap();
    for _ in 0..3 {
        assert_eq!(call(&mut service, 1), Ok(3));
    }
    assert_eq!((dead.probe().calls(), fails.probe().calls()), (0, 3));
    let none = Fallback::new([dead.clone(), fails, dead.clone()]).unwrap();
    assert_eq!(block_on(none.oneshot(1)).unwrap_err().errors, [Fault(1), Fault(2), Fault(1)]);
    // Where not even the first call can be made, that is an error of `poll_ready`.
    let mut none = Fallback::new([dead.clone(), dead]).unwrap();
    let error = block_on(none.ready()).err().unwrap();
    assert_eq!(error.errors, [Fault(1), Fault(1)]);
    assert_eq!(none.services().len(), 2);
    assert_eq!(Fallback::<Mock, Fault>::new([]).err(), Some(NoServices));
}

#[test]
fn dropping_a_fallbacks_call_asks_nobody_else() {
    let clock = TestClock::new();
    let services = [after(&clock, 1, Err(Fault(1))), answers(&clock, 2).capacity(1)];
    let probes = services.each_ref().map(Mock::probe);
    let mut service = Fallback::new(services.clone()).unwrap();
    let mut held = services[1].clone();
    block_on(held.ready()).unwrap();
    clock.block_on(service.ready()).unwrap();
    let mut call = Box::pin(service.call(1));
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(call.as_mut().poll(&mut cx).is_pending());
    clock.advance(SECOND);
    assert!(call.as_mut().poll(&mut cx).is_pending()); // waits for the second to be ready
    assert_eq!(probes[0].completed(), 1);
    drop(call);
    drop(held);
    assert_eq!((probes[1].calls(), probes[1].in_flight()), (0, 0));
    assert_eq!(clock.block_on(service.clone().oneshot(7)), Ok(2));
}
