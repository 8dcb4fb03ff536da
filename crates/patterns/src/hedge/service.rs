//! Calls that are made a second time when they take long.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use super::latency::Latencies;
use super::{CloneAny, CloneRequest, InvalidHedge};
use crate::retry::Budget;

/// Wraps services in [`Hedge`].
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::retry::RetryBudget;
/// use ziggurat_patterns::service::HedgeLayer;
///
/// // After as long as 95 of 100 calls took in the last 10 seconds, once there were 100 of them.
/// let layer = HedgeLayer::percentile(95.0, Duration::from_secs(10), 100)
///     .unwrap()
///     // At most 5 percent more calls.
///     .budget(RetryBudget::new(Duration::from_secs(10), 0, 5).unwrap())
///     // Only what may be done twice.
///     .requests(|request: &String| request.starts_with("GET").then(|| request.clone()));
/// # let _ = layer;
/// ```
#[derive(Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct HedgeLayer<P = CloneAny, T = DefaultTimer> {
    setup: Setup<P, T>,
}

#[derive(Clone)]
struct Setup<P, T> {
    delay: Delay,
    requests: P,
    budget: Option<Arc<dyn Budget>>,
    timer: T,
}

#[derive(Debug, Clone)]
enum Delay {
    Fixed(Duration),
    Percentile(Arc<Latencies>),
}

impl HedgeLayer {
    /// The second call is made when the first was not answered after `delay`.
    pub fn new(delay: Duration) -> Self {
        Self::with_delay(Delay::Fixed(delay))
    }

    /// The second call is made when the first takes longer than `percentile` percent of the calls of the
    /// last `period` took. There are no second calls after a period with less than `min_samples` answers.
    ///
    /// All services of this layer, and their clones, share the measurements. The clock is read twice
    /// for each call, and once for one that is answered at once.
    ///
    /// # Errors
    ///
    /// [`InvalidHedge`], when `percentile` is not between 0 and 100, or `period` is zero.
    pub fn percentile(
        percentile: f64,
        period: Duration,
        min_samples: u64,
    ) -> Result<Self, InvalidHedge> {
        if !(0.0..=100.0).contains(&percentile) {
            return Err(InvalidHedge::Percentile(percentile));
        }
        if period.is_zero() {
            return Err(InvalidHedge::Period);
        }
        let latencies = Latencies::new(percentile / 100.0, min_samples, period);
        Ok(Self::with_delay(Delay::Percentile(Arc::new(latencies))))
    }

    fn with_delay(delay: Delay) -> Self {
        let setup = Setup { delay, requests: CloneAny, budget: None, timer: DefaultTimer };
        HedgeLayer { setup }
    }
}

impl<P, T> HedgeLayer<P, T> {
    /// `clone` copies the requests that may be sent twice; `None` for the others.
    pub fn requests<Request, F>(self, clone: F) -> HedgeLayer<F, T>
    where
        F: Fn(&Request) -> Option<Request>,
    {
        let Setup { delay, budget, timer, .. } = self.setup;
        HedgeLayer { setup: Setup { delay, requests: clone, budget, timer } }
    }

    /// Each call deposits in `budget`, and a second call is made only if it can withdraw from it. It
    /// may be one that retries use too.
    pub fn budget(mut self, budget: impl Budget + 'static) -> Self {
        self.setup.budget = Some(Arc::new(budget));
        self
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> HedgeLayer<P, U> {
        let Setup { delay, requests, budget, .. } = self.setup;
        HedgeLayer { setup: Setup { delay, requests, budget, timer } }
    }
}

impl<S, P: Clone, T: Clone> Layer<S> for HedgeLayer<P, T> {
    type Service = Hedge<S, P, T>;

    fn layer(&self, inner: S) -> Hedge<S, P, T> {
        Hedge { inner, setup: self.setup.clone() }
    }
}

impl<P, T> fmt::Debug for HedgeLayer<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeLayer").field("delay", &self.setup.delay).finish_non_exhaustive()
    }
}

/// A service that makes a call a second time when it takes long. Made by [`HedgeLayer`].
///
/// The first success is the answer, and the other call is dropped. Before there is a second call, an
/// error is an answer too: a hedge is about slow calls, and errors are for
/// [`RetryLayer`](crate::service::RetryLayer). Once there are two, the error of one leaves it to the
/// other; when both fail, the later error is returned.
///
/// The second call goes to a clone of the service inside, which is waited for until it is ready. If it
/// fails to become ready there is no second call, and nothing is withdrawn from the budget.
///
/// # Cancel safety
///
/// Dropping the response future cancels both calls.
#[derive(Clone)]
pub struct Hedge<S, P = CloneAny, T = DefaultTimer> {
    inner: S,
    setup: Setup<P, T>,
}

impl<S, P, T> Hedge<S, P, T> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: fmt::Debug, P, T> fmt::Debug for Hedge<S, P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge")
            .field("inner", &self.inner)
            .field("delay", &self.setup.delay)
            .finish_non_exhaustive()
    }
}

impl<S, P, T, Request> Service<Request> for Hedge<S, P, T>
where
    S: Service<Request> + Clone,
    P: CloneRequest<Request>,
    T: Timer,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = HedgeFuture<S, T, Request>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let Setup { delay, requests, budget, timer } = &self.setup;
        if let Some(budget) = budget {
            budget.deposit();
        }
        let copy = requests.clone_request(&request);
        // The one that is ready is called; the clone is made ready when it is needed.
        let first = Some(self.inner.call(request));
        HedgeFuture {
            first,
            second: None,
            alarm: Alarm::new(timer.clone()),
            service: Some(self.inner.clone()),
            request: copy,
            phase: Phase::New,
            started: 0,
            delay: delay.clone(),
            budget: budget.clone(),
        }
    }
}

pin_project! {
    /// The future of [`Hedge`].
    #[must_use = "futures do nothing unless polled"]
    pub struct HedgeFuture<S: Service<Request>, T: Timer, Request> {
        #[pin]
        first: Option<S::Future>,
        #[pin]
        second: Option<S::Future>,
        #[pin]
        alarm: Alarm<T>,
        // Until the second call is made, or it is known that there is none: it may hold a permit.
        service: Option<S>,
        request: Option<Request>,
        phase: Phase,
        // In nanoseconds; known from the first time on that it has to wait, if latencies are measured.
        started: u64,
        delay: Delay,
        budget: Option<Arc<dyn Budget>>,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not waited for yet.
    New,
    /// For the delay.
    Waiting,
    /// For the service to be ready for the second call.
    Readying,
    /// For two calls.
    Both,
    /// For one call, and there will be no other.
    One,
}

impl<S, T, Request> HedgeFuture<S, T, Request>
where
    S: Service<Request>,
    T: Timer,
{
    /// There is no answer from the first call: waits until it is time for the second, and then for that.
    #[inline(never)]
    fn poll_second(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Response, S::Error>> {
        let mut this = self.project();
        loop {
            match *this.phase {
                Phase::New => {
                    let timer = this.alarm.timer();
                    let delay = match this.delay {
                        Delay::Fixed(delay) => Some(*delay),
                        Delay::Percentile(latencies) => {
                            *this.started = timer.nanos();
                            latencies.delay(*this.started)
                        }
                    };
                    *this.phase = match delay.filter(|_| this.request.is_some()) {
                        Some(delay) => {
                            this.alarm.as_mut().set_after(delay);
                            Phase::Waiting
                        }
                        None => Phase::One,
                    };
                }
                Phase::Waiting => {
                    ready!(this.alarm.as_mut().poll(cx));
                    *this.phase = Phase::Readying;
                }
                Phase::Readying => {
                    let service = this.service.as_mut().expect("it was not called yet");
                    let ready = ready!(service.poll_ready(cx)).is_ok();
                    let (service, request) = (this.service.take(), this.request.take());
                    // Only now is it sure that there would be a call for it.
                    let allowed = || this.budget.as_ref().is_none_or(|budget| budget.withdraw());
                    *this.phase = match service.zip(request) {
                        Some((mut service, request)) if ready && allowed() => {
                            this.second.set(Some(service.call(request)));
                            Phase::Both
                        }
                        _ => Phase::One,
                    };
                }
                Phase::Both => {
                    let second = this.second.as_mut().as_pin_mut().expect("a second call");
                    let result = ready!(second.poll(cx));
                    if result.is_ok() || this.first.is_none() {
                        return Poll::Ready(result);
                    }
                    this.second.set(None);
                    *this.phase = Phase::One;
                }
                Phase::One => return Poll::Pending,
            }
        }
    }

    /// Drops the call that was not answered: the future may be kept for long.
    #[cold]
    #[inline(never)]
    fn cancel(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.first.set(None);
        this.second.set(None);
        *this.phase = Phase::One;
    }

    /// Every call is counted once, by the time from its start to the first success. Counting the second
    /// call by itself would leave out the slow ones, and the delay would become shorter and shorter.
    #[inline]
    fn record(self: Pin<&mut Self>) {
        let this = self.project();
        if let Delay::Percentile(latencies) = this.delay {
            let now = this.alarm.timer().nanos();
            let started = if *this.phase == Phase::New { now } else { *this.started };
            latencies.record(now.saturating_sub(started), now);
        }
    }
}

impl<S, T, Request> Future for HedgeFuture<S, T, Request>
where
    S: Service<Request>,
    T: Timer,
{
    type Output = Result<S::Response, S::Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.as_mut().project();
        let first = this.first.as_mut().as_pin_mut().map(|first| first.poll(cx));
        let result = match first {
            // The second call decides.
            Some(Poll::Ready(Err(_))) if *this.phase == Phase::Both => {
                this.first.set(None);
                ready!(self.as_mut().poll_second(cx))
            }
            Some(Poll::Ready(result)) => result,
            Some(Poll::Pending) | None => ready!(self.as_mut().poll_second(cx)),
        };
        if result.is_ok() {
            self.as_mut().record();
        }
        if self.phase == Phase::Both {
            self.cancel();
        }
        Poll::Ready(result)
    }
}

impl<S: Service<Request>, T: Timer, Request> fmt::Debug for HedgeFuture<S, T, Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeFuture").field("phase", &self.phase).finish_non_exhaustive()
    }
}
