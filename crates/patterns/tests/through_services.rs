//! Services for streams: calls on tasks of their own, and layers on responses that are streams.

use std::convert::Infallible;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt, TryStreamExt, future, stream};
use tower::{Service, ServiceBuilder, ServiceExt};
use ziggurat_patterns::service::{ResponseStreamLayer, SpawnLayer};
use ziggurat_patterns::testing::laws;
use ziggurat_patterns::testing::{Fault, MockService, Reply, Script};
use ziggurat_patterns::through::SpawnError;
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::{ServiceLayerExt, StreamLayerExt, stream as layers};

const SECOND: Duration = Duration::from_secs(1);

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn poll<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    stream.poll_next_unpin(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn service_layers_are_lawful() {
    laws::service("response stream", |inner, _| inner.layer(ResponseStreamLayer::new(Same)))
        .faults(|error| Some(*error))
        .clones()
        .check();
}

/// Does nothing.
#[derive(Clone)]
struct Same;

impl<S> tower::Layer<S> for Same {
    type Service = S;

    fn layer(&self, inner: S) -> S {
        inner
    }
}

// Calls on tasks of their own.

#[test]
fn spawned_calls_go_on_while_nobody_polls() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let handle = runtime.handle().clone();
    let (done, wait) = std::sync::mpsc::channel();
    let service = tower::service_fn(move |n: u32| {
        let done = done.clone();
        async move {
            tokio::task::yield_now().await;
            done.send(n).unwrap();
            Ok::<_, Infallible>(n)
        }
    });
    let service = ServiceBuilder::new()
        .layer(SpawnLayer::new(move |task| drop(handle.spawn(task))))
        .service(service);
    let mut calls = stream::iter(0..4).through(service).concurrency(n(4)).ordered();
    let first = match poll(&mut calls) {
        Poll::Ready(first) => first,
        // All of them end, though nobody polls here.
        Poll::Pending => None,
    };
    let mut ended: Vec<_> = (0..4).map(|_| wait.recv().unwrap()).collect();
    ended.sort_unstable();
    assert_eq!(ended, [0, 1, 2, 3]);
    let rest = futures::executor::block_on(calls.collect::<Vec<_>>());
    let answers: Vec<_> = first.into_iter().chain(rest).map(Result::unwrap).collect();
    assert_eq!(answers, [0, 1, 2, 3]);
}

#[test]
fn a_task_that_is_dropped_says_so_and_a_dropped_call_cancels_its_task() {
    let clock = TestClock::new();
    let never = MockService::new(&clock, |_: &u64| Reply::<u64, Fault>::never());
    let probe = never.probe();
    let mut lost = never.clone().layer(SpawnLayer::new(drop));
    let call = lost.ready().then(|service| service.unwrap().call(1));
    assert_eq!(futures::executor::block_on(call), Err(SpawnError::Lost));

    let tasks = Arc::new(std::sync::Mutex::new(Vec::new()));
    let queue = Arc::clone(&tasks);
    let mut service =
        never.layer(SpawnLayer::new(move |task| queue.lock().unwrap().push(Box::pin(task))));
    let call = futures::executor::block_on(service.ready()).unwrap().call(2);
    let mut task = tasks.lock().unwrap().pop().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(task.as_mut().poll(&mut cx).is_pending());
    drop(call);
    assert!(task.as_mut().poll(&mut cx).is_ready());
    assert_eq!(probe.cancelled(), 2);
}

// Layers over response streams.

#[test]
fn a_stream_layer_is_put_on_every_response() {
    let clock = TestClock::new();
    let service = tower::service_fn(|n: u64| {
        let (items, _) = Script::new(&clock).ok(n).wait(SECOND * 9).ok(n).build();
        future::ready(Ok::<_, Fault>(items.map_err(|error: Fault| error)))
    });
    let limit = layers::TimeoutLayer::idle(SECOND).with_timer(clock.clone());
    let mut service = ServiceBuilder::new().layer(ResponseStreamLayer::new(limit)).service(service);
    clock.block_on(async {
        let mut items = service.call(7).await.unwrap();
        assert_eq!(items.next().await.unwrap().unwrap(), 7);
        assert!(items.next().await.unwrap().unwrap_err().is_elapsed());
    });
}
