//! How long a task looks on before it parks.
//!
//! Parking costs both sides more than moving a hundred items, and two sides that follow each other
//! closely pull the same cache lines back and forth for every item. So a task that finds nothing first
//! looks whether the other side is at work right now, on another core: then it stays away from the
//! lines for as long as it takes to move a batch, and takes the batch.
//!
//! If the other side found nothing on this very thread when it waited last, the two take turns on one
//! thread: to park is then the quickest way to let the other one run, and looking on would only keep it
//! from running. Otherwise the task looks on for a while, in short turns between which other tasks of
//! its thread run. For how long depends on what happened before on this side of this channel: it is
//! worth while if waits are short, and the executor runs a woken task elsewhere than where it was
//! woken. It is not if the executor lets a woken task follow the one that woke it, or if the channel is
//! idle most of the time.

use std::sync::OnceLock;
use std::task::Context;
use std::time::Instant;

use crate::home::this_thread;
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Pauses (about 30 ns each on current x86, less elsewhere) for seeing whether the other side is at work.
const PROBE: u32 = 3;
/// Pauses while the other side is at work: for many-to-many rings, whose lines go back and forth item
/// by item.
pub(crate) const BATCH: u32 = 32;
/// As [`BATCH`], for one-to-one rings, which fill faster and suffer less.
pub(crate) const BATCH_SPSC: u32 = 8;
/// Pauses at most: a large ring takes a large batch.
pub(crate) const LONGEST_BATCH: u64 = 64;
/// Batches in one turn.
const BATCHES: u32 = 4;
/// Pauses of looking on in one turn.
const LOOK: u32 = 32;
/// Nanoseconds of looking on, at most: what it takes to wake a thread on a virtual machine.
const LONGEST: u32 = 60_000;
/// A wait that was shorter than this, in nanoseconds, would better have been spent looking on.
const SHORT: u64 = 150_000;
/// Nanoseconds of looking on at first.
const FIRST: u32 = 4_000;

/// What one side of a channel has learned. All of it are hints: nothing depends on them but speed.
pub(crate) struct Experience {
    /// For how long it is worth while to look on, in nanoseconds.
    worth: AtomicU32,
    /// The thread on which one of this side found nothing last; 0: not yet.
    here: AtomicUsize,
    /// The thread that woke one of this side last.
    woken_by: AtomicUsize,
    /// When one of this side parked last although the other one is on another thread, in nanoseconds;
    /// 0: the last one parked because it is not.
    since: AtomicU64,
}

impl Experience {
    pub(crate) fn new() -> Self {
        Experience {
            worth: AtomicU32::new(FIRST),
            here: AtomicUsize::new(0),
            woken_by: AtomicUsize::new(0),
            since: AtomicU64::new(0),
        }
    }

    // Relaxed, all: see above.
    fn worth(&self) -> u32 {
        self.worth.load(Ordering::Relaxed)
    }

    #[cold]
    fn learn(&self, nanos: u32) {
        self.worth.store(nanos.min(LONGEST), Ordering::Relaxed);
    }

    /// Whether one of this side found nothing on this thread last. In a model always, for what follows.
    pub(crate) fn is_here(&self) -> bool {
        cfg!(any(ziggurat_loom, miri)) || self.here.load(Ordering::Relaxed) == this_thread()
    }

    /// One of this side found nothing. `true`: the other side is on this thread, too, or it is not known
    /// where it is.
    fn takes_turns_with(&self, other: &Experience) -> bool {
        let here = this_thread();
        if self.here.load(Ordering::Relaxed) != here {
            self.here.store(here, Ordering::Relaxed);
        }
        let seen = (other.here.load(Ordering::Relaxed), self.woken_by.load(Ordering::Relaxed));
        seen == (0, 0) || seen.0 == here || seen.1 == here
    }

    /// One of this side parks.
    pub(crate) fn parks(&self, other: &Experience) {
        if cfg!(not(any(ziggurat_loom, miri))) {
            let since = if self.takes_turns_with(other) { 0 } else { now() | 1 };
            self.since.store(since, Ordering::Relaxed);
        }
    }

    /// Those who are parked are about to be woken.
    pub(crate) fn wakes(&self) {
        if cfg!(not(any(ziggurat_loom, miri))) {
            self.woken_by.store(this_thread(), Ordering::Relaxed);
        }
    }

    /// One that was parked has been woken, and runs.
    pub(crate) fn runs(&self) {
        let since = self.since.load(Ordering::Relaxed);
        if cfg!(any(ziggurat_loom, miri)) || since == 0 {
            return;
        }
        if self.woken_by.load(Ordering::Relaxed) == this_thread() {
            self.learn(0);
        } else if now().wrapping_sub(since) < SHORT {
            self.learn(LONGEST);
        }
    }
}

fn now() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    ORIGIN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// The turns of one wait.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// When it began to look on, in nanoseconds; 0: not yet.
    since: u64,
}

/// What to do next.
pub(crate) enum Turn {
    /// Look again at once.
    Again,
    /// Return: the task has been woken, to look again after others have run.
    Yield,
    /// Park.
    Park,
}

impl Patience {
    /// Spends a turn, or a part of it. `progress` changes when the other side does something;
    /// `experience` is that of this side and of the other.
    pub(crate) fn turn(
        &mut self,
        cx: &Context<'_>,
        batches: &mut u32,
        batch: u32,
        (experience, other): (&Experience, &Experience),
        progress: impl Fn() -> u64,
    ) -> Turn {
        if cfg!(ziggurat_loom) || experience.takes_turns_with(other) {
            return Turn::Park;
        }
        let before = progress();
        pause(PROBE);
        if progress() != before {
            if *batches == BATCHES {
                cx.waker().wake_by_ref();
                return Turn::Yield;
            }
            *batches += 1;
            pause(batch);
            return Turn::Again;
        }
        let worth = experience.worth();
        if worth == 0 {
            return Turn::Park;
        }
        if self.since == 0 {
            self.since = now() | 1;
        }
        for _ in 0..LOOK / 2 {
            pause(2);
            if progress() != before {
                let spent = now().saturating_sub(self.since) as u32;
                if spent > worth / 4 {
                    experience.learn(spent.saturating_mul(4));
                }
                return Turn::Again;
            }
        }
        // The other side's thread may be waiting for this processor.
        std::thread::yield_now();
        if now().saturating_sub(self.since) < u64::from(worth) {
            cx.waker().wake_by_ref();
            return Turn::Yield;
        }
        experience.learn(if worth < FIRST / 2 { 0 } else { worth / 2 });
        Turn::Park
    }
}

fn pause(count: u32) {
    for _ in 0..count {
        std::hint::spin_loop();
    }
}
