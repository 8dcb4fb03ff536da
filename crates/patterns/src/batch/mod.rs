//! Batches: items collected by count, by weight or by time, or by whichever comes first.
//!
//! | limit | a batch is complete |
//! |---|---|
//! | count | with so many items |
//! | weight | before the item that would make it too heavy, or at exactly the limit |
//! | time | so long after its first item |
//! | [eager](stream::BatchLayer::eager) | when the source has nothing ready |
//!
//! * [`stream::BatchLayer`]: a stream of items becomes one of `Vec<Item>`.
//! * [`stream::TryBatchLayer`]: the same over results. An error completes the batch before it.
//! * [`sink::BatchLayer`]: a sink of `Vec<Item>` becomes one of items.
//!
//! No item is ever in a batch beyond the limits, but for one that is too heavy by itself: it is a batch
//! of its own. Batches are never empty. Without a limit of count or weight a batch grows as long as the
//! time lasts.
//!
//! The clock is read once per batch, when a batch has to wait, and not at all without a limit of time.
//!
//! ```
//! use std::{num::NonZeroUsize, time::Duration};
//! use futures::{StreamExt, stream};
//! use ziggurat_patterns::{StreamLayerExt, stream::BatchLayer};
//!
//! # futures::executor::block_on(async {
//! let lines = stream::iter(["a", "bc", "defghi", "j", "k", "l"]);
//! let layer = BatchLayer::count(NonZeroUsize::new(2).unwrap())
//!     .with_weight(4, |line: &&str| line.len())
//!     .with_time(Duration::from_secs(1));
//! let batches: Vec<_> = lines.layer(layer).collect().await;
//! assert_eq!(batches, [vec!["a", "bc"], vec!["defghi"], vec!["j", "k"], vec!["l"]]);
//! # });
//! ```

pub mod sink;
pub mod stream;

mod batcher;
mod recycle;
mod try_stream;
mod weigh;

pub use recycle::NextBatchInto;
pub use weigh::{Unweighed, Weigh};
