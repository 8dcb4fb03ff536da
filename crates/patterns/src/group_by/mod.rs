//! One stream taken apart: by a key into a stream of groups, or by a predicate into two.
//!
//! [`GroupBy`] is a stream of `(key, `[`Group`]`)`, and each group is a stream of the items that have
//! its key. [`partition`] makes two [`Half`]s. No executor and no task: whoever is polled polls the
//! source for all of them, and what it finds for others is put by for them. A wake of the source wakes
//! all that wait, and the first to be polled takes the turn.
//!
//! # Bounds
//!
//! Each group has room for `capacity` items, and all of them together for
//! [`total`](GroupByLayer::total). There are at most `max_groups` groups. What happens at each bound is
//! for the caller to say:
//!
//! | bound | by default | or |
//! |---|---|---|
//! | a group is full | [`Overflow::Backpressure`]: the source is held | [`Overflow::Error`] |
//! | all are full | the source is held | |
//! | one more group | [`WhenFull::Error`] | [`WhenFull::EvictIdle`]: an idle group ends |
//! | a group is dropped | [`OnDrop::Reopen`]: they go to a new one | [`OnDrop::Discard`] |
//!
//! An error has the item in it: nothing is lost unless you chose so.
//!
//! # A trap
//!
//! With backpressure, a consumer that awaits one group while another one is full waits for ever: the
//! source is held until somebody takes from the full one. This cannot be told from a slow consumer, so
//! it is not detected. Poll the groups concurrently, drop those that are of no interest, or choose
//! [`Overflow::Error`]. The same holds for the stream of groups itself: it has to be polled for new
//! groups to get anywhere.
//!
//! Dropping the [`GroupBy`] says that no more groups are wanted: nothing more is taken from the source,
//! the groups get what was put by for them, and end.
//!
//! ```
//! use std::num::NonZeroUsize;
//! use futures::{StreamExt, TryStreamExt, stream};
//! use ziggurat_patterns::{StreamLayerExt, group_by::GroupByLayer};
//!
//! # futures::executor::block_on(async {
//! let room = NonZeroUsize::new(16).unwrap();
//! let groups = stream::iter(1..=6).layer(GroupByLayer::new(|n: &i32| n % 3, room, room));
//! let sums = groups.try_for_each_concurrent(None, |(key, group)| async move {
//!     let items: Vec<_> = group.collect().await;
//!     assert_eq!(items, [if key == 0 { 3 } else { key }, if key == 0 { 6 } else { key + 3 }]);
//!     Ok(())
//! });
//! sums.await.unwrap();
//! # });
//! ```

mod core;
mod error;
mod groups;
mod partition;
mod policy;
mod state;

pub use error::GroupError;
pub use groups::{Group, GroupBy, GroupByParts};
pub use partition::{Half, partition};
pub use policy::{GroupByLayer, OnDrop, Overflow, WhenFull};

/// How many items one poll takes from the source at most, for others than the one that polls.
const BUDGET: usize = 128;
