//! Methods for the layers, so that a pipeline reads from its source on.

use std::time::Duration;

use futures_core::{Stream, TryStream};
use futures_sink::Sink;
use tower_layer::Layer;

use crate::{service, sink, stream};

/// Layers as methods of a stream: `source.layer(a).layer(b)` reads from the source on, the other way
/// round than `ServiceBuilder`, which reads from the outside in.
///
/// Each method is short for a layer of [`stream`](crate::stream), where the details are.
pub trait StreamLayerExt: Stream + Sized {
    /// Wraps this stream in a layer.
    fn layer<L: Layer<Self>>(self, layer: L) -> L::Service {
        layer.layer(self)
    }

    // batch

    // broadcast

    // buffer

    // circuit_breaker

    // concurrency

    // debounce

    // dedupe

    // group_by

    // hedge

    // instrument

    // load_shed

    // map_err

    /// Makes errors into `E`, as `?` would: [`MapErrInto`](stream::MapErrInto).
    fn map_err_into<E>(self) -> stream::MapErrInto<Self, E>
    where
        Self: TryStream<Error: Into<E>>,
    {
        stream::MapErrInto::new(self)
    }

    // rate_limit

    // retry

    // sample

    // select

    /// The items of both streams as they come, which take turns: [`MergeTuple`](stream::MergeTuple).
    fn merge_with<S>(self, other: S) -> stream::Merge2<Self, S>
    where
        S: Stream<Item = Self::Item>,
    {
        stream::MergeTuple::merge((self, other))
    }

    /// The items of the latest of this stream's streams: [`Switch`](stream::Switch).
    fn switch(self) -> stream::Switch<Self>
    where
        Self::Item: Stream,
    {
        stream::Switch::new(self)
    }

    // shutdown

    // throttle

    // through

    // timeout

    /// Limits how long we wait for each item: [`TimeoutLayer::idle`](stream::TimeoutLayer::idle).
    fn timeout(self, limit: Duration) -> stream::Timeout<Self>
    where
        Self: TryStream,
    {
        self.layer(stream::TimeoutLayer::idle(limit))
    }

    // window
}

impl<S: Stream> StreamLayerExt for S {}

/// Layers as methods of a sink. `sink.layer(a).layer(b)`: an item passes `b` first.
///
/// Each method is short for a layer of [`sink`](crate::sink), where the details are.
pub trait SinkLayerExt<Item>: Sink<Item> + Sized {
    /// Wraps this sink in a layer.
    fn layer<L: Layer<Self>>(self, layer: L) -> L::Service {
        layer.layer(self)
    }

    // batch

    // buffer

    // instrument

    // rate_limit

    // shutdown

    // timeout

    /// Limits how long each wait takes: [`TimeoutLayer`](sink::TimeoutLayer).
    fn timeout(self, limit: Duration) -> sink::Timeout<Self> {
        self.layer(sink::TimeoutLayer::new(limit))
    }
}

impl<Item, S: Sink<Item>> SinkLayerExt<Item> for S {}

/// Layers as methods of a service. `service.layer(a).layer(b)`: a request passes `b` first.
///
/// Each method is short for a layer of [`service`](crate::service), where the details are.
pub trait ServiceLayerExt<Request>: tower_service::Service<Request> + Sized {
    /// Wraps this service in a layer.
    fn layer<L: Layer<Self>>(self, layer: L) -> L::Service {
        layer.layer(self)
    }

    // buffer

    // circuit_breaker

    // concurrency

    // hedge

    // instrument

    // load_shed

    // map_err

    /// Makes errors into `E`, as `?` would: [`MapErrIntoLayer`](service::MapErrIntoLayer).
    fn map_err_into<E>(self) -> service::MapErrInto<Self, E>
    where
        Self::Error: Into<E>,
    {
        self.layer(service::MapErrIntoLayer::new())
    }

    // rate_limit

    // retry

    // select

    // shutdown

    // through

    // timeout

    /// Limits how long each call takes: [`TimeoutLayer`](service::TimeoutLayer).
    fn timeout(self, limit: Duration) -> service::Timeout<Self> {
        self.layer(service::TimeoutLayer::new(limit))
    }
}

impl<Request, S: tower_service::Service<Request>> ServiceLayerExt<Request> for S {}
