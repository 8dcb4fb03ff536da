//! Shutdown of streams.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;

use super::Signal;
use super::state::{BEGUN, Watch};

pub use super::abort::{Abort, AbortLayer};

/// Wraps streams in [`Shutdown`].
///
/// ```
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{StreamLayerExt, shutdown, stream::ShutdownLayer};
///
/// # futures::executor::block_on(async {
/// let shutdown = shutdown::Shutdown::new();
/// let mut numbers = stream::iter(0..).layer(ShutdownLayer::new(shutdown.signal()));
/// assert_eq!(numbers.next().await, Some(0));
/// shutdown.begin();
/// assert_eq!(numbers.next().await, None);
/// assert_eq!(numbers.into_inner().next().await, Some(1));
/// # });
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct ShutdownLayer {
    signal: Signal,
}

impl ShutdownLayer {
    /// Ends streams when the shutdown begins.
    pub fn new(signal: Signal) -> Self {
        ShutdownLayer { signal }
    }
}

impl<S> Layer<S> for ShutdownLayer {
    type Service = Shutdown<S>;

    fn layer(&self, inner: S) -> Shutdown<S> {
        Shutdown { inner, watch: self.signal.watch(BEGUN), done: false }
    }
}

pin_project! {
    /// A stream that ends when the shutdown begins. Made by [`ShutdownLayer`].
    ///
    /// It is under way from its first poll until it has ended or is dropped. It holds no item: the
    /// source, with all that is still in it, can be had by [`into_inner`](Self::into_inner).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Shutdown<S> {
        #[pin]
        inner: S,
        watch: Watch,
        done: bool,
    }
}

impl<S> Shutdown<S> {
    /// The stream inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    fn finish(self: Pin<&mut Self>) {
        let this = self.project();
        *this.done = true;
        this.watch.finish();
    }
}

impl<S: Stream> Stream for Shutdown<S> {
    type Item = S::Item;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        let entered = self.as_mut().project().watch.enter().is_ok();
        if entered && !self.watch.has(BEGUN) {
            let this = self.as_mut().project();
            match this.inner.poll_next(cx) {
                Poll::Ready(Some(item)) => return Poll::Ready(Some(item)),
                Poll::Ready(None) => {}
                Poll::Pending => {
                    this.watch.register(cx.waker());
                    if !this.watch.has(BEGUN) {
                        return Poll::Pending;
                    }
                }
            }
        }
        self.finish();
        Poll::Ready(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // It may end at any time.
        (0, if self.done { Some(0) } else { self.inner.size_hint().1 })
    }
}

impl<S: Stream> FusedStream for Shutdown<S> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}
