//! Buffers before a service, which make one service of many handles.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::requests::{End, Requests, Work};
use super::{CallError, Closed, POLLS, ServiceError};

/// A handle to a service that a [`Worker`] owns. Clones are handles to the same service, though that
/// need not be `Clone` itself.
///
/// At most `bound` requests wait for the worker. `poll_ready` reserves room for one, in the order in
/// which the handles came; a handle that is dropped gives its room back. As in tower, a handle that is
/// kept and not used keeps it: take a `bound` no less than the number of handles that are used at a
/// time. The responses run where the calls are awaited; only the `call` itself is made by the worker.
///
/// # Cancel safety
///
/// A call that is dropped takes its request out of the queue, if the worker has not called yet, or
/// cancels the response else.
///
/// # Panics
///
/// When `call` comes without a `Ready(Ok(()))` of `poll_ready` of this very handle.
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::future::{join, try_join};
/// use tower::{ServiceExt, service_fn};
/// use ziggurat_patterns::service::Buffer;
///
/// # futures::executor::block_on(async {
/// let double = service_fn(|n: u32| async move { Ok::<_, std::io::Error>(n * 2) });
/// let (service, worker) = Buffer::pair(double, NonZeroUsize::new(16).unwrap());
/// // Usually the worker is spawned; it ends with the last handle.
/// let calls = try_join(service.clone().oneshot(1), service.oneshot(2));
/// let (answers, ()) = join(calls, worker).await;
/// assert_eq!(answers.unwrap(), (2, 4));
/// # });
/// ```
pub struct Buffer<Request, F, E> {
    shared: Arc<Requests<Request, F, E>>,
    ready: bool,
    /// Its number among those that wait for room.
    waiting: Option<u64>,
}

/// A handle to a service, and the worker that owns it.
pub type BufferPair<S, Request> = (
    Buffer<Request, <S as Service<Request>>::Future, <S as Service<Request>>::Error>,
    Worker<S, Request>,
);

impl<Request, F, E> Buffer<Request, F, E> {
    /// A handle to `service`, and the worker that owns it: spawn that on any executor. At most `bound`
    /// requests wait for it.
    pub fn pair<S>(service: S, bound: NonZeroUsize) -> BufferPair<S, Request>
    where
        S: Service<Request, Future = F, Error = E>,
    {
        let shared = Arc::new(Requests::new(bound));
        let closer = Closer { shared: Arc::clone(&shared) };
        let handle = Buffer { shared, ready: false, waiting: None };
        (handle, Worker { service, closer, done: false })
    }

    /// Whether the worker is gone, or its service has failed.
    pub fn is_closed(&self) -> bool {
        self.shared.end().is_some()
    }
}

impl<Request, F, E> Clone for Buffer<Request, F, E> {
    /// Another handle, which is not ready.
    fn clone(&self) -> Self {
        self.shared.add_handle();
        Buffer { shared: Arc::clone(&self.shared), ready: false, waiting: None }
    }
}

impl<Request, F, E> Drop for Buffer<Request, F, E> {
    fn drop(&mut self) {
        self.shared.drop_handle(self.waiting, self.ready);
    }
}

impl<E> From<End<E>> for CallError<E> {
    fn from(end: End<E>) -> Self {
        match end {
            End::Failed(error) => CallError::Service(error),
            End::Closed => CallError::Closed(Closed),
        }
    }
}

impl<Request, Response, F, E> Service<Request> for Buffer<Request, F, E>
where
    F: Future<Output = Result<Response, E>>,
{
    type Response = Response;
    type Error = CallError<E>;
    type Future = BufferFuture<Request, F, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.ready {
            return match self.shared.end() {
                Some(end) => Poll::Ready(Err(end.into())),
                None => Poll::Ready(Ok(())),
            };
        }
        ready!(self.shared.poll_reserve(&mut self.waiting, cx))?;
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let ready = std::mem::take(&mut self.ready);
        assert!(ready, "a buffered service was called without `Ready` from its `poll_ready`");
        let state = match self.shared.call(request) {
            Ok(index) => {
                let ticket = Ticket { shared: Arc::clone(&self.shared), index: Some(index) };
                Call::Waiting { ticket }
            }
            Err(end) => Call::Failed { end: Some(end) },
        };
        BufferFuture { state }
    }
}

impl<Request, F, E> fmt::Debug for Buffer<Request, F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// A call whose response has not come. Cancels it when it is dropped.
struct Ticket<Request, F, E> {
    shared: Arc<Requests<Request, F, E>>,
    index: Option<usize>,
}

impl<Request, F, E> Drop for Ticket<Request, F, E> {
    fn drop(&mut self) {
        if let Some(index) = self.index {
            self.shared.cancel(index);
        }
    }
}

pin_project! {
    /// The response of [`Buffer`].
    #[must_use = "futures do nothing unless polled"]
    pub struct BufferFuture<Request, F, E> {
        #[pin]
        state: Call<Request, F, E>,
    }
}

pin_project! {
    #[project = CallProj]
    enum Call<Request, F, E> {
        Failed { end: Option<End<E>> },
        Waiting { ticket: Ticket<Request, F, E> },
        Running { #[pin] response: F },
    }
}

impl<Request, Response, F, E> Future for BufferFuture<Request, F, E>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = Result<Response, CallError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                CallProj::Running { response } => {
                    return response.poll(cx).map_err(CallError::Inner);
                }
                CallProj::Failed { end } => {
                    let end = end.take().expect("the call was polled after it had failed");
                    return Poll::Ready(Err(end.into()));
                }
                CallProj::Waiting { ticket } => {
                    let index = ticket.index.expect("it is taken only below");
                    let response = ready!(ticket.shared.poll_response(index, cx));
                    // The slot is free now.
                    ticket.index = None;
                    state.set(match response {
                        Ok(response) => Call::Running { response },
                        Err(end) => Call::Failed { end: Some(end) },
                    });
                }
            }
        }
    }
}

impl<Request, F, E> fmt::Debug for BufferFuture<Request, F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferFuture").finish_non_exhaustive()
    }
}

/// Ends the buffer when it is dropped.
struct Closer<Request, F, E> {
    shared: Arc<Requests<Request, F, E>>,
}

impl<Request, F, E> Drop for Closer<Request, F, E> {
    fn drop(&mut self) {
        self.shared.close(End::Closed);
    }
}

pin_project! {
    /// The future that owns a buffered service and makes its calls. Made by [`Buffer::pair`].
    ///
    /// It asks the service for readiness when there is a request, and calls it with the oldest one. It
    /// completes when all handles are dropped and no request is left, or when the service has failed. At
    /// most 128 calls are made before others may run.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it ends all calls that it has not made with [`Closed`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Worker<S: Service<Request>, Request> {
        service: S,
        closer: Closer<Request, S::Future, S::Error>,
        done: bool,
    }
}

impl<S: Service<Request>, Request> Worker<S, Request> {
    /// The service. Calls that were not made end with [`Closed`].
    pub fn into_inner(self) -> S {
        self.service
    }

    /// The service.
    pub fn get_ref(&self) -> &S {
        &self.service
    }
}

impl<S: Service<Request>, Request> Future for Worker<S, Request> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if *this.done {
            return Poll::Ready(());
        }
        let shared = &this.closer.shared;
        let mut work = shared.work();
        for _ in 0..POLLS {
            if let Work::Wait = work {
                work = shared.wait(false, cx);
            }
            match work {
                Work::Some => {}
                Work::Wait => return Poll::Pending,
                Work::Over => {
                    *this.done = true;
                    shared.close(End::Closed);
                    return Poll::Ready(());
                }
            }
            match this.service.poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    *this.done = true;
                    shared.close(End::Failed(ServiceError::new(error)));
                    return Poll::Ready(());
                }
                Poll::Pending => match shared.wait(true, cx) {
                    // All of its requests were cancelled, and no handle is left.
                    Work::Over => {
                        work = Work::Over;
                        continue;
                    }
                    Work::Some | Work::Wait => return Poll::Pending,
                },
            }
            work = match shared.take() {
                Some((index, request)) => shared.answer(index, this.service.call(request)),
                None => shared.work(),
            };
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: Service<Request> + fmt::Debug, Request> fmt::Debug for Worker<S, Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("service", &self.service).finish_non_exhaustive()
    }
}
