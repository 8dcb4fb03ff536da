//! The state of a circuit breaker, which its handles share.

use std::time::Duration;

use super::config::{Config, InvalidConfig};
use super::window::{Counts, Outcome, Window};
use super::{Open, State, Transition};
use crate::retry::{Delays, MakeBackoff};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, lock};

/// The state, and a number that is new with each change of it: the outcome of a call counts only in the
/// period of the state in which it was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass(u64);

impl Pass {
    fn state(self) -> State {
        match self.0 & 3 {
            0 => State::Closed,
            1 => State::Open,
            _ => State::HalfOpen,
        }
    }

    fn next(self, state: State) -> Self {
        Pass((self.0 | 3).wrapping_add(1) | state as u64)
    }
}

/// See [`CircuitBreaker`](super::CircuitBreaker). Times are nanoseconds of the timer.
pub struct Core {
    /// The present [`Pass`]. Written with the lock held.
    gate: AtomicU64,
    /// When an open breaker lets probes through. Written with the lock held, before `gate`.
    until: AtomicU64,
    /// Whether a success changes anything; with consecutive failures it mostly does not.
    dirty: AtomicU64,
    inner: Mutex<Inner>,
    timed: bool,
    /// The time in nanoseconds.
    slow: Option<(u64, u32)>,
    min_calls: u32,
    config: Config,
}

struct Inner {
    window: Window,
    /// How long it stays open next.
    delays: Delays,
    /// Probes that may still be let through, and those that succeeded.
    permits: u32,
    successes: u32,
}

impl Core {
    pub(super) fn new(config: Config) -> Result<Self, InvalidConfig> {
        let window = config.window()?;
        let consecutive = matches!(window, Window::Consecutive { .. });
        let timed = window.is_timed();
        let delays = config.open.delays();
        let inner = Inner { window, delays, permits: 0, successes: 0 };
        Ok(Core {
            gate: AtomicU64::new(0),
            until: AtomicU64::new(0),
            dirty: AtomicU64::new(u64::from(!consecutive)),
            inner: Mutex::new(inner),
            timed,
            slow: config.slow.map(|(limit, percent)| (nanos(limit), percent)),
            min_calls: if consecutive { 0 } else { config.min_calls },
            config,
        })
    }

    /// Another one, in which nothing has happened yet.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.config.clone()).expect("it made sense before")
    }

    /// For the model checks, which have no handle.
    #[cfg(ziggurat_loom)]
    pub fn model(config: Config) -> Self {
        Self::new(config).expect("a configuration that makes sense")
    }

    /// As [`state`](Self::state).
    #[cfg(ziggurat_loom)]
    pub fn state_now(&self) -> State {
        self.state()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    // Acquire, so that who sees an open gate sees until when.
    #[inline]
    fn pass(&self) -> Pass {
        Pass(self.gate.load(Ordering::Acquire))
    }

    pub(super) fn state(&self) -> State {
        self.pass().state()
    }

    /// Whether the time that calls take matters.
    #[inline]
    pub(super) fn measures(&self) -> bool {
        self.slow.is_some()
    }

    /// For how long no call is let through, if that is so and known.
    pub(super) fn rejects(&self, now: impl FnOnce() -> u64) -> Option<Open> {
        if self.pass().state() != State::Open {
            return None;
        }
        let left = self.until.load(Ordering::Relaxed).saturating_sub(now());
        (left > 0).then(|| Open { retry_after: Some(Duration::from_nanos(left)) })
    }

    /// Lets a call through, or not. One atomic load while the breaker is closed.
    #[inline]
    pub fn acquire(&self, now: impl Fn() -> u64) -> Result<Pass, Open> {
        let pass = self.pass();
        if pass.state() == State::Closed { Ok(pass) } else { self.acquire_probe(now) }
    }

    #[cold]
    #[inline(never)]
    fn acquire_probe(&self, now: impl Fn() -> u64) -> Result<Pass, Open> {
        // Before the lock: the clock may be anybody's.
        let now = now();
        // Most calls that are rejected take no lock.
        if let Some(open) = self.rejects(|| now) {
            return Err(open);
        }
        let mut inner = self.lock();
        // It may have been half-open and open again since.
        if let Some(open) = self.rejects(|| now) {
            return Err(open);
        }
        let transition = match self.state() {
            State::Open => {
                (inner.permits, inner.successes) = (self.config.probes.get(), 0);
                Some(self.set(State::HalfOpen))
            }
            State::Closed | State::HalfOpen => None,
        };
        let pass = self.pass();
        let free = inner.permits.checked_sub(1);
        let result = match (pass.state(), free) {
            (State::Closed, _) => Ok(pass),
            (_, Some(left)) => {
                inner.permits = left;
                Ok(pass)
            }
            (_, None) => Err(Open { retry_after: None }),
        };
        drop(inner);
        self.tell(transition);
        result
    }

    /// Notes what a call came to that was let through. `took` is known if it [matters](Self::measures).
    #[inline]
    pub fn finish(&self, pass: Pass, failed: bool, took: Option<u64>, now: impl Fn() -> u64) {
        let slow = self.slow.zip(took).is_some_and(|((limit, _), took)| took > limit);
        // Relaxed: a success that races with a failure may come before or after it.
        let dirty = self.dirty.load(Ordering::Relaxed) != 0;
        if failed || slow || dirty || pass.state() != State::Closed {
            self.record(pass, Outcome { failed, slow }, now);
        }
    }

    #[inline(never)]
    fn record(&self, pass: Pass, outcome: Outcome, now: impl Fn() -> u64) {
        let time = if self.timed { now() } else { 0 };
        let mut inner = self.lock();
        if pass != self.pass() {
            // The state has changed since: this call says nothing about the new one.
            return;
        }
        let tripped = match pass.state() {
            State::Closed => {
                let counts = inner.window.record(outcome, time);
                if let Window::Consecutive { failed, slow, .. } = inner.window {
                    self.dirty.store(u64::from(failed + slow > 0), Ordering::Relaxed);
                }
                self.is_tripped(counts)
            }
            State::HalfOpen if outcome.failed || outcome.slow => true,
            State::HalfOpen => {
                inner.successes += 1;
                if inner.successes == self.config.probes.get() {
                    let transition = self.set_closed(&mut inner);
                    drop(inner);
                    self.tell(Some(transition));
                }
                return;
            }
            State::Open => false,
        };
        drop(inner);
        if tripped {
            self.open(pass, now());
        }
    }

    /// Opens it, unless the state has changed since `pass`.
    fn open(&self, pass: Pass, now: u64) {
        let mut inner = self.lock();
        if pass != self.pass() {
            return;
        }
        let transition = self.set_open(&mut inner, now);
        drop(inner);
        self.tell(Some(transition));
    }

    /// A call ended without an outcome: a probe's place is free again.
    pub fn release(&self, pass: Pass) {
        if pass.state() == State::HalfOpen {
            let mut inner = self.lock();
            if pass == self.pass() {
                inner.permits += 1;
            }
        }
    }

    /// Opens it, whatever the window says.
    pub(super) fn trip(&self, now: u64) {
        let mut inner = self.lock();
        let transition = self.set_open(&mut inner, now);
        drop(inner);
        self.tell(Some(transition));
    }

    /// Closes it and forgets all outcomes.
    pub(super) fn reset(&self) {
        let mut inner = self.lock();
        let transition = self.set_closed(&mut inner);
        drop(inner);
        self.tell(Some(transition));
    }

    fn is_tripped(&self, counts: Counts) -> bool {
        let reached = |count: u32, percent: u32| {
            u64::from(count) * 100 >= u64::from(counts.calls) * u64::from(percent)
        };
        counts.calls >= self.min_calls
            && (reached(counts.failed, self.config.failures)
                || self.slow.is_some_and(|(_, percent)| reached(counts.slow, percent)))
    }

    fn set_open(&self, inner: &mut Inner, now: u64) -> Transition {
        let delay = inner.delays.next().unwrap_or_default();
        self.until.store(now.saturating_add(nanos(delay)), Ordering::Relaxed);
        self.set(State::Open)
    }

    fn set_closed(&self, inner: &mut Inner) -> Transition {
        inner.window.clear();
        inner.delays = self.config.open.delays();
        if let Window::Consecutive { .. } = inner.window {
            self.dirty.store(0, Ordering::Relaxed);
        }
        self.set(State::Closed)
    }

    /// With the lock held.
    fn set(&self, to: State) -> Transition {
        let pass = self.pass();
        self.gate.store(pass.next(to).0, Ordering::Release);
        Transition { from: pass.state(), to }
    }

    /// Without the lock.
    fn tell(&self, transition: Option<Transition>) {
        if let Some((observe, transition)) = self.config.on_transition.as_ref().zip(transition) {
            if transition.from != transition.to {
                observe(transition);
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
