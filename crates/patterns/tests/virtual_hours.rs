//! Four hours of two pipelines in virtual time: the same seed gives the same trace to the bit.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

use futures::{StreamExt, future};
use tower::{ServiceBuilder, ServiceExt};
use ziggurat_patterns::circuit_breaker::{CircuitBreaker, Config};
use ziggurat_patterns::rate_limit::Quota;
use ziggurat_patterns::retry::Backoff;
use ziggurat_patterns::service::{
    CircuitBreakerLayer, ConcurrencyLimitLayer, HedgeLayer, RateLimitLayer, RetryLayer,
    TimeoutLayer,
};
use ziggurat_patterns::stream::{self, BatchLayer, ThrottleLayer, restart_with_backoff};
use ziggurat_patterns::testing::{Fault, MockService, Reply, Script};
use ziggurat_patterns::time::{TestClock, Timer};
use ziggurat_patterns::{Service, StreamLayerExt};

const HOURS: Duration = Duration::from_secs(4 * 3600);
const SECOND: Duration = Duration::from_secs(1);

/// What happened, and when.
type Trace = Vec<(Duration, String)>;

fn backoff(seed: u64) -> Backoff {
    Backoff::exponential(SECOND).with_max(60 * SECOND).with_full_jitter().with_seed(seed)
}

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

/// A source that comes in bursts, stalls and fails; restarted, timed out, limited, throttled, batched.
fn stream_trace(seed: u64) -> Trace {
    let clock = TestClock::new();
    let mut random = fastrand::Rng::with_seed(7);
    let source = clock.clone();
    let make = move || {
        let mut script = Script::new(&source);
        for _ in 0..random.u32(50..200) {
            script = match random.u32(0..10) {
                0 => script.wait(random.u32(0..90) * SECOND).ok(random.u32(..)),
                1 => script.pending(),
                _ => script.ok(random.u32(..)),
            };
        }
        script.err(Fault(random.u64(..))).build().0
    };
    let batches = restart_with_backoff(make, backoff(seed))
        .unlimited_retries()
        .with_timer(clock.clone())
        .layer(stream::TimeoutLayer::idle(60 * SECOND).with_timer(clock.clone()))
        .layer(stream::RateLimitLayer::new(Quota::per_minute(n(120))).with_timer(clock.clone()))
        .layer(ThrottleLayer::new(SECOND / 10).with_timer(clock.clone()))
        .layer(
            BatchLayer::count(NonZeroUsize::new(16).unwrap())
                .with_time(10 * SECOND)
                .with_timer(clock.clone()),
        );
    let trace = batches
        .map(|batch| (clock.elapsed(), format!("{batch:?}")))
        .take_while(|(at, _)| future::ready(*at < HOURS));
    clock.block_on(trace.collect())
}

/// A service that is slow, and fails, and fails for a while; hedged, retried, and left alone when open.
fn service_trace(seed: u64) -> Trace {
    let clock = TestClock::new();
    let mut random = fastrand::Rng::with_seed(7);
    let time = clock.clone();
    let inner = MockService::<u32, u32, Fault>::new(&clock, move |&request: &u32| {
        // Every hour it is down for ten minutes.
        let down = time.elapsed().as_secs() % 3600 < 600;
        if down || random.u32(0..10) == 0 {
            return Reply::err(Fault(request.into())).after(random.u32(0..3) * SECOND);
        }
        Reply::ok(request).after(random.u32(1..2000) * SECOND / 1000)
    });
    let breaker = Config::count(n(20), 50).with_open(backoff(seed)).with_probes(n(2));
    let breaker = CircuitBreaker::new(breaker).unwrap().with_timer(clock.clone());
    let mut service = ServiceBuilder::new()
        .layer(RateLimitLayer::new(Quota::per_minute(n(100))).with_timer(clock.clone()))
        .layer(ConcurrencyLimitLayer::new(NonZeroUsize::new(4).unwrap()))
        .layer(TimeoutLayer::new(30 * SECOND).with_timer(clock.clone()))
        .layer(RetryLayer::new(backoff(seed)).with_timer(clock.clone()))
        .layer(CircuitBreakerLayer::new(breaker))
        .layer(HedgeLayer::new(SECOND).with_timer(clock.clone()))
        .service(inner);
    let mut trace = Trace::new();
    clock.block_on(async {
        for request in 0.. {
            let answer = service.ready().await.unwrap().call(request).await;
            trace.push((clock.elapsed(), format!("{request} {answer:?}")));
            if clock.elapsed() > HOURS {
                return;
            }
            clock.sleep(SECOND).await;
        }
    });
    trace
}

fn four_hours(name: &str, trace: impl Fn(u64) -> Trace) {
    let start = Instant::now();
    let first = trace(1);
    println!(
        "{name}: {} events in {:?} of virtual time, in {:?}",
        first.len(),
        first.last().expect("something happened").0,
        start.elapsed()
    );
    assert!(first.last().unwrap().0 > HOURS - 120 * SECOND, "it ran to the end");
    assert_eq!(trace(1), first);
    assert_eq!(trace(1), first);
    assert_ne!(trace(2), first, "another seed, another jitter");
}

#[test]
fn a_stream() {
    four_hours("stream", stream_trace);
}

#[test]
fn a_service() {
    four_hours("service", service_trace);
}
