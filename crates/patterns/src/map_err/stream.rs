//! Errors of streams, made into others.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream, TryStream};
use pin_project_lite::pin_project;

pin_project! {
    /// A stream whose errors are made into `E`. Made by
    /// [`map_err_into`](crate::StreamLayerExt::map_err_into).
    #[must_use = "streams do nothing unless polled"]
    pub struct MapErrInto<S, E> {
        #[pin]
        inner: S,
        done: bool,
        error: PhantomData<fn() -> E>,
    }
}

impl<S, E> MapErrInto<S, E> {
    pub(crate) fn new(inner: S) -> Self {
        MapErrInto { inner, done: false, error: PhantomData }
    }

    /// The stream inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: TryStream<Error: Into<E>>, E> Stream for MapErrInto<S, E> {
    type Item = Result<S::Ok, E>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if *this.done {
            return Poll::Ready(None);
        }
        let item = ready!(this.inner.try_poll_next(cx));
        *this.done = item.is_none();
        Poll::Ready(item.map(|item| item.map_err(Into::into)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done { (0, Some(0)) } else { self.inner.size_hint() }
    }
}

impl<S: TryStream<Error: Into<E>>, E> FusedStream for MapErrInto<S, E> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: fmt::Debug, E> fmt::Debug for MapErrInto<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapErrInto").field("inner", &self.inner).finish_non_exhaustive()
    }
}
