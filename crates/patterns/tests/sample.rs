//! Sampling: the laws, and a reference over random schedules.

use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use proptest::prelude::*;
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::stream::{Sample, SampleByLayer, SampleLayer};
use ziggurat_patterns::testing::{Script, WakeProbe, laws};
use ziggurat_patterns::time::TestClock;

mod support;

const MS: Duration = Duration::from_millis(1);

#[test]
fn laws_of_sample() {
    for period in [Duration::ZERO, 20 * MS, 2000 * MS] {
        laws::stream("sample", move |source, clock| {
            source.layer(SampleLayer::new(period).with_timer(clock.clone()))
        })
        .lossy()
        .conserves(|stream: Sample<laws::Source, _>| stream.into_parts().1.into_iter().collect())
        .check();
    }
}

#[test]
fn laws_of_sample_by() {
    let trigger = |clock: &TestClock, times: u32| {
        (0..times).fold(Script::new(clock), |script, _| script.wait(9 * MS).item(())).build().0
    };
    laws::stream("sample by", move |source, clock| {
        let clock = clock.clone();
        source.layer(SampleByLayer::new(move || trigger(&clock, 200)))
    })
    .lossy()
    .check();
}

/// What is passed on, and when: the latest item of each period from the first item on.
fn reference(items: &[u64], end: u64, period: u64) -> Vec<(u64, usize)> {
    let Some(start) = items.first() else { return Vec::new() };
    let end = items.last().unwrap() + end;
    let mut latest = std::collections::BTreeMap::new();
    for (index, time) in items.iter().enumerate() {
        latest.insert((time - start) / period, index);
    }
    latest.into_iter().map(|(k, item)| ((start + (k + 1) * period).min(end), item)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_is_as_the_reference(
        waits in prop::collection::vec(0u64..40, 0..40),
        end in 0u64..60,
        period in 1u64..50,
    ) {
        let clock = TestClock::new();
        let (mut script, mut now, mut times) = (Script::new(&clock), 0, Vec::new());
        for (index, wait) in waits.iter().enumerate() {
            now += if *wait < 10 { 0 } else { wait - 10 };
            times.push(now);
            script = script.at(now as u32 * MS).item(index);
        }
        let source = script.at((now + end) as u32 * MS).build().0;
        let layer = SampleLayer::new(period as u32 * MS).with_timer(clock.clone());
        let mut stream = source.layer(layer);
        let mut passed = Vec::new();
        clock.block_on(async {
            while let Some(item) = stream.next().await {
                passed.push((clock.elapsed().as_millis() as u64, item));
            }
        });
        prop_assert_eq!(stream.superseded() as usize + passed.len(), times.len());
        prop_assert_eq!(passed, reference(&times, end, period));
    }
}

#[test]
fn no_timer_without_an_item() {
    let clock = TestClock::new();
    let source = Script::<u32>::new(&clock).stall().build().0;
    let mut stream = source.layer(SampleLayer::new(MS).with_timer(clock.clone()));
    assert_eq!(stream.next().now_or_never(), None);
    assert_eq!(clock.armed(), 0);
}

#[test]
fn a_trigger_without_an_item_brings_nothing() {
    let clock = TestClock::new();
    let trigger = Script::new(&clock).items([(), ()]).wait(10 * MS).items([(), ()]).stall();
    let source = Script::new(&clock).wait(5 * MS).items([1, 2]).wait(10 * MS).item(3).stall();
    let mut stream = source.build().0.sample_by(trigger.build().0);
    assert_eq!(clock.block_on(stream.next()), Some(2));
    assert_eq!(clock.elapsed(), 10 * MS);
    assert!(clock.try_block_on(stream.next()).is_err());
    let (_, _, held) = stream.into_parts();
    assert_eq!(held, Some(3));
}

#[test]
fn a_trigger_that_is_always_ready_lets_others_run() {
    let clock = TestClock::new();
    let source = Script::<u32>::new(&clock).stall().build().0;
    let mut stream = source.sample_by(stream::repeat(()));
    let wakes = WakeProbe::new();
    let waker = wakes.waker();
    let polled = stream.poll_next_unpin(&mut std::task::Context::from_waker(&waker));
    assert!(polled.is_pending() && wakes.take());
}

#[test]
fn the_end_of_the_trigger_is_the_end() {
    let clock = TestClock::new();
    let trigger = Script::new(&clock).wait(10 * MS).item(()).wait(10 * MS).build().0;
    let source = Script::new(&clock).item(1).wait(15 * MS).item(2).wait(100 * MS).item(3);
    let mut stream = source.build().0.sample_by(trigger);
    let items: Vec<_> = clock.block_on(stream.by_ref().collect());
    assert_eq!(items, [1, 2]);
    assert_eq!(clock.elapsed(), 20 * MS);
    // The rest of the source is still there.
    let (source, _, held) = stream.into_parts();
    assert_eq!((held, clock.block_on(source.collect::<Vec<_>>())), (None, vec![3]));
}

#[test]
fn under_every_executor() {
    let run = || async {
        let clock = TestClock::new();
        let source = Script::new(&clock).items(0..5).wait(50 * MS).items(5..7).wait(5 * MS).item(7);
        let layer = SampleLayer::new(20 * MS).with_timer(clock.clone());
        let items = clock.auto(source.build().0.layer(layer).collect::<Vec<_>>()).await;
        assert_eq!(items, [4, 7]);
    };
    support::on_every_executor(run);
}
