//! The latest of a stream of streams.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

/// How many inner streams one poll goes through before it looks at the last of them.
const SWITCHES: usize = 64;

pin_project! {
    /// The items of the latest of a stream's streams.
    ///
    /// A new inner stream takes the place of the one before, which is dropped at once with what it may
    /// still have held: that is what the caller asks for with this. The whole ends when both the outer
    /// stream and its last inner stream have ended.
    ///
    /// New streams come before items: in each poll the outer stream is asked first. One that always has
    /// another stream ready does not starve the items: after 64 of them the last one is polled, and may
    /// deliver.
    ///
    /// ```
    /// use futures::{StreamExt, stream};
    /// use ziggurat_patterns::StreamLayerExt;
    ///
    /// let settings = stream::iter([stream::iter(vec![1, 2]), stream::iter(vec![3, 4])]);
    /// let items: Vec<_> = futures::executor::block_on(settings.switch().collect());
    /// assert_eq!(items, [3, 4]);
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct Switch<S: Stream> {
        #[pin]
        outer: S,
        #[pin]
        inner: Option<S::Item>,
        outer_ended: bool,
    }
}

impl<S: Stream> Switch<S> {
    /// The latest of `outer`'s streams.
    pub fn new(outer: S) -> Self {
        Switch { outer, inner: None, outer_ended: false }
    }

    /// The stream of streams, and the one whose items come now. No item is held here.
    pub fn into_parts(self) -> (S, Option<S::Item>) {
        (self.outer, self.inner)
    }

    /// The stream of streams.
    pub fn get_ref(&self) -> &S {
        &self.outer
    }
}

impl<S: Stream<Item: Stream>> Stream for Switch<S> {
    type Item = <S::Item as Stream>::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let mut waits = false;
        for _ in 0..SWITCHES {
            if *this.outer_ended || waits {
                break;
            }
            match this.outer.as_mut().poll_next(cx) {
                Poll::Ready(Some(inner)) => this.inner.set(Some(inner)),
                Poll::Ready(None) => *this.outer_ended = true,
                Poll::Pending => waits = true,
            }
        }
        if let Some(inner) = this.inner.as_mut().as_pin_mut() {
            match inner.poll_next(cx) {
                Poll::Ready(Some(item)) => return Poll::Ready(Some(item)),
                Poll::Ready(None) => this.inner.set(None),
                Poll::Pending => {}
            }
        }
        if *this.outer_ended && this.inner.is_none() {
            return Poll::Ready(None);
        }
        if !*this.outer_ended && !waits {
            // The outer stream may have more, and has not taken our waker.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let outer_is_empty = self.outer_ended || self.outer.size_hint().1 == Some(0);
        let inner = self.inner.as_ref().map_or((0, Some(0)), Stream::size_hint);
        if outer_is_empty { inner } else { (0, None) }
    }
}

impl<S: Stream<Item: Stream>> FusedStream for Switch<S> {
    fn is_terminated(&self) -> bool {
        self.outer_ended && self.inner.is_none()
    }
}

impl<S: Stream<Item: fmt::Debug> + fmt::Debug> fmt::Debug for Switch<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch")
            .field("outer", &self.outer)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
