//! Layers over services, and the services that they make.

pub use crate::buffer::service::{Buffer, BufferFuture, BufferPair, Worker};
pub use crate::circuit_breaker::service::{
    CircuitBreaker, CircuitBreakerFuture, CircuitBreakerLayer,
};
pub use crate::concurrency::bulkhead::{Bulkhead, BulkheadFuture, BulkheadLayer};
pub use crate::concurrency::keyed::{KeyedBulkhead, KeyedBulkheadFuture, KeyedBulkheadLayer};
pub use crate::concurrency::service::{
    ConcurrencyLimit, ConcurrencyLimitFuture, ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer,
};
pub use crate::hedge::service::{Hedge, HedgeFuture, HedgeLayer};
pub use crate::instrument::service::{Instrument, InstrumentFuture, InstrumentLayer};
pub use crate::load_shed::service::{LoadShed, LoadShedFuture, LoadShedLayer};
pub use crate::map_err::service::{MapErrInto, MapErrIntoFuture, MapErrIntoLayer};
pub use crate::rate_limit::service::{
    RateLimit, RateLimitFuture, RateLimitLayer, TryRateLimit, TryRateLimitLayer,
};
pub use crate::retry::service::{Retry, RetryFuture, RetryLayer};
pub use crate::select::{Fallback, FallbackFuture, FirstOk, FirstOkFuture, Steer, SteerFuture};
pub use crate::shutdown::service::{Shutdown, ShutdownFuture, ShutdownLayer};
pub use crate::through::response_stream::{
    ResponseStream, ResponseStreamFuture, ResponseStreamLayer,
};
pub use crate::through::spawn::{SpawnFuture, SpawnLayer, SpawnTask, Spawned};
pub use crate::timeout::service::{Deadline, DeadlineLayer, Timeout, TimeoutFuture, TimeoutLayer};
