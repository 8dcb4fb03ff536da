//! A Zig function between two streams: what goes in, and what comes out.

mod ext;
mod item;
mod through;
mod try_through;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use ziggurat_zig_ffi::{OpenError, RawSink, RawSource, ZigError};

pub use ext::ThroughZigExt;
pub use item::TransformItem;
use item::{InputHalf, OutputHalf};
pub use through::Through;
pub use try_through::{TransformError, TryThrough};

/// A Zig function that takes `T`s and gives `U`s, both plain types, or `[u8]` for runs of bytes
/// (which are [`Bytes`](bytes::Bytes) here).
///
/// [`stream.through_zig(transform)`](ThroughZigExt::through_zig) is the usual way to use it. By
/// itself it is a [`Sink`] of what goes in and a [`Stream`] of what comes out, and
/// [`into_split`](Self::into_split) makes those two values of their own, which may go to different
/// tasks.
///
/// # Backpressure
///
/// The function is bounded on both sides. It waits when nobody takes its output; then at most
/// `capacity` items of input are under way to it, and a batch waits here. So whoever sends and
/// never receives waits for ever: use the halves in different tasks, or `through_zig`, which does
/// both.
///
/// # The end
///
/// The stream ends when the function returns, even before its input does; input that it has not
/// consumed is [`unsent`](Self::unsent) then. An error comes after all items that were sent before
/// it.
///
/// # Cancellation
///
/// Dropping it cancels the function, as [`ZigStream`](crate::ZigStream)'s drop does; so does
/// dropping either half, unless the function has ended.
#[must_use = "a transform does nothing unless it is polled"]
pub struct ZigTransform<T: ?Sized + TransformItem, U: ?Sized + TransformItem> {
    sink: T::Sink,
    stream: U::Stream,
}

impl<T: ?Sized + TransformItem, U: ?Sized + TransformItem> ZigTransform<T, U> {
    /// A transform over the opened halves of one, whose items cross `batches` at a time: in and
    /// out.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the items are not `T` and `U`, or a batch is 0.
    pub fn from_halves(
        sink: RawSink,
        source: RawSource,
        batches: (usize, usize),
    ) -> Result<Self, OpenError> {
        let (sink, stream) = (T::sink(sink, batches.0)?, U::stream(source, batches.1)?);
        Ok(ZigTransform { sink, stream })
    }

    /// What takes the input, and what delivers the output. Each has its own waker, so that they may
    /// be polled by different tasks, on different threads.
    ///
    /// Closing the sink waits for the function to end. Dropping the sink before that cancels the
    /// function: it is not to take a part for the whole.
    pub fn into_split(self) -> (T::Sink, U::Stream) {
        (self.sink, self.stream)
    }

    /// Input that waits here, or, after the end, that the function has not consumed.
    pub fn unsent(&mut self) -> &[T::Wire] {
        self.sink.outbox().unsent()
    }

    /// Ends the transform from this side (the function is cancelled unless it has ended) and gives
    /// back the input that it has not consumed, as far as that is [`unsent`](Self::unsent).
    pub fn into_unsent(mut self) -> Vec<T::Wire> {
        self.sink.outbox().take_unsent()
    }

    /// What comes out. With its end, what is left of what went in comes back.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<U::Item, ZigError>>> {
        let item = ready!(Pin::new(&mut self.stream).poll_next(cx));
        if !matches!(item, Some(Ok(_))) {
            self.sink.outbox().settle(cx);
        }
        Poll::Ready(item)
    }

    /// Asks the function to end, and goes on delivering what is under way, then
    /// [`ZigError::Canceled`] (or whatever the function makes of it).
    pub fn request_cancel(&self) {
        self.stream.request_cancel();
    }

    /// Asks the function to end, waits until it has, and returns what it said:
    /// [`ZigError::Canceled`] as a rule; `Ok` if it came to its own end before it noticed, or the stream
    /// has ended before. Its `defer`s have run then.
    ///
    /// Items that were not taken, on either side, are dropped.
    ///
    /// # Errors
    ///
    /// How the function ended, unless that was well.
    ///
    /// # Cancel safety
    ///
    /// The function has been asked to end by the first poll. Dropping the future is dropping the
    /// transform: what the function still has to do is done in the background.
    pub async fn cancel(mut self) -> Result<(), ZigError> {
        self.request_cancel();
        poll_fn(|cx| self.poll_end(cx)).await
    }

    /// Drops what comes out, up to the end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        while ready!(Pin::new(&mut self.stream).poll_next(cx)).transpose()?.is_some() {}
        Poll::Ready(Ok(()))
    }
}

/// What goes in. Closing hands over what is left and ends the input; it does not wait for the
/// function to end, which may have more to say.
impl<T: ?Sized + TransformItem, U: ?Sized + TransformItem> Sink<T::Item> for ZigTransform<T, U> {
    type Error = ZigError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        self.sink.outbox().poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: T::Item) -> Result<(), ZigError> {
        self.sink.outbox().accept(item.into());
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        self.sink.outbox().poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        self.sink.outbox().poll_end(cx)
    }
}

/// What comes out.
impl<T: ?Sized + TransformItem, U: ?Sized + TransformItem> Stream for ZigTransform<T, U> {
    type Item = Result<U::Item, ZigError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_output(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<T: ?Sized + TransformItem, U: ?Sized + TransformItem> FusedStream for ZigTransform<T, U> {
    fn is_terminated(&self) -> bool {
        self.stream.is_terminated()
    }
}

impl<T: ?Sized + TransformItem, U: ?Sized + TransformItem> Unpin for ZigTransform<T, U> {}

impl<T: ?Sized + TransformItem, U: ?Sized + TransformItem> fmt::Debug for ZigTransform<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZigTransform")
            .field("input", &std::any::type_name::<T>())
            .field("output", &std::any::type_name::<U>())
            .field("terminated", &self.stream.is_terminated())
            .finish_non_exhaustive()
    }
}
