//! What the last calls came to.

use std::num::NonZeroU32;
use std::time::Duration;

/// The parts of a window of time, one of which is forgotten at a time.
const SLOTS: usize = 10;

/// What one call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) failed: bool,
    pub(super) slow: bool,
}

/// How many calls there were, and of which kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

impl Counts {
    fn add(&mut self, outcome: Outcome) {
        // Saturates after billions of calls in a tenth of a window; the rates stay near enough.
        self.calls = self.calls.saturating_add(1);
        self.failed = self.failed.saturating_add(u32::from(outcome.failed));
        self.slow = self.slow.saturating_add(u32::from(outcome.slow));
    }

    fn remove(&mut self, other: Counts) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.failed = self.failed.saturating_sub(other.failed);
        self.slow = self.slow.saturating_sub(other.slow);
    }
}

/// The outcomes that count.
#[derive(Debug)]
pub(super) enum Window {
    Consecutive { limit: u32, failed: u32, slow: u32 },
    Count(Ring),
    Time(Slots),
}

impl Window {
    pub(super) fn consecutive(limit: NonZeroU32) -> Self {
        Window::Consecutive { limit: limit.get(), failed: 0, slow: 0 }
    }

    pub(super) fn count(calls: NonZeroU32) -> Self {
        let words = calls.get().div_ceil(64) as usize;
        let bits = vec![(0, 0); words].into_boxed_slice();
        Window::Count(Ring { bits, size: calls.get(), next: 0, counts: Counts::default() })
    }

    pub(super) fn time(window: Duration) -> Self {
        // At least 100 µs, at most a tenth of a day.
        let nanos = window.as_nanos() as u64 / SLOTS as u64;
        let slots = Box::new([(0, Counts::default()); SLOTS]);
        Window::Time(Slots { nanos, slots, counts: Counts::default() })
    }

    /// Whether `nanos` matters to [`record`](Self::record).
    pub(super) fn is_timed(&self) -> bool {
        matches!(self, Window::Time(_))
    }

    pub(super) fn clear(&mut self) {
        match self {
            Window::Consecutive { failed, slow, .. } => (*failed, *slow) = (0, 0),
            Window::Count(ring) => ring.clear(),
            Window::Time(slots) => slots.clear(),
        }
    }

    /// Notes an outcome, and tells what there is now.
    pub(super) fn record(&mut self, outcome: Outcome, nanos: u64) -> Counts {
        match self {
            Window::Consecutive { limit, failed, slow } => {
                *failed = if outcome.failed { *failed + 1 } else { 0 };
                *slow = if outcome.slow { *slow + 1 } else { 0 };
                // All or none: a rate that is reached or not.
                let reached = |count: u32| if count >= *limit { *limit } else { 0 };
                Counts { calls: *limit, failed: reached(*failed), slow: reached(*slow) }
            }
            Window::Count(ring) => ring.record(outcome),
            Window::Time(slots) => slots.record(outcome, nanos),
        }
    }
}

/// The last calls, two bits each.
#[derive(Debug)]
pub(super) struct Ring {
    /// Words of failures and of slow calls.
    bits: Box<[(u64, u64)]>,
    size: u32,
    next: u32,
    counts: Counts,
}

impl Ring {
    fn clear(&mut self) {
        self.bits.fill((0, 0));
        self.next = 0;
        self.counts = Counts::default();
    }

    fn record(&mut self, outcome: Outcome) -> Counts {
        let (word, bit) = (self.next as usize / 64, self.next % 64);
        let (failed, slow) = &mut self.bits[word];
        if self.counts.calls == self.size {
            let old = Counts {
                calls: 1,
                failed: (*failed >> bit & 1) as u32,
                slow: (*slow >> bit & 1) as u32,
            };
            self.counts.remove(old);
        }
        *failed = *failed & !(1 << bit) | u64::from(outcome.failed) << bit;
        *slow = *slow & !(1 << bit) | u64::from(outcome.slow) << bit;
        self.next = if self.next + 1 == self.size { 0 } else { self.next + 1 };
        self.counts.add(outcome);
        self.counts
    }
}

/// The calls of the last while, in slots with the number of the tick that they are of.
#[derive(Debug)]
pub(super) struct Slots {
    nanos: u64,
    slots: Box<[(u64, Counts); SLOTS]>,
    counts: Counts,
}

impl Slots {
    fn clear(&mut self) {
        self.slots.fill((0, Counts::default()));
        self.counts = Counts::default();
    }

    fn record(&mut self, outcome: Outcome, nanos: u64) -> Counts {
        let tick = nanos / self.nanos;
        let newest = self.slots.iter().map(|(tick, _)| *tick).max().unwrap_or(0);
        // A thread whose clock was read before another's counts with that one.
        let tick = tick.max(newest);
        if tick != newest {
            for (at, counts) in self.slots.iter_mut() {
                if *at + SLOTS as u64 <= tick {
                    self.counts.remove(std::mem::take(counts));
                }
            }
        }
        let (at, counts) = &mut self.slots[tick as usize % SLOTS];
        *at = tick;
        counts.add(outcome);
        self.counts.add(outcome);
        self.counts
    }
}
