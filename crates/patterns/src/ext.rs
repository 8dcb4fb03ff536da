//! Methods for the layers, so that a pipeline reads from its source on.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_core::{Stream, TryStream};
use futures_sink::Sink;
use tower_layer::Layer;
use ziggurat_core::time::Timer;

use crate::buffer::Policy;
use crate::circuit_breaker::{CircuitBreaker, EveryError};
use crate::dedupe::{ByKey, Consecutive};
use crate::instrument::Meter;
use crate::rate_limit::Quota;
use crate::retry::{AnyError, MakeBackoff};
use crate::shutdown::Signal;
use crate::through::{FallibleService, Through};
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

    /// Collects items, at most `count` in a batch: [`BatchLayer`](stream::BatchLayer).
    fn batch(self, count: NonZeroUsize) -> stream::Batch<Self> {
        self.layer(stream::BatchLayer::count(count))
    }

    /// Collects items, at most `count`, for no longer than `limit`: [`BatchLayer`](stream::BatchLayer).
    fn chunks_timeout(self, count: NonZeroUsize, limit: Duration) -> stream::Batch<Self> {
        self.layer(stream::BatchLayer::count(count).with_time(limit))
    }

    /// For several consumers, which [subscribe](stream::Broadcast::subscribe); the slowest bounds them all.
    fn broadcast(self, capacity: NonZeroUsize) -> stream::Broadcast<Self> {
        stream::Broadcast::new(self, capacity)
    }

    /// For two consumers: [`tee`](crate::broadcast::tee).
    fn tee(self, capacity: NonZeroUsize) -> (stream::Subscriber<Self>, stream::Subscriber<Self>) {
        crate::broadcast::tee(self, capacity)
    }

    /// Reads ahead, with a policy for when the buffer is full: [`BufferLayer`](stream::BufferLayer).
    fn buffer<P: Policy>(self, capacity: NonZeroUsize, policy: P) -> stream::Buffer<Self, P> {
        self.layer(stream::BufferLayer::new(capacity, policy))
    }

    /// Passes on the last item of each burst: [`DebounceLayer`](stream::DebounceLayer).
    fn debounce(self, quiet: Duration) -> stream::Debounce<Self> {
        self.layer(stream::DebounceLayer::new(quiet))
    }

    /// Leaves out what equals the item before it:
    /// [`DedupeLayer::consecutive`](stream::DedupeLayer::consecutive).
    fn dedupe(self) -> stream::Dedupe<Self, Consecutive<Self::Item>>
    where
        Self::Item: Clone + PartialEq,
    {
        self.layer(stream::DedupeLayer::consecutive())
    }

    /// Leaves out what has the key of the item before it.
    fn dedupe_by_key<K, F>(self, key: F) -> stream::Dedupe<Self, Consecutive<K>, ByKey<F>>
    where
        F: FnMut(&Self::Item) -> K + Clone,
        K: Clone + PartialEq,
    {
        self.layer(stream::DedupeLayer::consecutive().by_key(key))
    }

    /// Takes it apart by a key: [`GroupByLayer`](stream::GroupByLayer), with its defaults.
    fn group_by<K, F>(
        self,
        key: F,
        capacity: NonZeroUsize,
        max_groups: NonZeroUsize,
    ) -> stream::GroupBy<Self, K, F>
    where
        F: FnMut(&Self::Item) -> K + Clone,
    {
        self.layer(stream::GroupByLayer::new(key, capacity, max_groups))
    }

    /// Parts it in two: [`partition`](crate::group_by::partition).
    fn partition<F>(
        self,
        predicate: F,
        capacity: NonZeroUsize,
    ) -> (stream::Half<Self, F>, stream::Half<Self, F>)
    where
        F: FnMut(&Self::Item) -> bool,
    {
        crate::group_by::partition(self, predicate, capacity)
    }

    /// Counts what passes into `meter`: [`InstrumentLayer`](stream::InstrumentLayer).
    fn metered(self, meter: &Meter) -> stream::Instrument<Self> {
        self.layer(stream::InstrumentLayer::new("stream").with_meter(meter))
    }

    /// Makes errors into `E`, as `?` would: [`MapErrInto`](stream::MapErrInto).
    fn map_err_into<E>(self) -> stream::MapErrInto<Self, E>
    where
        Self: TryStream<Error: Into<E>>,
    {
        stream::MapErrInto::new(self)
    }

    /// Slows this stream down to a quota: [`RateLimitLayer`](stream::RateLimitLayer).
    fn rate_limit(self, quota: Quota) -> stream::RateLimit<Self> {
        self.layer(stream::RateLimitLayer::new(quota))
    }

    /// Passes on the latest item of each period: [`SampleLayer`](stream::SampleLayer).
    fn sample(self, period: Duration) -> stream::Sample<Self> {
        self.layer(stream::SampleLayer::new(period))
    }

    /// Passes on the latest item whenever `trigger` yields: [`SampleBy`](stream::SampleBy).
    fn sample_by<G: Stream>(self, trigger: G) -> stream::SampleBy<Self, G> {
        stream::SampleBy::new(self, trigger)
    }

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

    /// Ends this stream when the shutdown begins: [`ShutdownLayer`](stream::ShutdownLayer).
    fn until_shutdown(self, signal: Signal) -> stream::Shutdown<Self> {
        self.layer(stream::ShutdownLayer::new(signal))
    }

    /// Ends this stream with an error when the shutdown aborts: [`AbortLayer`](stream::AbortLayer).
    fn until_abort(self, signal: Signal) -> stream::Abort<Self>
    where
        Self: TryStream,
    {
        self.layer(stream::AbortLayer::new(signal))
    }

    /// Keeps a least distance in time between items: [`ThrottleLayer`](stream::ThrottleLayer).
    fn throttle(self, distance: Duration) -> stream::Throttle<Self> {
        self.layer(stream::ThrottleLayer::new(distance))
    }

    /// Sends each item to a service: [`Through`](crate::through::Through), then
    /// [`ordered`](crate::through::Through::ordered) or [`unordered`](crate::through::Through::unordered).
    fn through<Svc>(self, service: Svc) -> Through<Self, Svc>
    where
        Svc: tower_service::Service<Self::Item>,
    {
        Through::new(self, service)
    }

    /// As [`through`](Self::through), over a stream of `Result<Request, E>` whose errors pass by the service
    /// and keep their place among the responses, as
    /// [`ThroughError::Source`](crate::through::ThroughError::Source).
    fn try_through<Request, E, Svc>(self, service: Svc) -> Through<Self, FallibleService<Svc>>
    where
        Self: Stream<Item = Result<Request, E>>,
        Svc: tower_service::Service<Request>,
    {
        Through::new(self, FallibleService::new(service))
    }

    /// Limits how long we wait for each item: [`TimeoutLayer::idle`](stream::TimeoutLayer::idle).
    fn timeout(self, limit: Duration) -> stream::Timeout<Self>
    where
        Self: TryStream,
    {
        self.layer(stream::TimeoutLayer::idle(limit))
    }

    /// Windows of `size` items: [`WindowLayer`](stream::WindowLayer).
    fn window(self, size: NonZeroUsize) -> stream::Window<Self> {
        self.layer(stream::WindowLayer::new(size))
    }

    /// Windows of `size` items, a new one every `step` items:
    /// [`SlidingWindowLayer`](stream::SlidingWindowLayer).
    fn sliding_window(self, size: NonZeroUsize, step: NonZeroUsize) -> stream::SlidingWindow<Self>
    where
        Self::Item: Clone,
    {
        self.layer(stream::SlidingWindowLayer::new(size, step))
    }

    /// Windows of the items of `size` of time each: [`TimeWindowLayer`](stream::TimeWindowLayer).
    fn time_window(self, size: Duration) -> stream::TimeWindow<Self> {
        self.layer(stream::TimeWindowLayer::new(size))
    }
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

    /// Collects items for a sink of batches, at most `count` in one: [`BatchLayer`](sink::BatchLayer).
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use futures::{SinkExt, channel::mpsc};
    /// use ziggurat_patterns::{SinkLayerExt, sink};
    ///
    /// let (sender, _receiver) = mpsc::unbounded::<Vec<u8>>();
    /// let sink: sink::Batch<_, u8> = SinkLayerExt::batched(sender, NonZeroUsize::MIN);
    /// # let _ = sink;
    /// ```
    fn batched<Part>(self, count: NonZeroUsize) -> sink::Batch<Self, Part>
    where
        Self: Sink<Vec<Part>>,
    {
        SinkLayerExt::<Item>::layer(self, sink::BatchLayer::count(count))
    }

    /// Queues items before this sink: [`BufferLayer`](sink::BufferLayer).
    fn queued<P: Policy>(self, capacity: NonZeroUsize, policy: P) -> sink::Buffer<Self, Item> {
        self.layer(sink::BufferLayer::new(capacity, policy))
    }

    /// Counts what passes into `meter`: [`InstrumentLayer`](sink::InstrumentLayer).
    fn metered(self, meter: &Meter) -> sink::Instrument<Self> {
        self.layer(sink::InstrumentLayer::new("sink").with_meter(meter))
    }

    /// Slows this sink down to a quota: [`RateLimitLayer`](sink::RateLimitLayer).
    fn rate_limit(self, quota: Quota) -> sink::RateLimit<Self> {
        self.layer(sink::RateLimitLayer::new(quota))
    }

    /// Hands items back when this sink is not ready: [`LoadShedLayer`](sink::LoadShedLayer).
    fn load_shed(self) -> sink::LoadShed<Self> {
        self.layer(sink::LoadShedLayer::new())
    }

    /// Refuses items when the shutdown has begun: [`ShutdownLayer`](sink::ShutdownLayer).
    fn until_shutdown(self, signal: Signal) -> sink::Shutdown<Self> {
        self.layer(sink::ShutdownLayer::new(signal))
    }

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

    /// Makes a handle to this service, and its worker: [`Buffer::pair`](service::Buffer::pair).
    fn buffered(self, bound: NonZeroUsize) -> service::BufferPair<Self, Request> {
        service::Buffer::pair(self, bound)
    }

    /// Leaves the service alone while a breaker is open:
    /// [`CircuitBreakerLayer`](service::CircuitBreakerLayer).
    fn circuit_breaker<T: Timer>(
        self,
        breaker: CircuitBreaker<T>,
    ) -> service::CircuitBreaker<Self, EveryError, T> {
        self.layer(service::CircuitBreakerLayer::new(breaker))
    }

    /// Limits how many calls go on at a time: [`ConcurrencyLimitLayer`](service::ConcurrencyLimitLayer).
    fn concurrency_limit(self, max: NonZeroUsize) -> service::ConcurrencyLimit<Self> {
        self.layer(service::ConcurrencyLimitLayer::new(max))
    }

    /// As that, with a bounded queue: [`BulkheadLayer`](service::BulkheadLayer).
    fn bulkhead(self, max_calls: NonZeroUsize, max_waiting: usize) -> service::Bulkhead<Self> {
        self.layer(service::BulkheadLayer::new(max_calls, max_waiting))
    }

    /// As that, for each key that `key` reads off a request:
    /// [`KeyedBulkheadLayer`](service::KeyedBulkheadLayer).
    fn keyed_bulkhead<F, K>(
        self,
        key: F,
        max_calls: NonZeroUsize,
        max_waiting: usize,
    ) -> service::KeyedBulkhead<Self, F, K>
    where
        F: FnMut(&Request) -> K + Clone,
    {
        self.layer(service::KeyedBulkheadLayer::new(key, max_calls, max_waiting))
    }

    /// Makes a call a second time when it takes long: [`HedgeLayer`](service::HedgeLayer).
    fn hedge(self, delay: Duration) -> service::Hedge<Self> {
        self.layer(service::HedgeLayer::new(delay))
    }

    /// Counts the calls into `meter`: [`InstrumentLayer`](service::InstrumentLayer).
    fn metered(self, meter: &Meter) -> service::Instrument<Self> {
        self.layer(service::InstrumentLayer::new("service").with_meter(meter))
    }

    /// Makes errors into `E`, as `?` would: [`MapErrIntoLayer`](service::MapErrIntoLayer).
    fn map_err_into<E>(self) -> service::MapErrInto<Self, E>
    where
        Self::Error: Into<E>,
    {
        self.layer(service::MapErrIntoLayer::new())
    }

    /// Fails calls when this service is not ready: [`LoadShedLayer`](service::LoadShedLayer).
    fn load_shed(self) -> service::LoadShed<Self> {
        self.layer(service::LoadShedLayer::new())
    }

    /// Admits calls by a quota: [`RateLimitLayer`](service::RateLimitLayer).
    fn rate_limit(self, quota: Quota) -> service::RateLimit<Self> {
        self.layer(service::RateLimitLayer::new(quota))
    }

    /// Makes failed calls again: [`RetryLayer`](service::RetryLayer).
    fn retry<B: MakeBackoff + Clone>(self, backoff: B) -> service::Retry<Self, AnyError, B> {
        self.layer(service::RetryLayer::new(backoff))
    }

    /// Refuses calls when the shutdown has begun: [`ShutdownLayer`](service::ShutdownLayer).
    fn until_shutdown(self, signal: Signal) -> service::Shutdown<Self> {
        self.layer(service::ShutdownLayer::new(signal))
    }

    /// Limits how long each call takes: [`TimeoutLayer`](service::TimeoutLayer).
    fn timeout(self, limit: Duration) -> service::Timeout<Self> {
        self.layer(service::TimeoutLayer::new(limit))
    }
}

impl<Request, S: tower_service::Service<Request>> ServiceLayerExt<Request> for S {}
