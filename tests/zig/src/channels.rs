//! Zig functions that hold ends of channels. Closing one runs it and yields what it returns.

use bytemuck::AnyBitPattern;
use ziggurat_channel::{Receiver, Sender};
use ziggurat_core::Buffer;
use ziggurat_stream::{ZigSink, ZigStream};

/// What a receiving function has seen.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, AnyBitPattern)]
pub struct Sum {
    /// Of all numbers.
    pub sum: u64,
    /// How many there were.
    pub count: u64,
    /// Numbers that came after a later one of the same sender.
    pub disorder: u64,
}

ziggurat_stream::bind! {
    library "channels";

    /// Sends numbers; returns how many.
    pub fn count_into(into: Sender<u64>, count: u64, mark: u64, batch: u64) -> ZigSink<u8, u64>;
    /// Receives all numbers.
    pub fn sum_of(from: Receiver<u64>, batch: u64) -> ZigSink<u8, Sum>;
    /// Passes numbers on; returns how many.
    pub fn relay(from: Receiver<u64>, into: Sender<u64>) -> ZigSink<u8, u64>;
    /// So many tasks on each side of one channel.
    pub fn pool(into: Sender<u64>, from: Receiver<u64>, tasks: u64, each: u64) -> ZigSink<u8, Sum>;
    /// Receives some, and gives the end back.
    pub fn give_back_receiver(from: Receiver<u64>, count: u64) -> ZigSink<u8, Receiver<u64>>;
    /// Sends some, and gives the end back.
    pub fn give_back_sender(into: Sender<u64>, count: u64) -> ZigSink<u8, Sender<u64>>;
    /// Gives back an end that is no more.
    pub fn gives_nothing_back(from: Receiver<u64>) -> ZigSink<u8, Receiver<u64>>;
    /// Sends buffers that begin with their address; returns how many.
    pub fn make_buffers(into: Sender<Buffer>, count: u64, size: u64) -> ZigSink<u8, u64>;
    /// Receives all buffers; returns the sum of their addresses.
    pub fn take_buffers(from: Receiver<Buffer>) -> ZigSink<u8, u64>;
    /// Passes buffers on; returns how many.
    pub fn pass_buffers(from: Receiver<Buffer>, into: Sender<Buffer>) -> ZigSink<u8, u64>;
    /// One number: the buffers that Zig has made and not got back.
    pub fn live_buffers() -> ZigStream<u64>;
    /// What it receives.
    pub fn from_both(from: Receiver<u64>) -> ZigStream<u64>;
    /// The offsets of the header's fields.
    pub fn offsets() -> ZigStream<u64>;
    /// Sends numbers.
    pub fn send_numbers(into: Sender<u64>, count: u64, batch: u64) -> ZigSink<u8>;
    /// The sum of what it receives.
    pub fn add_numbers(from: Receiver<u64>, batch: u64) -> ZigSink<u8, u64>;
    /// Calls a function at an address for each of `count` items.
    pub fn call_per_item(callback: usize, context: usize, count: u64) -> ZigSink<u8>;
    /// Calls a function at an address until there are no more items.
    pub fn ask_per_item(callback: usize, context: usize) -> ZigSink<u8, u64>;
    /// Writes what no honest end writes.
    pub fn break_ring(into: Sender<u64>, how: u8) -> ZigSink<u8>;
    /// Sends buffers that cannot be, and one that can.
    pub fn break_buffers(into: Sender<Buffer>) -> ZigSink<u8>;
}

/// The same over one-to-one channels: in Zig they are the same types.
pub mod spsc {
    use ziggurat_channel::spsc::{Receiver, Sender};
    use ziggurat_core::Buffer;
    use ziggurat_stream::ZigSink;

    use super::Sum;

    ziggurat_stream::bind! {
        library "channels";

        /// As [`super::count_into`].
        pub fn count_into(into: Sender<u64>, count: u64, mark: u64, batch: u64) -> ZigSink<u8, u64>;
        /// As [`super::sum_of`].
        pub fn sum_of(from: Receiver<u64>, batch: u64) -> ZigSink<u8, Sum>;
        /// As [`super::relay`].
        pub fn relay(from: Receiver<u64>, into: Sender<u64>) -> ZigSink<u8, u64>;
        /// As [`super::give_back_receiver`].
        pub fn give_back_receiver(from: Receiver<u64>, count: u64) -> ZigSink<u8, Receiver<u64>>;
        /// As [`super::give_back_sender`].
        pub fn give_back_sender(into: Sender<u64>, count: u64) -> ZigSink<u8, Sender<u64>>;
        /// As [`super::make_buffers`].
        pub fn make_buffers(into: Sender<Buffer>, count: u64, size: u64) -> ZigSink<u8, u64>;
        /// As [`super::take_buffers`].
        pub fn take_buffers(from: Receiver<Buffer>) -> ZigSink<u8, u64>;
        /// As [`super::pass_buffers`].
        pub fn pass_buffers(from: Receiver<Buffer>, into: Sender<Buffer>) -> ZigSink<u8, u64>;
        /// As [`super::send_numbers`].
        pub fn send_numbers(into: Sender<u64>, count: u64, batch: u64) -> ZigSink<u8>;
        /// As [`super::add_numbers`].
        pub fn add_numbers(from: Receiver<u64>, batch: u64) -> ZigSink<u8, u64>;
        /// As [`super::break_ring`].
        pub fn break_ring(into: Sender<u64>, how: u8) -> ZigSink<u8>;
        /// As [`super::break_buffers`].
        pub fn break_buffers(into: Sender<Buffer>) -> ZigSink<u8>;
    }
}

/// References pass clones.
pub mod by_reference {
    use ziggurat_channel::{Receiver, Sender};
    use ziggurat_stream::ZigSink;

    use super::Sum;

    ziggurat_stream::bind! {
        library "channels";

        /// As [`super::count_into`].
        pub fn count_into(into: &Sender<u64>, count: u64, mark: u64, batch: u64) -> ZigSink<u8, u64>;
        /// As [`super::sum_of`].
        pub fn sum_of(from: &Receiver<u64>, batch: u64) -> ZigSink<u8, Sum>;
    }
}

/// Bindings that do not fit the Zig side.
pub mod mismatched {
    use ziggurat_channel::{Receiver, Sender};
    use ziggurat_stream::ZigSink;

    ziggurat_stream::bind! {
        library "channels";

        /// The items are of another type.
        pub fn count_into(into: Sender<i64>, count: u64, mark: u64, batch: u64) -> ZigSink<u8, u64>;
        /// The other end.
        pub fn sum_of(from: Sender<u64>, batch: u64) -> ZigSink<u8, super::Sum>;
        /// The result is the other end.
        pub fn give_back_receiver(from: Receiver<u64>, count: u64) -> ZigSink<u8, super::Sender<u64>>;
    }

    /// The result is an end of another kind of channel.
    pub mod kind {
        use ziggurat_channel::{Receiver, spsc};
        use ziggurat_stream::ZigSink;

        ziggurat_stream::bind! {
            library "channels";

            /// Gives back what it was given.
            pub fn give_back_receiver(
                from: Receiver<u64>,
                count: u64,
            ) -> ZigSink<u8, spsc::Receiver<u64>>;
        }
    }
}

/// Buffers that Zig has made and not got back.
pub fn live() -> u64 {
    use futures_core::Stream;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    let mut stream = pin!(live_buffers().open().expect("it opens"));
    loop {
        match stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(live))) => return live,
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => std::thread::yield_now(),
        }
    }
}
