//! The sending end.

use std::fmt;

use crate::channel::Channel;
use crate::error::ProtocolError;
use crate::futures::{Closed, Send};
use crate::permit::Readiness;
use crate::ring::Miss;
use crate::sync::{Arc, Ordering};
use crate::{SendError, TrySendError};

/// The sending end of a channel. It is a [`Sink`](futures_sink::Sink), too.
///
/// Clones send into the same channel. When the last one is dropped the channel becomes closed.
pub struct Sender<T> {
    pub(crate) channel: Arc<Channel<T>>,
    pub(crate) sink: Readiness,
}

impl<T> Sender<T> {
    pub(crate) fn new(channel: Arc<Channel<T>>) -> Self {
        Sender { channel, sink: Readiness::new() }
    }

    /// Leaves the senders, once: gives back what the sink holds, and closes the channel if this is the
    /// last.
    pub(crate) fn leave(&mut self) {
        self.sink.give_back(&self.channel);
        // AcqRel: what the other senders did comes before the end.
        if self.sink.end() && self.channel.sender_count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.channel.close();
        }
    }

    /// Sends an item if there is room.
    ///
    /// # Errors
    ///
    /// When the channel is full or closed. The error gives the item back.
    ///
    /// # Examples
    ///
    /// ```
    /// use ziggurat_channel::{TrySendError, bounded};
    ///
    /// let (s, r) = bounded(1);
    /// assert_eq!(s.try_send(1), Ok(()));
    /// assert_eq!(s.try_send(2), Err(TrySendError::Full(2)));
    /// drop(r);
    /// assert_eq!(s.try_send(3), Err(TrySendError::Closed(3)));
    /// ```
    #[inline]
    pub fn try_send(&self, msg: T) -> Result<(), TrySendError<T>> {
        match self.channel.push_quick(msg) {
            Ok(()) => Ok(()),
            Err(msg) => self.try_send_slow(msg),
        }
    }

    #[cold]
    #[inline(never)]
    fn try_send_slow(&self, msg: T) -> Result<(), TrySendError<T>> {
        self.channel.push_settled(msg).map_err(|(miss, msg)| match miss {
            Miss::Closed => TrySendError::Closed(msg),
            _ => TrySendError::Full(msg),
        })
    }

    /// Sends an item, and waits for room when there is none.
    ///
    /// Whoever waits longest is woken first, and keeps its place if another sender was faster. The room
    /// is not handed over, so that nobody waits for a task that does not run; how often another sender
    /// can be faster is not bounded.
    ///
    /// # Errors
    ///
    /// When the channel is closed. The error gives the item back.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it completes drops the item, unsent. To keep it, see
    /// [`reserve`](Self::reserve).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use ziggurat_channel::{SendError, unbounded};
    ///
    /// let (s, r) = unbounded();
    /// assert_eq!(s.send(1).await, Ok(()));
    /// drop(r);
    /// assert_eq!(s.send(2).await, Err(SendError(2)));
    /// # });
    /// ```
    #[inline]
    pub fn send(&self, msg: T) -> Send<'_, T> {
        Send::new(self, msg)
    }

    /// Sends an item from a thread that may block. Not for use in asynchronous code.
    ///
    /// # Errors
    ///
    /// When the channel is closed. The error gives the item back.
    ///
    /// # Examples
    ///
    /// ```
    /// use ziggurat_channel::{SendError, unbounded};
    ///
    /// let (s, r) = unbounded();
    /// assert_eq!(s.send_blocking(1), Ok(()));
    /// drop(r);
    /// assert_eq!(s.send_blocking(2), Err(SendError(2)));
    /// ```
    #[inline]
    pub fn send_blocking(&self, msg: T) -> Result<(), SendError<T>> {
        match self.channel.push_quick(msg) {
            Ok(()) => Ok(()),
            Err(msg) => crate::blocking::block_on(self.send(msg)),
        }
    }

    /// Sends an item at once, and takes the oldest one out of a full channel to make room.
    ///
    /// Returns what was taken out. If all the room is kept for permits, that is the new item itself.
    ///
    /// # Errors
    ///
    /// When the channel is closed. The error gives the item back.
    ///
    /// # Examples
    ///
    /// ```
    /// use ziggurat_channel::{SendError, bounded};
    ///
    /// let (s, r) = bounded(2);
    /// assert_eq!(s.force_send(1), Ok(None));
    /// assert_eq!(s.force_send(2), Ok(None));
    /// assert_eq!(s.force_send(3), Ok(Some(1)));
    /// assert_eq!((r.try_recv(), r.try_recv()), (Ok(2), Ok(3)));
    /// drop(r);
    /// assert_eq!(s.force_send(4), Err(SendError(4)));
    /// ```
    pub fn force_send(&self, msg: T) -> Result<Option<T>, SendError<T>> {
        self.channel.force(msg).map_err(SendError)
    }

    /// Completes when the channel is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (s, r) = ziggurat_channel::bounded::<()>(1);
    /// drop(r);
    /// s.closed().await;
    /// # });
    /// ```
    pub fn closed(&self) -> Closed<'_, T> {
        Closed::new(self)
    }

    /// A sender that does not keep the channel open.
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender { channel: self.channel.clone() }
    }

    /// Whether both send into the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

/// What both ends can say about their channel.
macro_rules! common {
    ($end:ident) => {
        impl<T> $end<T> {
            /// Closes the channel: no more items can be sent, those that are in it can be received.
            ///
            /// Returns `true` if the channel was open. A send that races with it either fails or its item
            /// can be received.
            pub fn close(&self) -> bool {
                self.channel.close()
            }

            /// Whether the channel is closed.
            pub fn is_closed(&self) -> bool {
                self.channel.is_closed()
            }

            /// Whether there is no item in the channel.
            pub fn is_empty(&self) -> bool {
                self.channel.len() == 0
            }

            /// Whether there is no room in the channel. An unbounded channel always has room; slots that
            /// are reserved are not room.
            pub fn is_full(&self) -> bool {
                self.channel.is_full()
            }

            /// The number of items in the channel.
            pub fn len(&self) -> usize {
                self.channel.len()
            }

            /// The number of items for which there is room in all, or `None` for an unbounded channel.
            pub fn capacity(&self) -> Option<usize> {
                self.channel.capacity()
            }

            /// The number of receivers.
            pub fn receiver_count(&self) -> usize {
                self.channel.receiver_count.load(Ordering::SeqCst)
            }

            /// The number of senders.
            pub fn sender_count(&self) -> usize {
                self.channel.sender_count.load(Ordering::SeqCst)
            }

            /// Why the channel was closed by force, if it was: because the memory of a ring that is
            /// shared with another language held what no honest end writes.
            pub fn fault(&self) -> Option<ProtocolError> {
                ProtocolError::from_fault(self.channel.fault())
            }

            /// The memory that both languages work on.
            #[doc(hidden)]
            pub fn header(&self) -> *const crate::layout::Header {
                &raw const self.channel.header
            }
        }
    };
}
pub(crate) use common;

/// Adds an end, or says that there is none left to add to.
macro_rules! weak {
    ($weak:ident, $end:ident, $count:ident) => {
        impl<T> $weak<T> {
            /// An end that keeps the channel open; `None` when it is closed.
            pub fn upgrade(&self) -> Option<$end<T>> {
                if self.channel.is_closed() {
                    return None;
                }
                let add = |count: usize| (count != 0).then(|| count + 1);
                // Relaxed: a count gives access to nothing.
                let added =
                    self.channel.$count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
                if added.ok()? > usize::MAX / 2 {
                    std::process::abort();
                }
                Some($end::new(self.channel.clone()))
            }
        }

        impl<T> Clone for $weak<T> {
            fn clone(&self) -> Self {
                $weak { channel: self.channel.clone() }
            }
        }

        impl<T> fmt::Debug for $weak<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($weak), " {{ .. }}"))
            }
        }

        impl<T> Clone for $end<T> {
            fn clone(&self) -> Self {
                // Relaxed: as above. Leaked clones must not make the count overflow.
                if self.channel.$count.fetch_add(1, Ordering::Relaxed) > usize::MAX / 2 {
                    std::process::abort();
                }
                $end::new(self.channel.clone())
            }
        }

        impl<T> fmt::Debug for $end<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($end), " {{ .. }}"))
            }
        }
    };
}
pub(crate) use weak;

common!(Sender);
weak!(WeakSender, Sender, sender_count);

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A sender that does not keep its channel open. Made by [`Sender::downgrade`].
pub struct WeakSender<T> {
    channel: Arc<Channel<T>>,
}
