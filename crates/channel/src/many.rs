//! Batches: one claim, one barrier and one wake for many items.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::Closed;
use crate::ring::Miss;
use crate::waiters::{Side, Wait};
use crate::{Receiver, RecvError, Sender, TryRecvError};

impl<T> Sender<T> {
    /// Sends all of `items`, and waits for room as long as some are left.
    ///
    /// What has been sent is gone from `items`, what has not is still there, in order. Items of one
    /// batch follow each other in the channel as far as there was room for them at a time. Completes
    /// with how many were sent: all.
    ///
    /// # Errors
    ///
    /// When the channel is closed. The items that were not sent are still in `items`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: what it has not sent is still in `items`.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use std::collections::VecDeque;
    ///
    /// let (s, r) = ziggurat_channel::bounded(8);
    /// let mut items: VecDeque<_> = (0..5).collect();
    /// assert_eq!(s.send_many(&mut items).await, Ok(5));
    ///
    /// let mut received = Vec::new();
    /// assert_eq!(r.recv_many(&mut received, 3).await, Ok(3));
    /// assert_eq!(received, [0, 1, 2]);
    /// # });
    /// ```
    pub fn send_many<'a>(&'a self, items: &'a mut VecDeque<T>) -> SendMany<'a, T> {
        SendMany { sender: self, items, sent: 0, wait: Wait::default() }
    }

    /// Sends items from the front of `items`, as many as there is room for, and returns how many. The
    /// others are still there.
    ///
    /// # Errors
    ///
    /// When the channel is closed, and nothing was sent.
    pub fn try_send_many(&self, items: &mut VecDeque<T>) -> Result<usize, Closed> {
        let mut sent = 0;
        while !items.is_empty() {
            match self.channel.push_many(items).or_else(|miss| self.send_front(items, miss)) {
                Ok(count) => sent += count,
                Err(Miss::Closed) if sent == 0 => return Err(Closed),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// After a [`Miss::Busy`]: sends the first item if there is room when whoever is in the middle of an
    /// operation is done.
    fn send_front(&self, items: &mut VecDeque<T>, miss: Miss) -> Result<usize, Miss> {
        if miss != Miss::Busy {
            return Err(miss);
        }
        let Some(item) = items.pop_front() else { return Ok(0) };
        self.channel.push_settled(item).map(|()| 1).map_err(|(miss, item)| {
            items.push_front(item);
            miss
        })
    }
}

impl<T> Receiver<T> {
    /// Moves up to `most` items to the end of `into`, and waits while there is none. Completes with how
    /// many: at least one, unless `most` is 0.
    ///
    /// # Errors
    ///
    /// When the channel is closed and empty.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: all that it has taken is in `into`.
    pub fn recv_many<'a>(&'a self, into: &'a mut Vec<T>, most: usize) -> RecvMany<'a, T> {
        RecvMany { receiver: self, into, most, wait: Wait::default() }
    }

    /// Moves up to `most` items to the end of `into`, and returns how many.
    ///
    /// # Errors
    ///
    /// When the channel is empty.
    pub fn try_recv_many(&self, into: &mut Vec<T>, most: usize) -> Result<usize, TryRecvError> {
        if most == 0 {
            return Ok(0);
        }
        match self.channel.pop_many(into, most) {
            Ok(count) => Ok(count),
            Err(Miss::Closed) => Err(TryRecvError::Closed),
            Err(Miss::Busy) => self.try_recv().map(|item| {
                into.push(item);
                1
            }),
            Err(_) => Err(TryRecvError::Empty),
        }
    }
}

/// A future that sends a batch. Made by [`Sender::send_many`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct SendMany<'a, T> {
    sender: &'a Sender<T>,
    items: &'a mut VecDeque<T>,
    sent: usize,
    wait: Wait,
}

impl<T> SendMany<'_, T> {
    /// How many items have been sent so far.
    pub fn sent(&self) -> usize {
        self.sent
    }
}

impl<T> Future for SendMany<'_, T> {
    type Output = Result<usize, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let SendMany { sender, items, sent, wait } = self.get_mut();
        let done = wait.poll(cx, &mut &*sender.channel, Side::Senders, |channel| {
            while !items.is_empty() {
                *sent += channel.push_many(items)?;
            }
            Ok(())
        });
        done.map(|done| done.map(|()| *sent).map_err(|_| Closed))
    }
}

impl<T> Drop for SendMany<'_, T> {
    fn drop(&mut self) {
        self.wait.end(&&*self.sender.channel, Side::Senders, false);
    }
}

impl<T> fmt::Debug for SendMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendMany").field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// A future that receives a batch. Made by [`Receiver::recv_many`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct RecvMany<'a, T> {
    receiver: &'a Receiver<T>,
    into: &'a mut Vec<T>,
    most: usize,
    wait: Wait,
}

impl<T> Future for RecvMany<'_, T> {
    type Output = Result<usize, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let RecvMany { receiver, into, most, wait } = self.get_mut();
        if *most == 0 {
            return Poll::Ready(Ok(0));
        }
        let received = wait.poll(cx, &mut &*receiver.channel, Side::Receivers, |channel| {
            channel.pop_many(into, *most)
        });
        received.map(|received| received.map_err(|_| RecvError))
    }
}

impl<T> Drop for RecvMany<'_, T> {
    fn drop(&mut self) {
        self.wait.end(&&*self.receiver.channel, Side::Receivers, false);
    }
}

impl<T> fmt::Debug for RecvMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvMany").finish_non_exhaustive()
    }
}
