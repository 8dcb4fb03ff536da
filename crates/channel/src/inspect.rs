//! Items that the other language may have written are looked at before Rust relies on them.
//!
//! Plain items need no look: any bit pattern is one. Of a buffer the description is checked. Items that
//! need no drop cost nothing here, and neither do those of a channel that cannot cross.

use std::mem::needs_drop;

use crate::layout::Header;

/// Whether Rust may use the item.
#[inline(always)]
pub(crate) fn passes<T>(header: &Header, item: &T) -> bool {
    !(needs_drop::<T>() && holds_buffers(header)) || is_possible(item)
}

/// Takes those out of `items`, from `start` on, that Rust must not use, and leaves them alone. Returns
/// how many are left from `start` on.
#[inline(always)]
pub(crate) fn retain<T>(header: &Header, items: &mut Vec<T>, start: usize) -> usize {
    if needs_drop::<T>() && holds_buffers(header) {
        retain_possible(items, start);
    }
    items.len() - start
}

#[cfg(feature = "zig")]
#[inline(always)]
fn holds_buffers(header: &Header) -> bool {
    // Relaxed: it was stored before an end crossed, and so before the other side wrote anything.
    let kind = header.item_kind.load(crate::sync::Ordering::Relaxed);
    kind == ziggurat_zig_ffi::abi::KIND_BYTES
}

#[cfg(feature = "zig")]
#[cold]
fn is_possible<T>(item: &T) -> bool {
    // SAFETY: `item_kind` says bytes in channels of `Buffer`s only, and a `Buffer` is a `RawBuffer`
    // (`repr(transparent)`), which may hold anything.
    let raw = unsafe { &*std::ptr::from_ref(item).cast::<ziggurat_core::RawBuffer>() };
    raw.validate().is_ok()
}

#[cfg(feature = "zig")]
#[cold]
fn retain_possible<T>(items: &mut Vec<T>, start: usize) {
    let mut at = start;
    while at < items.len() {
        if is_possible(&items[at]) {
            at += 1;
        } else {
            std::mem::forget(items.remove(at));
        }
    }
}

#[cfg(not(feature = "zig"))]
#[inline(always)]
fn holds_buffers(_: &Header) -> bool {
    false
}

#[cfg(not(feature = "zig"))]
fn is_possible<T>(_: &T) -> bool {
    true
}

#[cfg(not(feature = "zig"))]
fn retain_possible<T>(_: &mut Vec<T>, _: usize) {}
