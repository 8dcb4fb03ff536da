//! Calls that are made again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::caps::{Caps, Series};
use super::{AnyError, Backoff, Budget, Decision, GaveUp, Hinted, MakeBackoff, Policy, RetryError};

/// How many attempts one poll makes, at most.
const ATTEMPTS_PER_POLL: u32 = 32;

/// Wraps services in [`Retry`].
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::time::Duration;
/// use ziggurat_patterns::retry::Backoff;
/// use ziggurat_patterns::{Service, ServiceLayerExt, service::RetryLayer};
///
/// # futures::executor::block_on(async {
/// let calls = AtomicU32::new(0);
/// let flaky = tower::service_fn(|name: &'static str| {
///     let call = calls.fetch_add(1, Ordering::Relaxed);
///     async move { if call < 2 { Err(Error::from(ErrorKind::TimedOut)) } else { Ok(name.len()) } }
/// });
/// let backoff = Backoff::exponential(Duration::from_millis(1)).with_full_jitter();
/// let retry = RetryLayer::new(backoff)
///     .when(|error: &Error| error.kind() == ErrorKind::TimedOut)
///     .max_retries(5)
///     .max_elapsed(Duration::from_secs(2));
/// assert_eq!((&flaky).layer(retry).call("three").await.unwrap(), 5);
/// # });
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct RetryLayer<P = AnyError, B = Backoff, T = DefaultTimer> {
    setup: Setup<P, B, T>,
}

#[derive(Debug, Clone)]
struct Setup<P, B, T> {
    policy: P,
    backoff: B,
    caps: Caps,
    timer: T,
}

impl<B> RetryLayer<AnyError, B> {
    /// Retries every error, at most 3 times.
    pub fn new(backoff: B) -> Self {
        let setup = Setup { policy: AnyError, backoff, caps: Caps::default(), timer: DefaultTimer };
        RetryLayer { setup }
    }
}

impl<P, B, T> RetryLayer<P, B, T> {
    /// Retries only the errors for which `predicate` holds.
    pub fn when<E, F>(self, predicate: F) -> RetryLayer<super::When<F>, B, T>
    where
        F: Fn(&E) -> bool,
    {
        self.policy(super::When(predicate))
    }

    /// Retries what `policy` decides to: answers too, and of requests that need not be `Clone`.
    pub fn policy<Q>(self, policy: Q) -> RetryLayer<Q, B, T> {
        let Setup { backoff, caps, timer, .. } = self.setup;
        RetryLayer { setup: Setup { policy, backoff, caps, timer } }
    }

    /// `hint` finds how long an error wants us to wait, as `Retry-After` of HTTP says. It takes the place
    /// of the backoff's delay; a backoff that ends still ends the retries. The wait is never shorter; if
    /// the limits have no room for it, there is no further attempt.
    pub fn hint<E, F>(self, hint: F) -> RetryLayer<Hinted<P, F>, B, T>
    where
        F: Fn(&E) -> Option<Duration>,
    {
        let Setup { policy, backoff, caps, timer } = self.setup;
        let policy = Hinted::new(policy, hint);
        RetryLayer { setup: Setup { policy, backoff, caps, timer } }
    }

    /// At most so many retries, after the first attempt.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.setup.caps.max_retries = retries;
        self
    }

    /// As many retries as the other limits allow.
    pub fn unlimited_retries(self) -> Self {
        self.max_retries(u32::MAX)
    }

    /// No retry starts later than `limit` after the first attempt: where the delay before it would end
    /// later, the last error is returned at once. An attempt that is under way is not cut short, nor is
    /// the wait for the service to be ready; put a timeout inside for that.
    ///
    /// With this, the clock is read when the first attempt is not answered at once, or fails.
    pub fn max_elapsed(mut self, limit: Duration) -> Self {
        self.setup.caps.set_max_elapsed(limit);
        self
    }

    /// Each call deposits in `budget`, and each retry is made only if it can withdraw from it.
    pub fn budget(mut self, budget: impl Budget + 'static) -> Self {
        self.setup.caps.budget = Some(std::sync::Arc::new(Box::new(budget)));
        self
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> RetryLayer<P, B, U> {
        let Setup { policy, backoff, caps, .. } = self.setup;
        RetryLayer { setup: Setup { policy, backoff, caps, timer } }
    }
}

impl<S, P: Clone, B: Clone, T: Clone> Layer<S> for RetryLayer<P, B, T> {
    type Service = Retry<S, P, B, T>;

    fn layer(&self, inner: S) -> Retry<S, P, B, T> {
        Retry { inner, setup: self.setup.clone() }
    }
}

/// A service that makes failed calls again. Made by [`RetryLayer`].
///
/// An answer that is to be retried, by its [`Policy`], is returned as it is when a limit is reached: only
/// errors become [`RetryError`]s.
///
/// Retries go to a clone of the service inside, which is waited for until it is ready, as any other.
///
/// # Cancel safety
///
/// Dropping the response future cancels the attempt that is under way, or the wait before the next.
#[derive(Debug, Clone)]
pub struct Retry<S, P = AnyError, B = Backoff, T = DefaultTimer> {
    inner: S,
    setup: Setup<P, B, T>,
}

impl<S, P, B, T> Retry<S, P, B, T> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, P, B, T, Request> Service<Request> for Retry<S, P, B, T>
where
    S: Service<Request> + Clone,
    P: Policy<Request, S::Response, S::Error> + Clone,
    B: MakeBackoff + Clone,
    T: Timer,
{
    type Response = S::Response;
    type Error = RetryError<S::Error>;
    type Future = RetryFuture<S, P, B, T, Request>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(|error| RetryError::new(GaveUp::NotReady, 0, None, error))
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        if let Some(budget) = &self.setup.caps.budget {
            budget.deposit();
        }
        let mut setup = self.setup.clone();
        let copy = setup.policy.clone_request(&request);
        // The one that is ready is called; the clone for the retries is made ready when it is needed.
        let call = Some(self.inner.call(request));
        let service = self.inner.clone();
        RetryFuture { call, request: copy, service, setup, rest: None }
    }
}

pin_project! {
    /// The future of [`Retry`].
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryFuture<S, P, B, T, Request>
    where
        S: Service<Request>,
        B: MakeBackoff,
        T: Timer,
    {
        // `None` between two attempts.
        #[pin]
        call: Option<S::Future>,
        request: Option<Request>,
        service: S,
        setup: Setup<P, B, T>,
        // What few calls have. So little is written, moved and dropped for the others.
        rest: Option<Pin<Box<Rest<T::Sleep, B::Delays>>>>,
    }
}

pin_project! {
    #[project = RestProj]
    /// What a call has that has failed, or whose time is limited and that was not answered at once.
    struct Rest<Sleep, Delays> {
        // Before the next attempt.
        #[pin]
        sleep: Option<Sleep>,
        series: Series<Delays>,
    }
}

/// Made when it is first asked for.
fn rest<Sleep, Delays: Iterator<Item = Duration>>(
    rest: &mut Option<Pin<Box<Rest<Sleep, Delays>>>>,
) -> RestProj<'_, Sleep, Delays> {
    let new = || Box::pin(Rest { sleep: None, series: Series::new() });
    rest.get_or_insert_with(new).as_mut().project()
}

type Answer<Response, Error> = Result<Response, RetryError<Error>>;

impl<S, P, B, T, Request> RetryFuture<S, P, B, T, Request>
where
    S: Service<Request>,
    P: Policy<Request, S::Response, S::Error>,
    B: MakeBackoff,
    T: Timer,
{
    /// What comes after an answer: the result for the caller, or the state that leads to another attempt.
    #[inline]
    fn decide(
        mut self: Pin<&mut Self>,
        result: Result<S::Response, S::Error>,
    ) -> Option<Answer<S::Response, S::Error>> {
        let this = self.as_mut().project();
        let decision = match this.request {
            Some(request) => this.setup.policy.decide(request, result.as_ref()),
            None => Decision::Stop,
        };
        match (result, decision) {
            (Ok(response), Decision::Stop) => Some(Ok(response)),
            (result, decision) => self.retry(result, decision),
        }
    }

    #[cold]
    #[inline(never)]
    fn retry(
        self: Pin<&mut Self>,
        result: Result<S::Response, S::Error>,
        decision: Decision,
    ) -> Option<Answer<S::Response, S::Error>> {
        let mut this = self.project();
        let Setup { backoff, caps, timer, .. } = this.setup;
        let mut rest = rest(this.rest);
        let hint = match decision {
            Decision::RetryAfter(delay) => Some(delay),
            Decision::Retry | Decision::Stop => None,
        };
        let retry = match decision {
            Decision::Stop if this.request.is_none() => Err(GaveUp::NotCloned),
            Decision::Stop => Err(GaveUp::NotRetryable),
            _ => rest.series.retry(caps, backoff, hint, timer),
        };
        match (retry, result) {
            (Ok(delay), _) => {
                this.call.set(None);
                if !delay.is_zero() {
                    rest.sleep.set(Some(timer.sleep(delay)));
                }
            }
            (Err(_), Ok(response)) => return Some(Ok(response)),
            (Err(reason), Err(error)) => {
                let attempts = rest.series.retries.saturating_add(1);
                let elapsed = rest.series.elapsed(timer);
                return Some(Err(RetryError::new(reason, attempts, elapsed, error)));
            }
        }
        None
    }

    /// There is no answer yet: from now on it takes time.
    #[inline]
    fn start(self: Pin<&mut Self>) {
        let this = self.project();
        if this.setup.caps.max_elapsed().is_some() {
            rest(this.rest).series.start(&this.setup.caps, &this.setup.timer);
        }
    }

    /// Waits for the next attempt's time and for the service, and makes it.
    #[cold]
    #[inline(never)]
    fn poll_attempt(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), RetryError<S::Error>>> {
        let mut this = self.project();
        let RestProj { mut sleep, series } = rest(this.rest);
        if let Some(waiting) = sleep.as_mut().as_pin_mut() {
            ready!(waiting.poll(cx));
            sleep.set(None);
        }
        if let Err(error) = ready!(this.service.poll_ready(cx)) {
            let elapsed = series.elapsed(&this.setup.timer);
            let error = RetryError::new(GaveUp::NotReady, series.retries, elapsed, error);
            return Poll::Ready(Err(error));
        }
        let request = this.request.take().expect("there is no retry without a copy");
        *this.request = this.setup.policy.clone_request(&request);
        this.call.set(Some(this.service.call(request)));
        Poll::Ready(Ok(()))
    }
}

impl<S, P, B, T, Request> Future for RetryFuture<S, P, B, T, Request>
where
    S: Service<Request>,
    P: Policy<Request, S::Response, S::Error>,
    B: MakeBackoff,
    T: Timer,
{
    type Output = Result<S::Response, RetryError<S::Error>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        for _ in 0..ATTEMPTS_PER_POLL {
            if let Some(call) = self.as_mut().project().call.as_pin_mut() {
                let Poll::Ready(result) = call.poll(cx) else {
                    self.start();
                    return Poll::Pending;
                };
                if let Some(answer) = self.as_mut().decide(result) {
                    return Poll::Ready(answer);
                }
            }
            ready!(self.as_mut().poll_attempt(cx))?;
        }
        // A service that fails at once, with no delays: others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S, P, B, T, Request> fmt::Debug for RetryFuture<S, P, B, T, Request>
where
    S: Service<Request>,
    B: MakeBackoff,
    T: Timer,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture")
            .field("retries", &self.rest.as_ref().map_or(0, |rest| rest.series.retries))
            .finish_non_exhaustive()
    }
}
