//! Backoffs and budgets: tables and tests of the peers (backon's backoffs, tower's budget), and laws.

use std::time::Duration;

use proptest::prelude::*;
use tower::ServiceExt;
use ziggurat_patterns::ServiceLayerExt;
use ziggurat_patterns::retry::{Backoff, Budget, GaveUp, MakeBackoff, RetryBudget};
use ziggurat_patterns::service::RetryLayer;
use ziggurat_patterns::testing::{Fault, MockService, Reply};
use ziggurat_patterns::time::TestClock;

const SECS: fn(u64) -> Duration = Duration::from_secs;
const MS: fn(u64) -> Duration = Duration::from_millis;
const LONGEST: Duration = Duration::from_nanos(u64::MAX);

fn take(backoff: impl MakeBackoff, n: usize) -> Vec<Duration> {
    backoff.delays().take(n).collect()
}

// backon's tables, without its limit of attempts.

#[test]
fn constant() {
    assert_eq!(take(Backoff::constant(SECS(1)), 4), [SECS(1); 4]);
    assert!(Backoff::constant(SECS(1)).delays().take(10_000).all(|delay| delay == SECS(1)));
    assert_eq!(take(Backoff::none(), 2), [Duration::ZERO; 2]);
}

#[test]
fn linear() {
    assert_eq!(take(Backoff::linear(SECS(1), SECS(3)), 4), [1, 4, 7, 10].map(SECS));
    assert_eq!(take(Backoff::linear(SECS(1), SECS(3)).with_max(SECS(5)), 3), [1, 4, 5].map(SECS));
    assert_eq!(take(Backoff::linear(LONGEST, SECS(3)), 3), [LONGEST; 3]);
}

#[test]
fn exponential() {
    assert_eq!(take(Backoff::exponential(SECS(1)), 3), [1, 2, 4].map(SECS));
    let half = Backoff::exponential_by(SECS(1), 1.5).unwrap();
    assert_eq!(take(half, 3), [1000, 1500, 2250].map(MS));
    assert_eq!(take(Backoff::exponential(MS(500)), 3), [500, 1000, 2000].map(MS));
    assert_eq!(take(Backoff::exponential(SECS(1)).with_max(SECS(2)), 3), [1, 2, 2].map(SECS));
    let steep = Backoff::exponential_by(SECS(1), 10_000_000_000.0).unwrap();
    let (first, second) = (SECS(1), SECS(10_000_000_000));
    assert_eq!(take(steep, 4), [first, second, LONGEST, LONGEST]);
    for factor in [0.5, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Backoff::exponential_by(SECS(1), factor).is_err(), "{factor}");
    }
}

#[test]
fn fibonacci() {
    assert_eq!(take(Backoff::fibonacci(SECS(1)), 6), [1, 1, 2, 3, 5, 8].map(SECS));
    assert_eq!(take(Backoff::fibonacci(MS(500)), 4), [500, 500, 1000, 1500].map(MS));
    let capped = Backoff::fibonacci(SECS(1)).with_max(SECS(4));
    assert_eq!(take(capped, 6), [1, 1, 2, 3, 4, 4].map(SECS));
    assert_eq!(Backoff::fibonacci(SECS(1)).delays().nth(200), Some(LONGEST));
}

#[test]
fn backons_own_agree() {
    use backon::{BackoffBuilder, ExponentialBuilder, FibonacciBuilder};
    // A maximum that is in the sequence: backon lets the first delay beyond it through.
    let theirs = FibonacciBuilder::default().with_max_times(9).with_max_delay(SECS(21));
    let ours = Backoff::fibonacci(SECS(1)).with_max(SECS(21));
    assert_eq!(take(move || theirs.build(), 99), take(ours, 9));
    let theirs = ExponentialBuilder::default().with_max_times(9).with_max_delay(SECS(20));
    let ours = Backoff::exponential(SECS(1)).with_max(SECS(20));
    assert_eq!(take(move || theirs.build(), 99), take(ours, 9));
}

#[test]
fn what_has_no_seed_differs() {
    let backoff = Backoff::constant(SECS(1)).with_full_jitter();
    assert_ne!(take(backoff, 9), take(backoff, 9));
    assert_ne!(take(backoff.with_seed(1), 9), take(backoff.with_seed(2), 9));
}

fn any_shape() -> impl Strategy<Value = Backoff> {
    let nanos = prop_oneof![0..10_u64, 0..10_000_000_000_u64, any::<u64>()];
    let nanos = nanos.prop_map(Duration::from_nanos);
    prop_oneof![
        nanos.clone().prop_map(Backoff::constant),
        (nanos.clone(), nanos.clone()).prop_map(|(a, b)| Backoff::linear(a, b)),
        (nanos.clone(), 1.0..1e12).prop_map(|(a, f)| Backoff::exponential_by(a, f).unwrap()),
        nanos.clone().prop_map(Backoff::fibonacci),
    ]
}

proptest! {
    #[test]
    fn delays_grow_up_to_their_maximum(backoff in any_shape(), max in any::<u64>()) {
        let max = Duration::from_nanos(max);
        let delays = take(backoff.with_max(max), 300);
        prop_assert!(delays.is_sorted());
        prop_assert!(delays.iter().all(|delay| *delay <= max));
    }

    #[test]
    fn jitter_is_within_its_bounds(backoff in any_shape(), seed in any::<u64>()) {
        let backoff = backoff.with_seed(seed);
        let (full, equal) = (backoff.with_full_jitter(), backoff.with_equal_jitter());
        for ((delay, full), equal) in backoff.delays().zip(full.delays()).zip(equal.delays()).take(200) {
            prop_assert!(full <= delay);
            prop_assert!(equal <= delay && equal >= delay / 2);
        }
        prop_assert_eq!(take(full, 50), take(full, 50));
    }

    #[test]
    fn decorrelated_jitter_is_between_its_base_and_three_times_the_last(
        base in any::<u64>(), max in any::<u64>(), seed in any::<u64>(), shift in 0..64_u32,
    ) {
        let base = Duration::from_nanos(base >> shift);
        let max = Duration::from_nanos(max);
        let backoff = Backoff::decorrelated(base).with_max(max).with_seed(seed);
        let mut last = base;
        for delay in backoff.delays().take(100) {
            prop_assert!(delay >= base.min(max) && delay <= max);
            prop_assert!(delay <= last.saturating_mul(3).max(base));
            last = delay.max(base);
        }
        prop_assert_eq!(take(backoff, 50), take(backoff, 50));
    }

    /// Limits of attempts and of time hold, whatever the delays are and however long calls take.
    #[test]
    fn limits_hold(
        delays in prop::collection::vec(0..5000_u64, 0..20),
        calls in prop::collection::vec(0..3000_u64, 1..30),
        retries in 0..25_u32,
        limit in 0..20_000_u64,
    ) {
        let clock = TestClock::new();
        let mut took = calls.clone().into_iter().cycle();
        let service = MockService::<u32, u32, Fault>::new(&clock, move |_| {
            Reply::err(Fault(0)).after(MS(took.next().unwrap()))
        });
        let probe = service.probe();
        let backoff = move || delays.clone().into_iter().map(MS);
        let layer = RetryLayer::new(backoff)
            .max_retries(retries)
            .max_elapsed(MS(limit))
            .with_timer(clock.clone());
        let error = clock.block_on(service.layer(layer).oneshot(1)).unwrap_err();
        let attempts = error.attempts();
        prop_assert_eq!(probe.calls(), attempts as usize);
        prop_assert!(attempts <= retries + 1);
        // The last attempt started within the limit.
        let last = MS(calls[(attempts as usize - 1) % calls.len()]);
        prop_assert!(attempts == 1 || clock.elapsed() - last <= MS(limit));
        prop_assert!(matches!(
            error.reason(), GaveUp::Attempts | GaveUp::Elapsed | GaveUp::Backoff
        ));
    }
}

// tower's tests of its budget, in virtual time.

fn budget(
    clock: &TestClock,
    ttl: u64,
    min_per_second: u32,
    percent: u32,
) -> RetryBudget<TestClock> {
    RetryBudget::new(SECS(ttl), min_per_second, percent).unwrap().with_timer(clock.clone())
}

#[test]
fn an_empty_budget_gives_nothing() {
    assert!(!budget(&TestClock::new(), 1, 0, 100).withdraw());
}

#[test]
fn deposits_are_forgotten() {
    let clock = TestClock::new();
    let budget = budget(&clock, 1, 0, 100);
    budget.deposit();
    clock.advance(SECS(3));
    assert!(!budget.withdraw());
}

#[test]
fn deposits_are_forgotten_one_slot_at_a_time() {
    let clock = TestClock::new();
    let budget = budget(&clock, 1, 0, 50);
    budget.deposit();
    budget.deposit();
    clock.advance(MS(901));
    // After 900 ms the deposits are still valid.
    assert!(budget.withdraw());
    // A blank slate.
    clock.advance(MS(2001));
    budget.deposit();
    clock.advance(MS(301));
    budget.deposit();
    clock.advance(MS(801));
    budget.deposit();
    // The first deposit is forgotten; the second is valid, and enough with the third.
    assert!(budget.withdraw());
}

#[test]
fn a_reserve_is_always_there() {
    let clock = TestClock::new();
    let budget = budget(&clock, 1, 5, 100);
    assert_eq!(budget.balance(), 5);
    assert!((0..5).all(|_| budget.withdraw()));
    assert!(!budget.withdraw());
    // And there again when the withdrawals are forgotten.
    clock.advance(SECS(1));
    assert_eq!(budget.balance(), 5);
}

#[test]
fn shares_are_counted_in_percent() {
    let clock = TestClock::new();
    let twenty = budget(&clock, 10, 0, 20);
    (0..4).for_each(|_| twenty.deposit());
    assert!(!twenty.withdraw());
    twenty.deposit();
    assert!(twenty.withdraw() && !twenty.withdraw());
    let thousand = budget(&clock, 10, 0, 1000);
    thousand.deposit();
    assert_eq!((0..20).filter(|_| thousand.withdraw()).count(), 10);
}

#[test]
fn what_makes_no_sense_is_an_error() {
    assert!(RetryBudget::new(Duration::ZERO, 1, 1).is_err());
    assert!(RetryBudget::new(Duration::MAX, 1, 1).is_err());
    assert!(RetryBudget::new(SECS(1), 1, 1001).is_err());
    assert!(RetryBudget::new(SECS(1), u32::MAX, 1000).is_ok());
}

#[test]
fn threads_together_do_not_overdraw() {
    for _ in 0..20 {
        let clock = TestClock::new();
        let budget = budget(&clock, 10, 0, 50);
        (0..100).for_each(|_| budget.deposit());
        let got: usize = std::thread::scope(|scope| {
            let withdraw = || scope.spawn(|| (0..100).filter(|_| budget.withdraw()).count());
            let threads: Vec<_> = (0..4).map(|_| withdraw()).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(got, 50);
    }
}

proptest! {
    /// In no stretch as long as deposits live are there more withdrawals than the reserve, and the
    /// share of the calls of that stretch and of the lifetime before it.
    #[test]
    fn a_budget_is_never_overdrawn(
        steps in prop::collection::vec((0..400_u64, any::<bool>()), 1..300),
        percent in 0..300_u32,
        min in 0..3_u32,
    ) {
        let clock = TestClock::new();
        let budget = budget(&clock, 1, min, percent);
        let (mut deposits, mut withdrawals) = (Vec::new(), Vec::new());
        for (wait, deposit) in steps {
            clock.advance(MS(wait));
            let now = clock.elapsed().as_millis() as u64;
            if deposit {
                budget.deposit();
                deposits.push(now);
            } else {
                // What is alive by the slots of 100 ms, to the letter.
                let alive = |times: &[u64]| {
                    times.iter().filter(|at| now / 100 - **at / 100 < 10).count() as i64
                };
                let balance = i64::from(min) * 100 + alive(&deposits) * i64::from(percent)
                    - alive(&withdrawals) * 100;
                let expected = balance >= 100;
                prop_assert_eq!(budget.withdraw(), expected, "balance {} at {}", balance, now);
                if expected {
                    withdrawals.push(now);
                }
            }
        }
    }
}
