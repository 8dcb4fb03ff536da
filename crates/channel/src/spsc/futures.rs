//! The futures of the ends of one-to-one channels.
//!
//! An end waits for one thing at a time, so that it has the wait itself and its futures are small: a
//! future is moved between being made and being polled, and what it is large in has to be copied.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Receiver, Sender};
use crate::{RecvError, SendError};

/// A future that sends an item. Made by [`Sender::send`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Send<'a, T> {
    sender: &'a mut Sender<T>,
    item: Option<T>,
}

impl<'a, T> Send<'a, T> {
    #[inline]
    pub(super) fn new(sender: &'a mut Sender<T>, item: T) -> Self {
        Send { sender, item: Some(item) }
    }
}

// The item is never pinned.
impl<T> Unpin for Send<'_, T> {}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // See `Recv::poll`.
        if !this.sender.wait.is_parked() {
            if let Some(item) = this.item.take() {
                match this.sender.tx.push_quick(item) {
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
        let Send { sender, item } = self;
        let sent = sender.poll_as_future(cx, |tx| {
            let Some(offered) = item.take() else { panic!("`Send` polled after completion") };
            tx.push(offered).map_err(|(miss, back)| {
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
        self.sender.leave();
    }
}

impl<T> fmt::Debug for Send<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Send").finish_non_exhaustive()
    }
}

/// Waits for room.
pub(super) struct Room<'a, T> {
    sender: &'a mut Sender<T>,
}

impl<'a, T> Room<'a, T> {
    pub(super) fn new(sender: &'a mut Sender<T>) -> Self {
        Room { sender }
    }
}

impl<T> Future for Room<'_, T> {
    type Output = Result<(), crate::error::Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ready = self.get_mut().sender.poll_as_future(cx, |tx| tx.has_room());
        ready.map_err(|_| crate::error::Closed)
    }
}

impl<T> Drop for Room<'_, T> {
    fn drop(&mut self) {
        self.sender.leave();
    }
}

/// A future that receives an item. Made by [`Receiver::recv`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Recv<'a, T> {
    receiver: &'a mut Receiver<T>,
}

impl<'a, T> Recv<'a, T> {
    #[inline]
    pub(super) fn new(receiver: &'a mut Receiver<T>) -> Self {
        Recv { receiver }
    }
}

impl<T> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The item goes straight into the result here, without a detour through memory: a wide load of
        // what was just stored in parts costs more than the rest of the operation.
        if !self.receiver.wait.is_parked() {
            if let Some(item) = self.receiver.rx.pop_quick() {
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
        let received = self.receiver.poll_as_future(cx, |rx| rx.pop());
        received.map_err(|_| RecvError)
    }
}

impl<T> Drop for Recv<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.receiver.leave();
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").finish_non_exhaustive()
    }
}

/// A future that receives a batch. Made by [`Receiver::recv_many`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct RecvMany<'a, T> {
    receiver: &'a mut Receiver<T>,
    into: &'a mut Vec<T>,
    most: usize,
}

impl<'a, T> RecvMany<'a, T> {
    pub(super) fn new(receiver: &'a mut Receiver<T>, into: &'a mut Vec<T>, most: usize) -> Self {
        RecvMany { receiver, into, most }
    }
}

impl<T> Future for RecvMany<'_, T> {
    type Output = Result<usize, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let RecvMany { receiver, into, most } = self.get_mut();
        if *most == 0 {
            return Poll::Ready(Ok(0));
        }
        let received = receiver.poll_as_future(cx, |rx| rx.pop_many(into, *most));
        received.map_err(|_| RecvError)
    }
}

impl<T> Drop for RecvMany<'_, T> {
    fn drop(&mut self) {
        self.receiver.leave();
    }
}

impl<T> fmt::Debug for RecvMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvMany").finish_non_exhaustive()
    }
}
