//! Rate limits of sinks.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::service::Reserved;
use super::{Cost, Mode, Quota, RateLimitError, RateLimiter, Rejected, Unit, Waiter};

/// Wraps sinks in [`RateLimit`]: the sink is ready when there is room. All that it wraps share one quota.
///
/// ```
/// use std::num::NonZeroU32;
/// use futures::{SinkExt, sink};
/// use ziggurat_patterns::{SinkLayerExt, rate_limit::Quota, sink::RateLimitLayer};
/// use ziggurat_patterns::time::TestClock;
///
/// let clock = TestClock::new();
/// let layer = RateLimitLayer::new(Quota::per_second(NonZeroU32::MIN)).with_timer(clock.clone());
/// let mut sink = SinkLayerExt::<i32>::layer(sink::drain(), layer);
/// clock.block_on(async {
///     for item in 0..3 {
///         sink.send(item).await.unwrap();
///     }
/// });
/// assert_eq!(clock.elapsed().as_secs(), 2);
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

    /// An item costs as many cells as `cost` says of it.
    pub fn weighted<Item, C: Cost<Item>>(self, cost: C) -> TryRateLimitLayer<Item, C, T> {
        TryRateLimitLayer::new(self.limiter, cost, Mode::Shaping)
    }

    /// An item for which there is no room is handed back.
    pub fn enforcing<Item>(self) -> TryRateLimitLayer<Item, Unit, T> {
        TryRateLimitLayer::new(self.limiter, Unit, Mode::Enforcing)
    }
}

impl<S, T: Timer> Layer<S> for RateLimitLayer<T> {
    type Service = RateLimit<S, T>;

    fn layer(&self, inner: S) -> RateLimit<S, T> {
        let waiter = self.limiter.waiter();
        RateLimit { inner, waiter, cell: Reserved::new(self.limiter.clone()) }
    }
}

pin_project! {
    /// A sink that is ready when there is room. Made by [`RateLimitLayer`].
    ///
    /// The cell is taken before the sink inside is asked for room, and counts from then on. One that is
    /// not used is given back when the sink is closed or dropped, and so is a place in the queue.
    ///
    /// # Panics
    ///
    /// `start_send` panics if `poll_ready` has not returned `Ready(Ok(()))` before.
    #[must_use = "sinks do nothing unless polled"]
    pub struct RateLimit<S, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        #[pin]
        waiter: Waiter<T>,
        cell: Reserved<T>,
    }
}

impl<S, T: Timer> RateLimit<S, T> {
    /// The sink inside. No item is held here.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The sink inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Sink<Item>, Item, T: Timer> Sink<Item> for RateLimit<S, T> {
    type Error = S::Error;

    #[inline]
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let this = self.project();
        if this.cell.taken.is_none() {
            // A single cell is never too much.
            this.cell.taken = ready!(this.waiter.poll_take(1, cx)).ok();
        }
        this.inner.poll_ready(cx)
    }

    #[inline]
    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), S::Error> {
        let this = self.project();
        assert!(this.cell.taken.take().is_some(), "`poll_ready` must be called first");
        this.inner.start_send(item)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let this = self.project();
        this.cell.give_back();
        this.waiter.give_up();
        this.inner.poll_close(cx)
    }
}

impl<S: fmt::Debug, T: Timer> fmt::Debug for RateLimit<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("inner", &self.inner)
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}

/// Wraps sinks in [`TryRateLimit`]: with weights, or rejecting. Made by [`RateLimitLayer::weighted`] and
/// [`RateLimitLayer::enforcing`].
///
/// ```
/// use std::num::NonZeroU32;
/// use futures::{SinkExt, sink};
/// use ziggurat_patterns::{Layer, rate_limit::Quota, sink::RateLimitLayer};
///
/// # futures::executor::block_on(async {
/// let layer = RateLimitLayer::new(Quota::per_hour(NonZeroU32::MIN)).enforcing();
/// let mut sink = Box::pin(layer.layer(sink::drain()));
/// sink.send("a").await.unwrap();
/// assert_eq!(sink.send("b").await.unwrap_err().into_item(), Some("b"));
/// # });
/// ```
#[must_use = "layers do nothing unless applied"]
pub struct TryRateLimitLayer<Item, C = Unit, T = DefaultTimer> {
    limiter: RateLimiter<T>,
    cost: C,
    mode: Mode,
    item: PhantomData<fn(Item)>,
}

impl<Item, C, T> TryRateLimitLayer<Item, C, T> {
    fn new(limiter: RateLimiter<T>, cost: C, mode: Mode) -> Self {
        TryRateLimitLayer { limiter, cost, mode, item: PhantomData }
    }

    /// An item costs as many cells as `cost` says of it.
    pub fn weighted<D: Cost<Item>>(self, cost: D) -> TryRateLimitLayer<Item, D, T> {
        TryRateLimitLayer::new(self.limiter, cost, self.mode)
    }

    /// What becomes of an item for which there is no room.
    pub fn with_mode(self, mode: Mode) -> Self {
        TryRateLimitLayer { mode, ..self }
    }

    /// Hands an item for which there is no room back.
    pub fn enforcing(self) -> Self {
        self.with_mode(Mode::Enforcing)
    }
}

impl<Item, C: Clone, T: Clone> Clone for TryRateLimitLayer<Item, C, T> {
    fn clone(&self) -> Self {
        Self::new(self.limiter.clone(), self.cost.clone(), self.mode)
    }
}

impl<Item, C, T> fmt::Debug for TryRateLimitLayer<Item, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryRateLimitLayer")
            .field("limiter", &self.limiter)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl<S, Item, C: Clone, T: Timer> Layer<S> for TryRateLimitLayer<Item, C, T> {
    type Service = TryRateLimit<S, Item, C, T>;

    fn layer(&self, inner: S) -> TryRateLimit<S, Item, C, T> {
        TryRateLimit {
            inner,
            limiter: self.limiter.clone(),
            waiter: self.limiter.waiter(),
            cost: self.cost.clone(),
            mode: self.mode,
            held: None,
        }
    }
}

pin_project! {
    /// A sink whose items are weighed, or rejected. Made by [`TryRateLimitLayer`].
    ///
    /// An item's cost is known only when it comes. If there is no room, it is held here, one at most,
    /// and the sink is not ready until it has gone on; a flush or a close waits for that too. An item
    /// that is rejected, or that costs more than the quota's burst, is handed back in the error.
    ///
    /// # Cancel safety
    ///
    /// The item that is held can be had by [`into_parts`](Self::into_parts).
    ///
    /// # Panics
    ///
    /// `start_send` panics if an item is held: `poll_ready` was not waited for.
    #[must_use = "sinks do nothing unless polled"]
    pub struct TryRateLimit<S, Item, C = Unit, T: Timer = DefaultTimer> {
        #[pin]
        inner: S,
        limiter: RateLimiter<T>,
        #[pin]
        waiter: Waiter<T>,
        cost: C,
        mode: Mode,
        held: Option<Held<Item>>,
    }
}

struct Held<Item> {
    item: Item,
    /// What it still has to wait for.
    cost: u32,
}

impl<S, Item, C, T: Timer> TryRateLimit<S, Item, C, T> {
    /// The sink inside, and the item that waits.
    pub fn into_parts(self) -> (S, Option<Item>) {
        (self.inner, self.held.map(|held| held.item))
    }

    /// The sink inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Sink<Item>, Item, C, T: Timer> TryRateLimit<S, Item, C, T> {
    /// Sends the held item on.
    #[inline]
    fn poll_held(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let mut this = self.project();
        let Some(held) = this.held else { return Poll::Ready(Ok(())) };
        if held.cost > 0 {
            // It is not too large: it was weighed when it came.
            let _ = ready!(this.waiter.poll_acquire(held.cost, cx));
            held.cost = 0;
        }
        ready!(this.inner.as_mut().poll_ready(cx))?;
        match this.held.take() {
            Some(held) => Poll::Ready(this.inner.start_send(held.item)),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<S, Item, C, T> Sink<Item> for TryRateLimit<S, Item, C, T>
where
    S: Sink<Item>,
    C: Cost<Item>,
    T: Timer,
{
    type Error = RateLimitError<S::Error, Item>;

    #[inline]
    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.as_mut().poll_held(cx)).map_err(RateLimitError::Inner)?;
        self.project().inner.poll_ready(cx).map_err(RateLimitError::Inner)
    }

    #[inline]
    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), Self::Error> {
        let this = self.project();
        // Else it would take the place of the one that waits.
        assert!(this.held.is_none(), "`poll_ready` must be called first");
        let cost = this.cost.cost(&item);
        match this.limiter.try_acquire(cost) {
            Ok(()) => this.inner.start_send(item).map_err(RateLimitError::Inner),
            Err(Rejected::TooSoon { .. }) if *this.mode == Mode::Shaping => {
                *this.held = Some(Held { item, cost });
                Ok(())
            }
            Err(reason) => Err(RateLimitError::Rejected { reason, item }),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.as_mut().poll_held(cx)).map_err(RateLimitError::Inner)?;
        self.project().inner.poll_flush(cx).map_err(RateLimitError::Inner)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.as_mut().poll_held(cx)).map_err(RateLimitError::Inner)?;
        self.project().inner.poll_close(cx).map_err(RateLimitError::Inner)
    }
}

impl<S: fmt::Debug, Item, C, T: Timer> fmt::Debug for TryRateLimit<S, Item, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryRateLimit")
            .field("inner", &self.inner)
            .field("mode", &self.mode)
            .field("held", &self.held.is_some())
            .finish_non_exhaustive()
    }
}
