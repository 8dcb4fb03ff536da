//! Streams through services against futures' `buffered` and tower's `call_all`; what counting and
//! deduplication cost; one stream for two consumers.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures::{FutureExt, Stream, StreamExt, stream};
use tower::{Service, ServiceExt};
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::instrument::Meter;
use ziggurat_patterns::stream::{DedupeLayer, InstrumentLayer};
use ziggurat_patterns::time::DefaultTimer;

mod echo;
#[path = "../../../benches/support/mod.rs"]
mod support;
use echo::Echo;
use support::{Unit, case, compare};

const ITEMS: u64 = 100_000;
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Is pending once.
struct Once(Option<u64>, bool);

impl Future for Once {
    type Output = Result<u64, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !std::mem::replace(&mut self.1, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(self.0.take().unwrap()))
    }
}

#[derive(Clone)]
struct Later;

impl Service<u64> for Later {
    type Response = u64;
    type Error = Infallible;
    type Future = Once;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, n: u64) -> Self::Future {
        Once(Some(black_box(n)), false)
    }
}

/// Polls until it ends. All that is pending here wakes itself.
fn drain<S: Stream>(stream: S) -> u64 {
    let mut stream = pin!(stream);
    let mut cx = Context::from_waker(Waker::noop());
    let mut items = 0;
    loop {
        match stream.as_mut().poll_next(&mut cx) {
            Poll::Ready(Some(item)) => {
                black_box(item);
                items += 1;
            }
            Poll::Ready(None) => return items,
            Poll::Pending => {}
        }
    }
}

fn numbers() -> impl Stream<Item = u64> {
    stream::iter(0..ITEMS)
}

fn main() {
    compare(
        "ordered, 16 at once, always ready",
        Unit::Nanoseconds,
        15,
        vec![
            case("futures buffered", || drain(numbers().map(|n| Echo.call(n)).buffered(16))),
            case("ours", || drain(numbers().through(Echo).concurrency(AT_ONCE).ordered())),
            case("tower call_all", || drain(Echo.call_all(numbers()))),
        ],
    );
    compare(
        "unordered, 16 at once, always ready",
        Unit::Nanoseconds,
        15,
        vec![
            case("futures buffer_unordered", || {
                drain(numbers().map(|n| Echo.call(n)).buffer_unordered(16))
            }),
            case("ours", || drain(numbers().through(Echo).concurrency(AT_ONCE).unordered())),
            case("tower call_all unordered", || drain(Echo.call_all(numbers()).unordered())),
        ],
    );
    compare(
        "ordered, 16 at once, each pending once",
        Unit::Nanoseconds,
        15,
        vec![
            case("futures buffered", || drain(numbers().map(|n| Later.call(n)).buffered(16))),
            case("ours", || drain(numbers().through(Later).concurrency(AT_ONCE).ordered())),
            case("tower call_all", || drain(Later.call_all(numbers()))),
        ],
    );
    compare(
        "unordered, 16 at once, each pending once",
        Unit::Nanoseconds,
        15,
        vec![
            case("futures buffer_unordered", || {
                drain(numbers().map(|n| Later.call(n)).buffer_unordered(16))
            }),
            case("ours", || drain(numbers().through(Later).concurrency(AT_ONCE).unordered())),
        ],
    );
    let meter = Meter::new();
    let timed = InstrumentLayer::new("timed").with_timer(DefaultTimer);
    let recent = DedupeLayer::recent(NonZeroUsize::new(1024).unwrap());
    compare(
        "what it costs per item",
        Unit::Nanoseconds,
        15,
        vec![
            case("stream::iter", || drain(numbers())),
            case("dedupe", || drain(numbers().dedupe())),
            case("dedupe recent 1024", || drain(numbers().layer(recent.clone()))),
            case("metered", || drain(numbers().metered(&meter))),
            case("metered, busy time", || drain(numbers().layer(timed.clone()))),
        ],
    );
    compare(
        "two consumers in turn, per item and consumer",
        Unit::Nanoseconds,
        15,
        vec![
            case("tee", || {
                let (left, right) = numbers().tee(AT_ONCE);
                drain(left.zip(right)) * 2
            }),
            case("partition", || {
                let (even, odd) = numbers().partition(|n| n % 2 == 0, AT_ONCE);
                drain(even.zip(odd)) * 2
            }),
            case("tokio broadcast channel", || {
                let (sender, mut left) = tokio::sync::broadcast::channel(16);
                let mut right = sender.subscribe();
                for n in 0..ITEMS {
                    let _ = sender.send(n);
                    black_box(left.recv().now_or_never());
                    black_box(right.recv().now_or_never());
                }
                ITEMS * 2
            }),
        ],
    );
}
