//! A small executor for the laws: it polls only what was woken, and tells when nothing will be.

use std::task::{Context, Poll};

use super::drive::WAKE;
use super::report::{Broken, Verdict, note_poll};
use crate::testing::WakeProbe;
use crate::time::TestClock;

/// More than any layer needs for any scene.
const MAX_POLLS: usize = 10_000;

/// A task, with a waker of its own.
pub(super) struct Job<'a> {
    poll: Box<PollJob<'a>>,
    wakes: WakeProbe,
    done: bool,
}

type PollJob<'a> = dyn FnMut(&mut Context<'_>) -> Poll<()> + 'a;

impl<'a> Job<'a> {
    pub(super) fn new(poll: impl FnMut(&mut Context<'_>) -> Poll<()> + 'a) -> Self {
        let wakes = WakeProbe::new();
        // The first poll needs no reason.
        wakes.waker().wake();
        Job { poll: Box::new(poll), wakes, done: false }
    }

    fn poll(&mut self) {
        let waker = self.wakes.waker();
        self.done = (self.poll)(&mut Context::from_waker(&waker)).is_ready();
    }
}

/// What runs jobs, and how long.
pub(super) struct Jobs<'a> {
    pub clock: &'a TestClock,
    /// Polls so far, of all jobs.
    pub polls: usize,
    /// Stops after so many.
    pub limit: usize,
    /// Whether the scene has something that never comes.
    pub stalls: bool,
    /// Polls once more before it waits, with a new waker for each poll.
    pub restless: bool,
}

impl<'a> Jobs<'a> {
    pub(super) fn new(clock: &'a TestClock) -> Self {
        Jobs { clock, polls: 0, limit: usize::MAX, stalls: false, restless: false }
    }

    /// Polls the jobs whenever they are woken, until all are done, the limit is reached, or the scene
    /// stalls. When none is woken, `idle` may make something happen; if it has nothing (`false`), time
    /// moves on.
    pub(super) fn run(&mut self, jobs: &mut [Job<'_>], mut idle: impl FnMut() -> bool) -> Verdict {
        let mut spurious = false;
        loop {
            let mut polled = false;
            for job in jobs.iter_mut().filter(|job| !job.done) {
                if !job.wakes.take() && !spurious {
                    continue;
                }
                if self.polls >= self.limit {
                    return Ok(());
                }
                self.polls += 1;
                note_poll(self.polls);
                if self.polls > MAX_POLLS {
                    let what = format!("it went on for {MAX_POLLS} polls");
                    return Err(Broken { law: "it comes to an end", what });
                }
                if self.restless {
                    job.wakes = WakeProbe::new();
                }
                job.poll();
                polled = true;
            }
            if jobs.iter().all(|job| job.done) {
                return Ok(());
            }
            // Once in each pause.
            let again = polled && !spurious && self.restless;
            spurious = again && !jobs.iter().any(|job| job.wakes.is_woken());
            if polled || idle() || self.clock.advance_to_next().is_some() {
                continue;
            }
            if self.stalls {
                return Ok(());
            }
            let what = "it returned `Pending`, and there is neither a wake nor a timer".to_owned();
            return Err(Broken { law: WAKE, what });
        }
    }
}
