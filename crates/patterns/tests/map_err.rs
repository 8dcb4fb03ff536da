//! Errors made into others.

use std::time::Duration;

use futures::channel::mpsc;
use futures::{StreamExt, TryStreamExt};
use tower::{ServiceExt, service_fn};
use ziggurat_patterns::testing::{Fault, MockService, Reply, Script, laws};
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::timeout::TimeoutError;
use ziggurat_patterns::{BoxError, ServiceLayerExt, StreamLayerExt};

mod support;

#[test]
fn laws_of_both() {
    laws::try_stream("map_err_into", |source, _| source.map_err_into::<BoxError>()).check();
    laws::service("map_err_into", |inner, _| inner.map_err_into::<BoxError>())
        .clones()
        .faults(|error| error.downcast_ref().copied())
        .check();
}

#[test]
fn a_nested_error_keeps_its_type_inside_the_box() {
    let clock = TestClock::new();
    let (source, _) = Script::<Result<u32, Fault>>::new(&clock).err(Fault(1)).build();
    let mut items = source.timeout(Duration::from_secs(1)).map_err_into::<BoxError>();
    let error = clock.block_on(items.try_next()).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&TimeoutError::Inner(Fault(1))));

    let inner = MockService::<u32, u32, Fault>::new(&clock, |_| Reply::err(Fault(2)));
    let service = inner.timeout(Duration::from_secs(1)).map_err_into::<BoxError>();
    let error = clock.block_on(service.oneshot(1)).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&TimeoutError::Inner(Fault(2))));
}

/// Errors of items that come from another thread, and of a service that waits.
async fn run() {
    let (sender, receiver) = mpsc::unbounded();
    let thread = std::thread::spawn(move || {
        (0..100).for_each(|n| sender.unbounded_send(Err::<u32, _>(Fault(n))).unwrap());
    });
    let errors = receiver.map_err_into::<BoxError>().map(|item| item.unwrap_err());
    let faults: Vec<_> = errors.map(|error| *error.downcast::<Fault>().unwrap()).collect().await;
    assert_eq!(faults, (0..100).map(Fault).collect::<Vec<_>>());
    thread.join().unwrap();

    let service = service_fn(async |n: u64| {
        smol::future::yield_now().await;
        if n % 2 == 0 { Ok(n) } else { Err(Fault(n)) }
    });
    let service = ServiceLayerExt::<u64>::map_err_into::<BoxError>(service);
    for n in 0..10 {
        match service.clone().oneshot(n).await {
            Ok(answer) => assert!(answer == n && n % 2 == 0),
            Err(error) => assert_eq!(error.downcast_ref(), Some(&Fault(n))),
        }
    }
}

#[test]
fn under_every_executor() {
    support::on_every_executor(run);
}
