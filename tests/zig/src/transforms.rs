//! The Zig transforms of the integration tests.

use ziggurat_stream::ZigTransform;

ziggurat_stream::bind! {
    library "fixtures";

    /// Twice each item; every `nap`th after a sleep, unless that is 0.
    pub fn doubled(nap: u64, slot: u32) -> ZigTransform<u64, u64>;
    /// Each item as often as it says.
    pub fn repeated() -> ZigTransform<u32, u64>;
    /// Those that are multiples of `every`.
    pub fn sieved(every: u64) -> ZigTransform<u64, u64>;
    /// What goes in, by way of two tasks.
    pub fn relayed(slot: u32) -> ZigTransform<u64, u64>;
    /// The first `count` items.
    pub fn first_of(count: u64) -> ZigTransform<u64, u64>;
    /// `after` items, then an error.
    pub fn breaks(after: u64, message: &str) -> ZigTransform<u64, u64>;
    /// Takes and gives nothing.
    pub fn held(slot: u32) -> ZigTransform<u64, u64>;
    /// Letters in upper case.
    pub fn shouted() -> ZigTransform<[u8], [u8]>;
    /// How long each line is.
    pub fn line_lengths() -> ZigTransform<[u8], u32>;
    /// A line per number.
    pub fn rendered() -> ZigTransform<u64, [u8]>;
    /// Lines up to an empty one.
    pub fn header() -> ZigTransform<[u8], [u8]>;
}

/// Bindings that do not fit the Zig side.
pub mod mismatched {
    use ziggurat_stream::{ZigStream, ZigTransform};

    ziggurat_stream::bind! {
        library "fixtures";

        /// What goes in is of another type.
        pub fn repeated() -> ZigTransform<u64, u64>;
        /// What comes out is of another type.
        pub fn line_lengths() -> ZigTransform<[u8], [u8]>;
        /// It is a transform.
        pub fn rendered() -> ZigStream<u64>;
        /// It is a stream.
        pub fn numbers(end: u64, slot: u32) -> ZigTransform<u64, u64>;
    }
}
