//! What runs a coroutine's timers, descriptors and blocking calls: the contract, and its C face.
//!
//! A coroutine on the Zig side never blocks the thread that polls it. What it waits for it asks of
//! a [`Host`], which is a value like any other: `ziggurat-stream` has one for any executor and one
//! for tokio.
//!
//! * [`Host`] is what a provider implements, in safe Rust.
//! * [`HostRef`] gives it the C face that crosses the border
//!   ([`HostVTable`](crate::abi::HostVTable)).
//! * [`Job`] and [`Orphan`] are what a host is handed to run.
//! * [`orphans`] says how many cancelled coroutines are still being finished.
//!
//! # Guarantees
//!
//! * Whatever numbers the other side passes (unknown clocks, negative descriptors, unknown bits,
//!   null pointers), it gets a status.
//! * A provider gets a descriptor of its own, so that nobody can close it under a registration.
//! * A provider that panics is answered for by `ERROR` where there is a status; where there is none
//!   (the drop of a ticket or of the host) the process aborts. Nothing unwinds into the other side.
//! * A job that was taken runs once, and an orphan that was taken is driven to its end, even if the
//!   provider drops them.

#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

mod job;
mod orphan;
mod reaper;
mod table;

pub use job::Job;
pub use orphan::{Orphan, orphans};
pub use table::HostRef;

/// What [`Host::now`] can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The time of day, since the Unix epoch.
    Real,
    /// What the timers go by. It never goes back, and may stand still while the machine sleeps.
    Awake,
    /// As `Awake`, and it goes on while the machine sleeps, where the system has such a clock.
    Boot,
}

/// What a descriptor is waited for to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interest {
    /// A read, an `accept` or the like will not say `EAGAIN`.
    Readable,
    /// A write, a `connect` or the like will not say `EAGAIN`.
    Writable,
}

/// What runs a coroutine's timers, descriptors and blocking calls.
///
/// No function blocks. Those that poll are called during a poll of the coroutine, on its poller's
/// thread; the others from any thread. Each timer and each descriptor has one user at a time, which
/// may change threads.
pub trait Host: Send + Sync + 'static {
    /// One timer. Dropping it disarms it, on any thread.
    type Timer: Send + 'static;

    /// One descriptor that is waited for, in both directions. Dropping it ends the registration, on any
    /// thread.
    #[cfg(unix)]
    type Descriptor: Send + 'static;

    /// The time, in nanoseconds. After a timer for `at` has completed, `now(Clock::Awake) >= at`.
    fn now(&self, clock: Clock) -> i64;

    /// A timer for `at`, in nanoseconds of [`Clock::Awake`]. It is armed by its first poll.
    fn timer(&self, at: i64) -> Self::Timer;

    /// Moves a timer to `at`, whether it has completed or not.
    fn reset_timer(&self, timer: Pin<&mut Self::Timer>, at: i64);

    /// Completes when its time has come. Once it has completed, it completes again until it is reset.
    fn poll_timer(&self, timer: Pin<&mut Self::Timer>, cx: &mut Context<'_>) -> Poll<()>;

    /// Makes a descriptor one that can be waited for.
    ///
    /// `fd` is a duplicate of the coroutine's own: closing it is the provider's, but its flags are
    /// shared, and stay as they are.
    ///
    /// # Errors
    ///
    /// The system's, when this cannot be waited for: `EPERM` for a regular file.
    #[cfg(unix)]
    fn register(&self, fd: OwnedFd) -> io::Result<Self::Descriptor>;

    /// Completes when the operation is worth trying. What was seen is used up: the next poll waits for
    /// news. It may complete too often. Something that happens between a try that said `EAGAIN` and the
    /// poll that follows is news.
    ///
    /// # Errors
    ///
    /// The system's; it is not polled again then.
    #[cfg(unix)]
    fn poll_ready(
        &self,
        descriptor: &mut Self::Descriptor,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>>;

    /// Runs `job` on a thread that may block.
    ///
    /// # Errors
    ///
    /// The job, when there is no thread for it. It does not run then.
    fn offload(&self, job: Job) -> Result<(), Job>;

    /// Drives what a cancelled coroutine still has to do, in the background.
    ///
    /// Unless a provider has something better, that is done by one thread for all of them in the
    /// process. It starts with the first one, polls each when it is woken, and ends when there was none
    /// for a while.
    ///
    /// # Errors
    ///
    /// The orphan, when there is nothing to drive it.
    fn drive(&self, orphan: Orphan) -> Result<(), Orphan> {
        reaper::adopt(orphan)
    }
}
