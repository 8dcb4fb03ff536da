//! Rate limiters with a quota per key.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use ziggurat_patterns::rate_limit::{KeyedRateLimiter, Quota};
use ziggurat_patterns::time::TestClock;

const MS: Duration = Duration::from_millis(1);

fn nz(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

#[test]
fn keys_have_quotas_of_their_own_and_are_forgotten() {
    let clock = TestClock::new();
    let keyed = KeyedRateLimiter::new(Quota::per_second(nz(1))).with_timer(clock.clone());
    let other = keyed.clone();
    assert!(keyed.try_acquire(&"a", 1).is_ok() && other.try_acquire(&"a", 1).is_err());
    assert!(keyed.try_acquire(&"b", 1).is_ok());
    assert_eq!(keyed.len(), 2);
    clock.advance(MS * 500);
    assert!(keyed.try_acquire(&"c", 1).is_ok());
    let held = keyed.get(&"b");
    clock.advance(MS * 500);
    keyed.retain_recent();
    assert_eq!(keyed.len(), 2); // `a` is as good as new, `b` is held, `c` has not replenished
    drop(held);
    keyed.retain_recent();
    assert_eq!(keyed.len(), 1);
}

#[test]
fn memory_is_bounded_by_the_keys_in_use() {
    let clock = TestClock::new();
    let keyed = KeyedRateLimiter::new(Quota::per_second(nz(1))).with_timer(clock.clone());
    for key in 0..100_000_u32 {
        assert!(keyed.try_acquire(&key, 1).is_ok());
        clock.advance(MS); // 1000 keys are in use at any time
        assert!(keyed.len() < 5000, "{} keys", keyed.len());
    }
}

/// A key whose clone and drop come back to the limiter, as those of an interner may.
#[derive(PartialEq, Eq, Hash)]
struct Reentrant(u32);

static KEYED: std::sync::OnceLock<KeyedRateLimiter<Reentrant, TestClock>> =
    std::sync::OnceLock::new();

impl Clone for Reentrant {
    fn clone(&self) -> Self {
        let _ = KEYED.get().map(|limiter| limiter.len());
        Reentrant(self.0)
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        let _ = KEYED.get().map(|limiter| limiter.len());
    }
}

#[test]
fn keys_are_cloned_and_dropped_with_no_lock_held() {
    let clock = TestClock::new();
    let done = std::thread::spawn(move || {
        let limiter = KeyedRateLimiter::new(Quota::per_second(nz(1))).with_timer(clock.clone());
        let limiter = KEYED.get_or_init(|| limiter);
        for n in 0..5000 {
            limiter.try_acquire(&Reentrant(n), 1).unwrap();
            if n % 1000 == 0 {
                clock.advance(Duration::from_secs(2)); // for the sweeps of new keys
            }
        }
        assert!(limiter.len() < 5000);
        assert!(limiter.try_acquire(&Reentrant(4999), 1).is_err());
        clock.advance(Duration::from_secs(2));
        limiter.retain_recent();
        assert!(limiter.is_empty());
    });
    let start = Instant::now();
    while !done.is_finished() {
        assert!(start.elapsed() < Duration::from_secs(60), "a deadlock");
        std::thread::yield_now();
    }
    done.join().unwrap();
}
