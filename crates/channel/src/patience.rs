//! How long a task looks on before it parks.
//!
//! Parking costs both sides more than moving a hundred items, and two sides that follow each other
//! closely pull the same cache lines back and forth for every item. So a task that finds nothing first
//! looks whether the other side is at work right now, on another core: then it stays away from the
//! lines for as long as it takes to move a batch, and takes the batch.
//!
//! If the other side stands still, the task looks on for a while, in short turns between which other
//! tasks of its thread run, or parks at once. That depends on what happened before on this side of this
//! channel: looking on is worth while if waits are short and ended by another thread. It is not if it
//! is tasks of the same thread that take turns (to park is the quickest way to let the other one run),
//! or if the channel is idle most of the time.

use std::cell::Cell;
use std::sync::OnceLock;
use std::task::Context;
use std::time::Instant;

use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Pauses (about 30 ns each on current x86, less elsewhere) for seeing whether the other side is at work.
const PROBE: u32 = 3;
/// Pauses while the other side is at work: for many-to-many rings, whose lines go back and forth item
/// by item.
pub(crate) const BATCH: u32 = 32;
/// As [`BATCH`], for one-to-one rings, which fill faster and suffer less.
pub(crate) const BATCH_SPSC: u32 = 8;
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
    /// Who parked last.
    thread: AtomicUsize,
    /// When, in nanoseconds.
    since: AtomicU64,
}

impl Experience {
    pub(crate) fn new() -> Self {
        Experience {
            worth: AtomicU32::new(FIRST),
            thread: AtomicUsize::new(0),
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

    /// Somebody parks.
    pub(crate) fn parks(&self) {
        if cfg!(not(any(ziggurat_loom, miri))) {
            self.thread.store(this_thread(), Ordering::Relaxed);
            self.since.store(now(), Ordering::Relaxed);
        }
    }

    /// Those who are parked are about to be woken.
    pub(crate) fn wakes(&self) {
        if cfg!(any(ziggurat_loom, miri)) {
            return;
        }
        if self.thread.load(Ordering::Relaxed) == this_thread() {
            self.learn(0);
        } else if now().wrapping_sub(self.since.load(Ordering::Relaxed)) < SHORT {
            self.learn(LONGEST);
        }
    }
}

/// A number that no other running thread has.
fn this_thread() -> usize {
    thread_local!(static HERE: Cell<u8> = const { Cell::new(0) });
    HERE.try_with(|here| std::ptr::from_ref(here).addr()).unwrap_or(0)
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
    /// Spends a turn, or a part of it. `progress` changes when the other side does something.
    pub(crate) fn turn(
        &mut self,
        cx: &Context<'_>,
        batches: &mut u32,
        batch: u32,
        experience: &Experience,
        progress: impl Fn() -> u64,
    ) -> Turn {
        if cfg!(ziggurat_loom) {
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
            // A task of the same thread may be all that it takes.
            self.since = now() | 1;
            cx.waker().wake_by_ref();
            return Turn::Yield;
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
