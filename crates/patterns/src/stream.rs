//! Layers over streams, and the streams that they make.

// batch

// broadcast

// buffer

// circuit_breaker

// concurrency

// debounce

// dedupe

// group_by

// hedge

// instrument

// load_shed

// map_err
pub use crate::map_err::stream::MapErrInto;

// rate_limit
pub use crate::rate_limit::stream::{RateLimit, RateLimitLayer, TryRateLimit, TryRateLimitLayer};

// retry

// sample

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

// through

// timeout
pub use crate::timeout::stream::{Timeout, TimeoutLayer};

// window
