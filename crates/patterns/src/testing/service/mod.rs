//! A service that answers as a test says, and remembers how it was used.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tower_service::Service;

use super::Fault;
use crate::time::{TestClock, TestSleep, Timer};

mod probe;

use probe::Log;
pub use probe::ServiceProbe;

/// What a [`MockService`] answers to a call, and when.
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::testing::{Fault, Reply};
///
/// let quick: Reply<u32, Fault> = Reply::ok(1);
/// let slow: Reply<u32, Fault> = Reply::err(Fault(1)).after(Duration::from_secs(5));
/// let lost: Reply<u32, Fault> = Reply::never();
/// # let _ = (quick, slow, lost);
/// ```
#[derive(Debug, Clone)]
pub struct Reply<Response, Error> {
    /// `None` never comes.
    result: Option<Result<Response, Error>>,
    after: Duration,
}

impl<Response, Error> Reply<Response, Error> {
    /// A success, at once.
    pub fn ok(response: Response) -> Self {
        Reply { result: Some(Ok(response)), after: Duration::ZERO }
    }

    /// An error, at once.
    pub fn err(error: Error) -> Self {
        Reply { result: Some(Err(error)), after: Duration::ZERO }
    }

    /// No answer, ever, and no wake.
    pub fn never() -> Self {
        Reply { result: None, after: Duration::ZERO }
    }

    /// The same answer, but `duration` of virtual time after the first poll of the response future.
    pub fn after(mut self, duration: Duration) -> Self {
        self.after = duration;
        self
    }
}

type Handler<Request, Response, Error> = Box<dyn FnMut(&Request) -> Reply<Response, Error> + Send>;

/// A service that answers as a test says. Clones are handles to the same service.
///
/// It is as strict as a service may be, so that layers that work by luck fail on it: a clone is not
/// ready, and readiness takes up a place of the [`capacity`](Self::capacity) until the call has ended or
/// the clone is dropped.
///
/// # Panics
///
/// When `call` comes without a preceding `Ready(Ok(()))` of this very clone, and when its futures are
/// polled after they have completed.
///
/// ```
/// use std::time::Duration;
/// use tower::ServiceExt;
/// use ziggurat_patterns::testing::{Fault, MockService, Reply};
/// use ziggurat_patterns::time::TestClock;
///
/// let clock = TestClock::new();
/// let second = Duration::from_secs(1);
/// let double = MockService::new(&clock, move |n: &u32| Reply::<_, Fault>::ok(n * 2).after(second));
/// let probe = double.probe();
/// assert_eq!(clock.block_on(double.oneshot(21)), Ok(42));
/// assert_eq!(clock.elapsed(), second);
/// assert_eq!(probe.requests(), [21]);
/// ```
pub struct MockService<Request, Response, Error> {
    clock: TestClock,
    shared: Arc<Shared<Request, Response, Error>>,
    not_ready: usize,
    ready_error: Option<Error>,
    /// `Pending`s still to come before this clone is ready.
    pendings: usize,
    /// This clone's key among those that wait for a place.
    id: u64,
    ready: bool,
}

struct Shared<Request, Response, Error> {
    handler: Mutex<Handler<Request, Response, Error>>,
    log: Arc<Log<Request>>,
}

impl<Request, Response, Error> MockService<Request, Response, Error> {
    /// A service that asks `handler` for its answer to each call.
    pub fn new<H>(clock: &TestClock, handler: H) -> Self
    where
        H: FnMut(&Request) -> Reply<Response, Error> + Send + 'static,
    {
        let handler = Mutex::new(Box::new(handler) as Handler<_, _, _>);
        let shared = Arc::new(Shared { handler, log: Arc::new(Log::new()) });
        let clock = clock.clone();
        MockService {
            clock,
            shared,
            not_ready: 0,
            ready_error: None,
            pendings: 0,
            id: 0,
            ready: false,
        }
    }

    /// A service that answers its calls with `replies`, in their order.
    ///
    /// # Panics
    ///
    /// When there are more calls than replies.
    pub fn replies(
        clock: &TestClock,
        replies: impl IntoIterator<Item = Reply<Response, Error>>,
    ) -> Self
    where
        Response: Send + 'static,
        Error: Send + 'static,
    {
        let mut replies: VecDeque<_> = replies.into_iter().collect();
        Self::new(clock, move |_| replies.pop_front().expect("the mock has a reply left"))
    }

    /// Makes `poll_ready` return `Pending` `times` times, each with a wake, before each readiness.
    pub fn not_ready(mut self, times: usize) -> Self {
        self.not_ready = times;
        self.pendings = times;
        self
    }

    /// Makes `poll_ready` fail, now and for ever, as that of a dead connection does.
    pub fn ready_error(mut self, error: Error) -> Self {
        self.ready_error = Some(error);
        self
    }

    /// Makes it be not ready while `calls` clones are ready or have a call in flight. Who waits is woken
    /// when a place becomes free.
    pub fn capacity(self, calls: usize) -> Self {
        self.shared.log.state().capacity = calls;
        self
    }

    /// What looks at this service and its clones.
    pub fn probe(&self) -> ServiceProbe<Request> {
        ServiceProbe::new(&self.shared.log)
    }
}

impl<T: Clone> MockService<T, T, Fault> {
    /// A service that answers each request with a copy of it, at once.
    pub fn echo(clock: &TestClock) -> Self {
        Self::new(clock, |request: &T| Reply::ok(request.clone()))
    }
}

impl<Request, Response, Error: Clone> Clone for MockService<Request, Response, Error> {
    /// Another handle, which is not ready.
    fn clone(&self) -> Self {
        MockService {
            clock: self.clock.clone(),
            shared: Arc::clone(&self.shared),
            not_ready: self.not_ready,
            ready_error: self.ready_error.clone(),
            pendings: self.not_ready,
            id: self.shared.log.next_id(),
            ready: false,
        }
    }
}

impl<Request, Response, Error: Clone> Service<Request> for MockService<Request, Response, Error> {
    type Response = Response;
    type Error = Error;
    type Future = MockFuture<Request, Response, Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.log.state().poll_readies += 1;
        if let Some(error) = &self.ready_error {
            return Poll::Ready(Err(error.clone()));
        }
        if self.ready {
            return Poll::Ready(Ok(()));
        }
        if self.pendings > 0 {
            self.pendings -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready = self.shared.log.reserve(self.id, cx.waker());
        if self.ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, request: Request) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "the mock service was called without `Ready` from `poll_ready` of this clone"
        );
        self.pendings = self.not_ready;
        let mut handler =
            self.shared.handler.try_lock().expect("the handler does not call its own service");
        let Reply { result, after } = handler(&request);
        drop(handler);
        let mut state = self.shared.log.state();
        state.requests.push(request);
        state.calls += 1;
        state.reserved -= 1;
        state.in_flight += 1;
        state.max_in_flight = state.max_in_flight.max(state.in_flight);
        drop(state);
        MockFuture {
            clock: self.clock.clone(),
            log: Arc::clone(&self.shared.log),
            result,
            after,
            sleep: None,
            done: false,
        }
    }
}

impl<Request, Response, Error> Drop for MockService<Request, Response, Error> {
    fn drop(&mut self) {
        self.shared.log.forget(self.id);
        if self.ready {
            self.shared.log.release(|state| state.reserved -= 1);
        }
    }
}

impl<Request, Response, Error> fmt::Debug for MockService<Request, Response, Error> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockService").field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// The response future of [`MockService`].
#[must_use = "futures do nothing unless polled"]
pub struct MockFuture<Request, Response, Error> {
    clock: TestClock,
    log: Arc<Log<Request>>,
    result: Option<Result<Response, Error>>,
    after: Duration,
    sleep: Option<TestSleep>,
    done: bool,
}

/// Nothing in it is pinned.
impl<Request, Response, Error> Unpin for MockFuture<Request, Response, Error> {}

impl<Request, Response, Error> Future for MockFuture<Request, Response, Error> {
    type Output = Result<Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(!this.done, "the mock's future was polled again after it had completed");
        if this.result.is_none() {
            return Poll::Pending;
        }
        if !this.after.is_zero() {
            let (clock, after) = (&this.clock, this.after);
            let sleep = this.sleep.get_or_insert_with(|| clock.sleep(after));
            ready!(Pin::new(sleep).poll(cx));
            this.sleep = None;
        }
        this.done = true;
        this.log.release(|state| {
            state.in_flight -= 1;
            state.completed += 1;
        });
        Poll::Ready(this.result.take().expect("looked at above"))
    }
}

impl<Request, Response, Error> Drop for MockFuture<Request, Response, Error> {
    fn drop(&mut self) {
        if !self.done {
            self.log.release(|state| {
                state.in_flight -= 1;
                state.cancelled += 1;
            });
        }
    }
}

impl<Request, Response, Error> fmt::Debug for MockFuture<Request, Response, Error> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockFuture").field("done", &self.done).finish_non_exhaustive()
    }
}
