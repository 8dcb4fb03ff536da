//! Hedges: the laws, tower's own tests, and what the second call is bound to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use tower::{Service, ServiceExt};
use ziggurat_patterns::ServiceLayerExt;
use ziggurat_patterns::hedge::InvalidHedge;
use ziggurat_patterns::retry::{Budget, RetryBudget};
use ziggurat_patterns::service::HedgeLayer;
use ziggurat_patterns::testing::{Fault, MockService, Reply, laws};
use ziggurat_patterns::time::TestClock;

mod support;

const MS: fn(u64) -> Duration = Duration::from_millis;
const SECOND: Duration = Duration::from_secs(1);

type Mock = MockService<u32, u32, Fault>;
type Answer = Reply<u32, Fault>;

/// Answers in this order; the delay before a hedge is 10 ms.
fn run(replies: impl IntoIterator<Item = Answer>) -> (Result<u32, Fault>, Duration, [usize; 3]) {
    let clock = TestClock::new();
    let service = Mock::replies(&clock, replies);
    let probe = service.probe();
    let layer = HedgeLayer::new(MS(10)).with_timer(clock.clone());
    let result = clock.block_on(service.layer(layer).oneshot(0));
    assert_eq!((probe.in_flight(), clock.armed()), (0, 0));
    (result, clock.elapsed(), [probe.calls(), probe.completed(), probe.cancelled()])
}

#[test]
fn services_keep_the_laws() {
    laws::service("hedge", |inner, clock| {
        inner.layer(HedgeLayer::new(MS(10)).with_timer(clock.clone()))
    })
    .faults(|error| Some(*error))
    .clones()
    .check();
    laws::service("hedge at a percentile", |inner, clock| {
        let budget = RetryBudget::new(SECOND, 10, 50).unwrap().with_timer(clock.clone());
        let layer = HedgeLayer::percentile(90.0, SECOND, 1).unwrap().budget(budget);
        inner.layer(layer.with_timer(clock.clone()))
    })
    .faults(|error| Some(*error))
    .clones()
    .check();
}

#[test]
fn the_first_call_wins() {
    let replies = [Answer::ok(1).after(MS(15)), Answer::ok(2).after(MS(20))];
    assert_eq!(run(replies), (Ok(1), MS(15), [2, 1, 1]));
}

#[test]
fn the_second_call_wins() {
    let replies = [Answer::ok(1).after(MS(100)), Answer::ok(2).after(MS(20))];
    assert_eq!(run(replies), (Ok(2), MS(30), [2, 1, 1]));
    assert_eq!(run([Answer::never(), Answer::ok(2)]), (Ok(2), MS(10), [2, 1, 1]));
}

#[test]
fn a_quick_answer_is_not_hedged() {
    assert_eq!(run([Answer::ok(1).after(MS(9))]), (Ok(1), MS(9), [1, 1, 0]));
    assert_eq!(run([Answer::ok(1)]), (Ok(1), MS(0), [1, 1, 0]));
}

#[test]
fn a_quick_error_is_an_answer() {
    assert_eq!(run([Answer::err(Fault(1)).after(MS(9))]), (Err(Fault(1)), MS(9), [1, 1, 0]));
}

#[test]
fn once_there_are_two_the_first_success_wins() {
    let replies = [Answer::err(Fault(1)).after(MS(15)), Answer::ok(2).after(MS(20))];
    assert_eq!(run(replies), (Ok(2), MS(30), [2, 2, 0]));
    let replies = [Answer::ok(1).after(MS(50)), Answer::err(Fault(2)).after(MS(20))];
    assert_eq!(run(replies), (Ok(1), MS(50), [2, 2, 0]));
}

#[test]
fn the_later_of_two_errors_is_returned() {
    let replies = [Answer::err(Fault(1)).after(MS(15)), Answer::err(Fault(2)).after(MS(20))];
    assert_eq!(run(replies), (Err(Fault(2)), MS(30), [2, 2, 0]));
    let replies = [Answer::err(Fault(1)).after(MS(50)), Answer::err(Fault(2)).after(MS(20))];
    assert_eq!(run(replies), (Err(Fault(1)), MS(50), [2, 2, 0]));
}

#[test]
fn a_request_that_must_not_be_sent_twice_is_not() {
    let clock = TestClock::new();
    let service = Mock::replies(&clock, [Answer::ok(1).after(MS(100))]);
    let layer = HedgeLayer::new(MS(10))
        .requests(|request: &u32| (*request != 1).then_some(*request))
        .with_timer(clock.clone());
    assert_eq!(clock.block_on(service.layer(layer).oneshot(1)), Ok(1));
    assert_eq!(clock.elapsed(), MS(100));
}

#[test]
fn an_answer_at_once_arms_nothing() {
    let clock = TestClock::new();
    let service = Mock::replies(&clock, [Answer::ok(1), Answer::never()]);
    let mut service = service.layer(HedgeLayer::new(MS(10)).with_timer(clock.clone()));
    assert_eq!(
        service.ready().now_or_never().unwrap().unwrap().call(0).now_or_never(),
        Some(Ok(1))
    );
    assert_eq!(clock.armed(), 0);
    let mut lost = Box::pin(service.ready().now_or_never().unwrap().unwrap().call(0));
    assert_eq!(clock.armed(), 0);
    assert!(lost.as_mut().now_or_never().is_none());
    assert_eq!(clock.armed(), 1);
}

#[test]
fn the_second_call_waits_until_the_service_is_ready() {
    let clock = TestClock::new();
    let replies = [Answer::ok(1).after(MS(100)), Answer::ok(2)];
    let service = Mock::replies(&clock, replies).capacity(1);
    let probe = service.probe();
    let layer = HedgeLayer::new(MS(10)).with_timer(clock.clone());
    // There is no place for it before the first has ended.
    assert_eq!(clock.block_on(service.layer(layer).oneshot(0)), Ok(1));
    assert_eq!((probe.calls(), probe.reserved(), clock.elapsed()), (1, 0, MS(100)));
}

#[test]
fn an_error_does_not_wait_for_a_second_call_that_is_not_made() {
    let clock = TestClock::new();
    let service = Mock::replies(&clock, [Answer::err(Fault(1)).after(MS(15))]).capacity(1);
    let layer = HedgeLayer::new(MS(10)).with_timer(clock.clone());
    assert_eq!(clock.block_on(service.layer(layer).oneshot(0)), Err(Fault(1)));
    assert_eq!(clock.elapsed(), MS(15));
}

#[test]
fn a_budget_bounds_the_second_calls() {
    let clock = TestClock::new();
    let service = Mock::new(&clock, |_| Answer::ok(1).after(MS(20)));
    let probe = service.probe();
    let budget = RetryBudget::new(Duration::from_secs(60), 0, 25).unwrap();
    let budget = budget.with_timer(clock.clone());
    let layer = HedgeLayer::new(MS(10)).budget(budget.clone()).with_timer(clock.clone());
    let service = service.layer(layer);
    for _ in 0..40 {
        assert_eq!(clock.block_on(service.clone().oneshot(0)), Ok(1));
    }
    assert_eq!(probe.calls(), 50);
    assert!(!budget.withdraw());
}

#[test]
fn what_is_never_sent_is_not_paid_for() {
    let clock = TestClock::new();
    let service = Mock::new(&clock, |_| Answer::ok(1).after(MS(20))).capacity(1);
    let probe = service.probe();
    let budget = RetryBudget::new(Duration::from_secs(60), 0, 100).unwrap();
    let budget = budget.with_timer(clock.clone());
    let layer = HedgeLayer::new(MS(10)).budget(budget.clone()).with_timer(clock.clone());
    let service = service.layer(layer);
    for _ in 0..10 {
        assert_eq!(clock.block_on(service.clone().oneshot(0)), Ok(1));
    }
    // There was never room for a second call.
    assert_eq!((probe.calls(), budget.balance()), (10, 10));
}

#[test]
fn a_place_for_which_the_budget_is_empty_is_given_back() {
    let clock = TestClock::new();
    let service = Mock::new(&clock, |_| Answer::never()).capacity(2);
    let probe = service.probe();
    let budget = RetryBudget::new(Duration::from_secs(60), 0, 0).unwrap();
    let budget = budget.with_timer(clock.clone());
    let layer = HedgeLayer::new(MS(10)).budget(budget).with_timer(clock.clone());
    let mut call = std::pin::pin!(service.layer(layer).oneshot(0));
    assert!((&mut call).now_or_never().is_none());
    clock.advance(MS(10));
    assert!((&mut call).now_or_never().is_none());
    assert_eq!((probe.calls(), probe.reserved()), (1, 0));
}

/// Calls take what the test says; the delay follows the 90th percentile of the last second.
#[test]
fn the_percentile_follows_the_calls() {
    let clock = TestClock::new();
    let took = Arc::new(Mutex::new(MS(1)));
    let service = {
        let took = Arc::clone(&took);
        Mock::new(&clock, move |_| Answer::ok(1).after(*took.lock().unwrap()))
    };
    let probe = service.probe();
    let layer = HedgeLayer::percentile(90.0, SECOND, 10).unwrap().with_timer(clock.clone());
    let service = service.layer(layer);
    let call = |time: Duration| {
        *took.lock().unwrap() = time;
        let (calls, started) = (probe.calls(), clock.elapsed());
        clock.block_on(service.clone().oneshot(0)).unwrap();
        (probe.calls() - calls, clock.elapsed() - started)
    };
    // Nothing is known yet.
    assert_eq!(call(MS(100)), (1, MS(100)));
    for ms in 1..=10 {
        assert_eq!(call(MS(ms)).0, 1);
    }
    clock.advance(SECOND - clock.elapsed());
    // Of 11 calls the tenth took 10 ms, within what a bucket is wide: the second call starts then.
    *took.lock().unwrap() = MS(100);
    let mut slow = Box::pin(service.clone().oneshot(0));
    assert!(slow.as_mut().now_or_never().is_none());
    let delay = clock.next_deadline().unwrap() - clock.elapsed();
    assert!(delay >= MS(10) && delay < MS(11), "{delay:?}");
    drop(slow);
    assert_eq!(call(MS(9)).0, 1);
    assert_eq!(call(MS(20)).0, 2);
    // After a second with too few calls, nothing is known again.
    clock.advance(SECOND);
    assert_eq!(call(MS(100)).0, 1);
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let error = |percentile, period| HedgeLayer::percentile(percentile, period, 1).err();
    assert_eq!(error(101.0, SECOND), Some(InvalidHedge::Percentile(101.0)));
    assert_eq!(error(99.0, Duration::ZERO), Some(InvalidHedge::Period));
    assert!(error(f64::NAN, SECOND).is_some());
    assert!(error(99.9, SECOND).is_none());
}

#[test]
fn any_executor_will_do() {
    let call = || {
        let clock = TestClock::new();
        let service = Mock::replies(&clock, [Answer::never(), Answer::ok(2).after(MS(5))]);
        let service = service.layer(HedgeLayer::new(MS(10)).with_timer(clock.clone()));
        async move { clock.clone().auto(service.oneshot(0)).await.unwrap() }
    };
    for answer in support::on_every_executor(call) {
        assert_eq!(answer, 2);
    }
}

#[test]
fn the_loser_is_cancelled_with_the_answer() {
    for first in [15, 100] {
        let clock = TestClock::new();
        let service =
            Mock::replies(&clock, [Answer::ok(1).after(MS(first)), Answer::ok(2).after(MS(50))]);
        let probe = service.probe();
        let layer = HedgeLayer::new(MS(10)).with_timer(clock.clone());
        let mut service = service.layer(layer);
        let ready = clock.block_on(service.ready()).unwrap();
        let mut call = std::pin::pin!(ready.call(0));
        clock.block_on(call.as_mut()).unwrap();
        // The future is still there, as in a `join` with slower ones.
        assert_eq!((probe.in_flight(), probe.completed(), probe.cancelled()), (0, 1, 1));
    }
}
