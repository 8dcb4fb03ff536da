//! Streams that are made again: the laws, what limits see, and that resumption loses nothing.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use futures::{FutureExt, Stream};
use proptest::prelude::*;
use ziggurat_patterns::retry::{Backoff, GaveUp};
use ziggurat_patterns::stream::{
    reconnect_from, reconnect_with_backoff, restart_with_backoff, resume_from,
};
use ziggurat_patterns::testing::{Fault, Script, laws};
use ziggurat_patterns::time::TestClock;

mod support;

const SECOND: Duration = Duration::from_secs(1);
const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn streams_keep_the_laws() {
    laws::try_stream("restart", |source, clock| {
        let (mut source, clock) = (Some(source), clock.clone());
        let timer = clock.clone();
        let make = move || source.take().unwrap_or_else(|| Script::new(&clock).build().0);
        restart_with_backoff(make, Backoff::constant(MS(5))).with_timer(timer)
    })
    .check_with(|item| item.iter().map(|token| token.id()).collect());
    laws::try_stream("errors passed on", |source, clock| {
        let mut source = Some(source);
        let make = move || source.take().expect("made once");
        restart_with_backoff(make, Backoff::none()).when(|_| false).with_timer(clock.clone())
    })
    .conserves(|_| Vec::new())
    .check_with(|item| item.iter().map(|token| token.id()).collect());
}

#[test]
fn resumed_streams_keep_the_laws() {
    laws::try_stream("resume", |source, clock| {
        let (mut source, timer) = (Some(source), clock.clone());
        let clock = clock.clone();
        let connect = move |_| {
            let source = source.take().unwrap_or_else(|| Script::new(&clock).build().0);
            std::future::ready(Ok(source))
        };
        reconnect_from(0, connect, |token| token.id() + 1).with_timer(timer)
    })
    .conserves(|_| Vec::new())
    .check_with(|item| item.iter().map(|token| token.id()).collect());
}

/// A source of 0, 1, 2, … that breaks after each `burst` items, and before any at times.
struct Source {
    clock: TestClock,
    made: Cell<u32>,
    burst: u64,
    end: u64,
}

impl Source {
    fn new(clock: &TestClock, burst: u64, end: u64) -> Rc<Self> {
        Rc::new(Source { clock: clock.clone(), made: Cell::new(0), burst, end })
    }

    fn from(&self, offset: u64) -> impl Stream<Item = Result<u64, Fault>> + Unpin + use<> {
        self.made.set(self.made.get() + 1);
        let end = self.end.min(offset + self.burst);
        let script = Script::new(&self.clock).pending().items((offset..end).map(Ok)).pending();
        let script = if end < self.end { script.err(Fault(end)) } else { script };
        script.build().0
    }
}

#[test]
fn a_stream_is_restarted() {
    let clock = TestClock::new();
    let source = Source::new(&clock, 2, 4);
    let make = || source.from(if source.made.get() < 2 { 0 } else { 2 });
    let items = restart_with_backoff(make, Backoff::constant(SECOND)).with_timer(clock.clone());
    assert_eq!(clock.block_on(items.try_collect::<Vec<_>>()), Ok(vec![0, 1, 0, 1, 2, 3]));
    assert_eq!((source.made.get(), clock.elapsed()), (3, 2 * SECOND));
}

#[test]
fn a_resumed_stream_delivers_everything_once() {
    let clock = TestClock::new();
    for burst in 1..5 {
        let source = Source::new(&clock, burst, 20);
        let from = |offset| source.from(offset);
        let items = resume_from(0, from, |item| item + 1).with_timer(clock.clone());
        let items: Vec<_> = clock.block_on(items.try_collect()).unwrap();
        assert_eq!(items, (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn a_resumed_stream_can_be_taken_apart_and_put_together() {
    let clock = TestClock::new();
    let source = Source::new(&clock, 3, 20);
    let mut items = resume_from(0, |offset| source.from(offset), |item| item + 1);
    let five: Vec<_> = clock.block_on((&mut items).take(5).map(Result::unwrap).collect::<Vec<_>>());
    assert_eq!(five, [0, 1, 2, 3, 4]);
    assert_eq!(*items.position(), 5);
    let parts = items.into_parts();
    // What the stream at hand still has, and the rest from there on.
    let rest = clock.block_on(parts.stream.unwrap().take(1).try_collect::<Vec<_>>());
    assert_eq!(rest, Ok(vec![5]));
}

proptest! {
    /// Whatever breaks and whenever, all items come, once and in order.
    #[test]
    fn resumption_loses_and_doubles_nothing(
        bursts in prop::collection::vec(0..5_u64, 1..40), refusals in prop::collection::vec(0..3, 1..40),
    ) {
        let clock = TestClock::new();
        // Streams may break before they gave anything, but not all of them.
        let bursts = bursts.into_iter().chain([1]).collect::<Vec<_>>();
        let (mut bursts, mut refusals) = (bursts.into_iter().cycle(), refusals.into_iter().cycle());
        let mut refuse = refusals.next().unwrap();
        let connect = |offset: u64| {
            let stream = if refuse > 0 {
                refuse -= 1;
                Err(Fault(0))
            } else {
                refuse = refusals.next().unwrap();
                let burst = bursts.next().unwrap();
                Ok(Source::new(&clock, burst, 30).from(offset))
            };
            async move { stream }
        };
        let items = reconnect_from(0, connect, |item| item + 1)
            .backoff(Backoff::constant(SECOND))
            .unlimited_retries()
            .with_timer(clock.clone());
        // Polled once in a while, and dropped in between: nothing is held by what is dropped.
        let mut items = Box::pin(items);
        let mut seen = Vec::new();
        while seen.len() < 30 {
            match items.next().now_or_never() {
                Some(item) => seen.push(item.unwrap().unwrap()),
                None => {
                    clock.advance_to_next();
                }
            }
        }
        prop_assert_eq!(seen, (0..30).collect::<Vec<_>>());
    }
}

#[test]
fn streams_run_on_any_executor() {
    let items = || {
        let clock = TestClock::new();
        let timer = clock.clone();
        let from = move |offset: u64| {
            let script = Script::new(&clock).pending().ok(offset).wait(SECOND);
            let end = if offset < 9 { script.err(Fault(0)) } else { script };
            end.build().0
        };
        let items = resume_from(0, from, |item| item + 1).backoff(Backoff::fibonacci(SECOND));
        let items = items.with_timer(timer.clone());
        async move { timer.auto(items.try_collect::<Vec<_>>()).await.unwrap() }
    };
    let all: Vec<u64> = (0..10).collect();
    for found in support::on_every_executor(items) {
        assert_eq!(found, all);
    }
}

#[test]
fn attempts_to_connect_are_counted_from_the_last_item() {
    let clock = TestClock::new();
    let source = Source::new(&clock, 1, 9);
    let calls = Cell::new(0);
    let connect = |offset| {
        calls.set(calls.get() + 1);
        // Two of three attempts fail.
        let stream = if calls.get() % 3 == 0 { Ok(source.from(offset)) } else { Err(Fault(0)) };
        async move { stream }
    };
    let items = reconnect_from(0, connect, |item| item + 1).max_retries(3);
    let items: Vec<_> = clock.block_on(items.with_timer(clock.clone()).try_collect()).unwrap();
    assert_eq!(items, (0..9).collect::<Vec<_>>());
    assert_eq!(calls.get(), 27);
}

#[test]
fn a_source_that_cannot_be_reached_ends_the_stream() {
    let clock = TestClock::new();
    type Never = stream::Empty<Result<u64, Fault>>;
    let connect = || std::future::ready(Err::<Never, _>(Fault(1)));
    let mut items = reconnect_with_backoff(connect, Backoff::linear(SECOND, SECOND))
        .max_retries(2)
        .with_timer(clock.clone());
    let error = clock.block_on(items.next()).unwrap().unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (GaveUp::Attempts, 3));
    assert_eq!((clock.block_on(items.next()), clock.elapsed()), (None, 3 * SECOND));
}

#[test]
fn progress_is_what_was_asked_for() {
    // Connects always, and breaks after two items and a second.
    let run = |count: Option<NonZeroU64>, time: Option<Duration>| {
        let clock = TestClock::new();
        let make = || Script::new(&clock).ok(1).wait(SECOND).ok(2).err(Fault(0)).build().0;
        let mut items = restart_with_backoff(make, Backoff::none()).max_retries(2);
        if let Some(count) = count {
            items = items.reset_after_items(count);
        }
        if let Some(time) = time {
            items = items.reset_after(time);
        }
        let items = items.with_timer(clock.clone()).take(50);
        clock.block_on(items.filter(|item| std::future::ready(item.is_err())).count())
    };
    assert_eq!(run(None, None), 0);
    assert_eq!(run(NonZeroU64::new(2), None), 0);
    assert_eq!(run(NonZeroU64::new(3), None), 1);
    assert_eq!(run(None, Some(SECOND)), 0);
    assert_eq!(run(None, Some(2 * SECOND)), 1);
}

#[test]
fn a_stream_that_ends_is_made_again_if_that_is_wanted() {
    let clock = TestClock::new();
    let made = Cell::new(0);
    let make = || {
        made.set(made.get() + 1);
        stream::iter((made.get() < 3).then_some(Ok::<_, Fault>(made.get())))
    };
    let items = restart_with_backoff(make, Backoff::constant(SECOND)).restart_on_end();
    let items = items.max_retries(2).with_timer(clock.clone());
    // Two streams with an item each, and then three without.
    assert_eq!(clock.block_on(items.try_collect::<Vec<_>>()), Ok(vec![1, 2]));
    assert_eq!(made.get(), 4);
}

#[test]
fn streams_that_fail_at_once_yield() {
    let made = Cell::new(0_usize);
    let make = || {
        made.set(made.get() + 1);
        stream::iter([Err::<u32, _>(Fault(0))])
    };
    let mut items = restart_with_backoff(make, Backoff::none()).unlimited_retries();
    for polls in 1..4 {
        assert!(items.next().now_or_never().is_none());
        assert!(made.get() >= polls && made.get() <= 128 * polls);
    }
}

#[test]
fn connects_and_streams_that_fail_at_once_yield() {
    let made = Cell::new(0_usize);
    let connect = || {
        made.set(made.get() + 1);
        let stream = made.get() % 20 == 0;
        let stream = stream.then(|| stream::iter([Err::<u32, _>(Fault(0))]));
        std::future::ready(stream.ok_or(Fault(1)))
    };
    let mut items = reconnect_with_backoff(connect, Backoff::none()).unlimited_retries();
    for polls in 1..4 {
        assert!(items.next().now_or_never().is_none());
        assert!(made.get() >= polls && made.get() <= 128 * polls);
    }
}

#[test]
fn hints_and_time_limit_restarts_too() {
    let clock = TestClock::new();
    let make = || stream::iter([Err::<u32, _>(Fault(0))]);
    let items = restart_with_backoff(make, Backoff::none())
        .hint(|_| Some(4 * SECOND))
        .max_elapsed(10 * SECOND)
        .with_timer(clock.clone());
    let last: Vec<_> = clock.block_on(items.collect());
    let [Err(error)] = &last[..] else { panic!("{last:?}") };
    assert_eq!((error.reason(), error.attempts()), (GaveUp::Elapsed, 3));
    assert_eq!(clock.elapsed(), 8 * SECOND);
}
