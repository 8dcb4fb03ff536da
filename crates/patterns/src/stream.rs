//! Layers over streams, and the streams that they make.

// batch
pub use crate::batch::stream::{Batch, BatchLayer, TryBatch, TryBatchLayer};

// broadcast
pub use crate::broadcast::{Broadcast, Subscriber};

// buffer
pub use crate::buffer::stream::{Buffer, BufferLayer};

// circuit_breaker

// concurrency

// debounce
pub use crate::debounce::stream::{Debounce, DebounceLayer};

// dedupe
pub use crate::dedupe::stream::{Dedupe, DedupeLayer};

// group_by
pub use crate::group_by::{Group, GroupBy, GroupByLayer, Half};

// hedge

// instrument
pub use crate::instrument::stream::{Instrument, InstrumentLayer};

// load_shed

// map_err
pub use crate::map_err::stream::MapErrInto;

// rate_limit
pub use crate::rate_limit::stream::{RateLimit, RateLimitLayer, TryRateLimit, TryRateLimitLayer};

// retry

// sample
pub use crate::sample::stream::{Sample, SampleBy, SampleByLayer, SampleLayer};

// select
pub use crate::select::{
    Combine2, Combine3, Combine4, Combine5, Combine6, Combine7, Combine8, CombineTuple, Merge,
    Merge2, Merge3, Merge4, Merge5, Merge6, Merge7, Merge8, MergeMap, MergeTuple, NextMany,
    NextManyEntries, Race, StreamId, Switch, Zip2, Zip3, Zip4, Zip5, Zip6, Zip7, Zip8, ZipTuple,
    merge, race, zip,
};

// shutdown
pub use crate::shutdown::stream::{Abort, AbortLayer, Shutdown, ShutdownLayer};

// throttle
pub use crate::throttle::stream::{Throttle, ThrottleLayer};

// through
pub use crate::through::{Ordered, ThroughLayer, Unordered};

// timeout
pub use crate::timeout::stream::{Timeout, TimeoutLayer};

// window
pub use crate::window::stream::{
    SessionWindow, SessionWindowLayer, SlidingTimeWindow, SlidingTimeWindowLayer, SlidingWindow,
    SlidingWindowLayer, TimeWindow, TimeWindowLayer, Window, WindowLayer,
};
