//! When a circuit breaker opens, for how long, and what closes it.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::Transition;
use super::window::Window;
use crate::retry::Backoff;

pub(super) type OnTransition = Arc<dyn Fn(Transition) + Send + Sync>;

/// When a circuit breaker opens, for how long, and what closes it.
///
/// It opens for 30 seconds and closes after one successful probe, unless that is changed.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use ziggurat_patterns::circuit_breaker::{CircuitBreaker, Config};
/// use ziggurat_patterns::retry::Backoff;
///
/// // Half of the last 100 calls failed, or half of them took over a second.
/// let config = Config::count(NonZeroU32::new(100).unwrap(), 50)
///     .with_min_calls(20)
///     .with_slow_calls(Duration::from_secs(1), 50)
///     .with_open(Backoff::exponential(Duration::from_secs(1)).with_max(Duration::from_secs(60)))
///     .with_probes(NonZeroU32::new(3).unwrap())
///     .on_transition(|change| println!("{} -> {}", change.from, change.to));
/// let breaker = CircuitBreaker::new(config).unwrap();
/// # let _ = breaker;
/// ```
#[derive(Clone)]
#[must_use = "a configuration does nothing by itself"]
pub struct Config {
    pub(super) kind: Kind,
    /// In percent of the calls in the window.
    pub(super) failures: u32,
    pub(super) slow: Option<(Duration, u32)>,
    pub(super) min_calls: u32,
    pub(super) open: Backoff,
    pub(super) probes: NonZeroU32,
    pub(super) on_transition: Option<OnTransition>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Consecutive(NonZeroU32),
    Count(NonZeroU32),
    Time(Duration),
}

/// A configuration that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// A rate is not between 1 and 100 percent.
    #[error("a rate must be between 1 and 100 percent, not {0}")]
    Rate(u32),
    /// A window of time is not between a millisecond and a day.
    #[error("a window of time must be between 1 ms and 1 day, not {0:?}")]
    Window(Duration),
    /// The window never holds as many calls as it must before the breaker opens.
    #[error("a window of {window} calls never holds {min_calls}")]
    MinCalls {
        /// The calls in the window.
        window: u32,
        /// The calls that there must be.
        min_calls: u32,
    },
}

impl Config {
    /// Opens after so many failures with no success between them.
    ///
    /// A call that succeeds takes no lock in this mode.
    pub fn consecutive(failures: NonZeroU32) -> Self {
        Self::new(Kind::Consecutive(failures), 100, failures.get())
    }

    /// Opens when at least `percent` of the last `calls` calls failed, counted as soon as there were
    /// so many. It keeps two bits for each.
    pub fn count(calls: NonZeroU32, percent: u32) -> Self {
        Self::new(Kind::Count(calls), percent, calls.get())
    }

    /// Opens when at least `percent` of the calls of the last `window` failed, and there were 100 of
    /// them. The window moves in steps of a tenth of it.
    pub fn time(window: Duration, percent: u32) -> Self {
        Self::new(Kind::Time(window), percent, 100)
    }

    fn new(kind: Kind, failures: u32, min_calls: u32) -> Self {
        Config {
            kind,
            failures,
            slow: None,
            min_calls,
            open: Backoff::constant(Duration::from_secs(30)),
            probes: NonZeroU32::MIN,
            on_transition: None,
        }
    }

    /// Does not open before there were so many calls in the window. Of no use to consecutive failures.
    pub fn with_min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls;
        self
    }

    /// Opens also when at least `percent` of the calls took longer than `limit`, whatever their outcome.
    /// Consecutive ones are counted as failures are. The clock is read twice for each call then.
    pub fn with_slow_calls(mut self, limit: Duration, percent: u32) -> Self {
        self.slow = Some((limit, percent));
        self
    }

    /// How long it stays open: the first time, the second time without having been closed between, and so
    /// on.
    pub fn with_open(mut self, delays: Backoff) -> Self {
        self.open = delays;
        self
    }

    /// How many calls are let through, together, to find out whether all is well again; and how many of
    /// them must succeed before it closes. The first that fails opens it again.
    pub fn with_probes(mut self, probes: NonZeroU32) -> Self {
        self.probes = probes;
        self
    }

    /// Calls `observe` after each change of the state, on the thread that changed it, with no lock held.
    /// What several threads change at the same time may be told out of order.
    pub fn on_transition(mut self, observe: impl Fn(Transition) + Send + Sync + 'static) -> Self {
        self.on_transition = Some(Arc::new(observe));
        self
    }

    pub(super) fn window(&self) -> Result<Window, InvalidConfig> {
        let rates = [Some(self.failures), self.slow.map(|(_, percent)| percent)];
        for rate in rates.into_iter().flatten() {
            if !(1..=100).contains(&rate) {
                return Err(InvalidConfig::Rate(rate));
            }
        }
        match self.kind {
            Kind::Consecutive(failures) => Ok(Window::consecutive(failures)),
            Kind::Count(calls) if self.min_calls > calls.get() => {
                Err(InvalidConfig::MinCalls { window: calls.get(), min_calls: self.min_calls })
            }
            Kind::Count(calls) => Ok(Window::count(calls)),
            Kind::Time(window) => {
                let day = Duration::from_secs(86_400);
                if !(Duration::from_millis(1)..=day).contains(&window) {
                    return Err(InvalidConfig::Window(window));
                }
                Ok(Window::time(window))
            }
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("kind", &self.kind)
            .field("failures", &self.failures)
            .field("slow", &self.slow)
            .field("min_calls", &self.min_calls)
            .field("open", &self.open)
            .field("probes", &self.probes)
            .finish_non_exhaustive()
    }
}
