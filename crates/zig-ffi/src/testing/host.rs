//! The other side of a host: what asks it, with tickets that are ended as they should be, and coroutines
//! that are closures.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use crate::abi::{
    self, ErrorRecord, Header, HostVTable, PollContext, RawHandle, SourceVTable, TypeDesc,
    WakerHandle,
};
use crate::host::HostRef;
use crate::plain::Plain;
use crate::waker::with_waker;
use crate::{HostWaker, RawSource};

/// A waker that is lent for a poll.
#[derive(Debug, Clone, Copy)]
pub struct Lent<'a> {
    handle: *const WakerHandle,
    lender: PhantomData<&'a WakerHandle>,
}

impl Lent<'static> {
    /// None at all, which is against the rules.
    pub const NULL: Lent<'static> = Lent { handle: ptr::null(), lender: PhantomData };
}

impl<'a> Lent<'a> {
    /// The waker of a task.
    pub fn new(waker: &'a HostWaker) -> Self {
        Lent { handle: waker.handle(), lender: PhantomData }
    }

    /// A waker to keep.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    pub fn to_waker(self) -> Waker {
        // SAFETY: null or alive.
        unsafe { with_waker(self.handle, |cx| cx.waker().clone()) }.expect("a waker")
    }
}

/// A host, as the other side uses it.
#[derive(Debug, Clone)]
pub struct HostUser(HostRef);

impl HostUser {
    /// A user of `host`, with a reference of its own.
    pub fn new(host: &HostRef) -> Self {
        HostUser(host.clone())
    }

    fn table(&self) -> &HostVTable {
        // SAFETY: our reference keeps the handle alive, and its table is static.
        unsafe { &*(*self.0.as_raw()).vtable }
    }

    /// Nanoseconds of a `CLOCK_`.
    pub fn now(&self, clock: u32) -> i64 {
        // SAFETY: the host is alive.
        unsafe { self.table().now.unwrap()(self.0.as_raw(), clock) }
    }

    /// A timer without a ticket yet.
    pub fn timer(&self) -> TimerUser {
        TimerUser { host: self.clone(), ticket: ptr::null_mut() }
    }

    /// A wait for a descriptor, without a ticket yet.
    pub fn fd(&self) -> FdUser {
        FdUser { host: self.clone(), ticket: ptr::null_mut() }
    }

    /// Has a closure run on a thread that may block. A closure that will not run is dropped.
    pub fn offload(&self, job: impl FnOnce() + Send + 'static) -> i32 {
        type Call = Box<dyn FnOnce() + Send>;
        unsafe extern "C" fn run(ctx: *mut c_void) {
            // SAFETY: leaked below, for this one call.
            let call = unsafe { Box::from_raw(ctx.cast::<Call>()) };
            call();
        }
        let job: *mut Call = Box::into_raw(Box::new(Box::new(job)));
        // SAFETY: the host is alive; the job may run once, on any thread.
        let status =
            unsafe { self.table().offload.unwrap()(self.0.as_raw(), Some(run), job.cast()) };
        if status == abi::ERROR {
            // SAFETY: it does not run.
            drop(unsafe { Box::from_raw(job) });
        }
        status
    }

    /// Has a closure driven until it says anything but `PENDING`. One that is not taken is dropped.
    pub fn drive(&self, body: impl FnMut(Lent<'_>) -> i32 + Send + 'static) -> i32 {
        type Body = Box<dyn FnMut(Lent<'_>) -> i32 + Send>;
        unsafe extern "C" fn poll(state: *mut c_void, cx: *const PollContext) -> i32 {
            // SAFETY: the caller's context.
            let waker = Lent { handle: unsafe { (*cx).waker }, lender: PhantomData };
            // SAFETY: leaked below; one caller at a time.
            let status = unsafe { (*state.cast::<Body>())(waker) };
            if status != abi::PENDING {
                // SAFETY: the last call.
                drop(unsafe { Box::from_raw(state.cast::<Body>()) });
            }
            status
        }
        let body: *mut Body = Box::into_raw(Box::new(Box::new(body)));
        // SAFETY: the host is alive; the closure may be called from any thread.
        let status =
            unsafe { self.table().drive.unwrap()(self.0.as_raw(), Some(poll), body.cast()) };
        if status == abi::ERROR {
            // SAFETY: it is not called.
            drop(unsafe { Box::from_raw(body) });
        }
        status
    }
}

/// One timer's ticket.
#[derive(Debug)]
pub struct TimerUser {
    host: HostUser,
    ticket: *mut c_void,
}

// SAFETY: a ticket has one user at a time, on any thread.
unsafe impl Send for TimerUser {}

impl TimerUser {
    /// `poll_timer`.
    pub fn poll(&mut self, at: i64, waker: Lent<'_>) -> i32 {
        let poll = self.host.table().poll_timer.unwrap();
        // SAFETY: the host is alive, the ticket is ours, and the waker is null or alive.
        unsafe { poll(self.host.0.as_raw(), &raw mut self.ticket, at, waker.handle) }
    }

    /// Whether there is a ticket.
    pub fn has_ticket(&self) -> bool {
        !self.ticket.is_null()
    }
}

impl Drop for TimerUser {
    fn drop(&mut self) {
        // SAFETY: the ticket is ours, and ends here.
        unsafe { self.host.table().drop_timer.unwrap()(self.ticket) }
    }
}

/// One descriptor's ticket.
#[derive(Debug)]
pub struct FdUser {
    host: HostUser,
    ticket: *mut c_void,
}

// SAFETY: a ticket has one user at a time, on any thread.
unsafe impl Send for FdUser {}

impl FdUser {
    /// `poll_fd`.
    pub fn poll(&mut self, fd: i32, interest: u32, waker: Lent<'_>) -> i32 {
        let poll = self.host.table().poll_fd.unwrap();
        // SAFETY: the host is alive, the ticket is ours, and the waker is null or alive.
        unsafe { poll(self.host.0.as_raw(), &raw mut self.ticket, fd, interest, waker.handle) }
    }

    /// Whether there is a ticket.
    pub fn has_ticket(&self) -> bool {
        !self.ticket.is_null()
    }
}

impl Drop for FdUser {
    fn drop(&mut self) {
        // SAFETY: the ticket is ours, and ends here.
        unsafe { self.host.table().drop_fd.unwrap()(self.ticket) }
    }
}

/// What the closure of a [`coroutine`] is given: the waker of this poll, and where items go.
pub type Body<T> = dyn FnMut(Lent<'_>, &mut Vec<T>) -> i32 + Send;

struct Coroutine<T> {
    table: SourceVTable,
    body: Mutex<Box<Body<T>>>,
}

/// A source whose `poll_batch` calls a closure, as a coroutine's runs its fiber. The closure, with all it
/// holds, is dropped with the last reference.
pub fn coroutine<T: Plain>(
    body: impl FnMut(Lent<'_>, &mut Vec<T>) -> i32 + Send + 'static,
) -> RawSource {
    let table = SourceVTable {
        header: Header::of::<SourceVTable>(),
        item: TypeDesc::of::<T>(),
        retain: Some(retain::<T>),
        release: Some(release::<T>),
        poll_batch: Some(poll_batch::<T>),
        cancel: Some(cancel),
        last_error: Some(last_error),
    };
    let made = Arc::new(Coroutine { table, body: Mutex::new(Box::new(body)) });
    let handle = RawHandle {
        vtable: (&raw const made.table).cast(),
        state: Arc::into_raw(made).cast_mut().cast(),
    };
    // SAFETY: the table lives as long as the state, and its functions keep their contracts.
    unsafe { RawSource::from_raw(handle, TypeDesc::of::<T>()) }.expect("a good table")
}

unsafe extern "C" fn retain<T>(state: *mut c_void) {
    // SAFETY: a live handle's state.
    unsafe { Arc::increment_strong_count(state.cast::<Coroutine<T>>()) }
}

unsafe extern "C" fn release<T>(state: *mut c_void) {
    // SAFETY: a live handle's state, whose reference is given up.
    unsafe { Arc::decrement_strong_count(state.cast::<Coroutine<T>>()) }
}

unsafe extern "C" fn cancel(_: *mut c_void) {}

unsafe extern "C" fn last_error(_: *mut c_void, _: *mut ErrorRecord) {}

unsafe extern "C" fn poll_batch<T: Copy>(
    state: *mut c_void,
    cx: *const PollContext,
    out: *mut c_void,
    cap: usize,
    n: *mut usize,
) -> i32 {
    // SAFETY: a live handle's state.
    let coroutine = unsafe { &*state.cast::<Coroutine<T>>() };
    let mut items = Vec::new();
    // SAFETY: the caller's context.
    let waker = Lent { handle: unsafe { (*cx).waker }, lender: PhantomData };
    let status = coroutine.body.lock().unwrap()(waker, &mut items);
    assert!(items.len() <= cap, "a closure may not make more than there is room for");
    // SAFETY: room for `cap` items, and the caller's count.
    unsafe {
        ptr::copy_nonoverlapping(items.as_ptr(), out.cast::<T>(), items.len());
        n.write(items.len());
    }
    status
}
