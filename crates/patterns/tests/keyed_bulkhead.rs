//! Bulkheads with a compartment for each key.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures::FutureExt;
use proptest::prelude::*;
use tower::ServiceExt;
use ziggurat_patterns::concurrency::{BulkheadError, Semaphore};
use ziggurat_patterns::service::{KeyedBulkhead, KeyedBulkheadLayer};
use ziggurat_patterns::testing::laws::{self, Fault, Token};
use ziggurat_patterns::testing::{MockService, Reply};
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::{Layer, Service, ServiceLayerExt};

mod support;

const SECOND: Duration = Duration::from_secs(1);

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

#[test]
fn it_keeps_the_laws() {
    let inner = |error: &BulkheadError<Fault>| match error {
        BulkheadError::Inner(fault) => Some(*fault),
        _ => None,
    };
    for keys in [1, 2] {
        laws::service("keyed bulkhead", move |inner, clock| {
            let layer = KeyedBulkheadLayer::new(move |token: &Token| token.id() % keys, n(1), 4);
            layer.with_max_wait(SECOND * 60).with_timer(clock.clone()).layer(inner)
        })
        .faults(inner)
        .clones()
        .check();
    }
}

/// Requests are a tenant and a number.
type Request = (&'static str, u32);

#[test]
fn tenants_do_not_take_each_others_places() {
    let clock = TestClock::new();
    let inner = MockService::new(&clock, |request: &Request| {
        let reply = Reply::<u32, Fault>::ok(request.1);
        if request.0 == "slow" { reply.after(SECOND * 10) } else { reply }
    });
    let probe = inner.probe();
    let layer = KeyedBulkheadLayer::new(|request: &Request| request.0, n(2), 1);
    let layer = layer.with_max_wait(SECOND).with_timer(clock.clone());
    let (service, other) = (layer.layer(inner.clone()), layer.layer(inner));
    let mut slow: Vec<_> = (0..2).map(|n| Box::pin(service.clone().oneshot(("slow", n)))).collect();
    // All services of the layer share the compartments.
    let mut waits = Box::pin(other.clone().oneshot(("slow", 2)));
    slow.iter_mut().for_each(|call| assert!(call.now_or_never().is_none()));
    assert!((&mut waits).now_or_never().is_none());
    let full = clock.block_on(other.clone().oneshot(("slow", 3))).unwrap_err();
    assert!(full.is_full() && full.is_rejected());
    for n in 0..10 {
        assert_eq!(clock.block_on(other.clone().oneshot(("quick", n))), Ok(n));
    }
    assert_eq!(clock.elapsed(), Duration::ZERO);
    assert_eq!(layer.keys(), 1);
    let waited = clock.block_on(waits).unwrap_err();
    assert!(matches!(waited, BulkheadError::WaitedTooLong { after: SECOND }));
    for (n, call) in slow.into_iter().enumerate() {
        assert_eq!(clock.block_on(call), Ok(n as u32));
    }
    assert_eq!((layer.keys(), probe.calls()), (0, 12));
}

#[test]
fn the_keys_are_bounded() {
    let clock = TestClock::new();
    let inner = MockService::new(&clock, |_: &Request| Reply::<(), Fault>::never());
    let probe = inner.probe();
    let layer = KeyedBulkheadLayer::new(|request: &Request| request.0, n(1), 1).with_max_keys(n(2));
    let service = layer.with_timer(clock.clone()).layer(inner);
    let call = |tenant| service.clone().oneshot((tenant, 0)).boxed();
    let (mut a, mut b, mut waits) = (call("a"), call("b"), call("a"));
    for call in [&mut a, &mut b, &mut waits] {
        assert!(call.now_or_never().is_none());
    }
    let refused = call("c").now_or_never().unwrap().unwrap_err();
    assert!(matches!(refused, BulkheadError::TooManyKeys { max: 2 }));
    assert!(refused.is_full() && refused.is_rejected());
    drop(a);
    // `a` still has a call: the one that waited is served now, by the same semaphore.
    assert!((&mut waits).now_or_never().is_none());
    assert!(call("c").now_or_never().unwrap().is_err());
    let mut next = call("a");
    assert!((&mut next).now_or_never().is_none());
    assert_eq!((probe.calls(), probe.in_flight()), (3, 2));
    drop((waits, next));
    assert!(call("c").now_or_never().is_none());
    drop(b);
    assert_eq!(probe.in_flight(), 0);
}

#[test]
fn a_completed_future_holds_no_key() {
    let clock = TestClock::new();
    let layer = KeyedBulkheadLayer::new(|request: &Request| request.0, n(1), 0);
    let layer = layer.with_timer(clock.clone());
    let service = layer.layer(MockService::<Request, Request, Fault>::echo(&clock));
    let mut done = Box::pin(service.clone().oneshot(("a", 1)));
    assert_eq!(clock.block_on(done.as_mut()), Ok(("a", 1)));
    assert_eq!(layer.keys(), 0);
    assert_eq!(clock.block_on(service.oneshot(("a", 2))), Ok(("a", 2)));
    drop(done);
}

#[derive(Debug, Clone)]
enum Step {
    Call(u8),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![(0..5_u8).prop_map(Step::Call), any::<usize>().prop_map(Step::Drop)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// It behaves as the obvious model does: for each key a queue, of which the first few are served.
    #[test]
    fn it_is_a_queue_per_key(
        steps in prop::collection::vec(step(), 1..100),
        max_calls in 1..3_usize,
        max_waiting in 0..3_usize,
        max_keys in 1..5_usize,
    ) {
        let clock = TestClock::new();
        let inner = MockService::new(&clock, |_: &u8| Reply::<(), Fault>::never());
        let probe = inner.probe();
        let layer = KeyedBulkheadLayer::new(|key: &u8| *key, n(max_calls), max_waiting);
        let layer = layer.with_max_keys(n(max_keys)).with_timer(clock.clone());
        let mut service = layer.layer(inner);
        let mut model: BTreeMap<u8, usize> = BTreeMap::new();
        let mut calls = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        for step in steps {
            match step {
                Step::Call(key) => {
                    let mut call = Box::pin(service.call(key));
                    let here = model.get(&key).copied().unwrap_or(0);
                    let polled = call.as_mut().poll(&mut cx);
                    match polled {
                        Poll::Pending => {
                            prop_assert!(here < max_calls + max_waiting);
                            prop_assert!(here > 0 || model.len() < max_keys);
                            *model.entry(key).or_default() += 1;
                            calls.push((key, call));
                        }
                        Poll::Ready(Err(BulkheadError::Full { .. })) => {
                            prop_assert_eq!(here, max_calls + max_waiting);
                        }
                        Poll::Ready(Err(BulkheadError::TooManyKeys { .. })) => {
                            prop_assert!(here == 0 && model.len() == max_keys);
                        }
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
                Step::Drop(_) if calls.is_empty() => {}
                Step::Drop(i) => {
                    let (key, call) = calls.swap_remove(i % calls.len());
                    drop(call);
                    let left = model.get_mut(&key).unwrap();
                    *left -= 1;
                    if *left == 0 {
                        model.remove(&key);
                    }
                }
            }
            for (_, call) in &mut calls {
                prop_assert!(call.as_mut().poll(&mut cx).is_pending());
            }
            let served: usize = model.values().map(|calls| max_calls.min(*calls)).sum();
            prop_assert_eq!((layer.keys(), probe.in_flight()), (model.len(), served));
        }
    }
}

/// A key whose clone and drop make another call with that key, as those of an interner may.
#[derive(PartialEq, Eq, Hash)]
struct Reentrant(u32);

type Keyed =
    KeyedBulkhead<MockService<u32, u32, Fault>, fn(&u32) -> Reentrant, Reentrant, TestClock>;

static KEYED: OnceLock<Mutex<Keyed>> = OnceLock::new();

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn reenter(key: u32) {
    if INSIDE.replace(true) {
        return;
    }
    if let Some(service) = KEYED.get() {
        // Takes the same shard's lock, and gives it back.
        let call = service.lock().unwrap().call(key);
        drop(call);
    }
    INSIDE.set(false);
}

impl Clone for Reentrant {
    fn clone(&self) -> Self {
        reenter(self.0);
        Reentrant(self.0)
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        reenter(self.0);
    }
}

#[test]
fn keys_are_cloned_and_dropped_with_no_lock_held() {
    let done = std::thread::spawn(|| {
        let clock = TestClock::new();
        let key: fn(&u32) -> Reentrant = |n| Reentrant(*n);
        let layer = KeyedBulkheadLayer::new(key, n(1), 0).with_timer(clock.clone());
        let mut service = layer.layer(MockService::echo(&clock));
        KEYED.get_or_init(|| Mutex::new(service.clone()));
        for n in 0..100 {
            assert_eq!(clock.block_on(service.call(n)), Ok(n));
        }
        assert_eq!(layer.keys(), 0);
    });
    let start = Instant::now();
    while !done.is_finished() {
        assert!(start.elapsed() < Duration::from_secs(60), "a deadlock");
        std::thread::yield_now();
    }
    done.join().unwrap();
}

/// One call that goes on.
struct Inside(Arc<[AtomicUsize; 3]>, usize);

impl Inside {
    fn new(counts: &Arc<[AtomicUsize; 3]>, key: usize) -> Self {
        assert!(counts[key].fetch_add(1, Ordering::SeqCst) < 2);
        Inside(Arc::clone(counts), key)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0[self.1].fetch_sub(1, Ordering::SeqCst);
    }
}

/// Many tasks of three keys, never more than two of one at a time, each served.
async fn crowd(spawn: fn(support::Task)) {
    let counts: Arc<[AtomicUsize; 3]> = Arc::default();
    let inner = tower::service_fn(move |key: usize| {
        let counts = Arc::clone(&counts);
        async move {
            let _inside = Inside::new(&counts, key);
            smol::future::yield_now().await;
            Ok::<_, Fault>(key)
        }
    });
    let service = ServiceLayerExt::<usize>::keyed_bulkhead(inner, |key: &usize| *key, n(2), 1000);
    let done = Semaphore::new(0);
    for task in 0..30 {
        let (done, service) = (done.clone(), service.clone());
        spawn(Box::pin(async move {
            for n in 0..20 {
                let key = (task + n) % 3;
                if n % 5 == 0 {
                    let mut gives_up = Box::pin(service.clone().oneshot(key));
                    let _ = futures::poll!(&mut gives_up);
                }
                assert_eq!(service.clone().oneshot(key).await.unwrap(), key);
            }
            done.add_permits(1);
        }));
    }
    drop(done.acquire_many(30).await.unwrap());
}

#[test]
fn under_every_executor() {
    support::with_every_spawner(crowd);
}
