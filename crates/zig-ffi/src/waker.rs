//! Wakers across the border, both ways, without an allocation per poll.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use crate::abi::{Header, PollContext, WakerHandle, WakerVTable};
use crate::waker_slot::WakerSlot;

/// One task's waker as the other side sees it: one reference-counted handle for the task's whole
/// life, behind which the executor's waker may change from poll to poll.
///
/// A late wake (after this was dropped) is harmless: the other side's reference keeps the handle
/// alive, and nobody is registered behind it any more.
pub struct HostWaker {
    /// Made when it is first needed: then with its first waker in it, which nobody can be taking yet.
    cell: OnceLock<Arc<Cell>>,
    /// The waker that was registered last, to be compared without touching the shared cell.
    last: Identity,
}

/// What makes two wakers the same for [`Waker::will_wake`], as addresses that are never followed.
///
/// It says nothing about wakers that are gone: another may live where one lived. It is compared only
/// while the waker that it was taken from is in the slot, and so alive. (Whoever polls with another
/// that lives there now has seen the first one go, and so the slot empty.)
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    data: usize,
    vtable: usize,
}

impl Identity {
    #[inline]
    fn of(waker: &Waker) -> Self {
        Identity { data: waker.data().addr(), vtable: ptr::from_ref(waker.vtable()).addr() }
    }
}

/// What is shared with the other side. The handle comes first: its address is the cell's address.
#[repr(C)]
struct Cell {
    handle: WakerHandle,
    slot: WakerSlot,
}

// SAFETY: the handle is a pointer to a static table.
unsafe impl Send for Cell {}
// SAFETY: as above; the rest is atomic.
unsafe impl Sync for Cell {}

impl Cell {
    fn new(slot: WakerSlot) -> Arc<Self> {
        Arc::new(Cell { handle: WakerHandle { vtable: &raw const HOST_VTABLE }, slot })
    }
}

static HOST_VTABLE: WakerVTable = WakerVTable {
    header: Header::of::<WakerVTable>(),
    retain: Some(retain),
    release: Some(release),
    wake: Some(wake),
};

/// # Safety
///
/// `waker` is a live handle of a [`Cell`].
unsafe extern "C" fn retain(waker: *const WakerHandle) {
    // SAFETY: the address of a cell in an `Arc` that the caller has a reference to.
    unsafe { Arc::increment_strong_count(waker.cast::<Cell>()) }
}

/// # Safety
///
/// As for [`retain`], and the caller gives up one reference.
unsafe extern "C" fn release(waker: *const WakerHandle) {
    // SAFETY: as above.
    unsafe { Arc::decrement_strong_count(waker.cast::<Cell>()) }
}

/// # Safety
///
/// As for [`retain`].
unsafe extern "C" fn wake(waker: *const WakerHandle) {
    // SAFETY: the caller's reference keeps the cell alive for the call.
    let cell = unsafe { &*waker.cast::<Cell>() };
    if let Some(waker) = cell.slot.take() {
        waker.wake();
    }
}

impl Default for HostWaker {
    fn default() -> Self {
        Self::new()
    }
}

impl HostWaker {
    /// A handle that nobody is registered behind.
    pub fn new() -> Self {
        HostWaker { cell: OnceLock::new(), last: Identity::of(Waker::noop()) }
    }

    /// Makes a wake reach the task of `cx`, and returns what the other side's poll gets to see.
    ///
    /// Call it before each poll: registering comes before checking.
    #[inline]
    pub fn register(&mut self, cx: &mut Context<'_>) -> PollContext {
        let waker = cx.waker();
        // While the last waker is in the slot it is alive, as the one in `cx` is: the same addresses
        // are the same waker.
        let cell = match self.cell.get() {
            Some(cell) if cell.slot.is_set() && self.last == Identity::of(waker) => cell,
            _ => self.register_slow(waker),
        };
        PollContext {
            struct_size: size_of::<PollContext>() as u32,
            reserved: 0,
            waker: Arc::as_ptr(cell).cast(),
        }
    }

    #[cold]
    fn register_slow(&mut self, waker: &Waker) -> &Arc<Cell> {
        // A clone may have another identity than what it was cloned from; the clone is what stays.
        let waker = waker.clone();
        self.last = Identity::of(&waker);
        let mut waker = Some(waker);
        let cell = self.cell.get_or_init(|| Cell::new(WakerSlot::new(waker.take())));
        if let Some(waker) = waker {
            cell.slot.register(waker);
        }
        cell
    }

    fn cell(&self) -> &Arc<Cell> {
        self.cell.get_or_init(|| Cell::new(WakerSlot::new(None)))
    }

    /// Nobody is registered any more, until the next `register`.
    pub fn forget(&self) {
        if let Some(cell) = self.cell.get() {
            drop(cell.slot.take());
        }
    }

    /// References to the handle, this one included.
    pub fn references(&self) -> usize {
        self.cell.get().map_or(1, Arc::strong_count)
    }
}

/// Nobody is registered any more: a handle that the other side keeps does not keep a task.
impl Drop for HostWaker {
    fn drop(&mut self) {
        // Without another reference, and nobody can get one any more, the waker goes with the cell.
        if self.references() > 1 {
            self.forget();
        }
    }
}

impl fmt::Debug for HostWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostWaker").field("references", &self.references()).finish_non_exhaustive()
    }
}

/// A waker that the other side implements, as a reference-counted value.
pub(crate) struct ForeignWaker(NonNull<WakerHandle>);

impl ForeignWaker {
    /// Adds a reference to a borrowed handle, or returns `None` when it cannot be used.
    ///
    /// # Safety
    ///
    /// If the handle and its table are not null they are valid, and the table's functions keep the
    /// contract of [`WakerVTable`].
    pub(crate) unsafe fn retained(handle: *const WakerHandle) -> Option<ForeignWaker> {
        let handle = NonNull::new(handle.cast_mut())?;
        // SAFETY: valid, says the caller.
        let vtable = unsafe { handle.as_ref().vtable.as_ref() }?;
        vtable.release?;
        vtable.wake?;
        // SAFETY: a valid table's function on its own handle.
        unsafe { vtable.retain?(handle.as_ptr()) };
        Some(ForeignWaker(handle))
    }

    /// As a waker for Rust futures. No allocation: the handle is the waker's data.
    pub(crate) fn into_waker(self) -> Waker {
        let data = ManuallyDrop::new(self).0.as_ptr().cast_const().cast();
        // SAFETY: the table below keeps the contract of `RawWakerVTable`: each waker owns one
        // reference, and the other side's functions may be called from any thread.
        unsafe { Waker::from_raw(RawWaker::new(data, &FOREIGN)) }
    }

    fn vtable(&self) -> &WakerVTable {
        // SAFETY: checked and valid since `retained`.
        unsafe { &*self.0.as_ref().vtable }
    }
}

impl Drop for ForeignWaker {
    fn drop(&mut self) {
        if let Some(release) = self.vtable().release {
            // SAFETY: this value owns one reference.
            unsafe { release(self.0.as_ptr()) }
        }
    }
}

/// Calls `f` with a context for a borrowed handle, or returns `None` when the handle cannot be used. It
/// counts no reference: a waker that is kept is a clone.
///
/// # Safety
///
/// As for [`ForeignWaker::retained`], and the handle stays alive for the call.
pub(crate) unsafe fn with_waker<R>(
    handle: *const WakerHandle,
    f: impl FnOnce(&mut Context<'_>) -> R,
) -> Option<R> {
    // SAFETY: valid, says the caller.
    let vtable = unsafe { handle.as_ref()?.vtable.as_ref() }?;
    vtable.retain?;
    vtable.release?;
    vtable.wake?;
    // SAFETY: the table keeps the contract of `RawWakerVTable`. The reference that this waker would give
    // up is not ours, and it is never dropped or woken by value: `f` gets to see it and no more.
    let waker =
        unsafe { ManuallyDrop::new(Waker::from_raw(RawWaker::new(handle.cast(), &FOREIGN))) };
    Some(f(&mut Context::from_waker(&waker)))
}

/// A waker that the other side implements, as one for Rust futures. It holds a reference to the handle;
/// `None` when the handle or its table is null or lacks a function.
///
/// # Safety
///
/// If the handle and its table are not null they are valid, and the table's functions keep the contract
/// of [`WakerVTable`].
pub unsafe fn foreign_waker(handle: *const WakerHandle) -> Option<Waker> {
    // SAFETY: passed on.
    unsafe { ForeignWaker::retained(handle) }.map(ForeignWaker::into_waker)
}

static FOREIGN: RawWakerVTable = RawWakerVTable::new(
    |data| {
        let borrowed = borrow(data);
        if let Some(retain) = borrowed.vtable().retain {
            // SAFETY: the cloned waker holds a reference.
            unsafe { retain(borrowed.0.as_ptr()) }
        }
        RawWaker::new(data, &FOREIGN)
    },
    |data| {
        foreign_wake(&borrow(data));
        drop(ManuallyDrop::into_inner(borrow(data)));
    },
    |data| foreign_wake(&borrow(data)),
    |data| drop(ManuallyDrop::into_inner(borrow(data))),
);

/// The waker behind a `RawWaker`'s data, still owned by that `RawWaker`.
fn borrow(data: *const ()) -> ManuallyDrop<ForeignWaker> {
    // SAFETY: the data of wakers with the table `FOREIGN` is a handle that was not null.
    ManuallyDrop::new(ForeignWaker(unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }))
}

fn foreign_wake(waker: &ForeignWaker) {
    if let Some(wake) = waker.vtable().wake {
        // SAFETY: the waker holds a reference.
        unsafe { wake(waker.0.as_ptr()) }
    }
}

/// A handle as the other side sees it, for tests.
impl HostWaker {
    #[doc(hidden)]
    #[inline]
    pub fn handle(&self) -> *const WakerHandle {
        Arc::as_ptr(self.cell()).cast()
    }
}

#[cfg(all(test, not(ziggurat_loom)))]
mod tests {
    use super::*;
    use futures::task::{ArcWake, waker};
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Count(AtomicUsize);
    impl ArcWake for Count {
        fn wake_by_ref(this: &Arc<Self>) {
            this.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counter() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        (count.clone(), waker(count))
    }

    fn count(c: &Count) -> usize {
        c.0.load(Ordering::SeqCst)
    }

    #[test]
    fn a_wake_reaches_the_last_registered_task_once() {
        let mut host = HostWaker::new();
        let ((first, first_waker), (second, second_waker)) = (counter(), counter());
        let handle = host.register(&mut Context::from_waker(&first_waker)).waker;
        host.register(&mut Context::from_waker(&second_waker));
        // SAFETY: `host` is alive.
        unsafe { wake(handle) };
        // SAFETY: as above.
        unsafe { wake(handle) };
        assert_eq!((count(&first), count(&second)), (0, 1));
        host.register(&mut Context::from_waker(&second_waker));
        // SAFETY: as above.
        unsafe { wake(handle) };
        assert_eq!(count(&second), 2);
    }

    #[test]
    fn polling_again_with_the_same_waker_clones_nothing() {
        let mut host = HostWaker::new();
        let (count, waker) = counter();
        host.register(&mut Context::from_waker(&waker));
        let before = Arc::strong_count(&count);
        for _ in 0..100 {
            host.register(&mut Context::from_waker(&waker));
        }
        assert_eq!(Arc::strong_count(&count), before);
    }

    #[test]
    fn a_late_wake_is_harmless_and_the_handle_is_freed_with_its_last_reference() {
        let mut host = HostWaker::new();
        let (c, waker) = counter();
        let handle = host.register(&mut Context::from_waker(&waker)).waker;
        // SAFETY: alive; the reference is given back below.
        unsafe { retain(handle) };
        assert_eq!(host.references(), 2);
        drop(host);
        drop(waker);
        // The handle does not keep the task.
        assert_eq!(Arc::strong_count(&c), 1);
        // SAFETY: our reference keeps it alive.
        unsafe { wake(handle) };
        assert_eq!(count(&c), 0);
        // SAFETY: the last reference.
        unsafe { release(handle) };
    }

    #[test]
    fn a_foreign_waker_is_reference_counted() {
        let mut host = HostWaker::new();
        let (c, task) = counter();
        let handle = host.register(&mut Context::from_waker(&task)).waker;
        // SAFETY: a host handle is as good a foreign one as any.
        let foreign = unsafe { ForeignWaker::retained(handle) }.unwrap().into_waker();
        let clone = foreign.clone();
        assert_eq!(host.references(), 3);
        assert!(clone.will_wake(&foreign));
        clone.wake();
        foreign.wake_by_ref();
        drop(foreign);
        assert_eq!((host.references(), count(&c)), (1, 1));
        // SAFETY: null is allowed.
        assert!(unsafe { ForeignWaker::retained(ptr::null()) }.is_none());
    }
}
