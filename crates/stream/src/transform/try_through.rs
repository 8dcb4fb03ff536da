//! A stream that may fail, and that goes through a Zig function.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use ziggurat_zig_ffi::ZigError;

use super::through::{Feed, Pull};
use super::{TransformItem, ZigTransform};

/// How a stream that goes through a Zig function ended, when it did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformError<E> {
    /// The input failed; the function was cancelled.
    #[error(transparent)]
    Input(E),
    /// The function failed.
    #[error(transparent)]
    Zig(ZigError),
}

pin_project! {
    /// The stream of [`try_through_zig`](super::ThroughZigExt::try_through_zig).
    #[must_use = "streams do nothing unless polled"]
    pub struct TryThrough<S, T, U, E>
    where
        T: TransformItem,
        T: ?Sized,
        U: TransformItem,
        U: ?Sized,
    {
        #[pin]
        input: S,
        transform: ZigTransform<T, U>,
        feed: Feed,
        // The input's error, until it comes out.
        error: Option<E>,
    }
}

impl<S, T: ?Sized + TransformItem, U: ?Sized + TransformItem, E> TryThrough<S, T, U, E> {
    pub(super) fn new(input: S, transform: ZigTransform<T, U>) -> Self {
        TryThrough { input, transform, feed: Feed::OPEN, error: None }
    }

    /// The stream that goes in.
    pub fn get_ref(&self) -> &S {
        &self.input
    }

    /// As [`Through::into_parts`](super::Through::into_parts), and the input's error if that has come and
    /// was not delivered yet.
    pub fn into_parts(self) -> (S, ZigTransform<T, U>, Option<E>) {
        (self.input, self.transform, self.error)
    }
}

impl<S, T, U, E> Stream for TryThrough<S, T, U, E>
where
    S: Stream<Item = Result<T::Item, E>>,
    T: ?Sized + TransformItem,
    U: ?Sized + TransformItem,
{
    type Item = Result<U::Item, TransformError<E>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            let item = this.transform.poll_pump(cx, this.feed, |cx| {
                if this.error.is_some() {
                    return Poll::Ready(Pull::Stop);
                }
                Poll::Ready(match ready!(this.input.as_mut().poll_next(cx)) {
                    Some(Ok(item)) => Pull::Item(item),
                    Some(Err(error)) => {
                        *this.error = Some(error);
                        Pull::Stop
                    }
                    None => Pull::End,
                })
            });
            if let Feed::Stopped = this.feed {
                // The function asks for more, and there is no more: it ends, and then the error is
                // said.
                *this.feed = Feed::Refused;
                this.transform.request_cancel();
                continue;
            }
            return Poll::Ready(match (ready!(item), this.error.take()) {
                (Some(Ok(item)), error) => {
                    *this.error = error;
                    Some(Ok(item))
                }
                // Whatever the function said when it was cancelled, this is why.
                (_, Some(error)) => Some(Err(TransformError::Input(error))),
                (Some(Err(error)), None) => Some(Err(TransformError::Zig(error))),
                (None, None) => None,
            });
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (here, most) = self.transform.size_hint();
        let error = usize::from(self.error.is_some());
        // An end of the function's that is an error gives way to the input's.
        (here.max(error), most.map(|most| most + error))
    }
}

impl<S, T, U, E> FusedStream for TryThrough<S, T, U, E>
where
    S: Stream<Item = Result<T::Item, E>>,
    T: ?Sized + TransformItem,
    U: ?Sized + TransformItem,
{
    fn is_terminated(&self) -> bool {
        self.error.is_none() && self.transform.is_terminated()
    }
}

impl<S: fmt::Debug, T, U, E: fmt::Debug> fmt::Debug for TryThrough<S, T, U, E>
where
    T: ?Sized + TransformItem,
    U: ?Sized + TransformItem,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryThrough")
            .field("input", &self.input)
            .field("transform", &self.transform)
            .field("feed", &self.feed)
            .field("error", &self.error)
            .finish()
    }
}
