//! What a test reads: how often a scripted stream was polled, and how often a waker was woken.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Wake, Waker};

/// What happened to a [`ScriptedStream`](super::ScriptedStream). Clones look at the same stream.
///
/// It outlives the stream, so a test can hand the stream to a layer and still look at it.
///
/// ```
/// use ziggurat_patterns::testing;
///
/// let (stream, probe) = testing::ready(0..3);
/// assert_eq!((probe.polls(), probe.items()), (0, 0));
/// drop(stream);
/// assert!(probe.dropped() && !probe.ended());
/// ```
#[derive(Clone, Default)]
pub struct Probe {
    counts: Arc<Counts>,
}

// The tests that read these run on the thread that drives the stream, or synchronise by other means:
// relaxed is enough for all of them.
#[derive(Default)]
struct Counts {
    polls: AtomicUsize,
    items: AtomicUsize,
    ended: AtomicBool,
    stalled: AtomicBool,
    dropped: AtomicBool,
}

impl Probe {
    /// How often the stream was polled.
    pub fn polls(&self) -> usize {
        self.counts.polls.load(Ordering::Relaxed)
    }

    /// How many items it handed out. An `Err` is an item too.
    pub fn items(&self) -> usize {
        self.counts.items.load(Ordering::Relaxed)
    }

    /// Whether it returned `None`.
    pub fn ended(&self) -> bool {
        self.counts.ended.load(Ordering::Relaxed)
    }

    /// Whether it was polled at a [`stall`](super::Script::stall): nothing will come from it any more.
    pub fn stalled(&self) -> bool {
        self.counts.stalled.load(Ordering::Relaxed)
    }

    /// Whether it was dropped.
    pub fn dropped(&self) -> bool {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn count_poll(&self) {
        self.counts.polls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_item(&self) {
        self.counts.items.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_end(&self) {
        self.counts.ended.store(true, Ordering::Relaxed);
    }

    pub(super) fn note_stall(&self) {
        self.counts.stalled.store(true, Ordering::Relaxed);
    }

    pub(super) fn note_drop(&self) {
        self.counts.dropped.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("polls", &self.polls())
            .field("items", &self.items())
            .field("ended", &self.ended())
            .field("stalled", &self.stalled())
            .field("dropped", &self.dropped())
            .finish()
    }
}

/// A waker that counts, for tests that poll by hand. Clones share the count.
///
/// ```
/// use std::task::Context;
/// use ziggurat_patterns::testing::WakeProbe;
///
/// let wakes = WakeProbe::new();
/// let waker = wakes.waker();
/// let cx = Context::from_waker(&waker);
/// cx.waker().wake_by_ref();
/// assert_eq!(wakes.count(), 1);
/// assert!(wakes.take() && !wakes.take());
/// ```
#[derive(Clone, Default)]
pub struct WakeProbe {
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes {
    count: AtomicUsize,
    taken: AtomicUsize,
}

impl WakeProbe {
    /// A count of 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// A waker that adds to this count.
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.wakes))
    }

    /// How often the wakers of this probe were woken.
    pub fn count(&self) -> usize {
        self.wakes.count.load(Ordering::Acquire)
    }

    /// Whether there was a wake since the last [`take`](Self::take).
    pub fn is_woken(&self) -> bool {
        self.wakes.taken.load(Ordering::Relaxed) != self.count()
    }

    /// Whether there was a wake since the last `take`, which this is.
    pub fn take(&self) -> bool {
        let count = self.count();
        self.wakes.taken.swap(count, Ordering::Relaxed) != count
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release, so that whoever sees the wake sees what led to it.
        self.count.fetch_add(1, Ordering::Release);
    }
}

impl fmt::Debug for WakeProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeProbe").field("count", &self.count()).finish()
    }
}
