//! Each law of stream layers, as a function.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_core::FusedStream;

use super::StreamLaws;
use crate::testing::laws::drive::{Drive, Event, Mode};
use crate::testing::laws::report::{Broken, Report, Verdict, require};
use crate::testing::laws::scripts::{Input, Plan, Played, SPACING};
use crate::testing::{Fault, Ledger, Script, ScriptedStream, Tokens};
use crate::time::TestClock;

const CONSTRUCTION: &str = "construction arms no timer and polls nothing";
const CONDUCT: &str = "nothing panics and the source is not polled after `None`";
const FUSED: &str = "after `None` comes `None`, and `is_terminated` says so";
const HINT: &str = "`size_hint` is true";
pub(super) const COOPERATION: &str = "one poll polls a source that is always ready only so often";
const SPURIOUS: &str = "a poll without a wake changes nothing";
const LEAK: &str = "a drop at any time leaves no item and no timer behind";
const CONSERVATION: &str = "no item is lost, doubled or out of order";
const FAULTS: &str = "errors come through";

/// A run is stopped after each of its first polls, this many, and then at about as many later points.
const CUTS: usize = 32;

/// How often the layer over an endless source is polled.
const ENDLESS_POLLS: usize = 100;

/// A layer, and a script for each of its sources.
pub(super) struct Case<'a, I, S: FusedStream, F> {
    laws: &'a StreamLaws<I, S, F>,
    plans: Vec<&'static Plan>,
    ids: &'a dyn Fn(&S::Item) -> Vec<u64>,
}

/// A run that has begun.
struct Run<S> {
    drive: Drive<S>,
    ledger: Ledger,
    /// What came out: the tokens in each item.
    items: Vec<Vec<u64>>,
    faults: Vec<Fault>,
    /// Before each poll, with the number of items that had come.
    hints: Vec<(usize, (usize, Option<usize>))>,
    ended: bool,
    /// Stopped though it went on.
    cut: bool,
}

impl<'a, I, S, F> Case<'a, I, S, F>
where
    I: Input,
    S: FusedStream,
    F: Fn(Vec<ScriptedStream<I>>, &TestClock) -> S,
{
    pub(super) fn new(
        laws: &'a StreamLaws<I, S, F>,
        position: usize,
        ids: &'a dyn Fn(&S::Item) -> Vec<u64>,
    ) -> Self {
        let plans = (0..laws.count).map(|index| Plan::sibling::<I>(position, index)).collect();
        Case { laws, plans, ids }
    }

    /// Puts the layer through all laws.
    pub(super) fn check(&self, report: &mut Report) {
        let names: Vec<_> = self.plans.iter().map(|plan| plan.name).collect();
        let name = names.join(" + ");
        report.run(&name, CONDUCT, || self.construction());
        report.run(&name, CONDUCT, || self.hints());
        report.run(&name, CONDUCT, || self.fused());
        report.run(&name, CONDUCT, || self.wholeness());
        report.run(&name, CONDUCT, || self.faults());
        report.run(&name, CONDUCT, || self.patience(Mode::Spurious));
        report.run(&name, CONDUCT, || self.patience(Mode::Wakers));
        report.run(&name, CONDUCT, || self.drops());
        report.run(&name, CONDUCT, || self.conservation());
    }

    /// Making the stream arms no timer and polls nothing. It works outside any runtime, as there is none
    /// here.
    fn construction(&self) -> Verdict {
        let run = self.start(Mode::Plain);
        let armed = run.drive.clock.armed();
        let polls: usize = run.drive.sources.iter().map(|source| source.probe.polls()).sum();
        require(armed == 0, CONSTRUCTION, || format!("{armed} timers are armed"))?;
        require(polls == 0, CONSTRUCTION, || format!("the source was polled {polls} times"))
    }

    /// Once it has returned `None`, it does so again, and `is_terminated` is true.
    fn fused(&self) -> Verdict {
        let mut run = self.run(Mode::Plain)?;
        for _ in 0..if run.ended { 3 } else { 0 } {
            let terminated = run.drive.stream.is_terminated();
            require(terminated, FUSED, || "`is_terminated` is false after `None`".to_owned())?;
            let (lower, _) = run.drive.stream.size_hint();
            require(lower == 0, HINT, || format!("after `None`, {lower} items are to come"))?;
            let again = matches!(run.drive.poll()?, Event::End);
            require(again, FUSED, || "something other than `None` came after `None`".to_owned())?;
        }
        Ok(())
    }

    /// Before each poll, at least `lower` and at most `upper` items are still to come. Of a stream that
    /// stalls only the upper bound can be seen to be wrong.
    fn hints(&self) -> Verdict {
        let run = self.run(Mode::Plain)?;
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
    fn wholeness(&self) -> Verdict {
        let run = self.run(Mode::Plain)?;
        if !run.ended {
            return Ok(());
        }
        self.compare(&run.drive.sources, &run.items.concat(), "delivered")
    }

    /// A stream that has ended has delivered all errors of its source.
    fn faults(&self) -> Verdict {
        let run = self.run(Mode::Plain)?;
        if !run.ended || self.laws.faults.is_none() {
            return Ok(());
        }
        for (index, source) in run.drive.sources.iter().enumerate() {
            let mine = |fault: &Fault| fault.0 / SPACING == index as u64;
            let mut came: Vec<_> = run.faults.iter().copied().filter(mine).collect();
            if !self.laws.ordered {
                came.sort_unstable();
            }
            let gave: Vec<_> = source.handed().filter_map(Result::err).collect();
            require(came == gave, FAULTS, || {
                format!("the source gave {gave:?}, and {came:?} came")
            })?;
        }
        Ok(())
    }

    /// Polls that nothing asked for, and wakers that change, leave the items as they are.
    fn patience(&self, mode: Mode) -> Verdict {
        let (plain, other) = (self.run(Mode::Plain)?, self.run(mode)?);
        // A run that goes on for ever is cut after a number of polls, not of items.
        let whole = !plain.cut && !other.cut;
        let (mut plain, mut other) = (plain.items, other.items);
        if !whole {
            let both = plain.len().min(other.len());
            plain.truncate(both);
            other.truncate(both);
        }
        if !self.laws.ordered && whole {
            plain.sort();
            other.sort();
        }
        let holds = plain == other || !(self.laws.ordered || whole);
        require(holds, SPURIOUS, || {
            let first = plain.iter().zip(&other).take_while(|(a, b)| a == b).count();
            let (plain, other) = (plain.get(first), other.get(first));
            format!("item {first} holds the tokens {other:?}, and {plain:?} without such polls")
        })
    }

    /// Whenever it is dropped, its items and timers go with it.
    fn drops(&self) -> Verdict {
        self.at_every_poll(|run| {
            let (clock, ledger) = (run.drive.clock.clone(), run.ledger.clone());
            drop(run);
            let (alive, armed) = (ledger.alive(), clock.armed());
            require(alive == 0, LEAK, || format!("{alive} items are alive after the drop"))?;
            require(armed == 0, LEAK, || format!("{armed} timers are armed after the drop"))
        })
    }

    /// After each poll, what was delivered and what is held is what the source gave.
    fn conservation(&self) -> Verdict {
        let Some(held) = &self.laws.held else { return Ok(()) };
        self.at_every_poll(|run| {
            let mut out = run.items.concat();
            let delivered = out.len();
            let Drive { stream, sources, .. } = run.drive;
            held(stream).append_ids(&mut out);
            self.compare(&sources, &out, &format!("{delivered} delivered and the rest held"))
        })
    }

    fn start(&self, mode: Mode) -> Run<S> {
        let (clock, ledger) = (TestClock::new(), Ledger::new());
        let played = self.plans.iter().enumerate();
        let (streams, sources) =
            played.map(|(index, plan)| plan.play(index, &clock, &ledger)).unzip();
        let drive = Drive::new((self.laws.make)(streams, &clock), clock, sources, mode);
        Run {
            drive,
            ledger,
            items: Vec::new(),
            faults: Vec::new(),
            hints: Vec::new(),
            ended: false,
            cut: false,
        }
    }

    /// Polls at most so many times, until it ends or stalls. What comes out is dropped.
    fn go(&self, run: &mut Run<S>, polls: usize) -> Verdict {
        while run.drive.polls < polls {
            run.hints.push((run.items.len(), run.drive.stream.size_hint()));
            let terminated = run.drive.stream.is_terminated();
            match run.drive.next()? {
                Event::Item(item) => {
                    run.items.push((self.ids)(&item));
                    run.faults.extend(self.laws.faults.iter().flat_map(|faults| faults(&item)));
                    require(!terminated, FUSED, || {
                        "an item came while `is_terminated` was true".to_owned()
                    })?;
                }
                Event::Pending => require(!terminated, FUSED, || {
                    "it was pending while `is_terminated` was true".to_owned()
                })?,
                Event::Stalled => return Ok(()),
                Event::Cut => break,
                Event::End => {
                    run.ended = true;
                    return Ok(());
                }
            }
        }
        run.cut = true;
        Ok(())
    }

    /// A run to the end.
    fn run(&self, mode: Mode) -> Result<Run<S>, Broken> {
        let mut run = self.start(mode);
        self.go(&mut run, usize::MAX)?;
        Ok(run)
    }

    /// Calls `check` with fresh runs that were stopped after 0, 1, 2, … polls.
    fn at_every_poll(&self, check: impl Fn(Run<S>) -> Verdict) -> Verdict {
        let total = self.run(Mode::Plain)?.drive.polls;
        let stride = total / CUTS + 1;
        let sampled = |polls: &usize| *polls < CUTS || polls % stride == 0 || *polls == total;
        for polls in (0..=total).filter(sampled) {
            let mut run = self.start(Mode::Plain);
            self.go(&mut run, polls)?;
            check(run)?;
        }
        Ok(())
    }

    /// Whether `out` is what it should be, given what each source handed out.
    fn compare(&self, sources: &[Played], out: &[u64], which: &str) -> Verdict {
        for (index, source) in sources.iter().enumerate() {
            let mine = |id: &u64| id / SPACING == index as u64;
            let out: Vec<_> = out.iter().copied().filter(mine).collect();
            let handed: Vec<_> = source.handed().filter_map(Result::ok).collect();
            require(
                agree(&out, &handed, self.laws.lossy, self.laws.ordered),
                CONSERVATION,
                || {
                    let first = out.iter().zip(&handed).take_while(|(a, b)| a == b).count();
                    format!(
                        "{} tokens ({which}) for {} of the source; \
                     the first that differs is {:?} for {:?}",
                        out.len(),
                        handed.len(),
                        out.get(first),
                        handed.get(first)
                    )
                },
            )?;
        }
        let known = |id: &u64| id / SPACING < sources.len() as u64;
        require(out.iter().all(known), CONSERVATION, || "a token is nobody's".to_owned())
    }
}

fn agree(out: &[u64], handed: &[u64], lossy: bool, ordered: bool) -> bool {
    let counts = |ids: &[u64]| {
        let mut counts = BTreeMap::new();
        ids.iter().for_each(|id| *counts.entry(*id).or_insert(0_usize) += 1);
        counts
    };
    match (lossy, ordered) {
        (false, true) => out == handed,
        (false, false) => counts(out) == counts(handed),
        (true, true) => {
            let mut handed = handed.iter();
            out.iter().all(|id| handed.any(|other| other == id))
        }
        (true, false) => {
            let handed = counts(handed);
            counts(out).iter().all(|(id, count)| handed.get(id).is_some_and(|of| count <= of))
        }
    }
}

/// What an endless source has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Endless {
    Items,
    /// As one that passes on no repetitions would have to skip.
    SameItem,
    /// As one that tries again would have to.
    Errors,
}

impl Endless {
    pub(super) const ALL: [(&str, Endless); 3] = [
        ("endless", Endless::Items),
        ("the same item for ever", Endless::SameItem),
        ("errors for ever", Endless::Errors),
    ];
}

/// One poll polls a source that is always ready at most `bound` times, and a `Pending` in between has a
/// wake. A layer that would drain such a source never returns.
pub(super) fn cooperation<I, S, F>(laws: &StreamLaws<I, S, F>, kind: Endless) -> Verdict
where
    I: Input,
    S: FusedStream,
    F: Fn(Vec<ScriptedStream<I>>, &TestClock) -> S,
{
    if kind == Endless::Errors && I::fault(Fault(0)).is_none() {
        return Ok(());
    }
    let (clock, ledger, bound) = (TestClock::new(), Ledger::new(), laws.bound);
    let polls = Arc::new(AtomicUsize::new(0));
    let endless = |index: usize| {
        let (ledger, polls) = (ledger.clone(), Arc::clone(&polls));
        let mut id = index as u64 * SPACING;
        let items = std::iter::repeat_with(move || {
            let before = polls.fetch_add(1, Ordering::Relaxed);
            assert!(before < bound, "one poll polled the source more than {bound} times");
            id += u64::from(kind != Endless::SameItem);
            let fault = (kind == Endless::Errors).then(|| I::fault(Fault(id))).flatten();
            fault.unwrap_or_else(|| I::item(ledger.token(id)))
        });
        Script::new(&clock).lazily(items).build().0
    };
    let sources = (0..laws.count).map(endless).collect();
    let stream = (laws.make)(sources, &clock);
    let mut drive = Drive::new(stream, clock, Vec::new(), Mode::Plain);
    for _ in 0..ENDLESS_POLLS {
        polls.store(0, Ordering::Relaxed);
        if let Event::End | Event::Stalled = drive.next()? {
            break;
        }
    }
    Ok(())
}
