//! The Zig code of Ziggurat's examples, as Rust functions.

use std::path::Path;

use bytemuck::AnyBitPattern;
use ziggurat_channel::{Receiver, Sender};
use ziggurat_stream::{ZigByteSink, ZigByteStream, ZigSink, ZigStream};

/// One measurement. Its twin is in `zig/samples.zig`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, AnyBitPattern)]
pub struct Sample {
    /// Nanoseconds since the first.
    pub at_ns: u64,
    /// Between -1 and 1.
    pub value: f64,
}

/// How long a number's Collatz sequence is. Its twin is in `zig/channels.zig`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, AnyBitPattern)]
pub struct Collatz {
    /// Where it starts.
    pub number: u64,
    /// Steps until it reaches 1.
    pub steps: u64,
}

/// What `total` has received. Its twin is in `zig/channels.zig`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, AnyBitPattern)]
pub struct Total {
    /// How many numbers.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
}

ziggurat_stream::bind! {
    library "examples";

    /// A file in chunks, read straight into the memory that Rust gets.
    pub fn chunks(path: &Path) -> ZigByteStream;
    /// Every line of a file, without its newline.
    pub fn lines(path: &Path) -> ZigByteStream;
    /// How many newlines there are in what it is sent.
    pub fn count_lines() -> ZigByteSink<u64>;
    /// Writes what it is sent to a file; returns how many bytes that was.
    pub fn store(path: &Path) -> ZigByteSink<u64>;
    /// A sine wave of `count` samples.
    pub fn sine(count: u64, rate_hz: f64, frequency_hz: f64) -> ZigStream<Sample>;
    /// The mean of what it is sent.
    pub fn mean() -> ZigSink<f64, f64>;
    /// The position of the first item that is at least `limit`; returns as soon as it has seen it.
    pub fn first_at_least(limit: f64) -> ZigSink<f64, u64>;
    /// 0, 1, 2, … every `period_ms`; writes the file `goodbye` when it is over.
    pub fn heartbeat(period_ms: u64, goodbye: &Path) -> ZigStream<u64>;
    /// 0, 1, 2, … up to `end`, by a function.
    pub fn numbers(end: u64) -> ZigStream<u64>;
    /// 0, 1, 2, … up to `end`, by a function that hands over 64 at once.
    pub fn numbers_by_slices(end: u64) -> ZigStream<u64>;
    /// 0, 1, 2, … up to `end`, by a hand-written state machine.
    pub fn counter(end: u64) -> ZigStream<u64>;
}

ziggurat_stream::bind! {
    library "channels";

    /// The Collatz sequences of 1 up to `end`, sent by a pool of threads; returns how many.
    pub fn collatz(into: Sender<Collatz>, threads: u64, end: u64) -> ZigSink<u8, u64>;
    /// The sum of what it receives.
    pub fn total(from: Receiver<u64>) -> ZigSink<u8, Total>;
}

ziggurat_stream::bind! {
    library "web";

    /// The body at `url`, as it comes.
    pub fn download(url: &str) -> ZigByteStream;
}
