//! Layers over streams, and the streams that they make.

pub use crate::batch::stream::{Batch, BatchLayer, TryBatch, TryBatchLayer};
pub use crate::broadcast::{Broadcast, Subscriber};
pub use crate::buffer::stream::{Buffer, BufferLayer};
pub use crate::debounce::stream::{Debounce, DebounceLayer};
pub use crate::dedupe::stream::{Dedupe, DedupeLayer};
pub use crate::group_by::{Group, GroupBy, GroupByLayer, Half};
pub use crate::instrument::stream::{Instrument, InstrumentLayer};
pub use crate::map_err::stream::MapErrInto;
pub use crate::rate_limit::stream::{RateLimit, RateLimitLayer, TryRateLimit, TryRateLimitLayer};
pub use crate::retry::stream::{
    Restart, RestartParts, Resume, reconnect_from, reconnect_with_backoff, restart_with_backoff,
    resume_from,
};
pub use crate::sample::stream::{Sample, SampleBy, SampleByLayer, SampleLayer};
pub use crate::select::{
    Combine2, Combine3, Combine4, Combine5, Combine6, Combine7, Combine8, CombineTuple, Merge,
    Merge2, Merge3, Merge4, Merge5, Merge6, Merge7, Merge8, MergeMap, MergeTuple, NextMany,
    NextManyEntries, Race, Race2, Race3, Race4, Race5, Race6, Race7, Race8, RaceTuple, StreamId,
    Switch, Zip2, Zip3, Zip4, Zip5, Zip6, Zip7, Zip8, ZipTuple, merge, race, zip,
};
pub use crate::shutdown::stream::{Abort, AbortLayer, Shutdown, ShutdownLayer};
pub use crate::throttle::stream::{Throttle, ThrottleLayer};
pub use crate::through::{Ordered, ThroughLayer, Unordered};
pub use crate::timeout::stream::{Timeout, TimeoutLayer};
pub use crate::window::stream::{
    SessionWindow, SessionWindowLayer, SlidingTimeWindow, SlidingTimeWindowLayer, SlidingWindow,
    SlidingWindowLayer, TimeWindow, TimeWindowLayer, Window, WindowLayer,
};
