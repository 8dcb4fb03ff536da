//! What coroutines wait by: hosts, as values.
//!
//! A Zig function that runs as a coroutine blocks no thread. Its sleeps, its sockets and pipes, and
//! its calls that can only block are the business of a [`Host`], which is chosen where the function
//! is opened:
//!
//! ```ignore
//! let stream = fetch(url).open()?;                               // any executor or none
//! let stream = fetch(url).host(TokioHost::current()?).open()?;   // tokio's own
//! let stream = fetch(url).host(DefaultHost::with_timer(clock.clone())).open()?; // virtual time
//! let stream = fetch(url).on_thread().open()?;                   // no coroutine: a thread of its own
//! ```
//!
//! | host | executors | its timers | its descriptors | blocking calls |
//! |---|---|---|---|---|
//! | [`DefaultHost`] | any or none | async-io | async-io | `blocking` |
//! | [`DefaultHost::with_timer`] | any or none | any [`Timer`] | async-io | `blocking` |
//! | `TokioHost` (feature `tokio`) | any, beside its runtime | tokio | `AsyncFd` | `spawn_blocking` |
//!
//! * **Clocks.** The system's; or those of the timer, with the time of day going on from when the
//!   host was made; or tokio's, also when it is paused. tokio's timers go off in steps of a
//!   millisecond.
//! * **Descriptors.** async-io is level-triggered and gives one answer per question: when a wait
//!   begins, the system is asked for the state there and then. tokio is edge-triggered: each change
//!   is reported once and kept, and cleared when a wait has been told of it, before the operation
//!   is tried. For the coroutine both are the same: try, and when that says `EAGAIN`, wait and try
//!   again.
//! * **Threads.** async-io has one, from when something first waits; `blocking` has as many as
//!   there are calls. tokio's are its own.
//! * **[`orphans`]** are finished by one thread for all of them; by tokio, as tasks.
//!
//! No feature changes which host is the default.
//!
//! # Guarantees
//!
//! * Readiness is not lost, whether it comes before a wait is registered or after: a descriptor is
//!   registered first, and the system reports what is ready at that moment. A wait may end too
//!   early, and the operation then says `EAGAIN` again.
//! * Any number of coroutines may wait for one descriptor: each registers a duplicate of its own.
//!   That takes one more descriptor for each that a coroutine waits for, while it is open there.
//! * A coroutine that is dropped leaves no timer and no registration behind.
//! * What a cancelled coroutine still has to do is finished in the background. [`orphans`] says how
//!   many there are.
//! * When tokio's runtime goes before its coroutines do, they go on by the default host.
//!
//! # Not guaranteed
//!
//! The end of the process does not wait for orphans, nor for blocking calls.
//!
//! [`Timer`]: ziggurat_core::time::Timer

use std::sync::OnceLock;

mod clock;
#[cfg(unix)]
mod descriptor;
mod neutral;
#[cfg(feature = "tokio")]
mod tokio;

#[cfg(unix)]
pub use descriptor::Descriptor;
pub use neutral::DefaultHost;
pub use ziggurat_zig_ffi::host::{Clock, Host, HostRef, Interest, Job, Orphan, orphans};

#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use self::tokio::{NoRuntime, TokioHost, TokioWait};

#[cfg(all(feature = "tokio", unix))]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use self::tokio::TokioDescriptor;

/// The host of those that were given none, made when it is first asked for.
pub(crate) fn shared() -> HostRef {
    static SHARED: OnceLock<HostRef> = OnceLock::new();
    SHARED.get_or_init(|| HostRef::for_ever(DefaultHost::new())).clone()
}
