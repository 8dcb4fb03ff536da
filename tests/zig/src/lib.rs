//! The Zig functions of the integration tests, as Rust functions.

pub mod channels;
pub mod formats;
pub mod futures;
pub mod http;
pub mod panics;
pub mod sync;
pub mod transforms;

use bytemuck::AnyBitPattern;
use ziggurat_stream::{ZigByteSink, ZigByteStream, ZigSink, ZigStream};

/// What a function has done so far. A test that counts has a slot of its own.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, AnyBitPattern)]
pub struct Slot {
    /// Functions that started.
    pub started: u64,
    /// Items that were sent or received.
    pub sent: u64,
    /// `defer`s that ran.
    pub deferred: u64,
    /// Cancelations that were seen.
    pub canceled: u64,
}

/// A struct item.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, AnyBitPattern)]
pub struct Pair {
    /// An integer.
    pub a: u64,
    /// A float.
    pub b: f32,
    /// An array.
    pub c: [u8; 4],
}

/// What the checksum sink returns.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, AnyBitPattern)]
pub struct Checksum {
    /// Of all bytes.
    pub sum: u64,
    /// How many bytes.
    pub bytes: u64,
    /// How many chunks.
    pub chunks: u64,
}

ziggurat_stream::bind! {
    library "fixtures";

    /// 0 up to `end`, on a thread.
    pub fn numbers(end: u64, slot: u32) -> ZigStream<u64>;
    /// 0 up to `end`, by a state machine.
    pub fn machine(end: u64, slot: u32) -> ZigStream<u64>;
    /// As `machine`, pending before every item and woken from another thread.
    pub fn late_machine(end: u64) -> ZigStream<u64>;
    /// Fails in one of several ways.
    pub fn broken_machine(how: u8) -> ZigStream<u64>;
    /// `after` items, then an error.
    pub fn fails(after: u64, message: &str) -> ZigStream<u64>;
    /// Structs.
    pub fn pairs(count: u64, step: f32) -> ZigStream<Pair>;
    /// One item, then it sleeps for an hour.
    pub fn sleeper(slot: u32) -> ZigStream<u64>;
    /// `count` numbers from `first` on, each after a few milliseconds of sleep.
    pub fn naps(first: u64, count: u64) -> ZigStream<u64>;
    /// One item, then it reads a byte from a descriptor.
    pub fn pipe_reader(fd: i32, slot: u32) -> ZigStream<u64>;
    /// Busy for ever.
    pub fn spinner(slot: u32) -> ZigStream<u64>;
    /// Waits after it was cancelled.
    pub fn stubborn(slot: u32) -> ZigStream<u64>;
    /// Has a task of its own.
    pub fn children(slot: u32) -> ZigStream<u64>;
    /// `count` down to 1, as long as it stays on its thread.
    pub fn bound(count: u64) -> ZigStream<u64>;
    /// A child of it sends, while it sleeps.
    pub fn child_sends(slot: u32) -> ZigStream<u64>;
    /// Asks to be cancelled again.
    pub fn recancels(slot: u32) -> ZigStream<u64>;
    /// One item: a slot.
    pub fn progress(slot: u32) -> ZigStream<Slot>;
    /// Its arguments, printed.
    pub fn echo(bytes: &[u8], small: u8, negative: i64, float: f32, pair: &Pair) -> ZigByteStream;
    /// Chunks of many sizes.
    pub fn blobs(rounds: u64) -> ZigByteStream;
    /// Numbers as text, through the writer.
    pub fn written(numbers: u64, flush_every: u64) -> ZigByteStream;
    /// What the server at `port` of this machine says to `name`.
    pub fn fetched(port: u32, name: &str) -> ZigByteStream;
    /// Full blocks that carry their number.
    pub fn pattern(count: u64, block: u64) -> ZigByteStream;
    /// Panics unless `index` is below 3.
    pub fn panics(index: u64) -> ZigStream<u64>;
    /// Needs a kibibyte of stack, and more, `depth` times.
    pub fn overflows(depth: u64) -> ZigStream<u64>;
    /// How many bytes it gets; it waits after each item.
    pub fn slowly() -> ZigByteSink<u64>;
    /// The sum of all items.
    pub fn sum(slot: u32) -> ZigSink<u64, u64>;
    /// The sum of the first `count` items.
    pub fn take(count: u64) -> ZigSink<u64, u64>;
    /// Fails after some items.
    pub fn refuse(after: u64) -> ZigSink<u64>;
    /// The sum of all items, also if it is cancelled.
    pub fn tally(slot: u32) -> ZigSink<u64, u64>;
    /// Sleeps over each item.
    pub fn drowsy(slot: u32) -> ZigSink<u64>;
    /// Takes nothing.
    pub fn hold(slot: u32) -> ZigByteSink;
    /// Of all bytes.
    pub fn checksum() -> ZigByteSink<Checksum>;
    /// The sum of a number per line.
    pub fn read_lines() -> ZigByteSink<u64>;
    /// The sum of the chunks' addresses.
    pub fn addresses() -> ZigByteSink<u64>;
    /// Takes two chunks, then sleeps for an hour.
    pub fn sip(slot: u32) -> ZigByteSink;
    /// Reads by every way there is, in turn.
    pub fn mixed() -> ZigByteSink<Checksum>;
}

/// Bindings that do not fit the Zig side.
pub mod mismatched {
    use ziggurat_stream::ZigStream;

    ziggurat_stream::bind! {
        library "fixtures";

        /// An argument is missing.
        pub fn numbers(end: u64) -> ZigStream<u64>;
        /// An argument has another type.
        pub fn machine(end: u64, slot: u64) -> ZigStream<u64>;
        /// The items have another type.
        pub fn fails(after: u64, message: &str) -> ZigStream<i64>;
        /// There is no such thing.
        pub fn missing() -> ZigStream<u64>;
        /// It is a sink.
        pub fn sum(slot: u32) -> ZigStream<u64>;
    }
}

unsafe extern "C" {
    /// The library's table of exports.
    #[link_name = env!("ZIGGURAT_EXPORTS_fixtures")]
    pub safe fn exports() -> *const ziggurat_stream::ffi::abi::Exports;
}

/// What a slot says now.
pub fn slot(slot: u32) -> Slot {
    use futures_core::Stream;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    let mut stream = progress(slot).batch(1).open().expect("it opens");
    match Pin::new(&mut stream).poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(slot))) => slot,
        other => panic!("{other:?}"),
    }
}
