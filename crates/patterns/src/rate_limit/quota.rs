//! How much, per how long.

use std::num::NonZeroU32;
use std::time::Duration;

/// The longest time that a burst may be worth: about 73 years. With it, no sum of two times overflows.
const MAX_SPAN: u64 = 1 << 61;

/// A rate, and how much of it may come at once.
///
/// A quota is counted in cells: one for an item or a request, or as many as its weight. One cell is
/// replenished per [`replenish_interval`](Self::replenish_interval), up to the burst. In every window of
/// length `w`, at most `burst + w / replenish_interval` cells are admitted.
///
/// # Precision
///
/// The interval is a whole number of nanoseconds, rounded up, so a quota is never exceeded. The rate is
/// exact when the count divides the period; else it is too low by less than one nanosecond per cell: by
/// 0.1 % at worst at a million per second, by 0.0001 % at a thousand. There is no rate above 10⁹ per
/// second. The burst times the interval saturates at 2⁶¹ nanoseconds, about 73 years.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use ziggurat_patterns::rate_limit::Quota;
///
/// let ten = NonZeroU32::new(10).unwrap();
/// let quota = Quota::per_second(ten).with_burst(NonZeroU32::MIN);
/// assert_eq!(quota.replenish_interval(), Duration::from_millis(100));
/// assert_eq!(quota.burst().get(), 1);
/// assert!(Quota::new(10, Duration::ZERO).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    interval: u64,
    burst: NonZeroU32,
}

/// A quota that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// A count of 0 admits nothing, ever.
    #[error("a quota of 0 admits nothing")]
    ZeroCount,
    /// A period of 0 limits nothing.
    #[error("a quota needs a period of more than 0")]
    ZeroPeriod,
    /// The interval from one cell to the next is more than 73 years.
    #[error("the quota's period is too long")]
    PeriodTooLong,
}

impl Quota {
    /// `count` per second, and as much at once.
    pub const fn per_second(count: NonZeroU32) -> Self {
        Self::divided(count, 1_000_000_000)
    }

    /// `count` per minute, and as much at once.
    pub const fn per_minute(count: NonZeroU32) -> Self {
        Self::divided(count, 60_000_000_000)
    }

    /// `count` per hour, and as much at once.
    pub const fn per_hour(count: NonZeroU32) -> Self {
        Self::divided(count, 3_600_000_000_000)
    }

    /// `count` per `period`, and as much at once.
    ///
    /// # Errors
    ///
    /// If the count or the period is 0, or a cell would take more than 73 years.
    pub fn new(count: u32, period: Duration) -> Result<Self, QuotaError> {
        let count = NonZeroU32::new(count).ok_or(QuotaError::ZeroCount)?;
        if period.is_zero() {
            return Err(QuotaError::ZeroPeriod);
        }
        let interval = period.as_nanos().div_ceil(u128::from(count.get()));
        match u64::try_from(interval) {
            Ok(interval) if interval <= MAX_SPAN => Ok(Quota { interval, burst: count }),
            _ => Err(QuotaError::PeriodTooLong),
        }
    }

    const fn divided(count: NonZeroU32, nanos: u64) -> Self {
        Quota { interval: nanos.div_ceil(count.get() as u64), burst: count }
    }

    /// Another burst: so much may come at once after a pause. A burst of 1 spaces out everything; it
    /// has no slack to make up for timers that go off late, so a rate that is to be reached wants a few
    /// more.
    pub const fn with_burst(self, burst: NonZeroU32) -> Self {
        Quota { burst, ..self }
    }

    /// How long it takes until one more cell is admitted.
    pub const fn replenish_interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// How much may come at once.
    pub const fn burst(&self) -> NonZeroU32 {
        self.burst
    }

    /// The nanoseconds that `cells` are worth; no more than [`MAX_SPAN`].
    #[inline]
    pub(super) fn cost(&self, cells: u32) -> u64 {
        self.interval.saturating_mul(u64::from(cells)).min(MAX_SPAN)
    }
}
