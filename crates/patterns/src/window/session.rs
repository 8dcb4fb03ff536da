//! Windows of items that follow each other closely.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use crate::buffer::POLLS;

/// Wraps streams in [`SessionWindow`].
///
/// ```
/// use std::time::Duration;
/// use futures::StreamExt;
/// use ziggurat_patterns::{StreamLayerExt, stream::SessionWindowLayer, testing::Script, time::TestClock};
///
/// let (clock, second) = (TestClock::new(), Duration::from_secs(1));
/// let clicks = Script::new(&clock).item(1).wait(second).item(2).wait(5 * second).item(3).build().0;
/// let layer = SessionWindowLayer::new(2 * second).with_timer(clock.clone());
/// let sessions: Vec<_> = clock.block_on(clicks.layer(layer).collect());
/// assert_eq!(sessions, [vec![1, 2], vec![3]]);
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct SessionWindowLayer<T = DefaultTimer> {
    gap: Duration,
    partial: bool,
    timer: T,
}

impl SessionWindowLayer {
    /// A window is over when no item has come for `gap`. It has no greatest size.
    pub fn new(gap: Duration) -> Self {
        SessionWindowLayer { gap, partial: true, timer: DefaultTimer }
    }
}

impl<T> SessionWindowLayer<T> {
    /// Whether the items of the window that the end of the source cuts short come, and at once. They do
    /// unless this is called.
    pub fn emit_partial(mut self, emit: bool) -> Self {
        self.partial = emit;
        self
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> SessionWindowLayer<U> {
        SessionWindowLayer { gap: self.gap, partial: self.partial, timer }
    }
}

impl<S: Stream, T: Timer> Layer<S> for SessionWindowLayer<T> {
    type Service = SessionWindow<S, T>;

    fn layer(&self, inner: S) -> SessionWindow<S, T> {
        SessionWindow {
            inner,
            alarm: Alarm::new(self.timer.clone()),
            gap: self.gap,
            partial: self.partial,
            items: Vec::new(),
            done: false,
        }
    }
}

pin_project! {
    /// A stream of the items between gaps. Made by [`SessionWindowLayer`].
    ///
    /// The items that one poll takes, at most 128, come at the same time, and the clock is read once for
    /// them.
    #[must_use = "streams do nothing unless polled"]
    pub struct SessionWindow<S: Stream, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        #[pin]
        alarm: Alarm<T>,
        gap: Duration,
        partial: bool,
        items: Vec<S::Item>,
        done: bool,
    }
}

impl<S: Stream, T: Timer> SessionWindow<S, T> {
    /// The stream inside, and the items of the window that is open.
    pub fn into_parts(self) -> (S, Vec<S::Item>) {
        (self.inner, self.items)
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Stream, T: Timer> Stream for SessionWindow<S, T> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        let mut this = self.project();
        if *this.done {
            return Poll::Ready(None);
        }
        // A window that is over has no part in what the source has now.
        if this.alarm.is_set() && this.alarm.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(mem::take(this.items)));
        }
        let (mut more, mut came) = (true, false);
        for _ in 0..POLLS {
            match this.inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    this.items.push(item);
                    came = true;
                }
                Poll::Ready(None) => {
                    *this.done = true;
                    this.alarm.clear();
                    let last = *this.partial && !this.items.is_empty();
                    return Poll::Ready(last.then(|| mem::take(this.items)));
                }
                Poll::Pending => {
                    more = false;
                    break;
                }
            }
        }
        if came {
            this.alarm.as_mut().set_after(*this.gap);
            if this.alarm.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Some(mem::take(this.items)));
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
        let lower = usize::from(self.partial && (held > 0 || lower > 0));
        (lower, upper.and_then(|upper| upper.checked_add(held)))
    }
}

impl<S: Stream, T: Timer> FusedStream for SessionWindow<S, T> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: Stream + fmt::Debug, T: Timer> fmt::Debug for SessionWindow<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWindow")
            .field("inner", &self.inner)
            .field("gap", &self.gap)
            .field("len", &self.items.len())
            .finish_non_exhaustive()
    }
}
