//! Windows: the items of a stream in groups that are looked at together, by count or by time.
//!
//! | layer | a window has | windows share items |
//! |---|---|---|
//! | [`WindowLayer`] | so many items | no |
//! | [`SlidingWindowLayer`] | so many items, a new one every `step` items | yes |
//! | [`TimeWindowLayer`] | the items of so long a time | no |
//! | [`SlidingTimeWindowLayer`] | the same, a new one every `step` | yes |
//! | [`SessionWindowLayer`] | items without a gap of so long between them | no |
//!
//! A window is a `Vec` of its items. Those of windows that share them are cloned: once per further window
//! that they are in. These are the windows of stream processors such as Flink and Beam, over processing
//! time: an item has come when a poll takes it from the source. Windows of time are aligned to the first
//! item.
//!
//! When the source ends, the items that were in no window yet come as a last one, which is smaller. With
//! `emit_partial(false)` they do not, and can be had by `into_parts`.
//!
//! ```
//! use std::num::NonZeroUsize;
//! use futures::{StreamExt, stream};
//! use ziggurat_patterns::{StreamLayerExt, stream::{SlidingWindowLayer, WindowLayer}};
//!
//! # futures::executor::block_on(async {
//! let [two, three] = [2, 3].map(|n| NonZeroUsize::new(n).unwrap());
//! let threes: Vec<_> = stream::iter(1..=7).layer(WindowLayer::new(three)).collect().await;
//! assert_eq!(threes, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
//! let slid: Vec<_> =
//!     stream::iter(1..=7).layer(SlidingWindowLayer::new(three, two)).collect().await;
//! assert_eq!(slid, [[1, 2, 3], [3, 4, 5], [5, 6, 7]]);
//! # });
//! ```
//!
//! [`WindowLayer`]: stream::WindowLayer
//! [`SlidingWindowLayer`]: stream::SlidingWindowLayer
//! [`TimeWindowLayer`]: stream::TimeWindowLayer
//! [`SlidingTimeWindowLayer`]: stream::SlidingTimeWindowLayer
//! [`SessionWindowLayer`]: stream::SessionWindowLayer

pub mod stream;

mod count;
mod session;
mod sliding;
mod sliding_time;
mod time;
