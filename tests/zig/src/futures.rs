//! The Zig futures of the integration tests.

use ziggurat_channel::Receiver;
use ziggurat_stream::ZigFuture;

ziggurat_stream::bind! {
    library "fixtures";

    /// The sum, by two tasks.
    pub fn added(a: u64, b: u64, slot: u32) -> ZigFuture<u64>;
    /// Sleeps for an hour.
    pub fn napped(slot: u32) -> ZigFuture;
    /// `count` times `byte`.
    pub fn filled(count: u64, byte: u8) -> ZigFuture<[u8]>;
    /// Fails.
    pub fn failing(message: &str) -> ZigFuture<u64>;
    /// The end that it is passed.
    pub fn passed(end: Receiver<u64>) -> ZigFuture<Receiver<u64>>;
}

/// Bindings that do not fit the Zig side.
pub mod mismatched {
    use ziggurat_stream::{ZigFuture, ZigSink};

    ziggurat_stream::bind! {
        library "fixtures";

        /// It returns something else.
        pub fn added(a: u64, b: u64, slot: u32) -> ZigFuture<f64>;
        /// It is a sink.
        pub fn sum(slot: u32) -> ZigFuture<u64>;
        /// It is a future.
        pub fn napped(slot: u32) -> ZigSink<u64>;
    }
}
