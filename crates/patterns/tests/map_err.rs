//! Errors made into others.

use std::time::Duration;

use futures::TryStreamExt;
use tower::ServiceExt;
use ziggurat_patterns::testing::{Fault, MockService, Reply, Script, laws};
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::timeout::TimeoutError;
use ziggurat_patterns::{BoxError, ServiceLayerExt, StreamLayerExt};

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
