//! Batches, buffers, throttles and windows beside their peers: futures, tokio-stream, tower, and
//! hand-made ones.

mod echo;
#[path = "../../../benches/support/mod.rs"]
mod support;
use echo::Echo;

use std::collections::VecDeque;
use std::future::Future;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{join, ready};
use futures::{SinkExt, Stream, StreamExt, stream};
use support::{Unit, case, compare};
use tower::{Service, ServiceExt};
use ziggurat_patterns::buffer::{Overflow, pair};
use ziggurat_patterns::stream::{BatchLayer, SlidingWindowLayer};
use ziggurat_patterns::{StreamLayerExt, service};

const ITEMS: u64 = 100_000;
const CALLS: u64 = 20_000;
const ROUNDS: usize = 31;

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn source() -> impl Stream<Item = u64> + Unpin {
    stream::iter(0..ITEMS).map(black_box)
}

/// Polls until it is done: what is always ready needs no executor.
fn spin<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(futures::task::noop_waker_ref());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

fn drain<S: Stream>(stream: S) -> u64 {
    spin(stream.for_each(|item| {
        black_box(&item);
        ready(())
    }));
    ITEMS
}

fn main() {
    batches();
    streams();
    pairs();
    windows();
    services();
}

fn batches() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for size in [8, 64, 512] {
        let minute = Duration::from_secs(60);
        let cases = vec![
            case("ziggurat batch", || drain(source().batch(n(size)))),
            case("ziggurat batch with a time", || drain(source().chunks_timeout(n(size), minute))),
            case("ziggurat batch, memory used again", || {
                let mut batches = source().layer(BatchLayer::count(n(size)));
                spin(async {
                    let mut batch = Vec::new();
                    while batches.next_batch_into(&mut batch).await.is_some() {
                        black_box(&batch);
                        batch.clear();
                    }
                });
                ITEMS
            }),
            case("futures chunks", || drain(source().chunks(size))),
            case("futures ready_chunks", || drain(source().ready_chunks(size))),
            case("tokio-stream chunks_timeout", || {
                let _in = runtime.enter();
                drain(tokio_stream::StreamExt::chunks_timeout(source(), size, minute))
            }),
        ];
        compare(&format!("batches of {size}, per item"), Unit::Nanoseconds, ROUNDS, cases);
    }
}

fn streams() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cases = vec![
        case("no layer", || drain(source())),
        case("ziggurat throttle(0)", || drain(source().throttle(Duration::ZERO))),
        case("tokio-stream throttle(0)", || {
            let _in = runtime.enter();
            drain(tokio_stream::StreamExt::throttle(source(), Duration::ZERO))
        }),
        case("ziggurat buffer(64)", || drain(source().buffer(n(64), Overflow::Backpressure))),
        case("ziggurat buffer(1)", || drain(source().buffer(n(1), Overflow::Backpressure))),
        case("futures buffered(64) of ready futures", || drain(source().map(ready).buffered(64))),
    ];
    compare("a layer over a stream that is always ready", Unit::Nanoseconds, ROUNDS, cases);
}

fn pairs() {
    let cases = vec![
        case("ziggurat pair(64)", || {
            let (driver, items) = pair(source(), n(64), Overflow::Backpressure);
            spin(join(driver, async { drain_async(items).await }));
            ITEMS
        }),
        case("futures mpsc(64)", || {
            let (mut sender, items) = futures::channel::mpsc::channel(64);
            let driver = async move {
                let mut source = source().map(Ok);
                sender.send_all(&mut source).await.unwrap();
            };
            spin(join(driver, drain_async(items)));
            ITEMS
        }),
        case("tokio mpsc(64)", || {
            let (sender, items) = tokio::sync::mpsc::channel(64);
            let driver = async move {
                let mut source = source();
                while let Some(item) = source.next().await {
                    sender.send(item).await.unwrap();
                }
            };
            spin(join(driver, drain_async(tokio_stream::wrappers::ReceiverStream::new(items))));
            ITEMS
        }),
    ];
    compare("source and consumer joined in one task", Unit::Nanoseconds, ROUNDS, cases);
}

async fn drain_async<S: Stream>(stream: S) {
    let mut stream = pin!(stream);
    while let Some(item) = stream.next().await {
        black_box(&item);
    }
}

/// What one writes without a layer, with the same rules.
struct ByHand<S> {
    inner: S,
    items: VecDeque<u64>,
}

impl<S: Stream<Item = u64> + Unpin> Stream for ByHand<S> {
    type Item = Vec<u64>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<u64>>> {
        loop {
            match std::task::ready!(self.inner.poll_next_unpin(cx)) {
                Some(item) => self.items.push_back(item),
                None => return Poll::Ready(None),
            }
            if self.items.len() == 16 {
                let window = self.items.iter().copied().collect();
                self.items.drain(..4);
                return Poll::Ready(Some(window));
            }
        }
    }
}

fn windows() {
    let cases = vec![
        case("ziggurat sliding_window(16, 4)", || {
            drain(source().layer(SlidingWindowLayer::new(n(16), n(4))))
        }),
        case("a stream by hand", || {
            drain(ByHand { inner: source(), items: VecDeque::with_capacity(16) })
        }),
        case("a loop by hand, no stream", || {
            let mut items = VecDeque::with_capacity(16);
            for item in 0..ITEMS {
                items.push_back(black_box(item));
                if items.len() == 16 {
                    black_box(items.iter().copied().collect::<Vec<u64>>());
                    items.drain(..4);
                }
            }
            ITEMS
        }),
    ];
    compare("sliding windows, per item", Unit::Nanoseconds, ROUNDS, cases);
    let cases = vec![
        case("ziggurat window(16)", || drain(source().window(n(16)))),
        case("futures chunks(16)", || drain(source().chunks(16))),
    ];
    compare("tumbling windows, per item", Unit::Nanoseconds, ROUNDS, cases);
}

async fn round_trips<S: Service<u64>>(mut service: S) -> u64 {
    for request in 0..CALLS {
        let Ok(service) = service.ready().await else { panic!("not ready") };
        black_box(service.call(request).await.is_ok());
    }
    CALLS
}

async fn eight_callers<S: Service<u64> + Clone>(service: S) -> u64 {
    futures::future::join_all((0..8).map(|_| round_trips(service.clone()))).await.iter().sum()
}

fn services() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let ours = || {
        let (service, worker) = service::Buffer::pair(Echo, n(16));
        tokio::spawn(worker);
        service
    };
    let towers = || {
        let (service, worker) = tower::buffer::Buffer::pair(Echo, 16);
        tokio::spawn(worker);
        service
    };
    let cases = vec![
        case("ziggurat Buffer", || runtime.block_on(async { round_trips(ours()).await })),
        case("tower Buffer", || runtime.block_on(async { round_trips(towers()).await })),
    ];
    compare("a call through a buffer, tokio current-thread", Unit::Nanoseconds, ROUNDS, cases);
    let cases = vec![
        case("ziggurat Buffer", || runtime.block_on(async { eight_callers(ours()).await })),
        case("tower Buffer", || runtime.block_on(async { eight_callers(towers()).await })),
    ];
    compare("the same with 8 callers at a time", Unit::Nanoseconds, ROUNDS, cases);
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let cases = vec![
        case("ziggurat Buffer", || {
            threads.block_on(async { tokio::spawn(eight_callers(ours())).await.unwrap() })
        }),
        case("tower Buffer", || {
            threads.block_on(async { tokio::spawn(eight_callers(towers())).await.unwrap() })
        }),
    ];
    compare("the same on tokio multi-thread", Unit::Nanoseconds, ROUNDS, cases);
}
