//! Owned foreign buffers and lock-free buffer pools: the executor-free base of Ziggurat.
//!
//! * [`Buffer`]: bytes that somebody else allocated, with the callback that gives them back. It has
//!   a C layout ([`RawBuffer`]), so a block crosses a language border without being copied, and it
//!   becomes [`bytes::Bytes`] without a copy.
//! * [`BufferPool`]: fixed-size, aligned blocks that return to the pool when the last owner drops
//!   them. A steady-state byte stream over a pool allocates no payload.
//!
//! Nothing here knows Zig, starts a thread, or needs an executor.
#![doc = include_str!("../README.md")]

mod buffer;
mod free_list;
mod pool;
mod sync;
#[cfg(feature = "time")]
pub mod time;
mod waiters;

pub use buffer::{Buffer, BufferError, BufferMut, RawBuffer, ReleaseFn};
pub use pool::{Acquire, BufferPool, Growth, PoolBuilder, PoolError, PoolWaiter};

#[cfg(ziggurat_loom)]
#[doc(hidden)]
pub mod model {
    //! What the model checks in `tests/loom.rs` reach into.
    pub use crate::free_list::{FreeList, Pushed};
}
