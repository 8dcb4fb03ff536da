//! A channel for one item.
//!
//! ```
//! # futures_lite::future::block_on(async {
//! let (s, r) = ziggurat_channel::oneshot::channel();
//! s.send(7).unwrap();
//! assert_eq!(r.await, Ok(7));
//! # });
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::FusedFuture;

use crate::sync::{Arc, Mutex, lock};
use crate::waiters::Side;
use crate::{RecvError, SendError, TryRecvError};

struct Inner<T> {
    item: Option<T>,
    /// Of the receiver that waits for the item.
    receiver: Option<Waker>,
    /// Of the sender that waits for the end.
    sender: Option<Waker>,
    /// One of the ends is gone, or has closed.
    closed: bool,
}

struct Shared<T>(Mutex<Inner<T>>);

impl<T> Shared<T> {
    /// Ends the channel and wakes the other end, not the one that does it.
    fn close(&self, side: Side) {
        let mut inner = lock(&self.0);
        inner.closed = true;
        let (mut own, mut other) = (inner.receiver.take(), inner.sender.take());
        drop(inner);
        if side == Side::Senders {
            std::mem::swap(&mut own, &mut other);
        }
        other.into_iter().for_each(Waker::wake);
    }
}

/// Puts the waker of `cx` into a slot, and returns what has to be dropped outside the lock.
fn register(slot: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => None,
        slot => slot.replace(cx.waker().clone()),
    }
}

/// A channel for one item.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let inner = Inner { item: None, receiver: None, sender: None, closed: false };
    let shared = Arc::new(Shared(Mutex::new(inner)));
    (Sender { shared: shared.clone() }, Receiver { shared })
}

/// The sending end. Dropping it ends the channel.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends the item.
    ///
    /// # Errors
    ///
    /// When the receiver is gone or has closed. The error gives the item back. An item that was sent to a
    /// receiver that never takes it is dropped with the receiver.
    pub fn send(self, item: T) -> Result<(), SendError<T>> {
        let mut inner = lock(&self.shared.0);
        if inner.closed {
            return Err(SendError(item));
        }
        inner.item = Some(item);
        Ok(())
        // The drop of `self` wakes the receiver.
    }

    /// Whether the receiver is gone or has closed.
    pub fn is_closed(&self) -> bool {
        lock(&self.shared.0).closed
    }

    /// Completes when the receiver is gone or has closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (mut s, r) = ziggurat_channel::oneshot::channel::<u8>();
    /// drop(r);
    /// s.closed().await; // time to stop working on what nobody waits for
    /// # });
    /// ```
    pub async fn closed(&mut self) {
        std::future::poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// As [`closed`](Self::closed), for those who write futures by hand. Wakes the last task that asked.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = lock(&self.shared.0);
        if inner.closed {
            return Poll::Ready(());
        }
        let old = register(&mut inner.sender, cx);
        drop(inner);
        drop(old);
        Poll::Pending
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.close(Side::Senders);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// The receiving end: a future of the item. Dropping it ends the channel.
///
/// # Cancel safety
///
/// Await a reference (`(&mut receiver).await`) to keep it: an item is taken only by a completion.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Takes the item if it is there.
    ///
    /// # Errors
    ///
    /// When it has not been sent, or never will be, or has been taken.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let mut inner = lock(&self.shared.0);
        match inner.item.take() {
            Some(item) => Ok(item),
            None if inner.closed => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Waits for the item on a thread that may block.
    ///
    /// # Errors
    ///
    /// When the sender is gone without having sent.
    pub fn recv_blocking(self) -> Result<T, RecvError> {
        crate::blocking::block_on(self)
    }

    /// Ends the channel. An item that has been sent can still be received.
    pub fn close(&mut self) {
        self.shared.close(Side::Receivers);
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = lock(&self.shared.0);
        if let Some(item) = inner.item.take() {
            return Poll::Ready(Ok(item));
        }
        if inner.closed {
            return Poll::Ready(Err(RecvError));
        }
        let old = register(&mut inner.receiver, cx);
        drop(inner);
        drop(old);
        Poll::Pending
    }
}

/// Terminated when there is no item and never will be.
impl<T> FusedFuture for Receiver<T> {
    fn is_terminated(&self) -> bool {
        let inner = lock(&self.shared.0);
        inner.closed && inner.item.is_none()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.close(Side::Receivers);
        // Outside the lock.
        let item = lock(&self.shared.0).item.take();
        drop(item);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
