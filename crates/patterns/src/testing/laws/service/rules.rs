//! Each law of service layers, as a function.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tower_service::Service;

use super::scenes::{Caller, Scene};
use super::{Inner, ServiceLaws};
use crate::testing::laws::jobs::{Job, Jobs};
use crate::testing::laws::report::{Broken, Report, Verdict, require};
use crate::testing::{Fault, Ledger, Reply, ServiceProbe, Token};
use crate::time::TestClock;

const CONSTRUCTION: &str = "construction arms no timer and polls nothing";
const CONDUCT: &str = "nothing panics, and the inner service is called only when it is ready";
const ANSWER: &str = "an answer comes through, at once if it comes at once";
const FAULT: &str = "errors come through";
const LEAK: &str = "a drop at any time leaves no call, no item and no timer behind";
const GIVEN_BACK: &str = "readiness that is not used is given back";
const CLONES: &str = "clones are independent";
const LASTS: &str = "readiness lasts until the call, and to ask for it again takes nothing more";
const COOPERATION: &str = "one poll calls a service that fails at once only so often";

/// How often one poll may call the service inside.
const CALLS_PER_POLL: usize = 128;

/// A layer and a scene.
pub(super) struct Case<'a, S: Service<Token>, F> {
    laws: &'a ServiceLaws<S, F>,
    scene: &'a Scene,
    ids: &'a dyn Fn(&S::Response) -> Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reserve {
    Ready,
    Call,
}

/// The world of one run.
struct World {
    clock: TestClock,
    ledger: Ledger,
    probe: ServiceProbe<Token>,
}

impl<'a, S, F> Case<'a, S, F>
where
    S: Service<Token>,
    F: Fn(Inner, &TestClock) -> S,
{
    pub(super) fn new(
        laws: &'a ServiceLaws<S, F>,
        scene: &'a Scene,
        ids: &'a dyn Fn(&S::Response) -> Vec<u64>,
    ) -> Self {
        Case { laws, scene, ids }
    }

    /// Puts the layer through all laws.
    pub(super) fn check(&self, report: &mut Report) {
        let name = self.scene.name;
        report.run(name, CONDUCT, || self.construction());
        report.run(name, CONDUCT, || self.outcome(false));
        report.run(name, CONDUCT, || self.outcome(true));
        report.run(name, CONDUCT, || self.drops());
        report.run(name, CONDUCT, || self.clones());
        report.run(name, CONDUCT, || self.lasts());
    }

    /// Puts the layer through the laws that bring a scene of their own.
    pub(super) fn check_own_scenes(&self, report: &mut Report) {
        let name = "two callers and one place";
        report.run(name, CONDUCT, || self.given_back(Reserve::Ready));
        report.run(name, CONDUCT, || self.given_back(Reserve::Call));
        report.run("an error at once, for ever", COOPERATION, || self.cooperation());
    }

    /// Making the service arms no timer and polls nothing. It works outside any runtime, as there is none
    /// here.
    fn construction(&self) -> Verdict {
        let (world, _service) = self.start();
        let (armed, polls) = (world.clock.armed(), world.probe.poll_readies());
        require(armed == 0, CONSTRUCTION, || format!("{armed} timers are armed"))?;
        require(polls == 0, CONSTRUCTION, || format!("`poll_ready` was called {polls} times"))
    }

    /// Three calls, one after the other, have the outcome that the scene demands; also if the caller is
    /// `restless`, polls without a wake and changes its waker.
    fn outcome(&self, restless: bool) -> Verdict {
        let (world, mut service) = self.start();
        for id in 0..3 {
            let mut caller = Caller::new(service, world.ledger.token(id));
            self.call(&world, &mut caller, usize::MAX, restless)?;
            let failed = matches!(caller.result, Some(Err(_)));
            self.judge(id, caller.result)?;
            // What comes after an error is up to the layer.
            match caller.service {
                Some(same) if !failed => service = same,
                _ => break,
            }
        }
        Ok(())
    }

    /// Whenever the caller gives up, the call ends; and when the service goes too, nothing is left.
    fn drops(&self) -> Verdict {
        let (world, service) = self.start();
        let mut whole = Caller::new(service, world.ledger.token(0));
        let total = self.call(&world, &mut whole, usize::MAX, false)?;
        for limit in 0..=total {
            let (world, service) = self.start();
            let mut caller = Caller::new(service, world.ledger.token(0));
            self.call(&world, &mut caller, limit, false)?;
            let Caller { service, request, response, result, .. } = caller;
            drop((request, response, result));
            let calls = world.probe.in_flight();
            require(calls == 0, LEAK, || {
                format!("{calls} calls go on after their future is dropped")
            })?;
            drop(service);
            drop(world.probe.take_requests());
            let alive = world.ledger.alive();
            let (armed, reserved) = (world.clock.armed(), world.probe.reserved());
            require(alive == 0, LEAK, || format!("{alive} tokens are alive after the drop"))?;
            require(armed == 0, LEAK, || format!("{armed} timers are armed after the drop"))?;
            require(reserved == 0, LEAK, || format!("{reserved} inner services are still ready"))?;
        }
        Ok(())
    }

    /// A clone of a ready service is not ready, and calls of both go on side by side.
    fn clones(&self) -> Verdict {
        let Some(clone) = self.laws.clone else { return Ok(()) };
        let (world, mut service) = self.start();
        let mut ready = Ok(());
        let mut jobs =
            [Job::new(|cx| service.poll_ready(cx).map(|result| ready = result.map_err(drop)))];
        self.jobs(&world, usize::MAX).run(&mut jobs, || false)?;
        drop(jobs);
        if ready.is_err() {
            return Ok(());
        }
        let mut second = Caller::new(clone(&service), world.ledger.token(1));
        let mut first = Caller::new(service, world.ledger.token(0));
        let mut jobs = [Job::new(|cx| first.poll(cx)), Job::new(|cx| second.poll(cx))];
        self.jobs(&world, usize::MAX).run(&mut jobs, || false)?;
        drop(jobs);
        let clones = |broken: Broken| Broken { law: CLONES, what: broken.what };
        let failed = matches!(first.result, Some(Err(_)));
        self.judge(0, first.result).map_err(clones)?;
        // The first error may have opened a breaker.
        if failed { Ok(()) } else { self.judge(1, second.result).map_err(clones) }
    }

    /// One caller takes the only place, by readiness or by a call, and goes away. Another one then gets
    /// it.
    fn given_back(&self, reserve: Reserve) -> Verdict {
        let (clock, ledger) = (TestClock::new(), Ledger::new());
        let reply = |token: &Token| match token.id() {
            0 => Reply::never(),
            _ => Reply::ok(token.clone()),
        };
        let inner = Inner::new(&clock, reply).capacity(1);
        let mut first = (self.laws.make)(inner.clone(), &clock);
        let second = match self.laws.clone {
            Some(clone) => clone(&first),
            None => (self.laws.make)(inner, &clock),
        };
        Jobs::new(&clock).run(&mut [Job::new(|cx| first.poll_ready(cx).map(drop))], || false)?;
        let mut first = Caller::new(first, ledger.token(0));
        if reserve == Reserve::Call {
            let mut jobs = Jobs { limit: 1, stalls: true, ..Jobs::new(&clock) };
            jobs.run(&mut [Job::new(|cx| first.poll(cx))], || false)?;
        }
        let mut first = Some(first);
        let mut second = Caller::new(second, ledger.token(1));
        let mut job = [Job::new(|cx| second.poll(cx))];
        let outcome = Jobs::new(&clock).run(&mut job, || first.take().is_some());
        drop(job);
        let given = outcome.is_ok() && second.result.is_some();
        require(given, GIVEN_BACK, || format!("nobody else gets what was taken by {reserve:?}"))
    }

    /// Three calls take as long, and call the inner service as often, when each of them asks for
    /// readiness twice: no permit and no token is taken again.
    fn lasts(&self) -> Verdict {
        let run = |asks_twice| -> Result<_, Broken> {
            let (world, mut service) = self.start();
            for id in 0..3 {
                let mut caller = Caller::new(service, world.ledger.token(id));
                caller.asks_twice = asks_twice;
                self.call(&world, &mut caller, usize::MAX, false)?;
                require(!caller.fickle, LASTS, || "it was ready, and then not".to_owned())?;
                match (caller.service, caller.result) {
                    (Some(same), Some(Ok(_))) => service = same,
                    _ => break,
                }
            }
            Ok((world.clock.elapsed(), world.probe.calls()))
        };
        let (once, twice) = (run(false)?, run(true)?);
        require(once == twice, LASTS, || {
            format!("with one question each: {once:?} and so many calls; with two: {twice:?}")
        })
    }

    /// A layer that would try again until there is an answer gives others a turn in between.
    fn cooperation(&self) -> Verdict {
        let (clock, ledger) = (TestClock::new(), Ledger::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let inner = Inner::new(&clock, move |_| {
            let before = counted.fetch_add(1, Ordering::Relaxed);
            assert!(before < CALLS_PER_POLL, "one poll made more than {CALLS_PER_POLL} calls");
            Reply::err(Fault(1))
        });
        let mut caller = Caller::new((self.laws.make)(inner, &clock), ledger.token(0));
        let job = Job::new(|cx| {
            calls.store(0, Ordering::Relaxed);
            caller.poll(cx)
        });
        Jobs { limit: 100, ..Jobs::new(&clock) }.run(&mut [job], || false)
    }

    fn start(&self) -> (World, S) {
        let clock = TestClock::new();
        let inner = (self.scene.inner)(&clock);
        let world = World { ledger: Ledger::new(), probe: inner.probe(), clock };
        let service = (self.laws.make)(inner, &world.clock);
        (world, service)
    }

    fn jobs<'w>(&self, world: &'w World, limit: usize) -> Jobs<'w> {
        Jobs { limit, stalls: self.scene.stalls, ..Jobs::new(&world.clock) }
    }

    /// Makes one call, for at most so many polls. Returns how many there were.
    fn call(
        &self,
        world: &World,
        caller: &mut Caller<S>,
        limit: usize,
        restless: bool,
    ) -> Result<usize, Broken> {
        let mut jobs = Jobs { restless, ..self.jobs(world, limit) };
        jobs.run(&mut [Job::new(|cx| caller.poll(cx))], || false)?;
        Ok(jobs.polls)
    }

    /// Compares a result with what the scene demands.
    fn judge(&self, id: u64, result: Option<Result<S::Response, S::Error>>) -> Verdict {
        let Some(result) = result else { return Ok(()) };
        match (self.scene.expected, result) {
            (Ok(()), Ok(response)) => {
                let ids = (self.ids)(&response);
                require(ids == [id], ANSWER, || format!("the answer to {id} holds {ids:?}"))
            }
            (Ok(()), Err(_)) => {
                let holds = self.laws.refuses || self.scene.late;
                require(holds, ANSWER, || "an error came in its place".to_owned())
            }
            (Err(_), Ok(_)) => require(self.laws.recovers, FAULT, || "an answer came".to_owned()),
            (Err(fault), Err(error)) => {
                let Some(find) = &self.laws.fault else { return Ok(()) };
                let found = find(&error);
                let may = self.laws.recovers || self.laws.refuses || self.scene.late;
                let own = found.is_none() && may;
                let same = own || found == Some(fault);
                require(same, FAULT, || format!("{found:?} came for {fault:?}"))
            }
        }
    }
}
