//! Sampling of streams.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{Alarm, DefaultTimer, FAR_FUTURE, Timer};

use crate::buffer::POLLS;

pub use super::by::{SampleBy, SampleByLayer};

/// Wraps streams in [`Sample`].
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::stream::SampleLayer;
///
/// let once_a_second = SampleLayer::new(Duration::from_secs(1));
/// # let _ = once_a_second;
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct SampleLayer<T = DefaultTimer> {
    period: Duration,
    timer: T,
}

impl SampleLayer {
    /// At most one item per `period`. Zero counts as a nanosecond.
    pub fn new(period: Duration) -> Self {
        let period = period.clamp(Duration::from_nanos(1), FAR_FUTURE);
        SampleLayer { period, timer: DefaultTimer }
    }
}

impl<T> SampleLayer<T> {
    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> SampleLayer<U> {
        SampleLayer { period: self.period, timer }
    }
}

impl<S: Stream, T: Timer> Layer<S> for SampleLayer<T> {
    type Service = Sample<S, T>;

    fn layer(&self, inner: S) -> Sample<S, T> {
        let alarm = Alarm::new(self.timer.clone());
        Sample { inner, alarm, period: self.period, held: Held::new(), start: None, done: false }
    }
}

/// The latest item, and how many it has superseded.
#[derive(Debug)]
pub(super) struct Held<I> {
    pub item: Option<I>,
    pub superseded: u64,
}

/// What a poll of the source brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// There may be more at once.
    More,
    Pending,
    End,
}

impl<I> Held<I> {
    pub(super) fn new() -> Self {
        Held { item: None, superseded: 0 }
    }

    /// Takes what is ready and keeps the latest.
    pub(super) fn poll_items<S: Stream<Item = I>>(
        &mut self,
        mut source: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> Taken {
        for _ in 0..POLLS {
            match source.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    let old = self.item.replace(item);
                    self.superseded += u64::from(old.is_some());
                }
                Poll::Ready(None) => return Taken::End,
                Poll::Pending => return Taken::Pending,
            }
        }
        Taken::More
    }

    /// For a source of which so many items are to come.
    pub(super) fn size_hint(&self, inner: (usize, Option<usize>)) -> (usize, Option<usize>) {
        let held = usize::from(self.item.is_some());
        // The last item of all is never superseded.
        (held.max(inner.0.min(1)), inner.1.and_then(|upper| upper.checked_add(held)))
    }
}

pin_project! {
    /// A stream that passes on the latest item of each period. Made by [`SampleLayer`].
    ///
    /// An item belongs to the period in which a poll takes it from the source; one that comes as a period
    /// ends belongs to the next. The clock is read once per period that has items. A poll takes at most
    /// 128 items before it lets others run.
    #[must_use = "streams do nothing unless polled"]
    pub struct Sample<S: Stream, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        // Set while an item is held.
        #[pin]
        alarm: Alarm<T>,
        period: Duration,
        held: Held<S::Item>,
        // Where the periods begin: at the first item.
        start: Option<Instant>,
        done: bool,
    }
}

impl<S: Stream, T: Timer> Sample<S, T> {
    /// The stream inside, and the latest item, whose period is not over.
    pub fn into_parts(self) -> (S, Option<S::Item>) {
        (self.inner, self.held.item)
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// How many items were dropped for later ones of their periods.
    pub fn superseded(&self) -> u64 {
        self.held.superseded
    }
}

/// The end of the step from `start` in which `now` lies.
pub(crate) fn end_of_step(start: Instant, step: Duration, now: Instant) -> Instant {
    let passed = now.saturating_duration_since(start);
    let within = u64::try_from(passed.as_nanos() % step.as_nanos()).unwrap_or(0);
    now.max(start) + (step - Duration::from_nanos(within))
}

impl<S: Stream, T: Timer> Stream for Sample<S, T> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if *this.done {
            return Poll::Ready(this.held.item.take());
        }
        // What was due before the source's next item came goes first.
        if this.alarm.is_set() && this.alarm.as_mut().poll(cx).is_ready() {
            return Poll::Ready(this.held.item.take());
        }
        let taken = this.held.poll_items(this.inner, cx);
        if taken == Taken::End {
            *this.done = true;
            this.alarm.clear();
            return Poll::Ready(this.held.item.take());
        }
        if this.held.item.is_some() {
            if !this.alarm.is_set() {
                let now = this.alarm.timer().now();
                let start = *this.start.get_or_insert(now);
                this.alarm.as_mut().set(end_of_step(start, *this.period, now));
            }
            if this.alarm.as_mut().poll(cx).is_ready() {
                return Poll::Ready(this.held.item.take());
            }
        }
        if taken == Taken::More {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.held.size_hint(if self.done { (0, Some(0)) } else { self.inner.size_hint() })
    }
}

impl<S: Stream, T: Timer> FusedStream for Sample<S, T> {
    fn is_terminated(&self) -> bool {
        self.done && self.held.item.is_none()
    }
}

impl<S: Stream + fmt::Debug, T: Timer> fmt::Debug for Sample<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("inner", &self.inner)
            .field("period", &self.period)
            .field("held", &self.held.item.is_some())
            .field("superseded", &self.held.superseded)
            .finish_non_exhaustive()
    }
}
