//! Bridges in one call: all that a channel yields into a sink, all that a stream yields into a channel.
//!
//! An item is taken only when there is room for it, and moves at once: none is ever held in between, so
//! that whatever ends the bridge, each item is on one side or the other.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;

use crate::{Receiver, SendError, Sender, spsc};

/// Items per poll, so that what is always ready gives way to other tasks.
const BUDGET: usize = 1024;

/// Why a stream was not forwarded to its end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError<E, T> {
    /// The stream yielded an error. What it had yielded before was sent.
    #[error(transparent)]
    Stream(E),
    /// The channel was closed. The item is the one that had just been taken from the stream, if any; the
    /// stream has the others.
    #[error("sending into a closed channel")]
    Closed(Option<T>),
}

/// Moves items until the stream ends. `step` gives one to the sink.
fn poll_all<S, K, T, E>(
    cx: &mut Context<'_>,
    mut stream: Pin<&mut S>,
    mut sink: Pin<&mut K>,
    refused: impl Fn(K::Error) -> E,
    mut step: impl FnMut(Pin<&mut K>, S::Item) -> Result<(), E>,
) -> Poll<Result<(), E>>
where
    S: Stream,
    K: Sink<T>,
{
    for _ in 0..BUDGET {
        ready!(sink.as_mut().poll_ready(cx)).map_err(&refused)?;
        match stream.as_mut().poll_next(cx) {
            Poll::Ready(Some(item)) => step(sink.as_mut(), item)?,
            Poll::Ready(None) => return Poll::Ready(Ok(())),
            Poll::Pending => {
                ready!(sink.as_mut().poll_flush(cx)).map_err(&refused)?;
                return Poll::Pending;
            }
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

macro_rules! bridges {
    ($receiver:ty, $sender:ty) => {
        impl<T> $receiver {
            /// Moves all items into `sink`, and closes it when the channel is closed and empty.
            ///
            /// # Errors
            ///
            /// The sink's. Items that were not taken are still in the channel.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost when the future is dropped: each item is in the channel or the sink's.
            pub async fn forward_into<K>(&mut self, sink: &mut K) -> Result<(), K::Error>
            where
                K: Sink<T> + Unpin,
            {
                poll_fn(|cx| {
                    let (stream, sink) = (Pin::new(&mut *self), Pin::new(&mut *sink));
                    poll_all(cx, stream, sink, |error| error, |sink, item| sink.start_send(item))
                })
                .await?;
                poll_fn(|cx| Pin::new(&mut *sink).poll_close(cx)).await
            }
        }

        impl<T> $sender {
            /// Sends all that `stream` yields. The channel stays open.
            ///
            /// # Errors
            ///
            /// The stream's error, or that the channel is closed; whatever the stream had yielded has
            /// been sent or is in the error.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost when the future is dropped: each item is the stream's or in the channel.
            /// Room for one may stay taken until the next send, or until this end is dropped.
            pub async fn forward_from<S, E>(
                &mut self,
                stream: &mut S,
            ) -> Result<(), ForwardError<E, T>>
            where
                S: Stream<Item = Result<T, E>> + Unpin,
            {
                let closed = |SendError(item)| ForwardError::Closed(item);
                poll_fn(|cx| {
                    let (stream, sink) = (Pin::new(&mut *stream), Pin::new(&mut *self));
                    poll_all(cx, stream, sink, closed, |sink, item| {
                        sink.start_send(item.map_err(ForwardError::Stream)?).map_err(closed)
                    })
                })
                .await
            }
        }
    };
}

bridges!(Receiver<T>, Sender<T>);
bridges!(spsc::Receiver<T>, spsc::Sender<T>);

#[cfg(all(test, not(ziggurat_loom)))]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::{StreamExt, stream};

    #[test]
    fn everything_goes_from_channel_to_channel_and_the_end_is_passed_on() {
        block_on(async {
            let ((mut s, mut r), (mut into, mut out)) = (crate::bounded(3), spsc::bounded(1));
            let mut numbers = stream::iter((0..5000).map(Ok::<u32, ()>));
            let source = async move { s.forward_from(&mut numbers).await };
            let relay = r.forward_into(&mut into);
            let sink = async {
                for i in 0..5000 {
                    assert_eq!(out.recv().await, Ok(i));
                }
                out.recv().await
            };
            let (source, relay, end) = futures::join!(source, relay, sink);
            assert_eq!((source, relay, end), (Ok(()), Ok(()), Err(crate::RecvError)));
        });
    }

    #[test]
    fn what_ends_a_bridge_loses_no_item() {
        block_on(async {
            let (mut s, r) = crate::bounded(8);
            let mut items = stream::iter([Ok(1), Err("broken"), Ok(2), Ok(3)]);
            assert_eq!(s.forward_from(&mut items).await, Err(ForwardError::Stream("broken")));
            assert_eq!(r.recv().await, Ok(1));
            r.close();
            assert_eq!(s.forward_from(&mut items).await, Err(ForwardError::Closed(None)));
            assert_eq!(items.collect::<Vec<_>>().await, [Ok(2), Ok(3)]);

            // The sink's channel is closed with the first item in it; the others stay where they are.
            let (s, mut r) = crate::bounded(8);
            let (mut into, mut out) = spsc::bounded(1);
            (0..3).for_each(|i| s.try_send(i).unwrap());
            assert!(futures::poll!(Box::pin(r.forward_into(&mut into))).is_pending());
            out.close();
            assert!(r.forward_into(&mut into).await.is_err());
            assert_eq!((out.recv().await, r.recv().await, r.recv().await), (Ok(0), Ok(1), Ok(2)));
        });
    }
}
