//! Timeouts of streams.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::{FusedStream, Stream, TryStream};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use super::{Elapsed, TimeoutError, TimeoutKind};

/// Wraps fallible streams in [`Timeout`]. Several kinds of timeout can be set on one layer, and share
/// one timer.
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::stream::TimeoutLayer;
///
/// let layer = TimeoutLayer::idle(Duration::from_secs(5))
///     .with_initial(Duration::from_secs(30))
///     .with_completion(Duration::from_secs(3600));
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct TimeoutLayer<T = DefaultTimer> {
    limits: Limits,
    timer: T,
}

#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    initial: Option<Duration>,
    idle: Option<Duration>,
    completion: Option<Duration>,
    deadline: Option<Instant>,
    backpressure: Option<Duration>,
}

impl TimeoutLayer {
    /// No timeout yet; add some.
    pub fn new() -> Self {
        TimeoutLayer { limits: Limits::default(), timer: DefaultTimer }
    }

    /// For each item: how long we wait for it.
    pub fn idle(limit: Duration) -> Self {
        Self::new().with_idle(limit)
    }

    /// For the first item: how long we wait for it.
    pub fn initial(limit: Duration) -> Self {
        Self::new().with_initial(limit)
    }

    /// For the whole, from the first poll to the end.
    pub fn completion(limit: Duration) -> Self {
        Self::new().with_completion(limit)
    }

    /// For the whole, until `instant` of the layer's timer.
    pub fn deadline(instant: Instant) -> Self {
        Self::new().with_deadline(instant)
    }

    /// For the consumer: how long it may take from an item to the next poll. Seen at that poll.
    pub fn backpressure(limit: Duration) -> Self {
        Self::new().with_backpressure(limit)
    }
}

impl Default for TimeoutLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> TimeoutLayer<T> {
    /// As [`idle`](TimeoutLayer::idle), beside those that are set.
    pub fn with_idle(mut self, limit: Duration) -> Self {
        self.limits.idle = Some(limit);
        self
    }

    /// As [`initial`](TimeoutLayer::initial), beside those that are set. The first item has this limit
    /// in place of the idle one.
    pub fn with_initial(mut self, limit: Duration) -> Self {
        self.limits.initial = Some(limit);
        self
    }

    /// As [`completion`](TimeoutLayer::completion), beside those that are set.
    pub fn with_completion(mut self, limit: Duration) -> Self {
        self.limits.completion = Some(limit);
        self
    }

    /// As [`deadline`](TimeoutLayer::deadline), beside those that are set.
    pub fn with_deadline(mut self, instant: Instant) -> Self {
        self.limits.deadline = Some(instant);
        self
    }

    /// As [`backpressure`](TimeoutLayer::backpressure), beside those that are set. It reads the clock
    /// twice per item. Those of the whole read it once per item, the others only when they wait.
    pub fn with_backpressure(mut self, limit: Duration) -> Self {
        self.limits.backpressure = Some(limit);
        self
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> TimeoutLayer<U> {
        TimeoutLayer { limits: self.limits, timer }
    }
}

impl<S, T: Timer> Layer<S> for TimeoutLayer<T> {
    type Service = Timeout<S, T>;

    fn layer(&self, inner: S) -> Timeout<S, T> {
        Timeout {
            inner,
            alarm: Alarm::new(self.timer.clone()),
            limits: self.limits,
            end: None,
            wait: Wait::First,
            yielded: None,
        }
    }
}

pin_project! {
    /// A stream whose items, or whose whole, must come in time. Made by [`TimeoutLayer`].
    ///
    /// `Item = Result<T, TimeoutError<E>>` over a stream of `Result<T, E>`. After an initial, idle or
    /// backpressure timeout the stream goes on when it is polled again; after a completion timeout or a
    /// deadline it ends, and what is inside can be had by [`into_inner`](Self::into_inner).
    #[must_use = "streams do nothing unless polled"]
    pub struct Timeout<S, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        #[pin]
        alarm: Alarm<T>,
        limits: Limits,
        // When the whole has to be over, and why: known from the first poll on.
        end: Option<(Instant, TimeoutKind)>,
        wait: Wait,
        // When the last item was handed out, if that matters.
        yielded: Option<Instant>,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// For the first item, and not yet polled.
    First,
    /// For the first item; the whole's limits are set.
    Initial,
    /// For any other.
    Item,
    Done,
}

impl<S, T: Timer> Timeout<S, T> {
    /// The stream inside. No item is held here.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl Limits {
    /// When the whole is to end, for a stream that is polled for the first time.
    fn end(&self, timer: &impl Timer) -> Option<(Instant, TimeoutKind)> {
        let completion = self.completion.map(|d| (timer.deadline(d), TimeoutKind::Completion));
        let deadline = self.deadline.map(|at| (at, TimeoutKind::Deadline));
        completion.into_iter().chain(deadline).min_by_key(|(at, _)| *at)
    }

    /// How long to wait for an item.
    fn item(&self, wait: Wait) -> Option<(Duration, TimeoutKind)> {
        let initial = self.initial.map(|d| (d, TimeoutKind::Initial));
        let idle = self.idle.map(|d| (d, TimeoutKind::Idle));
        if wait == Wait::Item { idle } else { initial.or(idle) }
    }

    fn of(&self, kind: TimeoutKind) -> Option<Duration> {
        match kind {
            TimeoutKind::Initial => self.initial,
            TimeoutKind::Idle => self.idle,
            TimeoutKind::Completion => self.completion,
            TimeoutKind::Backpressure => self.backpressure,
            _ => None,
        }
    }

    fn elapsed(&self, kind: TimeoutKind) -> Elapsed {
        Elapsed { kind, after: self.of(kind) }
    }
}

impl<S: TryStream, T: Timer> Timeout<S, T> {
    /// The part that touches the clock: nothing has come, or the whole has a limit.
    #[inline(never)]
    fn poll_alarm(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Elapsed> {
        let mut this = self.project();
        if !this.alarm.is_set() {
            let item = this.limits.item(*this.wait);
            let item = item.map(|(d, kind)| (this.alarm.timer().deadline(d), kind));
            let Some((at, _)) = item.into_iter().chain(*this.end).min_by_key(|(at, _)| *at) else {
                return Poll::Pending;
            };
            this.alarm.as_mut().set(at);
        }
        let at = this.alarm.deadline();
        if this.alarm.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let kind = match *this.end {
            Some((end, kind)) if Some(end) == at => {
                *this.wait = Wait::Done;
                kind
            }
            _ => this.limits.item(*this.wait).map_or(TimeoutKind::Idle, |(_, kind)| kind),
        };
        Poll::Ready(this.limits.elapsed(kind))
    }

    /// The end of the whole, for a stream that always has something: the alarm is not polled then.
    fn is_over(self: Pin<&mut Self>) -> Option<Elapsed> {
        let this = self.project();
        let (end, kind) = (*this.end)?;
        if this.alarm.timer().now() < end {
            return None;
        }
        *this.wait = Wait::Done;
        Some(this.limits.elapsed(kind))
    }

    fn is_late(self: Pin<&mut Self>) -> Option<Elapsed> {
        let this = self.project();
        let (since, limit) = (this.yielded.take()?, this.limits.backpressure?);
        let took = this.alarm.timer().now().saturating_duration_since(since);
        (took > limit).then(|| this.limits.elapsed(TimeoutKind::Backpressure))
    }
}

impl<S: TryStream, T: Timer> Stream for Timeout<S, T> {
    type Item = Result<S::Ok, TimeoutError<S::Error>>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.wait {
            Wait::Done => return Poll::Ready(None),
            Wait::First => {
                let mut this = self.as_mut().project();
                *this.end = this.limits.end(this.alarm.as_mut().timer());
                *this.wait = Wait::Initial;
            }
            Wait::Initial | Wait::Item => {}
        }
        if self.yielded.is_some() {
            if let Some(elapsed) = self.as_mut().is_late() {
                return Poll::Ready(Some(Err(TimeoutError::Elapsed(elapsed))));
            }
        }
        if self.end.is_some() {
            if let Some(elapsed) = self.as_mut().is_over() {
                return Poll::Ready(Some(Err(TimeoutError::Elapsed(elapsed))));
            }
        }
        let mut this = self.as_mut().project();
        match this.inner.as_mut().try_poll_next(cx) {
            Poll::Ready(item) => {
                this.alarm.as_mut().clear();
                *this.wait = if item.is_some() { Wait::Item } else { Wait::Done };
                if this.limits.backpressure.is_some() {
                    let now = this.alarm.as_mut().timer().now();
                    *this.yielded = Some(now);
                }
                Poll::Ready(item.map(|item| item.map_err(TimeoutError::Inner)))
            }
            Poll::Pending => {
                self.poll_alarm(cx).map(|elapsed| Some(Err(TimeoutError::Elapsed(elapsed))))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.wait == Wait::Done {
            return (0, Some(0));
        }
        // A timeout adds an error at any time, and one of the whole takes items away.
        let lower = if self.limits.completion.is_some() || self.limits.deadline.is_some() {
            0
        } else {
            self.inner.size_hint().0
        };
        (lower, None)
    }
}

impl<S: TryStream, T: Timer> FusedStream for Timeout<S, T> {
    fn is_terminated(&self) -> bool {
        self.wait == Wait::Done
    }
}

impl<S: fmt::Debug, T: Timer> fmt::Debug for Timeout<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("inner", &self.inner)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
