//! Load shedding by sinks.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_sink::Sink;
use pin_project_lite::pin_project;
use tower_layer::Layer;

use super::LoadShedError;

/// Wraps sinks in [`LoadShed`].
///
/// ```
/// use futures::{SinkExt, channel::mpsc};
/// use ziggurat_patterns::{Layer, sink::LoadShedLayer};
///
/// # futures::executor::block_on(async {
/// let (sender, _receiver) = mpsc::channel(0);
/// let mut sink = LoadShedLayer::new().layer(sender);
/// sink.feed("a").await.unwrap();
/// assert_eq!(sink.feed("b").await.unwrap_err().into_item(), Some("b")); // nobody receives
/// # });
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "layers do nothing unless applied"]
pub struct LoadShedLayer {
    _priv: (),
}

impl LoadShedLayer {
    /// Hands items back when the sink inside is not ready.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for LoadShedLayer {
    type Service = LoadShed<S>;

    fn layer(&self, inner: S) -> LoadShed<S> {
        LoadShed { inner, is_ready: false }
    }
}

pin_project! {
    /// A sink that is always ready, and hands items back when the sink inside is not. Made by
    /// [`LoadShedLayer`].
    ///
    /// Flushing and closing wait as ever. A sink inside that never becomes ready without being flushed
    /// wants to be flushed after a refusal.
    #[derive(Debug)]
    #[must_use = "sinks do nothing unless polled"]
    pub struct LoadShed<S> {
        #[pin]
        inner: S,
        is_ready: bool,
    }
}

impl<S> LoadShed<S> {
    /// The sink inside. No item is held here.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The sink inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Sink<Item>, Item> Sink<Item> for LoadShed<S> {
    type Error = LoadShedError<S::Error, Item>;

    #[inline]
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = self.project();
        let polled = this.inner.poll_ready(cx);
        *this.is_ready = matches!(polled, Poll::Ready(Ok(())));
        match polled {
            Poll::Ready(Err(error)) => Poll::Ready(Err(LoadShedError::Inner(error))),
            _ => Poll::Ready(Ok(())),
        }
    }

    #[inline]
    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), Self::Error> {
        let this = self.project();
        if std::mem::take(this.is_ready) {
            this.inner.start_send(item).map_err(LoadShedError::Inner)
        } else {
            Err(LoadShedError::Overloaded { item })
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.project().inner.poll_flush(cx).map_err(LoadShedError::Inner)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.project().inner.poll_close(cx).map_err(LoadShedError::Inner)
    }
}
