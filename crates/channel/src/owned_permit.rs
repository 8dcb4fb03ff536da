//! Room that is kept by whoever holds the permit, wherever that goes: a permit with its own sender.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::{Closed, TryReserveError};
use crate::waiters::{Side, Wait};
use crate::{SendError, Sender, TrySendError};

impl<T> Sender<T> {
    /// As [`reserve`](Self::reserve), but the permit borrows nothing: it has this sender in it, and gives it
    /// back when it is used. So it can go to another task, or into a struct.
    ///
    /// # Errors
    ///
    /// When the channel is closed. The sender is dropped.
    ///
    /// # Cancel safety
    ///
    /// The sender is dropped along with the future, and the permit that it may just have got. Clone it to keep
    /// one.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (s, r) = ziggurat_channel::bounded(1);
    /// let permit = s.clone().reserve_owned().await?;
    /// assert!(s.try_send(1).is_err()); // the room is taken
    /// std::thread::spawn(move || permit.send(2).map(drop));
    /// assert_eq!(r.recv().await, Ok(2));
    /// # Ok::<(), ziggurat_channel::error::Closed>(())
    /// # }).unwrap();
    /// ```
    pub fn reserve_owned(self) -> ReserveOwned<T> {
        ReserveOwned { sender: Some(self), wait: Wait::default() }
    }

    /// As [`try_reserve`](Self::try_reserve), for a permit that has this sender in it.
    ///
    /// # Errors
    ///
    /// When the channel is full or closed. The error gives the sender back.
    ///
    /// # Examples
    ///
    /// ```
    /// use ziggurat_channel::{TrySendError, bounded};
    ///
    /// let (s, r) = bounded(1);
    /// let permit = s.try_reserve_owned().unwrap();
    /// let s = permit.send(1).unwrap();
    /// let s = match s.try_reserve_owned() {
    ///     Err(TrySendError::Full(s)) => s,
    ///     other => panic!("{other:?}"),
    /// };
    /// assert_eq!(r.try_recv(), Ok(1));
    /// drop(s);
    /// assert!(r.is_closed());
    /// ```
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TrySendError<Sender<T>>> {
        match self.try_reserve().map(std::mem::forget) {
            Ok(()) => Ok(OwnedPermit { sender: Some(self) }),
            Err(TryReserveError::Closed) => Err(TrySendError::Closed(self)),
            Err(TryReserveError::Full) => Err(TrySendError::Full(self)),
        }
    }
}

/// Room for one item, with the sender that it was made of. Dropping it gives the room back, and drops the
/// sender.
#[must_use = "a permit that is not used keeps room from others until it is dropped"]
pub struct OwnedPermit<T> {
    /// None only while it is taken apart.
    sender: Option<Sender<T>>,
}

impl<T> OwnedPermit<T> {
    /// Sends an item, at once, and gives the sender back.
    ///
    /// # Errors
    ///
    /// When the channel has been closed since. The error gives the item back; the sender is dropped.
    pub fn send(mut self, item: T) -> Result<Sender<T>, SendError<T>> {
        let Some(sender) = self.sender.take() else { return Err(SendError(item)) };
        sender.channel.push_reserved(item).map(|()| sender).map_err(SendError)
    }

    /// Gives the room back to everybody, and the sender to the caller.
    ///
    /// ```
    /// let (s, _r) = ziggurat_channel::bounded(1);
    /// let permit = s.try_reserve_owned().unwrap();
    /// let s = permit.release();
    /// assert_eq!(s.try_send(1), Ok(()));
    /// ```
    pub fn release(mut self) -> Sender<T> {
        let Some(sender) = self.sender.take() else { unreachable!("it is taken by value only") };
        sender.channel.unreserve();
        sender
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            sender.channel.unreserve();
        }
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").finish_non_exhaustive()
    }
}

/// A future that waits for room, and has its sender in it. Made by [`Sender::reserve_owned`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ReserveOwned<T> {
    /// None when it has completed.
    sender: Option<Sender<T>>,
    wait: Wait,
}

impl<T> Future for ReserveOwned<T> {
    type Output = Result<OwnedPermit<T>, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ReserveOwned { sender, wait } = self.get_mut();
        let Some(own) = sender else { panic!("`ReserveOwned` polled after completion") };
        let reserved =
            wait.poll(cx, &mut &*own.channel, Side::Senders, |channel| channel.reserve());
        reserved.map(|reserved| match reserved {
            Ok(()) => Ok(OwnedPermit { sender: sender.take() }),
            Err(_) => {
                *sender = None;
                Err(Closed)
            }
        })
    }
}

impl<T> Drop for ReserveOwned<T> {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            self.wait.end(&&*sender.channel, Side::Senders, false);
        }
    }
}

impl<T> fmt::Debug for ReserveOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReserveOwned").finish_non_exhaustive()
    }
}
