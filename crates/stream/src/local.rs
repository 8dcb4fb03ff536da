//! For Zig code that is bound to its thread.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedFuture, FusedStream, Stream};
use futures_sink::Sink;
use ziggurat_core::Buffer;
use ziggurat_zig_ffi::{Outcome, Plain, ZigError};

use crate::{
    NextBatch, TransformItem, ZigByteSink, ZigByteStream, ZigFuture, ZigSink, ZigStream,
    ZigTransform,
};

/// A stream, sink, transform or future that stays on the thread that opened it: it is not `Send`.
///
/// A coroutine may go on on another thread after each wait, with its task. Code that keeps the
/// address of a `threadlocal` meanwhile, or that calls a library that does, is not made for that.
/// Opened by `open_local()`, it is only ever polled on one thread: an executor's local tasks are
/// where it goes (`tokio::task::LocalSet`, `smol::LocalExecutor`, a bare `block_on`). What is
/// inside cannot be had out, but for items that it has not delivered.
///
/// What may still run elsewhere: the fibers of what is *dropped* while a `defer` of its function
/// has to wait. The drop runs the function up to there, on this thread, and does not block it for
/// the rest, which is done in the background, by another thread. Where that matters,
/// [`cancel`](Local::cancel) it and wait; then all of it has run here.
///
/// ```
/// fn is_send<T: Send>() {}
/// is_send::<ziggurat_stream::ZigStream<u64>>();
/// ```
///
/// ```compile_fail
/// fn is_send<T: Send>() {}
/// is_send::<ziggurat_stream::Local<ziggurat_stream::ZigStream<u64>>>();
/// ```
#[must_use = "it does nothing unless it is polled"]
pub struct Local<S> {
    inner: S,
    /// Neither `Send` nor `Sync`.
    thread: PhantomData<*const ()>,
}

/// A [`ZigStream`] that stays on its thread.
pub type LocalZigStream<T> = Local<ZigStream<T>>;
/// A [`ZigByteStream`] that stays on its thread.
pub type LocalZigByteStream = Local<ZigByteStream>;
/// A [`ZigSink`] that stays on its thread.
pub type LocalZigSink<T, R = ()> = Local<ZigSink<T, R>>;
/// A [`ZigByteSink`] that stays on its thread.
pub type LocalZigByteSink<R = ()> = Local<ZigByteSink<R>>;
/// A [`ZigTransform`] that stays on its thread.
pub type LocalZigTransform<T, U> = Local<ZigTransform<T, U>>;
/// A [`ZigFuture`] that stays on its thread.
pub type LocalZigFuture<R = ()> = Local<ZigFuture<R>>;

impl<S> Local<S> {
    pub(crate) fn new(inner: S) -> Self {
        Local { inner, thread: PhantomData }
    }
}

impl<S: Stream + Unpin> Stream for Local<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Pin::new(&mut self.inner).poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl<S: FusedStream + Unpin> FusedStream for Local<S> {
    fn is_terminated(&self) -> bool {
        self.inner.is_terminated()
    }
}

impl<S: Sink<I> + Unpin, I> Sink<I> for Local<S> {
    type Error = S::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Pin::new(&mut self.inner).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: I) -> Result<(), S::Error> {
        Pin::new(&mut self.inner).start_send(item)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

impl<S: Future + Unpin> Future for Local<S> {
    type Output = S::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<S::Output> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

impl<S: FusedFuture + Unpin> FusedFuture for Local<S> {
    fn is_terminated(&self) -> bool {
        self.inner.is_terminated()
    }
}

impl<S> Unpin for Local<S> {}

impl<S: fmt::Debug> fmt::Debug for Local<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Local").field(&self.inner).finish()
    }
}

/// How each of them is ended, as from inside.
macro_rules! ends {
    ($($target:ty, [$($param:ident: $($bound:tt)+)?] [$($more:ident: $($its:tt)+)?] -> $said:ty;)*) => {$(
        impl<$($param: $($bound)+,)? $($more: $($its)+)?> Local<$target> {
            /// Asks the function to end.
            pub fn request_cancel(&self) {
                self.inner.request_cancel();
            }

            /// Asks the function to end, waits until it has, on this thread, and returns what it
            /// said.
            ///
            /// # Errors
            ///
            /// As of what is inside.
            ///
            /// # Cancel safety
            ///
            /// As of what is inside.
            pub async fn cancel(self) -> Result<$said, ZigError> {
                // The future that this is part of has what makes it not `Send`.
                let _thread = self.thread;
                self.inner.cancel().await
            }
        }
    )*};
}

ends! {
    ZigStream<T>, [T: Plain] [] -> ();
    ZigByteStream, [] [] -> ();
    ZigSink<T, R>, [T: Plain] [R: Outcome<Value = R>] -> R;
    ZigByteSink<R>, [R: Outcome<Value = R>] [] -> R;
    ZigTransform<T, U>, [T: ?Sized + TransformItem] [U: ?Sized + TransformItem] -> ();
    ZigFuture<R>, [R: ?Sized + Outcome] [] -> R::Value;
}

impl<T: Plain> Local<ZigStream<T>> {
    /// As [`ZigStream::next_batch`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn next_batch(&mut self) -> Local<NextBatch<'_, T>> {
        Local::new(self.inner.next_batch())
    }
}

/// What is left in a sink, and what its function returned, as from inside.
macro_rules! sinks {
    ($($target:ty, [$($param:ident: $($bound:tt)+)?] [$($more:ident: $($its:tt)+)?] of $wire:ty;)*) => {$(
        impl<$($param: $($bound)+,)? $($more: $($its)+)?> Local<$target> {
            /// What the function returned, after the sink was closed through the [`Sink`] trait. Once.
            pub fn take_result(&mut self) -> Option<R> {
                self.inner.take_result()
            }

            /// Items that wait here, or that the function had not consumed when it ended.
            pub fn unsent(&self) -> &[$wire] {
                self.inner.unsent()
            }

            /// Ends the sink from this side and gives back the items that have not crossed, or that came
            /// back.
            pub fn into_unsent(self) -> Vec<$wire> {
                self.inner.into_unsent()
            }
        }
    )*};
}

sinks! {
    ZigSink<T, R>, [T: Plain] [R: Outcome<Value = R>] of T;
    ZigByteSink<R>, [R: Outcome<Value = R>] [] of Buffer;
}

impl<T: ?Sized + TransformItem, U: ?Sized + TransformItem> Local<ZigTransform<T, U>> {
    /// As [`ZigTransform::unsent`].
    pub fn unsent(&mut self) -> &[T::Wire] {
        self.inner.unsent()
    }

    /// As [`ZigTransform::into_unsent`].
    pub fn into_unsent(self) -> Vec<T::Wire> {
        self.inner.into_unsent()
    }
}

impl<T: Plain, R: Outcome<Value = R>> Local<ZigSink<T, R>> {
    /// As [`ZigSink::close`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call it again.
    pub async fn close(&mut self) -> Result<R, ZigError> {
        poll_fn(|cx| self.inner.outbox().poll_finish(cx)).await?;
        self.inner.take_result().ok_or(ZigError::Closed)
    }
}

impl<R: Outcome<Value = R>> Local<ZigByteSink<R>> {
    /// As [`ZigByteSink::close`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call it again.
    pub async fn close(&mut self) -> Result<R, ZigError> {
        poll_fn(|cx| self.inner.outbox().poll_finish(cx)).await?;
        self.inner.take_result().ok_or(ZigError::Closed)
    }
}
