//! The items of a broadcast channel as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::stream::{FusedStream, Stream};

use super::{Receiver, TryRecvError};
use crate::wait::Key;

/// So many items were missed ([`Lag::Report`](super::Lag::Report)). The stream goes on with the oldest there
/// is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} items were missed")]
pub struct Lagged(pub u64);

/// What a receiver receives, as a [`Stream`]. Ends when all senders are gone and all has been yielded.
///
/// An error is only ever yielded by a channel that [reports](super::Lag::Report) what is missed, and is not the
/// end.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use futures_lite::StreamExt;
/// use ziggurat_channel::broadcast::{self, BroadcastStream, Lag, Lagged};
///
/// let (s, r) = broadcast::bounded(2, Lag::Report);
/// let mut items = BroadcastStream::new(r);
/// for i in 0..3 {
///     s.send(i).await.unwrap();
/// }
/// drop(s);
/// assert_eq!(items.next().await, Some(Err(Lagged(1))));
/// assert_eq!(items.next().await, Some(Ok(1)));
/// assert_eq!(items.next().await, Some(Ok(2)));
/// assert_eq!(items.next().await, None);
/// # });
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct BroadcastStream<T> {
    /// None only while it is taken apart.
    receiver: Option<Receiver<T>>,
    key: Option<Key>,
}

impl<T> BroadcastStream<T> {
    /// Goes on where the receiver is.
    pub fn new(receiver: Receiver<T>) -> Self {
        BroadcastStream { receiver: Some(receiver), key: None }
    }

    /// The receiver, which goes on where the stream is.
    pub fn into_inner(mut self) -> Receiver<T> {
        self.leave();
        let Some(receiver) = self.receiver.take() else {
            unreachable!("it is taken by value only")
        };
        receiver
    }

    /// Leaves the waiting list. Everybody is woken at once, so that there is nothing to pass on.
    fn leave(&mut self) {
        if let Some(receiver) = &self.receiver {
            receiver.shared.receivers.unpark(&mut self.key, true);
        }
    }
}

impl<T: Clone> Stream for BroadcastStream<T> {
    type Item = Result<T, Lagged>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let mut registered = false;
        loop {
            let Some(receiver) = &mut this.receiver else { return Poll::Ready(None) };
            let next = match receiver.try_recv() {
                Ok(item) => Some(Ok(item)),
                Err(TryRecvError::Lagged(missed)) => Some(Err(Lagged(missed))),
                Err(TryRecvError::Closed) => None,
                Err(TryRecvError::Empty) => {
                    // Registered before the last look, so that whatever comes after that look wakes the task.
                    if registered || !receiver.shared.receivers.park(&mut this.key, cx.waker()) {
                        return Poll::Pending;
                    }
                    registered = true;
                    continue;
                }
            };
            this.leave();
            return Poll::Ready(next);
        }
    }

    /// What is there already.
    fn size_hint(&self) -> (usize, Option<usize>) {
        // Those that were missed are one error, or nothing.
        (usize::from(self.receiver.as_ref().is_some_and(|receiver| !receiver.is_empty())), None)
    }
}

impl<T: Clone> FusedStream for BroadcastStream<T> {
    fn is_terminated(&self) -> bool {
        self.receiver.as_ref().is_none_or(|receiver| receiver.is_closed() && receiver.is_empty())
    }
}

// The items are never pinned.
impl<T> Unpin for BroadcastStream<T> {}

impl<T> From<Receiver<T>> for BroadcastStream<T> {
    fn from(receiver: Receiver<T>) -> Self {
        BroadcastStream::new(receiver)
    }
}

impl<T> Drop for BroadcastStream<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<T> fmt::Debug for BroadcastStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastStream").finish_non_exhaustive()
    }
}
