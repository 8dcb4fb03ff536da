//! A call and its retries.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower_service::Service;
use ziggurat_core::time::Timer;

use super::limits::Series;
use super::service::Setup;
use super::{Attempts, Decision, GaveUp, Limit, MakeBackoff, Policy, RetryError};

/// How many attempts one poll makes, at most.
const ATTEMPTS_PER_POLL: u32 = 32;

pin_project! {
    /// The future of [`Retry`](super::service::Retry).
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryFuture<S, P, B, T, Request, L = Attempts>
    where
        S: Service<Request>,
        B: MakeBackoff,
        T: Timer,
        L: Limit,
    {
        #[pin]
        state: State<S, P, B, T, Request, L>,
    }
}

pin_project! {
    // Most calls are answered at once. What only retries need is made with the first of them, in memory of
    // its own: so little is written, moved and dropped for the others.
    #[project = StateProj]
    #[project_replace = StateOwned]
    enum State<S, P, B, T, Request, L>
    where
        S: Service<Request>,
        B: MakeBackoff,
        T: Timer,
        L: Limit,
    {
        First {
            #[pin]
            call: S::Future,
            request: Option<Request>,
            service: S,
            setup: Setup<P, B, T, L>,
            started: L::Started,
        },
        Again { retries: Boxed<Retries<S, P, B, T, Request, L>> },
        Gone,
    }
}

pin_project! {
    /// A call that is made again.
    struct Retries<S, P, B, T, Request, L>
    where
        S: Service<Request>,
        B: MakeBackoff,
        T: Timer,
        L: Limit,
    {
        // `None` between two attempts.
        #[pin]
        call: Option<S::Future>,
        // Before the next attempt.
        #[pin]
        sleep: Option<T::Sleep>,
        request: Option<Request>,
        service: S,
        setup: Setup<P, B, T, L>,
        series: Series<B::Delays, L>,
    }
}

/// A box that is dropped out of line. Else the drop of a future is large, and called where it could be
/// inlined to nothing.
struct Boxed<T>(Option<Pin<Box<T>>>);

impl<T> Drop for Boxed<T> {
    #[inline]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn drop_box<T>(content: Option<Pin<Box<T>>>) {
            drop(content);
        }
        drop_box(self.0.take());
    }
}

type Answer<Response, Error> = Result<Response, RetryError<Error>>;

impl<S, P, B, T, Request, L> RetryFuture<S, P, B, T, Request, L>
where
    S: Service<Request>,
    P: Policy<Request, S::Response, S::Error>,
    B: MakeBackoff,
    T: Timer,
    L: Limit,
{
    #[inline]
    pub(super) fn new(
        call: S::Future,
        request: Option<Request>,
        service: S,
        setup: Setup<P, B, T, L>,
    ) -> Self {
        let started = L::Started::default();
        RetryFuture { state: State::First { call, request, service, setup, started } }
    }

    /// The first attempt has been answered, and the answer does not simply stand.
    #[cold]
    #[inline(never)]
    fn answered(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        result: Result<S::Response, S::Error>,
        decision: Decision,
    ) -> Poll<Answer<S::Response, S::Error>> {
        let mut state = self.project().state;
        let StateProj::First { request, setup, started, .. } = state.as_mut().project() else {
            unreachable!("there is a first attempt");
        };
        let mut series = Series::since(mem::take(started));
        let delay = match setup.consider(&mut series, request.is_some(), decision) {
            Ok(delay) => delay,
            Err(reason) => return Poll::Ready(setup.give_up(&series, reason, result)),
        };
        // This drops the call.
        let StateOwned::First { request, service, setup, .. } =
            state.as_mut().project_replace(State::Gone)
        else {
            unreachable!("there is a first attempt");
        };
        let sleep = setup.sleep(delay);
        let retries = Retries { call: None, sleep, request, service, setup, series };
        let mut retries = Box::pin(retries);
        let poll = retries.as_mut().poll(cx);
        state.set(State::Again { retries: Boxed(Some(retries)) });
        poll
    }

    #[cold]
    #[inline(never)]
    fn poll_again(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Answer<S::Response, S::Error>> {
        match self.project().state.project() {
            StateProj::Again { retries: Boxed(Some(retries)) } => retries.as_mut().poll(cx),
            _ => panic!("polled after a panic"),
        }
    }
}

impl<S, P, B, T, Request, L> Future for RetryFuture<S, P, B, T, Request, L>
where
    S: Service<Request>,
    P: Policy<Request, S::Response, S::Error>,
    B: MakeBackoff,
    T: Timer,
    L: Limit,
{
    type Output = Result<S::Response, RetryError<S::Error>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let state = self.as_mut().project().state.project();
        let StateProj::First { call, request, setup, started, .. } = state else {
            return self.poll_again(cx);
        };
        let Poll::Ready(result) = call.poll(cx) else {
            // From now on it takes time.
            setup.limits.start(started, &setup.timer);
            return Poll::Pending;
        };
        match (setup.decide(request, &result), result) {
            (Decision::Stop, Ok(response)) => Poll::Ready(Ok(response)),
            (decision, result) => self.answered(cx, result, decision),
        }
    }
}

impl<S, P, B, T, Request, L> Retries<S, P, B, T, Request, L>
where
    S: Service<Request>,
    P: Policy<Request, S::Response, S::Error>,
    B: MakeBackoff,
    T: Timer,
    L: Limit,
{
    /// Makes attempts until one is answered.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<S::Response, S::Error>> {
        for _ in 0..ATTEMPTS_PER_POLL {
            if self.call.is_none() {
                ready!(self.as_mut().poll_attempt(cx))?;
            }
            let mut this = self.as_mut().project();
            let call = this.call.as_mut().as_pin_mut().expect("an attempt was made");
            let result = ready!(call.poll(cx));
            let decision = this.setup.decide(this.request, &result);
            match this.setup.consider(this.series, this.request.is_some(), decision) {
                Ok(delay) => {
                    this.call.set(None);
                    this.sleep.set(this.setup.sleep(delay));
                }
                Err(reason) => return Poll::Ready(this.setup.give_up(this.series, reason, result)),
            }
        }
        // A service that fails at once, with no delays: others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits for the next attempt's time and for the service, and makes it.
    fn poll_attempt(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), RetryError<S::Error>>> {
        let mut this = self.project();
        if let Some(waiting) = this.sleep.as_mut().as_pin_mut() {
            ready!(waiting.poll(cx));
            this.sleep.set(None);
        }
        if let Err(error) = ready!(this.service.poll_ready(cx)) {
            let elapsed = this.series.elapsed(&this.setup.timer);
            let error = RetryError::new(GaveUp::NotReady, this.series.retries, elapsed, error);
            return Poll::Ready(Err(error));
        }
        let request = this.request.take().expect("there is no retry without a copy");
        *this.request = this.setup.policy.clone_request(&request);
        this.call.set(Some(this.service.call(request)));
        Poll::Ready(Ok(()))
    }
}

impl<P, B, T, L> Setup<P, B, T, L>
where
    B: MakeBackoff,
    T: Timer,
    L: Limit,
{
    #[inline]
    fn decide<Request, Response, Error>(
        &mut self,
        request: &mut Option<Request>,
        result: &Result<Response, Error>,
    ) -> Decision
    where
        P: Policy<Request, Response, Error>,
    {
        match request {
            Some(request) => self.policy.decide(request, result.as_ref()),
            None => Decision::Stop,
        }
    }

    /// How long to wait before another attempt, or why there is none.
    fn consider(
        &self,
        series: &mut Series<B::Delays, L>,
        cloned: bool,
        decision: Decision,
    ) -> Result<Duration, GaveUp> {
        let hint = match decision {
            Decision::Stop if !cloned => return Err(GaveUp::NotCloned),
            Decision::Stop => return Err(GaveUp::NotRetryable),
            Decision::Retry => None,
            Decision::RetryAfter(delay) => Some(delay),
        };
        series.retry(&self.limits, &self.backoff, hint, &self.timer)
    }

    /// The last result, as it is returned.
    fn give_up<Response, Error>(
        &self,
        series: &Series<B::Delays, L>,
        reason: GaveUp,
        result: Result<Response, Error>,
    ) -> Answer<Response, Error> {
        let attempts = series.retries.saturating_add(1);
        result
            .map_err(|error| RetryError::new(reason, attempts, series.elapsed(&self.timer), error))
    }

    fn sleep(&self, delay: Duration) -> Option<T::Sleep> {
        (!delay.is_zero()).then(|| self.timer.sleep(delay))
    }
}

impl<S, P, B, T, Request, L> fmt::Debug for RetryFuture<S, P, B, T, Request, L>
where
    S: Service<Request>,
    B: MakeBackoff,
    T: Timer,
    L: Limit,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let retries = match &self.state {
            State::Again { retries } => {
                retries.0.as_ref().map_or(0, |retries| retries.series.retries)
            }
            State::First { .. } | State::Gone => 0,
        };
        f.debug_struct("RetryFuture").field("retries", &retries).finish_non_exhaustive()
    }
}
