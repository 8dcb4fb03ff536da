//! Functions that panic, of a library with optimisation and of one without.

macro_rules! panics {
    ($module:ident, $library:literal, $what:literal) => {
        #[doc = $what]
        pub mod $module {
            use ziggurat_channel::{Receiver, Sender};
            use ziggurat_stream::{ZigByteStream, ZigSink, ZigStream, ZigTransform};

            ziggurat_stream::bind! {
                library $library;

                /// `count` items, then a failed check, by its number.
                pub fn fails_check(check: u32, count: u64) -> ZigStream<u64>;
                /// Ten items with sleeps between them; number `victim` panics half-way.
                pub fn one_of_many(number: u64, victim: u64) -> ZigStream<u64>;
                /// Needs 200 KiB of stack, and as much for each step of `depth`.
                pub fn goes_deep(depth: u64, in_child: u32) -> ZigStream<u64>;
                /// A child of it panics while another one sleeps.
                pub fn child_fails() -> ZigStream<u64>;
                /// Panics after it was cancelled.
                pub fn fails_in_defer(waits: u32) -> ZigStream<u64>;
                /// Panics at an item, or at the end.
                pub fn fails_at(limit: u64) -> ZigSink<u64, u64>;
                /// Passes on what it is sent, and panics at an item.
                pub fn fails_between(limit: u64) -> ZigTransform<u64, u64>;
                /// Panics with a block in work.
                pub fn fails_with_blocks() -> ZigByteStream;
                /// Panics with the end of a channel.
                pub fn fails_with_sender(sender: Sender<u64>) -> ZigStream<u64>;
                /// Panics while a child of it waits for an item.
                pub fn fails_beside_receiver(receiver: Receiver<u64>) -> ZigStream<u64>;
            }
        }
    };
}

panics!(debug, "panics_debug", "Without optimisation.");
panics!(safe, "panics_safe", "Optimised, with all checks.");
