//! The limits of a series of attempts, and the count of what was used of them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ziggurat_core::time::Timer;

use super::{Budget, GaveUp, MakeBackoff};

/// How far retries go.
#[derive(Clone)]
pub(super) struct Caps {
    pub(super) max_retries: u32,
    /// In nanoseconds; the largest number is no limit. Caps are copied for each call, so they are small.
    max_elapsed: u64,
    /// A thin pointer, for the same reason.
    pub(super) budget: Option<Arc<Box<dyn Budget>>>,
}

impl Default for Caps {
    fn default() -> Self {
        Caps { max_retries: 3, max_elapsed: u64::MAX, budget: None }
    }
}

impl Caps {
    pub(super) fn set_max_elapsed(&mut self, limit: Duration) {
        self.max_elapsed = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    }

    #[inline]
    pub(super) fn max_elapsed(&self) -> Option<Duration> {
        (self.max_elapsed != u64::MAX).then(|| Duration::from_nanos(self.max_elapsed))
    }
}

impl fmt::Debug for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caps")
            .field("max_retries", &self.max_retries)
            .field("max_elapsed", &self.max_elapsed())
            .field("budget", &self.budget.is_some())
            .finish()
    }
}

/// A series of attempts. It costs nothing until one fails.
#[derive(Debug)]
pub(super) struct Series<D> {
    /// Retries so far. Saturates, which is beyond what any clock allows.
    pub(super) retries: u32,
    /// When the first attempt was seen to take time; known only where time is limited.
    pub(super) started: Option<Instant>,
    delays: Option<D>,
}

impl<D: Iterator<Item = Duration>> Series<D> {
    #[inline]
    pub(super) fn new() -> Self {
        Series { retries: 0, started: None, delays: None }
    }

    /// Starts to count the time, if it is limited and not counted yet.
    #[inline]
    pub(super) fn start(&mut self, caps: &Caps, timer: &impl Timer) {
        if caps.max_elapsed().is_some() && self.started.is_none() {
            self.started = Some(timer.now());
        }
    }

    pub(super) fn elapsed(&self, timer: &impl Timer) -> Option<Duration> {
        self.started.map(|started| timer.now().saturating_duration_since(started))
    }

    /// Takes one more retry, and tells how long to wait before it.
    pub(super) fn retry<B>(
        &mut self,
        caps: &Caps,
        backoff: &B,
        hint: Option<Duration>,
        timer: &impl Timer,
    ) -> Result<Duration, GaveUp>
    where
        B: MakeBackoff<Delays = D>,
    {
        if self.retries >= caps.max_retries && caps.max_retries != u32::MAX {
            return Err(GaveUp::Attempts);
        }
        let next = self.delays.get_or_insert_with(|| backoff.delays()).next();
        // A series that has ended stops the retries, whatever an error hints at.
        let delay = hint.unwrap_or(next.ok_or(GaveUp::Backoff)?);
        self.start(caps, timer);
        if let Some((elapsed, max)) = self.elapsed(timer).zip(caps.max_elapsed()) {
            if elapsed.saturating_add(delay) > max {
                return Err(GaveUp::Elapsed);
            }
        }
        // Last, so that nothing is withdrawn for a retry that is not made.
        if caps.budget.as_ref().is_some_and(|budget| !budget.withdraw()) {
            return Err(GaveUp::Budget);
        }
        self.retries = self.retries.saturating_add(1);
        Ok(delay)
    }
}
