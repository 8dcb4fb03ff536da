//! The slow paths that Zig calls: parking, waking, closing, coming and going.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;

use ziggurat_core::Item;
use ziggurat_zig_ffi::abi::TypeDesc;
use ziggurat_zig_ffi::{RawEnd, foreign_waker};

use crate::layout::{ABI_MAJOR, ABI_MINOR, Header, VTable};
use crate::sync::Ordering;
use crate::wait::Key;
use crate::waiters::{Side, Waiters};

/// What is behind a header.
///
/// # Safety
///
/// The header is the value's first field, and the value is in an `Arc`.
pub(crate) unsafe trait Shared: Sized {
    fn shared(&self) -> (&Header, &Waiters);

    fn close(&self, fault: u32);

    /// The ring of a number, of a row.
    fn ring(&self, _number: u64, _make: bool) -> *const c_void {
        std::ptr::null()
    }

    /// Adds an end.
    ///
    /// # Safety
    ///
    /// `channel` is a pointer that `Arc::as_ptr` gave, and the caller has an end.
    unsafe fn clone_end(channel: *const Self, side: Side);

    /// Drops an end.
    ///
    /// # Safety
    ///
    /// As for `clone_end`, and the caller has an end of that side, which it gives up.
    unsafe fn drop_end(channel: *const Self, side: Side);
}

/// Gives up an end of `channel`: what holds it now is the value that is returned.
///
/// # Safety
///
/// `channel` is what `Arc::as_ptr` gave; its items are `T`s. The caller has given up an end of `side`
/// without dropping it.
pub(crate) unsafe fn cross<C: Shared, T: Item>(channel: *const C, side: Side) -> RawEnd {
    // SAFETY: the end that was given up keeps it alive.
    let (header, _) = unsafe { &*channel }.shared();
    let item = TypeDesc::of_item::<T>();
    // Relaxed: each end that crosses stores the same, and whatever hands it over publishes it.
    header.item_kind.store(item.kind, Ordering::Relaxed);
    header.vtable.store(std::ptr::from_ref(Table::<C>::TABLE).cast_mut(), Ordering::Relaxed);
    let (ty, drop): (_, unsafe fn(NonNull<c_void>)) = match side {
        Side::Senders => (TypeDesc::sender_of::<T>(), drop_sender::<C>),
        Side::Receivers => (TypeDesc::receiver_of::<T>(), drop_receiver::<C>),
    };
    // SAFETY: the end is the caller's to give; an `Arc` is never null.
    unsafe { RawEnd::new(NonNull::new_unchecked(channel.cast_mut().cast()), ty, drop) }
}

/// # Safety
///
/// As for [`Shared::drop_end`].
unsafe fn drop_sender<C: Shared>(channel: NonNull<c_void>) {
    // SAFETY: passed on.
    unsafe { C::drop_end(channel.as_ptr().cast(), Side::Senders) }
}

/// # Safety
///
/// As for [`Shared::drop_end`].
unsafe fn drop_receiver<C: Shared>(channel: NonNull<c_void>) {
    // SAFETY: passed on.
    unsafe { C::drop_end(channel.as_ptr().cast(), Side::Receivers) }
}

struct Table<C>(PhantomData<C>);

impl<C: Shared> Table<C> {
    const TABLE: &'static VTable = &VTable {
        struct_size: size_of::<VTable>() as u32,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        wake: wake::<C>,
        park: park::<C>,
        unpark: unpark::<C>,
        close: close::<C>,
        clone_end: clone_end::<C>,
        drop_end: drop_end::<C>,
        ring: ring::<C>,
    };
}

/// A side as the other language says it. What is no side is nobody's, and nothing is done.
fn side_of(side: u32) -> Option<Side> {
    match side {
        0 => Some(Side::Receivers),
        1 => Some(Side::Senders),
        _ => None,
    }
}

/// # Safety
///
/// `channel` is the header of a live `C`.
unsafe fn shared<'a, C: Shared>(channel: *const Header) -> &'a C {
    // SAFETY: the header is the first field of a `C`, and the pointer is that to the whole of it.
    unsafe { &*channel.cast::<C>() }
}

/// # Safety
///
/// As for [`shared`].
unsafe extern "C" fn wake<C: Shared>(channel: *const Header, side: u32, count: u64) {
    // SAFETY: passed on.
    let (header, waiters) = unsafe { shared::<C>(channel) }.shared();
    if let Some(side) = side_of(side) {
        waiters.wake(header, side, usize::try_from(count).unwrap_or(usize::MAX));
    }
}

/// # Safety
///
/// As for [`shared`]; `ticket` is writable, and `waker` is null or a live handle.
unsafe extern "C" fn park<C: Shared>(
    channel: *const Header,
    side: u32,
    ticket: *mut u64,
    waker: *const c_void,
) {
    // SAFETY: passed on.
    let (header, waiters) = unsafe { shared::<C>(channel) }.shared();
    // SAFETY: passed on.
    let (Some(side), Some(waker)) = (side_of(side), unsafe { foreign_waker(waker.cast()) }) else {
        return;
    };
    // SAFETY: passed on.
    let ticket = unsafe { &mut *ticket };
    let mut key = Key::from_ticket(*ticket);
    waiters.park(header, side, &mut key, &waker, true);
    *ticket = key.map_or(0, Key::ticket);
}

/// # Safety
///
/// As for [`shared`]; `ticket` is writable.
unsafe extern "C" fn unpark<C: Shared>(
    channel: *const Header,
    side: u32,
    ticket: *mut u64,
    used: u32,
) {
    // SAFETY: passed on.
    let (header, waiters) = unsafe { shared::<C>(channel) }.shared();
    // SAFETY: passed on.
    let ticket = unsafe { &mut *ticket };
    if let Some(side) = side_of(side) {
        waiters.unpark(header, side, &mut Key::from_ticket(*ticket), used != 0);
    }
    *ticket = 0;
}

/// # Safety
///
/// As for [`shared`].
unsafe extern "C" fn close<C: Shared>(channel: *const Header, fault: u32) {
    // SAFETY: passed on.
    unsafe { shared::<C>(channel) }.close(fault);
}

/// # Safety
///
/// As for [`Shared::clone_end`].
unsafe extern "C" fn clone_end<C: Shared>(channel: *const Header, side: u32) {
    if let Some(side) = side_of(side) {
        // SAFETY: passed on.
        unsafe { C::clone_end(channel.cast(), side) }
    }
}

/// # Safety
///
/// As for [`Shared::drop_end`].
unsafe extern "C" fn drop_end<C: Shared>(channel: *const Header, side: u32) {
    if let Some(side) = side_of(side) {
        // SAFETY: passed on.
        unsafe { C::drop_end(channel.cast(), side) }
    }
}

/// # Safety
///
/// As for [`shared`].
unsafe extern "C" fn ring<C: Shared>(
    channel: *const Header,
    number: u64,
    make: u32,
) -> *const c_void {
    // SAFETY: passed on.
    unsafe { shared::<C>(channel) }.ring(number, make != 0)
}
