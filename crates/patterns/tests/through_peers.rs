//! What the peers test, on ours: tower's `call_all`, and `buffered` and `buffer_unordered` of futures.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use futures::channel::{mpsc, oneshot};
use futures::{FutureExt, Stream, StreamExt, future, stream};
use tower::{Service, ServiceExt};
use ziggurat_patterns::StreamLayerExt;

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn poll<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    stream.poll_next_unpin(&mut Context::from_waker(Waker::noop()))
}

// Ported: tower's `call_all`.

/// Is admitted to one call at a time by the test.
struct Gate {
    admit: Arc<AtomicUsize>,
}

impl Service<&'static str> for Gate {
    type Response = &'static str;
    type Error = Infallible;
    type Future = future::Ready<Result<&'static str, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.admit.load(Ordering::Relaxed) > 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, request: &'static str) -> Self::Future {
        self.admit.fetch_sub(1, Ordering::Relaxed);
        future::ready(Ok(request))
    }
}

#[test]
fn tower_call_all_ordered() {
    let admit = Arc::new(AtomicUsize::new(0));
    let admit_one = || admit.store(1, Ordering::Relaxed);
    let (sender, receiver) = mpsc::unbounded();
    let mut calls = receiver.through(Gate { admit: Arc::clone(&admit) }).ordered();
    assert_eq!(poll(&mut calls), Poll::Pending);
    sender.unbounded_send("one").unwrap();
    assert_eq!(poll(&mut calls), Poll::Pending);
    admit_one();
    assert_eq!(poll(&mut calls), Poll::Ready(Some(Ok("one"))));
    assert_eq!(poll(&mut calls), Poll::Pending);
    admit_one();
    sender.unbounded_send("two").unwrap();
    sender.unbounded_send("three").unwrap();
    assert_eq!(poll(&mut calls), Poll::Ready(Some(Ok("two"))));
    assert_eq!(poll(&mut calls), Poll::Pending);
    admit_one();
    assert_eq!(poll(&mut calls), Poll::Ready(Some(Ok("three"))));
    admit_one();
    assert_eq!(poll(&mut calls), Poll::Pending);
    drop(sender);
    assert_eq!(poll(&mut calls), Poll::Ready(None));
    // The service can be had back.
    let Gate { admit: same } = calls.into_parts().service;
    assert!(Arc::ptr_eq(&same, &admit));
}

#[test]
fn tower_call_all_unordered_and_pending() {
    let (mock, mut handle) = tower_test::mock::pair::<&'static str, &'static str>();
    let requests = stream::iter(["one", "two"]);
    let mut calls = requests.through(mock).concurrency(n(2)).unordered();
    assert!(poll(&mut calls).is_pending());
    let mut next = || handle.next_request().now_or_never().unwrap().unwrap();
    let ((one, first), (two, second)) = (next(), next());
    assert_eq!((one, two), ("one", "two"));
    second.send_response("resp 1");
    let Poll::Ready(Some(Ok("resp 1"))) = poll(&mut calls) else { panic!("not the second") };
    assert!(poll(&mut calls).is_pending());
    first.send_response("resp 2");
    let Poll::Ready(Some(Ok("resp 2"))) = poll(&mut calls) else { panic!("not the first") };
    assert!(matches!(poll(&mut calls), Poll::Ready(None)));
}

#[test]
fn tower_call_all_does_not_block_the_service() {
    use tower::{buffer::Buffer, limit::ConcurrencyLimit};
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mock, mut handle) = tower_test::mock::pair::<&'static str, &'static str>();
        let service = Buffer::new(ConcurrencyLimit::new(mock, 1), 1);
        let mut idle = stream::pending().through(service.clone()).release_idle().ordered();
        assert!(poll(&mut idle).is_pending());
        let call = tokio::spawn(service.oneshot("req"));
        let (request, respond) = handle.next_request().await.unwrap();
        assert_eq!(request, "req");
        respond.send_response("res");
        assert_eq!(call.await.unwrap().unwrap(), "res");
    });
}

// Ported: futures' `buffer_unordered` and `buffered`.

#[test]
fn futures_buffer_unordered_works_across_threads() {
    const N: usize = 4;
    let (mut sender, receiver) = mpsc::channel(1);
    let (sent, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..=N {
            let (answer, future) = oneshot::channel::<usize>();
            futures::executor::block_on(futures::SinkExt::send(&mut sender, future)).unwrap();
            sent.send(answer).unwrap();
        }
    });
    let answers = std::thread::spawn(move || {
        // One more comes only when one of the first has gone out.
        let first: Vec<_> = (0..N).map(|_| waiting.recv().unwrap()).collect();
        for (index, answer) in first.into_iter().enumerate().rev() {
            answer.send(index).unwrap();
        }
        waiting.recv().unwrap().send(N).unwrap();
    });
    let wait = tower::service_fn(|future: oneshot::Receiver<usize>| future);
    let calls = receiver.through(wait).concurrency(n(N)).unordered();
    let mut got: Vec<_> = futures::executor::block_on_stream(calls).map(Result::unwrap).collect();
    answers.join().unwrap();
    got.sort_unstable();
    assert_eq!(got, (0..=N).collect::<Vec<_>>());
}

#[test]
fn futures_buffered_keeps_the_order_of_answers_that_come_backwards() {
    let (answers, futures): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel::<u32>()).unzip();
    let wait = tower::service_fn(|future: oneshot::Receiver<u32>| future);
    let mut calls = stream::iter(futures).through(wait).concurrency(n(3)).ordered();
    assert!(poll(&mut calls).is_pending());
    for (index, answer) in answers.into_iter().enumerate().rev() {
        assert!(poll(&mut calls).is_pending());
        answer.send(u32::try_from(index).unwrap()).unwrap();
    }
    for index in 0..3 {
        assert_eq!(poll(&mut calls), Poll::Ready(Some(Ok(index))));
    }
    assert_eq!(poll(&mut calls), Poll::Ready(None));
}
