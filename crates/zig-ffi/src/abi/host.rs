//! The table by which coroutines wait.

use std::ffi::c_void;

#[cfg(doc)]
use super::{ERROR, PENDING, READY};
use super::{Header, PollContext, WakerHandle};

/// [`HostVTable::now`]: the time of day, since the Unix epoch.
pub const CLOCK_REAL: u32 = 0;
/// [`HostVTable::now`]: what the timers go by. It never goes back, and may stand still while the
/// machine sleeps.
pub const CLOCK_AWAKE: u32 = 1;
/// [`HostVTable::now`]: as [`CLOCK_AWAKE`], and it goes on while the machine sleeps, where the system
/// has such a clock.
pub const CLOCK_BOOT: u32 = 2;

/// [`HostVTable::poll_fd`]: a read, an `accept` or the like will not say `EAGAIN`.
pub const INTEREST_READABLE: u32 = 1;
/// [`HostVTable::poll_fd`]: a write, a `connect` or the like will not say `EAGAIN`.
pub const INTEREST_WRITABLE: u32 = 2;

/// What runs a coroutine's timers, descriptors and blocking calls. Its address is its identity.
#[repr(C)]
#[derive(Debug)]
pub struct HostHandle {
    /// How to use it.
    pub vtable: *const HostVTable,
}

/// Operations of a [`HostHandle`]. None blocks, none unwinds, and none is called with a lock held.
///
/// `now`, `poll_timer` and `poll_fd` are called during a poll of the coroutine, on the poller's own
/// thread and stack, with the waker of its [`PollContext`]. The others may be called from any thread.
///
/// A ticket is what an operation remembers from call to call. It starts as null, has one user at a
/// time, belongs to the host whose call made it, and is ended once, by its `drop_` function. It may
/// outlive the caller's reference to the host.
#[repr(C)]
#[derive(Debug)]
pub struct HostVTable {
    /// The table's size and version.
    pub header: Header,
    /// Adds a reference.
    pub retain: Option<unsafe extern "C" fn(host: *const HostHandle)>,
    /// Drops a reference.
    pub release: Option<unsafe extern "C" fn(host: *const HostHandle)>,
    /// Nanoseconds of a `CLOCK_`; `i64::MIN` for one that there is not.
    pub now: Option<unsafe extern "C" fn(host: *const HostHandle, clock: u32) -> i64>,
    /// Waits until `at`, in nanoseconds of [`CLOCK_AWAKE`]. One timer per ticket; another `at` moves
    /// it. `READY`: `at` has passed (and a later call with the same `at` says so again). `PENDING`:
    /// `waker` is woken when it has; it may be woken earlier. `ERROR`: there is no such timer: a
    /// pointer is null, or the host keeps time no more.
    pub poll_timer: Option<
        unsafe extern "C" fn(
            host: *const HostHandle,
            ticket: *mut *mut c_void,
            at: i64,
            waker: *const WakerHandle,
        ) -> i32,
    >,
    /// Ends a ticket of `poll_timer`; a null one too.
    pub drop_timer: Option<unsafe extern "C" fn(ticket: *mut c_void)>,
    /// Waits until a descriptor is ready for one of the `INTEREST_` bits. A ticket belongs to one
    /// descriptor, and serves both directions; several tickets may wait for the same descriptor.
    ///
    /// `READY`: try the operation again. What was seen is used up by this answer: the next call waits
    /// for news (it is edge-triggered). So an operation is tried until it says `EAGAIN`, and only then
    /// is this called; after the first call of a ticket the operation is tried once more, since what
    /// happened before may not be reported. It may be `READY` too often, never too seldom.
    ///
    /// `PENDING`: `waker` is woken when it is worth asking again.
    ///
    /// `ERROR`: this cannot be waited for (a regular file, whose descriptor no system call waits for;
    /// no descriptor at all; unknown bits; a ticket of another descriptor; a null pointer). Do the
    /// operation by `offload`. The ticket is as it was before: a null one has stayed null.
    pub poll_fd: Option<
        unsafe extern "C" fn(
            host: *const HostHandle,
            ticket: *mut *mut c_void,
            fd: i32,
            interest: u32,
            waker: *const WakerHandle,
        ) -> i32,
    >,
    /// Ends a ticket of `poll_fd`, before its descriptor is closed; a null one too.
    pub drop_fd: Option<unsafe extern "C" fn(ticket: *mut c_void)>,
    /// Runs `job(ctx)` once, on a thread that may block. `READY`: it will run, is running, or has run.
    /// `ERROR`: it does not run.
    pub offload: Option<
        unsafe extern "C" fn(
            host: *const HostHandle,
            job: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
            ctx: *mut c_void,
        ) -> i32,
    >,
    /// Calls `poll(state, cx)` in the background, with a waker of its own and from whatever thread,
    /// one call at a time, until it returns anything but `PENDING`: what a cancelled coroutine still
    /// has to do after its handle was dropped. The first call may come before this returns.
    /// `READY`: taken. `ERROR`: not taken, never called; the caller keeps it.
    pub drive: Option<
        unsafe extern "C" fn(
            host: *const HostHandle,
            poll: Option<unsafe extern "C" fn(state: *mut c_void, cx: *const PollContext) -> i32>,
            state: *mut c_void,
        ) -> i32,
    >,
}
