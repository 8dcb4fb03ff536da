//! What a bound function may be passed.

use std::path::Path;

use crate::{Args, Plain};

/// A value that can be an argument of a bound function.
///
/// Byte slices, strings and (on Unix) paths are `[]const u8` in Zig; numbers are themselves; other
/// plain values go by reference and are the struct itself in Zig. Ends of channels (with the crate
/// `ziggurat-channel` and its feature `zig`) are `*ziggurat.Sender(T)` and `*ziggurat.Receiver(T)`.
pub trait Argument {
    /// Adds the value to the end of `args`.
    fn push_to(self, args: &mut Args);
}

impl Argument for &[u8] {
    fn push_to(self, args: &mut Args) {
        args.push_bytes(self);
    }
}

impl Argument for &str {
    fn push_to(self, args: &mut Args) {
        args.push_bytes(self.as_bytes());
    }
}

/// As the operating system's bytes (WTF-8 on Windows, which is what Zig's standard library takes).
impl Argument for &Path {
    fn push_to(self, args: &mut Args) {
        args.push_bytes(self.as_os_str().as_encoded_bytes());
    }
}

impl<T: Plain> Argument for &T {
    fn push_to(self, args: &mut Args) {
        args.push(*self);
    }
}

macro_rules! number_arguments {
    ($($ty:ty)*) => {$(
        impl Argument for $ty {
            fn push_to(self, args: &mut Args) {
                args.push(self);
            }
        }
    )*};
}

number_arguments! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 }
