//! Counters that are read while they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts what passes through one stage, or several: clones count together.
///
/// ```
/// use ziggurat_patterns::instrument::Meter;
///
/// let meter = Meter::new();
/// assert_eq!(meter.stats().items, 0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Meter {
    counters: Arc<Counters>,
}

// Relaxed everywhere: these are counts, which order nothing. A snapshot is not of one instant.
#[derive(Debug, Default)]
struct Counters {
    items: AtomicU64,
    errors: AtomicU64,
    pending: AtomicU64,
    bytes: AtomicU64,
    busy: AtomicU64,
    ended: AtomicU64,
}

/// What a [`Meter`] shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Items that passed, errors among them.
    pub items: u64,
    /// Errors.
    pub errors: u64,
    /// Polls that were pending.
    pub pending: u64,
    /// Bytes, as the caller's closure counts them.
    pub bytes: u64,
    /// Time spent inside polls, if it was asked for.
    pub busy: Duration,
    /// Stages that came to their end.
    pub ended: u64,
}

impl Meter {
    /// All counters at 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it shows now. Counters are read one after the other, while others may count.
    pub fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &*self.counters;
        Stats {
            items: read(&counters.items),
            errors: read(&counters.errors),
            pending: read(&counters.pending),
            bytes: read(&counters.bytes),
            busy: Duration::from_nanos(read(&counters.busy)),
            ended: read(&counters.ended),
        }
    }

    #[inline]
    pub(super) fn item(&self) {
        self.counters.items.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn error(&self) {
        self.counters.errors.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn pending(&self) {
        self.counters.pending.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn bytes(&self, bytes: u64) {
        if bytes > 0 {
            self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn busy(&self, nanos: u64) {
        self.counters.busy.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.counters.ended.fetch_add(1, Ordering::Relaxed);
    }
}
