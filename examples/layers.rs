//! Five layers over a stream, the same five over a service, and the one through the other, under four
//! runtimes.
//!
//! ```text
//! cargo run --release --example layers
//! ```

use std::error::Error;
use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use tower::ServiceBuilder;
use ziggurat::patterns::instrument::Meter;
use ziggurat::patterns::rate_limit::Quota;
use ziggurat::patterns::retry::{Backoff, RetryError};
use ziggurat::patterns::service::{
    InstrumentLayer, RateLimitLayer, RetryLayer, ShutdownLayer, TimeoutLayer,
};
use ziggurat::patterns::shutdown::Shutdown;
use ziggurat::patterns::stream::resume_from;
use ziggurat::patterns::timeout::TimeoutError;
use ziggurat::patterns::{BoxError, Service, StreamLayerExt};
use ziggurat_examples_zig::counter;

const ITEMS: u64 = 1000;

/// Numbers of a Zig state machine, from `start` on, over a line that breaks after every 300 of them.
fn numbers(start: u64) -> impl Stream<Item = Result<u64, io::Error>> + Unpin {
    let zig = counter(ITEMS).open().expect("the library is linked").map_err(io::Error::other);
    let broken = futures::stream::iter([Err(io::Error::other("the line is down"))]);
    let rest = usize::try_from(start).expect("a small number");
    let end =
        if start + 300 < ITEMS { broken.left_stream() } else { broken.take(0).right_stream() };
    zig.skip(rest).take(300).chain(end)
}

/// Errors nest as the layers do.
type SourceError = TimeoutError<RetryError<io::Error>>;

/// It reads from the source on: each layer wraps those above it.
fn source(
    meter: &Meter,
    shutdown: &Shutdown,
) -> impl Stream<Item = Result<u64, SourceError>> + use<> {
    resume_from(0, numbers, |number| number + 1)
        .backoff(Backoff::exponential(Duration::from_millis(1)).with_full_jitter())
        .timeout(Duration::from_secs(5))
        .rate_limit(Quota::per_second(NonZeroU32::new(1_000_000).expect("not zero")))
        .until_shutdown(shutdown.signal())
        .metered(meter)
}

/// It reads from the outside in: each layer wraps those below it. Its first call in ten fails.
fn squares(
    meter: &Meter,
    shutdown: &Shutdown,
) -> impl Service<u64, Response = u64, Error: Error + Send + Sync, Future: Send> + Clone + use<> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    ServiceBuilder::new()
        .layer(InstrumentLayer::new("squares").with_meter(meter))
        .layer(ShutdownLayer::new(shutdown.signal()))
        .layer(RateLimitLayer::new(Quota::per_second(
            NonZeroU32::new(1_000_000).expect("not zero"),
        )))
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .layer(RetryLayer::new(Backoff::constant(Duration::from_millis(1))))
        .service_fn(|n: u64| async move {
            if CALLS.fetch_add(1, Ordering::Relaxed) % 10 == 0 {
                return Err(io::Error::other("busy"));
            }
            Ok(n * n)
        })
}

async fn run(runtime: &'static str) -> Result<(), BoxError> {
    let (items, calls, shutdown) = (Meter::new(), Meter::new(), Shutdown::new());
    let source = source(&items, &shutdown);
    let squares = squares(&calls, &shutdown);
    let results = source.try_through(squares).try_concurrency(8)?.ordered();
    let sum = results.try_fold(0, |sum, n| async move { Ok(sum + n) }).await?;
    assert_eq!(sum, (0..ITEMS).map(|n| n * n).sum::<u64>());
    assert_eq!((items.stats().items, calls.stats().items), (ITEMS, ITEMS));
    println!("{runtime:20} {ITEMS} items and calls, sum {sum}");
    // Nothing is under way any more, so this completes at once.
    shutdown.drain(Duration::from_secs(1)).await?;
    Ok(())
}

fn main() -> Result<(), BoxError> {
    futures::executor::block_on(run("block_on"))?;
    smol::block_on(smol::spawn(run("smol")))?;
    async_std::task::block_on(async_std::task::spawn(run("async-std")))?;
    tokio::runtime::Runtime::new()?.block_on(async { tokio::spawn(run("tokio")).await? })
}
