//! What retries, hedges and circuit breakers cost a call that is answered at once.
//!
//! The peers are tower's retry and hedge. tower has no circuit breaker: the bare call is its limit.

mod echo;
#[path = "../../../benches/support/mod.rs"]
mod support;

use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use echo::Echo;
use support::{Case, Unit, case, compare};
use tower::retry::budget::{Budget as _, TpsBudget};
use ziggurat_patterns::circuit_breaker::{CircuitBreaker, Config};
use ziggurat_patterns::retry::{Backoff, NoBackoff, RetryBudget};
use ziggurat_patterns::service::{HedgeLayer, RetryLayer};
use ziggurat_patterns::{Service, ServiceLayerExt};

const CALLS: u64 = 1 << 16;

/// Calls that are answered at once, one after the other.
///
/// With `in_memory`, futures are where a task or a box has them: in memory, where all of each is written.
/// Without it the compiler sees all there is, and removes what it can.
fn calls<S: Service<u64, Response = u64>>(service: &mut S, in_memory: bool) -> u64 {
    let mut cx = Context::from_waker(Waker::noop());
    let mut sum = 0_u64;
    for request in 0..CALLS {
        assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
        let mut future = pin!(service.call(black_box(request)));
        if in_memory {
            black_box(&mut future);
        }
        let Poll::Ready(Ok(response)) = future.poll(&mut cx) else { panic!("no answer") };
        sum = sum.wrapping_add(black_box(response));
    }
    black_box(sum);
    CALLS
}

fn of<'a, S>(name: &'a str, mut service: S) -> Case<'a>
where
    S: Service<u64, Response = u64> + 'a,
{
    case(name, move || calls(&mut service, true))
}

fn inlined<'a, S>(name: &'a str, mut service: S) -> Case<'a>
where
    S: Service<u64, Response = u64> + 'a,
{
    case(name, move || calls(&mut service, false))
}

/// tower's policy with what ours has: three attempts, an exponential backoff.
#[derive(Clone)]
struct TowerPolicy {
    retries: u32,
    backoff: tower::retry::backoff::ExponentialBackoff,
    budget: Option<Arc<TpsBudget>>,
}

impl TowerPolicy {
    fn new(budget: Option<Arc<TpsBudget>>) -> Self {
        use tower::retry::backoff::{ExponentialBackoffMaker, MakeBackoff};
        let backoff = ExponentialBackoffMaker::default().make_backoff();
        TowerPolicy { retries: 3, backoff, budget }
    }
}

impl<E> tower::retry::Policy<u64, u64, E> for TowerPolicy {
    type Future = tokio::time::Sleep;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, E>) -> Option<Self::Future> {
        use tower::retry::backoff::Backoff;
        match result {
            Ok(_) => {
                if let Some(budget) = &self.budget {
                    budget.deposit();
                }
                None
            }
            Err(_) => {
                if self.retries == 0 || self.budget.as_ref().is_some_and(|b| !b.withdraw()) {
                    return None;
                }
                self.retries -= 1;
                Some(self.backoff.next_backoff())
            }
        }
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

/// tower's policy of its own tests: three attempts, at once.
#[derive(Clone)]
struct Limit(u32);

impl<E> tower::retry::Policy<u64, u64, E> for Limit {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, E>) -> Option<Self::Future> {
        if result.is_ok() || self.0 == 0 {
            return None;
        }
        self.0 -= 1;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

/// The least that tower's retry can be: no backoff, no limit.
#[derive(Clone)]
struct Least;

impl<E> tower::retry::Policy<u64, u64, E> for Least {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, E>) -> Option<Self::Future> {
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

#[derive(Clone)]
struct HedgePolicy;

impl tower::hedge::Policy<u64> for HedgePolicy {
    fn clone_request(&self, request: &u64) -> Option<u64> {
        Some(*request)
    }

    fn can_retry(&self, _: &u64) -> bool {
        true
    }
}

fn main() {
    let second = Duration::from_secs(1);
    let ours = RetryLayer::new(Backoff::exponential(second).with_full_jitter());
    let ten = Duration::from_secs(10);
    let rounds = 101;
    compare(
        "retry 3 times at once, answered at once",
        Unit::Nanoseconds,
        rounds,
        vec![
            of("tower::retry", tower::retry::Retry::new(Limit(3), Echo)),
            of("tower::retry, without a limit", tower::retry::Retry::new(Least, Echo)),
            of("ours", Echo.retry(NoBackoff)),
            of("no layer", Echo),
        ],
    );
    compare(
        "retry 3 times with an exponential backoff, answered at once",
        Unit::Nanoseconds,
        rounds,
        vec![
            of("tower::retry", tower::retry::Retry::new(TowerPolicy::new(None), Echo)),
            of("ours", Echo.layer(ours.clone())),
            of("ours, 5 seconds at most", Echo.layer(ours.clone().max_elapsed(5 * second))),
        ],
    );
    compare(
        "the same, where the compiler sees everything",
        Unit::Nanoseconds,
        rounds,
        vec![
            inlined("tower::retry, at once", tower::retry::Retry::new(Limit(3), Echo)),
            inlined(
                "tower::retry, backoff",
                tower::retry::Retry::new(TowerPolicy::new(None), Echo),
            ),
            inlined("ours, at once", Echo.retry(NoBackoff)),
            inlined("ours, backoff", Echo.layer(ours.clone())),
            inlined("no layer", Echo),
        ],
    );
    let tower_budget = Some(Arc::new(TpsBudget::new(ten, 10, 0.2)));
    let budget = RetryBudget::new(ten, 10, 20).expect("a budget");
    compare(
        "retry with a budget, answered at once",
        Unit::Nanoseconds,
        rounds,
        vec![
            of("tower::retry", tower::retry::Retry::new(TowerPolicy::new(tower_budget), Echo)),
            of("ours", Echo.layer(ours.budget(budget))),
        ],
    );

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let _context = runtime.enter(); // tower's arms tokio's timer with each call
    let percentile = HedgeLayer::percentile(95.0, ten, 100).expect("a percentile");
    compare(
        "hedge, answered at once",
        Unit::Nanoseconds,
        rounds,
        vec![
            of("tower::hedge", tower::hedge::Hedge::new(Echo, HedgePolicy, 100, 0.95, ten)),
            of("ours, percentile", Echo.layer(percentile)),
            of("ours, fixed delay", Echo.hedge(second)),
        ],
    );

    let n = |n| NonZeroU32::new(n).expect("not zero");
    let breaker = |config| Echo.circuit_breaker(CircuitBreaker::new(config).expect("a breaker"));
    compare(
        "closed circuit breaker, answered at once",
        Unit::Nanoseconds,
        rounds,
        vec![
            of("no layer", Echo),
            of("consecutive failures", breaker(Config::consecutive(n(5)))),
            of("last 100 calls", breaker(Config::count(n(100), 50))),
            of("last 10 seconds", breaker(Config::time(ten, 50))),
            of(
                "last 100 calls, slow ones",
                breaker(Config::count(n(100), 50).with_slow_calls(ten, 50)),
            ),
        ],
    );
}
