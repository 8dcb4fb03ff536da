//! Windows over streams.

pub use super::count::{Window, WindowLayer};
pub use super::session::{SessionWindow, SessionWindowLayer};
pub use super::sliding::{SlidingWindow, SlidingWindowLayer};
pub use super::sliding_time::{SlidingTimeWindow, SlidingTimeWindowLayer};
pub use super::time::{TimeWindow, TimeWindowLayer};
