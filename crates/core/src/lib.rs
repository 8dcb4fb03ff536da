//! Buffers that others allocated, lock-free buffer pools, and timers as values: the executor-free base of
//! Ziggurat.
//!
//! * [`Buffer`]: bytes that somebody else allocated, with the callback that gives them back. It has
//!   a C layout ([`RawBuffer`]), so a block crosses a language border without being copied, and it
//!   becomes [`bytes::Bytes`] without a copy.
//! * [`BufferPool`]: fixed-size, aligned blocks that return to the pool when the last owner drops
//!   them. A steady-state byte stream over a pool allocates no payload.
//! * [`Item`]: what may be an item of a channel that two languages hold ends of.
//! * [`wake`]: wakers by number, 64 of them in one allocation.
//! * `time` (feature `time`): timers and sleeps that are given to whatever needs them.
//!
//! Nothing here knows Zig or needs an executor. The one thread that may be started is that of the default
//! timer, by the first sleep that is polled.
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod buffer;
mod free_list;
mod item;
mod pool;
mod sync;
#[cfg(feature = "time")]
#[cfg_attr(docsrs, doc(cfg(feature = "time")))]
pub mod time;
mod waiters;
pub mod wake;

pub use buffer::{Buffer, BufferError, BufferMut, RawBuffer, ReleaseFn};
pub use item::Item;
pub use pool::{Acquire, BufferPool, Growth, PoolBuilder, PoolError, PoolWaiter};

#[cfg(ziggurat_loom)]
#[doc(hidden)]
pub mod model {
    //! What the model checks in `tests/loom.rs` reach into.
    pub use crate::free_list::{FreeList, Pushed};
}
