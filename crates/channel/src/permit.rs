//! Room that is kept: first the room, then the item. And the sink, which is made of that.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;

use crate::channel::Channel;
use crate::error::{Closed, TryReserveError};
use crate::ring::Miss;
use crate::waiters::{Side, Wait};
use crate::{SendError, Sender};

impl<T> Sender<T> {
    /// Waits for room and keeps it for one item.
    ///
    /// The room is taken from everybody else until the permit is used or dropped, but no place in the
    /// order is: the item comes behind those that are sent before it. A bounded channel keeps room for
    /// at most 32,767 permits at a time; whoever wants more waits.
    ///
    /// # Errors
    ///
    /// When the channel is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped. That is what it is for: an item that does not exist
    /// yet is not dropped along with a [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (s, r) = ziggurat_channel::bounded(1);
    /// let permit = s.reserve().await?;
    /// assert!(s.try_send(1).is_err()); // the room is taken
    /// permit.send(2).unwrap();
    /// assert_eq!(r.recv().await, Ok(2));
    /// # Ok::<(), ziggurat_channel::error::Closed>(())
    /// # }).unwrap();
    /// ```
    pub fn reserve(&self) -> Reserve<'_, T> {
        Reserve { sender: self, wait: Wait::default() }
    }

    /// Keeps room for one item, if there is some.
    ///
    /// # Errors
    ///
    /// When the channel is full or closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TryReserveError> {
        let mut backoff = crate::sync::Backoff::new();
        loop {
            match self.channel.reserve() {
                Ok(()) => return Ok(Permit { sender: self, used: false }),
                Err(Miss::Closed) => return Err(TryReserveError::Closed),
                Err(Miss::Busy) => backoff.snooze(),
                Err(_) => return Err(TryReserveError::Full),
            }
        }
    }
}

/// Room for one item. Dropping it gives the room back.
#[must_use = "a permit that is not used keeps room from others until it is dropped"]
pub struct Permit<'a, T> {
    sender: &'a Sender<T>,
    used: bool,
}

impl<T> Permit<'_, T> {
    /// Sends an item, at once.
    ///
    /// # Errors
    ///
    /// When the channel has been closed since. The error gives the item back.
    pub fn send(mut self, item: T) -> Result<(), SendError<T>> {
        self.used = true;
        self.sender.channel.push_reserved(item).map_err(SendError)
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        if !self.used {
            self.sender.channel.unreserve();
        }
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// A future that waits for room. Made by [`Sender::reserve`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Reserve<'a, T> {
    sender: &'a Sender<T>,
    wait: Wait,
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Reserve { sender, wait } = self.get_mut();
        let sender: &'a Sender<T> = sender;
        let reserved =
            wait.poll(cx, &mut &*sender.channel, Side::Senders, |channel| channel.reserve());
        reserved.map(|reserved| match reserved {
            Ok(()) => Ok(Permit { sender, used: false }),
            Err(_) => Err(Closed),
        })
    }
}

impl<T> Drop for Reserve<'_, T> {
    fn drop(&mut self) {
        self.wait.end(&&*self.sender.channel, Side::Senders, false);
    }
}

impl<T> fmt::Debug for Reserve<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").finish_non_exhaustive()
    }
}

/// What a sender that is used as a sink holds between `poll_ready` and `start_send`.
pub(crate) struct Readiness {
    wait: Wait,
    reserved: bool,
    /// The sink has been closed.
    ended: bool,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Readiness { wait: Wait::passive(), reserved: false, ended: false }
    }

    /// `true`: it had not ended before.
    pub(crate) fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.ended, true)
    }

    pub(crate) fn give_back<T>(&mut self, channel: &Channel<T>) {
        self.wait.end(&channel, Side::Senders, true);
        if std::mem::take(&mut self.reserved) {
            channel.unreserve();
        }
    }
}

/// A sink that is ready holds room, as a [`Permit`] does, until an item is sent or the sender is dropped.
/// A sink that has been closed takes no more items and does not keep the channel open; the sender's own
/// methods work as long as others do.
impl<T> Sink<T> for Sender<T> {
    type Error = SendError<Option<T>>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let Sender { channel, sink } = self.get_mut();
        if sink.ended {
            return Poll::Ready(Err(SendError(None)));
        }
        if !sink.reserved {
            let place = &mut &**channel;
            let reserved =
                ready!(sink.wait.poll(cx, place, Side::Senders, |channel| channel.reserve()));
            sink.wait = Wait::passive();
            if reserved.is_err() {
                return Poll::Ready(Err(SendError(None)));
            }
            sink.reserved = true;
        }
        Poll::Ready(if channel.is_closed() { Err(SendError(None)) } else { Ok(()) })
    }

    /// The error gives the item back: the sink or the channel is closed or, if it was not ready, full.
    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), Self::Error> {
        let Sender { channel, sink } = self.get_mut();
        let sent = if sink.ended {
            Err(item)
        } else if std::mem::take(&mut sink.reserved) {
            channel.push_reserved(item)
        } else {
            channel.push_settled(item).map_err(|(_, item)| item)
        };
        sent.map_err(|item| SendError(Some(item)))
    }

    /// There is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    /// Leaves the senders, as dropping this one does. The other senders stay, and the channel is closed
    /// if there are none. (To end it for all, see [`Sender::close`].)
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.get_mut().leave();
        Poll::Ready(Ok(()))
    }
}
