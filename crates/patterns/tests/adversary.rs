//! What nobody should do to a layer, and what it does then: no abort, no overflow, no busy loop.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::noop_waker_ref;
use futures::{
    FutureExt, SinkExt, Stream, StreamExt, sink as futures_sink, stream as futures_stream,
};
use ziggurat_patterns::buffer::{Overflow, Reject};
use ziggurat_patterns::instrument::Meter;
use ziggurat_patterns::rate_limit::Quota;
use ziggurat_patterns::retry::Backoff;
use ziggurat_patterns::select::Biased;
use ziggurat_patterns::stream::{self, MergeTuple, ZipTuple};
use ziggurat_patterns::time::TestClock;
use ziggurat_patterns::{SinkLayerExt, StreamLayerExt, sink};

const MAX: NonZeroUsize = NonZeroUsize::MAX;

/// Ready for ever, with a hint that is as large as can be.
struct Endless {
    upper: Option<usize>,
    polls: usize,
}

impl Stream for Endless {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
        self.polls += 1;
        Poll::Ready(Some(7))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, self.upper)
    }
}

fn endless() -> [Endless; 2] {
    [Some(usize::MAX), None].map(|upper| Endless { upper, polls: 0 })
}

/// Asks for the hint, polls, and asks again: with an item or two held inside now.
fn poke<S: Stream>(name: &str, stream: S) {
    let mut stream = std::pin::pin!(stream);
    let mut cx = Context::from_waker(noop_waker_ref());
    for _ in 0..4 {
        let (lower, upper) = stream.size_hint();
        assert!(upper.is_none_or(|upper| lower <= upper), "{name}: {lower} > {upper:?}");
        let _ = stream.as_mut().poll_next(&mut cx);
    }
}

macro_rules! poke {
    ($($name:literal: |$source:ident, $clock:ident| $stream:expr;)+) => {
        $(for $source in endless() {
            let $clock = TestClock::new();
            let _ = &$clock;
            poke($name, $stream);
        })+
    };
}

#[test]
fn endless_sources_and_the_largest_counts_and_durations() {
    let most = Duration::MAX;
    poke! {
        "batch": |s, c| s.layer(stream::BatchLayer::count(MAX).with_time(most).with_timer(c.clone()));
        "batch by weight": |s, c| s.layer(stream::BatchLayer::weight(usize::MAX, |_: &u32| usize::MAX));
        "batch by no weight": |s, c| s.layer(stream::BatchLayer::weight(0, |_: &u32| 0));
        "batch of no time": |s, c| {
            s.layer(stream::BatchLayer::time(Duration::ZERO).with_timer(c.clone()))
        };
        "tries": |s, c| {
            let layer = stream::TryBatchLayer::new(stream::BatchLayer::count(MAX));
            s.map(Ok::<u32, u32>).layer(layer)
        };
        "broadcast": |s, c| s.broadcast(MAX).subscribe();
        "buffer": |s, c| s.buffer(MAX, Overflow::Backpressure);
        "buffer that drops": |s, c| s.buffer(MAX, Overflow::DropOldest);
        "buffer that rejects": |s, c| s.buffer(MAX, Reject);
        "debounce": |s, c| {
            s.layer(stream::DebounceLayer::new(most).max_wait(most).with_timer(c.clone()))
        };
        "debounce of no time": |s, c| {
            s.layer(stream::DebounceLayer::new(Duration::ZERO).with_timer(c.clone()))
        };
        "dedupe": |s, c| s.dedupe();
        "dedupe of many": |s, c| s.layer(stream::DedupeLayer::recent(MAX));
        "dedupe of long": |s, c| {
            s.layer(stream::DedupeLayer::within(most, MAX).with_timer(c.clone()))
        };
        "group_by": |s, c| s.group_by(|n: &u32| *n, MAX, MAX);
        "partition": |s, c| s.partition(|_: &u32| true, MAX).0;
        "instrument": |s, c| {
            s.layer(stream::InstrumentLayer::new("stage").bytes(|_: &u32| u64::MAX).bytes(|_: &u32| 1))
        };
        "metered": |s, c| s.metered(&Meter::new());
        "map_err": |s, c| s.map(Ok::<u32, u32>).map_err_into::<u64>();
        "rate_limit": |s, c| {
            let quota = Quota::new(u32::MAX, Duration::from_secs(1)).unwrap();
            s.layer(stream::RateLimitLayer::new(quota).with_timer(c.clone()))
        };
        "restart": |s, c| {
            let mut source = Some(s);
            stream::restart_with_backoff(
                move || source.take().unwrap().map(Ok::<u32, u32>),
                Backoff::constant(most),
            )
        };
        "sample": |s, c| s.layer(stream::SampleLayer::new(most).with_timer(c.clone()));
        "sample of no time": |s, c| {
            s.layer(stream::SampleLayer::new(Duration::ZERO).with_timer(c.clone()))
        };
        "sample_by": |s, c| s.sample_by(futures_stream::repeat(()));
        "merge": |s, c| stream::merge([s, endless().into_iter().next().unwrap()]);
        "merge of two": |s, c| s.merge_with(futures_stream::repeat(1));
        "merge biased": |s, c| (s, futures_stream::repeat(1)).merge_with_policy(Biased);
        "zip": |s, c| (s, futures_stream::once(async { 1 }), futures_stream::pending::<u32>()).zip();
        "combine": |s, c| {
            stream::CombineTuple::combine_latest((s, endless().into_iter().next().unwrap()))
        };
        "race": |s, c| stream::race([s, endless().into_iter().next().unwrap()]);
        "switch": |s, c| s.map(|_| futures_stream::repeat(1)).switch();
        "throttle": |s, c| s.layer(stream::ThrottleLayer::new(most).with_timer(c.clone()));
        "timeout": |s, c| {
            let layer = stream::TimeoutLayer::idle(most).with_completion(most).with_backpressure(most);
            s.map(Ok::<u32, u32>).layer(layer.with_initial(most).with_timer(c.clone()))
        };
        "timeout of no time": |s, c| {
            let layer = stream::TimeoutLayer::completion(Duration::ZERO);
            s.map(Ok::<u32, u32>).layer(layer.with_timer(c.clone()))
        };
        "window": |s, c| s.window(MAX);
        "sliding window": |s, c| s.sliding_window(MAX, NonZeroUsize::MIN);
        "window with a step": |s, c| s.sliding_window(NonZeroUsize::MIN, MAX);
        "time window": |s, c| s.layer(stream::TimeWindowLayer::new(most).with_timer(c.clone()));
        "time window of no time": |s, c| {
            s.layer(stream::TimeWindowLayer::new(Duration::ZERO).with_timer(c.clone()))
        };
        "sliding time window": |s, c| {
            s.layer(stream::SlidingTimeWindowLayer::new(most, most).with_timer(c.clone()))
        };
        "sliding time window of no time": |s, c| {
            let layer = stream::SlidingTimeWindowLayer::new(Duration::ZERO, most);
            s.layer(layer.emit_empty(true).with_timer(c.clone()))
        };
        "session window": |s, c| {
            s.layer(stream::SessionWindowLayer::new(most).with_timer(c.clone()))
        };
        "session window of no time": |s, c| {
            s.layer(stream::SessionWindowLayer::new(Duration::ZERO).with_timer(c.clone()))
        };
    }
}

#[test]
fn sinks_with_the_largest_counts_and_durations() {
    let most = Duration::MAX;
    let drain = futures_sink::drain::<u32>;
    let mut sink = SinkLayerExt::<u32>::queued(drain(), MAX, Overflow::DropNewest);
    assert!(sink.send(1).now_or_never().is_some());
    let layer = sink::BatchLayer::<u32>::count(MAX).with_time(most).with_timer(TestClock::new());
    let mut sink = futures_sink::drain::<Vec<u32>>().layer(layer);
    assert!(sink.feed(1).now_or_never().is_some());
    assert!(sink.close().now_or_never().is_some());
    let layer = sink::TimeoutLayer::new(most).with_timer(TestClock::new());
    let mut sink = SinkLayerExt::<u32>::layer(drain(), layer);
    assert!(sink.send(1).now_or_never().is_some());
}

/// A closure that panics loses the item that it looked at, and nothing else.
#[test]
fn a_closure_that_panics_loses_one_item() {
    let touchy = |n: &u32| {
        assert_ne!(*n, 3, "a bad item");
        *n
    };
    fn rest<S: Stream<Item = u32> + Unpin>(name: &str, mut stream: S) {
        let mut got = Vec::new();
        let mut panics = 0;
        loop {
            match catch_unwind(AssertUnwindSafe(|| stream.next().now_or_never().flatten())) {
                Ok(Some(item)) => got.push(item),
                Ok(None) => break,
                Err(_) => panics += 1,
            }
        }
        assert_eq!((got.as_slice(), panics), ([1, 2, 4, 5].as_slice(), 1), "{name}");
    }
    let items = || futures_stream::iter(1..=5);
    rest("dedupe", items().dedupe_by_key(touchy));
    let layer = stream::InstrumentLayer::new("stage").bytes(move |n: &u32| u64::from(touchy(n)));
    rest("instrument", items().layer(layer));
    let layer = stream::BatchLayer::weight(1, move |n: &u32| (touchy(n) as usize).min(1));
    rest("batch", items().layer(layer).flat_map(futures_stream::iter));
}
