//! Rate limiters: the law of quotas, fairness, keys, and governor's own cases.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{TryStreamExt, stream};
use proptest::prelude::*;
use ziggurat_patterns::rate_limit::{Quota, QuotaError, RateLimiter, Rejected};
use ziggurat_patterns::testing::{Fault, MockService, WakeProbe};
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::{Layer, Service, StreamLayerExt, service, stream as layers};

mod support;

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

// The law of quotas.

/// For each admission, when it was and how many cells. In every window of length `w` there are at most
/// `burst + w / interval` cells.
fn keeps_to(quota: &Quota, admitted: &[(Duration, u32)]) -> Result<(), TestCaseError> {
    let interval = quota.replenish_interval().as_nanos();
    for (i, (from, _)) in admitted.iter().enumerate() {
        let mut cells = 0;
        for (to, cost) in &admitted[i..] {
            cells += u128::from(*cost);
            let most = u128::from(quota.burst().get()) + (*to - *from).as_nanos() / interval;
            prop_assert!(cells <= most, "{cells} cells from {from:?} to {to:?}, of {most}");
        }
    }
    Ok(())
}

#[derive(Debug, Clone)]
enum Step {
    Advance(u64),
    Try(u32),
    /// A waiter that wants so many cells.
    Wait(u32),
    /// Drops one of the waiters.
    Cancel(usize),
    /// A service becomes ready.
    Ready,
    /// One that is ready goes away without a call.
    Unused(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..400_u64).prop_map(Step::Advance),
        3 => (0..6_u32).prop_map(Step::Try),
        3 => (1..6_u32).prop_map(Step::Wait),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => Just(Step::Ready),
        2 => any::<usize>().prop_map(Step::Unused),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is tried, waited for, cancelled and given back, no window has too many cells. And those
    /// who wait get theirs in their order.
    #[test]
    fn no_window_is_too_full(
        steps in prop::collection::vec(step(), 1..120),
        count in 1..50_u32,
        burst in 1..8_u32,
    ) {
        let clock = TestClock::new();
        let quota = Quota::new(count, Duration::from_secs(1)).unwrap().with_burst(nz(burst));
        let limiter = RateLimiter::new(quota).with_timer(clock.clone());
        let echo = MockService::<u32, u32, Fault>::echo(&clock);
        let layer = service::RateLimitLayer::shared(limiter.clone());
        let wakes = WakeProbe::new();
        let waker = wakes.waker();
        let mut admitted = Vec::new();
        let mut waiting = VecDeque::new();
        let mut ready = Vec::new();
        for step in steps {
            match step {
                Step::Advance(ms) => clock.advance(MS * ms as u32),
                Step::Try(cells) => {
                    if limiter.try_acquire(cells).is_ok() {
                        admitted.push((clock.elapsed(), cells));
                    }
                }
                Step::Wait(cells) if cells <= burst => {
                    waiting.push_back((Box::pin(limiter.acquire(cells)), cells));
                }
                Step::Wait(cells) => {
                    let polled = poll(&mut Box::pin(limiter.acquire(cells)), &wakes);
                    prop_assert!(matches!(polled, Poll::Ready(Err(_))));
                }
                Step::Cancel(i) => {
                    if !waiting.is_empty() {
                        let _ = waiting.remove(i % waiting.len());
                    }
                }
                Step::Ready => {
                    let mut service = layer.layer(echo.clone());
                    if service.poll_ready(&mut Context::from_waker(&waker)).is_ready() {
                        ready.push((service, admitted.len()));
                        admitted.push((clock.elapsed(), 1));
                    }
                }
                Step::Unused(i) => {
                    if !ready.is_empty() {
                        let (service, index) = ready.swap_remove(i % ready.len());
                        drop(service);
                        admitted[index].1 = 0;
                    }
                }
            }
            // In turn: only a front that is pending holds up the others.
            let mut held_up = false;
            let mut rest = VecDeque::new();
            for (mut acquire, cells) in waiting {
                match poll(&mut acquire, &wakes) {
                    Poll::Ready(result) => {
                        prop_assert!(result.is_ok());
                        prop_assert!(!held_up, "somebody was overtaken");
                        admitted.push((clock.elapsed(), cells));
                    }
                    Poll::Pending => {
                        held_up = true;
                        rest.push_back((acquire, cells));
                    }
                }
            }
            waiting = rest;
        }
        keeps_to(&quota, &admitted)?;
        // Nothing is left behind: all that wait are served.
        let left: Vec<_> = waiting.into_iter().map(|(acquire, _)| acquire).collect();
        clock.block_on(futures::future::join_all(left));
        prop_assert_eq!(limiter.waiting(), 0);
    }

    /// In the long run the rate is reached.
    #[test]
    fn the_rate_is_reached(count in 1..1000_u32, burst in 1..20_u32, weight in 1..20_u32) {
        let clock = TestClock::new();
        let quota = Quota::per_second(nz(count)).with_burst(nz(burst));
        let limiter = RateLimiter::new(quota).with_timer(clock.clone());
        let weight = weight.min(burst);
        let rounds = 500_u32;
        clock.block_on(async {
            for _ in 0..rounds {
                limiter.acquire(weight).await.unwrap();
            }
        });
        let ideal = quota.replenish_interval() * (rounds * weight - burst.min(rounds * weight));
        prop_assert_eq!(clock.elapsed(), ideal);
        let rate = f64::from(count) * quota.replenish_interval().as_secs_f64();
        prop_assert!((1.0..1.000_001).contains(&rate));
    }
}

#[test]
fn quotas_are_checked() {
    assert_eq!(Quota::new(0, MS), Err(QuotaError::ZeroCount));
    assert_eq!(Quota::new(1, Duration::ZERO), Err(QuotaError::ZeroPeriod));
    assert_eq!(Quota::new(1, Duration::MAX), Err(QuotaError::PeriodTooLong));
    assert_eq!(Quota::per_minute(nz(60)).replenish_interval(), Duration::from_secs(1));
    // Rounded up: never faster than asked for.
    assert_eq!(Quota::per_second(nz(3)).replenish_interval(), Duration::from_nanos(333_333_334));
    assert_eq!(Quota::per_second(NonZeroU32::MAX).replenish_interval(), Duration::from_nanos(1));
    assert_eq!(Quota::new(7, MS * 7).unwrap().burst(), nz(7));
}

#[test]
fn extremes_saturate() {
    let clock = TestClock::new();
    let year = Duration::from_secs(86_400 * 365);
    let quota = Quota::new(1, year * 70).unwrap().with_burst(NonZeroU32::MAX);
    let limiter = RateLimiter::new(quota).with_timer(clock.clone());
    assert!(limiter.try_acquire(1).is_ok());
    assert!(limiter.try_acquire(u32::MAX).is_err());
    // Long after any process has ended: it still answers.
    clock.advance(year * 300);
    let _ = limiter.try_acquire(1);
}

// Fairness and cancellation.

#[test]
fn waiters_are_served_in_their_order() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 10);
    assert!(limiter.try_acquire(10).is_ok());
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks = [1, 7, 1, 10, 2].into_iter().enumerate().map(|(i, cells)| {
        let (limiter, order) = (limiter.clone(), order.clone());
        async move {
            limiter.acquire(cells).await.unwrap();
            order.lock().unwrap().push(i);
        }
    });
    clock.block_on(futures::future::join_all(tasks));
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(clock.elapsed(), MS * 2100);
}

#[test]
fn a_heavy_waiter_is_not_overtaken() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 10);
    assert!(limiter.try_acquire(10).is_ok());
    let wakes = WakeProbe::new();
    let mut heavy = Box::pin(limiter.acquire(10));
    assert!(poll(&mut heavy, &wakes).is_pending());
    for _ in 0..9 {
        clock.advance(MS * 100);
        let rejected = limiter.try_acquire(1).unwrap_err();
        // After the heavy one has had its turn.
        assert!(rejected.wait().unwrap() > MS * 100);
        let mut light = Box::pin(limiter.acquire(1));
        assert!(poll(&mut light, &wakes).is_pending());
    }
    clock.advance(MS * 100);
    assert!(poll(&mut heavy, &wakes).is_ready());
}

#[test]
fn a_dropped_head_passes_its_turn_on_at_once() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 10);
    assert!(limiter.try_acquire(10).is_ok());
    let (first, second, third) = (WakeProbe::new(), WakeProbe::new(), WakeProbe::new());
    let mut a = Box::pin(limiter.acquire(10));
    let mut b = Box::pin(limiter.acquire(1));
    let mut c = Box::pin(limiter.acquire(1));
    assert!(poll(&mut a, &first).is_pending());
    assert!(poll(&mut b, &second).is_pending());
    assert!(poll(&mut c, &third).is_pending());
    assert_eq!(clock.armed(), 1); // the first one's alone
    clock.advance(MS * 100);
    drop(a);
    assert!(second.take() && !third.take());
    assert!(poll(&mut b, &second).is_ready());
    assert!(third.take()); // it is the first now
    assert!(poll(&mut c, &third).is_pending());
    drop(c);
    assert_eq!((limiter.waiting(), clock.armed()), (0, 0));
    clock.advance(MS * 100);
    assert!(limiter.try_acquire(1).is_ok()); // the fast path is open again
}

#[test]
fn cells_that_are_given_back_wake_the_first() {
    let clock = TestClock::new();
    let quota = Quota::per_second(nz(1));
    let layer = service::RateLimitLayer::new(quota).with_timer(clock.clone());
    let echo = MockService::<u32, u32, Fault>::echo(&clock);
    let (mut a, mut b) = (layer.layer(echo.clone()), layer.layer(echo));
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let mut cx = Context::from_waker(&waker);
    assert!(a.poll_ready(&mut cx).is_ready());
    assert!(b.poll_ready(&mut cx).is_pending());
    drop(a);
    assert!(wakes.take());
    assert!(b.poll_ready(&mut cx).is_ready());
    assert_eq!(clock.elapsed(), Duration::ZERO);
}

#[test]
fn what_was_replenished_meanwhile_is_not_given_back() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 1);
    let layer = service::RateLimitLayer::shared(limiter.clone());
    let mut held = layer.layer(MockService::<u32, u32, Fault>::echo(&clock));
    clock.block_on(poll_fn(|cx| held.poll_ready(cx))).unwrap();
    clock.advance(Duration::from_secs(1));
    assert!(limiter.try_acquire(1).is_ok());
    drop(held);
    // Else two would have been admitted in one instant.
    assert!(limiter.try_acquire(1).is_err());
}

// governor's cases.

#[test]
fn rejects_too_many() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 2);
    for _ in 0..2 {
        assert!(limiter.try_acquire(1).is_ok());
        clock.advance(MS);
    }
    assert!(limiter.try_acquire(1).is_err());
    clock.advance(MS * 1000);
    assert!(limiter.try_acquire(1).is_ok());
    clock.advance(MS);
    assert!(limiter.try_acquire(1).is_ok());
    clock.advance(MS);
    assert!(limiter.try_acquire(1).is_err());
}

#[test]
fn does_not_allow_one_extra_cell_after_longer_interval() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 5);
    for _ in 0..2 {
        (0..5).for_each(|_| assert!(limiter.try_acquire(1).is_ok()));
        assert!(limiter.try_acquire(1).is_err());
        clock.advance(MS * 2000);
    }
}

#[test]
fn never_allows_more_than_capacity_all() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 4);
    assert!(limiter.try_acquire(2).is_ok() && limiter.try_acquire(2).is_ok());
    clock.advance(MS);
    assert!(limiter.try_acquire(2).is_err());
    clock.advance(MS * 1000);
    assert!(limiter.try_acquire(2).is_ok());
    clock.advance(MS);
    assert!(limiter.try_acquire(2).is_ok());
    clock.advance(MS);
    assert!(limiter.try_acquire(2).is_err());
}

#[test]
fn all_capacity_check_rejects_excess() {
    let limiter = limiter(&TestClock::new(), 5);
    for cost in [15, 7, 6] {
        let Err(Rejected::TooLarge(error)) = limiter.try_acquire(cost) else { panic!("admitted") };
        assert_eq!((error.cost, error.burst), (cost, 5));
    }
    assert!(limiter.try_acquire(5).is_ok());
}

#[test]
fn correct_wait_time() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 5);
    for _ in 0..20 {
        clock.advance(MS);
        if let Err(rejected) = limiter.try_acquire(1) {
            let wait = rejected.wait().unwrap();
            clock.advance(wait - Duration::from_nanos(1));
            assert!(limiter.try_acquire(1).is_err());
            clock.advance(Duration::from_nanos(1));
            assert!(limiter.try_acquire(1).is_ok());
        }
    }
}

#[test]
fn actual_threadsafety() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 20);
    std::thread::scope(|scope| {
        (0..20).for_each(|_| drop(scope.spawn(|| assert!(limiter.try_acquire(1).is_ok()))));
    });
    clock.advance(MS * 2);
    assert!(limiter.try_acquire(1).is_err());
    clock.advance(MS * 998);
    assert!(limiter.try_acquire(1).is_ok());
}

// Executors.

async fn ten_tasks(clock: TestClock) {
    let limiter = limiter(&clock, 10);
    let tasks = (0..30).map(|_| {
        let limiter = limiter.clone();
        async move { limiter.acquire(1).await.unwrap() }
    });
    let all = futures::future::join_all(tasks);
    clock.clone().auto(all).await;
    assert_eq!(clock.elapsed(), Duration::from_secs(2));
    let source = stream::iter((0..20).map(Ok::<_, Fault>));
    let layer = layers::RateLimitLayer::shared(limiter).weighted(|_: &i32| 2);
    let items: Vec<_> = clock.auto(source.layer(layer).try_collect()).await.unwrap();
    assert_eq!(items.len(), 20);
    assert_eq!(clock.elapsed(), Duration::from_secs(6));
}

#[test]
fn under_every_executor() {
    support::on_every_executor(|| ten_tasks(TestClock::new()));
}

#[test]
fn tasks_on_several_threads_are_all_served() {
    // Real time, in microseconds: what is checked is that nobody is forgotten.
    let quota = Quota::new(1, Duration::from_micros(20)).unwrap().with_burst(nz(4));
    let limiter = RateLimiter::new(quota);
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    multi.block_on(async {
        let tasks = (0..16).map(|i| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                for n in 0..20 {
                    let mut acquire = Box::pin(limiter.acquire(1 + (i + n) % 4));
                    if n % 3 == 0 {
                        // Given up after a poll.
                        let _ = futures::poll!(&mut acquire);
                        continue;
                    }
                    acquire.await.unwrap();
                }
            })
        });
        futures::future::try_join_all(tasks).await.unwrap();
    });
    assert_eq!(limiter.waiting(), 0);
}

#[test]
fn a_waiter_gets_what_it_queued_for() {
    let clock = TestClock::new();
    let limiter = limiter(&clock, 10);
    let mut waiter = Box::pin(limiter.waiter());
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(waiter.as_mut().poll_acquire(10, &mut cx).is_ready());
    assert!(waiter.as_mut().poll_acquire(4, &mut cx).is_pending());
    for other in [0, 11, 1] {
        assert!(waiter.as_mut().poll_acquire(other, &mut cx).is_pending());
    }
    clock.advance(MS * 400);
    assert_eq!(waiter.as_mut().poll_acquire(1, &mut cx), Poll::Ready(Ok(())));
    assert!(limiter.try_acquire(1).is_err());
    assert_eq!(limiter.waiting(), 0);
}
