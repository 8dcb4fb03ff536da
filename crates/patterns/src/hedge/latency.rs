//! How long calls take, as a quantile of the last period.

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};

/// Buckets for each doubling: a value is known to 1/32 of it.
const STEPS: u64 = 1 << STEP_BITS;
const STEP_BITS: u32 = 5;

/// What takes longer than this many nanoseconds (73 minutes) is counted as if it took so long.
const LONGEST: u64 = (1 << 42) - 1;

const BUCKETS: usize = index(LONGEST) + 1;

/// No quantile is known.
const UNKNOWN: u64 = u64::MAX;

/// A histogram of a period, and the quantile of the period before it.
///
/// The buckets are linear within each doubling, as those of an HDR histogram (Gil Tene): about 10 kB,
/// whatever comes. The quantile of a period is computed once, when the next one begins, and is then a
/// load; so of the two windows that rotate, the older one is kept as a single number.
#[derive(Debug)]
pub(super) struct Latencies {
    quantile: f64,
    min_samples: u64,
    period: u64,
    /// The number of the present period.
    epoch: AtomicU64,
    /// Nanoseconds, or [`UNKNOWN`].
    delay: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

// Relaxed everywhere: the counts are a statistic, and nothing else is published through them. A call that
// is recorded while the buckets are emptied counts in one period or the other.
impl Latencies {
    pub(super) fn new(quantile: f64, min_samples: u64, period: Duration) -> Self {
        Latencies {
            quantile,
            min_samples,
            period: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX),
            epoch: AtomicU64::new(0),
            delay: AtomicU64::new(UNKNOWN),
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Notes that a call took `nanos`.
    pub(super) fn record(&self, nanos: u64, now: u64) {
        self.rotate(now);
        self.buckets[index(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    /// The quantile of the last period, if there were enough calls in it. It is at most 1/32 too long.
    pub(super) fn delay(&self, now: u64) -> Option<Duration> {
        self.rotate(now);
        let delay = self.delay.load(Ordering::Relaxed);
        (delay != UNKNOWN).then(|| Duration::from_nanos(delay))
    }

    #[inline]
    fn rotate(&self, now: u64) {
        let (epoch, old) = (now / self.period, self.epoch.load(Ordering::Relaxed));
        if epoch > old {
            self.rotate_to(epoch, old);
        }
    }

    #[cold]
    fn rotate_to(&self, epoch: u64, old: u64) {
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.epoch.compare_exchange(old, epoch, success, failure).is_err() {
            return; // another thread does it
        }
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.swap(0, Ordering::Relaxed)).collect();
        // What is older than a period says nothing about the present.
        let delay = if epoch - old == 1 { self.quantile_of(&counts) } else { None };
        self.delay.store(delay.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    fn quantile_of(&self, counts: &[u64]) -> Option<u64> {
        let total: u64 = counts.iter().sum();
        if total < self.min_samples.max(1) {
            return None;
        }
        let rank = ((total as f64 * self.quantile).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= rank
        };
        counts.iter().position(reached).map(longest)
    }
}

/// The bucket of a value.
const fn index(nanos: u64) -> usize {
    let nanos = if nanos < LONGEST { nanos } else { LONGEST };
    if nanos < STEPS {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - STEP_BITS;
    (shift as u64 * STEPS + (nanos >> shift)) as usize
}

/// The longest value of a bucket.
const fn longest(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    ((index - shift * STEPS + 1) << shift) - 1
}

#[cfg(all(test, not(ziggurat_loom)))]
mod tests {
    use super::*;

    const PERIOD: u64 = 1_000_000_000;

    fn latencies(quantile: f64, min_samples: u64) -> Latencies {
        Latencies::new(quantile, min_samples, Duration::from_nanos(PERIOD))
    }

    #[test]
    fn buckets_follow_each_other_and_are_narrow() {
        const { assert!(BUCKETS < 1300) };
        for bucket in 0..BUCKETS {
            let last = longest(bucket);
            assert_eq!(index(last), bucket);
            if bucket + 1 < BUCKETS {
                assert_eq!(index(last + 1), bucket + 1);
                let width = longest(bucket + 1) - last;
                assert!(width == 1 || width <= last / 31, "{width} after {last}");
            }
        }
        assert_eq!(index(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn the_quantile_is_that_of_the_last_period() {
        let latencies = latencies(0.9, 10);
        (1..=10).for_each(|ms| latencies.record(ms * 1_000_000, 0));
        assert_eq!(latencies.delay(PERIOD - 1), None);
        let delay = latencies.delay(PERIOD).unwrap().as_nanos() as u64;
        assert!((9_000_000..9_300_000).contains(&delay), "{delay}");
        // The period after that had no calls.
        assert_eq!(latencies.delay(2 * PERIOD), None);
    }

    #[test]
    fn too_few_samples_are_no_quantile() {
        let latencies = latencies(0.5, 3);
        (0..2).for_each(|_| latencies.record(5, 0));
        assert_eq!(latencies.delay(PERIOD), None);
        (0..3).for_each(|_| latencies.record(5, PERIOD));
        assert_eq!(latencies.delay(2 * PERIOD), Some(Duration::from_nanos(5)));
    }

    #[test]
    fn a_period_without_calls_forgets() {
        let latencies = latencies(0.5, 1);
        latencies.record(5, 0);
        assert_eq!(latencies.delay(3 * PERIOD), None);
    }
}
