//! What a sink has accepted and Zig has not yet taken, and the one way across.

use std::task::{Context, Poll, ready};

use ziggurat_zig_ffi::{OpenError, Outcome, Progress, RawSink, ZigError};

use crate::batch::reserve;

/// A raw sink with the items that wait for it. `W` is what the items are on the other side.
pub(crate) struct Outbox<W, R> {
    sink: RawSink,
    items: Vec<W>,
    batch: usize,
    state: State<R>,
}

enum State<R> {
    Open,
    /// The function has returned this.
    Returned(R),
    /// The function's end has been reported.
    Ended,
}

impl<W, R: Outcome> Outbox<W, R> {
    /// # Safety
    ///
    /// `sink`'s items are described by `W`, its result by `R`.
    pub(crate) unsafe fn new(sink: RawSink, batch: usize) -> Result<Self, OpenError> {
        let items = reserve(batch)?;
        Ok(Outbox { sink, items, batch, state: State::Open })
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

    /// Waits until every item is the other side's.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ZigError>> {
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
        // SAFETY: no items.
        let (_, progress) = unsafe { self.sink.send_batch(cx, self.items.as_ptr().cast(), 0) };
        let Progress::Ended(Some(error)) = progress else { return Ok(()) };
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
            // SAFETY: `count` items of the sink's type (`new`); those that are taken are forgotten here.
            let (taken, progress) = unsafe { self.sink.send_batch(cx, items, count) };
            self.items.drain(..taken).for_each(std::mem::forget);
            match progress {
                Progress::Ready => {}
                Progress::Pending if self.items.len() <= left => break,
                Progress::Pending => return Poll::Pending,
                Progress::Ended(None) if self.items.is_empty() => break,
                Progress::Ended(None) => return Poll::Ready(Err(ZigError::Closed)),
                Progress::Ended(Some(error)) => {
                    self.state = State::Ended;
                    return Poll::Ready(Err(error));
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
        match ready!(self.poll_flush(cx)) {
            Ok(()) | Err(ZigError::Closed) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        let mut result = R::empty();
        // SAFETY: a value of the sink's result type (`new`), initialised whatever the other side
        // writes into it, and any bit pattern is an `R::Raw`.
        match unsafe { self.sink.poll_close(cx, (&raw mut result).cast()) } {
            Progress::Pending | Progress::Ready => Poll::Pending,
            Progress::Ended(None) => {
                // SAFETY: the function has returned, and this is the one time that it is asked for what.
                match unsafe { R::from_raw(result) } {
                    Ok(result) => self.state = State::Returned(result),
                    Err(error) => {
                        self.state = State::Ended;
                        return Poll::Ready(Err(error.into()));
                    }
                }
                Poll::Ready(Ok(()))
            }
            Progress::Ended(Some(error)) => {
                self.state = State::Ended;
                Poll::Ready(Err(error))
            }
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

    pub(crate) fn into_unsent(self) -> Vec<W> {
        self.items
    }

    pub(crate) fn cancel(&self) {
        self.sink.cancel();
    }
}

/// What every sink over an outbox has: how it ends, what is left in it, and the `Sink` trait itself.
macro_rules! sink_methods {
    ($sink:ident<$($param:ident: $bound:ident),*>, of $item:ty, waiting as $wire:ty) => {
        impl<$($param: $bound),*> $sink<$($param),*> {
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

            /// Items that wait here, or that the function did not take before it ended.
            pub fn unsent(&self) -> &[$wire] {
                self.outbox.unsent()
            }

            /// Ends the sink from this side (the function is cancelled unless it has ended) and gives
            /// back the items that have not crossed.
            pub fn into_unsent(self) -> Vec<$wire> {
                self.outbox.into_unsent()
            }

            /// Asks the function to end.
            pub fn cancel(&self) {
                self.outbox.cancel();
            }
        }

        impl<$($param: $bound),*> Sink<$item> for $sink<$($param),*> {
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
