//! The futures of sending, receiving and waiting for the end.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::wait::Key;
use crate::waiters::{Side, Wait};
use crate::{Receiver, RecvError, SendError, Sender};

/// A future that sends an item. Made by [`Sender::send`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Send<'a, T> {
    sender: &'a Sender<T>,
    item: Option<T>,
    wait: Wait,
}

// The item is never pinned.
impl<T> Unpin for Send<'_, T> {}

impl<'a, T> Send<'a, T> {
    #[inline]
    pub(crate) fn new(sender: &'a Sender<T>, item: T) -> Self {
        Send { sender, item: Some(item), wait: Wait::default() }
    }

    /// Ends the wait, and returns the item if it has not been sent. Afterwards the future must not be
    /// polled.
    #[cfg(feature = "time")]
    pub(crate) fn cancel(&mut self) -> Option<T> {
        self.wait.end(&&*self.sender.channel, Side::Senders, false);
        self.item.take()
    }
}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // See `Recv::poll`.
        if !this.wait.is_parked() {
            if let Some(item) = this.item.take() {
                match this.sender.channel.push_quick(item) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(item) => this.item = Some(item),
                }
            }
        }
        this.poll_slow(cx)
    }
}

impl<T> Send<'_, T> {
    #[cold]
    #[inline(never)]
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let Send { sender, item, wait } = self;
        let sent = wait.poll(cx, &mut &*sender.channel, Side::Senders, |channel| {
            let Some(offered) = item.take() else { panic!("`Send` polled after completion") };
            channel.push(offered).map_err(|(miss, back)| {
                *item = Some(back);
                miss
            })
        });
        sent.map(|sent| match (sent, item.take()) {
            (Err(_), Some(item)) => Err(SendError(item)),
            _ => Ok(()),
        })
    }
}

impl<T> Drop for Send<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.wait.end(&&*self.sender.channel, Side::Senders, false);
    }
}

impl<T> fmt::Debug for Send<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Send").finish_non_exhaustive()
    }
}

/// A future that receives an item. Made by [`Receiver::recv`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Recv<'a, T> {
    receiver: &'a Receiver<T>,
    wait: Wait,
}

impl<'a, T> Recv<'a, T> {
    #[inline]
    pub(crate) fn new(receiver: &'a Receiver<T>) -> Self {
        Recv { receiver, wait: Wait::default() }
    }

    /// Ends the wait.
    #[cfg(feature = "time")]
    pub(crate) fn cancel(&mut self) {
        self.wait.end(&&*self.receiver.channel, Side::Receivers, false);
    }
}

impl<T> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The item goes straight into the result here, without a detour through memory: a wide load of
        // what was just stored in parts costs more than the rest of the operation.
        if !self.wait.is_parked() {
            if let Some(item) = self.receiver.channel.pop_quick() {
                return Poll::Ready(Ok(item));
            }
        }
        self.get_mut().poll_slow(cx)
    }
}

impl<T> Recv<'_, T> {
    #[cold]
    #[inline(never)]
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        let Recv { receiver, wait } = self;
        let received =
            wait.poll(cx, &mut &*receiver.channel, Side::Receivers, |channel| channel.pop());
        received.map(|received| received.map_err(|_| RecvError))
    }
}

impl<T> Drop for Recv<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.wait.end(&&*self.receiver.channel, Side::Receivers, false);
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").finish_non_exhaustive()
    }
}

/// A future that completes when the channel is closed. Made by [`Sender::closed`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Closed<'a, T> {
    sender: &'a Sender<T>,
    key: Option<Key>,
}

impl<'a, T> Closed<'a, T> {
    pub(crate) fn new(sender: &'a Sender<T>) -> Self {
        Closed { sender, key: None }
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Closed { sender, key } = self.get_mut();
        let channel = &*sender.channel;
        if channel.is_closed() {
            return Poll::Ready(());
        }
        channel.at_close().park(key, cx.waker());
        if channel.is_closed() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        self.sender.channel.at_close().unpark(&mut self.key, true);
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").finish_non_exhaustive()
    }
}
