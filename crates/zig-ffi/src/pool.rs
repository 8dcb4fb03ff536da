//! A [`BufferPool`] as the other side sees it.

use std::ffi::c_void;
use std::sync::Arc;
use std::task::{Context, Poll};

use ziggurat_core::{BufferPool, PoolWaiter, RawBuffer};

use crate::abi::{ERROR, Header, PENDING, PoolHandle, PoolVTable, READY, WakerHandle};
use crate::waker::ForeignWaker;

/// A buffer pool with a C face. The other side takes blocks from it by a function call that neither
/// locks nor allocates, and waits for one by leaving a waker.
#[derive(Debug, Clone)]
pub struct HostPool {
    shared: Arc<Shared>,
}

/// The handle comes first: its address is the address of the whole.
#[repr(C)]
#[derive(Debug)]
struct Shared {
    handle: PoolHandle,
    pool: BufferPool,
}

// SAFETY: the handle is a pointer to a static table.
unsafe impl Send for Shared {}
// SAFETY: as above; the pool is `Sync`.
unsafe impl Sync for Shared {}

static VTABLE: PoolVTable = PoolVTable {
    header: Header::of::<PoolVTable>(),
    retain: Some(retain),
    release: Some(release),
    acquire: Some(acquire),
    drop_ticket: Some(drop_ticket),
    share: Some(share),
};

impl HostPool {
    /// Gives `pool` a C face.
    pub fn new(pool: BufferPool) -> Self {
        let handle = PoolHandle { vtable: &raw const VTABLE, block_size: pool.block_size() };
        HostPool { shared: Arc::new(Shared { handle, pool }) }
    }

    /// The pool itself.
    pub fn pool(&self) -> &BufferPool {
        &self.shared.pool
    }

    /// The handle to lend. It lives as long as this value, or as a reference that was added to it.
    pub fn as_raw(&self) -> *const PoolHandle {
        Arc::as_ptr(&self.shared).cast()
    }
}

/// # Safety
///
/// `pool` is a live handle of a [`Shared`].
unsafe extern "C" fn retain(pool: *const PoolHandle) {
    // SAFETY: the address of a `Shared` in an `Arc` that the caller has a reference to.
    unsafe { Arc::increment_strong_count(pool.cast::<Shared>()) }
}

/// # Safety
///
/// As for [`retain`], and the caller gives up one reference.
unsafe extern "C" fn release(pool: *const PoolHandle) {
    // SAFETY: as above.
    unsafe { Arc::decrement_strong_count(pool.cast::<Shared>()) }
}

/// # Safety
///
/// `pool` is alive, `ticket` and `out` are writable, `*ticket` is null or what this function left
/// there, and nobody else uses it meanwhile.
unsafe extern "C" fn acquire(
    pool: *const PoolHandle,
    waker: *const WakerHandle,
    ticket: *mut *mut c_void,
    out: *mut RawBuffer,
) -> i32 {
    // SAFETY: alive, says the caller.
    let pool = unsafe { &(*pool.cast::<Shared>()).pool };
    if let Some(block) = pool.try_acquire() {
        // SAFETY: writable, says the caller.
        unsafe { out.write(block.into_raw()) };
        return READY;
    }
    if waker.is_null() {
        return PENDING;
    }
    // SAFETY: readable, says the caller.
    let mut waiter = unsafe { *ticket }.cast::<PoolWaiter>();
    if waiter.is_null() {
        waiter = Box::into_raw(Box::new(PoolWaiter::new(pool.clone())));
        // SAFETY: writable, says the caller.
        unsafe { *ticket = waiter.cast() };
    }
    // SAFETY: the caller's waker is a valid handle for the call.
    let Some(waker) = (unsafe { ForeignWaker::retained(waker) }).map(ForeignWaker::into_waker)
    else {
        return ERROR;
    };
    // SAFETY: a box that this function leaked, and the ticket has one user at a time.
    match unsafe { &mut *waiter }.poll_acquire(&mut Context::from_waker(&waker)) {
        Poll::Pending => PENDING,
        Poll::Ready(block) => {
            // SAFETY: writable, says the caller.
            unsafe { out.write(block.into_raw()) };
            READY
        }
    }
}

/// # Safety
///
/// `ticket` is null or what [`acquire`] left, and is not used again.
unsafe extern "C" fn drop_ticket(ticket: *mut c_void) {
    if !ticket.is_null() {
        // SAFETY: leaked by `acquire`, says the caller.
        drop(unsafe { Box::from_raw(ticket.cast::<PoolWaiter>()) });
    }
}

/// # Safety
///
/// `buffer` is readable and not yet released.
unsafe extern "C" fn share(buffer: *const RawBuffer) {
    // SAFETY: readable, says the caller.
    let buffer = unsafe { &*buffer };
    // SAFETY: passed on.
    let counted = unsafe { BufferPool::share(buffer) };
    if !counted && buffer.release.is_some() {
        // Not a block of a pool: its owners would be counted wrongly from here on.
        std::process::abort();
    }
}
