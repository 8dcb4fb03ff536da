//! The channel of the latest value.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::*;
use ziggurat_channel::watch::{self, Receiver, Sender};

use crate::checker::{Event, Log, Model, history, is_explained, pause, record};

/// What can be seen. A receiver is known by its thread.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The new value, and the old one.
    Replaced(u64, u64),
    /// The new value.
    Sent(u64),
    HasReceivers(bool),
    Value(u64),
    /// What there is counts as seen.
    Seen(usize),
    /// That, and what it is.
    ValueSeen(usize, u64),
    /// Something is new; nothing is; nothing is, and nothing will be.
    Changed(usize),
    Same(usize),
    Ended(usize),
    ReceiverCame,
    ReceiverGone,
    SenderGone,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Watch {
    value: u64,
    version: u64,
    /// By each receiver.
    seen: Vec<u64>,
    senders: usize,
    receivers: usize,
}

impl Watch {
    fn new(threads: usize) -> Self {
        let seen = vec![0; threads];
        Watch { value: 0, version: 0, seen, senders: threads, receivers: threads }
    }
}

impl Model for Watch {
    type Step = Step;

    fn after(&self, step: &Step) -> Option<Self> {
        let mut next = self.clone();
        let possible = match *step {
            Step::Replaced(value, old) => {
                (next.value, next.version) = (value, self.version + 1);
                self.value == old
            }
            Step::Sent(value) => {
                (next.value, next.version) = (value, self.version + 1);
                true
            }
            Step::HasReceivers(seen) => seen == (self.receivers > 0),
            Step::Value(value) => value == self.value,
            Step::Seen(id) => {
                next.seen[id] = self.version;
                true
            }
            Step::ValueSeen(id, value) => {
                next.seen[id] = self.version;
                value == self.value
            }
            Step::Changed(id) => self.seen[id] < self.version,
            Step::Same(id) => self.seen[id] == self.version && self.senders > 0,
            Step::Ended(id) => self.seen[id] == self.version && self.senders == 0,
            Step::ReceiverCame => {
                next.receivers += 1;
                true
            }
            Step::ReceiverGone => {
                next.receivers -= 1;
                true
            }
            Step::SenderGone => {
                next.senders -= 1;
                true
            }
        };
        possible.then_some(next)
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Send,
    Replace,
    Borrow,
    BorrowAndUpdate,
    HasChanged,
    /// Polls a future, and drops it.
    Changed,
    /// Leaves, and comes back.
    Subscribe,
    DropSender,
    DropReceiver,
}

fn programs() -> impl Strategy<Value = Vec<Vec<(Act, u8)>>> {
    let act = prop_oneof![
        3 => Just(Act::Send),
        2 => Just(Act::Replace),
        2 => Just(Act::Borrow),
        2 => Just(Act::BorrowAndUpdate),
        2 => Just(Act::HasChanged),
        4 => Just(Act::Changed),
        1 => Just(Act::Subscribe),
        1 => Just(Act::DropSender),
        1 => Just(Act::DropReceiver),
    ];
    vec(vec((act, 0..7_u8), 1..6), 2..=3)
}

struct Player {
    id: usize,
    sender: Option<Sender<u64>>,
    receiver: Option<Receiver<u64>>,
}

impl Player {
    fn play(&mut self, act: Act, value: u64, log: &mut Log<'_, Step>) {
        let id = self.id;
        match (act, &self.sender, &mut self.receiver) {
            // Whether there are receivers is one look, and the change is another step.
            (Act::Send, Some(sender), _) => log.call(
                || sender.send(value),
                |sent| match sent {
                    Ok(()) => vec![Step::HasReceivers(true), Step::Sent(value)],
                    Err(_) => vec![Step::HasReceivers(false)],
                },
            ),
            (Act::Replace, Some(sender), _) => {
                log.call(|| sender.send_replace(value), |old| vec![Step::Replaced(value, old)]);
            }
            (Act::Borrow, _, Some(receiver)) => {
                log.call(|| *receiver.borrow(), |value| vec![Step::Value(value)]);
            }
            (Act::BorrowAndUpdate, _, Some(receiver)) => {
                log.call(|| *receiver.borrow_and_update(), |value| vec![Step::ValueSeen(id, value)])
            }
            (Act::HasChanged, _, Some(receiver)) => log.call(
                || receiver.has_changed(),
                |changed| match changed {
                    Ok(true) => vec![Step::Changed(id)],
                    Ok(false) => vec![Step::Same(id)],
                    Err(_) => vec![Step::Ended(id)],
                },
            ),
            (Act::Changed, _, Some(receiver)) => log.call(
                || pin!(receiver.changed()).poll(&mut Context::from_waker(Waker::noop())),
                |changed| match changed {
                    Poll::Ready(Ok(())) => vec![Step::Changed(id), Step::Seen(id)],
                    Poll::Ready(Err(_)) => vec![Step::Ended(id)],
                    Poll::Pending => vec![Step::Same(id)],
                },
            ),
            (Act::Subscribe, Some(sender), receiver) => {
                let left = receiver.take();
                let steps = [Step::ReceiverGone, Step::ReceiverCame, Step::Seen(id)];
                let steps = steps[usize::from(left.is_none())..].to_vec();
                log.call(
                    || {
                        drop(left);
                        *receiver = Some(sender.subscribe());
                    },
                    |()| steps,
                );
            }
            (Act::DropSender, Some(_), _) => {
                let sender = self.sender.take();
                log.call(|| drop(sender), |()| vec![Step::SenderGone]);
            }
            (Act::DropReceiver, _, receiver @ Some(_)) => {
                let receiver = receiver.take();
                log.call(|| drop(receiver), |()| vec![Step::ReceiverGone]);
            }
            _ => {}
        }
    }
}

fn observe(programs: &[Vec<(Act, u8)>]) -> Vec<Event<Step>> {
    let (sender, receiver) = watch::channel(0);
    let play = |(id, program): (usize, &Vec<(Act, u8)>)| {
        let (sender, receiver) = (Some(sender.clone()), Some(receiver.clone()));
        let mut player = Player { id, sender, receiver };
        let program = program.clone();
        move |log: &mut Log<'_, Step>| {
            for (i, (act, length)) in (1..).zip(program) {
                pause(length);
                player.play(act, id as u64 * 100 + i, log);
            }
            player.play(Act::DropSender, 0, log);
            player.play(Act::DropReceiver, 0, log);
        }
    };
    let parts: Vec<_> = programs.iter().enumerate().map(play).collect();
    drop((sender, receiver));
    record(parts)
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn is_linearizable(programs in programs()) {
        for _ in 0..crate::RUNS {
            let events = observe(&programs);
            let explained = is_explained(&Watch::new(programs.len()), &events);
            prop_assert!(explained, "no order explains {events:#?}");
        }
    }
}

#[test]
fn wrong_histories_are_refused() {
    use Step::*;
    let wrong = [
        // An old value, one that never was, and one that comes back.
        vec![(0, 0, 1, Replaced(1, 0)), (1, 2, 3, Value(0))],
        vec![(0, 0, 1, Value(7))],
        vec![(0, 0, 9, Replaced(1, 0)), (1, 0, 1, Value(1)), (1, 2, 3, Value(0))],
        // A lost change, and one that nobody made.
        vec![(0, 0, 1, Replaced(1, 0)), (0, 2, 3, Replaced(2, 0))],
        vec![(0, 0, 1, Replaced(1, 0)), (1, 2, 3, Same(1))],
        vec![(1, 0, 1, Changed(1))],
        vec![(0, 0, 1, Replaced(1, 0)), (1, 2, 3, Seen(1)), (1, 4, 5, Changed(1))],
        // The end while there is something to see, or somebody to send.
        vec![
            (0, 0, 1, Replaced(1, 0)),
            (0, 2, 3, SenderGone),
            (1, 2, 3, SenderGone),
            (1, 4, 5, Ended(1)),
        ],
        vec![(0, 0, 1, SenderGone), (1, 2, 3, Ended(1))],
        vec![(0, 0, 1, SenderGone), (1, 2, 3, SenderGone), (1, 4, 5, Same(1))],
        vec![(0, 0, 1, HasReceivers(false))],
    ];
    for events in wrong {
        let events = history(events);
        assert!(!is_explained(&Watch::new(2), &events), "{events:#?}");
    }
    let right = history(vec![(0, 0, 9, Replaced(1, 0)), (1, 0, 1, Value(0)), (1, 2, 3, Value(1))]);
    assert!(is_explained(&Watch::new(2), &right));
}
