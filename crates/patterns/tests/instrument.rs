//! Counters that count what passes, and spans that are entered.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::channel::mpsc;
use futures::{SinkExt, StreamExt, future, stream};
use proptest::prelude::*;
use tower::{Service, ServiceExt};
use tracing_subscriber::layer::SubscriberExt;
use ziggurat_patterns::instrument::{Meter, Observation, Observe};
use ziggurat_patterns::testing::laws;
use ziggurat_patterns::testing::{Fault, MockService, MockSink, Reply, Script, ready};
use ziggurat_patterns::time::{TestClock, Timer};
use ziggurat_patterns::{ServiceLayerExt, SinkLayerExt, StreamLayerExt};
use ziggurat_patterns::{service, sink, stream as layers};

mod support;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn they_are_lawful() {
    let meter = Meter::new();
    laws::stream("stream", |source, _| source.metered(&meter))
        .conserves(|stream| {
            drop(stream.into_inner());
            Vec::new()
        })
        .check();
    laws::try_stream("try stream", |source, clock| {
        let layer = layers::InstrumentLayer::new("try").errors().with_timer(clock.clone());
        source.layer(layer)
    })
    .check();
    laws::service("service", |inner, _| inner.metered(&meter))
        .faults(|error| Some(*error))
        .clones()
        .check();
    laws::sink("sink", |inner, _| {
        SinkLayerExt::<laws::Token>::layer(inner, sink::InstrumentLayer::new("sink"))
    })
    .check();
}

#[test]
fn a_stream_is_counted() {
    let clock = TestClock::new();
    let (source, _) = Script::new(&clock).ok("ab").wait(SECOND).err(Fault(1)).ok("c").build();
    let layer = layers::InstrumentLayer::new("stage").errors();
    let layer = layer.bytes(|item: &Result<&str, Fault>| item.map_or(0, |item| item.len() as u64));
    let meter = layer.meter();
    let items = clock.block_on(source.layer(layer).collect::<Vec<_>>());
    assert_eq!(items, [Ok("ab"), Err(Fault(1)), Ok("c")]);
    let stats = meter.stats();
    assert_eq!((stats.items, stats.errors, stats.bytes), (3, 1, 3));
    assert_eq!((stats.pending, stats.ended, stats.busy), (1, 1, Duration::ZERO));
}

#[test]
fn busy_time_is_what_passes_inside_polls() {
    let clock = TestClock::new();
    let (meter, inside) = (Meter::new(), clock.clone());
    let source = stream::iter(0..3).map(|_| inside.advance(SECOND));
    let layer = layers::InstrumentLayer::new("busy").with_meter(&meter).with_timer(clock.clone());
    let mut items = source.layer(layer);
    clock.block_on(async {
        while items.next().await.is_some() {
            clock.sleep(SECOND * 10).await;
        }
    });
    assert_eq!(meter.stats().busy, SECOND * 3);
}

#[test]
fn one_meter_counts_several_stages_and_is_read_from_anywhere() {
    let meter = Meter::new();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (stream, _) = ready(0..1000);
            let stream = stream.metered(&meter);
            std::thread::spawn(move || futures::executor::block_on(stream.count()))
        })
        .collect();
    threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), 1000));
    assert_eq!((meter.stats().items, meter.stats().ended), (4000, 4));
}

#[test]
fn a_service_is_counted() {
    let clock = TestClock::new();
    let replies = [Reply::ok(1).after(SECOND), Reply::err(Fault(2))];
    let inner = MockService::<&str, u32, _>::replies(&clock, replies).not_ready(1);
    let layer =
        service::InstrumentLayer::new("upstream").bytes(|request: &&str| request.len() as u64);
    let meter = layer.meter();
    let mut service = inner.layer(layer);
    clock.block_on(async {
        assert_eq!(service.ready().await.unwrap().call("abc").await, Ok(1));
        assert_eq!(service.ready().await.unwrap().call("d").await, Err(Fault(2)));
    });
    let stats = meter.stats();
    assert_eq!((stats.items, stats.errors, stats.bytes), (2, 1, 4));
    // Twice not ready, and once waiting for the answer.
    assert_eq!(stats.pending, 3);
}

#[test]
fn a_request_may_count_as_an_error() {
    /// Requests without a name.
    #[derive(Clone)]
    struct Nameless;

    impl Observe<&str> for Nameless {
        fn observe(&mut self, request: &&str) -> Observation {
            Observation { error: request.is_empty(), bytes: request.len() as u64 }
        }
    }

    let echo = tower::service_fn(|n: &'static str| future::ready(Ok::<_, Fault>(n)));
    let layer = service::InstrumentLayer::new("named").observe(Nameless);
    let meter = layer.meter();
    let service = ServiceLayerExt::<&str>::layer(echo, layer);
    for request in ["a", "", "bc"] {
        assert_eq!(futures::executor::block_on(service.clone().oneshot(request)), Ok(request));
    }
    let stats = meter.stats();
    assert_eq!((stats.items, stats.errors, stats.bytes), (3, 1, 3));
}

#[test]
fn a_sink_is_counted() {
    let clock = TestClock::new();
    let (inner, probe) = MockSink::new(&clock);
    let layer = sink::InstrumentLayer::new("out").bytes(|item: &&str| item.len() as u64);
    let meter = layer.meter();
    let mut sink = SinkLayerExt::<&str>::layer(inner, layer);
    clock.block_on(async {
        sink.send("ab").await.unwrap();
        probe.fail_next(Fault(1));
        sink.send("c").await.unwrap_err();
        probe.delay(SECOND);
        sink.send("def").await.unwrap();
        sink.close().await.unwrap();
    });
    let stats = meter.stats();
    assert_eq!((stats.items, stats.errors, stats.bytes), (2, 1, 5));
    assert_eq!((stats.pending, stats.ended), (1, 1));
}

proptest! {
    #[test]
    fn counts_are_those_of_the_items(items in prop::collection::vec(any::<Result<u8, u8>>(), 0..50)) {
        let layer = layers::InstrumentLayer::new("all").errors();
        let layer = layer.bytes(|item: &Result<u8, u8>| u64::from(item.unwrap_or(0)));
        let meter = layer.meter();
        let stream = stream::iter(items.clone()).layer(layer);
        let passed: Vec<_> = futures::executor::block_on(stream.collect());
        prop_assert_eq!(&passed, &items);
        let stats = meter.stats();
        prop_assert_eq!(stats.items, items.len() as u64);
        prop_assert_eq!(stats.errors, items.iter().filter(|item| item.is_err()).count() as u64);
        prop_assert_eq!(stats.bytes, items.iter().flatten().map(|n| u64::from(*n)).sum::<u64>());
    }
}

/// Notes the spans that are entered, and in which one events are.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl<S> tracing_subscriber::Layer<S> for Notes
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fn on_enter(&self, id: &tracing::Id, context: tracing_subscriber::layer::Context<'_, S>) {
        let name = context.span(id).unwrap().name();
        self.0.lock().unwrap().push(format!("enter {name}"));
    }

    fn on_event(
        &self,
        event: &tracing::Event<'_>,
        context: tracing_subscriber::layer::Context<'_, S>,
    ) {
        let span = context.event_span(event).map_or("none", |span| span.name());
        self.0.lock().unwrap().push(format!("event in {span}"));
    }
}

#[test]
fn what_happens_inside_is_in_the_stage() {
    let notes = Notes::default();
    let subscriber = tracing_subscriber::registry().with(notes.clone());
    tracing::subscriber::with_default(subscriber, || {
        let source = stream::once(async { tracing::info!("inside") });
        let mut items = Box::pin(source.layer(layers::InstrumentLayer::new("one")));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(items.poll_next_unpin(&mut cx), Poll::Ready(Some(()))));
        tracing::info!("outside");
        assert!(matches!(items.poll_next_unpin(&mut cx), Poll::Ready(None)));
    });
    let notes = std::mem::take(&mut *notes.0.lock().unwrap());
    assert_eq!(
        notes,
        ["enter stage", "event in stage", "event in none", "enter stage", "event in stage"]
    );
}

#[test]
fn a_span_can_be_given() {
    let notes = Notes::default();
    let subscriber = tracing_subscriber::registry().with(notes.clone());
    tracing::subscriber::with_default(subscriber, || {
        let layer = service::InstrumentLayer::new("one").with_span(tracing::info_span!("mine"));
        let echo = tower::service_fn(|n: u32| future::ready(Ok::<_, Fault>(n)));
        assert_eq!(futures::executor::block_on(echo.layer(layer).oneshot(1)), Ok(1));
    });
    let notes = std::mem::take(&mut *notes.0.lock().unwrap());
    assert_eq!(notes, ["enter mine"; 3]);
}

/// A stream, a service and a sink that wait for other threads.
async fn run() {
    let meters: [Meter; 3] = std::array::from_fn(|_| Meter::new());
    let (mut sender, receiver) = mpsc::channel(1);
    let (out, mut taken) = mpsc::channel(1);
    let feeds = std::thread::spawn(move || {
        futures::executor::block_on(async {
            for n in 0..200_u64 {
                sender.send(n).await.expect("somebody receives");
            }
        });
    });
    let takes = std::thread::spawn(move || {
        futures::executor::block_on(async {
            let mut sum = 0;
            while let Some(n) = taken.next().await {
                sum += n;
            }
            sum
        })
    });
    let service = tower::service_fn(async |n: u64| {
        smol::future::yield_now().await;
        Ok::<_, Fault>(2 * n)
    });
    let mut items = receiver.metered(&meters[0]);
    let mut service = ServiceLayerExt::<u64>::metered(service, &meters[1]);
    let mut sink = SinkLayerExt::<u64>::metered(out, &meters[2]);
    while let Some(item) = items.next().await {
        let answer = service.ready().await.unwrap().call(item).await.unwrap();
        sink.send(answer).await.unwrap();
    }
    sink.close().await.unwrap();
    drop(sink);
    feeds.join().unwrap();
    assert_eq!(takes.join().unwrap(), 2 * (0..200).sum::<u64>());
    let stats = meters.map(|meter| meter.stats());
    assert_eq!(stats.map(|stats| (stats.items, stats.errors)), [(200, 0); 3]);
    assert_eq!(stats[1].pending, 200);
}

#[test]
fn under_every_executor() {
    support::on_every_executor(run);
}
