//! What a concurrency limit and a load shedder cost that never limit, against tower's; and a semaphore
//! that several threads share, against tokio's.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::executor::block_on;
use tower_layer::Layer;
use ziggurat_patterns::concurrency::Semaphore;
use ziggurat_patterns::service;
use ziggurat_patterns::shutdown::Shutdown;

mod echo;
#[path = "../../../benches/support/mod.rs"]
mod support;
use echo::{Echo, call};
use support::{Unit, case, compare};

/// Several threads, each of which holds a permit for a moment, and waits where there is none.
fn contended(threads: u64, hold: impl Fn() + Sync) -> u64 {
    const TIMES: u64 = 10_000;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..TIMES).for_each(|_| hold()));
        }
    });
    threads * TIMES
}

fn main() {
    let eight = NonZeroUsize::new(8).expect("not zero");
    let mut ours = service::ConcurrencyLimitLayer::new(eight).layer(Echo);
    let mut tower = tower::limit::ConcurrencyLimitLayer::new(8).layer(Echo);
    compare(
        "a call under a concurrency limit",
        Unit::Nanoseconds,
        31,
        vec![
            case("ziggurat", || call(&mut ours)),
            case("tower", || call(&mut tower)),
            case("(the service alone)", || call(&mut Echo)),
        ],
    );

    let mut bulkhead = service::BulkheadLayer::new(eight, 8).layer(Echo);
    let mut keyed = service::KeyedBulkheadLayer::new(|n: &u64| n % 100, eight, 8).layer(Echo);
    compare(
        "a call through a bulkhead",
        Unit::Nanoseconds,
        31,
        vec![
            case("ziggurat", || call(&mut bulkhead)),
            case("tower, concurrency limit only", || call(&mut tower)),
            case("ziggurat, 100 keys", || call(&mut keyed)),
        ],
    );

    let mut ours = service::LoadShedLayer::new().layer(Echo);
    let mut tower = tower::load_shed::LoadShedLayer::new().layer(Echo);
    compare(
        "a call of a load shedder",
        Unit::Nanoseconds,
        31,
        vec![case("ziggurat", || call(&mut ours)), case("tower", || call(&mut tower))],
    );

    let shutdown = Shutdown::new();
    let mut ours = service::ShutdownLayer::new(shutdown.signal()).layer(Echo);
    compare(
        "a call under a shutdown",
        Unit::Nanoseconds,
        31,
        vec![case("ziggurat", || call(&mut ours)), case("(the service alone)", || call(&mut Echo))],
    );

    for (threads, permits) in [(1, 1), (2, 8), (2, 1), (8, 8), (8, 2)] {
        let ours = Semaphore::new(permits);
        let tokio = Arc::new(tokio::sync::Semaphore::new(permits));
        let title = format!("{threads} threads share {permits} permits");
        compare(
            &title,
            Unit::Nanoseconds,
            9,
            vec![
                case("ziggurat", || {
                    contended(threads, || drop(black_box(block_on(ours.acquire()).unwrap())))
                }),
                case("tokio", || {
                    let hold = || {
                        let permit = block_on(Arc::clone(&tokio).acquire_owned());
                        drop(black_box(permit.unwrap()));
                    };
                    contended(threads, hold)
                }),
            ],
        );
    }
}
