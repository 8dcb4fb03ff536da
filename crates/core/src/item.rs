//! What may be an item of a channel that two languages hold ends of.

use bytemuck::AnyBitPattern;

use crate::Buffer;

mod sealed {
    pub trait Sealed {}
    impl<T: bytemuck::AnyBitPattern + Send> Sealed for T {}
    impl Sealed for crate::Buffer {}
}

/// An item that both languages understand: a plain value, for which any bit pattern is a value
/// ([`AnyBitPattern`]: integers, floats, arrays and `#[repr(C)]` structs of them), or a [`Buffer`].
///
/// It is implemented for all such types; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an item of a channel that crosses the border",
    label = "neither plain nor a `Buffer`",
    note = "plain types are integers, floats, arrays of them, and `#[repr(C)]` structs that derive `bytemuck::AnyBitPattern`",
    note = "`bytes::Bytes` cross as `Buffer`s: `Buffer::from(bytes)` and `Bytes::from(buffer)` copy nothing"
)]
pub trait Item: sealed::Sealed + Send + 'static {
    /// Whether it is a [`Buffer`].
    #[doc(hidden)]
    const IS_BUFFER: bool;
}

impl<T: AnyBitPattern + Send> Item for T {
    const IS_BUFFER: bool = false;
}

impl Item for Buffer {
    const IS_BUFFER: bool = true;
}
