//! Ends that Zig code holds.
//!
//! A [`Sender`] or [`Receiver`] of plain items or of [`Buffer`]s is an argument of a function that is
//! bound with `ziggurat_stream::bind!`, and a result of one: `*ziggurat.Sender(T)` and
//! `*ziggurat.Receiver(T)` in Zig. Both languages then work on the same memory
//! ([`layout`](crate::layout)); no function is called for an item. So are the ends of a
//! [one-to-one channel](crate::spsc), which are moved and never cloned. Without a bound it is
//! [`growable`](crate::growable) channels that cross; an end of an [`unbounded`](crate::unbounded) one is
//! refused when the function is opened: it is linked by addresses, which could not be checked.
//!
//! ```ignore
//! ziggurat::bind! {
//!     library "pipeline";
//!     fn produce(results: Sender<u64>) -> ZigSink<u8, u64>;
//! }
//! let (s, r) = bounded(128);
//! let mut producer = produce(s.clone()).open()?;
//! ```
//!
//! A reference (`&s`) passes a clone. An end that crossed counts as any other: the last sender that is
//! dropped closes the channel, whichever language has it. Zig drops it when the function returns,
//! unless it has moved it elsewhere.
//!
//! # What a peer can and cannot do
//!
//! Positions, stamps, numbers of rings and descriptions of buffers are checked where they are used. One
//! that cannot have come about closes the channel, and [`fault`](crate::Sender::fault) says why. Plain items are never
//! undefined behaviour to read, whatever was written. That a buffer's memory is there, and is
//! released once, no receiver can check: it is what the function promised that opened the library.
//!
//! A peer that claims a slot and never finishes is not found out, because a thread that is not running
//! looks the same. Whoever waits behind the slot goes on waiting, also after a close, because the slot
//! may still be finished; it can be cancelled. What does not wait (`try_recv`, `try_send`) says "empty" or
//! "full" after a while.
//!
//! [`Buffer`]: ziggurat_core::Buffer
//! [`Sender`]: crate::Sender
//! [`Receiver`]: crate::Receiver

mod accept;
mod ends;
mod table;

pub use ziggurat_core::Item;
pub use ziggurat_zig_ffi::EndError;

pub(crate) use accept::accept;
pub(crate) use table::{Shared, cross};
