//! Services and sinks, their futures, and the layers that make them.

use tower::util::BoxCloneSyncService;
use ziggurat_patterns::{Service, rate_limit, retry, service, sink, time};

use crate::{All, NotSync, Serves};

with! { AS_X:
    service::BufferFuture<(), X, ()>,
    service::CircuitBreaker<X>,
    service::CircuitBreaker<All, X>,
    service::CircuitBreakerFuture<X, ()>,
    service::CircuitBreakerLayer<X>,
    service::Bulkhead<X>,
    service::BulkheadFuture<X, ()>,
    service::BulkheadFuture<Serves<X>, ()>,
    service::KeyedBulkhead<X, (), ()>,
    service::KeyedBulkhead<All, X, ()>,
    service::KeyedBulkheadFuture<X, (), ()>,
    service::KeyedBulkheadFuture<Serves<X>, (), ()>,
    service::KeyedBulkheadLayer<X, ()>,
    service::ConcurrencyLimit<X>,
    service::ConcurrencyLimitFuture<X>,
    service::Hedge<X>,
    service::Hedge<All, X>,
    service::HedgeFuture<X, time::DefaultTimer, ()>,
    service::HedgeFuture<Serves<X>, time::DefaultTimer, ()>,
    service::HedgeLayer<X>,
    service::Instrument<X>,
    service::Instrument<All, X>,
    service::InstrumentFuture<X>,
    service::InstrumentLayer<X>,
    service::LoadShed<X>,
    service::LoadShedFuture<X>,
    service::MapErrInto<X, ()>,
    service::MapErrIntoFuture<X, ()>,
    service::RateLimit<X>,
    service::RateLimitFuture<X, ()>,
    service::RateLimitFuture<Serves<X>, ()>,
    service::TryRateLimit<X, ()>,
    service::TryRateLimit<All, X>,
    service::TryRateLimitLayer<X>,
    service::Retry<X>,
    service::Retry<All, X>,
    service::Retry<All, (), X>,
    service::Retry<All, (), (), time::DefaultTimer, X>,
    service::RetryFuture<X, (), retry::Backoff, time::DefaultTimer, ()>,
    service::RetryFuture<Serves<X>, (), retry::Backoff, time::DefaultTimer, ()>,
    service::RetryLayer<X>,
    service::RetryLayer<(), X>,
    service::RetryLayer<(), (), time::DefaultTimer, X>,
    service::Fallback<X, ()>,
    service::Fallback<All, X>,
    service::FallbackFuture<X, ()>,
    service::FallbackFuture<Serves<X>, ()>,
    service::FirstOk<X, ()>,
    service::FirstOk<All, X>,
    service::Steer<X, ()>,
    service::Steer<All, X>,
    service::SteerFuture<X>,
    service::Shutdown<X>,
    service::ShutdownFuture<X>,
    service::ResponseStream<X, ()>,
    service::ResponseStream<All, X>,
    service::ResponseStreamFuture<X, ()>,
    service::ResponseStreamLayer<X>,
    service::SpawnLayer<X>,
    service::SpawnTask<X, ()>,
    service::Spawned<X, ()>,
    service::Spawned<All, X>,
    service::Deadline<X, ()>,
    service::Deadline<All, X>,
    service::DeadlineLayer<X>,
    service::Timeout<X>,
    service::TimeoutFuture<X>,
    sink::Batch<X, ()>,
    sink::BatchLayer<(), X>,
    sink::Buffer<X, ()>,
    sink::BufferLayer<(), X>,
    sink::Instrument<X>,
    sink::InstrumentLayer<X>,
    sink::LoadShed<X>,
    sink::RateLimit<X>,
    sink::TryRateLimit<X, ()>,
    sink::TryRateLimitLayer<(), X>,
    sink::Shutdown<X>,
    sink::Timeout<X>,
}

with! { OWNED:
    service::BufferPair<X, ()>,
    service::Worker<X, ()>,
    service::CircuitBreakerFuture<All, X>,
    service::BulkheadFuture<All, X>,
    service::KeyedBulkheadFuture<All, X, ()>,
    service::HedgeFuture<All, time::DefaultTimer, X>,
    service::RateLimitFuture<All, X>,
    service::RetryFuture<All, X, retry::Backoff, time::DefaultTimer, ()>,
    service::RetryFuture<All, (), retry::Backoff, time::DefaultTimer, X>,
    service::FallbackFuture<All, X>,
    service::FirstOkFuture<X, ()>,
    service::FirstOkFuture<All, X>,
    service::ResponseStreamFuture<All, X>,
    sink::Batch<All, X>,
    sink::Batch<All, (), X>,
    sink::Buffer<All, X>,
    sink::Instrument<All, X>,
    sink::TryRateLimit<All, X>,
    sink::TryRateLimit<All, (), X>,
}

with! { LOCKED:
    service::KeyedBulkhead<All, (), X>,
    service::KeyedBulkheadLayer<(), X>,
    service::Buffer<(), X, ()>,
    service::Buffer<X, All, ()>,
    service::BufferFuture<X, All, ()>,
    service::Worker<All, X>,
    service::Worker<Serves<X>, ()>,
    service::SpawnFuture<X>,
    service::SpawnTask<All, X>,
}

with! { COUNTED:
    service::Buffer<(), All, X>,
    service::BufferFuture<(), All, X>,
}

with! { ALWAYS:
    service::MapErrInto<All, X>,
    service::MapErrIntoFuture<All, X>,
    service::MapErrIntoLayer<X>,
    sink::BatchLayer<X>,
    sink::BufferLayer<X>,
    sink::TryRateLimitLayer<X>,
}

plain! {
    service::BulkheadLayer,
    service::ConcurrencyLimitLayer,
    service::GlobalConcurrencyLimitLayer,
    service::LoadShedLayer,
    service::RateLimitLayer,
    service::ShutdownLayer,
    service::TimeoutLayer,
    service::CircuitBreakerLayer,
    service::HedgeLayer,
    service::RetryLayer,
    sink::LoadShedLayer,
    sink::RateLimitLayer,
    sink::ShutdownLayer,
    sink::TimeoutLayer,
}

timed! { SLEEP:
    service::BulkheadFuture<All, (), T>,
    service::KeyedBulkheadFuture<All, (), (), T>,
    service::HedgeFuture<All, T, ()>,
    service::RateLimitFuture<All, (), T>,
    service::TimeoutFuture<All, T>,
    sink::RateLimit<All, T>,
    sink::TryRateLimit<All, (), (), T>,
    sink::Timeout<All, T>,
}

timed! { BOXED:
    service::RetryFuture<All, (), retry::Backoff, T, ()>,
    service::RateLimit<All, T>,
}

timed! { ANY:
    service::CircuitBreakerFuture<All, (), T>,
    service::CircuitBreaker<All, (), T>,
    service::Bulkhead<All, T>,
    service::KeyedBulkhead<All, (), (), T>,
    service::Hedge<All, (), T>,
    service::Deadline<All, (), T>,
    service::InstrumentFuture<All, T>,
    sink::Batch<All, (), (), T>,
}

fn stacked<S>(service: S) -> BoxCloneSyncService<(), S::Response, S::Error>
where
    S: Service<(), Future: Send + 'static> + Clone + Send + Sync + 'static,
{
    BoxCloneSyncService::new(service)
}

/// The services as trait objects, of services whose futures are not `Sync`.
#[test]
fn boxes() {
    stacked! {
        service::CircuitBreaker<X>,
        service::Bulkhead<X>,
        service::KeyedBulkhead<X, fn(&()), ()>,
        service::ConcurrencyLimit<X>,
        service::Hedge<X>,
        service::Instrument<X>,
        service::LoadShed<X>,
        service::RateLimit<X>,
        service::TryRateLimit<X, rate_limit::service::ByKey<fn(&()), ()>>,
        service::Retry<X>,
        service::Steer<X, fn(&(), &[X]) -> usize>,
        service::Fallback<X, ()>,
        service::FirstOk<X, ()>,
        service::Shutdown<X>,
        service::Deadline<X, fn(&()) -> Option<std::time::Instant>>,
        service::Timeout<X>,
    }
    let _ = stacked::<service::Buffer<(), NotSync, ()>>;
}
