//! Services that all get a request, of which the first that succeeds answers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_service::Service;

use super::{FirstOkError, NoServices};

/// Sends each request to all services at the same time, and answers with the first success.
///
/// The calls of the others are dropped then. If there is no success there is one error, with those of all
/// services in it. It becomes ready when each service is, or has said that it never will be; such a
/// service gets no request, its error counts as that of its call, and it is asked again next time. If
/// none is left, that is the error of `poll_ready`.
///
/// To ask the next service when the one before it has failed, use a [`Fallback`](super::Fallback); when
/// that takes long, a hedge.
///
/// The futures of a call are boxed, one allocation each, so that they need not be `Unpin`. They get the
/// task's own waker, and all are polled when one of them wakes it: it is meant for a handful of services.
///
/// ```
/// use tower::{ServiceExt, service_fn};
/// use ziggurat_patterns::{Service, service::FirstOk};
///
/// # futures::executor::block_on(async {
/// let resolver = |answer: Result<u32, &'static str>| {
///     service_fn(move |_: &'static str| async move { answer })
/// };
/// let mut dns = FirstOk::new([resolver(Err("timed out")), resolver(Ok(7))]).unwrap();
/// assert_eq!(dns.ready().await.unwrap().call("example.org").await, Ok(7));
///
/// let mut dns = FirstOk::new([resolver(Err("timed out")), resolver(Err("no such name"))]).unwrap();
/// let error = dns.ready().await.unwrap().call("example.org").await.unwrap_err();
/// assert_eq!(error.errors, ["timed out", "no such name"]);
/// # });
/// ```
///
/// # Cancel safety
///
/// Dropping the future of a call drops the calls of all services.
pub struct FirstOk<S, E> {
    services: Vec<S>,
    readiness: Vec<Readiness<E>>,
}

#[derive(Debug)]
enum Readiness<E> {
    Unknown,
    Ready,
    Failed(E),
}

impl<S, E> FirstOk<S, E> {
    /// All of `services` are to get each request.
    ///
    /// # Errors
    ///
    /// [`NoServices`] if there is none.
    pub fn new(services: impl IntoIterator<Item = S>) -> Result<Self, NoServices> {
        let services: Vec<_> = services.into_iter().collect();
        if services.is_empty() { Err(NoServices) } else { Ok(Self::of(services)) }
    }

    fn of(services: Vec<S>) -> Self {
        let readiness = services.iter().map(|_| Readiness::Unknown).collect();
        FirstOk { services, readiness }
    }

    /// The services.
    pub fn services(&self) -> &[S] {
        &self.services
    }

    /// The services.
    pub fn into_inner(self) -> Vec<S> {
        self.services
    }
}

impl<S, Request> Service<Request> for FirstOk<S, S::Error>
where
    S: Service<Request>,
    Request: Clone,
{
    type Response = S::Response;
    type Error = FirstOkError<S::Error>;
    type Future = FirstOkFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let (mut waits, mut any) = (false, false);
        for (service, readiness) in self.services.iter_mut().zip(&mut self.readiness) {
            if let Readiness::Unknown = readiness {
                match service.poll_ready(cx) {
                    Poll::Ready(Ok(())) => *readiness = Readiness::Ready,
                    Poll::Ready(Err(error)) => *readiness = Readiness::Failed(error),
                    Poll::Pending => waits = true,
                }
            }
            any |= matches!(readiness, Readiness::Ready);
        }
        if waits {
            return Poll::Pending;
        }
        if any {
            return Poll::Ready(Ok(()));
        }
        let errors = self.readiness.iter_mut().filter_map(|readiness| {
            match std::mem::replace(readiness, Readiness::Unknown) {
                Readiness::Failed(error) => Some(error),
                Readiness::Unknown | Readiness::Ready => None,
            }
        });
        Poll::Ready(Err(FirstOkError { errors: errors.collect() }))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The last one to be called gets the request itself, the others get clones.
        let failed = |readiness: &Readiness<_>| matches!(readiness, Readiness::Failed(_));
        let last = self.readiness.iter().rposition(|readiness| !failed(readiness));
        let mut request = Some(request);
        let calls = self.services.iter_mut().zip(&mut self.readiness).enumerate();
        let calls = calls.filter_map(|(index, (service, readiness))| {
            if let Readiness::Failed(error) = std::mem::replace(readiness, Readiness::Unknown) {
                return Some(Call::Failed(error));
            }
            let own = if Some(index) == last { request.take() } else { request.clone() };
            own.map(|request| Call::Runs(Box::pin(service.call(request))))
        });
        FirstOkFuture { calls: calls.collect() }
    }
}

impl<S: Clone, E> Clone for FirstOk<S, E> {
    /// None of the clone's services is ready.
    fn clone(&self) -> Self {
        Self::of(self.services.clone())
    }
}

impl<S: fmt::Debug, E> fmt::Debug for FirstOk<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstOk").field("services", &self.services).finish_non_exhaustive()
    }
}

/// The future of [`FirstOk`].
#[must_use = "futures do nothing unless polled"]
pub struct FirstOkFuture<F, E> {
    /// Of those services that were called or have failed. Empty when it has completed.
    calls: Vec<Call<F, E>>,
}

enum Call<F, E> {
    Runs(Pin<Box<F>>),
    Failed(E),
}

/// Errors are moved, never pinned, and the futures are boxed.
impl<F, E> Unpin for FirstOkFuture<F, E> {}

impl<F, Response, E> Future for FirstOkFuture<F, E>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = Result<Response, FirstOkError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waits = false;
        for call in &mut self.calls {
            let Call::Runs(future) = call else { continue };
            match future.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) => {
                    self.calls.clear();
                    return Poll::Ready(Ok(response));
                }
                Poll::Ready(Err(error)) => *call = Call::Failed(error),
                Poll::Pending => waits = true,
            }
        }
        if waits {
            return Poll::Pending;
        }
        let calls = std::mem::take(&mut self.calls).into_iter();
        let errors = calls.filter_map(|call| match call {
            Call::Failed(error) => Some(error),
            Call::Runs(_) => None,
        });
        Poll::Ready(Err(FirstOkError { errors: errors.collect() }))
    }
}

impl<F, E> fmt::Debug for FirstOkFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstOkFuture").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}
