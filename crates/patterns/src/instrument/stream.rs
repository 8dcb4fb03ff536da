//! Counting items.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::layer::builder;
use super::stage::{Plan, Stage};
use super::{Bytes, Items, Meter, Observe, Results};

/// Wraps streams in [`Instrument`].
///
/// ```
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{StreamLayerExt, stream::InstrumentLayer};
///
/// # futures::executor::block_on(async {
/// let layer = InstrumentLayer::new("answers").errors();
/// let meter = layer.meter();
/// stream::iter([Ok(1), Err("no"), Ok(2)]).layer(layer).count().await;
/// assert_eq!((meter.stats().items, meter.stats().errors), (3, 1));
/// # });
/// ```
#[derive(Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct InstrumentLayer<O = Items, T = DefaultTimer> {
    plan: Plan<T>,
    observe: O,
}

builder!(done: false);

impl<T> InstrumentLayer<Items, T> {
    /// Counts the `Err`s among items that are `Result`s.
    pub fn errors(self) -> InstrumentLayer<Results, T> {
        self.observe(Results)
    }
}

pin_project! {
    /// A stream whose items are counted. Made by [`InstrumentLayer`].
    #[must_use = "streams do nothing unless polled"]
    pub struct Instrument<S, O = Items, T = DefaultTimer> {
        #[pin]
        inner: S,
        stage: Stage<T>,
        observe: O,
        done: bool,
    }
}

impl<S, O, T> Stream for Instrument<S, O, T>
where
    S: Stream,
    O: Observe<S::Item>,
    T: Timer,
{
    type Item = S::Item;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if *this.done {
            return Poll::Ready(None);
        }
        let inner = this.inner;
        let result = this.stage.run(|| inner.poll_next(cx));
        match &result {
            Poll::Ready(Some(item)) => this.stage.count(this.observe.observe(item)),
            Poll::Ready(None) => {
                *this.done = true;
                this.stage.end();
            }
            Poll::Pending => this.stage.meter.pending(),
        }
        result
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done { (0, Some(0)) } else { self.inner.size_hint() }
    }
}

impl<S, O, T> FusedStream for Instrument<S, O, T>
where
    S: Stream,
    O: Observe<S::Item>,
    T: Timer,
{
    fn is_terminated(&self) -> bool {
        self.done
    }
}
