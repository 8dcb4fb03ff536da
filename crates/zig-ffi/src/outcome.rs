//! What a Zig function may return.

use crate::abi::TypeDesc;
use crate::{Plain, ProtocolError};

/// A type that a bound Zig function may return: any plain type, and an end of a channel.
///
/// # Safety
///
/// `desc` describes what the other side writes to a `Raw`, and every bit pattern is a `Raw`.
#[diagnostic::on_unimplemented(
    message = "a Zig function cannot return `{Self}`",
    note = "results are plain values, and ends of channels (with the crate `ziggurat-channel` and its feature `zig`)"
)]
pub unsafe trait Outcome: Sized {
    /// What the other side writes.
    #[doc(hidden)]
    type Raw;

    /// What it is.
    #[doc(hidden)]
    fn desc() -> TypeDesc;

    /// Before the other side has written.
    #[doc(hidden)]
    fn empty() -> Self::Raw;

    /// Takes over what the other side has written.
    ///
    /// # Errors
    ///
    /// When it cannot be.
    ///
    /// # Safety
    ///
    /// The other side wrote it as a value of the type that `desc` says, and passes on the ownership.
    #[doc(hidden)]
    unsafe fn from_raw(raw: Self::Raw) -> Result<Self, ProtocolError>;
}

// SAFETY: a plain value is described by what it is, and any bit pattern is one.
unsafe impl<T: Plain> Outcome for T {
    type Raw = T;

    fn desc() -> TypeDesc {
        TypeDesc::of::<T>()
    }

    fn empty() -> T {
        bytemuck::Zeroable::zeroed()
    }

    unsafe fn from_raw(raw: T) -> Result<T, ProtocolError> {
        Ok(raw)
    }
}
