//! Throttles: the laws, tokio-stream's suite, and distances over random schedules.

use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use proptest::prelude::*;
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::stream::{Throttle, ThrottleLayer};
use ziggurat_patterns::testing::{self, Script, WakeProbe, laws};
use ziggurat_patterns::time::TestClock;

mod support;

const MS: Duration = Duration::from_millis(1);

#[test]
fn laws_of_throttle() {
    for distance in [Duration::ZERO, 30 * MS, 10_000 * MS] {
        laws::stream("throttle", move |source, clock| {
            source.layer(ThrottleLayer::new(distance).with_timer(clock.clone()))
        })
        .bound(1)
        .conserves(|stream: Throttle<laws::Source, _>| {
            drop(stream.into_inner());
            Vec::new() // it holds none
        })
        .check();
    }
}

/// tokio-stream's test.
#[test]
fn usage() {
    let clock = TestClock::new();
    let layer = ThrottleLayer::new(100 * MS).with_timer(clock.clone());
    let mut stream = stream::repeat(()).layer(layer);
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let cx = &mut std::task::Context::from_waker(&waker);
    assert!(stream.poll_next_unpin(cx).is_ready());
    assert!(stream.poll_next_unpin(cx).is_pending());
    clock.advance(90 * MS);
    assert!(stream.poll_next_unpin(cx).is_pending());
    assert!(!wakes.take());
    clock.advance(101 * MS);
    assert!(wakes.take());
    assert!(stream.poll_next_unpin(cx).is_ready());
}

#[test]
fn a_ready_source_is_not_drained() {
    let clock = TestClock::new();
    let (source, probe) = testing::ready(0..);
    let layer = ThrottleLayer::new(100 * MS).with_timer(clock.clone());
    let mut stream = source.layer(layer);
    clock.block_on(async {
        for n in 0..10 {
            assert_eq!(stream.next().await, Some(n));
            assert_eq!(probe.items(), n as usize + 1);
        }
    });
    assert_eq!(clock.elapsed(), 900 * MS);
}

#[test]
fn a_slow_source_is_not_slowed_down() {
    let clock = TestClock::new();
    let source = Script::new(&clock).item(1).wait(150 * MS).item(2).wait(250 * MS).item(3);
    let layer = ThrottleLayer::new(100 * MS).with_timer(clock.clone());
    let mut stream = source.build().0.layer(layer);
    let mut times = Vec::new();
    clock.block_on(async {
        while stream.next().await.is_some() {
            times.push(clock.elapsed());
        }
    });
    // The source is held back, so that its waits begin after those of the throttle.
    assert_eq!(times, [Duration::ZERO, 250 * MS, 600 * MS]);
}

#[test]
fn a_slow_consumer_waits_no_more() {
    let clock = TestClock::new();
    let mut stream = stream::iter(1..).layer(ThrottleLayer::new(MS).with_timer(clock.clone()));
    assert_eq!(stream.next().now_or_never(), Some(Some(1)));
    clock.advance(MS);
    assert_eq!(stream.next().now_or_never(), Some(Some(2)));
    assert_eq!(stream.next().now_or_never(), None);
}

proptest! {
    #[test]
    fn distances_are_kept_and_nothing_is_lost(
        waits in prop::collection::vec(0u32..200, 0..50),
        distance in 0u32..200,
    ) {
        let clock = TestClock::new();
        let mut script = Script::new(&clock);
        for (index, wait) in waits.iter().enumerate() {
            script = if *wait > 100 { script.at(*wait * MS * index as u32) } else { script };
            script = script.item(index);
        }
        let layer = ThrottleLayer::new(distance * MS).with_timer(clock.clone());
        let mut stream = script.build().0.layer(layer);
        let (mut items, mut last) = (Vec::new(), None);
        clock.block_on(async {
            while let Some(item) = stream.next().await {
                items.push(item);
                if let Some(last) = last.replace(clock.elapsed()) {
                    assert!(clock.elapsed() - last >= distance * MS);
                }
            }
        });
        prop_assert_eq!(items, Vec::from_iter(0..waits.len()));
    }
}

#[test]
fn under_every_executor() {
    let run = || async {
        let clock = TestClock::new();
        let layer = ThrottleLayer::new(MS).with_timer(clock.clone());
        let items = clock.auto(stream::iter(0..50).layer(layer).collect::<Vec<_>>()).await;
        assert_eq!(items, Vec::from_iter(0..50));
        assert_eq!(clock.elapsed(), 49 * MS + MS); // the end is seen after the last wait
    };
    support::on_every_executor(run);
}
