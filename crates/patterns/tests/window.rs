//! Windows: the laws, and references over random inputs.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use proptest::prelude::*;
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::stream::{
    SessionWindow, SessionWindowLayer, SlidingTimeWindowLayer, SlidingWindowLayer, TimeWindow,
    TimeWindowLayer, Window, WindowLayer,
};
use ziggurat_patterns::testing::{Script, ScriptedStream, Token, laws};
use ziggurat_patterns::time::TestClock;

mod support;

const MS: Duration = Duration::from_millis(1);

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// While its source stalls, a stream with empty windows has no end that the laws could wait for.
async fn not_empty(window: Vec<Token>) -> Option<Vec<Token>> {
    (!window.is_empty()).then_some(window)
}

/// Takes out of each window what an earlier one had, so that each token is seen once.
fn unseen() -> impl FnMut(Vec<Token>) -> Vec<Token> {
    let mut next = 0;
    move |mut window| {
        window.retain(|token| token.id() >= next);
        next = window.last().map_or(next, |token| token.id() + 1);
        window
    }
}

#[test]
fn laws_of_window() {
    for (size, partial) in [(1, true), (4, true), (4, false), (300, true)] {
        let windows = laws::stream("window", move |source, _| {
            source.layer(WindowLayer::new(n(size)).emit_partial(partial))
        });
        let windows = windows.conserves(|stream: Window<laws::Source>| stream.into_parts().1);
        if partial { windows.check() } else { windows.lossy().check() }
    }
}

#[test]
fn laws_of_sliding_window() {
    for (size, step) in [(1, 1), (4, 4), (4, 1), (5, 3)] {
        laws::stream("sliding window", move |source, _| {
            source.layer(SlidingWindowLayer::new(n(size), n(step))).map(unseen())
        })
        .check();
        laws::stream("sliding window without the partial one", move |source, _| {
            source
                .layer(SlidingWindowLayer::new(n(size), n(step)).emit_partial(false))
                .map(unseen())
        })
        .lossy()
        .check();
    }
    laws::stream("sliding window with gaps", |source, _| {
        source.layer(SlidingWindowLayer::new(n(3), n(7)))
    })
    .lossy()
    .check();
}

#[test]
fn laws_of_time_window() {
    for size in [Duration::ZERO, ms(20), ms(2000)] {
        laws::stream("time window", move |source, clock| {
            source.layer(TimeWindowLayer::new(size).with_timer(clock.clone()))
        })
        .conserves(|stream: TimeWindow<laws::Source, _>| stream.into_parts().1)
        .check();
    }
    laws::stream("time window with empty ones", |source, clock| {
        let layer = TimeWindowLayer::new(ms(500)).emit_empty(true).emit_partial(false);
        source.layer(layer.with_timer(clock.clone())).filter_map(not_empty)
    })
    .lossy()
    .check();
}

#[test]
fn laws_of_sliding_time_window() {
    for (size, step) in [(20, 20), (50, 20), (7, 1), (1000, 300)] {
        laws::stream("sliding time window", move |source, clock| {
            let layer = SlidingTimeWindowLayer::new(ms(size), ms(step));
            source.layer(layer.with_timer(clock.clone())).map(unseen())
        })
        .check();
    }
    laws::stream("sliding time window with gaps", |source, clock| {
        let layer = SlidingTimeWindowLayer::new(ms(5), ms(20)).emit_empty(true);
        source.layer(layer.with_timer(clock.clone())).filter_map(not_empty)
    })
    .lossy()
    .check();
}

#[test]
fn laws_of_session_window() {
    for gap in [Duration::ZERO, ms(20)] {
        laws::stream("session window", move |source, clock| {
            source.layer(SessionWindowLayer::new(gap).with_timer(clock.clone()))
        })
        .conserves(|stream: SessionWindow<laws::Source, _>| stream.into_parts().1)
        .check();
    }
}

/// The windows of a slice, by their starts.
fn sliding(items: &[u32], size: usize, step: usize, partial: bool) -> Vec<Vec<u32>> {
    let (mut windows, mut start, mut seen) = (Vec::new(), 0, 0);
    while start + size <= items.len() {
        windows.push(items[start..start + size].to_vec());
        seen = start + size;
        start += step;
    }
    if partial && items.len() > seen.max(start) {
        windows.push(items[start..].to_vec());
    }
    windows
}

/// Items at random times, of which many are the same, and the end.
fn schedule(clock: &TestClock, waits: &[u64], end: u64) -> (ScriptedStream<usize>, Vec<u64>, u64) {
    let (mut script, mut now, mut times) = (Script::new(clock), 0, Vec::new());
    for (index, wait) in waits.iter().enumerate() {
        now += wait.saturating_sub(10);
        times.push(now);
        script = script.at(ms(now)).item(index);
    }
    (script.at(ms(now + end)).build().0, times, now + end)
}

type Timed = Vec<(u64, Vec<usize>)>;

async fn collect(
    clock: &TestClock,
    mut windows: impl futures::Stream<Item = Vec<usize>> + Unpin,
) -> Timed {
    let mut timed = Vec::new();
    while let Some(window) = windows.next().await {
        timed.push((clock.elapsed().as_millis() as u64, window));
    }
    timed
}

/// Each window in time is looked for in all items.
fn in_time(times: &[u64], end: u64, size: u64, step: u64, empty: bool, partial: bool) -> Timed {
    let Some(start) = times.first().copied() else { return Vec::new() };
    let within = |from: u64, to: u64| -> Vec<usize> {
        (0..times.len()).filter(|i| (from..to).contains(&times[*i])).collect()
    };
    let (mut timed, mut seen, mut from) = (Vec::new(), 0, start);
    while from + size <= end {
        let window = within(from, from + size);
        seen = window.last().map_or(seen, |last| last + 1);
        if empty || !window.is_empty() {
            timed.push((from + size, window));
        }
        from += step;
    }
    let last = within(from, u64::MAX);
    if partial && last.iter().any(|index| *index >= seen) {
        timed.push((end, last));
    }
    timed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn sliding_by_count_is_as_the_reference(
        len in 0u32..60,
        size in 1usize..9,
        step in 1usize..12,
        partial: bool,
    ) {
        let layer = SlidingWindowLayer::new(n(size), n(step)).emit_partial(partial);
        let items = Vec::from_iter(0..len);
        let windows = stream::iter(items.clone()).layer(layer);
        let hint = futures::Stream::size_hint(&windows);
        let windows: Vec<_> = windows.collect().now_or_never().unwrap();
        prop_assert_eq!(hint, (windows.len(), Some(windows.len())));
        prop_assert_eq!(windows, sliding(&items, size, step, partial));
        if step == size {
            let layer = WindowLayer::new(n(size)).emit_partial(partial);
            let windows: Vec<_> =
                stream::iter(items.clone()).layer(layer).collect().now_or_never().unwrap();
            prop_assert_eq!(windows, sliding(&items, size, step, partial));
        }
    }

    #[test]
    fn by_time_is_as_the_reference(
        waits in prop::collection::vec(0u64..40, 0..40),
        end in 0u64..60,
        size in 1u64..40,
        empty: bool,
        partial: bool,
    ) {
        let clock = TestClock::new();
        let (source, times, end) = schedule(&clock, &waits, end);
        let layer = TimeWindowLayer::new(ms(size)).emit_empty(empty).emit_partial(partial);
        let windows = source.layer(layer.with_timer(clock.clone()));
        let windows = clock.block_on(collect(&clock, windows));
        prop_assert_eq!(windows, in_time(&times, end, size, size, empty, partial));
    }

    #[test]
    fn sliding_by_time_is_as_the_reference(
        waits in prop::collection::vec(0u64..40, 0..40),
        end in 0u64..60,
        size in 1u64..40,
        step in 1u64..50,
        empty: bool,
        partial: bool,
    ) {
        let clock = TestClock::new();
        let (source, times, end) = schedule(&clock, &waits, end);
        let layer = SlidingTimeWindowLayer::new(ms(size), ms(step));
        let layer = layer.emit_empty(empty).emit_partial(partial);
        let windows = source.layer(layer.with_timer(clock.clone()));
        let windows = clock.block_on(collect(&clock, windows));
        prop_assert_eq!(windows, in_time(&times, end, size, step, empty, partial));
    }

    #[test]
    fn sessions_are_as_the_reference(
        waits in prop::collection::vec(0u64..40, 0..40),
        end in 0u64..60,
        gap in 1u64..25,
    ) {
        let clock = TestClock::new();
        let (source, times, end) = schedule(&clock, &waits, end);
        let windows = source.layer(SessionWindowLayer::new(ms(gap)).with_timer(clock.clone()));
        let windows = clock.block_on(collect(&clock, windows));
        let mut expected: Timed = Vec::new();
        for (index, time) in times.iter().enumerate() {
            match expected.last_mut() {
                Some((over, window)) if time < over => {
                    window.push(index);
                    *over = time + gap;
                }
                _ => expected.push((time + gap, vec![index])),
            }
        }
        expected.iter_mut().for_each(|(over, _)| *over = end.min(*over));
        prop_assert_eq!(windows, expected);
    }
}

#[test]
fn an_item_is_moved_into_its_last_window() {
    let ledger = laws::Ledger::new();
    let tokens: Vec<_> = (0..6).map(|id| ledger.token(id)).collect();
    let mut windows = stream::iter(tokens).layer(SlidingWindowLayer::new(n(3), n(3)));
    let window = windows.next().now_or_never().flatten().unwrap();
    assert_eq!((window.len(), ledger.alive()), (3, 6)); // no copy was made
}

#[test]
fn what_is_between_windows_is_counted() {
    let mut windows = stream::iter(0..10).layer(SlidingWindowLayer::new(n(2), n(4)));
    let all: Vec<_> = windows.by_ref().collect().now_or_never().unwrap();
    assert_eq!(all, [[0, 1], [4, 5], [8, 9]]);
    assert_eq!(windows.skipped(), 4);
}

#[test]
fn under_every_executor() {
    let run = || async {
        let clock = TestClock::new();
        let source = Script::new(&clock).items(0..3).wait(50 * MS).items(3..5).wait(5 * MS).item(5);
        let layer = TimeWindowLayer::new(20 * MS).with_timer(clock.clone());
        let windows = clock.auto(source.build().0.layer(layer).collect::<Vec<_>>()).await;
        assert_eq!(windows, [vec![0, 1, 2], vec![3, 4, 5]]);
    };
    support::on_every_executor(run);
}
