//! What a timeout costs when it is not needed: inner work that is always ready.
//!
//! The limit: a bare call, or a bare poll. A clock read alone costs some 25 ns.

#[path = "../../../benches/support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use futures::executor::block_on;
use futures::{Stream, StreamExt, future, stream};
use support::{Unit, case, compare};
use ziggurat_patterns::{Service, ServiceLayerExt, StreamLayerExt, service};

const COUNT: u64 = 200_000;
const LIMIT: Duration = Duration::from_secs(60);

fn sum<E>(stream: impl Stream<Item = Result<u64, E>>) -> u64 {
    let mut stream = std::pin::pin!(stream);
    block_on(async {
        let mut sum = 0_u64;
        while let Some(Ok(item)) = StreamExt::next(&mut stream).await {
            sum = sum.wrapping_add(black_box(item));
        }
        black_box(sum);
    });
    COUNT
}

fn numbers() -> impl Stream<Item = Result<u64, Infallible>> {
    stream::iter((0..COUNT).map(Ok))
}

fn echo() -> impl Service<u64, Response = u64, Error = Infallible> {
    tower::service_fn(|n: u64| future::ready(Ok::<_, Infallible>(black_box(n))))
}

fn call_all<S: Service<u64, Response = u64>>(mut service: S) -> u64 {
    block_on(async {
        for n in 0..COUNT {
            let ready = future::poll_fn(|cx| service.poll_ready(cx)).await;
            black_box(ready.is_ok());
            black_box(service.call(n).await.is_ok());
        }
    });
    COUNT
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("tokio");
    let _guard = runtime.enter();
    compare(
        "an item of a stream that is always ready, with a timeout",
        Unit::Nanoseconds,
        25,
        vec![
            case("tokio_stream::timeout", || {
                let timed = tokio_stream::StreamExt::timeout(numbers(), LIMIT);
                sum(StreamExt::map(timed, |item| item.map(|Ok(n)| n)))
            }),
            case("bare", || sum(numbers())),
            case("ziggurat, idle", || sum(StreamLayerExt::timeout(numbers(), LIMIT))),
        ],
    );
    compare(
        "a call that is answered at once, with a timeout",
        Unit::Nanoseconds,
        25,
        vec![
            case("tower::timeout", || call_all(tower::timeout::Timeout::new(echo(), LIMIT))),
            case("bare", || call_all(echo())),
            case("ziggurat", || call_all(echo().layer(service::TimeoutLayer::new(LIMIT)))),
        ],
    );
}
