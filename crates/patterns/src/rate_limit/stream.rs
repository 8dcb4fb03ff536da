//! Rate limits of streams.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream, TryStream};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::{Cost, Mode, Quota, RateLimitError, RateLimiter, Rejected, Unit, Waiter};

/// Wraps streams in [`RateLimit`]: items wait for their turn. All that it wraps share one quota.
///
/// ```
/// use std::num::NonZeroU32;
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{StreamLayerExt, rate_limit::Quota, stream::RateLimitLayer};
/// use ziggurat_patterns::time::TestClock;
///
/// let clock = TestClock::new();
/// let layer = RateLimitLayer::new(Quota::per_second(NonZeroU32::MIN)).with_timer(clock.clone());
/// let both = stream::select(stream::iter(0..2).layer(layer.clone()), stream::iter(2..4).layer(layer));
/// assert_eq!(clock.block_on(both.count()), 4);
/// assert_eq!(clock.elapsed().as_secs(), 3);
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct RateLimitLayer<T = DefaultTimer> {
    limiter: RateLimiter<T>,
}

impl RateLimitLayer {
    /// One cell per item.
    pub fn new(quota: Quota) -> Self {
        Self::shared(RateLimiter::new(quota))
    }
}

impl<T> RateLimitLayer<T> {
    /// A quota that others use too.
    pub fn shared(limiter: RateLimiter<T>) -> Self {
        RateLimitLayer { limiter }
    }

    /// Uses another timer, and a new quota with it.
    pub fn with_timer<U: Timer>(self, timer: U) -> RateLimitLayer<U> {
        RateLimitLayer { limiter: self.limiter.with_timer(timer) }
    }

    /// Over results: an item costs as many cells as `cost` says of it.
    pub fn weighted<C>(self, cost: C) -> TryRateLimitLayer<C, T> {
        TryRateLimitLayer { limiter: self.limiter, cost, mode: Mode::Shaping }
    }

    /// Over results: an item for which there is no room is handed out at once, in an error.
    pub fn enforcing(self) -> TryRateLimitLayer<Unit, T> {
        TryRateLimitLayer { limiter: self.limiter, cost: Unit, mode: Mode::Enforcing }
    }
}

impl<S: Stream, T: Timer> Layer<S> for RateLimitLayer<T> {
    type Service = RateLimit<S, T>;

    fn layer(&self, inner: S) -> RateLimit<S, T> {
        RateLimit { inner, waiter: self.limiter.waiter(), held: None, done: false }
    }
}

pin_project! {
    /// A stream whose items wait for their turn. Made by [`RateLimitLayer`].
    ///
    /// It takes an item from the source, and holds it until there is room: one item of prefetch. So an
    /// item that comes after a pause is counted when it comes, and the quota is not spent on waiting.
    ///
    /// # Cancel safety
    ///
    /// The item that is held can be had by [`into_parts`](Self::into_parts).
    #[must_use = "streams do nothing unless polled"]
    pub struct RateLimit<S: Stream, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        #[pin]
        waiter: Waiter<T>,
        held: Option<S::Item>,
        done: bool,
    }
}

impl<S: Stream, T: Timer> RateLimit<S, T> {
    /// The stream inside, and the item that waits.
    pub fn into_parts(self) -> (S, Option<S::Item>) {
        (self.inner, self.held)
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Stream, T: Timer> Stream for RateLimit<S, T> {
    type Item = S::Item;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let item = match this.held.take() {
            Some(item) => item,
            None if *this.done => return Poll::Ready(None),
            None => match ready!(this.inner.poll_next(cx)) {
                Some(item) => item,
                None => {
                    *this.done = true;
                    return Poll::Ready(None);
                }
            },
        };
        match this.waiter.as_mut().poll_take(1, cx) {
            // A single cell is never too much.
            Poll::Ready(_) => Poll::Ready(Some(item)),
            Poll::Pending => {
                *this.held = Some(item);
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        size_hint(&self.inner, self.done, self.held.is_some())
    }
}

/// What is to come of the source, and what is held.
fn size_hint(inner: &impl Stream, done: bool, held: bool) -> (usize, Option<usize>) {
    let held = usize::from(held);
    let (lower, upper) = if done { (0, Some(0)) } else { inner.size_hint() };
    (lower.saturating_add(held), upper.and_then(|upper| upper.checked_add(held)))
}

impl<S: Stream, T: Timer> FusedStream for RateLimit<S, T> {
    fn is_terminated(&self) -> bool {
        self.done && self.held.is_none()
    }
}

impl<S: Stream + fmt::Debug, T: Timer> fmt::Debug for RateLimit<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("inner", &self.inner)
            .field("waiter", &self.waiter)
            .field("held", &self.held.is_some())
            .finish_non_exhaustive()
    }
}

/// Wraps fallible streams in [`TryRateLimit`]: with weights, or rejecting. Made by
/// [`RateLimitLayer::weighted`] and [`RateLimitLayer::enforcing`].
///
/// ```
/// use std::num::NonZeroU32;
/// use futures::{TryStreamExt, stream};
/// use ziggurat_patterns::{StreamLayerExt, rate_limit::Quota, stream::RateLimitLayer};
/// use ziggurat_patterns::time::TestClock;
///
/// let clock = TestClock::new();
/// let bytes = Quota::per_second(NonZeroU32::new(1000).unwrap());
/// let layer = RateLimitLayer::new(bytes)
///     .with_timer(clock.clone())
///     .weighted(|chunk: &Vec<u8>| chunk.len() as u32);
/// let chunks = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 500]));
/// # use futures::StreamExt;
/// let slow = chunks.take(6).layer(layer);
/// clock.block_on(slow.try_collect::<Vec<_>>()).unwrap();
/// assert_eq!(clock.elapsed().as_secs(), 2); // 1000 at once
/// ```
#[derive(Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct TryRateLimitLayer<C = Unit, T = DefaultTimer> {
    limiter: RateLimiter<T>,
    cost: C,
    mode: Mode,
}

impl<C, T> fmt::Debug for TryRateLimitLayer<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryRateLimitLayer")
            .field("limiter", &self.limiter)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl<C, T> TryRateLimitLayer<C, T> {
    /// An item costs as many cells as `cost` says of it.
    pub fn weighted<D>(self, cost: D) -> TryRateLimitLayer<D, T> {
        TryRateLimitLayer { limiter: self.limiter, cost, mode: self.mode }
    }

    /// What becomes of an item for which there is no room.
    pub fn with_mode(self, mode: Mode) -> Self {
        TryRateLimitLayer { mode, ..self }
    }

    /// Hands an item for which there is no room out at once, in an error.
    pub fn enforcing(self) -> Self {
        self.with_mode(Mode::Enforcing)
    }
}

impl<S: TryStream, C: Clone, T: Timer> Layer<S> for TryRateLimitLayer<C, T> {
    type Service = TryRateLimit<S, C, T>;

    fn layer(&self, inner: S) -> TryRateLimit<S, C, T> {
        TryRateLimit {
            inner,
            limiter: self.limiter.clone(),
            waiter: self.limiter.waiter(),
            cost: self.cost.clone(),
            mode: self.mode,
            held: None,
            done: false,
        }
    }
}

pin_project! {
    /// A stream of results whose items are weighed, or rejected. Made by [`TryRateLimitLayer`].
    ///
    /// An item's cost is known only when it has been taken from the source: while it waits, it is held
    /// here, one at most. Errors of the source cost nothing and don't wait.
    ///
    /// An item that is rejected, or that costs more than the quota's burst, is in the error, and the
    /// stream goes on.
    ///
    /// # Cancel safety
    ///
    /// The item that is held can be had by [`into_parts`](Self::into_parts).
    #[must_use = "streams do nothing unless polled"]
    pub struct TryRateLimit<S: TryStream, C = Unit, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        limiter: RateLimiter<T>,
        #[pin]
        waiter: Waiter<T>,
        cost: C,
        mode: Mode,
        // With its cost.
        held: Option<(S::Ok, u32)>,
        done: bool,
    }
}

impl<S: TryStream, C, T: Timer> TryRateLimit<S, C, T> {
    /// The stream inside, and the item that waits.
    pub fn into_parts(self) -> (S, Option<S::Ok>) {
        (self.inner, self.held.map(|(item, _)| item))
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: TryStream, C: Cost<S::Ok>, T: Timer> Stream for TryRateLimit<S, C, T> {
    type Item = Result<S::Ok, RateLimitError<S::Error, S::Ok>>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let (item, cost) = match this.held.take() {
            Some(held) => held,
            None if *this.done => return Poll::Ready(None),
            None => match ready!(this.inner.try_poll_next(cx)) {
                Some(Ok(item)) => {
                    let cost = this.cost.cost(&item);
                    (item, cost)
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(RateLimitError::Inner(error)))),
                None => {
                    *this.done = true;
                    return Poll::Ready(None);
                }
            },
        };
        let result = match this.mode {
            Mode::Enforcing => this.limiter.try_acquire(cost),
            Mode::Shaping => match this.waiter.as_mut().poll_acquire(cost, cx) {
                Poll::Ready(result) => result.map_err(Rejected::from),
                Poll::Pending => {
                    *this.held = Some((item, cost));
                    return Poll::Pending;
                }
            },
        };
        Poll::Ready(Some(match result {
            Ok(()) => Ok(item),
            Err(reason) => Err(RateLimitError::Rejected { reason, item }),
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        size_hint(&self.inner, self.done, self.held.is_some())
    }
}

impl<S: TryStream, C: Cost<S::Ok>, T: Timer> FusedStream for TryRateLimit<S, C, T> {
    fn is_terminated(&self) -> bool {
        self.done && self.held.is_none()
    }
}

impl<S: TryStream + fmt::Debug, C, T: Timer> fmt::Debug for TryRateLimit<S, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryRateLimit")
            .field("inner", &self.inner)
            .field("mode", &self.mode)
            .field("held", &self.held.is_some())
            .finish_non_exhaustive()
    }
}
