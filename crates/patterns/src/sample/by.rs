//! Sampling when another stream says so.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;

use super::stream::{Held, Taken};
use crate::buffer::POLLS;

/// Wraps streams in [`SampleBy`], each with a trigger of its own.
///
/// ```
/// use futures::{StreamExt, channel::mpsc};
/// use ziggurat_patterns::{StreamLayerExt, stream::SampleBy};
///
/// # futures::executor::block_on(async {
/// let (sender, items) = mpsc::unbounded();
/// let (trigger, triggers) = mpsc::unbounded();
/// let mut samples = items.sample_by(triggers);
/// for n in 1..=3 {
///     sender.unbounded_send(n).unwrap();
/// }
/// trigger.unbounded_send(()).unwrap();
/// assert_eq!(samples.next().await, Some(3));
/// assert_eq!(samples.superseded(), 2);
/// # });
/// ```
#[derive(Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct SampleByLayer<F> {
    trigger: F,
}

impl<F> SampleByLayer<F> {
    /// `trigger` makes the stream that says when, for each stream that is wrapped.
    pub fn new(trigger: F) -> Self {
        SampleByLayer { trigger }
    }
}

impl<F> fmt::Debug for SampleByLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleByLayer").finish_non_exhaustive()
    }
}

impl<S: Stream, G: Stream, F: Fn() -> G> Layer<S> for SampleByLayer<F> {
    type Service = SampleBy<S, G>;

    fn layer(&self, inner: S) -> SampleBy<S, G> {
        SampleBy::new(inner, (self.trigger)())
    }
}

pin_project! {
    /// A stream that passes on its latest item whenever a trigger yields. Made by [`SampleByLayer`].
    ///
    /// A trigger that yields when there is no new item brings nothing. When the source or the trigger
    /// ends, the latest item comes at once and is the last; after the end of the trigger the rest of
    /// the source can be had by [`into_parts`](Self::into_parts). A poll takes what the source has
    /// ready, at most 128 items, and then looks at the trigger.
    #[must_use = "streams do nothing unless polled"]
    pub struct SampleBy<S: Stream, G> {
        #[pin]
        inner: S,
        #[pin]
        trigger: G,
        held: Held<S::Item>,
        done: bool,
    }
}

impl<S: Stream, G: Stream> SampleBy<S, G> {
    /// The items of `inner`, when `trigger` yields.
    pub fn new(inner: S, trigger: G) -> Self {
        SampleBy { inner, trigger, held: Held::new(), done: false }
    }

    /// The stream inside, the trigger, and the latest item that waits for it.
    pub fn into_parts(self) -> (S, G, Option<S::Item>) {
        (self.inner, self.trigger, self.held.item)
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// How many items were dropped for later ones.
    pub fn superseded(&self) -> u64 {
        self.held.superseded
    }
}

impl<S: Stream, G: Stream> Stream for SampleBy<S, G> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if *this.done {
            return Poll::Ready(None);
        }
        let taken = this.held.poll_items(this.inner, cx);
        if taken == Taken::End {
            *this.done = true;
            return Poll::Ready(this.held.item.take());
        }
        let mut more = taken == Taken::More;
        for polls in 1..=POLLS {
            match this.trigger.as_mut().poll_next(cx) {
                Poll::Ready(Some(_)) if this.held.item.is_some() => {
                    return Poll::Ready(this.held.item.take());
                }
                Poll::Ready(Some(_)) => more |= polls == POLLS,
                Poll::Ready(None) => {
                    *this.done = true;
                    return Poll::Ready(this.held.item.take());
                }
                Poll::Pending => break,
            }
        }
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done {
            return (0, Some(0));
        }
        let (held, upper) = self.held.size_hint(self.inner.size_hint());
        // The trigger may end before the source's next item.
        (held.min(usize::from(self.held.item.is_some())), upper)
    }
}

impl<S: Stream, G: Stream> FusedStream for SampleBy<S, G> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: Stream + fmt::Debug, G: fmt::Debug> fmt::Debug for SampleBy<S, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleBy")
            .field("inner", &self.inner)
            .field("trigger", &self.trigger)
            .field("held", &self.held.item.is_some())
            .field("superseded", &self.held.superseded)
            .finish_non_exhaustive()
    }
}
