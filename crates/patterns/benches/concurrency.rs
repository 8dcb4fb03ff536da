//! What a concurrency limit and a load shedder cost that never limit, against tower's; and a semaphore
//! that several threads share, against tokio's.

use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::executor::block_on;
use tower_layer::Layer;
use ziggurat_patterns::concurrency::Semaphore;
use ziggurat_patterns::shutdown::Shutdown;
use ziggurat_patterns::{Service, service};

#[path = "../../../benches/support/mod.rs"]
mod support;
use support::{Unit, case, compare};

const CALLS: u64 = 100_000;

#[derive(Clone, Copy)]
struct Echo;

impl Service<u64> for Echo {
    type Response = u64;
    type Error = std::convert::Infallible;
    type Future = Ready<Result<u64, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u64) -> Self::Future {
        ready(Ok(n))
    }
}

/// Calls one after the other, each of which is answered at once.
fn call(service: &mut impl Service<u64>) -> u64 {
    let mut cx = Context::from_waker(Waker::noop());
    for n in 0..CALLS {
        assert!(service.poll_ready(&mut cx).is_ready());
        let mut future = pin!(service.call(black_box(n)));
        assert!(future.as_mut().poll(&mut cx).is_ready());
    }
    CALLS
}

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
    let mut ours = service::ConcurrencyLimitLayer::new(8).layer(Echo);
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

    let mut bulkhead = service::BulkheadLayer::new(8, 8).layer(Echo);
    compare(
        "a call through a bulkhead",
        Unit::Nanoseconds,
        31,
        vec![
            case("ziggurat", || call(&mut bulkhead)),
            case("tower, concurrency limit only", || call(&mut tower)),
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
