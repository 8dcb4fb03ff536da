//! The buffer of a service: the laws, tower's suite for its `Buffer`, and handles on threads.

mod support;

use std::cell::RefCell;
use std::error::Error;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt;
use futures::future::{join_all, poll_fn};
use tower::{ServiceExt, service_fn};
use tower_test::mock;
use ziggurat_patterns::buffer::CallError;
use ziggurat_patterns::service::{Buffer, BufferFuture, Worker};
use ziggurat_patterns::testing::laws::{self, Inner, Token};
use ziggurat_patterns::testing::{Fault, MockService, Reply, WakeProbe};
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::{Service, ServiceLayerExt};

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

// A handle that works its worker itself, for the laws.

type Response = <Inner as Service<Token>>::Future;
type Shared = Rc<RefCell<Pin<Box<Worker<Inner, Token>>>>>;

struct Driven {
    handle: Buffer<Token, Response, Fault>,
    worker: Shared,
    tasks: Arc<Tasks>,
}

/// Whoever has worked the worker. A wake of the worker is one of all of them.
#[derive(Default)]
struct Tasks(Mutex<Vec<Waker>>);

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap());
        tasks.into_iter().for_each(Waker::wake);
    }
}

fn work(worker: &Shared, tasks: &Arc<Tasks>, cx: &Context<'_>) {
    tasks.0.lock().unwrap().push(cx.waker().clone());
    let waker = Waker::from(Arc::clone(tasks));
    let _ = worker.borrow_mut().as_mut().poll(&mut Context::from_waker(&waker));
}

impl Driven {
    fn new(inner: Inner, bound: usize) -> Self {
        let (handle, worker) = inner.buffered(n(bound));
        Driven { handle, worker: Rc::new(RefCell::new(Box::pin(worker))), tasks: Arc::default() }
    }
}

impl Clone for Driven {
    fn clone(&self) -> Self {
        let (worker, tasks) = (Rc::clone(&self.worker), Arc::clone(&self.tasks));
        Driven { handle: self.handle.clone(), worker, tasks }
    }
}

impl Service<Token> for Driven {
    type Response = Token;
    type Error = CallError<Fault>;
    type Future = Pin<Box<dyn Future<Output = Result<Token, CallError<Fault>>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        work(&self.worker, &self.tasks, cx);
        self.handle.poll_ready(cx)
    }

    fn call(&mut self, request: Token) -> Self::Future {
        let mut call = Box::pin(self.handle.call(request));
        let (worker, tasks) = (Rc::clone(&self.worker), Arc::clone(&self.tasks));
        Box::pin(poll_fn(move |cx| {
            work(&worker, &tasks, cx);
            call.as_mut().poll(cx)
        }))
    }
}

#[test]
fn laws_of_the_service() {
    for bound in [1, 4] {
        laws::service("buffer", move |inner, _| Driven::new(inner, bound))
            .faults(|error| match error {
                CallError::Service(error) => Some(*error.get_ref()),
                error => error.clone().into_inner(),
            })
            .clones()
            .check();
    }
}

// tower's tests. Its queue is longer by the request that its worker has taken out: here that waits in the
// queue until the service is ready.

/// A future that is polled by hand.
struct Task<F> {
    future: Pin<Box<F>>,
    wakes: WakeProbe,
}

impl<F: Future> Task<F> {
    fn new(future: F) -> Self {
        Task { future: Box::pin(future), wakes: WakeProbe::new() }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        self.wakes.take();
        let waker = self.wakes.waker();
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn is_woken(&self) -> bool {
        self.wakes.clone().take()
    }
}

type Mock = mock::Mock<&'static str, &'static str>;
type MockFuture = mock::future::ResponseFuture<&'static str>;
type MockBuffer = Buffer<&'static str, MockFuture, tower::BoxError>;
type MockWorker = Task<Worker<Mock, &'static str>>;
type MockHandle = mock::Handle<&'static str, &'static str>;

fn mocked(bound: usize) -> (MockBuffer, MockWorker, MockHandle) {
    let (service, handle) = mock::pair();
    let (buffer, worker) = Buffer::pair(service, n(bound));
    (buffer, Task::new(worker), handle)
}

fn ready(service: &mut MockBuffer) -> Task<impl Future<Output = Result<(), MockError>>> {
    Task::new(poll_fn(|cx| service.poll_ready(cx)))
}

type MockError = CallError<tower::BoxError>;
type Call = Task<BufferFuture<&'static str, MockFuture, tower::BoxError>>;

fn call(service: &mut MockBuffer, request: &'static str) -> Call {
    assert!(matches!(ready(service).poll(), Poll::Ready(Ok(()))));
    Task::new(service.call(request))
}

fn answer(handle: &mut MockHandle, request: &str, response: &'static str) {
    let (got, send) = handle.next_request().now_or_never().unwrap().unwrap();
    assert_eq!(got, request);
    send.send_response(response);
}

#[track_caller]
fn assert_answer(call: &mut Call, response: &str) {
    match call.poll() {
        Poll::Ready(Ok(got)) => assert_eq!(got, response),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_closed<T: std::fmt::Debug>(polled: Poll<Result<T, MockError>>) {
    assert!(matches!(&polled, Poll::Ready(Err(error)) if error.is_closed()), "{polled:?}");
}

#[track_caller]
fn assert_failed<T: std::fmt::Debug>(polled: Poll<Result<T, MockError>>) {
    let Poll::Ready(Err(CallError::Service(error))) = polled else { panic!("{polled:?}") };
    assert_eq!(error.get_ref().to_string(), "foobar");
}

#[test]
fn req_and_res() {
    let (mut service, mut worker, mut handle) = mocked(10);
    let mut response = call(&mut service, "hello");
    assert!(worker.poll().is_pending());
    answer(&mut handle, "hello", "world");
    assert_answer(&mut response, "world");
}

#[test]
fn clears_canceled_requests() {
    let (mut service, mut worker, mut handle) = mocked(10);
    handle.allow(1);
    let mut first = call(&mut service, "hello");
    assert!(worker.poll().is_pending());
    let second = call(&mut service, "hello2");
    assert!(worker.poll().is_pending());
    let mut third = call(&mut service, "hello3");
    drop(second);
    answer(&mut handle, "hello", "world");
    assert_answer(&mut first, "world");
    handle.allow(1);
    assert!(worker.poll().is_pending());
    answer(&mut handle, "hello3", "world3");
    assert_answer(&mut third, "world3");
}

#[test]
fn a_cancelled_request_makes_room_and_is_dropped_at_once() {
    let clock = TestClock::new();
    let ledger = laws::Ledger::new();
    let (mut one, _worker) = Inner::echo(&clock).buffered(n(1));
    let mut other = one.clone();
    clock.block_on(one.ready()).unwrap();
    let first = one.call(ledger.token(1));
    let mut waits = Task::new(other.ready());
    assert!(waits.poll().is_pending());
    assert_eq!(ledger.alive(), 1);
    drop(first);
    assert_eq!(ledger.alive(), 0);
    assert!(waits.is_woken() && waits.poll().is_ready());
}

#[test]
fn when_inner_is_not_ready() {
    let (mut service, mut worker, mut handle) = mocked(10);
    handle.allow(0);
    let mut response = call(&mut service, "hello");
    assert!(worker.poll().is_pending() && response.poll().is_pending());
    assert!(pin!(handle.next_request()).now_or_never().is_none());
    handle.allow(1);
    assert!(worker.is_woken() && worker.poll().is_pending());
    answer(&mut handle, "hello", "world");
    assert!(response.is_woken());
    assert_answer(&mut response, "world");
}

#[test]
fn when_inner_fails() {
    let clock = TestClock::new();
    let inner = MockService::<u32, u32, Fault>::echo(&clock).ready_error(Fault(7));
    let (mut service, worker) = Buffer::pair(inner, n(10));
    clock.block_on(service.ready()).unwrap();
    let mut call = Task::new(service.call(1));
    clock.block_on(worker);
    let Poll::Ready(Err(error)) = call.poll() else { panic!("no error") };
    assert!(error.is_service());
    assert_eq!(error.to_string(), "the buffered service failed");
    assert_eq!(error.source().unwrap().downcast_ref(), Some(&Fault(7)));
}

#[test]
fn poll_ready_when_worker_is_dropped_early() {
    let (mut service, worker, _handle) = mocked(1);
    drop(worker);
    assert_closed(ready(&mut service).poll());
}

#[test]
fn response_future_when_worker_is_dropped_early() {
    let (mut service, worker, mut handle) = mocked(1);
    handle.allow(0);
    let mut response = call(&mut service, "hello");
    drop(worker);
    assert_closed(response.poll());
}

#[test]
fn a_call_after_the_end_fails() {
    let (mut service, worker, _handle) = mocked(1);
    assert!(ready(&mut service).poll().is_ready());
    drop(worker);
    assert_closed(Task::new(service.call("late")).poll());
}

#[test]
fn waits_for_channel_capacity() {
    let (mut service, mut worker, mut handle) = mocked(3);
    handle.allow(0);
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(call(&mut service, "hello"));
        assert!(worker.poll().is_pending());
    }
    let mut waits = Task::new(poll_fn(|cx| service.poll_ready(cx)));
    assert!(waits.poll().is_pending());
    handle.allow(1);
    assert!(worker.poll().is_pending());
    answer(&mut handle, "hello", "world");
    assert_answer(&mut calls[0], "world");
    assert!(waits.is_woken() && waits.poll().is_ready());
    drop(waits);
    calls.push(Task::new(service.call("hello")));
    handle.allow(3);
    assert!(worker.poll().is_pending());
    for call in &mut calls[1..] {
        answer(&mut handle, "hello", "world");
        assert_answer(call, "world");
    }
}

/// Two calls in the queue, and two handles that wait. `end` ends it.
fn waiters(end: impl FnOnce(MockWorker, MockHandle), check: impl Fn(Poll<Result<(), MockError>>)) {
    let (mut service, mut worker, mut handle) = mocked(2);
    handle.allow(0);
    assert!(worker.poll().is_pending());
    let mut first = call(&mut service, "hello");
    assert!(worker.is_woken(), "the worker should be woken by a request");
    assert!(worker.poll().is_pending());
    let mut second = call(&mut service, "world");
    assert!(first.poll().is_pending() && second.poll().is_pending());
    let (mut one, mut two) = (service.clone(), service.clone());
    let (mut one, mut two) = (ready(&mut one), ready(&mut two));
    assert!(one.poll().is_pending() && two.poll().is_pending());
    end(worker, handle);
    for call in [&mut first, &mut second] {
        assert!(call.is_woken());
        check(call.poll().map_ok(|_| ()));
    }
    assert!(one.is_woken() && two.is_woken());
    check(one.poll());
    check(two.poll());
}

#[test]
fn wakes_pending_waiters_on_close() {
    waiters(|worker, _handle| drop(worker), assert_closed);
}

#[test]
fn wakes_pending_waiters_on_failure() {
    let fail = |mut worker: MockWorker, mut handle: MockHandle| {
        handle.send_error("foobar");
        assert!(worker.poll().is_ready());
    };
    waiters(fail, assert_failed);
}

#[test]
fn doesnt_leak_permits() {
    let (mut one, mut worker, mut handle) = mocked(2);
    let (mut two, mut three) = (one.clone(), one.clone());
    for _ in 0..3 {
        assert!(ready(&mut one).poll().is_ready());
        assert!(ready(&mut two).poll().is_ready());
    }
    let mut waits = ready(&mut three);
    assert!(waits.poll().is_pending());
    let mut response = Task::new(one.call("hello"));
    handle.allow(1);
    assert!(worker.poll().is_pending());
    answer(&mut handle, "hello", "world");
    assert_answer(&mut response, "world");
    assert!(waits.is_woken() && waits.poll().is_ready());
}

#[test]
fn readiness_goes_to_the_next_in_line() {
    let (one, _worker, _handle) = mocked(1);
    let mut handles: Vec<_> = (0..4).map(|_| one.clone()).collect();
    let mut tasks: Vec<_> =
        handles.drain(..).map(|mut h| Task::new(poll_fn(move |cx| h.poll_ready(cx)))).collect();
    assert!(tasks[0].poll().is_ready());
    for task in &mut tasks[1..] {
        assert!(task.poll().is_pending());
    }
    drop(tasks.remove(1)); // gives up its place in the line
    drop(tasks.remove(0)); // gives its readiness back
    assert!(tasks[0].is_woken() && !tasks[1].is_woken());
    assert!(tasks[1].poll().is_pending(), "it may not overtake");
    assert!(tasks[0].poll().is_ready());
}

#[test]
fn the_worker_ends_with_the_last_handle_and_after_the_last_request() {
    let clock = TestClock::new();
    let inner = MockService::new(&clock, |n: &u32| Reply::<u32, Fault>::ok(n + 1));
    let (service, worker) = Buffer::pair(inner, n(4));
    let mut worker = Task::new(worker);
    assert!(worker.poll().is_pending());
    let mut call = Task::new(service.oneshot(1));
    assert!(call.poll().is_pending()); // and the handle is gone
    assert!(worker.is_woken() && worker.poll().is_ready());
    assert_eq!(call.poll().map(Result::unwrap), Poll::Ready(2));
}

#[test]
fn a_panic_of_the_service_ends_the_calls() {
    let broken = service_fn(|_: ()| -> std::future::Ready<Result<(), Fault>> { panic!("broken") });
    let (mut service, worker) = Buffer::pair(broken, n(1));
    service.ready().now_or_never().unwrap().unwrap();
    let mut call = Task::new(service.call(()));
    assert!(call.poll().is_pending());
    let work = std::panic::AssertUnwindSafe(|| worker.now_or_never());
    assert!(std::panic::catch_unwind(work).is_err());
    assert!(call.is_woken());
    assert!(matches!(call.poll(), Poll::Ready(Err(error)) if error.is_closed()));
}

/// Many callers, of which some go away, and one worker in a task of its own.
async fn callers<H: Future>(spawn: impl FnOnce(BoxWorker) -> H) {
    let double = service_fn(|n: u32| async move { Ok::<_, Fault>(n * 2) });
    let (service, worker) = Buffer::pair(double, n(3));
    let worker = spawn(Box::pin(worker));
    let calls = (0..500).map(|n| {
        let service = service.clone();
        async move {
            if n % 7 == 0 {
                let mut call = pin!(service.oneshot(n));
                let _ = futures::poll!(&mut call);
            } else {
                assert_eq!(service.oneshot(n).await.unwrap(), n * 2);
            }
        }
    });
    join_all(calls).await;
    drop(service);
    worker.await;
}

type BoxWorker = Pin<Box<dyn Future<Output = ()> + Send>>;

#[test]
fn under_every_executor() {
    support::with_every_spawner(|spawn| callers(move |worker| support::join(spawn, worker)));
}

#[test]
fn callers_on_threads() {
    let double = service_fn(|n: u32| async move { Ok::<_, Fault>(n * 2) });
    let (service, worker) = Buffer::pair(double, n(2));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mut service = service.clone();
            std::thread::spawn(move || {
                futures::executor::block_on(async {
                    for n in 0..1000 {
                        assert_eq!(service.ready().await.unwrap().call(n).await.unwrap(), n * 2);
                    }
                })
            })
        })
        .collect();
    drop(service);
    futures::executor::block_on(worker);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
