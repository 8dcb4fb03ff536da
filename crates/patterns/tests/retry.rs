//! Retries of calls: the laws, what callers and limits see, and tower's own tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tower::ServiceExt;
use ziggurat_patterns::ServiceLayerExt;
use ziggurat_patterns::retry::{
    Backoff, Budget, Decision, GaveUp, Policy, RetryBudget, RetryError,
};
use ziggurat_patterns::service::RetryLayer;
use ziggurat_patterns::testing::{Fault, MockService, Reply, laws};
use ziggurat_patterns::time::TestClock;

mod support;

const SECOND: Duration = Duration::from_secs(1);
const MS: fn(u64) -> Duration = Duration::from_millis;

type Mock = MockService<u32, u32, Fault>;

/// Fails so many times, and then answers.
fn flaky(clock: &TestClock, failures: u32) -> Mock {
    let mut left = failures;
    Mock::new(clock, move |n| match left.checked_sub(1) {
        Some(less) => {
            left = less;
            Reply::err(Fault(u64::from(less)))
        }
        None => Reply::ok(*n),
    })
}

#[test]
fn services_keep_the_laws() {
    laws::service("retry", |inner, clock| {
        inner.layer(RetryLayer::new(Backoff::exponential(MS(10))).with_timer(clock.clone()))
    })
    .faults(|error| Some(*error.get_ref()))
    .clones()
    .check();
    laws::service("retry with every limit", |inner, clock| {
        let budget = RetryBudget::new(SECOND, 10, 20).unwrap().with_timer(clock.clone());
        let layer = RetryLayer::new(Backoff::none()).max_elapsed(SECOND).budget(budget);
        inner.layer(layer.with_timer(clock.clone()))
    })
    .faults(|error| Some(*error.get_ref()))
    .clones()
    .check();
}

// Services.

#[test]
fn a_call_is_made_again_until_it_succeeds() {
    let clock = TestClock::new();
    let service = flaky(&clock, 3);
    let probe = service.probe();
    let layer = RetryLayer::new(Backoff::exponential(SECOND)).with_timer(clock.clone());
    assert_eq!(clock.block_on(service.layer(layer).oneshot(7)), Ok(7));
    assert_eq!(probe.requests(), [7; 4]);
    assert_eq!(clock.elapsed(), 7 * SECOND);
}

#[test]
fn attempts_are_limited() {
    let clock = TestClock::new();
    let service = flaky(&clock, 9);
    let probe = service.probe();
    let layer = RetryLayer::new(Backoff::none()).max_retries(2).with_timer(clock.clone());
    let error = clock.block_on(service.layer(layer).oneshot(7)).unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (GaveUp::Attempts, 3));
    assert_eq!((probe.calls(), error.into_inner()), (3, Fault(6)));
}

#[test]
fn only_what_the_predicate_holds_for_is_retried() {
    let clock = TestClock::new();
    let service = flaky(&clock, 3);
    let layer = RetryLayer::new(Backoff::none())
        .when(|error: &Fault| error.0 > 1)
        .with_timer(clock.clone());
    let error = clock.block_on(service.layer(layer).oneshot(7)).unwrap_err();
    assert!(error.is_not_retryable());
    assert_eq!((error.attempts(), error.into_inner()), (2, Fault(1)));
}

#[test]
fn no_sleep_ends_after_the_deadline() {
    let clock = TestClock::new();
    let layer = RetryLayer::new(Backoff::constant(3 * SECOND))
        .unlimited_retries()
        .max_elapsed(10 * SECOND)
        .with_timer(clock.clone());
    let error = clock.block_on(flaky(&clock, 99).layer(layer).oneshot(7)).unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (GaveUp::Elapsed, 4));
    // The fourth sleep would have ended at 12 seconds: it was not begun.
    assert_eq!((error.elapsed(), clock.elapsed()), (Some(9 * SECOND), 9 * SECOND));
}

#[test]
fn the_time_of_the_first_attempt_counts() {
    let clock = TestClock::new();
    let slow = Mock::new(&clock, |_| Reply::err(Fault(0)).after(6 * SECOND));
    let layer = RetryLayer::new(Backoff::constant(SECOND)).max_elapsed(10 * SECOND);
    let error = clock.block_on(slow.layer(layer.with_timer(clock.clone())).oneshot(7));
    // At 0, at 7, and not at 14.
    assert_eq!(error.unwrap_err().attempts(), 2);
    assert_eq!(clock.elapsed(), 13 * SECOND);
}

#[test]
fn a_hint_takes_the_place_of_the_backoff() {
    let clock = TestClock::new();
    let hint = |fault: &Fault| (fault.0 == 1).then_some(7 * SECOND);
    let layer = RetryLayer::new(Backoff::constant(SECOND)).hint(hint).with_timer(clock.clone());
    assert_eq!(clock.block_on(flaky(&clock, 2).layer(layer.clone()).oneshot(7)), Ok(7));
    assert_eq!(clock.elapsed(), 8 * SECOND);
    // It is not shortened to fit.
    let layer = layer.max_elapsed(5 * SECOND);
    let error = clock.block_on(flaky(&clock, 2).layer(layer).oneshot(7)).unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (GaveUp::Elapsed, 1));
}

#[test]
fn a_backoff_that_ends_ends_the_retries() {
    use backon::{BackoffBuilder, ExponentialBuilder};
    let clock = TestClock::new();
    let builder = ExponentialBuilder::default().with_max_times(2);
    let layer = RetryLayer::new(move || builder.build()).max_retries(9).with_timer(clock.clone());
    let error = clock.block_on(flaky(&clock, 9).layer(layer).oneshot(7)).unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (GaveUp::Backoff, 3));
    assert_eq!(clock.elapsed(), 3 * SECOND);
}

#[test]
fn retries_wait_for_the_clone_to_be_ready() {
    let clock = TestClock::new();
    let service = flaky(&clock, 2).not_ready(2).capacity(1);
    let probe = service.probe();
    let layer = RetryLayer::new(Backoff::none()).with_timer(clock.clone());
    // The mock panics when it is called without being ready.
    assert_eq!(clock.block_on(service.layer(layer).oneshot(7)), Ok(7));
    assert_eq!((probe.calls(), probe.reserved()), (3, 0));
}

#[test]
fn a_service_that_always_fails_yields() {
    let clock = TestClock::new();
    let service = Mock::new(&clock, |_| Reply::err(Fault(0)));
    let probe = service.probe();
    let layer = RetryLayer::new(Backoff::none()).unlimited_retries().with_timer(clock.clone());
    let mut future = Box::pin(service.layer(layer).oneshot(7));
    for polls in 1..4 {
        assert!(future.as_mut().now_or_never().is_none());
        assert!(probe.calls() <= 128 * polls && probe.calls() >= polls);
    }
}

#[test]
fn a_success_at_once_touches_no_timer() {
    #[derive(Clone)]
    struct NoTimer;
    impl ziggurat_patterns::time::Timer for NoTimer {
        type Sleep = ziggurat_patterns::time::TestSleep;
        fn now(&self) -> std::time::Instant {
            panic!("the clock was read")
        }
        fn sleep_until(&self, _: std::time::Instant) -> Self::Sleep {
            panic!("a sleep was made")
        }
    }
    let clock = TestClock::new();
    let layer = RetryLayer::new(Backoff::none()).max_elapsed(SECOND).with_timer(NoTimer);
    assert_eq!(clock.block_on(flaky(&clock, 0).layer(layer).oneshot(7)), Ok(7));
}

/// tower's `MutatingPolicy`, and answers that are retried.
#[derive(Clone)]
struct Answers {
    asked: Arc<AtomicU32>,
}

impl Policy<u32, u32, Fault> for Answers {
    fn decide(&mut self, request: &mut u32, result: Result<&u32, &Fault>) -> Decision {
        self.asked.fetch_add(1, Ordering::Relaxed);
        *request += 1;
        match result {
            Ok(n) if *n < 10 => Decision::RetryAfter(SECOND),
            _ => Decision::Stop,
        }
    }

    fn clone_request(&mut self, request: &u32) -> Option<u32> {
        (*request != 99).then_some(*request)
    }
}

#[test]
fn a_policy_retries_answers_and_changes_requests() {
    let clock = TestClock::new();
    let policy = Answers { asked: Arc::default() };
    let layer = RetryLayer::new(Backoff::none()).policy(policy.clone()).with_timer(clock.clone());
    let service = flaky(&clock, 0);
    let probe = service.probe();
    assert_eq!(clock.block_on(service.layer(layer.clone()).oneshot(8)), Ok(10));
    assert_eq!((probe.requests(), clock.elapsed()), (vec![8, 9, 10], 2 * SECOND));
    // At a limit the answer is returned as it is.
    let service = flaky(&clock, 0);
    assert_eq!(clock.block_on(service.layer(layer).oneshot(1)), Ok(4));
}

#[test]
fn a_request_that_cannot_be_cloned_is_sent_once() {
    let clock = TestClock::new();
    let policy = Answers { asked: Arc::default() };
    let layer = RetryLayer::new(Backoff::none()).policy(policy.clone()).with_timer(clock.clone());
    assert_eq!(clock.block_on(flaky(&clock, 0).layer(layer.clone()).oneshot(99)), Ok(99));
    let error = clock.block_on(flaky(&clock, 1).layer(layer).oneshot(99)).unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (GaveUp::NotCloned, 1));
    assert_eq!(policy.asked.load(Ordering::Relaxed), 0);
}

#[test]
fn a_budget_is_shared_and_limits_retries() {
    let clock = TestClock::new();
    let budget = RetryBudget::new(10 * SECOND, 0, 50).unwrap().with_timer(clock.clone());
    let layer = RetryLayer::new(Backoff::none()).budget(budget.clone()).with_timer(clock.clone());
    let reasons: Vec<_> = (0..4)
        .map(|_| {
            let layer = layer.clone().max_retries(1);
            clock.block_on(flaky(&clock, 9).layer(layer).oneshot(7)).unwrap_err().reason()
        })
        .collect();
    // Two calls allow for one retry.
    use GaveUp::{Attempts, Budget};
    assert_eq!(reasons, [Budget, Attempts, Budget, Attempts]);
    assert_eq!(budget.balance(), 0);
}

/// The whole under each executor.
#[test]
fn any_executor_will_do() {
    let call = || {
        let clock = TestClock::new();
        let layer = RetryLayer::new(Backoff::exponential(SECOND)).with_timer(clock.clone());
        let service = flaky(&clock, 2).layer(layer);
        async move { clock.clone().auto(service.oneshot(7)).await.unwrap() }
    };
    for answer in support::on_every_executor(call) {
        assert_eq!(answer, 7);
    }
}

#[test]
fn errors_keep_their_source() {
    fn check<E: std::error::Error>(_: &E) {}
    let clock = TestClock::new();
    let error: RetryError<Fault> =
        clock.block_on(flaky(&clock, 9).retry(Backoff::none()).oneshot(1)).unwrap_err();
    check(&error);
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(error.to_string(), "gave up after 4 attempts: no retry is left");
}

#[test]
fn budgets_of_others_will_do() {
    struct Never;
    impl Budget for Never {
        fn deposit(&self) {}
        fn withdraw(&self) -> bool {
            false
        }
    }
    let clock = TestClock::new();
    let layer = RetryLayer::new(Backoff::none()).budget(Never).with_timer(clock.clone());
    let error = clock.block_on(flaky(&clock, 1).layer(layer).oneshot(7)).unwrap_err();
    assert_eq!(error.reason(), GaveUp::Budget);
}

#[test]
fn hints_do_not_outlive_the_backoff() {
    let clock = TestClock::new();
    let service = flaky(&clock, 100);
    let layer = RetryLayer::new(|| [SECOND; 2].into_iter())
        .hint(|_: &Fault| Some(MS(1)))
        .max_retries(50)
        .with_timer(clock.clone());
    let error = clock.block_on(service.layer(layer).oneshot(1)).unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (GaveUp::Backoff, 3));
    assert_eq!(clock.elapsed(), MS(2));
}
