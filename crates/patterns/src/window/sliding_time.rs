//! Windows of the items of so long a time that share items.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{Alarm, DefaultTimer, FAR_FUTURE, Timer};

use crate::buffer::POLLS;
use crate::sample::stream::end_of_step;

/// Wraps streams in [`SlidingTimeWindow`].
///
/// ```
/// use std::time::Duration;
/// use futures::StreamExt;
/// use ziggurat_patterns::stream::SlidingTimeWindowLayer;
/// use ziggurat_patterns::{StreamLayerExt, testing::Script, time::TestClock};
///
/// let (clock, second) = (TestClock::new(), Duration::from_secs(1));
/// let ticks = Script::new(&clock).item(1).wait(second).item(2).wait(second).item(3).build().0;
/// let layer = SlidingTimeWindowLayer::new(2 * second, second).with_timer(clock.clone());
/// let windows: Vec<_> = clock.block_on(ticks.layer(layer).collect());
/// assert_eq!(windows, [[1, 2], [2, 3]]);
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct SlidingTimeWindowLayer<T = DefaultTimer> {
    windows: Windows,
    timer: T,
}

#[derive(Debug, Clone, Copy)]
struct Windows {
    size: Duration,
    step: Duration,
    empty: bool,
    partial: bool,
}

impl SlidingTimeWindowLayer {
    /// A window lasts `size`, and begins `step` after the one before it; the first begins with the first
    /// item. Zero counts as a nanosecond.
    ///
    /// With a `step` beyond `size` the items between two windows are dropped, and
    /// [counted](SlidingTimeWindow::skipped).
    pub fn new(size: Duration, step: Duration) -> Self {
        let [size, step] = [size, step].map(|d| d.clamp(Duration::from_nanos(1), FAR_FUTURE));
        let windows = Windows { size, step, empty: false, partial: true };
        SlidingTimeWindowLayer { windows, timer: DefaultTimer }
    }
}

impl<T> SlidingTimeWindowLayer<T> {
    /// Whether windows without items come too. They do not by default.
    pub fn emit_empty(mut self, emit: bool) -> Self {
        self.windows.empty = emit;
        self
    }

    /// Whether items that were in no window at the end come at once in one that is cut short, with those
    /// that it shares. They do by default.
    pub fn emit_partial(mut self, emit: bool) -> Self {
        self.windows.partial = emit;
        self
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> SlidingTimeWindowLayer<U> {
        SlidingTimeWindowLayer { windows: self.windows, timer }
    }
}

impl<S: Stream<Item: Clone>, T: Timer> Layer<S> for SlidingTimeWindowLayer<T> {
    type Service = SlidingTimeWindow<S, T>;

    fn layer(&self, inner: S) -> SlidingTimeWindow<S, T> {
        SlidingTimeWindow {
            inner,
            alarm: Alarm::new(self.timer.clone()),
            windows: self.windows,
            origin: None,
            items: VecDeque::new(),
            unseen: 0,
            skipped: 0,
            done: false,
        }
    }
}

pin_project! {
    /// A stream of windows in time that share items. Made by [`SlidingTimeWindowLayer`].
    ///
    /// The items that one poll takes, at most 128, come at the same time, and the clock is read once for
    /// them; an item that comes as a window ends does not belong to it. An item is cloned for each window
    /// that it is in, but the last.
    #[must_use = "streams do nothing unless polled"]
    pub struct SlidingTimeWindow<S: Stream, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        // Set to the end of the window that comes next.
        #[pin]
        alarm: Alarm<T>,
        windows: Windows,
        // When the first window began.
        origin: Option<Instant>,
        // With the times when they came.
        items: VecDeque<(Instant, S::Item)>,
        // How many of the last items have been in no window.
        unseen: usize,
        skipped: u64,
        done: bool,
    }
}

impl<S: Stream, T: Timer> SlidingTimeWindow<S, T> {
    /// The stream inside, and the items that are held, the oldest first: some of them may have been in a
    /// window.
    pub fn into_parts(self) -> (S, VecDeque<S::Item>) {
        (self.inner, self.items.into_iter().map(|(_, item)| item).collect())
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// How many items were dropped between windows.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

impl Windows {
    /// The end of the first window that ends after `now`.
    fn next_end(&self, origin: Instant, now: Instant) -> Instant {
        // Windows end every `step`, from `origin + size` on.
        let first = origin + self.size;
        if now < first { first } else { end_of_step(first, self.step, now) }
    }

    /// Whether an item that comes now is before the window that ends at `end`.
    fn skips(&self, now: Instant, end: Instant) -> bool {
        now + self.size < end
    }
}

impl<S: Stream<Item: Clone>, T: Timer> SlidingTimeWindow<S, T> {
    /// The window that comes next, if it is over.
    fn poll_window(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<S::Item>> {
        let mut this = self.project();
        let Some(end) = this.alarm.deadline() else { return Poll::Pending };
        if this.alarm.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let next_end = end + this.windows.step;
        let mut window = Vec::new();
        // Those that no later window has are moved.
        while let Some((came, _)) = this.items.front() {
            if *came + this.windows.size >= next_end {
                break;
            }
            let (came, item) = this.items.pop_front().expect("looked at above");
            if came < end {
                window.push(item);
            } else {
                *this.skipped += 1;
            }
        }
        let seen = this.items.partition_point(|(came, _)| *came < end);
        window.extend(this.items.iter().take(seen).map(|(_, item)| item.clone()));
        *this.unseen = this.items.len() - seen;
        if this.windows.empty || !this.items.is_empty() {
            this.alarm.set(next_end);
        }
        Poll::Ready(window)
    }
}

impl<S: Stream<Item: Clone>, T: Timer> Stream for SlidingTimeWindow<S, T> {
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
        let (mut more, mut now) = (true, None);
        for _ in 0..POLLS {
            match this.inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    let now = *now.get_or_insert_with(|| this.alarm.timer().now());
                    let origin = *this.origin.get_or_insert(now);
                    let open = this.alarm.deadline();
                    let end = open.unwrap_or_else(|| this.windows.next_end(origin, now));
                    if this.windows.skips(now, end) {
                        *this.skipped += 1;
                        continue;
                    }
                    this.alarm.as_mut().set(end);
                    this.items.push_back((now, item));
                    *this.unseen += 1;
                }
                Poll::Ready(None) => {
                    *this.done = true;
                    this.alarm.clear();
                    let last = this.windows.partial && *this.unseen > 0;
                    let items = this.items;
                    return Poll::Ready(
                        last.then(|| items.drain(..).map(|(_, item)| item).collect()),
                    );
                }
                Poll::Pending => {
                    more = false;
                    break;
                }
            }
        }
        if now.is_some() {
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
        let comes = self.inner.size_hint().0 > 0 && self.windows.step <= self.windows.size;
        let lower = usize::from(self.windows.partial && (self.unseen > 0 || comes));
        // An item may be in many windows.
        (lower, None)
    }
}

impl<S: Stream<Item: Clone>, T: Timer> FusedStream for SlidingTimeWindow<S, T> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: Stream + fmt::Debug, T: Timer> fmt::Debug for SlidingTimeWindow<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlidingTimeWindow")
            .field("inner", &self.inner)
            .field("windows", &self.windows)
            .field("len", &self.items.len())
            .finish_non_exhaustive()
    }
}
