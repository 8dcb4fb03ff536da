//! The laws of service layers, one function each.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tower_service::Service;

use super::jobs::{Job, Jobs, Outcome};
use super::report::{Broken, Report, Verdict, require};
use super::{Fault, Ledger, Token, Tokens};
use crate::testing::{MockService, Reply, ServiceProbe};
use crate::time::TestClock;

const CONSTRUCTION: &str = "construction arms no timer and polls nothing";
const CONDUCT: &str = "nothing panics, and the inner service is called only when it is ready";
const ANSWER: &str = "an answer that comes at once comes through";
const FAULT: &str = "errors come through";
const LEAK: &str = "a drop at any time leaves no call, no item and no timer behind";
const GIVEN_BACK: &str = "readiness that is not used is given back";
const CLONES: &str = "clones are independent";

/// What a layer gets from [`service`]: a service that answers with the token that it was sent.
pub type Inner = MockService<Token, Token, Fault>;

/// The laws for a layer over a service. `make` puts the layer on its service; it is called anew for each
/// run. Nothing is checked before [`check`](ServiceLaws::check).
pub fn service<S, F>(name: &str, make: F) -> ServiceLaws<S, F>
where
    F: Fn(Inner, &TestClock) -> S,
    S: Service<Token>,
{
    ServiceLaws { name: name.to_owned(), make, clone: None, fault: None, recovers: false }
}

/// The laws for a service layer, and what is known about the layer. Made by [`service`].
///
/// * Construction arms no timer, polls nothing and needs no runtime.
/// * The inner service is called only after `Ready(Ok(()))` of the same clone. Nothing panics.
/// * Every `Pending`, of `poll_ready` and of the response, is followed by a wake.
/// * An answer that comes at once comes through; so do errors of `poll_ready` and of the call.
/// * A drop at any time cancels the call, and leaves neither tokens nor timers behind.
/// * Readiness that is not used is given back, and so is that of a call that is cancelled.
/// * Clones are independent ([`clones`](Self::clones)).
///
/// ```
/// use tower::limit::ConcurrencyLimit;
/// use ziggurat_patterns::testing::laws;
///
/// laws::service("concurrency limit", |inner, _clock| ConcurrencyLimit::new(inner, 1))
///     .faults(|error| Some(*error))
///     .clones()
///     .check();
/// ```
#[must_use = "nothing is checked before `check`"]
pub struct ServiceLaws<S: Service<Token>, F> {
    name: String,
    make: F,
    clone: Option<fn(&S) -> S>,
    fault: Option<FindFault<S::Error>>,
    recovers: bool,
}

type FindFault<E> = Box<dyn Fn(&E) -> Option<Fault>>;

impl<S: Service<Token>, F> ServiceLaws<S, F> {
    /// Checks the laws of clones too. Every layer whose service is `Clone` should want this.
    pub fn clones(mut self) -> Self
    where
        S: Clone,
    {
        self.clone = Some(S::clone);
        self
    }

    /// How to find the inner service's error in the layer's. With this, errors are checked to be the same;
    /// else only that there is one.
    pub fn faults(mut self, fault: impl Fn(&S::Error) -> Option<Fault> + 'static) -> Self {
        self.fault = Some(Box::new(fault));
        self
    }

    /// The layer may turn errors of the inner service into answers.
    pub fn recovers(mut self) -> Self {
        self.recovers = true;
        self
    }
}

impl<S, F> ServiceLaws<S, F>
where
    S: Service<Token>,
    F: Fn(Inner, &TestClock) -> S,
{
    /// Checks all laws.
    ///
    /// # Panics
    ///
    /// When the layer breaks one, with a line for each that it breaks.
    #[track_caller]
    pub fn check(self)
    where
        S::Response: Tokens,
    {
        self.check_with(Tokens::ids);
    }

    /// As [`check`](Self::check), for responses that do not implement [`Tokens`]: `ids` finds the numbers of
    /// the tokens in one.
    ///
    /// # Panics
    ///
    /// When the layer breaks a law, with a line for each that it breaks.
    #[track_caller]
    pub fn check_with(self, ids: impl Fn(&S::Response) -> Vec<u64>) {
        let mut report = Report::new(&self.name);
        for scene in SCENES {
            let case = Case { laws: &self, scene, ids: &ids };
            report.run(scene.name, CONDUCT, || construction(&case));
            report.run(scene.name, CONDUCT, || outcome(&case));
            report.run(scene.name, CONDUCT, || drops(&case));
            report.run(scene.name, CONDUCT, || clones(&case));
        }
        let scene = "a capacity of 1";
        report.run(scene, CONDUCT, || given_back(&self, Reserve::Ready));
        report.run(scene, CONDUCT, || given_back(&self, Reserve::Call));
        report.finish();
    }
}

impl<S: Service<Token>, F> fmt::Debug for ServiceLaws<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceLaws").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A way for the inner service to be, and what a caller is bound to see of it.
struct Scene {
    name: &'static str,
    inner: fn(&TestClock) -> Inner,
    /// `None` if that is up to the layer.
    expected: Option<Result<(), Fault>>,
    stalls: bool,
}

const fn scene(
    name: &'static str,
    inner: fn(&TestClock) -> Inner,
    expected: Option<Result<(), Fault>>,
) -> Scene {
    Scene { name, inner, expected, stalls: false }
}

const SECOND: Duration = Duration::from_secs(1);

const SCENES: &[Scene] = &[
    scene("an answer at once", Inner::echo, Some(Ok(()))),
    scene("not ready at first", |clock| Inner::echo(clock).not_ready(3), Some(Ok(()))),
    scene("a capacity of 1", |clock| Inner::echo(clock).capacity(1), Some(Ok(()))),
    scene(
        "an answer after a second",
        |clock| Inner::new(clock, |token| Reply::ok(token.clone()).after(SECOND)),
        None,
    ),
    scene(
        "one call a second",
        |clock| Inner::new(clock, |token| Reply::ok(token.clone()).after(SECOND)).capacity(1),
        None,
    ),
    scene(
        "an error at once",
        |clock| Inner::new(clock, |_| Reply::err(Fault(1))),
        Some(Err(Fault(1))),
    ),
    scene(
        "an error after a second",
        |clock| Inner::new(clock, |_| Reply::err(Fault(1)).after(SECOND)),
        None,
    ),
    scene(
        "an error of `poll_ready`",
        |clock| Inner::echo(clock).ready_error(Fault(2)),
        Some(Err(Fault(2))),
    ),
    Scene {
        name: "no answer",
        inner: |clock| Inner::new(clock, |_| Reply::never()),
        expected: None,
        stalls: true,
    },
];

/// A layer and a scene.
struct Case<'a, S: Service<Token>, F> {
    laws: &'a ServiceLaws<S, F>,
    scene: &'a Scene,
    ids: &'a dyn Fn(&S::Response) -> Vec<u64>,
}

/// The world of one run.
struct World {
    clock: TestClock,
    ledger: Ledger,
    probe: ServiceProbe<Token>,
}

/// A caller: waits for readiness, calls, waits for the answer.
struct Caller<S: Service<Token>> {
    /// Gone when it has failed to become ready: such a service is of no more use.
    service: Option<S>,
    request: Option<Token>,
    response: Option<Pin<Box<S::Future>>>,
    result: Option<Result<S::Response, S::Error>>,
}

impl<S: Service<Token>> Caller<S> {
    fn new(service: S, request: Token) -> Self {
        Caller { service: Some(service), request: Some(request), response: None, result: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.response.is_none() {
            let service = self.service.as_mut().expect("polled until it is done");
            if let Err(error) = ready!(service.poll_ready(cx)) {
                self.result = Some(Err(error));
                self.service = None;
                return Poll::Ready(());
            }
            let request = self.request.take().expect("one call");
            self.response = Some(Box::pin(service.call(request)));
        }
        let response = self.response.as_mut().expect("made above");
        self.result = Some(ready!(response.as_mut().poll(cx)));
        // As after an `await`: a future that has completed does not linger.
        self.response = None;
        Poll::Ready(())
    }
}

impl<S, F> Case<'_, S, F>
where
    S: Service<Token>,
    F: Fn(Inner, &TestClock) -> S,
{
    fn start(&self) -> (World, S) {
        let clock = TestClock::new();
        let inner = (self.scene.inner)(&clock);
        let world = World { ledger: Ledger::new(), probe: inner.probe(), clock };
        let service = (self.laws.make)(inner, &world.clock);
        (world, service)
    }

    fn jobs<'a>(&self, world: &'a World, limit: usize) -> Jobs<'a> {
        Jobs { limit, stalls: self.scene.stalls, ..Jobs::new(&world.clock) }
    }

    /// Makes one call, for at most so many polls. Returns how many there were.
    fn call(
        &self,
        world: &World,
        caller: &mut Caller<S>,
        limit: usize,
    ) -> Result<(usize, Outcome), Broken> {
        let mut jobs = self.jobs(world, limit);
        let outcome = jobs.run(&mut [Job::new(|cx| caller.poll(cx))], || false)?;
        Ok((jobs.polls, outcome))
    }

    /// Compares a result with what the scene demands.
    fn judge(&self, id: u64, result: Option<Result<S::Response, S::Error>>) -> Verdict {
        let (Some(expected), Some(result)) = (self.scene.expected, result) else { return Ok(()) };
        match (expected, result) {
            (Ok(()), Ok(response)) => {
                let ids = (self.ids)(&response);
                require(ids == [id], ANSWER, || format!("the answer to {id} holds {ids:?}"))
            }
            (Ok(()), Err(_)) => require(false, ANSWER, || "an error came in its place".to_owned()),
            (Err(_), Ok(_)) => require(self.laws.recovers, FAULT, || "an answer came".to_owned()),
            (Err(fault), Err(error)) => {
                let Some(find) = &self.laws.fault else { return Ok(()) };
                let found = find(&error);
                let same = found == Some(fault) || self.laws.recovers;
                require(same, FAULT, || format!("{found:?} came for {fault:?}"))
            }
        }
    }
}

/// Making the service arms no timer and polls nothing. It works outside any runtime, as there is none here.
fn construction<S, F>(case: &Case<'_, S, F>) -> Verdict
where
    S: Service<Token>,
    F: Fn(Inner, &TestClock) -> S,
{
    let (world, _service) = case.start();
    let (armed, polls) = (world.clock.armed(), world.probe.poll_readies());
    require(armed == 0, CONSTRUCTION, || format!("{armed} timers are armed"))?;
    require(polls == 0, CONSTRUCTION, || format!("`poll_ready` was called {polls} times"))
}

/// Three calls, one after the other, have the outcome that the scene demands.
fn outcome<S, F>(case: &Case<'_, S, F>) -> Verdict
where
    S: Service<Token>,
    F: Fn(Inner, &TestClock) -> S,
{
    let (world, mut service) = case.start();
    for id in 0..3 {
        let mut caller = Caller::new(service, world.ledger.token(id));
        case.call(&world, &mut caller, usize::MAX)?;
        let failed = matches!(caller.result, Some(Err(_)));
        case.judge(id, caller.result)?;
        // What comes after an error is up to the layer.
        match caller.service {
            Some(same) if !failed => service = same,
            _ => break,
        }
    }
    Ok(())
}

/// Whenever the caller gives up, the call ends; and when the service goes too, nothing is left.
fn drops<S, F>(case: &Case<'_, S, F>) -> Verdict
where
    S: Service<Token>,
    F: Fn(Inner, &TestClock) -> S,
{
    let mut total = usize::MAX;
    let mut limit = 0;
    while limit <= total {
        let (world, service) = case.start();
        let mut caller = Caller::new(service, world.ledger.token(0));
        let (polls, outcome) = case.call(&world, &mut caller, limit)?;
        if outcome != Outcome::Cut {
            total = polls;
        }
        let Caller { service, request, response, result } = caller;
        drop((request, response, result));
        let calls = world.probe.in_flight();
        require(calls == 0, LEAK, || format!("{calls} calls go on after their future is dropped"))?;
        drop(service);
        drop(world.probe.take_requests());
        let alive = world.ledger.alive();
        let (armed, reserved) = (world.clock.armed(), world.probe.reserved());
        require(alive == 0, LEAK, || format!("{alive} tokens are alive after the drop"))?;
        require(armed == 0, LEAK, || format!("{armed} timers are armed after the drop"))?;
        require(reserved == 0, LEAK, || format!("{reserved} inner services are still ready"))?;
        limit += 1;
    }
    Ok(())
}

/// A clone of a ready service is not ready, and calls of both go on side by side.
fn clones<S, F>(case: &Case<'_, S, F>) -> Verdict
where
    S: Service<Token>,
    F: Fn(Inner, &TestClock) -> S,
{
    let Some(clone) = case.laws.clone else { return Ok(()) };
    let (world, mut service) = case.start();
    let mut ready = Ok(());
    let mut jobs =
        [Job::new(|cx| service.poll_ready(cx).map(|result| ready = result.map_err(drop)))];
    case.jobs(&world, usize::MAX).run(&mut jobs, || false)?;
    drop(jobs);
    if ready.is_err() {
        return Ok(());
    }
    let mut second = Caller::new(clone(&service), world.ledger.token(1));
    let mut first = Caller::new(service, world.ledger.token(0));
    let mut jobs = [Job::new(|cx| first.poll(cx)), Job::new(|cx| second.poll(cx))];
    case.jobs(&world, usize::MAX).run(&mut jobs, || false)?;
    drop(jobs);
    let clones = |broken: Broken| Broken { law: CLONES, what: broken.what };
    let failed = matches!(first.result, Some(Err(_)));
    case.judge(0, first.result).map_err(clones)?;
    // The first error may have opened a breaker.
    if failed { Ok(()) } else { case.judge(1, second.result).map_err(clones) }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reserve {
    Ready,
    Call,
}

/// One caller takes the only place, by readiness or by a call, and goes away. Another one then gets it.
fn given_back<S, F>(laws: &ServiceLaws<S, F>, reserve: Reserve) -> Verdict
where
    S: Service<Token>,
    F: Fn(Inner, &TestClock) -> S,
{
    let (clock, ledger) = (TestClock::new(), Ledger::new());
    let reply = |token: &Token| match token.id() {
        0 => Reply::never(),
        _ => Reply::ok(token.clone()),
    };
    let inner = Inner::new(&clock, reply).capacity(1);
    let mut first = (laws.make)(inner.clone(), &clock);
    let second = match laws.clone {
        Some(clone) => clone(&first),
        None => (laws.make)(inner, &clock),
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
