//! Concurrency limits and bulkheads: the laws of layers, fairness, and tower's and tokio's own cases.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tower::ServiceExt;
use ziggurat_patterns::concurrency::{BulkheadError, PollSemaphore, Semaphore, TryAcquireError};
use ziggurat_patterns::testing::laws::{self, Fault};
use ziggurat_patterns::testing::{MockService, Reply, WakeProbe};
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::{Layer, Service, service};

mod support;

const SECOND: Duration = Duration::from_secs(1);

fn poll<F: Future + Unpin>(future: &mut F, wakes: &WakeProbe) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&wakes.waker()))
}

fn ready<S: Service<R>, R>(service: &mut S, wakes: &WakeProbe) -> bool {
    let waker = wakes.waker();
    match service.poll_ready(&mut Context::from_waker(&waker)) {
        Poll::Ready(result) => result.is_ok(),
        Poll::Pending => false,
    }
}

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn layer(max: usize) -> service::ConcurrencyLimitLayer {
    service::ConcurrencyLimitLayer::new(n(max))
}

#[test]
fn the_layers_keep_the_laws() {
    for max in [1, 3] {
        laws::service("concurrency limit", |inner, _| layer(max).layer(inner))
            .faults(|fault| Some(*fault))
            .clones()
            .check();
    }
    let inner = |error: &BulkheadError<Fault>| match error {
        BulkheadError::Inner(fault) => Some(*fault),
        _ => None,
    };
    laws::service("bulkhead", |inner, clock| {
        let layer = service::BulkheadLayer::new(n(1), 4).with_max_wait(SECOND * 60);
        layer.with_timer(clock.clone()).layer(inner)
    })
    .faults(inner)
    .clones()
    .check();
}

// tower's cases.

type Mock = MockService<&'static str, &'static str, Fault>;

/// Answers after a second.
fn slow(clock: &TestClock) -> Mock {
    MockService::new(clock, |request: &&'static str| Reply::ok(*request).after(SECOND))
}

#[test]
fn basic_service_limit_functionality() {
    let clock = TestClock::new();
    let inner = slow(&clock);
    let probe = inner.probe();
    let mut service = layer(2).layer(inner);
    let wakes = WakeProbe::new();
    assert!(ready(&mut service, &wakes));
    let r1 = service.call("hello 1");
    assert!(ready(&mut service, &wakes));
    let r2 = service.call("hello 2");
    assert!(!ready(&mut service, &wakes));
    assert!(!wakes.take());
    assert_eq!(probe.requests(), ["hello 1", "hello 2"]);
    assert_eq!(clock.block_on(r1), Ok("hello 1"));
    assert!(wakes.take());
    assert!(ready(&mut service, &wakes));
    let r3 = service.call("hello 3");
    assert!(!ready(&mut service, &wakes));
    assert_eq!(clock.block_on(r2), Ok("hello 2"));
    assert_eq!(clock.block_on(r3), Ok("hello 3"));
    assert_eq!(probe.max_in_flight(), 2);
}

#[test]
fn request_without_capacity() {
    let clock = TestClock::new();
    let global = service::GlobalConcurrencyLimitLayer::with_semaphore(Semaphore::new(0));
    assert!(!ready(&mut global.layer(slow(&clock)), &WakeProbe::new()));
}

#[test]
fn reserve_capacity_without_sending_request() {
    let clock = TestClock::new();
    let mut s1 = layer(1).layer(slow(&clock));
    let mut s2 = s1.clone();
    let wakes = WakeProbe::new();
    assert!(ready(&mut s1, &wakes));
    assert!(!ready(&mut s2, &wakes));
    let r1 = s1.call("hello");
    assert!(!ready(&mut s2, &wakes));
    assert_eq!(clock.block_on(r1), Ok("hello"));
    assert!(ready(&mut s2, &wakes));
}

#[test]
fn service_drop_frees_capacity() {
    let clock = TestClock::new();
    let mut s1 = layer(1).layer(slow(&clock));
    let mut s2 = s1.clone();
    let wakes = WakeProbe::new();
    assert!(ready(&mut s1, &WakeProbe::new()));
    assert!(!ready(&mut s2, &wakes));
    drop(s1);
    assert!(wakes.take());
    assert!(ready(&mut s2, &wakes));
}

#[test]
fn response_error_releases_capacity() {
    let clock = TestClock::new();
    let fails = MockService::<_, &str, _>::new(&clock, |_: &&str| Reply::err(Fault(1)));
    let mut s1 = layer(1).layer(fails);
    let mut s2 = s1.clone();
    let wakes = WakeProbe::new();
    assert!(ready(&mut s1, &wakes));
    assert_eq!(clock.block_on(s1.call("hello")), Err(Fault(1)));
    assert!(ready(&mut s2, &wakes));
}

#[test]
fn response_future_drop_releases_capacity() {
    let clock = TestClock::new();
    let mut s1 = layer(1).layer(slow(&clock));
    let mut s2 = s1.clone();
    let wakes = WakeProbe::new();
    assert!(ready(&mut s1, &wakes));
    let r1 = s1.call("hello");
    assert!(!ready(&mut s2, &wakes));
    drop(r1);
    assert!(ready(&mut s2, &wakes));
}

#[test]
fn multi_waiters() {
    let clock = TestClock::new();
    let mut s1 = layer(1).layer(slow(&clock));
    let (mut s2, mut s3) = (s1.clone(), s1.clone());
    let (second, third) = (WakeProbe::new(), WakeProbe::new());
    assert!(ready(&mut s1, &WakeProbe::new()));
    assert!(!ready(&mut s2, &second));
    assert!(!ready(&mut s3, &third));
    drop(s1);
    assert!(second.take());
    assert!(!third.take());
    drop(s2);
    assert!(third.take());
}

#[test]
fn a_completed_future_holds_nothing() {
    let clock = TestClock::new();
    let mut service = layer(1).layer(slow(&clock));
    let wakes = WakeProbe::new();
    assert!(ready(&mut service, &wakes));
    let mut response = Box::pin(service.call("hello"));
    assert_eq!(clock.block_on(response.as_mut()), Ok("hello"));
    // The future is still there.
    assert!(ready(&mut service, &wakes));
    drop(response);
}

#[test]
fn who_shares_the_limit() {
    let clock = TestClock::new();
    let wakes = WakeProbe::new();
    let own = layer(1);
    let (mut a, mut b) = (own.layer(slow(&clock)), own.layer(slow(&clock)));
    assert!(ready(&mut a, &wakes) && ready(&mut b, &wakes));
    let global = service::GlobalConcurrencyLimitLayer::new(n(1));
    let (mut a, mut b) = (global.layer(slow(&clock)), global.layer(slow(&clock)));
    assert!(ready(&mut a, &wakes) && !ready(&mut b, &wakes));
    global.semaphore().add_permits(1);
    assert!(wakes.take() && ready(&mut b, &wakes));
}

// The semaphore.

#[test]
fn permits_are_counted() {
    let semaphore = Semaphore::new(3);
    let two = semaphore.try_acquire_many(2).unwrap();
    assert_eq!(semaphore.try_acquire_many(2).unwrap_err(), TryAcquireError::NoPermits);
    let one = semaphore.try_acquire().unwrap();
    assert_eq!(semaphore.available_permits(), 0);
    drop(two);
    one.forget();
    assert_eq!(semaphore.available_permits(), 2);
    semaphore.add_permits(usize::MAX);
    assert!(semaphore.available_permits() > u32::MAX as usize);
}

#[test]
fn many_are_not_overtaken_by_few() {
    let semaphore = Semaphore::new(3);
    let (a, b, c) = (WakeProbe::new(), WakeProbe::new(), WakeProbe::new());
    let held = semaphore.try_acquire_many(3).unwrap();
    let mut many = semaphore.acquire_many(3);
    let mut few = semaphore.acquire();
    let mut last = semaphore.acquire();
    assert!(poll(&mut many, &a).is_pending());
    assert!(poll(&mut few, &b).is_pending());
    assert!(poll(&mut last, &c).is_pending());
    semaphore.add_permits(1);
    assert!(!a.take() && !b.take() && !c.take());
    assert!(semaphore.try_acquire().is_err());
    drop(many); // who wanted much goes: the others are served by what there is
    assert!(b.take() && !c.take());
    assert!(poll(&mut few, &b).is_ready());
    drop(held);
    assert!(c.take());
    assert_eq!(semaphore.available_permits(), 3);
    drop(last);
    assert_eq!(semaphore.available_permits(), 4);
}

#[test]
fn a_permit_that_was_handed_to_who_gives_up_goes_on() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let (a, b) = (WakeProbe::new(), WakeProbe::new());
    let (mut first, mut second) = (semaphore.acquire(), semaphore.acquire());
    assert!(poll(&mut first, &a).is_pending() && poll(&mut second, &b).is_pending());
    drop(held);
    assert!(a.take() && !b.take());
    drop(first);
    assert!(b.take());
    assert!(poll(&mut second, &b).is_ready());
}

#[test]
fn the_limit_shrinks_while_permits_are_out() {
    let semaphore = Semaphore::new(4);
    let held: Vec<_> = (0..3).map(|_| semaphore.try_acquire().unwrap()).collect();
    semaphore.forget_permits(3);
    assert_eq!(semaphore.available_permits(), 0);
    let wakes = WakeProbe::new();
    let mut acquire = semaphore.acquire();
    assert!(poll(&mut acquire, &wakes).is_pending());
    let mut held = held.into_iter();
    drop(held.next());
    drop(held.next());
    assert!(!wakes.take()); // those two were owed
    drop(held.next());
    assert!(wakes.take() && poll(&mut acquire, &wakes).is_ready());
    assert_eq!(semaphore.available_permits(), 1);
    assert!(semaphore.try_acquire().is_ok()); // the fast path is open again
}

#[test]
fn closing_wakes_who_waits() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let wakes = WakeProbe::new();
    let mut acquire = semaphore.acquire();
    assert!(poll(&mut acquire, &wakes).is_pending());
    semaphore.close();
    assert!(wakes.take());
    assert!(matches!(poll(&mut acquire, &wakes), Poll::Ready(Err(_))));
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    drop(held);
    assert_eq!((semaphore.available_permits(), semaphore.waiting()), (1, 0));
    assert!(matches!(poll(&mut semaphore.acquire(), &wakes), Poll::Ready(Err(_))));
}

#[test]
fn a_polled_slot_gives_up_what_it_has() {
    let semaphore = Semaphore::new(1);
    let mut cx = Context::from_waker(Waker::noop());
    let mut a = PollSemaphore::new(semaphore.clone());
    let mut b = a.clone();
    assert!(a.poll_ready(&mut cx).is_ready() && b.poll_ready(&mut cx).is_pending());
    assert_eq!(semaphore.waiting(), 1);
    a.give_up();
    assert!(b.poll_ready(&mut cx).is_ready());
    drop(b);
    assert!(a.take().is_none());
    assert_eq!(semaphore.available_permits(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Acquire(u32),
    Cancel(usize),
    Release(usize),
    Add(usize),
    Forget(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u32).prop_map(Step::Acquire),
        1 => any::<usize>().prop_map(Step::Cancel),
        4 => any::<usize>().prop_map(Step::Release),
        1 => (0..3_usize).prop_map(Step::Add),
        1 => (0..3_usize).prop_map(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// It behaves as the obvious model does: a number, and a queue.
    #[test]
    fn it_is_a_number_and_a_queue(
        steps in prop::collection::vec(step(), 1..150),
        permits in 0..5_usize,
    ) {
        let semaphore = Semaphore::new(permits);
        let mut free = permits as i64;
        let mut waiting = VecDeque::new();
        let mut held: Vec<ziggurat_patterns::concurrency::Permit> = Vec::new();
        for step in steps {
            match step {
                Step::Acquire(n) => {
                    let mut acquire = semaphore.acquire_many(n);
                    let wakes = WakeProbe::new();
                    match poll(&mut acquire, &wakes) {
                        Poll::Ready(permit) => {
                            prop_assert!(waiting.is_empty() && i64::from(n) <= free.max(0));
                            free -= i64::from(n);
                            held.push(permit.unwrap());
                        }
                        Poll::Pending => waiting.push_back((acquire, wakes, n)),
                    }
                }
                Step::Cancel(i) if !waiting.is_empty() => {
                    let _ = waiting.remove(i % waiting.len());
                }
                Step::Release(i) if !held.is_empty() => {
                    let permit = held.swap_remove(i % held.len());
                    free += i64::from(permit.permits());
                }
                Step::Add(n) => {
                    semaphore.add_permits(n);
                    free += n as i64;
                }
                Step::Forget(n) => {
                    semaphore.forget_permits(n);
                    free -= n as i64;
                }
                _ => {}
            }
            // Those at the front for whom there are enough are woken, and nobody else.
            while let Some((mut acquire, wakes, n)) = waiting.pop_front() {
                if i64::from(n) > free.max(0) {
                    prop_assert!(!wakes.take());
                    waiting.push_front((acquire, wakes, n));
                    break;
                }
                prop_assert!(wakes.take());
                let Poll::Ready(Ok(permit)) = poll(&mut acquire, &wakes) else {
                    return Err(TestCaseError::fail("it was woken for nothing"));
                };
                free -= i64::from(n);
                held.push(permit);
            }
            prop_assert_eq!(semaphore.available_permits() as i64, free.max(0));
            prop_assert_eq!(semaphore.waiting(), waiting.len());
        }
    }
}

// Bulkheads.

#[test]
fn a_bulkhead_bounds_its_queue_in_length_and_time() {
    let clock = TestClock::new();
    let inner = MockService::new(&clock, |_: &u32| Reply::<u32, Fault>::never());
    let probe = inner.probe();
    let layer =
        service::BulkheadLayer::new(n(1), 2).with_max_wait(SECOND).with_timer(clock.clone());
    let service = layer.layer(inner);
    let wakes = WakeProbe::new();
    let mut served = Box::pin(service.clone().oneshot(0));
    let mut second = Box::pin(service.clone().oneshot(1));
    let mut third = Box::pin(service.clone().oneshot(2));
    assert!(poll(&mut served, &wakes).is_pending());
    assert!(poll(&mut second, &wakes).is_pending());
    clock.advance(SECOND / 2);
    assert!(poll(&mut third, &wakes).is_pending());
    let full = clock.block_on(service.clone().oneshot(3)).unwrap_err();
    assert!(full.is_full() && full.is_rejected());
    clock.advance(SECOND / 2);
    let Poll::Ready(Err(BulkheadError::WaitedTooLong { after })) = poll(&mut second, &wakes) else {
        panic!("it still waits");
    };
    assert_eq!((after, layer.semaphore().waiting()), (SECOND, 1));
    assert!(poll(&mut third, &wakes).is_pending());
    drop(served);
    assert!(poll(&mut third, &wakes).is_pending()); // is being served now
    assert_eq!((probe.calls(), probe.in_flight(), clock.armed()), (2, 1, 1));
    drop(third);
    assert_eq!(layer.semaphore().available_permits(), 1);
}

#[test]
fn without_a_queue_nobody_waits() {
    let clock = TestClock::new();
    let layer = service::BulkheadLayer::new(n(1), 0).with_timer(clock.clone());
    let service = layer.layer(MockService::<u32, u32, Fault>::echo(&clock));
    assert_eq!(clock.block_on(service.clone().oneshot(1)), Ok(1));
    let permit = layer.semaphore().try_acquire().unwrap();
    assert!(clock.block_on(service.clone().oneshot(2)).unwrap_err().is_full());
    drop(permit);
    assert_eq!(clock.block_on(service.clone().oneshot(3)), Ok(3));
    layer.semaphore().close();
    assert!(matches!(clock.block_on(service.oneshot(4)), Err(BulkheadError::Closed(_))));
}

// Executors.

/// Many tasks, never more than three at a time, each served.
async fn crowd(spawn: fn(support::Task)) {
    let semaphore = Semaphore::new(3);
    let done = Semaphore::new(0);
    let inside = std::sync::Arc::new(AtomicUsize::new(0));
    for _ in 0..50 {
        let (semaphore, done, inside) = (semaphore.clone(), done.clone(), inside.clone());
        spawn(Box::pin(async move {
            for n in 0..20 {
                if n % 5 == 0 {
                    let mut gives_up = semaphore.acquire();
                    let _ = futures::poll!(&mut gives_up);
                }
                let permit = semaphore.acquire().await.unwrap();
                assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                smol::future::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            }
            done.add_permits(1);
        }));
    }
    drop(done.acquire_many(50).await.unwrap());
    assert_eq!((semaphore.available_permits(), semaphore.waiting()), (3, 0));
}

#[test]
fn under_every_executor() {
    support::with_every_spawner(crowd);
}

#[test]
fn readiness_waits_for_the_service_inside_too() {
    let clock = TestClock::new();
    let inner = MockService::<u32, u32, Fault>::echo(&clock).not_ready(2);
    let mut service = layer(1).layer(inner);
    clock.block_on(poll_fn(|cx| service.poll_ready(cx))).unwrap();
    assert_eq!(service.semaphore().available_permits(), 0);
}

#[test]
fn who_waits_when_it_is_closed_is_not_admitted_later() {
    let wakes = WakeProbe::new();
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut waits = semaphore.acquire();
    assert!(poll(&mut waits, &wakes).is_pending());
    semaphore.close();
    // Given back between the close and the poll that was woken by it.
    drop(held);
    assert!(matches!(poll(&mut waits, &wakes), Poll::Ready(Err(_))));
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn a_service_that_failed_to_become_ready_holds_no_permit() {
    let clock = TestClock::new();
    let semaphore = Semaphore::new(1);
    let inner = MockService::<u32, u32, _>::echo(&clock).ready_error(Fault(1));
    let mut service = service::ConcurrencyLimit::new(inner, semaphore.clone());
    assert!(!ready(&mut service, &WakeProbe::new()));
    assert_eq!(semaphore.available_permits(), 1);
}
