//! Timeouts of sinks.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_sink::Sink;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use super::{Elapsed, TimeoutError, TimeoutKind};

/// Wraps sinks in [`Timeout`].
///
/// ```
/// use std::time::Duration;
/// use futures::{SinkExt, channel::mpsc};
/// use ziggurat_patterns::{SinkLayerExt, sink::TimeoutLayer};
///
/// # futures::executor::block_on(async {
/// let (sender, _receiver) = mpsc::channel::<u32>(0);
/// let mut sink = sender.layer(TimeoutLayer::new(Duration::from_millis(10)));
/// sink.feed(1).await.unwrap();
/// assert!(sink.feed(2).await.unwrap_err().is_elapsed()); // nobody receives
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct TimeoutLayer<T = DefaultTimer> {
    limits: Limits,
    timer: T,
}

#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    ready: Option<Duration>,
    flush: Option<Duration>,
    close: Option<Duration>,
}

impl TimeoutLayer {
    /// One limit for each wait: for room, for a flush, for closing.
    pub fn new(limit: Duration) -> Self {
        let limits = Limits { ready: Some(limit), flush: Some(limit), close: Some(limit) };
        TimeoutLayer { limits, timer: DefaultTimer }
    }

    /// A limit for the wait for room only (a slow consumer behind the sink).
    pub fn ready(limit: Duration) -> Self {
        let limits = Limits { ready: Some(limit), ..Limits::default() };
        TimeoutLayer { limits, timer: DefaultTimer }
    }
}

impl<T> TimeoutLayer<T> {
    /// Another limit for a flush.
    pub fn with_flush(mut self, limit: Duration) -> Self {
        self.limits.flush = Some(limit);
        self
    }

    /// Another limit for closing.
    pub fn with_close(mut self, limit: Duration) -> Self {
        self.limits.close = Some(limit);
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
        let alarm = Alarm::new(self.timer.clone());
        Timeout { inner, alarm, limits: self.limits, waits: None }
    }
}

pin_project! {
    /// A sink that must have room, flush and close in time. Made by [`TimeoutLayer`].
    ///
    /// A timeout is an error of that one wait. The item is not lost: it was not handed over, or is in the
    /// sink inside, which can be polled again.
    #[must_use = "sinks do nothing unless polled"]
    pub struct Timeout<S, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        #[pin]
        alarm: Alarm<T>,
        limits: Limits,
        // What the alarm is set for.
        waits: Option<TimeoutKind>,
    }
}

impl<S, T: Timer> Timeout<S, T> {
    /// The sink inside. No item is held here.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The sink inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Passes on what is ready, and watches the clock over what is not.
    fn limit<E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        polled: Poll<Result<(), E>>,
        kind: TimeoutKind,
        limit: Option<Duration>,
    ) -> Poll<Result<(), TimeoutError<E>>> {
        let mut this = self.project();
        if let Poll::Ready(result) = polled {
            this.alarm.clear();
            return Poll::Ready(result.map_err(TimeoutError::Inner));
        }
        let Some(limit) = limit else { return Poll::Pending };
        if !this.alarm.is_set() || *this.waits != Some(kind) {
            this.alarm.as_mut().set_after(limit);
            *this.waits = Some(kind);
        }
        let elapsed = Elapsed { kind, after: Some(limit) };
        this.alarm.poll(cx).map(|()| Err(TimeoutError::Elapsed(elapsed)))
    }
}

impl<S: Sink<Item>, Item, T: Timer> Sink<Item> for Timeout<S, T> {
    type Error = TimeoutError<S::Error>;

    #[inline]
    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let polled = self.as_mut().project().inner.poll_ready(cx);
        let limit = self.limits.ready;
        self.limit(cx, polled, TimeoutKind::Ready, limit)
    }

    #[inline]
    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), Self::Error> {
        self.project().inner.start_send(item).map_err(TimeoutError::Inner)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let polled = self.as_mut().project().inner.poll_flush(cx);
        let limit = self.limits.flush;
        self.limit(cx, polled, TimeoutKind::Flush, limit)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let polled = self.as_mut().project().inner.poll_close(cx);
        let limit = self.limits.close;
        self.limit(cx, polled, TimeoutKind::Close, limit)
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
