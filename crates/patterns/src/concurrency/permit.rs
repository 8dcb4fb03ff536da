//! A fair semaphore, and the permits that it gives out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::permits::{MAX, Permits, Refused};
use super::{Closed, TryAcquireError};

/// A count of permits, shared by all clones. Who waits gets them in the order of arrival, however many he
/// wants; nobody is overtaken.
///
/// A waiter that is neither polled nor dropped may hold up those behind it, as with every fair queue:
/// poll it to its end, or drop it.
///
/// ```
/// use ziggurat_patterns::concurrency::Semaphore;
///
/// # futures::executor::block_on(async {
/// let semaphore = Semaphore::new(3);
/// let permit = semaphore.acquire_many(2).await.unwrap();
/// assert_eq!(semaphore.available_permits(), 1);
/// semaphore.forget_permits(2); // one now, one when it is given back
/// drop(permit);
/// assert_eq!(semaphore.available_permits(), 1);
/// # });
/// ```
#[derive(Clone)]
pub struct Semaphore {
    permits: Arc<Permits>,
}

impl Semaphore {
    /// A semaphore of so many permits. With none, nobody is admitted until some are
    /// [added](Self::add_permits).
    pub fn new(permits: usize) -> Self {
        Semaphore { permits: Arc::new(Permits::new(permits as u64)) }
    }

    /// How many permits are free.
    pub fn available_permits(&self) -> usize {
        usize::try_from(self.permits.available()).unwrap_or(usize::MAX)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.permits.waiting()
    }

    /// Takes a permit, if one is free and nobody waits.
    ///
    /// # Errors
    ///
    /// If there is none, or the semaphore is closed.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes several permits, if so many are free and nobody waits.
    ///
    /// # Errors
    ///
    /// If there are fewer, or the semaphore is closed.
    #[inline]
    pub fn try_acquire_many(&self, permits: u32) -> Result<Permit, TryAcquireError> {
        self.permits.try_take_now(permits.into())?;
        Ok(self.permit(permits))
    }

    /// Waits for a permit.
    ///
    /// # Errors
    ///
    /// The future fails if the semaphore is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives its place up, and its permit if it has got it: the next one moves up.
    pub fn acquire(&self) -> Acquire {
        self.acquire_many(1)
    }

    /// Waits for several permits. If the semaphore never has so many, it waits for ever, and those
    /// behind it too.
    ///
    /// # Errors
    ///
    /// The future fails if the semaphore is closed.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_many(&self, permits: u32) -> Acquire {
        Acquire { semaphore: self.clone(), permits, ticket: None }
    }

    /// Adds permits; there are at most 2⁶⁰ free ones.
    pub fn add_permits(&self, permits: usize) {
        self.permits.add((permits as u64).min(MAX));
    }

    /// Takes permits away for good: those that are free at once, others when they are given back,
    /// before anybody who waits gets them.
    pub fn forget_permits(&self, permits: usize) {
        self.permits.forget(permits as u64);
    }

    /// Closes it: who waits, and who comes later, gets an error. Permits that are out remain valid.
    pub fn close(&self) {
        self.permits.close();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    #[inline]
    fn permit(&self, permits: u32) -> Permit {
        Permit { semaphore: self.clone(), permits }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Permits, given back on drop. Got from a [`Semaphore`].
///
/// ```
/// use ziggurat_patterns::concurrency::Semaphore;
///
/// let semaphore = Semaphore::new(1);
/// let permit = semaphore.try_acquire().unwrap();
/// permit.forget();
/// assert_eq!(semaphore.available_permits(), 0);
/// ```
#[must_use = "a permit is given back at once if it is dropped"]
#[derive(Debug)]
pub struct Permit {
    semaphore: Semaphore,
    permits: u32,
}

impl Permit {
    /// How many it stands for.
    pub fn permits(&self) -> u32 {
        self.permits
    }

    /// Never gives them back.
    pub fn forget(mut self) {
        self.permits = 0;
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        if self.permits > 0 {
            self.semaphore.permits.give(self.permits.into());
        }
    }
}

/// The future of [`Semaphore::acquire`] and [`Semaphore::acquire_many`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Acquire {
    semaphore: Semaphore,
    permits: u32,
    ticket: Option<u64>,
}

impl Acquire {
    /// As `poll`, and refuses to be one more than `max_waiting` in the queue.
    #[inline]
    pub(super) fn poll_bounded(
        &mut self,
        max_waiting: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit, Refused>> {
        let permits = u64::from(self.permits);
        if self.ticket.is_some() || self.semaphore.permits.try_take(permits).is_err() {
            let (shared, ticket) = (&self.semaphore.permits, &mut self.ticket);
            ready!(shared.poll_take(ticket, permits, max_waiting, cx.waker()))?;
        }
        Poll::Ready(Ok(self.semaphore.permit(self.permits)))
    }
}

impl Future for Acquire {
    type Output = Result<Permit, Closed>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // `Full` can't be.
        self.poll_bounded(usize::MAX, cx).map_err(|_| Closed)
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        if let Some(id) = self.ticket.take() {
            self.semaphore.permits.leave(id);
        }
    }
}

/// One task's access to a [`Semaphore`], for those who poll: `poll_ready` waits for a permit and keeps
/// it, [`take`](Self::take) hands it out. Nothing is allocated where a permit is free.
///
/// Dropping it gives its permit, or its place in the queue, up. A clone has neither.
///
/// ```
/// use std::future::poll_fn;
/// use ziggurat_patterns::concurrency::{PollSemaphore, Semaphore};
///
/// # futures::executor::block_on(async {
/// let semaphore = Semaphore::new(1);
/// let mut slot = PollSemaphore::new(semaphore.clone());
/// poll_fn(|cx| slot.poll_ready(cx)).await.unwrap();
/// assert_eq!(semaphore.available_permits(), 0);
/// let permit = slot.take().unwrap();
/// drop(permit);
/// assert_eq!(semaphore.available_permits(), 1);
/// # });
/// ```
#[derive(Debug)]
pub struct PollSemaphore {
    semaphore: Semaphore,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Waiting(u64),
    Held,
}

impl PollSemaphore {
    /// Access to `semaphore`, without a permit yet.
    pub fn new(semaphore: Semaphore) -> Self {
        PollSemaphore { semaphore, state: State::Idle }
    }

    /// The semaphore.
    pub fn semaphore(&self) -> &Semaphore {
        &self.semaphore
    }

    /// Waits for a permit, unless it has one.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed.
    #[inline]
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        match self.state {
            State::Held => return Poll::Ready(Ok(())),
            State::Idle if self.semaphore.permits.try_take(1).is_ok() => {
                self.state = State::Held;
                return Poll::Ready(Ok(()));
            }
            State::Idle | State::Waiting(_) => {}
        }
        self.poll_wait(cx)
    }

    #[inline(never)]
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let mut ticket = match self.state {
            State::Waiting(id) => Some(id),
            State::Idle | State::Held => None,
        };
        let polled = self.semaphore.permits.poll_take(&mut ticket, 1, usize::MAX, cx.waker());
        self.state = match (polled, ticket) {
            (Poll::Pending, Some(id)) => State::Waiting(id),
            (Poll::Ready(Ok(())), _) => State::Held,
            _ => State::Idle,
        };
        polled.map_err(|_| Closed)
    }

    /// Hands the permit out, if there is one.
    #[inline]
    pub fn take(&mut self) -> Option<Permit> {
        if self.state != State::Held {
            return None;
        }
        self.state = State::Idle;
        Some(self.semaphore.permit(1))
    }

    /// Gives the permit, or the place in the queue, up.
    pub fn give_up(&mut self) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {}
            State::Waiting(id) => self.semaphore.permits.leave(id),
            State::Held => self.semaphore.permits.give(1),
        }
    }
}

impl Clone for PollSemaphore {
    fn clone(&self) -> Self {
        PollSemaphore::new(self.semaphore.clone())
    }
}

impl Drop for PollSemaphore {
    #[inline]
    fn drop(&mut self) {
        self.give_up();
    }
}
