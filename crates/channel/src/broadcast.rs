//! Every receiver gets every item, as far as it keeps up; what happens when it does not is the maker's
//! choice.
//!
//! ```
//! # futures_lite::future::block_on(async {
//! use ziggurat_channel::broadcast::{self, Lag, RecvError};
//!
//! let (s, mut a) = broadcast::bounded(2, Lag::Report);
//! let mut b = s.subscribe();
//! for i in 0..3 {
//!     s.send(i).await.unwrap();
//! }
//! assert_eq!(a.recv().await, Err(RecvError::Lagged(1)));
//! assert_eq!(a.recv().await, Ok(1));
//! assert_eq!(a.recv().await, Ok(2));
//! assert_eq!(b.recv().await, Err(RecvError::Lagged(1)));
//! drop(s);
//! assert_eq!(a.recv().await, Err(RecvError::Closed));
//! # });
//! ```
//!
//! An item is cloned for each receiver but the last, by the receiver, at its own pace. Until then they
//! share it: to cross threads it has to be `Send` and `Sync`.

mod futures;
mod stream;

use std::collections::VecDeque;
use std::fmt;

pub use self::futures::{Recv, Send};
pub use self::stream::{BroadcastStream, Lagged};
use crate::sync::{Arc, Mutex, lock};
use crate::wait::{Queue, Until};
use crate::{SendError, TrySendError};

/// What happens when a channel is full because a receiver is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lag {
    /// The sender waits for the slowest receiver: nothing is lost.
    Wait,
    /// The oldest item goes, and a receiver that has not seen it is told how many it has missed.
    Report,
    /// The oldest item goes, and receivers that have not seen it go on with the next. They can ask for
    /// [`missed`](Receiver::missed).
    Skip,
}

/// Why nothing was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// So many items were missed ([`Lag::Report`]). The next receive goes on with the oldest there is.
    #[error("{0} items were missed")]
    Lagged(u64),
    /// All senders are gone, and there is nothing left.
    #[error("receiving from an empty and closed channel")]
    Closed,
}

/// Why nothing was received at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is nothing yet.
    #[error("receiving from an empty channel")]
    Empty,
    /// As [`RecvError::Lagged`].
    #[error("{0} items were missed")]
    Lagged(u64),
    /// As [`RecvError::Closed`].
    #[error("receiving from an empty and closed channel")]
    Closed,
}

struct Entry<T> {
    /// Cloned under the lock; the item itself is cloned outside of it.
    item: std::sync::Arc<T>,
    /// Receivers that have not seen it.
    unseen: usize,
}

struct Inner<T> {
    entries: VecDeque<Entry<T>>,
    /// The number of the first entry.
    first: u64,
    senders: usize,
    receivers: usize,
}

struct Shared<T> {
    inner: Mutex<Inner<T>>,
    capacity: usize,
    lag: Lag,
    receivers: Queue,
    senders: Queue,
    /// Senders that wait for the last receiver to go.
    abandoned: Queue,
}

/// A channel that keeps up to `capacity` items for the slowest receiver.
///
/// # Panics
///
/// When `capacity` is 0.
pub fn bounded<T>(capacity: usize, lag: Lag) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "capacity cannot be zero");
    let inner = Inner { entries: VecDeque::new(), first: 0, senders: 1, receivers: 1 };
    let shared = Arc::new(Shared {
        inner: Mutex::new(inner),
        capacity,
        lag,
        receivers: Queue::new(),
        senders: Queue::new(),
        abandoned: Queue::new(),
    });
    (Sender { shared: shared.clone() }, Receiver { shared, next: 0, missed: 0 })
}

impl<T> Shared<T> {
    fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let mut inner = lock(&self.inner);
        if inner.receivers == 0 {
            return Err(TrySendError::Closed(item));
        }
        let mut gone = None;
        if inner.entries.len() == self.capacity {
            if self.lag == Lag::Wait {
                return Err(TrySendError::Full(item));
            }
            gone = inner.entries.pop_front();
            inner.first += 1;
        }
        let unseen = inner.receivers;
        inner.entries.push_back(Entry { item: std::sync::Arc::new(item), unseen });
        drop(inner);
        self.receivers.wake(usize::MAX);
        // Outside the lock, and last: an item's drop may panic.
        drop(gone);
        Ok(())
    }

    /// Takes what everybody has seen from the front.
    fn trim(inner: &mut Inner<T>) -> Vec<Entry<T>> {
        let seen = inner.entries.iter().take_while(|entry| entry.unseen == 0).count();
        inner.first += seen as u64;
        inner.entries.drain(..seen).collect()
    }

    fn try_recv(
        &self,
        next: &mut u64,
        missed: &mut u64,
    ) -> Result<std::sync::Arc<T>, TryRecvError> {
        let mut inner = lock(&self.inner);
        if *next < inner.first {
            let lost = inner.first - *next;
            *next = inner.first;
            *missed += lost;
            if self.lag == Lag::Report {
                return Err(TryRecvError::Lagged(lost));
            }
        }
        let index = (*next - inner.first) as usize;
        let Some(entry) = inner.entries.get_mut(index) else {
            let closed = inner.senders == 0;
            return Err(if closed { TryRecvError::Closed } else { TryRecvError::Empty });
        };
        *next += 1;
        entry.unseen -= 1;
        if entry.unseen > 0 || index > 0 {
            return Ok(entry.item.clone());
        }
        // The last to see it, so that it need not be cloned. Nobody has seen more than this one.
        let Some(entry) = inner.entries.pop_front() else { return Err(TryRecvError::Empty) };
        inner.first += 1;
        drop(inner);
        self.senders.wake(1);
        Ok(entry.item)
    }

    fn subscribe(shared: &Arc<Self>) -> Receiver<T> {
        let mut inner = lock(&shared.inner);
        inner.receivers += 1;
        let next = inner.first + inner.entries.len() as u64;
        drop(inner);
        Receiver { shared: shared.clone(), next, missed: 0 }
    }
}

/// The sending end.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends an item to all receivers that there are. Waits only for [`Lag::Wait`].
    ///
    /// # Errors
    ///
    /// When there is no receiver. The error gives the item back.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it completes drops the item, unsent.
    pub fn send(&self, item: T) -> Send<'_, T> {
        Send::new(self, item)
    }

    /// Sends an item from a thread that may block. Not for use in asynchronous code.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_blocking(&self, item: T) -> Result<(), SendError<T>> {
        crate::blocking::block_on(self.send(item))
    }

    /// Sends an item at once.
    ///
    /// # Errors
    ///
    /// When there is no receiver or, for [`Lag::Wait`], no room. The error gives the item back.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        self.shared.try_send(item)
    }

    /// Another receiver, of what is sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        Shared::subscribe(&self.shared)
    }

    /// How many items are kept because a receiver has not seen them.
    pub fn len(&self) -> usize {
        lock(&self.shared.inner).entries.len()
    }

    /// Whether all receivers have seen all items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of items that are kept at most.
    pub fn capacity(&self) -> usize {
        self.shared.capacity
    }

    /// The number of receivers.
    pub fn receiver_count(&self) -> usize {
        lock(&self.shared.inner).receivers
    }

    /// The number of senders.
    pub fn sender_count(&self) -> usize {
        lock(&self.shared.inner).senders
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Completes when there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use ziggurat_channel::broadcast::{self, Lag};
    ///
    /// let (s, r) = broadcast::bounded::<u8>(4, Lag::Skip);
    /// drop(r);
    /// s.closed().await; // time to stop producing
    /// # });
    /// ```
    pub async fn closed(&self) {
        Until::new(&self.shared.abandoned, || self.is_closed().then_some(())).await;
    }

    /// Whether both send into the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        lock(&self.shared.inner).senders += 1;
        Sender { shared: self.shared.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut inner = lock(&self.shared.inner);
        inner.senders -= 1;
        let last = inner.senders == 0;
        drop(inner);
        if last {
            self.shared.receivers.wake(usize::MAX);
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// The receiving end. A clone goes on where this one is.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The number of the item to be received next.
    next: u64,
    missed: u64,
}

impl<T: Clone> Receiver<T> {
    /// Receives the next item, and waits for it.
    ///
    /// # Errors
    ///
    /// When items were missed, or there will be no more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub fn recv(&mut self) -> Recv<'_, T> {
        Recv::new(self)
    }

    /// Receives the next item on a thread that may block. Not for use in asynchronous code.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_blocking(&mut self) -> Result<T, RecvError> {
        crate::blocking::block_on(self.recv())
    }

    /// Receives the next item if it is there.
    ///
    /// # Errors
    ///
    /// When there is none, or items were missed.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let item = self.shared.try_recv(&mut self.next, &mut self.missed)?;
        Ok(std::sync::Arc::try_unwrap(item).unwrap_or_else(|shared| T::clone(&shared)))
    }
}

impl<T> Receiver<T> {
    /// Another receiver, of what is sent from now on. A [clone](Clone) goes on where this one is.
    ///
    /// ```
    /// use ziggurat_channel::broadcast::{self, Lag};
    ///
    /// let (s, mut r) = broadcast::bounded(4, Lag::Wait);
    /// s.try_send(1).unwrap();
    /// let mut late = r.resubscribe();
    /// s.try_send(2).unwrap();
    /// assert_eq!((r.try_recv(), late.try_recv()), (Ok(1), Ok(2)));
    /// ```
    pub fn resubscribe(&self) -> Self {
        Shared::subscribe(&self.shared)
    }

    /// Whether all senders are gone. There may still be items.
    pub fn is_closed(&self) -> bool {
        lock(&self.shared.inner).senders == 0
    }

    /// Whether both receive from the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// How many items this receiver has missed in all.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// How many items there are for this receiver, with those that it has missed and does not know of
    /// yet.
    pub fn len(&self) -> usize {
        let inner = lock(&self.shared.inner);
        (inner.first + inner.entries.len() as u64 - self.next) as usize
    }

    /// Whether there is nothing for this receiver.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds `change` to the number of those who have not seen what this one has not seen.
    fn count(&self, inner: &mut Inner<T>, add: bool) {
        let index = self.next.saturating_sub(inner.first) as usize;
        for entry in inner.entries.iter_mut().skip(index) {
            entry.unseen = if add { entry.unseen + 1 } else { entry.unseen - 1 };
        }
        inner.receivers = if add { inner.receivers + 1 } else { inner.receivers - 1 };
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.count(&mut lock(&self.shared.inner), true);
        Receiver { shared: self.shared.clone(), next: self.next, missed: self.missed }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut inner = lock(&self.shared.inner);
        self.count(&mut inner, false);
        let gone = Shared::trim(&mut inner);
        let last = inner.receivers == 0;
        drop(inner);
        self.shared.senders.wake(if last { usize::MAX } else { gone.len() });
        if last {
            self.shared.abandoned.wake(usize::MAX);
        }
        // Last: an item's drop may panic.
        drop(gone);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
