//! Sending and receiving with a limit on the wait.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use crate::futures::{Recv, Send};
use crate::{Receiver, Sender};

/// Why [`Sender::send_timeout`] sent nothing. It gives the item back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// There was no room in time.
    Timeout(T),
    /// The channel is closed.
    Closed(T),
}

// By hand, so that items need not be `Debug`.
impl<T> std::error::Error for SendTimeoutError<T> {}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendTimeoutError::Timeout(_) => write!(f, "Timeout(..)"),
            SendTimeoutError::Closed(_) => write!(f, "Closed(..)"),
        }
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendTimeoutError::Timeout(_) => write!(f, "sending timed out"),
            SendTimeoutError::Closed(_) => write!(f, "sending into a closed channel"),
        }
    }
}

impl<T> SendTimeoutError<T> {
    /// The item that could not be sent.
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(item) | SendTimeoutError::Closed(item) => item,
        }
    }

    /// Whether it is for want of room, and not because the channel is closed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendTimeoutError::Timeout(_))
    }
}

/// Why [`Receiver::recv_timeout`] received nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecvTimeoutError {
    /// There was no item in time.
    #[error("receiving timed out")]
    Timeout,
    /// The channel is closed and empty.
    #[error("receiving from an empty and closed channel")]
    Closed,
}

impl RecvTimeoutError {
    /// Whether it is for want of an item, and not because the channel is closed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, RecvTimeoutError::Timeout)
    }
}

impl<T> Sender<T> {
    /// As [`send`](Self::send), but waits for `limit` at most, counted from when it begins to wait.
    ///
    /// # Errors
    ///
    /// When there was no room in time, or the channel is closed. The error gives the item back.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it completes drops the item, unsent.
    pub fn send_timeout(&self, item: T, limit: Duration) -> SendTimeout<'_, T> {
        self.send_timeout_with(item, limit, DefaultTimer)
    }

    /// As [`send_timeout`](Self::send_timeout), by another timer.
    pub fn send_timeout_with<M: Timer>(
        &self,
        item: T,
        limit: Duration,
        timer: M,
    ) -> SendTimeout<'_, T, M> {
        SendTimeout { send: self.send(item), limit: Limit::new(limit, timer) }
    }
}

impl<T> Receiver<T> {
    /// As [`recv`](Self::recv), but waits for `limit` at most, counted from when it begins to wait.
    ///
    /// # Errors
    ///
    /// When there was no item in time, or the channel is closed and empty.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ziggurat_channel::{RecvTimeoutError, bounded};
    /// use ziggurat_core::time::TestClock;
    ///
    /// let (_s, r) = bounded::<()>(1);
    /// let clock = TestClock::new();
    /// let received = r.recv_timeout_with(Duration::from_secs(9), clock.clone());
    /// assert_eq!(clock.block_on(received), Err(RecvTimeoutError::Timeout));
    /// assert_eq!(clock.elapsed(), Duration::from_secs(9));
    /// ```
    pub fn recv_timeout(&self, limit: Duration) -> RecvTimeout<'_, T> {
        self.recv_timeout_with(limit, DefaultTimer)
    }

    /// As [`recv_timeout`](Self::recv_timeout), by another timer.
    pub fn recv_timeout_with<M: Timer>(&self, limit: Duration, timer: M) -> RecvTimeout<'_, T, M> {
        RecvTimeout { recv: self.recv(), limit: Limit::new(limit, timer) }
    }
}

pin_project! {
    /// A limit that is set when it is polled for the first time.
    struct Limit<M: Timer> {
        #[pin]
        alarm: Alarm<M>,
        unset: Option<Duration>,
    }
}

impl<M: Timer> Limit<M> {
    fn new(limit: Duration, timer: M) -> Self {
        Limit { alarm: Alarm::new(timer), unset: Some(limit) }
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(limit) = this.unset.take() {
            this.alarm.as_mut().set_after(limit);
        }
        this.alarm.poll(cx)
    }
}

pin_project! {
    /// A future that sends an item within a time. Made by [`Sender::send_timeout`].
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct SendTimeout<'a, T, M: Timer = DefaultTimer> {
        send: Send<'a, T>,
        #[pin]
        limit: Limit<M>,
    }
}

impl<T, M: Timer> Future for SendTimeout<'_, T, M> {
    type Output = Result<(), SendTimeoutError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(sent) = Pin::new(&mut *this.send).poll(cx) {
            return Poll::Ready(sent.map_err(|error| SendTimeoutError::Closed(error.0)));
        }
        ready!(this.limit.poll(cx));
        // Now, not when it is dropped: until then it would take wakes that others need.
        match this.send.cancel() {
            Some(item) => Poll::Ready(Err(SendTimeoutError::Timeout(item))),
            None => Poll::Ready(Ok(())),
        }
    }
}

pin_project! {
    /// A future that receives an item within a time. Made by [`Receiver::recv_timeout`].
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct RecvTimeout<'a, T, M: Timer = DefaultTimer> {
        recv: Recv<'a, T>,
        #[pin]
        limit: Limit<M>,
    }
}

impl<T, M: Timer> Future for RecvTimeout<'_, T, M> {
    type Output = Result<T, RecvTimeoutError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(received) = Pin::new(&mut *this.recv).poll(cx) {
            return Poll::Ready(received.map_err(|_| RecvTimeoutError::Closed));
        }
        ready!(this.limit.poll(cx));
        // Now: as above.
        this.recv.cancel();
        Poll::Ready(Err(RecvTimeoutError::Timeout))
    }
}

impl<T, M: Timer> fmt::Debug for SendTimeout<'_, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendTimeout").finish_non_exhaustive()
    }
}

impl<T, M: Timer> fmt::Debug for RecvTimeout<'_, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvTimeout").finish_non_exhaustive()
    }
}
