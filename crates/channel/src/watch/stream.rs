//! The values of a watch channel as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::stream::{FusedStream, Stream};

use super::Receiver;
use crate::wait::Key;

/// The latest value, whenever it has changed, as a [`Stream`]. Ends when all senders are gone and the last
/// value has been yielded.
///
/// What changes between two polls is one item: the stream yields what the value is then, not each value that
/// it had.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use futures_lite::StreamExt;
/// use ziggurat_channel::watch::{self, WatchStream};
///
/// let (s, r) = watch::channel(1);
/// let mut values = WatchStream::new(r);
/// assert_eq!(values.next().await, Some(1)); // what there is already
/// s.send(2).unwrap();
/// s.send(3).unwrap();
/// assert_eq!(values.next().await, Some(3));
/// drop(s);
/// assert_eq!(values.next().await, None);
/// # });
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct WatchStream<T> {
    receiver: Receiver<T>,
    /// The present value counts as new.
    first: bool,
    key: Option<Key>,
}

impl<T> WatchStream<T> {
    /// Begins with the present value, even if it has been seen.
    pub fn new(receiver: Receiver<T>) -> Self {
        WatchStream { receiver, first: true, key: None }
    }

    /// Begins with the next value that the receiver has not seen.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use futures_lite::StreamExt;
    /// use ziggurat_channel::watch::{self, WatchStream};
    ///
    /// let (s, r) = watch::channel(1);
    /// let mut changes = WatchStream::from_changes(r);
    /// s.send(2).unwrap();
    /// assert_eq!(changes.next().await, Some(2));
    /// # });
    /// ```
    pub fn from_changes(receiver: Receiver<T>) -> Self {
        WatchStream { receiver, first: false, key: None }
    }

    /// The receiver, for which what was yielded counts as seen.
    pub fn into_inner(mut self) -> Receiver<T> {
        self.leave();
        self.receiver.clone()
    }

    /// Leaves the waiting list. Everybody is woken at once, so that there is nothing to pass on.
    fn leave(&mut self) {
        self.receiver.shared.changed.unpark(&mut self.key, true);
    }
}

impl<T: Clone> Stream for WatchStream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        let mut registered = false;
        loop {
            let changed = match this.receiver.has_changed() {
                Ok(changed) => changed || this.first,
                Err(_) if this.first => true,
                Err(_) => {
                    this.leave();
                    return Poll::Ready(None);
                }
            };
            if changed {
                this.leave();
                this.first = false;
                return Poll::Ready(Some(this.receiver.borrow_and_update().clone()));
            }
            // Registered before the last look, so that whatever comes after that look wakes the task.
            if registered || !this.receiver.shared.changed.park(&mut this.key, cx.waker()) {
                return Poll::Pending;
            }
            registered = true;
        }
    }
}

impl<T: Clone> FusedStream for WatchStream<T> {
    fn is_terminated(&self) -> bool {
        !self.first && self.receiver.has_changed().is_err()
    }
}

// The value is never pinned.
impl<T> Unpin for WatchStream<T> {}

impl<T> From<Receiver<T>> for WatchStream<T> {
    /// As [`WatchStream::new`].
    fn from(receiver: Receiver<T>) -> Self {
        WatchStream::new(receiver)
    }
}

impl<T> Drop for WatchStream<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<T> fmt::Debug for WatchStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchStream").finish_non_exhaustive()
    }
}
