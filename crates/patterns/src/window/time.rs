//! Windows of the items of so long a time.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{Alarm, DefaultTimer, FAR_FUTURE, Timer};

use crate::buffer::POLLS;
use crate::sample::stream::end_of_step;

/// Wraps streams in [`TimeWindow`].
///
/// ```
/// use std::time::Duration;
/// use futures::StreamExt;
/// use ziggurat_patterns::{StreamLayerExt, stream::TimeWindowLayer, testing::Script, time::TestClock};
///
/// let (clock, second) = (TestClock::new(), Duration::from_secs(1));
/// let ticks = Script::new(&clock).items(["a", "b"]).wait(3 * second).item("c").build().0;
/// let layer = TimeWindowLayer::new(second).emit_empty(true).with_timer(clock.clone());
/// let windows: Vec<_> = clock.block_on(ticks.layer(layer).collect());
/// assert_eq!(windows, [vec!["a", "b"], vec![], vec![], vec!["c"]]);
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct TimeWindowLayer<T = DefaultTimer> {
    windows: Windows,
    timer: T,
}

#[derive(Debug, Clone, Copy)]
struct Windows {
    size: Duration,
    empty: bool,
    partial: bool,
}

impl TimeWindowLayer {
    /// A window lasts `size`; the first begins with the first item. Zero counts as a nanosecond.
    pub fn new(size: Duration) -> Self {
        let size = size.clamp(Duration::from_nanos(1), FAR_FUTURE);
        let windows = Windows { size, empty: false, partial: true };
        TimeWindowLayer { windows, timer: DefaultTimer }
    }
}

impl<T> TimeWindowLayer<T> {
    /// Whether windows without items come too. They do not by default.
    pub fn emit_empty(mut self, emit: bool) -> Self {
        self.windows.empty = emit;
        self
    }

    /// Whether the items of the window that the end of the source cuts short come, and at once. They do
    /// unless this is called.
    pub fn emit_partial(mut self, emit: bool) -> Self {
        self.windows.partial = emit;
        self
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> TimeWindowLayer<U> {
        TimeWindowLayer { windows: self.windows, timer }
    }
}

impl<S: Stream, T: Timer> Layer<S> for TimeWindowLayer<T> {
    type Service = TimeWindow<S, T>;

    fn layer(&self, inner: S) -> TimeWindow<S, T> {
        TimeWindow {
            inner,
            alarm: Alarm::new(self.timer.clone()),
            windows: self.windows,
            origin: None,
            items: Vec::new(),
            done: false,
        }
    }
}

pin_project! {
    /// A stream of the items of so long a time. Made by [`TimeWindowLayer`].
    ///
    /// What a poll takes from the source, at most 128 items, belongs to the window that is open when
    /// the poll begins; an item that comes as a window ends belongs to the next. The clock is read only
    /// when a window opens after a pause.
    #[must_use = "streams do nothing unless polled"]
    pub struct TimeWindow<S: Stream, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        // Set to the end of the window that is open.
        #[pin]
        alarm: Alarm<T>,
        windows: Windows,
        // When the first window began.
        origin: Option<Instant>,
        items: Vec<S::Item>,
        done: bool,
    }
}

impl<S: Stream, T: Timer> TimeWindow<S, T> {
    /// The stream inside, and the items of the window that is open.
    pub fn into_parts(self) -> (S, Vec<S::Item>) {
        (self.inner, self.items)
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The window that is open, if it is over. The next one opens at once if it comes without items too.
    fn poll_window(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<S::Item>> {
        let mut this = self.project();
        let Some(end) = this.alarm.deadline() else { return Poll::Pending };
        if this.alarm.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if this.windows.empty {
            this.alarm.set(end + this.windows.size);
        }
        Poll::Ready(mem::take(this.items))
    }
}

impl<S: Stream, T: Timer> Stream for TimeWindow<S, T> {
    type Item = Vec<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        if self.done {
            return Poll::Ready(None);
        }
        // A window that is over has no part in what the source has now.
        if let Poll::Ready(items) = self.as_mut().poll_window(cx) {
            return Poll::Ready(Some(items));
        }
        let mut this = self.as_mut().project();
        let (mut more, mut opened) = (true, false);
        for _ in 0..POLLS {
            match this.inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if !this.alarm.is_set() {
                        let now = this.alarm.timer().now();
                        let origin = *this.origin.get_or_insert(now);
                        this.alarm.as_mut().set(end_of_step(origin, this.windows.size, now));
                        opened = true;
                    }
                    this.items.push(item);
                }
                Poll::Ready(None) => {
                    *this.done = true;
                    this.alarm.clear();
                    let last = this.windows.partial && !this.items.is_empty();
                    return Poll::Ready(last.then(|| mem::take(this.items)));
                }
                Poll::Pending => {
                    more = false;
                    break;
                }
            }
        }
        if opened {
            if let Poll::Ready(items) = self.poll_window(cx) {
                return Poll::Ready(Some(items));
            }
        }
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done {
            return (0, Some(0));
        }
        let (lower, upper) = self.inner.size_hint();
        let held = usize::from(!self.items.is_empty());
        let lower = usize::from(self.windows.partial && (held > 0 || lower > 0));
        let upper = upper.filter(|_| !self.windows.empty);
        (lower, upper.and_then(|upper| upper.checked_add(held)))
    }
}

impl<S: Stream, T: Timer> FusedStream for TimeWindow<S, T> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: Stream + fmt::Debug, T: Timer> fmt::Debug for TimeWindow<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeWindow")
            .field("inner", &self.inner)
            .field("windows", &self.windows)
            .field("len", &self.items.len())
            .finish_non_exhaustive()
    }
}
