//! A bounded channel for one sender and one receiver: no atomic read-modify-write per item, no stamps.
//!
//! The ends are not `Clone`, and their methods take `&mut self`; everything else is as for
//! [`bounded`](crate::bounded), except that items that are left are dropped along with the receiver.
//!
//! ```
//! # futures_lite::future::block_on(async {
//! let (mut s, mut r) = ziggurat_channel::spsc::bounded(4);
//! s.send(1).await?;
//! s.send(2).await?;
//! drop(s);
//! assert_eq!(r.recv().await, Ok(1));
//! assert_eq!(r.recv().await, Ok(2));
//! assert!(r.recv().await.is_err());
//! # Ok::<(), ziggurat_channel::SendError<i32>>(())
//! # }).unwrap();
//! ```

#[cfg(feature = "zig")]
mod crossing;
mod futures;

use futures::Room;
pub use futures::{Recv, RecvMany, Send};

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::stream::{FusedStream, Stream};
use futures_sink::Sink;

use crate::error::{CapacityError, ProtocolError};
use crate::ring::Miss;
use crate::ring::spsc::{Rx, Tx, make};
use crate::waiters::{Place, Side, Wait};
use crate::{RecvError, SendError, TryRecvError, TrySendError};

/// A channel for one sender and one receiver with room for `cap` items.
///
/// # Panics
///
/// When `cap` is 0.
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    assert!(cap > 0, "capacity cannot be zero");
    let (tx, rx) = make(cap);
    (
        Sender { tx, wait: Wait::default(), polled: false },
        Receiver { rx, wait: Wait::default(), polled: false },
    )
}

/// As [`bounded`], with the capacity checked.
///
/// # Errors
///
/// When the capacity is too large for the memory to hold.
pub fn try_bounded<T>(cap: NonZeroUsize) -> Result<(Sender<T>, Receiver<T>), CapacityError> {
    crate::check_capacity::<T>(cap.get())?;
    Ok(bounded(cap.get()))
}

/// The sending end. When it is dropped the channel becomes closed.
pub struct Sender<T> {
    tx: Tx<T>,
    wait: Wait,
    /// `wait` is that of a pending poll of the sink.
    polled: bool,
}

/// The receiving end, a [`Stream`]. When it is dropped the channel becomes closed and the items in it are
/// dropped.
pub struct Receiver<T> {
    rx: Rx<T>,
    wait: Wait,
    /// `wait` is that of a pending poll of the stream.
    polled: bool,
}

impl<T> Sender<T> {
    /// Sends an item if there is room.
    ///
    /// # Errors
    ///
    /// When the channel is full or closed. The error gives the item back.
    #[inline]
    pub fn try_send(&mut self, item: T) -> Result<(), TrySendError<T>> {
        match self.tx.push_quick(item) {
            Ok(()) => Ok(()),
            Err(item) => self.try_send_slow(item),
        }
    }

    #[cold]
    #[inline(never)]
    fn try_send_slow(&mut self, item: T) -> Result<(), TrySendError<T>> {
        self.tx.push(item).map_err(|(miss, item)| match miss {
            Miss::Closed => TrySendError::Closed(item),
            _ => TrySendError::Full(item),
        })
    }

    /// Sends an item, and waits for room when there is none.
    ///
    /// # Errors
    ///
    /// When the channel is closed. The error gives the item back.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it completes drops the item, unsent.
    #[inline]
    pub fn send(&mut self, item: T) -> Send<'_, T> {
        Send::new(self, item)
    }

    /// Sends an item from a thread that may block.
    ///
    /// # Errors
    ///
    /// When the channel is closed. The error gives the item back.
    pub fn send_blocking(&mut self, item: T) -> Result<(), SendError<T>> {
        crate::blocking::block_on(self.send(item))
    }

    /// Sends items from the front of `items`, as many as there is room for, and returns how many. What
    /// was sent is gone from `items`, what was not is still there.
    ///
    /// # Errors
    ///
    /// When the channel is closed, and nothing was sent.
    pub fn try_send_many(
        &mut self,
        items: &mut VecDeque<T>,
    ) -> Result<usize, crate::error::Closed> {
        let sent = if items.is_empty() { Ok(0) } else { self.tx.push_many(items) };
        batch(sent)
    }

    /// Copies items from the front of `items`, as many as there is room for, and returns how many.
    ///
    /// # Errors
    ///
    /// When the channel is closed, and nothing was sent.
    pub fn try_send_slice(&mut self, items: &[T]) -> Result<usize, crate::error::Closed>
    where
        T: Copy,
    {
        let sent = if items.is_empty() { Ok(0) } else { self.tx.push_slice(items) };
        batch(sent)
    }

    /// Waits until there is room for one item, or the channel is closed.
    ///
    /// # Errors
    ///
    /// When the channel is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn ready(&mut self) -> Result<(), crate::error::Closed> {
        Room::new(self).await
    }

    /// Closes the channel. `true`: it was open.
    pub fn close(&mut self) -> bool {
        self.tx.close()
    }
}

fn batch(done: Result<usize, Miss>) -> Result<usize, crate::error::Closed> {
    match done {
        Ok(count) => Ok(count),
        Err(Miss::Closed) => Err(crate::error::Closed),
        Err(_) => Ok(0),
    }
}

/// What both ends can say about their channel.
macro_rules! common {
    ($end:ident, $half:ident: $kind:ident, $side:ident) => {
        impl<T> $end<T> {
            /// Whether the channel is closed.
            pub fn is_closed(&self) -> bool {
                self.$half.ring.is_closed()
            }

            /// The number of items in the channel.
            pub fn len(&self) -> usize {
                self.$half.ring.len()
            }

            /// Whether there is no item in the channel.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Whether there is no room in the channel.
            pub fn is_full(&self) -> bool {
                self.len() == self.capacity()
            }

            /// The number of items for which there is room in all.
            pub fn capacity(&self) -> usize {
                self.$half.ring.header.capacity as usize
            }

            /// Why the channel was closed by force, if it was.
            pub fn fault(&self) -> Option<ProtocolError> {
                ProtocolError::from_fault(
                    self.$half.ring.header.fault.load(crate::sync::Ordering::Acquire),
                )
            }

            /// A poll of one of the end's futures.
            #[inline(always)]
            fn poll_as_future<R>(
                &mut self,
                cx: &mut Context<'_>,
                attempt: impl FnMut(&mut $kind<T>) -> Result<R, Miss>,
            ) -> Poll<Result<R, Miss>> {
                if std::mem::take(&mut self.polled) {
                    // The future takes the wait over. Whoever has polled before may want to know.
                    let (header, waiters) = self.$half.place();
                    waiters.wake(header, Side::$side, 1);
                }
                let done = ready!(self.wait.poll(cx, &mut self.$half, Side::$side, attempt));
                self.wait = Wait::default();
                Poll::Ready(done)
            }

            /// A future of the end is dropped.
            #[inline(always)]
            fn leave(&mut self) {
                if self.wait.is_parked() && !self.polled {
                    self.wait.end(&self.$half, Side::$side, true);
                }
            }

            /// The memory that both languages work on.
            #[doc(hidden)]
            pub fn header(&self) -> *const crate::layout::Header {
                &raw const self.$half.ring.header
            }
        }

        impl<T> fmt::Debug for $end<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($end), " {{ .. }}"))
            }
        }

        impl<T> Drop for $end<T> {
            fn drop(&mut self) {
                self.wait.end(&self.$half, Side::$side, true);
            }
        }
    };
}
common!(Sender, tx: Tx, Senders);
common!(Receiver, rx: Rx, Receivers);

impl<T> Receiver<T> {
    /// Receives an item if there is one.
    ///
    /// # Errors
    ///
    /// When the channel is empty.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.rx.pop_quick() {
            Some(item) => Ok(item),
            None => self.try_recv_slow(),
        }
    }

    #[cold]
    #[inline(never)]
    fn try_recv_slow(&mut self) -> Result<T, TryRecvError> {
        self.rx.pop().map_err(|miss| match miss {
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
    /// Nothing is lost when the future is dropped.
    #[inline]
    pub fn recv(&mut self) -> Recv<'_, T> {
        Recv::new(self)
    }

    /// Receives an item on a thread that may block.
    ///
    /// # Errors
    ///
    /// When the channel is closed and empty.
    pub fn recv_blocking(&mut self) -> Result<T, RecvError> {
        crate::blocking::block_on(self.recv())
    }

    /// Moves up to `most` items to the end of `into`, and waits while there is none. Returns how many.
    ///
    /// # Errors
    ///
    /// When the channel is closed and empty.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: all that it takes is in `into`.
    pub fn recv_many<'a>(&'a mut self, into: &'a mut Vec<T>, most: usize) -> RecvMany<'a, T> {
        RecvMany::new(self, into, most)
    }

    /// Moves up to `most` items to the end of `into`, and returns how many.
    ///
    /// # Errors
    ///
    /// When the channel is empty.
    pub fn try_recv_many(&mut self, into: &mut Vec<T>, most: usize) -> Result<usize, TryRecvError> {
        if most == 0 {
            return Ok(0);
        }
        self.rx.pop_many(into, most).map_err(|miss| match miss {
            Miss::Closed => TryRecvError::Closed,
            _ => TryRecvError::Empty,
        })
    }

    /// Closes the channel. Items that are in it can still be received. `true`: it was open.
    pub fn close(&mut self) -> bool {
        self.rx.close()
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Receiver { rx, wait, polled } = self.get_mut();
        if !wait.is_parked() {
            if let Some(item) = rx.pop_quick() {
                return Poll::Ready(Some(item));
            }
        }
        *polled = true;
        let received = ready!(wait.poll(cx, rx, Side::Receivers, |rx| rx.pop()));
        (*wait, *polled) = (Wait::default(), false);
        Poll::Ready(received.ok())
    }
}

impl<T> FusedStream for Receiver<T> {
    fn is_terminated(&self) -> bool {
        self.rx.is_terminated()
    }
}

impl<T> Unpin for Sender<T> {}
impl<T> Unpin for Receiver<T> {}

impl<T> Sink<T> for Sender<T> {
    type Error = SendError<Option<T>>;

    /// Room stays: there is no other sender.
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let Sender { tx, wait, polled } = self.get_mut();
        *polled = true;
        let ready = ready!(wait.poll(cx, tx, Side::Senders, |tx| tx.has_room()));
        (*wait, *polled) = (Wait::default(), false);
        Poll::Ready(ready.map_err(|_| SendError(None)))
    }

    /// The error gives the item back: the channel was closed, or not ready.
    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), Self::Error> {
        let tx = &mut self.get_mut().tx;
        let sent = tx.push_quick(item).or_else(|item| tx.push(item));
        sent.map_err(|(_, item)| SendError(Some(item)))
    }

    /// There is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the channel.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.get_mut().tx.close();
        Poll::Ready(Ok(()))
    }
}
