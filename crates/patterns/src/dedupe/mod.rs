//! Leaving out items that came before.
//!
//! | | an item is left out when its key | remembers |
//! |---|---|---|
//! | [`DedupeLayer::consecutive`] | is that of the item before it | one key |
//! | [`DedupeLayer::recent`] | is among the last `n` different ones | `n` keys, as an exact LRU |
//! | [`DedupeLayer::within`] | was let through less than `ttl` ago | `n` keys; the oldest goes first |
//!
//! The key is the item itself, or what a closure makes of it ([`by_key`](DedupeLayer::by_key)), also
//! for streams of `Result`s, whose errors always pass ([`try_by_key`](DedupeLayer::try_by_key)). What
//! is left out is counted: [`Dedupe::skipped`]. Another memory is an implementation of [`Memory`].
//!
//! ```
//! use futures::{StreamExt, stream};
//! use ziggurat_patterns::StreamLayerExt;
//!
//! # futures::executor::block_on(async {
//! let items = stream::iter([1, 1, 2, 2, 2, 1]).dedupe();
//! assert_eq!(items.collect::<Vec<_>>().await, [1, 2, 1]);
//! # });
//! ```

mod key;
mod memory;
mod recent;
pub(crate) mod stream;

pub use key::{ByKey, Key, TryByKey, Whole};
pub use memory::{Consecutive, Memory, Within};
pub use recent::Recent;
pub use stream::{Dedupe, DedupeLayer};
