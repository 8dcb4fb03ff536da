//! Debouncing of streams.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{Alarm, DefaultTimer, FAR_FUTURE, Timer};

use super::Edge;
use crate::buffer::POLLS;

/// Wraps streams in [`Debounce`].
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::{debounce::Edge, stream::DebounceLayer};
///
/// let layer = DebounceLayer::new(Duration::from_millis(200))
///     .edge(Edge::Both)
///     .max_wait(Duration::from_secs(2));
/// # let _ = layer;
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct DebounceLayer<T = DefaultTimer> {
    policy: Bursts,
    timer: T,
}

#[derive(Debug, Clone, Copy)]
struct Bursts {
    quiet: Duration,
    edge: Edge,
    max_wait: Option<Duration>,
}

impl DebounceLayer {
    /// A burst is over when no item has come for `quiet`; then its last item is passed on.
    pub fn new(quiet: Duration) -> Self {
        let policy = Bursts { quiet, edge: Edge::Trailing, max_wait: None };
        DebounceLayer { policy, timer: DefaultTimer }
    }
}

impl<T> DebounceLayer<T> {
    /// Which item of a burst is passed on.
    pub fn edge(mut self, edge: Edge) -> Self {
        self.policy.edge = edge;
        self
    }

    /// While a burst goes on, its latest item is passed on at the latest so long after the first one that
    /// waits. [`Edge::Leading`] has none that wait.
    pub fn max_wait(mut self, limit: Duration) -> Self {
        self.policy.max_wait = Some(limit);
        self
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> DebounceLayer<U> {
        DebounceLayer { policy: self.policy, timer }
    }
}

impl<S: Stream, T: Timer> Layer<S> for DebounceLayer<T> {
    type Service = Debounce<S, T>;

    fn layer(&self, inner: S) -> Debounce<S, T> {
        Debounce {
            inner,
            alarm: Alarm::new(self.timer.clone()),
            policy: self.policy,
            burst: None,
            held: None,
            superseded: 0,
            done: false,
        }
    }
}

/// The burst that is not over.
#[derive(Debug, Clone, Copy)]
struct Burst {
    /// When it is over, if nothing comes.
    quiet_at: Instant,
    /// When the item that is held is passed on in any case.
    max_at: Option<Instant>,
}

impl Burst {
    fn next(&self) -> Instant {
        self.max_at.map_or(self.quiet_at, |max_at| max_at.min(self.quiet_at))
    }
}

pin_project! {
    /// A stream that passes on one item of each burst. Made by [`DebounceLayer`].
    ///
    /// An item comes when a poll takes it from the source: items that are ready in one poll come at the
    /// same time, and the clock is read once for them. A poll takes at most 128 of them before it lets
    /// others run. When the source ends, the item that is held comes at once.
    #[must_use = "streams do nothing unless polled"]
    pub struct Debounce<S: Stream, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        #[pin]
        alarm: Alarm<T>,
        policy: Bursts,
        burst: Option<Burst>,
        held: Option<S::Item>,
        superseded: u64,
        done: bool,
    }
}

impl<S: Stream, T: Timer> Debounce<S, T> {
    /// The stream inside, and the item that waits for its burst to end.
    pub fn into_parts(self) -> (S, Option<S::Item>) {
        (self.inner, self.held)
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// How many items were dropped for others of their bursts.
    pub fn superseded(&self) -> u64 {
        self.superseded
    }

    /// Looks at the alarm. Ready when an item is to be passed on, or a burst is over.
    fn poll_burst(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let Some(burst) = this.burst else { return Poll::Pending };
        this.alarm.as_mut().set(burst.next());
        if this.alarm.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if burst.next() == burst.quiet_at {
            *this.burst = None;
        } else {
            burst.max_at = None;
        }
        Poll::Ready(this.held.take())
    }

    /// Takes what is ready. Returns the item to pass on at once, or how it went.
    fn poll_items(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Taken<S::Item>> {
        let mut this = self.project();
        let mut came = false;
        let mut polled = Poll::Ready(Taken::More);
        for _ in 0..POLLS {
            match this.inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    let first = this.burst.is_none() && !came;
                    came = true;
                    match this.policy.edge {
                        Edge::Leading | Edge::Both if first => {
                            polled = Poll::Ready(Taken::First(item));
                            break;
                        }
                        Edge::Leading => *this.superseded += 1,
                        Edge::Trailing | Edge::Both => {
                            let old = this.held.replace(item);
                            *this.superseded += u64::from(old.is_some());
                        }
                    }
                }
                Poll::Ready(None) => {
                    *this.done = true;
                    this.alarm.as_mut().clear();
                    return Poll::Ready(Taken::End);
                }
                Poll::Pending => {
                    polled = Poll::Pending;
                    break;
                }
            }
        }
        if came {
            let now = this.alarm.timer().now();
            let after = |duration: Duration| now + duration.min(FAR_FUTURE);
            let waits = this.held.is_some();
            let max_at = this.burst.as_ref().and_then(|burst| burst.max_at);
            let max_at = max_at.or_else(|| this.policy.max_wait.filter(|_| waits).map(after));
            *this.burst = Some(Burst { quiet_at: after(this.policy.quiet), max_at });
        }
        polled
    }
}

/// What a poll of the source brought.
enum Taken<I> {
    /// The first of a burst, to be passed on.
    First(I),
    /// There may be more at once.
    More,
    End,
}

impl<S: Stream, T: Timer> Stream for Debounce<S, T> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.done {
            return Poll::Ready(self.project().held.take());
        }
        // What was due before the source's next item came goes first.
        if let Poll::Ready(Some(item)) = self.as_mut().poll_burst(cx) {
            return Poll::Ready(Some(item));
        }
        let more = match self.as_mut().poll_items(cx) {
            Poll::Ready(Taken::First(item)) => return Poll::Ready(Some(item)),
            Poll::Ready(Taken::End) => return Poll::Ready(self.project().held.take()),
            Poll::Ready(Taken::More) => true,
            Poll::Pending => false,
        };
        if let Poll::Ready(Some(item)) = self.as_mut().poll_burst(cx) {
            return Poll::Ready(Some(item));
        }
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::from(self.held.is_some());
        if self.done {
            return (held, Some(held));
        }
        let (lower, upper) = self.inner.size_hint();
        // The last item of all is never superseded, but under `Leading` within a burst.
        let shown = self.policy.edge != Edge::Leading || self.burst.is_none();
        let lower = held.max(usize::from(shown && lower > 0));
        (lower, upper.and_then(|upper| upper.checked_add(held)))
    }
}

impl<S: Stream, T: Timer> FusedStream for Debounce<S, T> {
    fn is_terminated(&self) -> bool {
        self.done && self.held.is_none()
    }
}

impl<S: Stream + fmt::Debug, T: Timer> fmt::Debug for Debounce<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Debounce")
            .field("inner", &self.inner)
            .field("policy", &self.policy)
            .field("held", &self.held.is_some())
            .field("superseded", &self.superseded)
            .finish_non_exhaustive()
    }
}
