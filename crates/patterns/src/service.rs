//! Layers over services, and the services that they make.

// batch

// broadcast

// buffer
pub use crate::buffer::service::{Buffer, BufferFuture, BufferPair, Worker};

// circuit_breaker

// concurrency
pub use crate::concurrency::bulkhead::{Bulkhead, BulkheadFuture, BulkheadLayer};
pub use crate::concurrency::service::{
    ConcurrencyLimit, ConcurrencyLimitFuture, ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer,
};

// debounce

// dedupe

// group_by

// hedge

// instrument
pub use crate::instrument::service::{Instrument, InstrumentFuture, InstrumentLayer};

// load_shed
pub use crate::load_shed::service::{LoadShed, LoadShedFuture, LoadShedLayer};

// map_err
pub use crate::map_err::service::{MapErrInto, MapErrIntoFuture, MapErrIntoLayer};

// rate_limit
pub use crate::rate_limit::service::{
    RateLimit, RateLimitFuture, RateLimitLayer, TryRateLimit, TryRateLimitLayer,
};

// retry

// sample

// select
pub use crate::select::{FirstOk, FirstOkFuture, Steer, SteerFuture};

// shutdown
pub use crate::shutdown::service::{Shutdown, ShutdownFuture, ShutdownLayer};

// throttle

// through
pub use crate::through::response_stream::{
    ResponseStream, ResponseStreamFuture, ResponseStreamLayer,
};
pub use crate::through::spawn::{SpawnFuture, SpawnLayer, SpawnTask, Spawned};

// timeout
pub use crate::timeout::service::{Deadline, DeadlineLayer, Timeout, TimeoutFuture, TimeoutLayer};

// window
