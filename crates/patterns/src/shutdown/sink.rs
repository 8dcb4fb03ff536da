//! Shutdown of sinks.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_sink::Sink;
use pin_project_lite::pin_project;
use tower_layer::Layer;

use super::state::{ABORTED, BEGUN, Watch};
use super::{Refused, ShutdownError, Signal};

/// Wraps sinks in [`Shutdown`].
///
/// ```
/// use futures::{SinkExt, sink};
/// use ziggurat_patterns::{SinkLayerExt, shutdown, sink::ShutdownLayer};
///
/// # futures::executor::block_on(async {
/// let shutdown = shutdown::Shutdown::new();
/// let layer = ShutdownLayer::new(shutdown.signal());
/// let mut sink = SinkLayerExt::<i32>::layer(sink::drain(), layer);
/// sink.feed(1).await.unwrap();
/// shutdown.begin();
/// assert_eq!(shutdown.in_flight(), 1); // not flushed yet
/// assert!(sink.feed(2).await.unwrap_err().is_refused());
/// SinkExt::<i32>::flush(&mut sink).await.unwrap();
/// assert_eq!(shutdown.in_flight(), 0);
/// # });
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct ShutdownLayer {
    signal: Signal,
}

impl ShutdownLayer {
    /// Refuses items when the shutdown has begun.
    pub fn new(signal: Signal) -> Self {
        ShutdownLayer { signal }
    }
}

impl<S> Layer<S> for ShutdownLayer {
    type Service = Shutdown<S>;

    fn layer(&self, inner: S) -> Shutdown<S> {
        Shutdown { inner, watch: self.signal.watch(BEGUN | ABORTED), ready: false }
    }
}

pin_project! {
    /// A sink that refuses items when the shutdown has begun. Made by [`ShutdownLayer`].
    ///
    /// It is under way from the time that it is ready for an item until that has been flushed, or the
    /// sink is closed or dropped. An item for which it was ready is taken, even if the shutdown begins
    /// in between: no item is refused that was handed over, `poll_ready` fails in place of that.
    #[derive(Debug)]
    #[must_use = "sinks do nothing unless polled"]
    pub struct Shutdown<S> {
        #[pin]
        inner: S,
        watch: Watch,
        // For an item that has not come yet.
        ready: bool,
    }
}

impl<S> Shutdown<S> {
    /// The sink inside. No item is held here.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The sink inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Passes a poll on, and makes it an error if one of the bits is set.
    fn guard<E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bits: u64,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<Result<(), E>>,
    ) -> Poll<Result<(), ShutdownError<E>>> {
        let this = self.project();
        if !this.watch.has(bits) {
            let polled = poll(this.inner, cx);
            if polled.is_ready() {
                return polled.map_err(ShutdownError::Inner);
            }
            this.watch.register(cx.waker());
            if !this.watch.has(bits) {
                return Poll::Pending;
            }
        }
        Poll::Ready(Err(match this.watch.has(ABORTED) {
            true => ShutdownError::Aborted,
            false => ShutdownError::Refused(Refused),
        }))
    }
}

impl<S: Sink<Item>, Item> Sink<Item> for Shutdown<S> {
    type Error = ShutdownError<S::Error>;

    #[inline]
    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let polled = self.as_mut().guard(cx, BEGUN, |inner, cx| inner.poll_ready(cx));
        let this = self.project();
        // What it said before is void; what was sent is under way until it has been flushed.
        *this.ready = false;
        if matches!(polled, Poll::Ready(Ok(()))) {
            this.watch.enter()?;
            *this.ready = true;
        }
        polled
    }

    #[inline]
    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), Self::Error> {
        let this = self.project();
        *this.ready = false;
        this.inner.start_send(item).map_err(ShutdownError::Inner)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let polled = self.as_mut().guard(cx, ABORTED, |inner, cx| inner.poll_flush(cx));
        // After an error nothing is known to be under way; an item may still come if it was ready for
        // one.
        if polled.is_ready() && !self.ready {
            self.project().watch.exit();
        }
        polled
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let polled = self.as_mut().guard(cx, ABORTED, |inner, cx| inner.poll_close(cx));
        if polled.is_ready() {
            self.project().watch.exit();
        }
        polled
    }
}
