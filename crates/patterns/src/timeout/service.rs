//! Timeouts of services.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use super::{Elapsed, TimeoutError, TimeoutKind};

/// Wraps services in [`Timeout`].
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::{ServiceLayerExt, Service, service::TimeoutLayer};
///
/// # futures::executor::block_on(async {
/// let stuck = tower::service_fn(|_: u32| std::future::pending::<Result<(), std::io::Error>>());
/// let mut service = stuck.layer(TimeoutLayer::new(Duration::from_millis(10)));
/// assert!(service.call(1).await.unwrap_err().is_elapsed());
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct TimeoutLayer<T = DefaultTimer> {
    limit: Duration,
    timer: T,
}

impl TimeoutLayer {
    /// A limit for each call, from the first poll of its future to the answer.
    pub fn new(limit: Duration) -> Self {
        TimeoutLayer { limit, timer: DefaultTimer }
    }
}

impl<T> TimeoutLayer<T> {
    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> TimeoutLayer<U> {
        TimeoutLayer { limit: self.limit, timer }
    }
}

impl<S, T: Timer> Layer<S> for TimeoutLayer<T> {
    type Service = Timeout<S, T>;

    fn layer(&self, inner: S) -> Timeout<S, T> {
        Timeout { inner, limit: self.limit, timer: self.timer.clone() }
    }
}

/// A service whose calls must be answered in time. Made by [`TimeoutLayer`].
///
/// # Cancel safety
///
/// A call that ran out of time is dropped, as it is when the caller drops the future.
#[derive(Debug, Clone, Copy)]
pub struct Timeout<S, T = DefaultTimer> {
    inner: S,
    limit: Duration,
    timer: T,
}

impl<S, T> Timeout<S, T> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Service<Request>, Request, T: Timer> Service<Request> for Timeout<S, T> {
    type Response = S::Response;
    type Error = TimeoutError<S::Error>;
    type Future = TimeoutFuture<S::Future, T>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(TimeoutError::Inner)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        TimeoutFuture::new(self.inner.call(request), Limit::After(self.limit), self.timer.clone())
    }
}

/// Wraps services in [`Deadline`]: each request says until when it is of use.
///
/// ```
/// use std::time::{Duration, Instant};
/// use ziggurat_patterns::{ServiceLayerExt, Service, service::DeadlineLayer};
///
/// struct Request { until: Option<Instant> }
///
/// # futures::executor::block_on(async {
/// let stuck = tower::service_fn(|_: Request| std::future::pending::<Result<(), std::io::Error>>());
/// let mut service = stuck.layer(DeadlineLayer::new(|request: &Request| request.until));
/// let until = Some(Instant::now() + Duration::from_millis(10));
/// assert!(service.call(Request { until }).await.unwrap_err().is_elapsed());
/// # });
/// ```
#[derive(Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct DeadlineLayer<F, T = DefaultTimer> {
    deadline: F,
    timer: T,
}

impl<F> DeadlineLayer<F> {
    /// `deadline` reads the instant off a request; `None` is no limit.
    pub fn new(deadline: F) -> Self {
        DeadlineLayer { deadline, timer: DefaultTimer }
    }
}

impl<F, T> DeadlineLayer<F, T> {
    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> DeadlineLayer<F, U> {
        DeadlineLayer { deadline: self.deadline, timer }
    }
}

impl<S, F: Clone, T: Timer> Layer<S> for DeadlineLayer<F, T> {
    type Service = Deadline<S, F, T>;

    fn layer(&self, inner: S) -> Deadline<S, F, T> {
        Deadline { inner, deadline: self.deadline.clone(), timer: self.timer.clone() }
    }
}

impl<F, T: fmt::Debug> fmt::Debug for DeadlineLayer<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineLayer").field("timer", &self.timer).finish_non_exhaustive()
    }
}

/// A service each of whose requests has a deadline of its own. Made by [`DeadlineLayer`].
///
/// A request that comes too late still reaches the service inside, and fails unless it is answered at
/// once.
#[derive(Clone, Copy)]
pub struct Deadline<S, F, T = DefaultTimer> {
    inner: S,
    deadline: F,
    timer: T,
}

impl<S, F, T> Deadline<S, F, T> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, F, T, Request> Service<Request> for Deadline<S, F, T>
where
    S: Service<Request>,
    F: FnMut(&Request) -> Option<Instant>,
    T: Timer,
{
    type Response = S::Response;
    type Error = TimeoutError<S::Error>;
    type Future = TimeoutFuture<S::Future, T>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(TimeoutError::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let limit = (self.deadline)(&request).map_or(Limit::None, Limit::At);
        TimeoutFuture::new(self.inner.call(request), limit, self.timer.clone())
    }
}

impl<S: fmt::Debug, F, T> fmt::Debug for Deadline<S, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    None,
    After(Duration),
    At(Instant),
}

impl Limit {
    fn elapsed(self) -> Elapsed {
        match self {
            Limit::After(after) => Elapsed { kind: TimeoutKind::Call, after: Some(after) },
            Limit::None | Limit::At(_) => Elapsed { kind: TimeoutKind::Deadline, after: None },
        }
    }
}

pin_project! {
    /// The future of [`Timeout`] and [`Deadline`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TimeoutFuture<F, T: Timer = DefaultTimer> {
        #[pin]
        inner: F,
        #[pin]
        alarm: Alarm<T>,
        limit: Limit,
    }
}

impl<F, T: Timer> TimeoutFuture<F, T> {
    #[inline]
    fn new(inner: F, limit: Limit, timer: T) -> Self {
        TimeoutFuture { inner, alarm: Alarm::new(timer), limit }
    }

    /// The part that touches the clock: there is no answer yet.
    #[inline(never)]
    fn poll_alarm(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Elapsed> {
        let mut this = self.project();
        if !this.alarm.is_set() {
            match *this.limit {
                Limit::None => return Poll::Pending,
                Limit::After(after) => this.alarm.as_mut().set_after(after),
                Limit::At(at) => this.alarm.as_mut().set(at),
            }
        }
        this.alarm.poll(cx).map(|()| this.limit.elapsed())
    }
}

impl<F, T, Response, Error> Future for TimeoutFuture<F, T>
where
    F: Future<Output = Result<Response, Error>>,
    T: Timer,
{
    type Output = Result<Response, TimeoutError<Error>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.as_mut().project().inner.poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer.map_err(TimeoutError::Inner)),
            Poll::Pending => self.poll_alarm(cx).map(|elapsed| Err(TimeoutError::Elapsed(elapsed))),
        }
    }
}

impl<F, T: Timer> fmt::Debug for TimeoutFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture").field("limit", &self.limit).finish_non_exhaustive()
    }
}
