//! Layers over sinks, and the sinks that they make.

pub use crate::batch::sink::{Batch, BatchLayer};
pub use crate::buffer::sink::{Buffer, BufferLayer};
pub use crate::instrument::sink::{Instrument, InstrumentLayer};
pub use crate::load_shed::sink::{LoadShed, LoadShedLayer};
pub use crate::rate_limit::sink::{RateLimit, RateLimitLayer, TryRateLimit, TryRateLimitLayer};
pub use crate::shutdown::sink::{Shutdown, ShutdownLayer};
pub use crate::timeout::sink::{Timeout, TimeoutLayer};
