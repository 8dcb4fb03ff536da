//! The handle of a circuit breaker.

use std::fmt;
use std::sync::Arc;

use ziggurat_core::time::{DefaultTimer, Timer};

use super::core::{Core, Pass};
use super::{Config, InvalidConfig, Open};

/// Whether a circuit breaker lets calls through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// All are let through, and counted.
    Closed = 0,
    /// None is, for a while.
    Open = 1,
    /// A few are, to find out.
    HalfOpen = 2,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half-open",
        })
    }
}

/// A change of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transition {
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
}

/// A circuit breaker: a handle, whose clones share the state.
///
/// [`CircuitBreakerLayer`](crate::service::CircuitBreakerLayer) uses one for services. By hand it
/// guards anything else, such as the `connect` of a stream that is [made
/// again](crate::stream::reconnect_with_backoff).
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use ziggurat_patterns::circuit_breaker::{CircuitBreaker, Config, State};
/// use ziggurat_patterns::retry::Backoff;
/// use ziggurat_patterns::time::TestClock;
///
/// let clock = TestClock::new();
/// let second = Duration::from_secs(1);
/// let config = Config::consecutive(NonZeroU32::new(2).unwrap()).with_open(Backoff::constant(second));
/// let breaker = CircuitBreaker::new(config).unwrap().with_timer(clock.clone());
/// breaker.try_acquire().unwrap().failure();
/// breaker.try_acquire().unwrap().failure();
/// assert_eq!(breaker.try_acquire().unwrap_err().retry_after, Some(second));
///
/// clock.advance(second);
/// let probe = breaker.try_acquire().unwrap();
/// assert_eq!(breaker.state(), State::HalfOpen);
/// probe.success();
/// assert_eq!(breaker.state(), State::Closed);
/// ```
#[derive(Clone)]
pub struct CircuitBreaker<T = DefaultTimer> {
    pub(super) core: Arc<Core>,
    pub(super) timer: T,
}

impl CircuitBreaker {
    /// A closed one.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] says what makes no sense.
    pub fn new(config: Config) -> Result<Self, InvalidConfig> {
        Ok(CircuitBreaker { core: Arc::new(Core::new(config)?), timer: DefaultTimer })
    }
}

impl<T> CircuitBreaker<T> {
    /// A closed one of the same configuration by another timer. It shares nothing with this one.
    pub fn with_timer<U: Timer>(self, timer: U) -> CircuitBreaker<U> {
        CircuitBreaker { core: Arc::new(self.core.anew()), timer }
    }
}

impl<T: Timer> CircuitBreaker<T> {
    /// The state. A breaker whose time to be open is over is half-open from the next call on.
    pub fn state(&self) -> State {
        self.core.state()
    }

    /// Lets a call through, whose outcome is told to the permit.
    ///
    /// # Errors
    ///
    /// [`Open`], if it lets none through.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<T>, Open> {
        let pass = self.core.acquire(|| self.timer.nanos())?;
        let started = self.core.measures().then(|| self.timer.nanos());
        let (core, timer) = (Arc::clone(&self.core), self.timer.clone());
        Ok(Permit { core, timer, pass, started, done: false })
    }

    /// Opens it, as if the limit had been reached.
    pub fn trip(&self) {
        self.core.trip(self.timer.nanos());
    }

    /// Closes it, and forgets what it has counted.
    pub fn reset(&self) {
        self.core.reset();
    }

    /// Why a call cannot be let through now, and for how long that will be so.
    #[inline]
    pub(super) fn rejects(&self) -> Option<Open> {
        self.core.rejects(|| self.timer.nanos())
    }
}

impl<T> fmt::Debug for CircuitBreaker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker").field("state", &self.core.state()).finish_non_exhaustive()
    }
}

/// A call that was let through. Dropping it says that the call came to nothing: it is not counted, and
/// the place of a probe is given back.
///
/// ```
/// use std::num::NonZeroU32;
/// use ziggurat_patterns::circuit_breaker::{CircuitBreaker, Config};
///
/// let breaker = CircuitBreaker::new(Config::consecutive(NonZeroU32::MIN)).unwrap();
/// let permit = breaker.try_acquire().unwrap();
/// match std::fs::read("/dev/null") {
///     Ok(_) => permit.success(),
///     Err(_) => permit.failure(),
/// }
/// ```
#[must_use = "a permit that is dropped says nothing about the call"]
pub struct Permit<T: Timer = DefaultTimer> {
    core: Arc<Core>,
    timer: T,
    pass: Pass,
    started: Option<u64>,
    done: bool,
}

impl<T: Timer> Permit<T> {
    /// The call succeeded.
    pub fn success(self) {
        self.finish(false);
    }

    /// The call failed.
    pub fn failure(self) {
        self.finish(true);
    }

    #[inline]
    pub(super) fn finish(mut self, failed: bool) {
        self.done = true;
        let now = || self.timer.nanos();
        let took = self.started.map(|started| now().saturating_sub(started));
        self.core.finish(self.pass, failed, took, now);
    }
}

impl<T: Timer> Drop for Permit<T> {
    #[inline]
    fn drop(&mut self) {
        if !self.done {
            self.core.release(self.pass);
        }
    }
}

impl<T: Timer> fmt::Debug for Permit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
