//! Bulkheads: concurrency limits with a bounded queue.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use super::permits::Refused;
use super::{Acquire, BulkheadError, Closed, Permit, Semaphore};

/// Wraps services in [`Bulkhead`]. All services that it makes share one limit and one queue.
///
/// The pattern is from Michael Nygard's "Release It!"; the parameters are those of Hystrix and
/// resilience4j.
///
/// ```
/// use std::{num::NonZeroUsize, time::Duration};
/// use tower::{ServiceExt, service_fn};
/// use ziggurat_patterns::{ServiceLayerExt, service::BulkheadLayer};
///
/// # futures::executor::block_on(async {
/// let stuck = service_fn(|_: u32| std::future::pending::<Result<(), std::io::Error>>());
/// let layer = BulkheadLayer::new(NonZeroUsize::MIN, 1).with_max_wait(Duration::from_millis(10));
/// let service = ServiceLayerExt::<u32>::layer(stuck, layer);
/// let (mut first, mut second) = (service.clone().oneshot(1), service.clone().oneshot(2));
/// assert!(futures::poll!(&mut first).is_pending()); // is being served
/// assert!(futures::poll!(&mut second).is_pending()); // waits
/// assert!(service.oneshot(3).await.unwrap_err().is_full());
/// assert!(second.await.unwrap_err().is_rejected()); // has waited too long
/// # });
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct BulkheadLayer<T = DefaultTimer> {
    limits: Limits,
    timer: T,
}

#[derive(Debug, Clone)]
struct Limits {
    semaphore: Semaphore,
    bounds: Bounds,
}

/// Of the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub max_waiting: usize,
    pub max_wait: Option<Duration>,
}

impl BulkheadLayer {
    /// At most `max_calls` at a time, and at most `max_waiting` that wait. With a queue of 0 nobody
    /// waits.
    pub fn new(max_calls: NonZeroUsize, max_waiting: usize) -> Self {
        Self::with_semaphore(Semaphore::new(max_calls.get()), max_waiting)
    }

    /// As `new`, with permits that others use too. Whoever waits for those permits counts.
    pub fn with_semaphore(semaphore: Semaphore, max_waiting: usize) -> Self {
        let limits = Limits { semaphore, bounds: Bounds { max_waiting, max_wait: None } };
        BulkheadLayer { limits, timer: DefaultTimer }
    }
}

impl<T> BulkheadLayer<T> {
    /// How long a call may wait, from the first poll of its future.
    pub fn with_max_wait(mut self, limit: Duration) -> Self {
        self.limits.bounds.max_wait = Some(limit);
        self
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> BulkheadLayer<U> {
        BulkheadLayer { limits: self.limits, timer }
    }

    /// The permits.
    pub fn semaphore(&self) -> &Semaphore {
        &self.limits.semaphore
    }
}

impl<S, T: Timer> Layer<S> for BulkheadLayer<T> {
    type Service = Bulkhead<S, T>;

    fn layer(&self, inner: S) -> Bulkhead<S, T> {
        Bulkhead { inner, limits: self.limits.clone(), timer: self.timer.clone() }
    }
}

/// A service with so many calls in flight, and so many that wait. Made by [`BulkheadLayer`].
///
/// It is always ready. A call takes a permit, with a clone of the service inside waits until that is
/// ready, and calls it; the permit is given back when the call's future completes or is dropped.
///
/// # Cancel safety
///
/// A call that is dropped while it waits leaves the queue, and has not reached the service inside.
#[derive(Debug, Clone)]
pub struct Bulkhead<S, T = DefaultTimer> {
    inner: S,
    limits: Limits,
    timer: T,
}

impl<S, T> Bulkhead<S, T> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, Request, T> Service<Request> for Bulkhead<S, T>
where
    S: Service<Request> + Clone,
    T: Timer,
{
    type Response = S::Response;
    type Error = BulkheadError<S::Error>;
    type Future = BulkheadFuture<S, Request, T>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Limits { semaphore, bounds } = &self.limits;
        BulkheadFuture::new(semaphore, self.inner.clone(), request, *bounds, self.timer.clone())
    }
}

pin_project! {
    /// The future of [`Bulkhead`].
    #[must_use = "futures do nothing unless polled"]
    pub struct BulkheadFuture<S: Service<Request>, Request, T: Timer = DefaultTimer> {
        #[pin]
        state: State<S, S::Future, Request>,
        // After the call, so that the service inside is done with it first.
        permit: Option<Permit>,
        #[pin]
        alarm: Alarm<T>,
        bounds: Bounds,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, Request> {
        Wait { acquire: Acquire, call: Option<(S, Request)> },
        Ready { call: Option<(S, Request)> },
        Call { #[pin] future: F },
        Done,
    }
}

impl<S, Request, T> BulkheadFuture<S, Request, T>
where
    S: Service<Request>,
    T: Timer,
{
    #[inline]
    pub(super) fn new(
        semaphore: &Semaphore,
        service: S,
        request: Request,
        bounds: Bounds,
        timer: T,
    ) -> Self {
        let state = State::Wait { acquire: semaphore.acquire(), call: Some((service, request)) };
        BulkheadFuture { permit: None, alarm: Alarm::new(timer), bounds, state }
    }

    /// Waits for a permit.
    fn poll_permit(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BulkheadError<S::Error>>> {
        let mut this = self.project();
        let StateProj::Wait { acquire, call } = this.state.as_mut().project() else {
            return Poll::Ready(Ok(()));
        };
        let error = match acquire.poll_bounded(this.bounds.max_waiting, cx) {
            Poll::Ready(Ok(permit)) => {
                *this.permit = Some(permit);
                let call = call.take();
                this.state.set(State::Ready { call });
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Err(Refused::Full)) => {
                BulkheadError::Full { waiting: this.bounds.max_waiting }
            }
            Poll::Ready(Err(Refused::Closed)) => BulkheadError::Closed(Closed),
            Poll::Pending => {
                let Some(after) = this.bounds.max_wait else { return Poll::Pending };
                if !this.alarm.is_set() {
                    this.alarm.as_mut().set_after(after);
                }
                ready!(this.alarm.poll(cx));
                BulkheadError::WaitedTooLong { after }
            }
        };
        // Out of the queue, and the request dropped, at once.
        this.state.set(State::Done);
        Poll::Ready(Err(error))
    }
}

impl<S: Service<Request>, Request, T: Timer> Future for BulkheadFuture<S, Request, T> {
    type Output = Result<S::Response, BulkheadError<S::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(self.as_mut().poll_permit(cx))?;
        let mut this = self.project();
        let result = loop {
            match this.state.as_mut().project() {
                StateProj::Call { future } => break ready!(future.poll(cx)),
                StateProj::Ready { call } => {
                    let (service, _) = call.as_mut().expect("it is called once");
                    if let Err(error) = ready!(service.poll_ready(cx)) {
                        break Err(error);
                    }
                    let (mut service, request) = call.take().expect("it is called once");
                    let future = service.call(request);
                    this.state.set(State::Call { future });
                }
                StateProj::Wait { .. } | StateProj::Done => {
                    panic!("the future was polled again after it had completed")
                }
            }
        };
        this.state.set(State::Done);
        *this.permit = None;
        Poll::Ready(result.map_err(BulkheadError::Inner))
    }
}

impl<S: Service<Request>, Request, T: Timer> fmt::Debug for BulkheadFuture<S, Request, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadFuture")
            .field("permit", &self.permit)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
