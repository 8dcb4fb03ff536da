//! The receiving end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::stream::{FusedStream, Stream};

use crate::channel::Channel;
use crate::error::ProtocolError;
use crate::futures::Recv;
use crate::ring::Miss;
use crate::sender::{common, weak};
use crate::sync::{Arc, Ordering};
use crate::waiters::{Side, Wait};
use crate::{RecvError, TryRecvError};

/// The receiving end of a channel. It is a [`Stream`], too.
///
/// Clones receive from the same channel; each item is received by one of them. When the last one is
/// dropped the channel becomes closed. Items that are in it then are dropped along with the last end of
/// any kind.
pub struct Receiver<T> {
    pub(crate) channel: Arc<Channel<T>>,
    /// Of a pending poll of the stream.
    wait: Wait,
}

impl<T> Receiver<T> {
    pub(crate) fn new(channel: Arc<Channel<T>>) -> Self {
        Receiver { channel, wait: Wait::passive() }
    }

    /// Receives an item if there is one.
    ///
    /// # Errors
    ///
    /// When the channel is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use ziggurat_channel::{TryRecvError, unbounded};
    ///
    /// let (s, r) = unbounded();
    /// assert_eq!(s.try_send(1), Ok(()));
    /// assert_eq!(r.try_recv(), Ok(1));
    /// assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    /// drop(s);
    /// assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.channel.pop_quick() {
            Some(item) => Ok(item),
            None => self.try_recv_slow(),
        }
    }

    #[cold]
    #[inline(never)]
    fn try_recv_slow(&self) -> Result<T, TryRecvError> {
        self.channel.pop_settled().map_err(|miss| match miss {
            Miss::Closed => TryRecvError::Closed,
            _ => TryRecvError::Empty,
        })
    }

    /// Receives an item, and waits for one when there is none.
    ///
    /// # Errors
    ///
    /// When the channel is closed and empty.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: it takes an item out only when it completes.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use ziggurat_channel::{RecvError, unbounded};
    ///
    /// let (s, r) = unbounded();
    /// assert_eq!(s.send(1).await, Ok(()));
    /// drop(s);
    /// assert_eq!(r.recv().await, Ok(1));
    /// assert_eq!(r.recv().await, Err(RecvError));
    /// # });
    /// ```
    #[inline]
    pub fn recv(&self) -> Recv<'_, T> {
        Recv::new(self)
    }

    /// Receives an item on a thread that may block. Not for use in asynchronous code.
    ///
    /// # Errors
    ///
    /// When the channel is closed and empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use ziggurat_channel::{RecvError, unbounded};
    ///
    /// let (s, r) = unbounded();
    /// assert_eq!(s.send_blocking(1), Ok(()));
    /// drop(s);
    /// assert_eq!(r.recv_blocking(), Ok(1));
    /// assert_eq!(r.recv_blocking(), Err(RecvError));
    /// ```
    #[inline]
    pub fn recv_blocking(&self) -> Result<T, RecvError> {
        match self.channel.pop_quick() {
            Some(item) => Ok(item),
            None => crate::blocking::block_on(self.recv()),
        }
    }

    /// A receiver that does not keep the channel open.
    pub fn downgrade(&self) -> WeakReceiver<T> {
        WeakReceiver { channel: self.channel.clone() }
    }

    /// Whether both receive from the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

common!(Receiver);
weak!(WeakReceiver, Receiver, receiver_count);

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Receiver { channel, wait } = self.get_mut();
        if !wait.is_parked() {
            if let Some(item) = channel.pop_quick() {
                return Poll::Ready(Some(item));
            }
        }
        let place = &mut &**channel;
        let received = ready!(wait.poll(cx, place, Side::Receivers, |channel| channel.pop()));
        *wait = Wait::passive();
        Poll::Ready(received.ok())
    }
}

impl<T> FusedStream for Receiver<T> {
    fn is_terminated(&self) -> bool {
        self.channel.is_closed() && self.channel.len() == 0
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.wait.end(&&*self.channel, Side::Receivers, true);
        // AcqRel: what the other receivers did comes before the end.
        if self.channel.receiver_count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.channel.close();
        }
    }
}

/// A receiver that does not keep its channel open. Made by [`Receiver::downgrade`].
pub struct WeakReceiver<T> {
    channel: Arc<Channel<T>>,
}
