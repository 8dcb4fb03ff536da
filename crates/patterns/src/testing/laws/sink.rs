//! The laws of sink layers, one function each.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_sink::Sink;

use super::jobs::{Job, Jobs, Outcome};
use super::report::{Broken, Report, Verdict, require};
use super::{Fault, Ledger, Token, Tokens};
use crate::testing::{MockSink, SinkProbe};
use crate::time::TestClock;

const CONSTRUCTION: &str = "construction arms no timer and polls nothing";
const CONDUCT: &str = "nothing panics, and the inner sink is sent to only when it is ready";
const DELIVERY: &str = "items arrive once and in order, at the latest with a flush or a close";
const FAULT: &str = "errors come through";
const LEAK: &str = "a drop at any time leaves no item and no timer behind";
const CONSERVATION: &str = "no accepted item is lost";

/// How many items are sent.
const ITEMS: u64 = 12;

const FAILURE: Fault = Fault(9);

/// What a layer gets from [`sink`]: a sink of tokens, or of what holds them.
pub type Drain<I = Token> = MockSink<I>;

/// The laws for a layer over a sink of [`Token`]s. `make` puts the layer on its sink; it is called anew for
/// each run. Nothing is checked before [`check`](SinkLaws::check).
pub fn sink<S, F>(name: &str, make: F) -> SinkLaws<Token, S, F>
where
    F: Fn(Drain, &TestClock) -> S,
    S: Sink<Token>,
{
    sink_of(name, make)
}

/// As [`sink`], for a layer whose inner sink takes something else: `sink_of::<Vec<Token>, _, _>(…)`.
pub fn sink_of<I, S, F>(name: &str, make: F) -> SinkLaws<I, S, F>
where
    I: Tokens,
    F: Fn(Drain<I>, &TestClock) -> S,
    S: Sink<Token>,
{
    let inner = std::marker::PhantomData;
    SinkLaws { name: name.to_owned(), make, lossy: false, fault: None, held: None, inner }
}

/// The laws for a sink layer, and what is known about the layer. Made by [`sink`] and [`sink_of`].
///
/// * Construction arms no timer, polls nothing and needs no runtime.
/// * The inner sink is sent to only after `Ready(Ok(()))`, and not after it was closed. Nothing panics.
/// * Every `Pending` is followed by a wake.
/// * Items arrive once and in order: at the latest with a flush, and with a close. Both reach the inner
///   sink.
/// * Errors of the inner sink come through.
/// * A drop at any time leaves neither items nor timers behind.
/// * With [`conserves`](Self::conserves), no accepted item is lost.
///
/// ```
/// use futures::SinkExt;
/// use ziggurat_patterns::testing::laws;
///
/// laws::sink("buffer", |sink, _clock| sink.buffer(4)).faults(|error| Some(*error)).check();
/// ```
#[must_use = "nothing is checked before `check`"]
pub struct SinkLaws<I, S: Sink<Token>, F> {
    name: String,
    make: F,
    lossy: bool,
    fault: Option<FindFault<S::Error>>,
    held: Option<Held<S>>,
    inner: std::marker::PhantomData<fn(I)>,
}

type FindFault<E> = Box<dyn Fn(&E) -> Option<Fault>>;
type Held<S> = Box<dyn Fn(Pin<Box<S>>) -> Vec<Token>>;

impl<I, S: Sink<Token>, F> SinkLaws<I, S, F> {
    /// The layer drops items by its policy. Those that arrive are still checked for order and doubles.
    pub fn lossy(mut self) -> Self {
        self.lossy = true;
        self
    }

    /// How to find the inner sink's error in the layer's. With this, errors are checked to be the same; else
    /// only that there is one.
    pub fn faults(mut self, fault: impl Fn(&S::Error) -> Option<Fault> + 'static) -> Self {
        self.fault = Some(Box::new(fault));
        self
    }

    /// How to get back the items that the layer holds, as from `into_parts`, the oldest first. With this,
    /// those arrived and those held are compared with those accepted, after every poll.
    pub fn conserves(mut self, held: impl Fn(S) -> Vec<Token> + 'static) -> Self
    where
        S: Unpin + 'static,
    {
        self.held = Some(Box::new(move |sink| held(*Pin::into_inner(sink))));
        self
    }
}

impl<I, S, F> SinkLaws<I, S, F>
where
    I: Tokens,
    S: Sink<Token>,
    F: Fn(Drain<I>, &TestClock) -> S,
{
    /// Checks all laws.
    ///
    /// # Panics
    ///
    /// When the layer breaks one, with a line for each that it breaks.
    #[track_caller]
    pub fn check(self) {
        let mut report = Report::new(&self.name);
        for scene in SCENES {
            let case = Case { laws: &self, scene };
            report.run(scene.name, CONDUCT, || construction(&case));
            report.run(scene.name, CONDUCT, || delivery(&case, End::Flush));
            report.run(scene.name, CONDUCT, || delivery(&case, End::Close));
            report.run(scene.name, CONDUCT, || drops(&case));
            report.run(scene.name, CONDUCT, || conservation(&case));
        }
        for sent in [0, 1, ITEMS] {
            let case = Case { laws: &self, scene: &SCENES[0] };
            report.run("an error", CONDUCT, || faults(&case, sent));
        }
        report.finish();
    }
}

impl<I, S: Sink<Token>, F> fmt::Debug for SinkLaws<I, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkLaws").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A way for the inner sink to be.
struct Scene {
    name: &'static str,
    delay: Duration,
    flush_delay: Duration,
    /// Blocked until nothing else can happen.
    blocked: bool,
}

const SECOND: Duration = Duration::from_secs(1);

const SCENES: &[Scene] = &[
    Scene { name: "ready", delay: Duration::ZERO, flush_delay: Duration::ZERO, blocked: false },
    Scene { name: "slow", delay: SECOND, flush_delay: Duration::ZERO, blocked: false },
    Scene { name: "slow to flush", delay: Duration::ZERO, flush_delay: SECOND, blocked: false },
    Scene { name: "blocked", delay: Duration::ZERO, flush_delay: Duration::ZERO, blocked: true },
    Scene { name: "slow and blocked", delay: SECOND, flush_delay: SECOND, blocked: true },
];

struct Case<'a, I, S: Sink<Token>, F> {
    laws: &'a SinkLaws<I, S, F>,
    scene: &'a Scene,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Flush,
    Close,
}

/// A producer: sends its items, each when the sink is ready, then flushes or closes.
struct Producer<I, S: Sink<Token>> {
    sink: Pin<Box<S>>,
    inner: SinkProbe<I>,
    ledger: Ledger,
    end: End,
    accepted: u64,
    /// When so many items are accepted, the inner sink fails once.
    fail_at: Option<u64>,
    error: Option<S::Error>,
}

impl<I, S: Sink<Token>> Producer<I, S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Err(error) = ready!(self.try_poll(cx)) {
            self.error = Some(error);
        }
        Poll::Ready(())
    }

    fn try_poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        loop {
            if self.fail_at.take_if(|at| *at == self.accepted).is_some() {
                self.inner.fail_next(FAILURE);
            }
            if self.accepted == ITEMS {
                break;
            }
            ready!(self.sink.as_mut().poll_ready(cx))?;
            self.sink.as_mut().start_send(self.ledger.token(self.accepted))?;
            self.accepted += 1;
        }
        match self.end {
            End::Flush => self.sink.as_mut().poll_flush(cx),
            End::Close => self.sink.as_mut().poll_close(cx),
        }
    }
}

/// A run, before or after it.
struct Run<I, S: Sink<Token>> {
    clock: TestClock,
    producer: Producer<I, S>,
}

impl<I, S, F> Case<'_, I, S, F>
where
    I: Tokens,
    S: Sink<Token>,
    F: Fn(Drain<I>, &TestClock) -> S,
{
    fn start(&self, end: End) -> Run<I, S> {
        let (clock, ledger) = (TestClock::new(), Ledger::new());
        let (inner, probe) = MockSink::new(&clock);
        probe.delay(self.scene.delay);
        probe.flush_delay(self.scene.flush_delay);
        if self.scene.blocked {
            probe.block();
        }
        let sink = Box::pin((self.laws.make)(inner, &clock));
        let producer =
            Producer { sink, inner: probe, ledger, end, accepted: 0, fail_at: None, error: None };
        Run { clock, producer }
    }

    /// Calls `check` with fresh runs that were stopped after 0, 1, 2, … polls.
    fn at_every_poll(&self, check: impl Fn(Run<I, S>) -> Verdict) -> Verdict {
        for limit in 0.. {
            let mut run = self.start(End::Close);
            let outcome = run.go(limit)?;
            check(run)?;
            if outcome != Outcome::Cut {
                break;
            }
        }
        Ok(())
    }
}

impl<I: Tokens, S: Sink<Token>> Run<I, S> {
    fn go(&mut self, limit: usize) -> Result<Outcome, Broken> {
        let Run { clock, producer } = self;
        let inner = producer.inner.clone();
        let mut blocked = true;
        let idle = || {
            // A waiter that is not woken by this is found out.
            let waiting = std::mem::take(&mut blocked) && inner.waiting();
            inner.unblock();
            waiting
        };
        let mut jobs = Jobs { limit, ..Jobs::new(clock) };
        jobs.run(&mut [Job::new(|cx| producer.poll(cx))], idle)
    }

    fn arrived(&self) -> Vec<u64> {
        self.producer.inner.take().ids()
    }
}

/// Making the sink arms no timer and polls nothing. It works outside any runtime, as there is none here.
fn construction<I, S, F>(case: &Case<'_, I, S, F>) -> Verdict
where
    I: Tokens,
    S: Sink<Token>,
    F: Fn(Drain<I>, &TestClock) -> S,
{
    let run = case.start(End::Flush);
    let (armed, polls) = (run.clock.armed(), run.producer.inner.polls());
    require(armed == 0, CONSTRUCTION, || format!("{armed} timers are armed"))?;
    require(polls == 0, CONSTRUCTION, || format!("the inner sink was polled {polls} times"))
}

/// After a flush or a close all items have arrived, once and in order, and the inner sink saw it too.
fn delivery<I, S, F>(case: &Case<'_, I, S, F>, end: End) -> Verdict
where
    I: Tokens,
    S: Sink<Token>,
    F: Fn(Drain<I>, &TestClock) -> S,
{
    let mut run = case.start(end);
    run.go(usize::MAX)?;
    if run.producer.error.is_some() {
        return require(false, DELIVERY, || "there was an error".to_owned());
    }
    let arrived = run.arrived();
    let holds = match case.laws.lossy {
        true => arrived.is_sorted_by(|a, b| a < b),
        false => arrived.iter().copied().eq(0..ITEMS),
    };
    require(holds, DELIVERY, || format!("of 0..{ITEMS} there arrived {arrived:?} by {end:?}"))?;
    let ends = match end {
        End::Flush => run.producer.inner.flushes(),
        End::Close => run.producer.inner.closes(),
    };
    require(ends > 0, DELIVERY, || format!("{end:?} did not reach the inner sink"))
}

/// An error of the inner sink after so many items is seen, at the latest by the close.
fn faults<I, S, F>(case: &Case<'_, I, S, F>, sent: u64) -> Verdict
where
    I: Tokens,
    S: Sink<Token>,
    F: Fn(Drain<I>, &TestClock) -> S,
{
    let mut run = case.start(End::Close);
    run.producer.fail_at = Some(sent);
    run.go(usize::MAX)?;
    let Some(error) = &run.producer.error else {
        return require(false, FAULT, || "no error was seen by the close".to_owned());
    };
    let Some(find) = &case.laws.fault else { return Ok(()) };
    let found = find(error);
    require(found == Some(FAILURE), FAULT, || format!("{found:?} came for {FAILURE:?}"))
}

/// Whenever it is dropped, its items and timers go with it.
fn drops<I, S, F>(case: &Case<'_, I, S, F>) -> Verdict
where
    I: Tokens,
    S: Sink<Token>,
    F: Fn(Drain<I>, &TestClock) -> S,
{
    case.at_every_poll(|run| {
        let Run { clock, producer } = run;
        let (ledger, inner) = (producer.ledger.clone(), producer.inner.clone());
        drop(producer);
        drop(inner.take());
        let (alive, armed) = (ledger.alive(), clock.armed());
        require(alive == 0, LEAK, || format!("{alive} items are alive after the drop"))?;
        require(armed == 0, LEAK, || format!("{armed} timers are armed after the drop"))
    })
}

/// After each poll, what has arrived and what is held is what was accepted.
fn conservation<I, S, F>(case: &Case<'_, I, S, F>) -> Verdict
where
    I: Tokens,
    S: Sink<Token>,
    F: Fn(Drain<I>, &TestClock) -> S,
{
    let Some(held) = &case.laws.held else { return Ok(()) };
    case.at_every_poll(|run| {
        let (mut all, accepted) = (run.arrived(), run.producer.accepted);
        let arrived = all.len();
        held(run.producer.sink).append_ids(&mut all);
        let holds = all.iter().copied().eq(0..accepted);
        require(holds || case.laws.lossy, CONSERVATION, || {
            format!("of 0..{accepted} there are {all:?}, of which {arrived} have arrived")
        })
    })
}
