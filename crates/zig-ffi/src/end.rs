//! Ends of channels on their way across the border, and what is wrong with those that cannot cross.
//!
//! What an end is made of is the channel's business (`ziggurat-channel`): here it is a pointer with an
//! owner.

use std::ffi::c_void;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use crate::abi::TypeDesc;

/// An owned end of a channel, as the pointer to the channel's header that crosses. Dropping it drops
/// the end.
pub struct RawEnd {
    channel: NonNull<c_void>,
    ty: TypeDesc,
    drop: unsafe fn(NonNull<c_void>),
}

// SAFETY: `new` wants an end that may be used and dropped by any thread.
unsafe impl Send for RawEnd {}
// SAFETY: a shared `RawEnd` gives out a pointer and nothing else.
unsafe impl Sync for RawEnd {}

impl RawEnd {
    /// Takes over an end.
    ///
    /// # Safety
    ///
    /// `channel` is the header of a channel that `ty` describes an end of. The caller gives up one such
    /// end, which any thread may use, and for which `drop` may be called once, from any thread.
    pub unsafe fn new(
        channel: NonNull<c_void>,
        ty: TypeDesc,
        drop: unsafe fn(NonNull<c_void>),
    ) -> Self {
        RawEnd { channel, ty, drop }
    }

    /// What it is.
    pub fn ty(&self) -> TypeDesc {
        self.ty
    }

    /// The header, still owned.
    pub fn as_ptr(&self) -> *const c_void {
        self.channel.as_ptr()
    }

    /// Gives the end up without dropping it.
    pub fn into_ptr(self) -> *const c_void {
        ManuallyDrop::new(self).as_ptr()
    }
}

impl Drop for RawEnd {
    fn drop(&mut self) {
        // SAFETY: promised to `new`; `into_ptr` does not come here.
        unsafe { (self.drop)(self.channel) }
    }
}

impl fmt::Debug for RawEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawEnd").field("ty", &self.ty).finish_non_exhaustive()
    }
}

/// Why an end that the other side gave was refused. A refused end is not used, and not dropped: nothing
/// about it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndError {
    /// The pointer is null.
    #[error("the channel is null")]
    Null,
    /// The pointer is not aligned as a channel's header is.
    #[error("the channel is misaligned")]
    Misaligned,
    /// There is no channel where it points.
    #[error("it is no channel")]
    Magic,
    /// The channel has the layout of another version.
    #[error("the channel has layout {found_major}.{found_minor}")]
    Version {
        /// The major version found.
        found_major: u16,
        /// The minor version found.
        found_minor: u16,
    },
    /// The header is shorter than its version says.
    #[error("a channel's header of {found} bytes where {needed} are needed")]
    Size {
        /// Bytes found.
        found: u32,
        /// Bytes needed.
        needed: u32,
    },
    /// The channel is of another kind: one-to-one where it should be many-to-many, say.
    #[error("the channel is of kind {found} where {needed} is needed")]
    Kind {
        /// The kind found.
        found: u32,
        /// The kind needed.
        needed: u32,
    },
    /// A capacity that its kind cannot have.
    #[error("the channel has an impossible capacity of {0}")]
    Capacity(u64),
    /// The items are of another type.
    #[error("the channel's items are of another type")]
    Item,
    /// The channel was made by another copy of this code.
    #[error("the channel was made by another library")]
    Maker,
}
