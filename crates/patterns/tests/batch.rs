//! Batches: the laws, tokio-stream's `chunks_timeout` suite, and properties.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::time::Duration;

use futures::{FutureExt, SinkExt, Stream, StreamExt, stream};
use proptest::prelude::*;
use ziggurat_patterns::batch::Weigh;
use ziggurat_patterns::stream::{Batch, BatchLayer, TryBatch, TryBatchLayer};
use ziggurat_patterns::testing::{Fault, MockSink, Script, Token, laws};
use ziggurat_patterns::time::{TestClock, Timer};
use ziggurat_patterns::{SinkLayerExt, StreamLayerExt, sink};

mod support;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn weigh(token: &Token) -> usize {
    token.id() as usize % 5
}

fn held<W: Weigh<Token>, T: Timer>(batches: Batch<laws::Source, W, T>) -> Vec<Token> {
    batches.into_parts().1
}

#[test]
fn laws_of_count() {
    let count = |size| {
        laws::stream("batch by count", move |source, _| source.layer(BatchLayer::count(n(size))))
            .conserves(held)
            .check();
    };
    count(1);
    count(4);
    count(300);
}

#[test]
fn laws_of_time() {
    laws::stream("batch by time", |source, clock| {
        source.layer(BatchLayer::time(SECOND).with_timer(clock.clone()))
    })
    .conserves(held)
    .check();
    laws::stream("batch by count and time", |source, clock| {
        source.layer(BatchLayer::count(n(3)).with_time(20 * MS).with_timer(clock.clone()))
    })
    .conserves(held)
    .check();
}

#[test]
fn laws_of_weight() {
    laws::stream("batch by weight", |source, clock| {
        let layer = BatchLayer::weight(7, weigh).with_time(SECOND);
        source.layer(layer.with_timer(clock.clone()))
    })
    .conserves(held)
    .check();
}

#[test]
fn laws_of_eager() {
    laws::stream("eager batch", |source, _| source.layer(BatchLayer::count(n(5)).eager()))
        .conserves(held)
        .check();
}

#[test]
fn laws_of_try_batch() {
    laws::try_stream("try batch", |source, clock| {
        let layer = BatchLayer::count(n(4)).with_weight(7, weigh).with_time(SECOND);
        source.layer(TryBatchLayer::new(layer.with_timer(clock.clone())))
    })
    .conserves(|batches: TryBatch<laws::TrySource, _, _>| batches.into_parts().1)
    .check();
}

#[test]
fn laws_of_the_sink() {
    laws::sink_of::<Vec<Token>, _, _>("batch sink", |sink, clock| {
        let layer = sink::BatchLayer::count(n(5)).with_weight(6, weigh).with_time(2 * SECOND);
        SinkLayerExt::<Vec<Token>>::layer(sink, layer.with_timer(clock.clone()))
    })
    .faults(|fault| Some(*fault))
    .conserves(|sink: sink::Batch<_, Token, _, _>| sink.into_parts().1)
    .check();
}

// tokio-stream's tests of `chunks_timeout`.

fn delayed(clock: &TestClock, item: u32, delay: Duration) -> impl Stream<Item = u32> + use<> {
    clock.sleep(delay).map(move |()| item).into_stream()
}

#[test]
fn chunks_timeout_usage() {
    let clock = TestClock::new();
    let source = stream::iter([1, 2, 3]).chain(delayed(&clock, 4, 3 * SECOND));
    let layer = BatchLayer::count(n(4)).with_time(2 * SECOND).with_timer(clock.clone());
    let mut batches = pin!(source.layer(layer));
    clock.block_on(async {
        assert_eq!(batches.next().await, Some(vec![1, 2, 3]));
        assert_eq!(clock.elapsed(), 2 * SECOND);
        assert_eq!(batches.next().await, Some(vec![4]));
        assert_eq!(clock.elapsed(), 3 * SECOND); // the end completes a batch
        assert_eq!(batches.next().await, None);
    });
}

#[test]
fn chunks_timeout_full_chunk_with_timeout() {
    let clock = TestClock::new();
    let source = Script::new(&clock).items([1, 2]).wait(SECOND).item(3).wait(3 * SECOND).item(4);
    let source = source.wait(10 * SECOND).build().0;
    let layer = BatchLayer::count(n(3)).with_time(2 * SECOND).with_timer(clock.clone());
    let mut batches = source.layer(layer);
    clock.block_on(async {
        assert_eq!(batches.next().await, Some(vec![1, 2, 3]));
        assert_eq!(clock.elapsed(), SECOND);
        // The time of the first batch has nothing to do with the second.
        assert_eq!(batches.next().await, Some(vec![4]));
        assert_eq!(clock.elapsed(), 6 * SECOND);
    });
}

#[test]
fn no_empty_batches_while_nothing_comes() {
    let clock = TestClock::new();
    let source = Script::new(&clock).wait(3600 * SECOND).item(1).build().0;
    let layer = BatchLayer::time(MS).with_timer(clock.clone());
    let batches: Vec<_> = clock.block_on(source.layer(layer).collect());
    assert_eq!(batches, [[1]]);
}

#[test]
fn always_ready_input_reads_no_clock_and_arms_no_timer() {
    let clock = TestClock::new();
    let layer = BatchLayer::count(n(10)).with_time(SECOND).with_timer(NoClock);
    let batches: Vec<_> = clock.block_on(stream::iter(0..1000).layer(layer).collect());
    assert_eq!(batches.len(), 100);
}

/// Time that may not be looked at.
#[derive(Clone)]
struct NoClock;

impl Timer for NoClock {
    type Sleep = ziggurat_patterns::time::TestSleep;
    fn now(&self) -> std::time::Instant {
        panic!("the clock was read")
    }
    fn sleep_until(&self, _: std::time::Instant) -> Self::Sleep {
        panic!("a timer was armed")
    }
}

#[test]
fn a_heavy_item_is_a_batch_of_its_own() {
    let layer = BatchLayer::weight(10, |n: &u32| *n as usize);
    let items = [4, 6, 1, 100, 3, 7, 11, 10, 0, 9, 2];
    let batches: Vec<_> = stream::iter(items).layer(layer).collect().now_or_never().unwrap();
    let expected: [&[u32]; 8] = [&[4, 6], &[1], &[100], &[3, 7], &[11], &[10], &[0, 9], &[2]];
    assert_eq!(batches, expected);
}

#[test]
fn the_time_of_what_a_batch_could_not_take_begins_when_it_came() {
    let clock = TestClock::new();
    let source = Script::new(&clock).items([6, 6]).stall().build().0;
    let layer = BatchLayer::weight(10, |n: &u32| *n as usize).with_time(SECOND);
    let mut batches = source.layer(layer.with_timer(clock.clone()));
    assert_eq!(batches.next().now_or_never(), Some(Some(vec![6])));
    clock.advance(SECOND); // the consumer's own time
    assert_eq!(batches.next().now_or_never(), Some(Some(vec![6])));
}

#[test]
fn eager_takes_what_is_ready() {
    let clock = TestClock::new();
    let source = Script::new(&clock).items(0..3).pending().items(3..8).wait(SECOND).item(8);
    let layer = BatchLayer::count(n(4)).eager();
    let batches: Vec<_> = clock.block_on(source.build().0.layer(layer).collect());
    let expected: [&[u32]; 4] = [&[0, 1, 2], &[3, 4, 5, 6], &[7], &[8]];
    assert_eq!(batches, expected);
}

#[test]
fn an_error_comes_after_the_batch_that_it_completes() {
    let clock = TestClock::new();
    let source = Script::new(&clock).ok(1).ok(2).err(Fault(1)).err(Fault(2)).ok(3).build().0;
    let layer = TryBatchLayer::new(BatchLayer::count(n(10)));
    let batches: Vec<_> = clock.block_on(source.layer(layer).collect());
    assert_eq!(batches, [Ok(vec![1, 2]), Err(Fault(1)), Err(Fault(2)), Ok(vec![3])]);
}

#[test]
fn memory_is_used_again() {
    let mut batches = stream::iter(0..1000).layer(BatchLayer::count(n(10)));
    let (mut batch, mut memory) = (Vec::new(), Vec::new());
    for round in 0..100 {
        assert_eq!(batches.next_batch_into(&mut batch).now_or_never(), Some(Some(10)));
        assert_eq!(batch, Vec::from_iter(round * 10..round * 10 + 10));
        memory.push(batch.as_ptr());
        batch.clear();
    }
    memory.sort();
    memory.dedup();
    assert_eq!(memory.len(), 2); // one is filled, the other read
    assert_eq!(batches.next_batch_into(&mut batch).now_or_never(), Some(None));
}

#[test]
fn memory_that_is_not_empty_keeps_its_items() {
    let mut batches = stream::iter(0..4).layer(BatchLayer::count(n(2)));
    let mut all = vec![-1];
    while batches.next_batch_into(&mut all).now_or_never().unwrap().is_some() {}
    assert_eq!(all, [-1, 0, 1, 2, 3]);
}

#[test]
fn the_sink_sends_what_is_complete_with_the_next_poll() {
    let clock = TestClock::new();
    let (inner, probe) = MockSink::new(&clock);
    let layer = sink::BatchLayer::count(n(2)).with_time(SECOND).with_timer(clock.clone());
    let mut sink = SinkLayerExt::<Vec<u32>>::layer(inner, layer);
    clock.block_on(async {
        sink.feed(1).await.unwrap();
        sink.feed(2).await.unwrap();
        assert_eq!(probe.sent(), 0);
        sink.feed(3).await.unwrap();
        assert_eq!(probe.items(), [[1, 2]]);
        clock.advance(SECOND);
        sink.feed(4).await.unwrap(); // 3 is due
        assert_eq!(probe.items(), [vec![1, 2], vec![3]]);
        sink.flush().await.unwrap();
        assert_eq!(probe.items(), [vec![1, 2], vec![3], vec![4]]);
    });
}

#[test]
fn a_sink_that_fails_leaves_the_items() {
    let clock = TestClock::new();
    let (inner, probe) = MockSink::new(&clock);
    let layer = sink::BatchLayer::count(n(2));
    let mut sink = SinkLayerExt::<Vec<u32>>::layer(inner, layer);
    clock.block_on(async {
        sink.feed(1).await.unwrap();
        sink.feed(2).await.unwrap();
        probe.fail_next(Fault(1));
        assert_eq!(sink.feed(3).await, Err(Fault(1)));
    });
    assert_eq!(sink.into_parts().1, [1, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Batches are the input cut in pieces, each within its limits, and none delivered late.
    #[test]
    fn batches_are_within_their_limits(
        items in prop::collection::vec((0u64..40, 0usize..12), 0..60),
        count in 1usize..8,
        weight in prop::option::of(1usize..20),
        time in 1u64..60,
    ) {
        let clock = TestClock::new();
        let mut script = Script::new(&clock);
        for (index, (wait, weight)) in items.iter().enumerate() {
            if *wait > 10 {
                script = script.wait(*wait as u32 * MS);
            }
            script = script.item((index, *weight));
        }
        let stamps = clock.clone();
        let source = script.build().0.map(move |(index, weight)| (index, weight, stamps.elapsed()));
        let weigh = |item: &(usize, usize, Duration)| item.1;
        let limit = time as u32 * MS;
        let layer = BatchLayer::count(n(count)).with_weight(weight.unwrap_or(usize::MAX), weigh);
        let mut batches = source.layer(layer.with_time(limit).with_timer(clock.clone()));
        let mut all = Vec::new();
        clock.block_on(async {
            while let Some(batch) = batches.next().await {
                assert!(!batch.is_empty() && batch.len() <= count);
                let heavy: usize = batch.iter().map(|item| item.1).sum();
                assert!(heavy <= weight.unwrap_or(usize::MAX) || batch.len() == 1);
                assert!(clock.elapsed() - batch[0].2 <= limit);
                all.extend(batch.iter().map(|item| item.0));
            }
        });
        prop_assert_eq!(all, Vec::from_iter(0..items.len()));
    }
}

#[test]
fn under_every_executor() {
    let run = || async {
        let clock = TestClock::new();
        let source = Script::new(&clock).items(0..5).wait(SECOND).items(5..7).wait(SECOND).item(7);
        let layer = BatchLayer::count(n(4)).with_time(MS).with_timer(clock.clone());
        let batches = source.build().0.layer(layer).collect::<Vec<_>>();
        let batches = clock.auto(batches).await;
        let expected: [&[i32]; 4] = [&[0, 1, 2, 3], &[4], &[5, 6], &[7]];
        assert_eq!(batches, expected);
    };
    support::on_every_executor(run);
}
