//! Services among which each request chooses.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::SteerError;

/// Sends each request to the service that a picker chooses for it.
///
/// It is ready when all services are, as it cannot know where the next request goes: one that is not
/// ready holds up all. Give those services a buffer, or shed their load, where that matters. All are
/// asked to become ready at the same time, and a service that is ready is not asked again before it is
/// called; those that are not chosen keep their readiness for the next request, until the `Steer` is
/// dropped.
///
/// It differs from `tower::steer` in three points: services become ready side by side and not one after
/// the other; a picker that names a service that does not exist gets an error and not a panic; and a
/// clone asks its own services for readiness, which tower's takes over from the original.
///
/// ```
/// use tower::{ServiceExt, service_fn};
/// use ziggurat_patterns::service::Steer;
///
/// # futures::executor::block_on(async {
/// let shard = |name: &'static str| service_fn(move |key: u64| async move {
///     Ok::<_, std::io::Error>(format!("{key} from {name}"))
/// });
/// let mut shards = Steer::new([shard("a"), shard("b")], |key: &u64, all| *key as usize % all.len());
/// assert_eq!(shards.ready().await.unwrap().call(7).await.unwrap(), "7 from b");
/// # use tower::Service;
/// # });
/// ```
pub struct Steer<S, F> {
    services: Vec<S>,
    picker: F,
    /// Those to be asked before the next call, in any order.
    not_ready: Vec<usize>,
}

impl<S, F> Steer<S, F> {
    /// `picker` says which service is to have a request, as its number in the order of `services`.
    pub fn new<Request>(services: impl IntoIterator<Item = S>, picker: F) -> Self
    where
        F: FnMut(&Request, &[S]) -> usize,
    {
        Self::of(services.into_iter().collect(), picker)
    }

    fn of(services: Vec<S>, picker: F) -> Self {
        let not_ready = (0..services.len()).collect();
        Steer { services, picker, not_ready }
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

impl<S, F, Request> Service<Request> for Steer<S, F>
where
    S: Service<Request>,
    F: FnMut(&Request, &[S]) -> usize,
{
    type Response = S::Response;
    type Error = SteerError<S::Error>;
    type Future = SteerFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let mut waiting = 0;
        while let Some(&index) = self.not_ready.get(waiting) {
            match self.services[index].poll_ready(cx) {
                Poll::Ready(Ok(())) => _ = self.not_ready.swap_remove(waiting),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(SteerError::Inner(error))),
                Poll::Pending => waiting += 1,
            }
        }
        if waiting == 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let index = (self.picker)(&request, &self.services);
        let services = self.services.len();
        match self.services.get_mut(index) {
            Some(service) => {
                self.not_ready.push(index);
                SteerFuture { state: State::Called { future: service.call(request) } }
            }
            None => SteerFuture { state: State::Lost { index, services } },
        }
    }
}

impl<S: Clone, F: Clone> Clone for Steer<S, F> {
    /// None of the clone's services is ready.
    fn clone(&self) -> Self {
        Self::of(self.services.clone(), self.picker.clone())
    }
}

impl<S: fmt::Debug, F> fmt::Debug for Steer<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steer").field("services", &self.services).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Steer`].
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct SteerFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Called { #[pin] future: F },
        Lost { index: usize, services: usize },
    }
}

impl<F, Response, E> Future for SteerFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = Result<Response, SteerError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Called { future } => future.poll(cx).map_err(SteerError::Inner),
            StateProj::Lost { index, services } => {
                let (index, services) = (*index, *services);
                Poll::Ready(Err(SteerError::NoSuchService { index, services }))
            }
        }
    }
}
