//! What is looked at before an end that the other side gave is believed.

use std::ffi::c_void;

use ziggurat_zig_ffi::EndError;
use ziggurat_zig_ffi::abi::TypeDesc;

use crate::layout::{ABI_MAJOR, Header, KIND_GROWABLE, MAGIC, maker};
use crate::sync::Ordering;

/// More items than positions can count.
const TOO_MANY: u64 = 1 << 47;

/// Checks that `channel` is a header of this library's, of one of `kinds`, with items of type `item`.
/// (The first kind is the one that an error says is needed.)
///
/// # Safety
///
/// If `channel` is neither null nor misaligned, a header is readable there, or at least its magic number
/// and `struct_size` bytes.
pub(crate) unsafe fn accept<'a>(
    channel: *const c_void,
    kinds: &[u32],
    item: TypeDesc,
) -> Result<&'a Header, EndError> {
    if channel.is_null() {
        return Err(EndError::Null);
    }
    let header = channel.cast::<Header>();
    if !header.is_aligned() {
        return Err(EndError::Misaligned);
    }
    // SAFETY: readable, says the caller.
    let (magic, size, found_major, found_minor) = unsafe {
        (
            (&raw const (*header).magic).read(),
            (&raw const (*header).struct_size).read(),
            (&raw const (*header).abi_major).read(),
            (&raw const (*header).abi_minor).read(),
        )
    };
    // The number's upper half is the layout's number.
    if magic != MAGIC {
        return Err(EndError::Magic);
    }
    if found_major != ABI_MAJOR {
        return Err(EndError::Version { found_major, found_minor });
    }
    let needed = size_of::<Header>() as u32;
    if size < needed {
        return Err(EndError::Size { found: size, needed });
    }
    // SAFETY: not null, aligned, as large as a header, of its version.
    let header = unsafe { &*header };
    if header.maker != maker() {
        return Err(EndError::Maker);
    }
    if !kinds.contains(&header.kind) {
        return Err(EndError::Kind { found: header.kind, needed: kinds[0] });
    }
    let has_bound = header.kind != KIND_GROWABLE;
    if has_bound != (header.capacity != 0) || header.capacity >= TOO_MANY {
        return Err(EndError::Capacity(header.capacity));
    }
    let found = TypeDesc {
        // Relaxed: it was stored before the end crossed that comes back here.
        kind: header.item_kind.load(Ordering::Relaxed),
        align: header.item_align,
        size: header.item_size,
    };
    if found != item {
        return Err(EndError::Item);
    }
    Ok(header)
}
