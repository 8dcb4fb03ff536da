//! Abort of streams that take too long to end.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream, TryStream};
use pin_project_lite::pin_project;
use tower_layer::Layer;

use super::state::{ABORTED, Watch};
use super::{ShutdownError, Signal};

/// Wraps fallible streams in [`Abort`]: the tail of a pipeline whose head is
/// [`ShutdownLayer`](crate::stream::ShutdownLayer).
///
/// ```
/// use futures::{TryStreamExt, stream};
/// use ziggurat_patterns::{StreamLayerExt, shutdown, stream::AbortLayer};
///
/// # futures::executor::block_on(async {
/// let shutdown = shutdown::Shutdown::new();
/// let numbers = stream::iter((0..).map(Ok::<_, std::io::Error>));
/// let mut numbers = numbers.layer(AbortLayer::new(shutdown.signal()));
/// assert_eq!(numbers.try_next().await.unwrap(), Some(0));
/// shutdown.begin();
/// assert_eq!(numbers.try_next().await.unwrap(), Some(1)); // goes on
/// shutdown.abort();
/// assert!(numbers.try_next().await.unwrap_err().is_aborted());
/// # });
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct AbortLayer {
    signal: Signal,
}

impl AbortLayer {
    /// Ends streams, with an error, when what is under way is aborted.
    pub fn new(signal: Signal) -> Self {
        AbortLayer { signal }
    }
}

impl<S> Layer<S> for AbortLayer {
    type Service = Abort<S>;

    fn layer(&self, inner: S) -> Abort<S> {
        Abort { inner, watch: self.signal.watch(ABORTED), done: false }
    }
}

pin_project! {
    /// A stream that goes on when the shutdown begins, and ends with an error when it aborts. Made by
    /// [`AbortLayer`].
    ///
    /// It is under way from its first poll until it has ended or is dropped. If the shutdown has begun
    /// before the first poll, the stream is refused: that error is its only item.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Abort<S> {
        #[pin]
        inner: S,
        watch: Watch,
        done: bool,
    }
}

impl<S> Abort<S> {
    /// The stream inside. No item is held here.
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

impl<S: TryStream> Stream for Abort<S> {
    type Item = Result<S::Ok, ShutdownError<S::Error>>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        if let Err(refused) = self.as_mut().project().watch.enter() {
            self.finish();
            return Poll::Ready(Some(Err(refused.into())));
        }
        if !self.watch.has(ABORTED) {
            let this = self.as_mut().project();
            match this.inner.try_poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    return Poll::Ready(Some(item.map_err(ShutdownError::Inner)));
                }
                Poll::Ready(None) => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    this.watch.register(cx.waker());
                    if !this.watch.has(ABORTED) {
                        return Poll::Pending;
                    }
                }
            }
        }
        self.finish();
        Poll::Ready(Some(Err(ShutdownError::Aborted)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done {
            return (0, Some(0));
        }
        // It may end at any time, with one item more than the source has.
        (0, self.inner.size_hint().1.and_then(|upper| upper.checked_add(1)))
    }
}

impl<S: TryStream> FusedStream for Abort<S> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}
