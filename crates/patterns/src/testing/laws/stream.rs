//! The laws of stream layers, one function each.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_core::FusedStream;

use super::drive::{Drive, Event, Mode};
use super::report::{Report, Verdict, require};
use super::scripts::{Input, PLANS, Plan};
use super::{Fault, Ledger, Source, Token, Tokens, TrySource};
use crate::testing::{Script, ScriptedStream};
use crate::time::TestClock;

const CONSTRUCTION: &str = "construction arms no timer and polls nothing";
const CONDUCT: &str = "nothing panics and the source is not polled after `None`";
const FUSED: &str = "after `None` comes `None`, and `is_terminated` says so";
const HINT: &str = "`size_hint` is true";
const COOPERATION: &str = "one poll polls a source that is always ready only so often";
const SPURIOUS: &str = "a poll without a wake changes nothing";
const LEAK: &str = "a drop at any time leaves no item and no timer behind";
const CONSERVATION: &str = "no item is lost, doubled or out of order";

/// Cut points of a run that are tried, at most. A longer run is sampled.
const CUTS: usize = 64;

/// How often an endless source's layer is polled.
const ENDLESS_POLLS: usize = 100;

/// The laws for a layer over a stream of [`Token`]s. `make` puts the layer on its source; it is called anew
/// for each run. Nothing is checked before [`check`](StreamLaws::check).
pub fn stream<S, F>(name: &str, make: F) -> StreamLaws<Token, S, F>
where
    F: Fn(Source, &TestClock) -> S,
    S: FusedStream,
{
    StreamLaws::new(name, make)
}

/// The laws for a layer over a stream of `Result<`[`Token`]`, `[`Fault`]`>`. As [`stream`], with errors
/// among the items.
pub fn try_stream<S, F>(name: &str, make: F) -> StreamLaws<Result<Token, Fault>, S, F>
where
    F: Fn(TrySource, &TestClock) -> S,
    S: FusedStream,
{
    StreamLaws::new(name, make)
}

/// The laws for a stream layer, and what is known about the layer. Made by [`stream`] and [`try_stream`].
///
/// * Construction arms no timer, polls nothing and needs no runtime.
/// * The source is not polled after it has returned `None`. Nothing panics.
/// * After `None` comes `None`, and [`FusedStream::is_terminated`] says so.
/// * `size_hint` is true before every poll.
/// * One poll polls a source that is always ready at most 256 times ([`bound`](Self::bound)).
/// * Every `Pending` is followed by a wake, of the waker of the last poll, unless the source stalls.
/// * A poll without a wake changes nothing.
/// * A drop at any time leaves neither items nor timers behind.
/// * All items come out, once and in order; with [`conserves`](Self::conserves) that is so after each
///   poll. [`unordered`](Self::unordered) and [`lossy`](Self::lossy) layers say so.
///
/// ```should_panic
/// use futures::StreamExt;
/// use ziggurat_patterns::testing::laws;
///
/// // Drops every other item, and did not say so.
/// laws::stream("half", |source, _| {
///     source.filter(|token| std::future::ready(token.id() % 2 == 0))
/// })
/// .check();
/// ```
#[must_use = "nothing is checked before `check`"]
pub struct StreamLaws<I, S, F> {
    name: String,
    make: F,
    bound: usize,
    ordered: bool,
    lossy: bool,
    held: Option<Held<S>>,
    source: PhantomData<fn(I)>,
}

/// Takes a stream apart, for the items that it holds.
type Held<S> = Box<dyn Fn(Pin<Box<S>>) -> Vec<Token>>;

impl<I, S, F> StreamLaws<I, S, F> {
    fn new(name: &str, make: F) -> Self {
        StreamLaws {
            name: name.to_owned(),
            make,
            bound: 256,
            ordered: true,
            lossy: false,
            held: None,
            source: PhantomData,
        }
    }

    /// Allows one poll to poll the source so many times.
    pub fn bound(mut self, polls: usize) -> Self {
        self.bound = polls;
        self
    }

    /// The layer may change the order of items.
    pub fn unordered(mut self) -> Self {
        self.ordered = false;
        self
    }

    /// The layer drops items by its policy. Those that come out are still checked for order and doubles.
    pub fn lossy(mut self) -> Self {
        self.lossy = true;
        self
    }

    /// How to get back the items that the layer holds, as from `into_parts`, the oldest first. With this,
    /// those delivered and those held are compared with those that the source gave, after every poll.
    pub fn conserves(mut self, held: impl Fn(S) -> Vec<Token> + 'static) -> Self
    where
        S: Unpin + 'static,
    {
        self.held = Some(Box::new(move |stream| held(*Pin::into_inner(stream))));
        self
    }
}

impl<I, S, F> StreamLaws<I, S, F>
where
    I: Input,
    S: FusedStream,
    F: Fn(ScriptedStream<I>, &TestClock) -> S,
{
    /// Checks all laws.
    ///
    /// # Panics
    ///
    /// When the layer breaks one, with a line for each that it breaks.
    #[track_caller]
    pub fn check(self)
    where
        S::Item: Tokens,
    {
        self.check_with(Tokens::ids);
    }

    /// As [`check`](Self::check), for items that do not implement [`Tokens`]: `ids` finds the numbers of the
    /// tokens in one.
    ///
    /// # Panics
    ///
    /// When the layer breaks a law, with a line for each that it breaks.
    #[track_caller]
    pub fn check_with(self, ids: impl Fn(&S::Item) -> Vec<u64>) {
        let mut report = Report::new(&self.name);
        for plan in PLANS.iter().filter(|plan| plan.fits::<I>()) {
            let case = Case { laws: &self, plan, ids: &ids };
            report.run(plan.name, CONDUCT, || construction(&case));
            report.run(plan.name, CONDUCT, || fused(&case));
            report.run(plan.name, CONDUCT, || hints(&case));
            report.run(plan.name, CONDUCT, || whole(&case));
            report.run(plan.name, CONDUCT, || spurious(&case, Mode::Spurious));
            report.run(plan.name, CONDUCT, || spurious(&case, Mode::Wakers));
            report.run(plan.name, CONDUCT, || drops(&case));
            report.run(plan.name, CONDUCT, || conservation(&case));
        }
        report.run("endless", COOPERATION, || cooperation(&self));
        report.finish();
    }
}

impl<I, S, F> fmt::Debug for StreamLaws<I, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamLaws").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A layer and a script.
struct Case<'a, I, S: FusedStream, F> {
    laws: &'a StreamLaws<I, S, F>,
    plan: &'a Plan,
    ids: &'a dyn Fn(&S::Item) -> Vec<u64>,
}

/// A run that has begun.
struct Run<S> {
    drive: Drive<S>,
    ledger: Ledger,
    /// The numbers of the source's items; errors have none.
    source: Vec<Option<u64>>,
    /// What came out: the tokens in each item.
    items: Vec<Vec<u64>>,
    /// Before each poll, with the number of items that had come.
    hints: Vec<(usize, (usize, Option<usize>))>,
    ended: bool,
}

impl<I, S, F> Case<'_, I, S, F>
where
    I: Input,
    S: FusedStream,
    F: Fn(ScriptedStream<I>, &TestClock) -> S,
{
    fn start(&self, mode: Mode) -> Run<S> {
        let (clock, ledger) = (TestClock::new(), Ledger::new());
        let (stream, probe, source) = self.plan.play(&clock, &ledger);
        let stream = (self.laws.make)(stream, &clock);
        let drive = Drive::new(stream, clock, probe, mode);
        Run { drive, ledger, source, items: Vec::new(), hints: Vec::new(), ended: false }
    }

    /// Polls at most so many times, until it ends or stalls. What comes out is dropped.
    fn go(&self, run: &mut Run<S>, polls: usize) -> Verdict {
        while run.drive.polls < polls {
            run.hints.push((run.items.len(), run.drive.stream.size_hint()));
            let terminated = run.drive.stream.is_terminated();
            match run.drive.next()? {
                Event::Item(item) => {
                    run.items.push((self.ids)(&item));
                    require(!terminated, FUSED, || {
                        "an item came while `is_terminated` was true".to_owned()
                    })?;
                }
                Event::Pending => {}
                Event::Stalled => break,
                Event::End => {
                    run.ended = true;
                    break;
                }
            }
        }
        Ok(())
    }

    /// A run to the end.
    fn run(&self, mode: Mode) -> Result<Run<S>, super::report::Broken> {
        let mut run = self.start(mode);
        self.go(&mut run, usize::MAX)?;
        Ok(run)
    }

    /// Calls `check` with fresh runs that were stopped after 0, 1, 2, … polls.
    fn at_every_poll(&self, check: impl Fn(Run<S>) -> Verdict) -> Verdict {
        let total = self.run(Mode::Plain)?.drive.polls;
        for polls in (0..=total).step_by(total / CUTS + 1).chain([total]) {
            let mut run = self.start(Mode::Plain);
            self.go(&mut run, polls)?;
            check(run)?;
        }
        Ok(())
    }
}

impl<S> Run<S> {
    /// The tokens that the source has handed out.
    fn handed(&self, items: usize) -> Vec<u64> {
        self.source.iter().take(items).copied().flatten().collect()
    }
}

/// Making the stream arms no timer and polls nothing. It works outside any runtime, as there is none here.
fn construction<I, S, F>(case: &Case<'_, I, S, F>) -> Verdict
where
    I: Input,
    S: FusedStream,
    F: Fn(ScriptedStream<I>, &TestClock) -> S,
{
    let run = case.start(Mode::Plain);
    let (armed, polls) = (run.drive.clock.armed(), run.drive.source.polls());
    require(armed == 0, CONSTRUCTION, || format!("{armed} timers are armed"))?;
    require(polls == 0, CONSTRUCTION, || format!("the source was polled {polls} times"))
}

/// Once it has returned `None`, it does so again, and `is_terminated` is true.
fn fused<I, S, F>(case: &Case<'_, I, S, F>) -> Verdict
where
    I: Input,
    S: FusedStream,
    F: Fn(ScriptedStream<I>, &TestClock) -> S,
{
    let mut run = case.run(Mode::Plain)?;
    if !run.ended {
        return Ok(());
    }
    for _ in 0..3 {
        let terminated = run.drive.stream.is_terminated();
        require(terminated, FUSED, || "`is_terminated` is false after `None`".to_owned())?;
        let again = matches!(run.drive.poll()?, Event::End);
        require(again, FUSED, || "something other than `None` came after `None`".to_owned())?;
    }
    Ok(())
}

/// Before each poll, at least `lower` and at most `upper` items are still to come. Of a stream that stalls
/// only the upper bound is known to be wrong or right.
fn hints<I, S, F>(case: &Case<'_, I, S, F>) -> Verdict
where
    I: Input,
    S: FusedStream,
    F: Fn(ScriptedStream<I>, &TestClock) -> S,
{
    let run = case.run(Mode::Plain)?;
    for (index, (before, (lower, upper))) in run.hints.iter().enumerate() {
        let came = run.items.len() - before;
        let holds = (!run.ended || *lower <= came) && upper.is_none_or(|upper| came <= upper);
        require(holds, HINT, || {
            let poll = index + 1;
            format!("before poll {poll} it was ({lower}, {upper:?}), and {came} items came")
        })?;
    }
    Ok(())
}

/// A stream that has ended has delivered all that its source gave.
fn whole<I, S, F>(case: &Case<'_, I, S, F>) -> Verdict
where
    I: Input,
    S: FusedStream,
    F: Fn(ScriptedStream<I>, &TestClock) -> S,
{
    let run = case.run(Mode::Plain)?;
    if !run.ended {
        return Ok(());
    }
    let handed = run.handed(run.drive.source.items());
    compare(case.laws, &run.items.concat(), &handed, "delivered")
}

/// Polls that nothing asked for, and wakers that change, leave the items as they are.
fn spurious<I, S, F>(case: &Case<'_, I, S, F>, mode: Mode) -> Verdict
where
    I: Input,
    S: FusedStream,
    F: Fn(ScriptedStream<I>, &TestClock) -> S,
{
    let (plain, other) = (case.run(Mode::Plain)?, case.run(mode)?);
    let (mut plain, mut other) = (plain.items, other.items);
    if !case.laws.ordered {
        plain.sort();
        other.sort();
    }
    require(plain == other, SPURIOUS, || {
        let first = plain.iter().zip(&other).take_while(|(a, b)| a == b).count();
        let (plain, other) = (plain.get(first), other.get(first));
        format!("item {first} holds the tokens {other:?}, and {plain:?} without such polls")
    })
}

/// Whenever it is dropped, its items and timers go with it.
fn drops<I, S, F>(case: &Case<'_, I, S, F>) -> Verdict
where
    I: Input,
    S: FusedStream,
    F: Fn(ScriptedStream<I>, &TestClock) -> S,
{
    case.at_every_poll(|run| {
        let (clock, ledger) = (run.drive.clock.clone(), run.ledger.clone());
        drop(run);
        let (alive, armed) = (ledger.alive(), clock.armed());
        require(alive == 0, LEAK, || format!("{alive} items are alive after the drop"))?;
        require(armed == 0, LEAK, || format!("{armed} timers are armed after the drop"))
    })
}

/// After each poll, what was delivered and what is held is what the source gave.
fn conservation<I, S, F>(case: &Case<'_, I, S, F>) -> Verdict
where
    I: Input,
    S: FusedStream,
    F: Fn(ScriptedStream<I>, &TestClock) -> S,
{
    let Some(held) = &case.laws.held else { return Ok(()) };
    case.at_every_poll(|run| {
        let handed = run.handed(run.drive.source.items());
        let held = held(run.drive.stream);
        let mut out = run.items.concat();
        let delivered = out.len();
        held.append_ids(&mut out);
        compare(case.laws, &out, &handed, &format!("{delivered} delivered and the rest held"))
    })
}

/// Whether `out` is what it should be, given what the source handed out.
fn compare<I, S, F>(
    laws: &StreamLaws<I, S, F>,
    out: &[u64],
    handed: &[u64],
    which: &str,
) -> Verdict {
    let sorted = |ids: &[u64]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids
    };
    let holds = match (laws.lossy, laws.ordered) {
        (false, true) => out == handed,
        (false, false) => sorted(out) == sorted(handed),
        (true, true) => {
            let mut handed = handed.iter();
            out.iter().all(|id| handed.any(|other| other == id))
        }
        (true, false) => {
            let mut counts = BTreeMap::new();
            handed.iter().for_each(|id| *counts.entry(id).or_insert(0) += 1);
            out.iter().all(|id| {
                counts.get_mut(id).is_some_and(|count| {
                    *count -= 1;
                    *count >= 0
                })
            })
        }
    };
    require(holds, CONSERVATION, || {
        let first = out.iter().zip(handed).take_while(|(a, b)| a == b).count();
        let (got, expected) = (out.get(first), handed.get(first));
        let (out, handed) = (out.len(), handed.len());
        format!(
            "{out} tokens ({which}) for {handed} of the source; \
             the first that differs is {got:?} for {expected:?}"
        )
    })
}

/// One poll polls a source that is always ready at most `bound` times, and a `Pending` in between has a
/// wake. A layer that would drain such a source never returns.
fn cooperation<I, S, F>(laws: &StreamLaws<I, S, F>) -> Verdict
where
    I: Input,
    S: FusedStream,
    F: Fn(ScriptedStream<I>, &TestClock) -> S,
{
    let (clock, ledger, bound) = (TestClock::new(), Ledger::new(), laws.bound);
    let polls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&polls);
    let mut id = 0;
    let items = std::iter::repeat_with(move || {
        let polls = counter.fetch_add(1, Ordering::Relaxed);
        assert!(polls < bound, "one poll polled the source more than {bound} times");
        id += 1;
        I::item(ledger.token(id - 1))
    });
    let (source, probe) = Script::new(&clock).lazily(items).build();
    let mut drive = Drive::new((laws.make)(source, &clock), clock, probe, Mode::Plain);
    for _ in 0..ENDLESS_POLLS {
        polls.store(0, Ordering::Relaxed);
        if let Event::End | Event::Stalled = drive.next()? {
            break;
        }
    }
    Ok(())
}
