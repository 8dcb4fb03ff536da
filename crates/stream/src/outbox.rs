//! What a sink has accepted and Zig has not yet taken, and the one way across.

use std::task::{Context, Poll, ready};

use ziggurat_core::Buffer;
use ziggurat_zig_ffi::{OpenError, Outcome, Plain, Progress, RawSink, ZigError};

use crate::batch::reserve;
use crate::byte_stream::NO_BUFFER;

/// A raw sink with the items that wait for it. `W` is what the items are on the other side.
pub struct Outbox<W, R> {
    sink: RawSink,
    items: Vec<W>,
    batch: usize,
    /// Items that are, or were, the other side's.
    handed_over: usize,
    take_back: TakeBack<W>,
    state: State<R>,
}

/// Takes back up to `most` items that the function has not consumed.
pub(crate) type TakeBack<W> = fn(sink: &mut RawSink, most: usize) -> Vec<W>;

/// Items that cross back at once.
const BACK: usize = 64;

/// For plain items.
pub(crate) fn take_back_plain<T: Plain>(sink: &mut RawSink, most: usize) -> Vec<T> {
    let mut items = Vec::new();
    while items.len() < most {
        let (here, cap) = (items.len(), BACK.min(most - items.len()));
        // In place: one may be too large for a stack.
        items.resize(here + cap, T::zeroed());
        // SAFETY: room for `cap` items of the sink's type, which is `T`; any bit pattern is one.
        let n = unsafe { sink.take_back(items[here..].as_mut_ptr().cast(), cap) };
        items.truncate(here + n);
        if n == 0 {
            break;
        }
    }
    items
}

/// For runs of bytes. One whose description is impossible ends it: it was never owned.
pub(crate) fn take_back_bytes(sink: &mut RawSink, most: usize) -> Vec<Buffer> {
    let mut items = Vec::new();
    while items.len() < most {
        let mut room = [NO_BUFFER; BACK];
        let cap = BACK.min(most - items.len());
        // SAFETY: room for `cap` items of the sink's type, which is `RawBuffer`.
        let n = unsafe { sink.take_back(room.as_mut_ptr().cast(), cap) };
        if n == 0 {
            break;
        }
        for raw in &room[..n] {
            // SAFETY: the other side gave this buffer to us, once; what it did not write is
            // refused.
            match unsafe { Buffer::from_raw(*raw) } {
                Ok(buffer) => items.push(buffer),
                Err(_) => return items,
            }
        }
    }
    items
}

enum State<R> {
    Open,
    /// The function has returned this.
    Returned(R),
    /// The function's end has been reported.
    Ended,
}

impl<W, R: Outcome<Value = R>> Outbox<W, R> {
    /// # Safety
    ///
    /// `sink`'s items are described by `W`, its result by `R`, and `take_back` is for such items.
    pub(crate) unsafe fn new(
        sink: RawSink,
        batch: usize,
        take_back: TakeBack<W>,
    ) -> Result<Self, OpenError> {
        let items = reserve(batch)?;
        Ok(Outbox { sink, items, batch, handed_over: 0, take_back, state: State::Open })
    }

    /// Waits until an item can be accepted.
    #[inline]
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        if self.items.len() < self.batch
            && matches!(self.state, State::Open)
            && !self.sink.refused()
        {
            return Poll::Ready(Ok(()));
        }
        self.poll_push(cx, self.batch - 1)
    }

    pub(crate) fn accept(&mut self, item: W) {
        self.items.push(item);
    }

    /// How many more items may be accepted.
    pub(crate) fn room(&self) -> usize {
        self.batch - self.items.len()
    }

    /// Waits until every item is the other side's. If all are, the function gets a turn to run:
    /// whoever polls nothing but this lets it go on with what it has.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        if self.items.is_empty() {
            return Poll::Ready(self.poll_drive(cx));
        }
        self.poll_push(cx, 0)
    }

    /// Waits until every item is the other side's.
    pub(crate) fn poll_hand_over(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        if self.items.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.poll_push(cx, 0)
    }

    /// Gives the function a turn, without an item: what it holds it may let go of.
    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Result<(), ZigError> {
        if !matches!(self.state, State::Open) || self.sink.refused() {
            return Ok(());
        }
        match self.sink.poll_wanted(cx) {
            Progress::Ended(error) => self.has_ended(error),
            Progress::Ready | Progress::Pending => Ok(()),
        }
    }

    /// Hands over what is here, and then waits until the function wants more. An error: it has
    /// ended.
    pub(crate) fn poll_wanted(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        ready!(self.poll_hand_over(cx))?;
        if !matches!(self.state, State::Open) || self.sink.refused() {
            return Poll::Ready(Err(ZigError::Closed));
        }
        match self.sink.poll_wanted(cx) {
            Progress::Ready => Poll::Ready(Ok(())),
            Progress::Pending => Poll::Pending,
            Progress::Ended(error) => Poll::Ready(self.has_ended(error).and(Err(ZigError::Closed))),
        }
    }

    /// The function is known to have ended: sees to it that what it has not consumed is here.
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>) {
        // How it has ended, the caller has been told.
        let _ = self.poll_drive(cx);
    }

    /// The function takes no more. What it was given and has not consumed comes back, before what
    /// it was not given.
    fn has_ended(&mut self, error: Option<ZigError>) -> Result<(), ZigError> {
        let back = (self.take_back)(&mut self.sink, self.handed_over);
        self.handed_over = 0;
        self.items.splice(0..0, back);
        let Some(error) = error else { return Ok(()) };
        self.state = State::Ended;
        Err(error)
    }

    /// Crosses until at most `left` items are left.
    fn poll_push(&mut self, cx: &mut Context<'_>, left: usize) -> Poll<Result<(), ZigError>> {
        if !matches!(self.state, State::Open) || self.sink.refused() {
            return Poll::Ready(Err(ZigError::Closed));
        }
        while self.items.len() > left {
            let (items, count) = (self.items.as_ptr().cast(), self.items.len());
            // SAFETY: `count` items of the sink's type (`new`); those that are taken are forgotten
            // here.
            let (taken, progress) = unsafe { self.sink.send_batch(cx, items, count) };
            self.items.drain(..taken).for_each(std::mem::forget);
            self.handed_over = self.handed_over.saturating_add(taken);
            match progress {
                Progress::Ready => {}
                Progress::Pending if self.items.len() <= left => break,
                Progress::Pending => return Poll::Pending,
                Progress::Ended(error) => {
                    self.has_ended(error)?;
                    let all_taken = self.items.is_empty();
                    return Poll::Ready(if all_taken { Ok(()) } else { Err(ZigError::Closed) });
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Hands over what is left, ends the input, and waits for the function. Items that a function
    /// which returned early did not take stay here.
    pub(crate) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        match self.state {
            State::Open => {}
            State::Returned(_) => return Poll::Ready(Ok(())),
            State::Ended => return Poll::Ready(Err(ZigError::Closed)),
        }
        match ready!(self.poll_hand_over(cx)) {
            Ok(()) | Err(ZigError::Closed) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        self.poll_end_input(cx)
    }

    /// Hands over what is left, and ends the input. The function may go on.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        match self.state {
            State::Open => {}
            State::Returned(_) => return Poll::Ready(Ok(())),
            State::Ended => return Poll::Ready(Err(ZigError::Closed)),
        }
        ready!(self.poll_hand_over(cx))?;
        match self.poll_end_input(cx) {
            Poll::Ready(ended) => Poll::Ready(ended),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    /// Ends the input without handing over what is left, and waits for the function.
    pub(crate) fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        match self.state {
            State::Open => self.poll_end_input(cx),
            State::Returned(_) => Poll::Ready(Ok(())),
            State::Ended => Poll::Ready(Err(ZigError::Closed)),
        }
    }

    fn poll_end_input(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        let mut result = R::empty();
        // SAFETY: a value of the sink's result type (`new`), initialised whatever the other side
        // writes into it, and any bit pattern is an `R::Raw`.
        match unsafe { self.sink.poll_close(cx, (&raw mut result).cast()) } {
            Progress::Pending | Progress::Ready => Poll::Pending,
            Progress::Ended(None) => {
                self.has_ended(None)?;
                // SAFETY: the function has returned, and this is the one time that it is asked for
                // what.
                match unsafe { R::from_raw(result) } {
                    Ok(result) => self.state = State::Returned(result),
                    Err(error) => {
                        self.state = State::Ended;
                        return Poll::Ready(Err(error.into()));
                    }
                }
                Poll::Ready(Ok(()))
            }
            Progress::Ended(error) => Poll::Ready(self.has_ended(error)),
        }
    }

    /// As `poll_finish`, but items that were not taken are an error: what `Sink` can say.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
        ready!(self.poll_finish(cx))?;
        let all_taken = self.items.is_empty();
        Poll::Ready(if all_taken { Ok(()) } else { Err(ZigError::Closed) })
    }

    /// What the function returned, once.
    pub(crate) fn take_result(&mut self) -> Option<R> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Returned(result) => Some(result),
            other => {
                self.state = other;
                None
            }
        }
    }

    pub(crate) fn unsent(&self) -> &[W] {
        &self.items
    }

    pub(crate) fn take_unsent(&mut self) -> Vec<W> {
        std::mem::take(&mut self.items)
    }

    pub(crate) fn cancel(&self) {
        self.sink.cancel();
    }
}

/// What every sink over an outbox has: how it ends, what is left in it, and the `Sink` trait
/// itself.
macro_rules! sink_methods {
    ($sink:ident<$($param:ident: [$($bound:tt)+]),*>, of $item:ty, waiting as $wire:ty) => {
        impl<$($param: $($bound)+),*> $sink<$($param),*> {
            /// Hands over what is left, ends the input, and waits for what the function returns.
            ///
            /// A function that had returned before it took everything is no error here: what it did
            /// not take is [`unsent`](Self::unsent).
            ///
            /// # Errors
            ///
            /// The function's error; [`ZigError::Closed`] when its end has been reported before.
            ///
            /// # Cancel safety
            ///
            /// Dropping the future loses nothing: call it again.
            pub async fn close(&mut self) -> Result<R, ZigError> {
                poll_fn(|cx| self.outbox.poll_finish(cx)).await?;
                self.outbox.take_result().ok_or(ZigError::Closed)
            }

            /// What the function returned, after the sink was closed through the [`Sink`] trait.
            /// Once.
            pub fn take_result(&mut self) -> Option<R> {
                self.outbox.take_result()
            }

            /// Items that wait here, or that the function had not consumed when it ended. Of a
            /// chunk that a function's reader has read in part, that is the rest.
            pub fn unsent(&self) -> &[$wire] {
                self.outbox.unsent()
            }

            /// Ends the sink from this side (the function is cancelled unless it has ended) and
            /// gives back the items that have not crossed.
            pub fn into_unsent(mut self) -> Vec<$wire> {
                self.outbox.take_unsent()
            }

            /// Asks the function to end. Sending and closing go on to say what it makes of that.
            pub fn request_cancel(&self) {
                self.outbox.cancel();
            }

            /// Asks the function to end, waits until it has, and returns what it said:
            /// [`ZigError::Canceled`] as a rule, or its result if it had returned before it noticed. Its
            /// `defer`s have run then.
            ///
            /// Items that wait here, or that it has not consumed, are dropped.
            ///
            /// # Errors
            ///
            /// How the function ended; [`ZigError::Closed`] when that has been reported before.
            ///
            /// # Cancel safety
            ///
            /// The function has been asked to end by the first poll. Dropping the future is dropping the
            /// sink: what the function still has to do is done in the background.
            pub async fn cancel(mut self) -> Result<R, ZigError> {
                self.outbox.cancel();
                poll_fn(|cx| self.outbox.poll_stop(cx)).await?;
                self.outbox.take_result().ok_or(ZigError::Closed)
            }
        }

        impl<$($param: $($bound)+),*> Sink<$item> for $sink<$($param),*> {
            type Error = ZigError;

            fn poll_ready(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Result<(), ZigError>> {
                self.outbox.poll_ready(cx)
            }

            fn start_send(mut self: Pin<&mut Self>, item: $item) -> Result<(), ZigError> {
                self.outbox.accept(item.into());
                Ok(())
            }

            fn poll_flush(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Result<(), ZigError>> {
                self.outbox.poll_flush(cx)
            }

            /// As `close`, but items that were not taken are an error here: [`ZigError::Closed`].
            fn poll_close(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Result<(), ZigError>> {
                self.outbox.poll_close(cx)
            }
        }

        impl<$($param),*> Unpin for $sink<$($param),*> {}
    };
}
pub(crate) use sink_methods;
