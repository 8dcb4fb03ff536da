//! Streams that do what a script says: when items come, where it pauses, how it ends.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::{FusedStream, Stream};

use super::Probe;
use crate::time::{TestClock, TestSleep, Timer};

/// A script for a stream of `T`: its steps are taken in order, and then it ends.
///
/// ```
/// use std::time::Duration;
/// use futures::StreamExt;
/// use ziggurat_patterns::{testing::Script, time::TestClock};
///
/// let clock = TestClock::new();
/// let second = Duration::from_secs(1);
/// let (stream, probe) = Script::new(&clock).item(1).wait(second).items([2, 3]).build();
/// assert_eq!(clock.block_on(stream.collect::<Vec<_>>()), [1, 2, 3]);
/// assert_eq!(clock.elapsed(), second);
/// assert!(probe.ended());
/// ```
#[must_use = "a script does nothing until it is built"]
pub struct Script<T> {
    clock: TestClock,
    steps: VecDeque<Step<T>>,
}

enum Step<T> {
    Item(T),
    Lazily(Box<dyn Iterator<Item = T> + Send + Sync>),
    Wait(Duration),
    /// As time since the clock was made.
    At(Duration),
    Pending,
    Stall,
}

impl<T> Script<T> {
    /// A script without steps, whose waits go by `clock`.
    pub fn new(clock: &TestClock) -> Self {
        Script { clock: clock.clone(), steps: VecDeque::new() }
    }

    /// An item, at once.
    pub fn item(self, item: T) -> Self {
        self.step(Step::Item(item))
    }

    /// Several items, each at once.
    pub fn items(self, items: impl IntoIterator<Item = T>) -> Self {
        items.into_iter().fold(self, Self::item)
    }

    /// Several items, each at once, made only when they are asked for. So they may be without end.
    ///
    /// The stream passes on the iterator's own `size_hint`.
    pub fn lazily<I>(self, items: I) -> Self
    where
        I: IntoIterator<Item = T, IntoIter: Send + Sync + 'static>,
    {
        self.step(Step::Lazily(Box::new(items.into_iter())))
    }

    /// What follows comes after `duration` of virtual time, counted from the first poll that gets here.
    pub fn wait(self, duration: Duration) -> Self {
        self.step(Step::Wait(duration))
    }

    /// What follows does not come before the clock shows `elapsed`.
    ///
    /// Other than [`wait`](Self::wait) it goes on while nobody polls, as the network does.
    pub fn at(self, elapsed: Duration) -> Self {
        self.step(Step::At(elapsed))
    }

    /// Returns `Pending` once, and wakes the task at once.
    pub fn pending(self) -> Self {
        self.step(Step::Pending)
    }

    /// Returns `Pending` for ever and never wakes.
    pub fn stall(self) -> Self {
        self.step(Step::Stall)
    }

    /// The stream, and what looks at it.
    pub fn build(self) -> (ScriptedStream<T>, Probe) {
        let probe = Probe::default();
        let count = |wanted: fn(&Step<T>) -> bool| self.steps.iter().filter(|s| wanted(s)).count();
        let items = count(|step| matches!(step, Step::Item(_)));
        let lazies = count(|step| matches!(step, Step::Lazily(_)));
        let Script { clock, steps } = self;
        let stream =
            ScriptedStream { clock, steps, items, lazies, sleep: None, probe: probe.clone() };
        (stream, probe)
    }

    /// # Panics
    ///
    /// After a stall.
    fn step(mut self, step: Step<T>) -> Self {
        let stalls = matches!(self.steps.back(), Some(Step::Stall));
        assert!(!stalls, "a step after `stall` is never reached");
        self.steps.push_back(step);
        self
    }
}

impl<T, E> Script<Result<T, E>> {
    /// An item that is a success.
    pub fn ok(self, value: T) -> Self {
        self.item(Ok(value))
    }

    /// An item that is an error. The stream goes on after it.
    pub fn err(self, error: E) -> Self {
        self.item(Err(error))
    }
}

impl<T> fmt::Debug for Script<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

/// A stream that follows a [`Script`].
///
/// Its `size_hint` is exact (the items before a stall, where there is one), so that a layer that computes
/// its own from it wrongly is found out. Making it arms no timer.
///
/// # Panics
///
/// When it is polled again after it has returned `None`: no layer may do that.
///
/// ```
/// use futures::Stream;
/// use ziggurat_patterns::{testing::Script, time::TestClock};
///
/// let (stream, _) = Script::new(&TestClock::new()).items(["a", "b"]).pending().item("c").build();
/// assert_eq!(stream.size_hint(), (3, Some(3)));
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct ScriptedStream<T> {
    clock: TestClock,
    steps: VecDeque<Step<T>>,
    // How many of the steps are `Item` and `Lazily`.
    items: usize,
    lazies: usize,
    sleep: Option<TestSleep>,
    probe: Probe,
}

/// Items are moved, never pinned.
impl<T> Unpin for ScriptedStream<T> {}

impl<T> ScriptedStream<T> {
    /// What looks at this stream.
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }

    fn poll_sleep(&mut self, duration: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let clock = &self.clock;
        let sleep = self.sleep.get_or_insert_with(|| clock.sleep(duration));
        let result = Pin::new(sleep).poll(cx);
        if result.is_ready() {
            self.sleep = None;
        }
        result
    }

    /// The next item of a `Lazily` at the front, which is removed when it has no more.
    fn next_lazy(&mut self) -> Option<T> {
        let Some(Step::Lazily(items)) = self.steps.front_mut() else { return None };
        let item = items.next();
        if item.is_none() {
            self.steps.pop_front();
            self.lazies -= 1;
        }
        item
    }
}

impl<T> Stream for ScriptedStream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        this.probe.count_poll();
        let ended = this.probe.ended();
        assert!(!ended, "the scripted stream was polled again after it had returned `None`");
        loop {
            let pause = match this.steps.front() {
                None => {
                    this.probe.note_end();
                    return Poll::Ready(None);
                }
                Some(Step::Item(_)) => {
                    let Some(Step::Item(item)) = this.steps.pop_front() else { unreachable!() };
                    this.items -= 1;
                    this.probe.count_item();
                    return Poll::Ready(Some(item));
                }
                Some(Step::Lazily(_)) => {
                    let Some(item) = this.next_lazy() else { continue };
                    this.probe.count_item();
                    return Poll::Ready(Some(item));
                }
                Some(Step::Pending) => {
                    this.steps.pop_front();
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Stall) => {
                    this.probe.note_stall();
                    return Poll::Pending;
                }
                Some(Step::Wait(duration)) => *duration,
                Some(Step::At(elapsed)) => elapsed.saturating_sub(this.clock.elapsed()),
            };
            if this.poll_sleep(pause, cx).is_pending() {
                return Poll::Pending;
            }
            this.steps.pop_front();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let mut hint = (self.items, Some(self.items));
        let lazies = if self.lazies == 0 { 0 } else { self.steps.len() };
        for step in self.steps.iter().take(lazies) {
            if let Step::Lazily(items) = step {
                let (lower, upper) = items.size_hint();
                hint.0 = hint.0.saturating_add(lower);
                hint.1 = hint.1.zip(upper).and_then(|(a, b)| a.checked_add(b));
            }
        }
        hint
    }
}

impl<T> FusedStream for ScriptedStream<T> {
    fn is_terminated(&self) -> bool {
        self.probe.ended()
    }
}

impl<T> Drop for ScriptedStream<T> {
    fn drop(&mut self) {
        self.probe.note_drop();
    }
}

impl<T> fmt::Debug for ScriptedStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedStream")
            .field("steps", &self.steps.len())
            .field("probe", &self.probe)
            .finish_non_exhaustive()
    }
}

/// A stream that always has the next of `items` ready. They may be without end.
///
/// ```
/// use futures::StreamExt;
/// use ziggurat_patterns::testing;
///
/// let (stream, probe) = testing::ready(0..);
/// let firsts: Vec<i32> = futures::executor::block_on(stream.take(3).collect());
/// assert_eq!(firsts, [0, 1, 2]);
/// assert_eq!(probe.polls(), 3);
/// ```
pub fn ready<I>(items: I) -> (ScriptedStream<I::Item>, Probe)
where
    I: IntoIterator<IntoIter: Send + Sync + 'static>,
{
    Script::new(&TestClock::new()).lazily(items).build()
}
