//! Debouncing: the laws, and a reference over random schedules.

use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use proptest::prelude::*;
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::debounce::Edge;
use ziggurat_patterns::stream::{Debounce, DebounceLayer};
use ziggurat_patterns::testing::{Script, laws};
use ziggurat_patterns::time::TestClock;

mod support;

const MS: Duration = Duration::from_millis(1);
const EDGES: [Edge; 3] = [Edge::Leading, Edge::Trailing, Edge::Both];

#[test]
fn laws_of_debounce() {
    for edge in EDGES {
        for max_wait in [None, Some(30 * MS)] {
            laws::stream("debounce", move |source, clock| {
                let layer = DebounceLayer::new(20 * MS).edge(edge);
                let layer = max_wait.map_or(layer, |limit| layer.max_wait(limit));
                source.layer(layer.with_timer(clock.clone()))
            })
            .lossy()
            .conserves(|stream: Debounce<laws::Source, _>| {
                stream.into_parts().1.into_iter().collect()
            })
            .check();
        }
    }
}

/// What is passed on, and when: items come at their times (in ms), and the source ends with the last or
/// `end` ms later.
fn reference(
    items: &[u64],
    end: u64,
    edge: Edge,
    quiet: u64,
    max_wait: Option<u64>,
) -> Vec<(u64, usize)> {
    let mut passed = Vec::new();
    let (mut held, mut quiet_at, mut max_at) = (None, None::<u64>, None::<u64>);
    let end = items.last().copied().unwrap_or(0) + end;
    for (index, time) in items.iter().copied().map(Some).chain([None]).enumerate() {
        let now = time.unwrap_or(end);
        // What is due by now.
        while let Some(quiet) = quiet_at {
            let due = max_at.map_or(quiet, |max| max.min(quiet));
            if due > now {
                break;
            }
            passed.extend(held.take().map(|item| (due, item)));
            max_at = None;
            if due == quiet {
                quiet_at = None;
            }
        }
        if time.is_none() {
            passed.extend(held.take().map(|item| (now, item)));
            break;
        }
        let first = quiet_at.replace(now + quiet).is_none();
        if first && edge != Edge::Trailing {
            passed.push((now, index));
        } else if edge != Edge::Leading {
            held = Some(index);
            max_at = max_at.or(max_wait.map(|max| now + max));
        }
    }
    passed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_is_as_the_reference(
        waits in prop::collection::vec(0u64..30, 0..40),
        end in 0u64..60,
        edge in 0usize..3,
        quiet in 1u64..20,
        max_wait in prop::option::of(1u64..60),
    ) {
        let clock = TestClock::new();
        let (mut script, mut now, mut times) = (Script::new(&clock), 0, Vec::new());
        for (index, wait) in waits.iter().enumerate() {
            // Many come together.
            now += if *wait < 10 { 0 } else { wait - 10 };
            times.push(now);
            script = script.at(now as u32 * MS).item(index);
        }
        let source = script.at((now + end) as u32 * MS).build().0;
        let layer = DebounceLayer::new(quiet as u32 * MS).edge(EDGES[edge]);
        let layer = max_wait.map_or(layer, |max| layer.max_wait(max as u32 * MS));
        let mut stream = source.layer(layer.with_timer(clock.clone()));
        let mut passed = Vec::new();
        clock.block_on(async {
            while let Some(item) = stream.next().await {
                passed.push((clock.elapsed().as_millis() as u64, item));
            }
        });
        let expected = reference(&times, end, EDGES[edge], quiet, max_wait);
        prop_assert_eq!(stream.superseded() as usize + expected.len(), times.len());
        prop_assert_eq!(passed, expected);
    }
}

#[test]
fn the_last_item_comes_with_the_end() {
    let clock = TestClock::new();
    let layer = DebounceLayer::new(3600 * 1000 * MS).with_timer(clock.clone());
    let mut stream = stream::iter(1..=3).layer(layer);
    assert_eq!(stream.next().now_or_never(), Some(Some(3)));
    assert_eq!(stream.next().now_or_never(), Some(None));
    assert_eq!(stream.superseded(), 2);
}

#[test]
fn what_was_due_is_not_superseded_by_what_came_later() {
    let clock = TestClock::new();
    let source = Script::new(&clock).item(1).at(150 * MS).item(2).build().0;
    let mut stream = source.layer(DebounceLayer::new(100 * MS).with_timer(clock.clone()));
    assert_eq!(stream.next().now_or_never(), None);
    // The consumer is away for long. Both items are there when it comes back.
    clock.advance(500 * MS);
    assert_eq!(stream.next().now_or_never(), Some(Some(1)));
    assert_eq!(stream.next().now_or_never(), Some(Some(2)));
}

#[test]
fn under_every_executor() {
    let run = || async {
        let clock = TestClock::new();
        let source = Script::new(&clock).items(0..5).wait(50 * MS).items(5..7).wait(5 * MS).item(7);
        let layer = DebounceLayer::new(20 * MS).with_timer(clock.clone());
        let items = clock.auto(source.build().0.layer(layer).collect::<Vec<_>>()).await;
        assert_eq!(items, [4, 7]);
    };
    support::on_every_executor(run);
}
