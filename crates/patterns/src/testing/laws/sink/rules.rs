//! Each law of sink layers, as a function.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_sink::Sink;

use super::{Drain, SinkLaws};
use crate::testing::laws::jobs::{Job, Jobs};
use crate::testing::laws::report::{Broken, Report, Verdict, require};
use crate::testing::{Fault, Ledger, MockSink, SinkProbe, Token, Tokens};
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

/// Whether an error is no fault of the inner sink, but the layer's own to refuse an item.
type IsRefusal<'a, E> = Box<dyn Fn(&E) -> bool + 'a>;

struct Case<'a, I, S: Sink<Token>, F> {
    laws: &'a SinkLaws<I, S, F>,
    scene: &'a Scene,
    refuses: IsRefusal<'a, S::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Flush,
    Close,
}

/// A producer: sends its items, each when the sink is ready, then flushes or closes.
struct Producer<'a, I, S: Sink<Token>> {
    sink: Pin<Box<S>>,
    inner: SinkProbe<I>,
    ledger: Ledger,
    end: End,
    /// How many items were sent, refused ones among them.
    sent: u64,
    refused: Vec<u64>,
    refuses: &'a dyn Fn(&S::Error) -> bool,
    /// When so many items are sent, the inner sink fails once.
    fail_at: Option<u64>,
    error: Option<S::Error>,
}

impl<I, S: Sink<Token>> Producer<'_, I, S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Err(error) = ready!(self.try_poll(cx)) {
            self.error = Some(error);
        }
        Poll::Ready(())
    }

    /// The items that were sent and not refused.
    fn accepted(&self) -> impl Iterator<Item = u64> {
        (0..self.sent).filter(|id| !self.refused.contains(id))
    }

    fn try_poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        loop {
            if self.fail_at.take_if(|at| *at == self.sent).is_some() {
                self.inner.fail_next(FAILURE);
            }
            if self.sent == ITEMS {
                break;
            }
            let ready = ready!(self.sink.as_mut().poll_ready(cx));
            let token = self.ledger.token(self.sent);
            match ready.and_then(|()| self.sink.as_mut().start_send(token)) {
                Err(error) if (self.refuses)(&error) => self.refused.push(self.sent),
                result => result?,
            }
            self.sent += 1;
        }
        match self.end {
            End::Flush => self.sink.as_mut().poll_flush(cx),
            End::Close => self.sink.as_mut().poll_close(cx),
        }
    }
}

/// A run, before or after it.
struct Run<'a, I, S: Sink<Token>> {
    clock: TestClock,
    producer: Producer<'a, I, S>,
    /// Whether the producer polls without a wake too, and changes its waker.
    restless: bool,
}

/// Puts the layer through all laws.
pub(super) fn check<I, S, F>(laws: &SinkLaws<I, S, F>, report: &mut Report)
where
    I: Tokens,
    S: Sink<Token>,
    F: Fn(Drain<I>, &TestClock) -> S,
{
    for scene in SCENES {
        let own = |error: &S::Error| laws.fault.as_ref().and_then(|fault| fault(error)).is_none();
        let refuses = Box::new(move |error: &S::Error| laws.refuses && own(error));
        let case = Case { laws, scene, refuses };
        report.run(scene.name, CONDUCT, || case.construction());
        for end in [End::Flush, End::Close] {
            report.run(scene.name, CONDUCT, || case.delivery(end, false));
            report.run(scene.name, CONDUCT, || case.delivery(end, true));
        }
        for sent in [0, 1, ITEMS] {
            report.run(scene.name, CONDUCT, || case.faults(sent));
        }
        report.run(scene.name, CONDUCT, || case.drops());
        report.run(scene.name, CONDUCT, || case.conservation());
    }
}

impl<I, S, F> Case<'_, I, S, F>
where
    I: Tokens,
    S: Sink<Token>,
    F: Fn(Drain<I>, &TestClock) -> S,
{
    /// Making the sink arms no timer and polls nothing. It works outside any runtime, as there is none
    /// here.
    fn construction(&self) -> Verdict {
        let run = self.start(End::Flush);
        let (armed, polls) = (run.clock.armed(), run.producer.inner.polls());
        require(armed == 0, CONSTRUCTION, || format!("{armed} timers are armed"))?;
        require(polls == 0, CONSTRUCTION, || format!("the inner sink was polled {polls} times"))
    }

    /// After a flush or a close all items have arrived, once and in order, and the inner sink saw it too.
    fn delivery(&self, end: End, restless: bool) -> Verdict {
        let mut run = self.start(end);
        run.restless = restless;
        run.go(usize::MAX)?;
        if run.producer.error.is_some() {
            return require(false, DELIVERY, || "there was an error".to_owned());
        }
        let arrived = run.arrived();
        let refused = &run.producer.refused;
        let holds = match self.laws.lossy {
            true => {
                let refused = |id| run.producer.refused.contains(id);
                arrived.is_sorted_by(|a, b| a < b) && !arrived.iter().any(refused)
            }
            false => arrived.iter().copied().eq(run.producer.accepted()),
        };
        require(holds, DELIVERY, || {
            let but = if refused.is_empty() { String::new() } else { format!(" but {refused:?}") };
            format!("of 0..{ITEMS}{but} there arrived {arrived:?} by {end:?}")
        })?;
        let ends = match end {
            End::Flush => run.producer.inner.flushes(),
            End::Close => run.producer.inner.closes(),
        };
        require(ends > 0, DELIVERY, || format!("{end:?} did not reach the inner sink"))
    }

    /// An error of the inner sink after so many items is seen, at the latest by the close.
    fn faults(&self, sent: u64) -> Verdict {
        let mut run = self.start(End::Close);
        run.producer.fail_at = Some(sent);
        run.go(usize::MAX)?;
        let Some(error) = &run.producer.error else {
            return require(false, FAULT, || "no error was seen by the close".to_owned());
        };
        let Some(find) = &self.laws.fault else { return Ok(()) };
        let found = find(error);
        require(found == Some(FAILURE), FAULT, || format!("{found:?} came for {FAILURE:?}"))
    }

    /// Whenever it is dropped, its items and timers go with it.
    fn drops(&self) -> Verdict {
        self.at_every_poll(|run| {
            let Run { clock, producer, .. } = run;
            let (ledger, inner) = (producer.ledger.clone(), producer.inner.clone());
            drop(producer);
            drop(inner.take());
            let (alive, armed) = (ledger.alive(), clock.armed());
            require(alive == 0, LEAK, || format!("{alive} items are alive after the drop"))?;
            require(armed == 0, LEAK, || format!("{armed} timers are armed after the drop"))
        })
    }

    /// After each poll, what has arrived and what is held is what was accepted.
    fn conservation(&self) -> Verdict {
        let Some(held) = &self.laws.held else { return Ok(()) };
        self.at_every_poll(|run| {
            let mut all = run.arrived();
            let accepted: Vec<_> = run.producer.accepted().collect();
            let arrived = all.len();
            held(run.producer.sink).append_ids(&mut all);
            require(all == accepted || self.laws.lossy, CONSERVATION, || {
                format!("of {accepted:?} there are {all:?}, of which {arrived} have arrived")
            })
        })
    }

    fn start(&self, end: End) -> Run<'_, I, S> {
        let (clock, ledger) = (TestClock::new(), Ledger::new());
        let (inner, probe) = MockSink::new(&clock);
        probe.delay(self.scene.delay);
        probe.flush_delay(self.scene.flush_delay);
        if self.scene.blocked {
            probe.block();
        }
        let sink = Box::pin((self.laws.make)(inner, &clock));
        let producer = Producer {
            sink,
            inner: probe,
            ledger,
            end,
            sent: 0,
            refused: Vec::new(),
            refuses: &self.refuses,
            fail_at: None,
            error: None,
        };
        Run { clock, producer, restless: false }
    }

    /// Calls `check` with fresh runs that were stopped after 0, 1, 2, … polls.
    fn at_every_poll(&self, check: impl Fn(Run<'_, I, S>) -> Verdict) -> Verdict {
        let mut whole = self.start(End::Close);
        let total = whole.go(usize::MAX)?;
        for limit in 0..=total {
            let mut run = self.start(End::Close);
            run.go(limit)?;
            check(run)?;
        }
        Ok(())
    }
}

impl<I: Tokens, S: Sink<Token>> Run<'_, I, S> {
    /// Goes on for at most so many polls. Returns how many there were.
    fn go(&mut self, limit: usize) -> Result<usize, Broken> {
        let Run { clock, producer, restless } = self;
        let inner = producer.inner.clone();
        let mut blocked = true;
        let idle = || {
            // A waiter that is not woken by this is found out.
            let waiting = std::mem::take(&mut blocked) && inner.waiting();
            inner.unblock();
            waiting
        };
        let mut jobs = Jobs { limit, restless: *restless, ..Jobs::new(clock) };
        jobs.run(&mut [Job::new(|cx| producer.poll(cx))], idle)?;
        Ok(jobs.polls)
    }

    fn arrived(&self) -> Vec<u64> {
        self.producer.inner.take().ids()
    }
}
