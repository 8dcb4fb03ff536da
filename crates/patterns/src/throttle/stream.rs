//! Throttles of streams.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

/// Wraps streams in [`Throttle`].
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::stream::ThrottleLayer;
///
/// let ten_a_second = ThrottleLayer::new(Duration::from_millis(100));
/// # let _ = ten_a_second;
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct ThrottleLayer<T = DefaultTimer> {
    distance: Duration,
    timer: T,
}

impl ThrottleLayer {
    /// At least `distance` from one item to the next. A distance of zero changes nothing.
    pub fn new(distance: Duration) -> Self {
        ThrottleLayer { distance, timer: DefaultTimer }
    }
}

impl<T> ThrottleLayer<T> {
    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> ThrottleLayer<U> {
        ThrottleLayer { distance: self.distance, timer }
    }
}

impl<S, T: Timer> Layer<S> for ThrottleLayer<T> {
    type Service = Throttle<S, T>;

    fn layer(&self, inner: S) -> Throttle<S, T> {
        let alarm = Alarm::new(self.timer.clone());
        Throttle { inner, alarm, distance: self.distance, done: false }
    }
}

pin_project! {
    /// A stream whose items keep a distance in time. Made by [`ThrottleLayer`].
    ///
    /// The distance counts from when an item is handed out. It reads the clock once per item. While it
    /// waits, the source is not polled: also an end of the source is seen only after the wait.
    #[must_use = "streams do nothing unless polled"]
    pub struct Throttle<S, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        // Set while no item may come.
        #[pin]
        alarm: Alarm<T>,
        distance: Duration,
        done: bool,
    }
}

impl<S, T: Timer> Throttle<S, T> {
    /// The stream inside. No item is held here.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Stream, T: Timer> Stream for Throttle<S, T> {
    type Item = S::Item;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if *this.done {
            return Poll::Ready(None);
        }
        if this.alarm.is_set() {
            ready!(this.alarm.as_mut().poll(cx));
        }
        let item = ready!(this.inner.poll_next(cx));
        match item {
            None => *this.done = true,
            Some(_) if this.distance.is_zero() => {}
            Some(_) => this.alarm.set_after(*this.distance),
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done { (0, Some(0)) } else { self.inner.size_hint() }
    }
}

impl<S: Stream, T: Timer> FusedStream for Throttle<S, T> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: fmt::Debug, T: Timer> fmt::Debug for Throttle<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("inner", &self.inner)
            .field("distance", &self.distance)
            .finish_non_exhaustive()
    }
}
