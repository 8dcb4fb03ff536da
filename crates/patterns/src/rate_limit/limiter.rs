//! A quota that is shared, and the waiters for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use super::bucket::{Bucket, Denied, Turn};
use super::{Quota, Rejected, TooLarge};

/// A quota, shared by all clones.
///
/// Who waits is admitted in the order of arrival, whatever it costs: a heavy one is not overtaken by
/// light ones, and [`try_acquire`](Self::try_acquire) takes nothing while somebody waits. Only the
/// first in the queue has a timer armed, in its own task.
///
/// A waiter that is neither polled nor dropped holds up those behind it, as with every fair queue: poll
/// it to its end, or drop it.
///
/// Cells that were taken and not used can be given back, as the layers do with readiness. Giving back
/// never makes a window too full: cells age as time passes, and what has been replenished meanwhile is
/// not replenished a second time. So `n` cells that were taken `t` ago give back what `n` intervals
/// exceed `t` by.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use ziggurat_patterns::rate_limit::{Quota, RateLimiter};
/// use ziggurat_patterns::time::TestClock;
///
/// let clock = TestClock::new();
/// let quota = Quota::per_second(NonZeroU32::new(2).unwrap());
/// let limiter = RateLimiter::new(quota).with_timer(clock.clone());
/// assert!(limiter.try_acquire(2).is_ok());
/// let wait = limiter.try_acquire(1).unwrap_err().wait();
/// assert_eq!(wait, Some(Duration::from_millis(500)));
/// clock.block_on(limiter.acquire(2)).unwrap();
/// assert_eq!(clock.elapsed(), Duration::from_secs(1));
/// assert!(limiter.try_acquire(3).unwrap_err().wait().is_none()); // more than the burst: never
/// ```
#[derive(Clone)]
pub struct RateLimiter<T = DefaultTimer> {
    timer: T,
    bucket: Arc<Bucket>,
}

impl RateLimiter {
    /// A limiter that nothing was taken from yet.
    pub fn new(quota: Quota) -> Self {
        RateLimiter { timer: DefaultTimer, bucket: Arc::new(Bucket::new(quota)) }
    }
}

impl<T> RateLimiter<T> {
    /// A limiter of the same quota by another timer. It shares nothing with this one.
    pub fn with_timer<U: Timer>(self, timer: U) -> RateLimiter<U> {
        RateLimiter { timer, bucket: Arc::new(Bucket::new(*self.bucket.quota())) }
    }

    /// The quota.
    pub fn quota(&self) -> &Quota {
        self.bucket.quota()
    }

    pub(super) fn timer(&self) -> &T {
        &self.timer
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.bucket.waiting()
    }

    /// What `cells` cost, in nanoseconds.
    fn cost(&self, cells: u32) -> Result<u64, TooLarge> {
        let quota = self.bucket.quota();
        let burst = quota.burst().get();
        if cells > burst { Err(TooLarge { cost: cells, burst }) } else { Ok(quota.cost(cells)) }
    }
}

impl<T: Timer> RateLimiter<T> {
    pub(super) fn with_bucket(timer: T, bucket: Arc<Bucket>) -> Self {
        RateLimiter { timer, bucket }
    }

    /// Takes `cells`, if there are that many and nobody waits. No cells always are.
    ///
    /// # Errors
    ///
    /// How long to wait, or that there will never be so many.
    #[inline]
    pub fn try_acquire(&self, cells: u32) -> Result<(), Rejected> {
        if cells == 1 {
            let now = self.timer.nanos();
            return match self.bucket.try_take(self.bucket.unit(), now) {
                Ok(()) => Ok(()),
                Err(denied) => Err(self.rejected(self.bucket.unit(), denied, now)),
            };
        }
        self.try_acquire_many(cells)
    }

    fn try_acquire_many(&self, cells: u32) -> Result<(), Rejected> {
        if cells == 0 {
            return Ok(());
        }
        let (cost, now) = (self.cost(cells)?, self.timer.nanos());
        self.bucket.try_take(cost, now).map_err(|denied| self.rejected(cost, denied, now))
    }

    #[cold]
    fn rejected(&self, cost: u64, denied: Denied, now: u64) -> Rejected {
        let wait = match denied {
            Denied::Wait(wait) => wait,
            Denied::Queued => self.bucket.wait(cost, now),
        };
        Rejected::TooSoon { wait: Duration::from_nanos(wait) }
    }

    /// Waits for `cells`, behind those who wait already.
    ///
    /// # Errors
    ///
    /// The future fails at once if the quota's burst is less than `cells`.
    ///
    /// # Cancel safety
    ///
    /// Whoever drops the future before it completes has taken nothing, and the next in the queue moves
    /// up.
    pub fn acquire(&self, cells: u32) -> Acquire<T> {
        Acquire { waiter: self.waiter(), cells }
    }

    /// A waiter, with which a task acquires time and again, by polling.
    pub fn waiter(&self) -> Waiter<T> {
        Waiter {
            place: Place { bucket: Arc::clone(&self.bucket), ticket: None },
            alarm: Alarm::new(self.timer.clone()),
        }
    }

    /// Takes one cell, if there is one and nobody waits. Says when that was, for giving it back.
    #[inline]
    pub(super) fn try_take_unit(&self) -> Option<u64> {
        let now = self.timer.nanos();
        self.bucket.try_take(self.bucket.unit(), now).ok().map(|()| now)
    }

    /// Gives one cell back.
    pub(super) fn give_back_unit(&self, taken: u64) {
        self.bucket.give_back(self.bucket.unit(), taken, self.timer.nanos());
    }
}

impl<T> fmt::Debug for RateLimiter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("quota", self.quota()).finish_non_exhaustive()
    }
}

/// A place in the queue, given up on drop.
struct Place {
    bucket: Arc<Bucket>,
    ticket: Option<u64>,
}

impl Place {
    fn give_up(&mut self) {
        if let Some(id) = self.ticket.take() {
            self.bucket.leave(id);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give_up();
    }
}

pin_project! {
    /// One task's access to a [`RateLimiter`], for those who poll. Made by [`RateLimiter::waiter`].
    ///
    /// It keeps its timer from one wait to the next. Dropping it gives its place in the queue up.
    ///
    /// ```
    /// use std::{future::poll_fn, num::NonZeroU32, pin::pin, time::Duration};
    /// use ziggurat_patterns::rate_limit::{Quota, RateLimiter};
    /// use ziggurat_patterns::time::TestClock;
    ///
    /// let clock = TestClock::new();
    /// let limiter = RateLimiter::new(Quota::per_second(NonZeroU32::MIN)).with_timer(clock.clone());
    /// let mut waiter = pin!(limiter.waiter());
    /// for _ in 0..3 {
    ///     clock.block_on(poll_fn(|cx| waiter.as_mut().poll_acquire(1, cx))).unwrap();
    /// }
    /// assert_eq!(clock.elapsed(), Duration::from_secs(2));
    /// ```
    #[must_use = "a waiter waits for nothing unless polled"]
    pub struct Waiter<T: Timer = DefaultTimer> {
        place: Place,
        #[pin]
        alarm: Alarm<T>,
    }
}

impl<T: Timer> Waiter<T> {
    /// Takes `cells`, when there are that many and those before it have theirs. A waiter that is in the
    /// queue waits for as many as it was first polled for.
    ///
    /// # Errors
    ///
    /// At once, if the quota's burst is less than `cells`.
    #[inline]
    pub fn poll_acquire(
        self: Pin<&mut Self>,
        cells: u32,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TooLarge>> {
        self.poll_take(cells, cx).map_ok(|_| ())
    }

    /// As `poll_acquire`; says when the cells were taken, in the timer's nanoseconds.
    #[inline]
    pub(super) fn poll_take(
        self: Pin<&mut Self>,
        cells: u32,
        cx: &mut Context<'_>,
    ) -> Poll<Result<u64, TooLarge>> {
        let quota = self.place.bucket.quota();
        let cost = quota.cost(cells);
        if self.place.ticket.is_none() {
            let burst = quota.burst().get();
            if cells > burst {
                return Poll::Ready(Err(TooLarge { cost: cells, burst }));
            }
            let now = self.alarm.timer().nanos();
            if cells == 0 || self.place.bucket.try_take(cost, now).is_ok() {
                return Poll::Ready(Ok(now));
            }
        }
        self.poll_turn(cost, cx).map(Ok)
    }

    /// Leaves the queue.
    pub(super) fn give_up(self: Pin<&mut Self>) {
        let this = self.project();
        this.place.give_up();
        this.alarm.clear();
    }

    #[inline(never)]
    fn poll_turn(self: Pin<&mut Self>, cost: u64, cx: &mut Context<'_>) -> Poll<u64> {
        let mut this = self.project();
        let Place { bucket, ticket } = this.place;
        loop {
            let now = this.alarm.timer().nanos();
            match bucket.poll_turn(ticket, cost, now, cx.waker()) {
                Turn::Taken => {
                    this.alarm.clear();
                    return Poll::Ready(now);
                }
                Turn::Behind => return Poll::Pending,
                Turn::Wait(nanos) => {
                    this.alarm.as_mut().set_after(Duration::from_nanos(nanos));
                    if this.alarm.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl<T: Timer> fmt::Debug for Waiter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("ticket", &self.place.ticket).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`RateLimiter::acquire`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Acquire<T: Timer = DefaultTimer> {
        #[pin]
        waiter: Waiter<T>,
        cells: u32,
    }
}

impl<T: Timer> Future for Acquire<T> {
    type Output = Result<(), TooLarge>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.waiter.poll_acquire(*this.cells, cx)
    }
}

impl<T: Timer> fmt::Debug for Acquire<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("cells", &self.cells).finish_non_exhaustive()
    }
}
