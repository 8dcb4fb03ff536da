//! What a Zig function may return.

use bytes::Bytes;
use ziggurat_core::{Buffer, RawBuffer};

use crate::abi::TypeDesc;
use crate::{Plain, ProtocolError};

/// A type that a bound Zig function may return: any plain type, an end of a channel, and, of a future,
/// `[u8]` for a run of bytes, which arrives as [`Bytes`].
///
/// # Safety
///
/// `desc` describes what the other side writes to a `Raw`, and every bit pattern is a `Raw`.
#[diagnostic::on_unimplemented(
    message = "a Zig function cannot return `{Self}`",
    note = "results are plain values, bytes (`[u8]`), and ends of channels (with the crate `ziggurat-channel` and its feature `zig`)"
)]
pub unsafe trait Outcome {
    /// What arrives: the type itself, or [`Bytes`].
    type Value;

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
    unsafe fn from_raw(raw: Self::Raw) -> Result<Self::Value, ProtocolError>;
}

// SAFETY: a plain value is described by what it is, and any bit pattern is one.
unsafe impl<T: Plain> Outcome for T {
    type Value = T;
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

/// Memory of the other side's, without a copy; it goes back with the last of the [`Bytes`].
// SAFETY: bytes are described as such, and a description of a buffer is integers and pointers.
unsafe impl Outcome for [u8] {
    type Value = Bytes;
    type Raw = RawBuffer;

    fn desc() -> TypeDesc {
        TypeDesc::BYTES
    }

    fn empty() -> RawBuffer {
        // Refused by every check, if the other side writes nothing.
        RawBuffer { align: 0, ..RawBuffer::EMPTY }
    }

    unsafe fn from_raw(raw: RawBuffer) -> Result<Bytes, ProtocolError> {
        // SAFETY: the other side gives this buffer to us, says the caller.
        Ok(unsafe { Buffer::from_raw(raw) }?.into())
    }
}
