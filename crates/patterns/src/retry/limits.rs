//! The limits of a series of attempts, and the count of what was used of them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ziggurat_core::time::Timer;

use super::{Budget, GaveUp, MakeBackoff};

/// How far the retries of a call go: [`Attempts`] or [`Limits`].
///
/// Each call has a copy of its limits, so a layer has no more than it needs.
pub trait Limit: sealed::Sealed + Clone + Into<Limits> {
    /// When the first attempt was seen to take time, if that matters.
    #[doc(hidden)]
    type Started: Default;

    #[doc(hidden)]
    fn set_max_retries(&mut self, retries: u32);

    #[doc(hidden)]
    fn max_retries(&self) -> u32;

    #[doc(hidden)]
    fn max_elapsed(&self) -> Option<Duration> {
        None
    }

    #[doc(hidden)]
    fn budget(&self) -> Option<&dyn Budget> {
        None
    }

    /// Starts to count the time, if it is limited and not counted yet.
    #[doc(hidden)]
    fn start(&self, started: &mut Self::Started, timer: &impl Timer);

    #[doc(hidden)]
    fn started(started: &Self::Started) -> Option<Instant>;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Attempts {}
    impl Sealed for super::Limits {}
}

/// A number of retries, and no other limit. It is 3 unless another is set.
///
/// ```
/// use ziggurat_patterns::retry::{Attempts, NoBackoff};
/// use ziggurat_patterns::service::RetryLayer;
///
/// let layer: RetryLayer<_, _, _, Attempts> = RetryLayer::new(NoBackoff).max_retries(5);
/// # let _ = layer;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    max_retries: u32,
}

impl Default for Attempts {
    fn default() -> Self {
        Attempts { max_retries: 3 }
    }
}

impl Limit for Attempts {
    type Started = ();

    fn set_max_retries(&mut self, retries: u32) {
        self.max_retries = retries;
    }

    fn max_retries(&self) -> u32 {
        self.max_retries
    }

    #[inline]
    fn start(&self, (): &mut (), _: &impl Timer) {}

    fn started((): &()) -> Option<Instant> {
        None
    }
}

/// A number of retries, the time within which the last one starts, and a budget.
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::retry::{Limits, NoBackoff};
/// use ziggurat_patterns::service::RetryLayer;
///
/// let layer = RetryLayer::new(NoBackoff).max_retries(5);
/// let layer: RetryLayer<_, _, _, Limits> = layer.max_elapsed(Duration::from_secs(2));
/// # let _ = layer;
/// ```
#[derive(Clone)]
pub struct Limits {
    max_retries: u32,
    /// In nanoseconds; the largest number is no limit. Limits are copied for each call, so they are small.
    max_elapsed: u64,
    /// A thin pointer, for the same reason.
    budget: Option<Arc<Box<dyn Budget>>>,
}

impl Limits {
    pub(super) fn set_max_elapsed(&mut self, limit: Duration) {
        self.max_elapsed = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    }

    pub(super) fn set_budget(&mut self, budget: impl Budget + 'static) {
        self.budget = Some(Arc::new(Box::new(budget)));
    }
}

impl From<Attempts> for Limits {
    fn from(Attempts { max_retries }: Attempts) -> Self {
        Limits { max_retries, max_elapsed: u64::MAX, budget: None }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Attempts::default().into()
    }
}

impl Limit for Limits {
    type Started = Option<Instant>;

    fn set_max_retries(&mut self, retries: u32) {
        self.max_retries = retries;
    }

    fn max_retries(&self) -> u32 {
        self.max_retries
    }

    #[inline]
    fn max_elapsed(&self) -> Option<Duration> {
        (self.max_elapsed != u64::MAX).then(|| Duration::from_nanos(self.max_elapsed))
    }

    #[inline]
    fn budget(&self) -> Option<&dyn Budget> {
        self.budget.as_ref().map(|budget| &***budget)
    }

    #[inline]
    fn start(&self, started: &mut Option<Instant>, timer: &impl Timer) {
        if self.max_elapsed().is_some() && started.is_none() {
            *started = Some(timer.now());
        }
    }

    fn started(started: &Option<Instant>) -> Option<Instant> {
        *started
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("max_retries", &self.max_retries)
            .field("max_elapsed", &self.max_elapsed())
            .field("budget", &self.budget.is_some())
            .finish()
    }
}

/// A series of attempts. It costs nothing until one fails.
#[derive(Debug)]
pub(super) struct Series<D, L: Limit> {
    /// Retries so far. Saturates, which is beyond what any clock allows.
    pub(super) retries: u32,
    started: L::Started,
    delays: Option<D>,
}

impl<D: Iterator<Item = Duration>, L: Limit> Series<D, L> {
    #[inline]
    pub(super) fn new() -> Self {
        Series::since(L::Started::default())
    }

    /// Of which the first attempt was seen to take time before.
    #[inline]
    pub(super) fn since(started: L::Started) -> Self {
        Series { retries: 0, started, delays: None }
    }

    pub(super) fn elapsed(&self, timer: &impl Timer) -> Option<Duration> {
        L::started(&self.started).map(|started| timer.now().saturating_duration_since(started))
    }

    /// Takes one more retry, and tells how long to wait before it.
    pub(super) fn retry<B>(
        &mut self,
        limits: &L,
        backoff: &B,
        hint: Option<Duration>,
        timer: &impl Timer,
    ) -> Result<Duration, GaveUp>
    where
        B: MakeBackoff<Delays = D>,
    {
        if self.retries >= limits.max_retries() && limits.max_retries() != u32::MAX {
            return Err(GaveUp::Attempts);
        }
        let next = self.delays.get_or_insert_with(|| backoff.delays()).next();
        // A series that has ended stops the retries, whatever an error hints at.
        let delay = hint.unwrap_or(next.ok_or(GaveUp::Backoff)?);
        limits.start(&mut self.started, timer);
        if let Some((elapsed, max)) = self.elapsed(timer).zip(limits.max_elapsed()) {
            if elapsed.saturating_add(delay) > max {
                return Err(GaveUp::Elapsed);
            }
        }
        // Last, so that nothing is withdrawn for a retry that is not made.
        if limits.budget().is_some_and(|budget| !budget.withdraw()) {
            return Err(GaveUp::Budget);
        }
        self.retries = self.retries.saturating_add(1);
        Ok(delay)
    }
}
