//! Counting what is sent.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_sink::Sink;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::layer::builder;
use super::stage::{Plan, Stage};
use super::{Bytes, Items, Meter, Observe};

/// Wraps sinks in [`Instrument`].
///
/// ```
/// use futures::{SinkExt, sink};
/// use ziggurat_patterns::{SinkLayerExt, sink::InstrumentLayer};
///
/// # futures::executor::block_on(async {
/// let layer = InstrumentLayer::new("out").bytes(|line: &&str| line.len() as u64);
/// let meter = layer.meter();
/// let mut sink = SinkLayerExt::<&str>::layer(sink::drain(), layer);
/// sink.send("line").await.unwrap();
/// assert_eq!((meter.stats().items, meter.stats().bytes), (1, 4));
/// # });
/// ```
#[derive(Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct InstrumentLayer<O = Items, T = DefaultTimer> {
    plan: Plan<T>,
    observe: O,
}

builder!(done: false);

pin_project! {
    /// A sink that counts what it is sent. Made by [`InstrumentLayer`].
    #[must_use = "sinks do nothing unless polled"]
    pub struct Instrument<S, O = Items, T = DefaultTimer> {
        #[pin]
        inner: S,
        stage: Stage<T>,
        observe: O,
        done: bool,
    }
}

impl<S, O, T, Item> Sink<Item> for Instrument<S, O, T>
where
    S: Sink<Item>,
    O: Observe<Item>,
    T: Timer,
{
    type Error = S::Error;

    #[inline]
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let this = self.project();
        let inner = this.inner;
        this.stage.poll(|| inner.poll_ready(cx))
    }

    #[inline]
    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), S::Error> {
        let this = self.project();
        let (inner, seen) = (this.inner, this.observe.observe(&item));
        let result = this.stage.run(|| inner.start_send(item));
        match &result {
            Ok(()) => this.stage.count(seen),
            Err(_) => this.stage.meter.error(),
        }
        result
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let this = self.project();
        let inner = this.inner;
        this.stage.poll(|| inner.poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let this = self.project();
        let inner = this.inner;
        let result = this.stage.poll(|| inner.poll_close(cx));
        if matches!(result, Poll::Ready(Ok(()))) && !std::mem::replace(this.done, true) {
            this.stage.end();
        }
        result
    }
}
