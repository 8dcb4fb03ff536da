//! Circuit breakers: the laws, the windows against a model, and the way from closed to closed.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::poll_fn;
use proptest::prelude::*;
use tower::{Service, ServiceExt};
use ziggurat_patterns::ServiceLayerExt;
use ziggurat_patterns::circuit_breaker::{
    CircuitBreaker, CircuitBreakerError, Config, InvalidConfig, State, Transition,
};
use ziggurat_patterns::retry::Backoff;
use ziggurat_patterns::service::{CircuitBreakerLayer, RetryLayer};
use ziggurat_patterns::testing::{Fault, MockService, Reply, laws};
use ziggurat_patterns::time::{TestClock, TestSleep, Timer};

mod support;

const SECOND: Duration = Duration::from_secs(1);
const MS: fn(u64) -> Duration = Duration::from_millis;

type Mock = MockService<u32, u32, Fault>;

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn breaker(clock: &TestClock, config: Config) -> CircuitBreaker<TestClock> {
    CircuitBreaker::new(config).unwrap().with_timer(clock.clone())
}

/// Opens for a second after so many failures.
fn consecutive(clock: &TestClock, failures: u32) -> CircuitBreaker<TestClock> {
    breaker(clock, Config::consecutive(n(failures)).with_open(Backoff::constant(SECOND)))
}

fn fail(breaker: &CircuitBreaker<TestClock>, times: u32) {
    (0..times).for_each(|_| breaker.try_acquire().unwrap().failure());
}

fn succeed(breaker: &CircuitBreaker<TestClock>, times: u32) {
    (0..times).for_each(|_| breaker.try_acquire().unwrap().success());
}

#[test]
fn services_keep_the_laws() {
    let slow = |config: Config| config.with_slow_calls(60 * SECOND, 100).with_min_calls(10);
    let configs = [
        ("consecutive", Config::consecutive(n(10))),
        ("count", Config::count(n(10), 50)),
        ("time", slow(Config::time(SECOND, 50))),
    ];
    for (name, config) in configs {
        laws::service(name, |inner, clock| inner.circuit_breaker(breaker(clock, config.clone())))
            .faults(|error| match error {
                CircuitBreakerError::Inner(fault) => Some(*fault),
                _ => None,
            })
            .clones()
            .check();
    }
}

#[test]
fn failures_in_a_row_open_it() {
    let breaker = consecutive(&TestClock::new(), 3);
    for _ in 0..5 {
        fail(&breaker, 2);
        succeed(&breaker, 1);
    }
    fail(&breaker, 2);
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_share_of_the_last_calls_opens_it() {
    let clock = TestClock::new();
    let config = Config::count(n(10), 50).with_min_calls(4);
    let breaker = breaker(&clock, config);
    fail(&breaker, 3);
    assert_eq!(breaker.state(), State::Closed); // too few calls
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
    breaker.reset();
    fail(&breaker, 1);
    succeed(&breaker, 3);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Closed); // 2 of 5
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open); // 3 of 6
}

#[test]
fn the_window_of_calls_moves() {
    let clock = TestClock::new();
    let breaker = breaker(&clock, Config::count(n(4), 75));
    fail(&breaker, 2);
    succeed(&breaker, 2);
    for _ in 0..10 {
        // Always two of four.
        fail(&breaker, 2);
        succeed(&breaker, 2);
    }
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 2);
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn the_window_of_time_moves() {
    let clock = TestClock::new();
    let breaker = breaker(&clock, Config::time(SECOND, 50).with_min_calls(4));
    fail(&breaker, 3);
    clock.advance(MS(1000));
    fail(&breaker, 3); // the first three are forgotten
    assert_eq!(breaker.state(), State::Closed);
    clock.advance(MS(900));
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn slow_calls_open_it() {
    let clock = TestClock::new();
    let config = Config::count(n(4), 100).with_slow_calls(SECOND, 50);
    let breaker = breaker(&clock, config);
    for took in [SECOND, 2 * SECOND, MS(0)] {
        let permit = breaker.try_acquire().unwrap();
        clock.advance(took);
        permit.success();
    }
    let permit = breaker.try_acquire().unwrap();
    clock.advance(MS(1001));
    permit.success();
    // Two of four took longer than a second.
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn from_closed_to_closed() {
    let clock = TestClock::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let config = Config::consecutive(n(1))
        .with_open(Backoff::exponential(SECOND))
        .with_probes(n(2))
        .on_transition(move |change| note.lock().unwrap().push(change));
    let breaker = breaker(&clock, config);
    fail(&breaker, 1);
    clock.advance(MS(300));
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after, Some(MS(700)));
    clock.advance(MS(700));
    // The probe fails: it is open twice as long.
    fail(&breaker, 1);
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after, Some(2 * SECOND));
    clock.advance(2 * SECOND);
    let probes = [breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap()];
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after, None);
    probes.into_iter().for_each(|probe| probe.success());
    assert_eq!(breaker.state(), State::Closed);
    // Closed, it starts again with the first delay.
    fail(&breaker, 1);
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after, Some(SECOND));

    use State::{Closed, HalfOpen, Open};
    let change = |(from, to)| Transition { from, to };
    let way = [
        (Closed, Open),
        (Open, HalfOpen),
        (HalfOpen, Open),
        (Open, HalfOpen),
        (HalfOpen, Closed),
        (Closed, Open),
    ];
    assert_eq!(*seen.lock().unwrap(), way.map(change));
}

#[test]
fn the_observer_may_use_the_breaker() {
    let clock = TestClock::new();
    let slot = Arc::new(Mutex::new(None::<CircuitBreaker<TestClock>>));
    let inner = Arc::clone(&slot);
    let config = Config::consecutive(n(1)).on_transition(move |change| {
        let breaker = inner.lock().unwrap().clone().unwrap();
        assert_eq!(breaker.state(), change.to);
        if change.to == State::Open {
            assert!(breaker.try_acquire().is_err());
        }
    });
    let breaker = breaker(&clock, config);
    *slot.lock().unwrap() = Some(breaker.clone());
    fail(&breaker, 1);
    breaker.reset();
    slot.lock().unwrap().take();
}

#[test]
fn a_probe_that_is_dropped_gives_its_place_back() {
    let clock = TestClock::new();
    let breaker = consecutive(&clock, 1);
    fail(&breaker, 1);
    clock.advance(SECOND);
    drop(breaker.try_acquire().unwrap());
    let probe = breaker.try_acquire().unwrap();
    assert!(breaker.try_acquire().is_err());
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn what_was_let_through_earlier_does_not_count() {
    let clock = TestClock::new();
    let breaker = consecutive(&clock, 1);
    let (old, older) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
    fail(&breaker, 1);
    clock.advance(SECOND);
    let probe = breaker.try_acquire().unwrap();
    old.success(); // not a probe
    assert_eq!(breaker.state(), State::HalfOpen);
    older.failure();
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn it_can_be_opened_and_closed_by_hand() {
    let breaker = consecutive(&TestClock::new(), 3);
    breaker.trip();
    assert!(breaker.try_acquire().is_err());
    breaker.reset();
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 2);
    assert_eq!(breaker.state(), State::Closed);
}

// Services.

#[test]
fn calls_are_rejected_while_it_is_open() {
    let clock = TestClock::new();
    let service = Mock::new(&clock, |_| Reply::err(Fault(1)));
    let probe = service.probe();
    let mut service = service.circuit_breaker(consecutive(&clock, 2));
    let mut call =
        || clock.block_on(async { service.ready().await.unwrap().call(1).await }).unwrap_err();
    assert_eq!(call().into_inner(), Some(Fault(1)));
    assert_eq!(call().into_inner(), Some(Fault(1)));
    let error = call();
    assert!(error.is_open());
    assert_eq!(error.retry_after(), Some(SECOND));
    assert_eq!(error.to_string(), "the circuit breaker is open for another 1s");
    assert_eq!(probe.calls(), 2);
}

#[test]
fn an_open_breaker_does_not_wait_for_a_service_that_is_not_ready() {
    let clock = TestClock::new();
    let service = Mock::new(&clock, |n| Reply::ok(*n)).capacity(0);
    let probe = service.probe();
    let breaker = consecutive(&clock, 1);
    let mut service = service.circuit_breaker(breaker.clone());
    assert!(poll_fn(|cx| service.poll_ready(cx)).now_or_never().is_none());
    breaker.trip();
    let polls = probe.poll_readies();
    let ready = poll_fn(|cx| service.poll_ready(cx)).now_or_never();
    assert_eq!(ready, Some(Ok(())));
    // Its time is over now; still nothing is called that was not asked whether it is ready.
    clock.advance(SECOND);
    assert!(service.call(1).now_or_never().unwrap().unwrap_err().is_open());
    assert_eq!((probe.poll_readies(), probe.calls()), (polls, 0));
    assert!(poll_fn(|cx| service.poll_ready(cx)).now_or_never().is_none());
}

#[test]
fn a_probe_whose_caller_gives_up_makes_room_for_another() {
    let clock = TestClock::new();
    let mut replies = vec![Reply::ok(1), Reply::never(), Reply::err(Fault(0))];
    let service = Mock::new(&clock, move |_| replies.pop().unwrap());
    let service = service.circuit_breaker(consecutive(&clock, 1));
    let call = || service.clone().oneshot(1);
    assert!(clock.block_on(call()).is_err());
    clock.advance(SECOND);
    let mut lost = Box::pin(call());
    assert!(lost.as_mut().now_or_never().is_none());
    assert_eq!(clock.block_on(call()).unwrap_err().retry_after(), None);
    drop(lost);
    assert_eq!(clock.block_on(call()), Ok(1));
    assert_eq!(service.breaker().state(), State::Closed);
}

#[test]
fn what_counts_as_a_failure_can_be_said() {
    let clock = TestClock::new();
    let breaker = consecutive(&clock, 1);
    let layer = CircuitBreakerLayer::new(breaker.clone())
        .classify(|result: Result<&u32, &Fault>| matches!(result, Ok(500) | Err(Fault(0))));
    let mut replies = vec![Reply::ok(500), Reply::err(Fault(1)), Reply::ok(200)];
    let service = Mock::new(&clock, move |_| replies.pop().unwrap()).layer(layer);
    let states = [(); 3].map(|()| {
        let _ = clock.block_on(service.clone().oneshot(1));
        breaker.state()
    });
    assert_eq!(states, [State::Closed, State::Closed, State::Open]);
}

#[test]
fn retries_wait_as_long_as_the_breaker_says() {
    let clock = TestClock::new();
    let mut left = 3;
    let service = Mock::new(&clock, move |_| {
        left -= 1;
        if left > 0 { Reply::err(Fault(0)) } else { Reply::ok(1) }
    });
    let retry = RetryLayer::new(Backoff::constant(MS(1)))
        .hint(CircuitBreakerError::<Fault>::retry_after)
        .max_retries(9)
        .with_timer(clock.clone());
    let service = service.circuit_breaker(consecutive(&clock, 2)).layer(retry);
    // Fails, fails at 1 ms and opens, is rejected at 2 ms, and probes at 1001 ms.
    assert_eq!(clock.block_on(service.oneshot(1)), Ok(1));
    assert_eq!(clock.elapsed(), MS(1001));
}

#[test]
fn any_executor_will_do() {
    let calls = || {
        let clock = TestClock::new();
        let service = Mock::new(&clock, |_| Reply::err(Fault(0)).after(MS(5)));
        let service = service.circuit_breaker(consecutive(&clock, 2));
        async move {
            for _ in 0..2 {
                let _ = clock.auto(service.clone().oneshot(1)).await;
            }
            clock.auto(service.oneshot(1)).await.unwrap_err().is_open()
        }
    };
    for is_open in support::on_every_executor(calls) {
        assert!(is_open);
    }
}

#[test]
fn threads_share_the_probes() {
    let clock = TestClock::new();
    for _ in 0..50 {
        let config = Config::consecutive(n(1)).with_probes(n(3)).with_open(Backoff::none());
        let breaker = breaker(&clock, config);
        fail(&breaker, 1);
        let permits: Vec<_> = std::thread::scope(|scope| {
            let acquire = || scope.spawn(|| breaker.try_acquire().ok());
            let threads: Vec<_> = (0..6).map(|_| acquire()).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(permits.len(), 3);
        assert_eq!(breaker.state(), State::HalfOpen);
        permits.into_iter().for_each(|permit| permit.success());
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let error = |config| CircuitBreaker::new(config).err();
    assert_eq!(error(Config::count(n(10), 0)), Some(InvalidConfig::Rate(0)));
    assert_eq!(error(Config::count(n(10), 101)), Some(InvalidConfig::Rate(101)));
    let slow = Config::consecutive(n(1)).with_slow_calls(SECOND, 0);
    assert_eq!(error(slow), Some(InvalidConfig::Rate(0)));
    assert!(error(Config::time(Duration::ZERO, 50)).is_some());
    assert!(error(Config::time(Duration::MAX, 50)).is_some());
    let never = InvalidConfig::MinCalls { window: 10, min_calls: 11 };
    assert_eq!(error(Config::count(n(10), 50).with_min_calls(11)), Some(never));
    assert_eq!(error(Config::consecutive(n(1)).with_min_calls(11)), None);
}

#[test]
fn another_timer_makes_another_breaker() {
    let breaker = CircuitBreaker::new(Config::consecutive(n(1))).unwrap();
    let clock = TestClock::new();
    let other = breaker.clone().with_timer(clock.clone());
    breaker.trip();
    assert_eq!((breaker.state(), other.state()), (State::Open, State::Closed));
    fail(&other, 1);
    clock.advance(30 * SECOND);
    assert!(other.try_acquire().is_ok() && breaker.try_acquire().is_err());
}

/// A clock that takes the breaker's lock whenever it is read.
#[derive(Clone)]
struct Nosy {
    clock: TestClock,
    breaker: Arc<OnceLock<CircuitBreaker<Nosy>>>,
}

impl Timer for Nosy {
    type Sleep = TestSleep;

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn sleep_until(&self, deadline: Instant) -> TestSleep {
        self.clock.sleep_until(deadline)
    }

    fn nanos(&self) -> u64 {
        if let Some(breaker) = self.breaker.get() {
            breaker.reset();
        }
        self.clock.nanos()
    }
}

#[test]
fn the_clock_is_read_with_no_lock_held() {
    let done = std::thread::spawn(|| {
        let nosy = Nosy { clock: TestClock::new(), breaker: Arc::default() };
        let config = Config::consecutive(n(1)).with_open(Backoff::constant(SECOND));
        let breaker = CircuitBreaker::new(config).unwrap().with_timer(nosy.clone());
        // Opens, and asks whether it still is, before and after the time is over.
        breaker.try_acquire().unwrap().failure();
        assert_eq!(breaker.state(), State::Open);
        assert!(nosy.breaker.set(breaker.clone()).is_ok());
        breaker.try_acquire().unwrap().failure();
        // The reset came between the failure and its consequence.
        assert_eq!(breaker.state(), State::Closed);
    });
    let start = Instant::now();
    while !done.is_finished() {
        assert!(start.elapsed() < Duration::from_secs(60), "a deadlock");
        std::thread::yield_now();
    }
    done.join().unwrap();
}

proptest! {
    /// The ring of bits opens the breaker at the same call as a list of the outcomes would.
    #[test]
    fn the_ring_is_the_last_calls(
        size in 1..150_u32, percent in 1..=100_u32, min in 1..150_u32,
        outcomes in prop::collection::vec(prop::bool::weighted(0.3), 0..600),
    ) {
        let min = min.min(size);
        let breaker = breaker(&TestClock::new(), Config::count(n(size), percent).with_min_calls(min));
        for (index, failed) in outcomes.iter().enumerate() {
            let permit = breaker.try_acquire().unwrap();
            if *failed { permit.failure() } else { permit.success() }
            let last = &outcomes[(index + 1).saturating_sub(size as usize)..=index];
            let failures = last.iter().filter(|failed| **failed).count();
            let opens = last.len() >= min as usize && failures * 100 >= last.len() * percent as usize;
            prop_assert_eq!(breaker.state() == State::Open, opens, "after {} calls", index + 1);
            if opens {
                break;
            }
        }
    }

    /// The slots open it at the same call as a list of outcomes and their ticks would.
    #[test]
    fn the_slots_are_the_last_while(
        percent in 1..=100_u32, min in 1..40_u32,
        calls in prop::collection::vec((0..300_u64, prop::bool::weighted(0.3)), 0..300),
    ) {
        let clock = TestClock::new();
        let breaker = breaker(&clock, Config::time(SECOND, percent).with_min_calls(min));
        let mut seen = Vec::new();
        for (wait, failed) in calls {
            clock.advance(MS(wait));
            let permit = breaker.try_acquire().unwrap();
            if failed { permit.failure() } else { permit.success() }
            let tick = clock.elapsed().as_millis() as u64 / 100;
            seen.push((tick, failed));
            seen.retain(|(at, _)| tick - at < 10);
            let failures = seen.iter().filter(|(_, failed)| *failed).count();
            let opens = seen.len() >= min as usize && failures * 100 >= seen.len() * percent as usize;
            prop_assert_eq!(breaker.state() == State::Open, opens);
            if opens {
                break;
            }
        }
    }
}
