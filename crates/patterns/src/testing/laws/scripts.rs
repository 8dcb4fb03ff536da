//! The scripts that every stream layer is put through.

use std::time::Duration;

use super::{Fault, Ledger, Token};
use crate::testing::{Probe, Script, ScriptedStream};
use crate::time::TestClock;

/// What a layer over plain items gets from [`stream`](super::stream).
pub type Source = ScriptedStream<Token>;

/// An item of [`TrySource`].
pub type TryToken = Result<Token, Fault>;

/// What a layer over results gets from [`try_stream`](super::try_stream).
pub type TrySource = ScriptedStream<TryToken>;

/// An item of a source: [`Token`], or a `Result` of it. Nothing else can be one.
pub trait Input: sealed::Item {}

impl Input for Token {}
impl Input for TryToken {}

mod sealed {
    use super::{Fault, Token};

    pub trait Item: Sized + Send + 'static {
        /// The item that carries `token`.
        fn item(token: Token) -> Self;

        /// The item that is an error, where there is one.
        fn fault(fault: Fault) -> Option<Self>;
    }

    impl Item for Token {
        fn item(token: Token) -> Self {
            token
        }

        fn fault(_: Fault) -> Option<Self> {
            None
        }
    }

    impl Item for Result<Token, Fault> {
        fn item(token: Token) -> Self {
            Ok(token)
        }

        fn fault(fault: Fault) -> Option<Self> {
            Some(Err(fault))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    /// So many items.
    Items(u64),
    Error,
    Pending,
    /// In milliseconds.
    Wait(u64),
    Stall,
}

/// The numbers of the items of one source are less than this apart.
pub(super) const SPACING: u64 = 1_000_000;

use Step::{Error, Items, Pending, Stall, Wait};

/// A name, and steps that are repeated so many times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub name: &'static str,
    times: usize,
    steps: &'static [Step],
    /// What comes after the repetitions.
    end: &'static [Step],
}

const fn plan(
    name: &'static str,
    times: usize,
    steps: &'static [Step],
    end: &'static [Step],
) -> Plan {
    Plan { name, times, steps, end }
}

pub(super) const PLANS: &[Plan] = &[
    plan("empty", 0, &[], &[]),
    plan("one item", 1, &[Items(1)], &[]),
    plan("1,000 ready items", 1, &[Items(1000)], &[]),
    plan("pending before each item", 20, &[Pending, Items(1)], &[Pending]),
    plan("pending twice between bursts", 8, &[Items(7), Pending, Pending], &[]),
    plan("short waits between items", 20, &[Wait(7), Items(1)], &[]),
    plan("bursts with long waits", 4, &[Items(9), Wait(60_000), Items(1), Wait(1000)], &[]),
    plan("a wait before the end", 1, &[Items(3)], &[Wait(10_000)]),
    plan("waits only", 3, &[Wait(5000)], &[]),
    plan("pending only", 3, &[Pending], &[]),
    plan("everything", 5, &[Items(2), Pending, Items(1), Wait(50), Pending, Items(4)], &[]),
    plan("a stall at once", 0, &[], &[Stall]),
    plan("a stall after items", 3, &[Items(3), Wait(20), Items(1)], &[Stall]),
    plan("an error in the middle", 1, &[Items(3), Error, Items(3)], &[]),
    plan("errors between items and pauses", 6, &[Items(2), Pending, Error, Wait(30)], &[]),
    plan("an error at the end", 1, &[Items(5)], &[Error]),
    plan("an error first", 1, &[Error, Items(5)], &[]),
    plan("errors only", 20, &[Error], &[]),
    plan("an error and a stall", 1, &[Items(1), Error], &[Stall]),
];

impl Plan {
    /// The steps, written out.
    fn steps(&self) -> impl Iterator<Item = Step> {
        let repeated = std::iter::repeat_n(self.steps, self.times).flatten();
        repeated.chain(self.end).copied()
    }

    /// The plan for source number `index` of several, when the first has this one.
    pub(super) fn sibling<I: Input>(position: usize, index: usize) -> &'static Plan {
        let plans = PLANS.len();
        let candidates = (0..plans).map(|step| &PLANS[(position + index * 5 + step) % plans]);
        candidates.into_iter().find(|plan| plan.fits::<I>()).expect("plans without errors")
    }

    /// Whether it can be played with items of this type.
    pub(super) fn fits<I: Input>(&self) -> bool {
        I::fault(Fault(0)).is_some() || self.steps().all(|step| step != Error)
    }

    /// The source number `index`, what looks at it, and what it is made of.
    pub(super) fn play<I: Input>(
        &self,
        index: usize,
        clock: &TestClock,
        ledger: &Ledger,
    ) -> (ScriptedStream<I>, Played) {
        let mut script = Script::new(clock);
        let mut items = Vec::new();
        for step in self.steps() {
            let number = (index as u64) * SPACING + items.len() as u64;
            script = match step {
                Items(count) => {
                    let ids = number..number + count;
                    items.extend(ids.clone().map(Ok));
                    script.items(ids.map(|id| I::item(ledger.token(id))))
                }
                Error => {
                    let fault = Fault(number);
                    items.push(Err(fault));
                    script.item(I::fault(fault).expect("a plan that fits"))
                }
                Pending => script.pending(),
                Wait(millis) => script.wait(Duration::from_millis(millis)),
                Stall => script.stall(),
            };
        }
        let (source, probe) = script.build();
        (source, Played { probe, items })
    }
}

/// A source that a layer has been given.
#[derive(Debug)]
pub(super) struct Played {
    pub probe: Probe,
    /// All items that it has, also those that it has not handed out yet.
    items: Vec<Result<u64, Fault>>,
}

impl Played {
    /// What it has handed out so far.
    pub(super) fn handed(&self) -> impl Iterator<Item = Result<u64, Fault>> {
        self.items.iter().take(self.probe.items()).copied()
    }
}
