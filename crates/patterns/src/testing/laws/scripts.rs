//! The scripts that every stream layer is put through.

use std::time::Duration;

use super::{Fault, Ledger, Token};
use crate::testing::{Probe, Script, ScriptedStream};
use crate::time::TestClock;

/// What a layer over plain items gets from [`stream`](super::stream).
pub type Source = ScriptedStream<Token>;

/// What a layer over results gets from [`try_stream`](super::try_stream).
pub type TrySource = ScriptedStream<Result<Token, Fault>>;

/// An item of a source: [`Token`], or a `Result` of it. Only this module has reason to implement it.
pub trait Input: Send + 'static {
    /// The item that carries `token`.
    fn item(token: Token) -> Self;

    /// The item that is an error, where there is one.
    fn fault(fault: Fault) -> Option<Self>
    where
        Self: Sized;
}

impl Input for Token {
    fn item(token: Token) -> Self {
        token
    }

    fn fault(_: Fault) -> Option<Self> {
        None
    }
}

impl Input for Result<Token, Fault> {
    fn item(token: Token) -> Self {
        Ok(token)
    }

    fn fault(fault: Fault) -> Option<Self> {
        Some(Err(fault))
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

    /// Whether it can be played with items of this type.
    pub(super) fn fits<I: Input>(&self) -> bool {
        I::fault(Fault(0)).is_some() || self.steps().all(|step| step != Error)
    }

    /// The source, what looks at it, and for each item its number or `None` for an error.
    pub(super) fn play<I: Input>(
        &self,
        clock: &TestClock,
        ledger: &Ledger,
    ) -> (ScriptedStream<I>, Probe, Vec<Option<u64>>) {
        let mut script = Script::new(clock);
        let mut items = Vec::new();
        for step in self.steps() {
            let number = items.len() as u64;
            script = match step {
                Items(count) => {
                    items.extend((number..number + count).map(Some));
                    script.items((number..number + count).map(|id| I::item(ledger.token(id))))
                }
                Error => {
                    items.push(None);
                    script.item(I::fault(Fault(number)).expect("a plan that fits"))
                }
                Pending => script.pending(),
                Wait(millis) => script.wait(Duration::from_millis(millis)),
                Stall => script.stall(),
            };
        }
        let (source, probe) = script.build();
        (source, probe, items)
    }
}
