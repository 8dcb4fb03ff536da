//! What a rate limit costs that never limits: of a service against tower's, alone against governor's;
//! of a stream; and when several threads share it.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use ziggurat_patterns::rate_limit::{KeyedRateLimiter, Quota, RateLimiter};
use ziggurat_patterns::time::{DefaultTimer, Timer};
use ziggurat_patterns::{StreamLayerExt, service};

mod echo;
#[path = "../../../benches/support/mod.rs"]
mod support;
use echo::{CALLS, Echo, call};
use support::{Unit, case, compare};

fn pull(stream: impl Stream<Item = u64>) -> u64 {
    let mut stream = pin!(stream);
    let mut cx = Context::from_waker(Waker::noop());
    let mut items = 0;
    while let Poll::Ready(Some(item)) = stream.as_mut().poll_next(&mut cx) {
        black_box(item);
        items += 1;
    }
    assert_eq!(items, CALLS);
    items
}

/// Several threads that take cells of one limiter as fast as they can.
fn contended(threads: u64, take: impl Fn() + Sync) -> u64 {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..CALLS).for_each(|_| take()));
        }
    });
    threads * CALLS
}

fn main() {
    let most = NonZeroU32::new(1_000_000_000).unwrap();
    let quota = Quota::per_second(most).with_burst(NonZeroU32::MAX);
    let theirs = governor::Quota::per_second(most).allow_burst(NonZeroU32::MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _guard = runtime.enter();

    let limiter = RateLimiter::new(quota);
    let governor = governor::RateLimiter::direct(theirs);
    let check = || assert!(governor.check().is_ok());
    let acquire = || assert!(limiter.try_acquire(1).is_ok());
    compare(
        "a cell from a limiter",
        Unit::Nanoseconds,
        31,
        vec![
            case("ziggurat", || {
                (0..CALLS).for_each(|_| acquire());
                CALLS
            }),
            case("governor", || {
                (0..CALLS).for_each(|_| check());
                CALLS
            }),
            case("(the clock alone)", || {
                (0..CALLS).for_each(|_| {
                    black_box(DefaultTimer.nanos());
                });
                CALLS
            }),
        ],
    );

    let layer = service::RateLimitLayer::new(quota);
    let mut ours = tower_layer::Layer::layer(&layer, Echo);
    let rate = tower::limit::rate::Rate::new(u64::MAX, Duration::from_secs(3600));
    let mut tower = tower::limit::RateLimit::new(Echo, rate);
    let mut enforcing = tower_layer::Layer::layer(&layer.enforcing(), Echo);
    compare(
        "a call of a service",
        Unit::Nanoseconds,
        31,
        vec![
            case("ziggurat", || call(&mut ours)),
            case("tower", || call(&mut tower)),
            case("ziggurat, enforcing", || call(&mut enforcing)),
            case("(the service alone)", || call(&mut Echo)),
        ],
    );

    compare(
        "an item of a stream",
        Unit::Nanoseconds,
        31,
        vec![
            case("ziggurat", || pull(stream::iter(0..CALLS).rate_limit(quota))),
            case("governor", || {
                use governor::prelude::StreamRateLimitExt;
                let governor = governor::RateLimiter::direct(theirs);
                pull(stream::iter(0..CALLS).ratelimit_stream(&governor))
            }),
            case("(the stream alone)", || pull(stream::iter(0..CALLS).fuse())),
        ],
    );

    for threads in [1, 2, 8] {
        compare(
            &format!("{threads} threads share a limiter"),
            Unit::Nanoseconds,
            15,
            vec![
                case("ziggurat", || contended(threads, acquire)),
                case("governor", || contended(threads, check)),
            ],
        );
    }

    // Slow enough that a key is still known when it comes again.
    let thousand = NonZeroU32::new(1000).unwrap();
    let keyed = Quota::per_second(thousand).with_burst(NonZeroU32::MAX);
    let keyed = KeyedRateLimiter::new(keyed);
    let theirs = governor::Quota::per_second(thousand).allow_burst(NonZeroU32::MAX);
    let theirs = governor::RateLimiter::keyed(theirs);
    compare(
        "a cell of one of 1,000 keys",
        Unit::Nanoseconds,
        31,
        vec![
            case("ziggurat", || {
                (0..CALLS).for_each(|n| assert!(keyed.try_acquire(&(n % 1000), 1).is_ok()));
                CALLS
            }),
            case("governor", || {
                (0..CALLS).for_each(|n| assert!(theirs.check_key(&(n % 1000)).is_ok()));
                CALLS
            }),
        ],
    );
}
