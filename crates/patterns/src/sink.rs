//! Layers over sinks, and the sinks that they make.

// batch
pub use crate::batch::sink::{Batch, BatchLayer};

// broadcast

// buffer
pub use crate::buffer::sink::{Buffer, BufferLayer};

// circuit_breaker

// concurrency

// debounce

// dedupe

// group_by

// hedge

// instrument
pub use crate::instrument::sink::{Instrument, InstrumentLayer};

// load_shed
pub use crate::load_shed::sink::{LoadShed, LoadShedLayer};

// rate_limit
pub use crate::rate_limit::sink::{RateLimit, RateLimitLayer, TryRateLimit, TryRateLimitLayer};

// retry

// sample

// select

// shutdown
pub use crate::shutdown::sink::{Shutdown, ShutdownLayer};

// throttle

// through

// timeout
pub use crate::timeout::sink::{Timeout, TimeoutLayer};

// window
