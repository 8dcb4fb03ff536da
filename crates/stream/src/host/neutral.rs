//! The host that needs no executor: async-io's reactor and the `blocking` crate's threads.

use std::fmt;
use std::future::Future;
#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use ziggurat_core::time::{DefaultTimer, Sleep, Timer};
#[cfg(unix)]
use ziggurat_zig_ffi::host::Interest;
use ziggurat_zig_ffi::host::{Clock, Host, Job};

#[cfg(unix)]
use super::Descriptor;
use super::clock;

/// A host that works under any executor or none. It is what a coroutine gets that was given no
/// other.
///
/// Its timers are those of a [`Timer`]; with a [`TestClock`](ziggurat_core::time::TestClock), Zig's
/// `io.sleep` and its clocks are virtual.
///
/// A wait for a descriptor asks the system whether that is ready at all, not whether it has
/// changed, and gets one answer: it cannot miss what happened before. Nothing is started before the
/// first wait, and the threads are shared by everything in the process that uses those crates.
#[derive(Clone)]
pub struct DefaultHost<T = DefaultTimer> {
    timer: T,
    /// What the other clocks said when the timer said this; `None` where they are the system's.
    since: Option<Since>,
}

#[derive(Debug, Clone, Copy)]
struct Since {
    instant: Instant,
    real: i64,
    boot: i64,
}

impl DefaultHost {
    /// The host that goes by the system's time.
    pub fn new() -> Self {
        DefaultHost { timer: DefaultTimer, since: None }
    }
}

impl<T: Timer> DefaultHost<T> {
    /// A host that goes by `timer`, also for the time of day: that starts with the system's, and
    /// from then on passes as the timer's does.
    pub fn with_timer(timer: T) -> Self {
        let (real, boot) = (clock::system(Clock::Real), clock::system(Clock::Boot));
        let since = Some(Since { instant: timer.now(), real, boot });
        DefaultHost { timer, since }
    }
}

impl Default for DefaultHost {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for DefaultHost<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultHost").field("timer", &self.timer).finish_non_exhaustive()
    }
}

impl<T: Timer<Sleep: 'static>> Host for DefaultHost<T> {
    type Timer = T::Sleep;
    #[cfg(unix)]
    type Descriptor = Descriptor;

    fn now(&self, clock: Clock) -> i64 {
        let Some(since) = self.since else { return clock::system(clock) };
        let now = self.timer.now();
        let passed = clock::between(since.instant, now);
        match clock {
            Clock::Real => since.real.saturating_add(passed),
            Clock::Awake => clock::of_instant(now),
            Clock::Boot => since.boot.saturating_add(passed),
        }
    }

    fn timer(&self, at: i64) -> T::Sleep {
        self.timer.sleep_until(clock::to_instant(at))
    }

    fn reset_timer(&self, timer: Pin<&mut T::Sleep>, at: i64) {
        timer.reset(clock::to_instant(at));
    }

    fn poll_timer(&self, timer: Pin<&mut T::Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        timer.poll(cx)
    }

    #[cfg(unix)]
    fn register(&self, fd: OwnedFd) -> io::Result<Descriptor> {
        Descriptor::new(fd)
    }

    #[cfg(unix)]
    fn poll_ready(
        &self,
        descriptor: &mut Descriptor,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        descriptor.poll_ready(interest, cx)
    }

    fn offload(&self, job: Job) -> Result<(), Job> {
        blocking::unblock(move || job.run()).detach();
        Ok(())
    }
}
