//! The futures of sending to all, and of receiving.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Receiver, RecvError, Sender, TryRecvError};
use crate::wait::Key;
use crate::{SendError, TrySendError};

/// A future that sends an item to all. Made by [`Sender::send`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Send<'a, T> {
    sender: &'a Sender<T>,
    item: Option<T>,
    key: Option<Key>,
}

impl<'a, T> Send<'a, T> {
    pub(super) fn new(sender: &'a Sender<T>, item: T) -> Self {
        Send { sender, item: Some(item), key: None }
    }
}

// The item is never pinned.
impl<T> Unpin for Send<'_, T> {}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Send { sender, item, key } = self.get_mut();
        // Before the attempt: a wake that comes after it is about something else, and is passed on.
        let woken = sender.shared.senders.is_woken(*key);
        let mut registered = false;
        loop {
            let Some(offered) = item.take() else { panic!("`Send` polled after completion") };
            let sent = match sender.shared.try_send(offered) {
                Ok(()) => Ok(()),
                Err(TrySendError::Closed(back)) => Err(SendError(back)),
                Err(TrySendError::Full(back)) => {
                    *item = Some(back);
                    if registered || !sender.shared.senders.park(key, cx.waker()) {
                        return Poll::Pending;
                    }
                    registered = true;
                    continue;
                }
            };
            sender.shared.senders.unpark(key, woken && !registered);
            return Poll::Ready(sent);
        }
    }
}

impl<T> Drop for Send<'_, T> {
    fn drop(&mut self) {
        self.sender.shared.senders.unpark(&mut self.key, false);
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
    receiver: &'a mut Receiver<T>,
    key: Option<Key>,
}

impl<'a, T> Recv<'a, T> {
    pub(super) fn new(receiver: &'a mut Receiver<T>) -> Self {
        Recv { receiver, key: None }
    }
}

impl<T: Clone> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Recv { receiver, key } = self.get_mut();
        let mut registered = false;
        loop {
            let received = match receiver.try_recv() {
                Ok(item) => Ok(item),
                Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
                Err(TryRecvError::Closed) => Err(RecvError::Closed),
                Err(TryRecvError::Empty) => {
                    if registered || !receiver.shared.receivers.park(key, cx.waker()) {
                        return Poll::Pending;
                    }
                    registered = true;
                    continue;
                }
            };
            return Poll::Ready(received);
        }
    }
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        // Everybody is woken at once, so that there is nothing to pass on.
        self.receiver.shared.receivers.unpark(&mut self.key, true);
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").finish_non_exhaustive()
    }
}
