//! Services that are asked one after the other, until one succeeds.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{FirstOkError, NoServices};

/// Sends each request to the first service, and to the next one when that fails.
///
/// The services after the one that answers see nothing of a request. If all fail there is one error, with
/// those of all services in it. An error of readiness counts as one of the call.
///
/// It is ready when the first service is, or the first of those after it if that says that it never will
/// be. The others are asked in the future of the call, when it is their turn; for that it takes a clone
/// of each of them. So a fallback may have limits of its own, and who waits for it holds up nobody else.
///
/// [`FirstOk`](super::FirstOk) asks all of them at the same time; a hedge asks the second one when the
/// first takes long.
///
/// ```
/// use tower::{ServiceExt, service_fn};
/// use ziggurat_patterns::{Service, service::Fallback};
///
/// # futures::executor::block_on(async {
/// let replica = |answer: Result<u32, &'static str>| {
///     service_fn(move |_: &'static str| async move { answer })
/// };
/// let replicas = [replica(Err("down")), replica(Ok(7)), replica(Ok(8))];
/// let mut store = Fallback::new(replicas).unwrap();
/// assert_eq!(store.ready().await.unwrap().call("key").await, Ok(7));
///
/// let store = Fallback::new([replica(Err("down")), replica(Err("no such key"))]).unwrap();
/// assert_eq!(store.oneshot("key").await.unwrap_err().errors, ["down", "no such key"]);
/// # });
/// ```
///
/// # Cancel safety
///
/// Dropping the future of a call drops the call that goes on; the services after that one are not asked.
pub struct Fallback<S, E> {
    services: Vec<S>,
    /// Of the first services, which have said that they never will be ready.
    failed: Vec<E>,
    is_ready: bool,
}

impl<S, E> Fallback<S, E> {
    /// Services in the order in which they are to be asked.
    ///
    /// # Errors
    ///
    /// [`NoServices`] if there is none.
    pub fn new(services: impl IntoIterator<Item = S>) -> Result<Self, NoServices> {
        let services: Vec<_> = services.into_iter().collect();
        if services.is_empty() { Err(NoServices) } else { Ok(Self::of(services)) }
    }

    fn of(services: Vec<S>) -> Self {
        Fallback { services, failed: Vec::new(), is_ready: false }
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

impl<S, Request> Service<Request> for Fallback<S, S::Error>
where
    S: Service<Request> + Clone,
    Request: Clone,
{
    type Response = S::Response;
    type Error = FirstOkError<S::Error>;
    type Future = FallbackFuture<S, Request>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        while !self.is_ready {
            let Some(service) = self.services.get_mut(self.failed.len()) else {
                let errors = std::mem::take(&mut self.failed);
                return Poll::Ready(Err(FirstOkError { errors }));
            };
            match ready!(service.poll_ready(cx)) {
                Ok(()) => self.is_ready = true,
                Err(error) => self.failed.push(error),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// # Panics
    ///
    /// If `poll_ready` has not returned `Ready(Ok(()))` before.
    fn call(&mut self, request: Request) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "`poll_ready` must be called first");
        let errors = std::mem::take(&mut self.failed);
        let (service, rest) = self.services[errors.len()..].split_first_mut().expect("it is ready");
        let rest: Vec<S> = rest.to_vec();
        let rest = rest.into_iter();
        let kept = (!rest.as_slice().is_empty()).then(|| request.clone());
        FallbackFuture {
            errors,
            rest,
            request: kept,
            state: State::Call { future: service.call(request) },
        }
    }
}

impl<S: Clone, E> Clone for Fallback<S, E> {
    /// None of the clone's services is ready.
    fn clone(&self) -> Self {
        Self::of(self.services.clone())
    }
}

impl<S: fmt::Debug, E> fmt::Debug for Fallback<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("services", &self.services).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Fallback`].
    #[must_use = "futures do nothing unless polled"]
    pub struct FallbackFuture<S: Service<Request>, Request> {
        #[pin]
        state: State<S, S::Future>,
        // For those that have not been asked. There is one as long as there are such.
        request: Option<Request>,
        rest: std::vec::IntoIter<S>,
        errors: Vec<S::Error>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F> {
        Call { #[pin] future: F },
        Ready { service: S },
        Done,
    }
}

impl<S, Request> Future for FallbackFuture<S, Request>
where
    S: Service<Request>,
    Request: Clone,
{
    type Output = Result<S::Response, FirstOkError<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let error = match this.state.as_mut().project() {
                StateProj::Call { future } => match ready!(future.poll(cx)) {
                    Ok(response) => {
                        this.state.set(State::Done);
                        *this.request = None;
                        *this.rest = Vec::new().into_iter();
                        return Poll::Ready(Ok(response));
                    }
                    Err(error) => error,
                },
                StateProj::Ready { service } => match ready!(service.poll_ready(cx)) {
                    Ok(()) => {
                        let is_last = this.rest.as_slice().is_empty();
                        let own = if is_last { this.request.take() } else { this.request.clone() };
                        let future = service.call(own.expect("somebody is to be asked"));
                        this.state.set(State::Call { future });
                        continue;
                    }
                    Err(error) => error,
                },
                StateProj::Done => panic!("the future was polled again after it had completed"),
            };
            this.errors.push(error);
            let Some(service) = this.rest.next() else {
                this.state.set(State::Done);
                *this.request = None;
                let errors = std::mem::take(this.errors);
                return Poll::Ready(Err(FirstOkError { errors }));
            };
            this.state.set(State::Ready { service });
        }
    }
}

impl<S: Service<Request>, Request> fmt::Debug for FallbackFuture<S, Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackFuture")
            .field("failed", &self.errors.len())
            .field("left", &self.rest.len())
            .finish_non_exhaustive()
    }
}
