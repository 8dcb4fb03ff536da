//! Types whose values may cross the border by copying their bytes.

use std::any::TypeId;

use bytemuck::AnyBitPattern;

use crate::abi::{
    ITEM_SHIFT, KIND_BYTES, KIND_FLOAT, KIND_INT, KIND_RECEIVER, KIND_SENDER, KIND_STRUCT,
    KIND_UINT, KIND_VOID, TypeDesc,
};
use ziggurat_core::{Item, RawBuffer};

/// A value that any bit pattern is valid for, so that nothing the other side writes can make it
/// undefined behaviour to read: integers, floats, arrays of them, and `#[repr(C)]` structs of them
/// that derive [`bytemuck::AnyBitPattern`]. `bool`, `char`, enums, references and pointers are not.
///
/// It is implemented for all such types; there is nothing to implement by hand.
///
/// ```
/// use bytemuck::AnyBitPattern;
///
/// #[repr(C)]
/// #[derive(Clone, Copy, AnyBitPattern)]
/// struct Sample { time_ns: u64, value: f32 }
///
/// fn crosses_the_border<T: ziggurat_zig_ffi::Plain>() {}
/// crosses_the_border::<Sample>();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross the border between Rust and Zig by value",
    label = "not a plain type",
    note = "plain types are integers, floats, arrays of them, and `#[repr(C)]` structs that derive `bytemuck::AnyBitPattern`",
    note = "for runs of bytes use the byte streams and sinks"
)]
pub trait Plain: AnyBitPattern + Send {}

impl<T: AnyBitPattern + Send> Plain for T {}

impl TypeDesc {
    /// Bytes: a [`RawBuffer`] as an item, a [`Slice`](crate::abi::Slice) as an argument.
    pub const BYTES: TypeDesc = TypeDesc {
        kind: KIND_BYTES,
        align: align_of::<RawBuffer>() as u32,
        size: size_of::<RawBuffer>() as u64,
    };

    /// What `T` is.
    pub fn of<T: Plain>() -> TypeDesc {
        Self::plain::<T>()
    }

    /// What an item of a channel is.
    pub fn of_item<T: Item>() -> TypeDesc {
        if T::IS_BUFFER { TypeDesc::BYTES } else { Self::plain::<T>() }
    }

    /// What the sending end of a channel of `T`s is.
    pub fn sender_of<T: Item>() -> TypeDesc {
        Self::of_item::<T>().end(KIND_SENDER)
    }

    /// What the receiving end of a channel of `T`s is.
    pub fn receiver_of<T: Item>() -> TypeDesc {
        Self::of_item::<T>().end(KIND_RECEIVER)
    }

    fn end(self, kind: u32) -> TypeDesc {
        TypeDesc { kind: kind | self.kind << ITEM_SHIFT, ..self }
    }

    /// Whether it is an end of a channel: a pointer, whatever the item is.
    pub(crate) fn is_end(&self) -> bool {
        matches!(self.kind & 0xff, KIND_SENDER | KIND_RECEIVER)
    }

    fn plain<T: 'static>() -> TypeDesc {
        let id = TypeId::of::<T>();
        let any = |ids: &[TypeId]| ids.contains(&id);
        let kind = if size_of::<T>() == 0 {
            KIND_VOID
        } else if any(&[
            TypeId::of::<u8>(),
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<u128>(),
            TypeId::of::<usize>(),
        ]) {
            KIND_UINT
        } else if any(&[
            TypeId::of::<i8>(),
            TypeId::of::<i16>(),
            TypeId::of::<i32>(),
            TypeId::of::<i64>(),
            TypeId::of::<i128>(),
            TypeId::of::<isize>(),
        ]) {
            KIND_INT
        } else if any(&[TypeId::of::<f32>(), TypeId::of::<f64>()]) {
            KIND_FLOAT
        } else {
            KIND_STRUCT
        };
        TypeDesc { kind, align: align_of::<T>() as u32, size: size_of::<T>() as u64 }
    }
}

impl std::fmt::Display for TypeDesc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = self.size.saturating_mul(8);
        match self.kind {
            KIND_VOID => f.write_str("void"),
            KIND_INT => write!(f, "i{bits}"),
            KIND_UINT => write!(f, "u{bits}"),
            KIND_FLOAT => write!(f, "f{bits}"),
            KIND_STRUCT => {
                write!(f, "a struct of {} bytes aligned to {}", self.size, self.align)
            }
            KIND_BYTES => f.write_str("bytes"),
            kind if self.is_end() => {
                let end = if kind & 0xff == KIND_SENDER { "sender" } else { "receiver" };
                write!(f, "a {end} of {}", TypeDesc { kind: kind >> ITEM_SHIFT, ..*self })
            }
            kind => write!(f, "unknown kind {kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::AnyBitPattern)]
    struct Pair(u32, f32);

    #[test]
    fn kinds_are_told_apart() {
        let names: Vec<_> = [
            TypeDesc::of::<u8>(),
            TypeDesc::of::<i64>(),
            TypeDesc::of::<f32>(),
            TypeDesc::of::<()>(),
            TypeDesc::of::<Pair>(),
            TypeDesc::of::<[u8; 8]>(),
            TypeDesc::BYTES,
            TypeDesc::sender_of::<u64>(),
            TypeDesc::receiver_of::<ziggurat_core::Buffer>(),
            TypeDesc { kind: 77, align: 1, size: 1 },
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        assert_eq!(
            names,
            [
                "u8",
                "i64",
                "f32",
                "void",
                "a struct of 8 bytes aligned to 4",
                "a struct of 8 bytes aligned to 1",
                "bytes",
                "a sender of u64",
                "a receiver of bytes",
                "unknown kind 77"
            ]
        );
    }
}
