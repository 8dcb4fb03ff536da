//! Sending and receiving with a limit on the wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use crate::futures::{Recv, Send};
use crate::{Receiver, Sender};

/// Why [`Sender::send_timeout`] sent nothing. It gives the item back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendTimeoutError<T> {
    /// There was no room in time.
    #[error("sending timed out")]
    Timeout(T),
    /// The channel is closed.
    #[error("sending into a closed channel")]
    Closed(T),
}

impl<T> SendTimeoutError<T> {
    /// The item that could not be sent.
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(item) | SendTimeoutError::Closed(item) => item,
        }
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
        match (this.limit.poll(cx), &mut *this.send) {
            (Poll::Pending, _) => Poll::Pending,
            (Poll::Ready(()), send) => match send.take() {
                Some(item) => Poll::Ready(Err(SendTimeoutError::Timeout(item))),
                None => Poll::Ready(Ok(())),
            },
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
        if let Poll::Ready(received) = Pin::new(this.recv).poll(cx) {
            return Poll::Ready(received.map_err(|_| RecvTimeoutError::Closed));
        }
        this.limit.poll(cx).map(|()| Err(RecvTimeoutError::Timeout))
    }
}
