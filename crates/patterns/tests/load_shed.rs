//! Load shedding: the laws of layers, and tower's own cases.

use std::future::Ready;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::channel::mpsc;
use futures::{FutureExt, SinkExt, StreamExt};
use tower::ServiceExt;
use ziggurat_patterns::load_shed::LoadShedError;
use ziggurat_patterns::testing::laws::{self, Fault};
use ziggurat_patterns::testing::{MockService, MockSink, Reply};
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::{Layer, Service, service, sink};

mod support;

const SECOND: Duration = Duration::from_secs(1);

fn layer() -> service::LoadShedLayer {
    service::LoadShedLayer::new()
}

#[test]
fn when_ready() {
    let clock = TestClock::new();
    let mut service = layer().layer(MockService::<_, _, Fault>::echo(&clock));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready(), "overload always reports ready");
    assert_eq!(clock.block_on(service.call("hello")), Ok("hello"));
}

#[test]
fn when_not_ready() {
    let clock = TestClock::new();
    let inner = MockService::<_, _, Fault>::echo(&clock).capacity(0);
    let (mut service, probe) = (layer().layer(inner.clone()), inner.probe());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready(), "overload always reports ready");
    let error = clock.block_on(service.call("hello")).unwrap_err();
    assert!(error.is_overloaded());
    assert_eq!(probe.calls(), 0);
}

#[test]
fn errors_come_through() {
    let clock = TestClock::new();
    let fails = MockService::<u32, u32, _>::new(&clock, |_| Reply::err(Fault(1)));
    assert_eq!(
        clock.block_on(layer().layer(fails).oneshot(1)),
        Err(LoadShedError::Inner(Fault(1)))
    );
    let dead = MockService::<u32, u32, _>::echo(&clock).ready_error(Fault(2));
    assert_eq!(clock.block_on(layer().layer(dead).oneshot(1)), Err(LoadShedError::Inner(Fault(2))));
}

#[test]
fn a_clone_is_not_ready() {
    let clock = TestClock::new();
    let mut service = layer().layer(MockService::<u32, u32, Fault>::echo(&clock));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let mut clone = service.clone();
    // Without a `poll_ready` of its own the clone can't know.
    assert!(clock.block_on(clone.call(1)).unwrap_err().is_overloaded());
    assert_eq!(clock.block_on(service.call(2)), Ok(2));
    // Nor does readiness last for two calls.
    assert!(clock.block_on(service.call(3)).unwrap_err().is_overloaded());
}

#[test]
fn what_is_busy_sheds_and_recovers() {
    let clock = TestClock::new();
    let inner = MockService::<u32, u32, Fault>::echo(&clock).capacity(1);
    let service = layer().layer(inner);
    let mut cx = Context::from_waker(Waker::noop());
    let mut first = service.clone();
    assert!(first.poll_ready(&mut cx).is_ready());
    let call = first.call(1);
    assert!(clock.block_on(service.clone().oneshot(2)).unwrap_err().is_overloaded());
    assert_eq!(clock.block_on(call), Ok(1));
    assert_eq!(clock.block_on(service.oneshot(3)), Ok(3));
}

#[test]
fn a_sink_hands_items_back() {
    let clock = TestClock::new();
    let (inner, probe) = MockSink::<u32>::new(&clock);
    let mut sink = sink::LoadShedLayer::new().layer(inner);
    clock.block_on(sink.send(1)).unwrap();
    probe.block();
    assert_eq!(clock.block_on(sink.send(2)).unwrap_err().into_item(), Some(2));
    probe.unblock();
    clock.block_on(sink.send(3)).unwrap();
    probe.fail_next(Fault(7));
    assert_eq!(clock.block_on(sink.send(4)), Err(LoadShedError::Inner(Fault(7))));
    assert_eq!(probe.items(), [1, 3]);
}

#[test]
fn a_refused_clone_holds_its_place_unless_the_limit_has_no_queue() {
    let clock = TestClock::new();
    let inner = MockService::<u32, u32, Fault>::echo(&clock);
    // As the documentation says: `kept` gets the permit, and does not use it.
    let limit = service::ConcurrencyLimitLayer::new(NonZeroUsize::MIN);
    let mut service = layer().layer(limit.layer(inner.clone()));
    let mut kept = service.clone();
    let call = clock.block_on(service.ready()).unwrap().call(1);
    assert!(clock.block_on(kept.ready()).is_ok());
    assert!(clock.block_on(kept.call(2)).unwrap_err().is_overloaded());
    assert_eq!(clock.block_on(call), Ok(1));
    assert!(clock.block_on(service.clone().oneshot(3)).unwrap_err().is_overloaded());
    drop(kept);
    assert_eq!(clock.block_on(service.oneshot(3)), Ok(3));

    // And what it advises.
    let slow = MockService::new(&clock, |n: &u32| Reply::<_, Fault>::ok(*n).after(SECOND));
    let layer = service::BulkheadLayer::new(NonZeroUsize::MIN, 0).with_timer(clock.clone());
    let service = layer.layer(slow);
    let mut busy = std::pin::pin!(service.clone().oneshot(1));
    assert!(busy.as_mut().now_or_never().is_none());
    let mut kept = service.clone();
    let refused = clock.block_on(kept.ready()).unwrap().call(2);
    assert!(clock.block_on(refused).unwrap_err().is_full());
    assert_eq!(clock.block_on(busy), Ok(1));
    assert_eq!(clock.block_on(service.oneshot(3)), Ok(3));
    drop(kept);
}

#[test]
fn an_error_ends_the_readiness_before_it() {
    let clock = TestClock::new();
    let mut cx = Context::from_waker(Waker::noop());
    let (inner, probe) = MockSink::<u32>::new(&clock);
    let mut sink = pin!(sink::LoadShedLayer::new().layer(inner));
    assert!(matches!(sink.poll_ready_unpin(&mut cx), Poll::Ready(Ok(()))));
    probe.fail_next(Fault(1));
    assert!(matches!(sink.poll_ready_unpin(&mut cx), Poll::Ready(Err(_))));
    assert_eq!(sink.start_send_unpin(2), Err(LoadShedError::Overloaded { item: 2 }));

    let mut service = layer().layer(ReadyOnce { asked: false });
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Err(_))));
    assert!(clock.block_on(service.call(())).unwrap_err().is_overloaded());
}

/// Ready once, and lost after that.
struct ReadyOnce {
    asked: bool,
}

impl Service<()> for ReadyOnce {
    type Response = ();
    type Error = Fault;
    type Future = Ready<Result<(), Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(if std::mem::replace(&mut self.asked, true) { Err(Fault(1)) } else { Ok(()) })
    }

    fn call(&mut self, (): ()) -> Self::Future {
        panic!("called though it is not ready")
    }
}

fn fault<I>(error: &LoadShedError<Fault, I>) -> Option<Fault> {
    match error {
        LoadShedError::Inner(fault) => Some(*fault),
        _ => None,
    }
}

#[test]
fn the_layers_keep_the_laws() {
    laws::service("load shed", |inner, _| layer().layer(inner))
        .faults(fault)
        .clones()
        .refuses()
        .check();
    laws::sink("load shed", |sink, _| sink::LoadShedLayer::new().layer(sink.buffer(1000)))
        .faults(fault)
        .check();
    laws::sink("load shed, refusing", |sink, _| sink::LoadShedLayer::new().layer(sink))
        .faults(fault)
        .refuses()
        .check();
}

/// What a call of the crowd came to.
type Outcome = Result<u32, LoadShedError<Fault>>;

/// Many tasks that share a service with room for two. Each call is answered, or refused at once.
async fn crowd(spawn: fn(support::Task)) {
    let inner = tower::service_fn(async |n: u32| {
        smol::future::yield_now().await;
        Ok::<_, Fault>(n)
    });
    let limit = service::ConcurrencyLimitLayer::new(NonZeroUsize::new(2).unwrap());
    let service = layer().layer(limit.layer(inner));
    let (outcomes, mut done) = mpsc::unbounded::<(u32, Outcome)>();
    for task in 0..20 {
        let (service, outcomes) = (service.clone(), outcomes.clone());
        spawn(Box::pin(async move {
            for n in 0..20 {
                let request = 20 * task + n;
                let outcome = service.clone().oneshot(request).await;
                outcomes.unbounded_send((request, outcome)).unwrap();
            }
        }));
    }
    drop(outcomes);
    let (mut answered, mut refused) = (0, 0);
    while let Some((request, outcome)) = done.next().await {
        match outcome {
            Ok(answer) => {
                assert_eq!(answer, request);
                answered += 1;
            }
            Err(error) => {
                assert!(error.is_overloaded());
                refused += 1;
            }
        }
    }
    assert!(answered > 0);
    assert_eq!(answered + refused, 400);
    // Nobody has kept a permit.
    assert!(service.clone().oneshot(1).await.is_ok());
}

#[test]
fn under_every_executor() {
    support::with_every_spawner(crowd);
}
