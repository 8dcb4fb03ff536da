//! The C face of a host: the one table of functions for each type of host.

use std::ffi::c_void;
use std::fmt;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll};

#[cfg(unix)]
use super::Interest;
use super::{Clock, Host, Job, Orphan};
use crate::abi::{
    self, ERROR, Header, HostHandle, HostVTable, PENDING, PollContext, READY, WakerHandle,
};
use crate::waker::with_waker;

/// A host with a C face, whatever its type is. Clones are the same host.
pub struct HostRef {
    /// Owns a reference.
    handle: NonNull<HostHandle>,
}

// SAFETY: a host is `Send` and `Sync`, and what counts its references is atomic.
unsafe impl Send for HostRef {}
// SAFETY: as above.
unsafe impl Sync for HostRef {}

impl HostRef {
    /// Gives `host` a C face.
    pub fn new<H: Host>(host: H) -> Self {
        let handle = HostHandle { vtable: &raw const *Shared::<H>::VTABLE };
        let shared = Arc::into_raw(Arc::new(Shared { handle, host })).cast_mut();
        // SAFETY: not null: it comes from an `Arc`.
        HostRef { handle: unsafe { NonNull::new_unchecked(shared.cast()) } }
    }

    /// As [`new`](Self::new), for a host that stays for the rest of the program: its references are not
    /// counted.
    pub fn for_ever<H: Host>(host: H) -> Self {
        let handle = HostHandle { vtable: &raw const *Shared::<H>::VTABLE_FOR_EVER };
        HostRef { handle: NonNull::from(Box::leak(Box::new(Shared { handle, host }))).cast() }
    }

    /// Adds a reference to a handle that was lent; `None` for a null one.
    ///
    /// # Safety
    ///
    /// The handle is null or alive.
    #[cfg(any(all(test, not(ziggurat_loom)), feature = "testing"))]
    pub(crate) unsafe fn retained(handle: *const HostHandle) -> Option<HostRef> {
        let borrowed = NonNull::new(handle.cast_mut())?;
        let borrowed = std::mem::ManuallyDrop::new(HostRef { handle: borrowed });
        Some(HostRef::clone(&borrowed))
    }

    /// The handle to lend. It lives as long as this value, or as a reference that was added to it.
    pub fn as_raw(&self) -> *const HostHandle {
        self.handle.as_ptr()
    }

    fn table(&self) -> &HostVTable {
        // SAFETY: our reference keeps the handle alive, and its table is static.
        unsafe { &*self.handle.as_ref().vtable }
    }
}

impl<H: Host> From<H> for HostRef {
    fn from(host: H) -> Self {
        HostRef::new(host)
    }
}

impl Clone for HostRef {
    fn clone(&self) -> Self {
        if let Some(retain) = self.table().retain {
            // SAFETY: our reference keeps the handle alive; the clone gets its own.
            unsafe { retain(self.as_raw()) };
        }
        HostRef { handle: self.handle }
    }
}

impl Drop for HostRef {
    fn drop(&mut self) {
        if let Some(release) = self.table().release {
            // SAFETY: this value owns one reference.
            unsafe { release(self.as_raw()) };
        }
    }
}

impl fmt::Debug for HostRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostRef").finish_non_exhaustive()
    }
}

/// The handle comes first: its address is the address of the whole.
#[repr(C)]
struct Shared<H> {
    handle: HostHandle,
    host: H,
}

impl<H: Host> Shared<H> {
    const VTABLE: &'static HostVTable = &Self::table(retain::<H>, release::<H>);
    const VTABLE_FOR_EVER: &'static HostVTable = &Self::table(uncounted, uncounted);

    const fn table(
        retain: unsafe extern "C" fn(*const HostHandle),
        release: unsafe extern "C" fn(*const HostHandle),
    ) -> HostVTable {
        HostVTable {
            header: Header::of::<HostVTable>(),
            retain: Some(retain),
            release: Some(release),
            now: Some(now::<H>),
            poll_timer: Some(poll_timer::<H>),
            drop_timer: Some(drop_timer::<H>),
            poll_fd: Some(poll_fd::<H>),
            drop_fd: Some(drop_fd::<H>),
            offload: Some(offload::<H>),
            drive: Some(drive::<H>),
        }
    }
}

/// A timer, and what it was set to last. A time that moves later leaves the timer alone, which goes off
/// early once and is set anew: a deadline that moves with each operation costs little.
struct TimerTicket<T> {
    armed: i64,
    timer: T,
}

#[cfg(unix)]
struct FdTicket<D> {
    fd: i32,
    /// The descriptor said that it cannot be waited for.
    failed: bool,
    descriptor: D,
}

/// What `f` says, or `otherwise` if it panics.
///
/// After a panic nothing is used that it may have left half done: a ticket's parts stay valid
/// whatever the provider did to them, and the host is for the provider to keep in order.
fn guarded<R>(otherwise: R, f: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(otherwise)
}

/// # Safety
///
/// `host` is null or a live handle of a [`Shared<H>`].
unsafe fn host_of<'a, H>(host: *const HostHandle) -> Option<&'a H> {
    // SAFETY: alive, says the caller.
    unsafe { host.cast::<Shared<H>>().as_ref() }.map(|shared| &shared.host)
}

/// # Safety
///
/// `host` is a live handle of a [`Shared<H>`].
unsafe extern "C" fn retain<H: Host>(host: *const HostHandle) {
    // SAFETY: the address of a `Shared` in an `Arc` that the caller has a reference to.
    unsafe { Arc::increment_strong_count(host.cast::<Shared<H>>()) }
}

/// # Safety
///
/// As for [`retain`], and the caller gives up one reference.
unsafe extern "C" fn release<H: Host>(host: *const HostHandle) {
    // SAFETY: as above.
    unsafe { Arc::decrement_strong_count(host.cast::<Shared<H>>()) }
}

unsafe extern "C" fn uncounted(_: *const HostHandle) {}

/// # Safety
///
/// `host` is null or alive.
unsafe extern "C" fn now<H: Host>(host: *const HostHandle, clock: u32) -> i64 {
    let clock = match clock {
        abi::CLOCK_REAL => Clock::Real,
        abi::CLOCK_AWAKE => Clock::Awake,
        abi::CLOCK_BOOT => Clock::Boot,
        _ => return i64::MIN,
    };
    // SAFETY: passed on.
    let Some(host) = (unsafe { host_of::<H>(host) }) else { return i64::MIN };
    guarded(i64::MIN, || host.now(clock))
}

/// # Safety
///
/// `host`, `ticket` and `waker` are each null or valid; `*ticket` is null or what this function left
/// there, and nobody else uses it meanwhile.
unsafe extern "C" fn poll_timer<H: Host>(
    host: *const HostHandle,
    ticket: *mut *mut c_void,
    at: i64,
    waker: *const WakerHandle,
) -> i32 {
    // SAFETY: passed on.
    let (Some(host), Some(ticket)) = (unsafe { (host_of::<H>(host), ticket.as_mut()) }) else {
        return ERROR;
    };
    let poll = |cx: &mut Context<'_>| {
        guarded(ERROR, || {
            if ticket.is_null() {
                let made = TimerTicket { armed: at, timer: host.timer(at) };
                *ticket = Box::into_raw(Box::new(made)).cast();
            }
            // SAFETY: a box that this function leaked, and the ticket has one user at a time.
            let ticket = unsafe { &mut *ticket.cast::<TimerTicket<H::Timer>>() };
            // SAFETY: it stays in its box until it is dropped there.
            let mut timer = unsafe { Pin::new_unchecked(&mut ticket.timer) };
            if at < ticket.armed {
                host.reset_timer(timer.as_mut(), at);
                ticket.armed = at;
            }
            loop {
                match host.poll_timer(timer.as_mut(), cx) {
                    Poll::Pending => return PENDING,
                    Poll::Ready(()) if ticket.armed >= at => return READY,
                    Poll::Ready(()) => {
                        host.reset_timer(timer.as_mut(), at);
                        ticket.armed = at;
                    }
                }
            }
        })
    };
    // SAFETY: the caller's waker is null or a valid handle for the call.
    unsafe { with_waker(waker, poll) }.unwrap_or(ERROR)
}

/// # Safety
///
/// `ticket` is null or what [`poll_timer`] left, and is not used again.
unsafe extern "C" fn drop_timer<H: Host>(ticket: *mut c_void) {
    if !ticket.is_null() {
        // SAFETY: leaked by `poll_timer`, says the caller.
        drop(unsafe { Box::from_raw(ticket.cast::<TimerTicket<H::Timer>>()) });
    }
}

/// The directions behind the bits, unless there are none, or others.
#[cfg(unix)]
fn interests(bits: u32) -> Option<impl Iterator<Item = Interest> + Clone> {
    let known = [
        (abi::INTEREST_READABLE, Interest::Readable),
        (abi::INTEREST_WRITABLE, Interest::Writable),
    ];
    let all = abi::INTEREST_READABLE | abi::INTEREST_WRITABLE;
    let valid = bits != 0 && bits & !all == 0;
    let wanted = move |&(bit, _): &(u32, Interest)| bits & bit != 0;
    valid.then(|| known.into_iter().filter(wanted).map(|(_, interest)| interest))
}

/// # Safety
///
/// As for [`poll_timer`]; `fd` is open if it is a descriptor at all.
#[cfg(unix)]
unsafe extern "C" fn poll_fd<H: Host>(
    host: *const HostHandle,
    ticket: *mut *mut c_void,
    fd: i32,
    interest: u32,
    waker: *const WakerHandle,
) -> i32 {
    // SAFETY: passed on.
    let (Some(host), Some(ticket)) = (unsafe { (host_of::<H>(host), ticket.as_mut()) }) else {
        return ERROR;
    };
    let Some(interests) = interests(interest).filter(|_| fd >= 0) else { return ERROR };
    let poll = |cx: &mut Context<'_>| {
        guarded(ERROR, || {
            if ticket.is_null() {
                let Some(mut made) = register(host, fd) else { return ERROR };
                let status = poll_directions(host, &mut made, interests, cx);
                if status != ERROR {
                    *ticket = Box::into_raw(Box::new(made)).cast();
                }
                return status;
            }
            // SAFETY: a box that this function leaked, and the ticket has one user at a time.
            let ticket = unsafe { &mut *ticket.cast::<FdTicket<H::Descriptor>>() };
            if ticket.fd != fd || ticket.failed {
                return ERROR;
            }
            poll_directions(host, ticket, interests, cx)
        })
    };
    // SAFETY: the caller's waker is null or a valid handle for the call.
    unsafe { with_waker(waker, poll) }.unwrap_or(ERROR)
}

/// Registers a duplicate: nobody else can close that, and one descriptor can be registered as often as
/// there are tasks that wait for it.
#[cfg(unix)]
fn register<H: Host>(host: &H, fd: i32) -> Option<FdTicket<H::Descriptor>> {
    // SAFETY: not -1. It is borrowed for one system call, which says so if it is no open descriptor.
    let duplicate = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().ok()?;
    let descriptor = host.register(duplicate).ok()?;
    Some(FdTicket { fd, failed: false, descriptor })
}

#[cfg(unix)]
fn poll_directions<H: Host>(
    host: &H,
    ticket: &mut FdTicket<H::Descriptor>,
    interests: impl Iterator<Item = Interest>,
    cx: &mut Context<'_>,
) -> i32 {
    let mut status = PENDING;
    // Each is asked, so that the waker is left with each.
    for interest in interests {
        match host.poll_ready(&mut ticket.descriptor, interest, cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => status = READY,
            Poll::Ready(Err(_)) => {
                ticket.failed = true;
                return ERROR;
            }
        }
    }
    status
}

/// # Safety
///
/// `ticket` is null or what [`poll_fd`] left, and is not used again.
#[cfg(unix)]
unsafe extern "C" fn drop_fd<H: Host>(ticket: *mut c_void) {
    if !ticket.is_null() {
        // SAFETY: leaked by `poll_fd`, says the caller.
        drop(unsafe { Box::from_raw(ticket.cast::<FdTicket<H::Descriptor>>()) });
    }
}

/// There are no such descriptors here.
#[cfg(not(unix))]
unsafe extern "C" fn poll_fd<H: Host>(
    _: *const HostHandle,
    _: *mut *mut c_void,
    _: i32,
    _: u32,
    _: *const WakerHandle,
) -> i32 {
    ERROR
}

/// Nor tickets.
#[cfg(not(unix))]
unsafe extern "C" fn drop_fd<H: Host>(_: *mut c_void) {}

/// # Safety
///
/// `host` is null or alive; `job(ctx)` may be called once, from any thread.
unsafe extern "C" fn offload<H: Host>(
    host: *const HostHandle,
    job: Option<unsafe extern "C" fn(*mut c_void)>,
    ctx: *mut c_void,
) -> i32 {
    // SAFETY: passed on.
    let (Some(host), Some(call)) = (unsafe { host_of::<H>(host) }, job) else { return ERROR };
    // SAFETY: promised by the caller.
    let job = unsafe { Job::new(call, ctx) };
    // A job that a panic drops runs, as any that is dropped.
    guarded(READY, || match host.offload(job) {
        Err(refused) if refused.is(call, ctx) => {
            refused.disown();
            ERROR
        }
        // What a provider gives back may be another one, which it took before: that runs as any that is
        // dropped, and the one that it has kept may run.
        Ok(()) | Err(_) => READY,
    })
}

/// # Safety
///
/// `host` is null or alive; `poll(state, cx)` may be called from any thread, by one at a time, until it
/// returns anything but `PENDING`.
unsafe extern "C" fn drive<H: Host>(
    host: *const HostHandle,
    poll: Option<unsafe extern "C" fn(*mut c_void, *const PollContext) -> i32>,
    state: *mut c_void,
) -> i32 {
    // SAFETY: passed on.
    let (Some(host), Some(poll)) = (unsafe { host_of::<H>(host) }, poll) else { return ERROR };
    // SAFETY: promised by the caller.
    let orphan = unsafe { Orphan::new(poll, state) };
    // An orphan that a panic drops is finished by the reaper, as any that is dropped.
    guarded(READY, || match host.drive(orphan) {
        Err(refused) if refused.is(state) => match refused.disown() {
            true => ERROR,
            // It was polled before it was given back: too late to say that it was not taken.
            false => READY,
        },
        // As of jobs.
        Ok(()) | Err(_) => READY,
    })
}
