//! The channel whose receivers get every item.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::*;
use ziggurat_channel::TrySendError;
use ziggurat_channel::broadcast::{self, Lag, Receiver, RecvError, Sender, TryRecvError};

use crate::checker::{Event, Log, Model, history, is_explained, pause, record};

/// What can be seen. A receiver is known by its thread.
#[derive(Debug, Clone, Copy)]
enum Step {
    Sent(u64),
    Full,
    NoReceivers,
    Received(usize, u64),
    Empty(usize),
    Lagged(usize, u64),
    Ended(usize),
    Len(usize),
    /// Begins with what is sent from now on.
    ReceiverCame(usize),
    ReceiverGone(usize),
    SenderGone,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Broadcast {
    /// All that was ever sent.
    sent: Vec<u64>,
    /// How many of those have been displaced.
    gone: usize,
    /// How many of them each receiver has passed.
    next: Vec<Option<usize>>,
    capacity: usize,
    lag: Lag,
    senders: usize,
}

impl Broadcast {
    fn new(capacity: usize, lag: Lag, threads: usize) -> Self {
        let (sent, next) = (Vec::new(), vec![Some(0); threads]);
        Broadcast { sent, gone: 0, next, capacity, lag, senders: threads }
    }

    /// The first that is still there: neither displaced nor seen by all.
    fn first(&self) -> usize {
        let slowest = self.next.iter().flatten().min().copied();
        slowest.unwrap_or(self.sent.len()).max(self.gone)
    }

    /// What a receiver would see first. `None`: it is gone.
    fn position(&self, id: usize) -> Option<usize> {
        self.next[id].map(|next| if self.lag == Lag::Skip { next.max(self.gone) } else { next })
    }
}

impl Model for Broadcast {
    type Step = Step;

    fn after(&self, step: &Step) -> Option<Self> {
        let mut next = self.clone();
        let kept = self.sent.len() - self.first();
        let receivers = self.next.iter().flatten().count();
        let at_end = |id: usize| self.position(id) == Some(self.sent.len());
        let possible = match *step {
            Step::Sent(item) => {
                if kept == self.capacity {
                    next.gone = self.first() + 1;
                }
                next.sent.push(item);
                receivers > 0 && (kept < self.capacity || self.lag != Lag::Wait)
            }
            Step::Full => receivers > 0 && kept == self.capacity && self.lag == Lag::Wait,
            Step::NoReceivers => receivers == 0,
            Step::Received(id, item) => {
                let position = self.position(id)?;
                next.next[id] = Some(position + 1);
                position >= self.gone && self.sent.get(position) == Some(&item)
            }
            Step::Empty(id) => at_end(id) && self.senders > 0,
            Step::Lagged(id, missed) => {
                let position = self.position(id)?;
                next.next[id] = Some(self.gone);
                missed > 0 && position + missed as usize == self.gone
            }
            Step::Ended(id) => at_end(id) && self.senders == 0,
            Step::Len(len) => len == kept,
            Step::ReceiverCame(id) => {
                next.next[id] = Some(self.sent.len());
                true
            }
            Step::ReceiverGone(id) => {
                next.next[id] = None;
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
    TrySend,
    /// Polls a future, and drops it.
    Send,
    TryRecv,
    Recv,
    Len,
    /// Leaves, and comes back.
    Subscribe,
    DropSender,
    DropReceiver,
}

fn programs() -> impl Strategy<Value = Vec<Vec<(Act, u8)>>> {
    let act = prop_oneof![
        4 => Just(Act::TrySend),
        2 => Just(Act::Send),
        4 => Just(Act::TryRecv),
        2 => Just(Act::Recv),
        1 => Just(Act::Len),
        1 => Just(Act::Subscribe),
        1 => Just(Act::DropSender),
        1 => Just(Act::DropReceiver),
    ];
    vec(vec((act, 0..7_u8), 1..6), 2..=3)
}

fn poll_once<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()))
}

struct Player {
    id: usize,
    sender: Option<Sender<u64>>,
    receiver: Option<Receiver<u64>>,
}

impl Player {
    fn play(&mut self, act: Act, item: u64, log: &mut Log<'_, Step>) {
        let id = self.id;
        match (act, &self.sender, &mut self.receiver) {
            (Act::TrySend, Some(sender), _) => log.call(
                || sender.try_send(item),
                |sent| match sent {
                    Ok(()) => vec![Step::Sent(item)],
                    Err(TrySendError::Full(_)) => vec![Step::Full],
                    Err(TrySendError::Closed(_)) => vec![Step::NoReceivers],
                },
            ),
            (Act::Send, Some(sender), _) => log.call(
                || poll_once(sender.send(item)),
                |sent| match sent {
                    Poll::Ready(Ok(())) => vec![Step::Sent(item)],
                    Poll::Ready(Err(_)) => vec![Step::NoReceivers],
                    Poll::Pending => vec![Step::Full],
                },
            ),
            (Act::TryRecv, _, Some(receiver)) => log.call(
                || receiver.try_recv(),
                |got| match got {
                    Ok(item) => vec![Step::Received(id, item)],
                    Err(TryRecvError::Lagged(missed)) => vec![Step::Lagged(id, missed)],
                    Err(TryRecvError::Closed) => vec![Step::Ended(id)],
                    Err(_) => vec![Step::Empty(id)],
                },
            ),
            (Act::Recv, _, Some(receiver)) => log.call(
                || poll_once(receiver.recv()),
                |got| match got {
                    Poll::Ready(Ok(item)) => vec![Step::Received(id, item)],
                    Poll::Ready(Err(RecvError::Lagged(missed))) => vec![Step::Lagged(id, missed)],
                    Poll::Ready(Err(_)) => vec![Step::Ended(id)],
                    Poll::Pending => vec![Step::Empty(id)],
                },
            ),
            (Act::Len, Some(sender), _) => log.call(|| sender.len(), |len| vec![Step::Len(len)]),
            (Act::Subscribe, Some(sender), receiver) => {
                let left = receiver.take();
                let steps = [Step::ReceiverGone(id), Step::ReceiverCame(id)];
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
                log.call(|| drop(receiver), |()| vec![Step::ReceiverGone(id)]);
            }
            _ => {}
        }
    }
}

fn observe(capacity: usize, lag: Lag, programs: &[Vec<(Act, u8)>]) -> Vec<Event<Step>> {
    let (sender, receiver) = broadcast::bounded(capacity, lag);
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
    fn is_linearizable(
        capacity in 1..4_usize,
        lag in prop_oneof![Just(Lag::Wait), Just(Lag::Report), Just(Lag::Skip)],
        programs in programs(),
    ) {
        let model = Broadcast::new(capacity, lag, programs.len());
        for _ in 0..crate::RUNS {
            let events = observe(capacity, lag, &programs);
            prop_assert!(is_explained(&model, &events), "no order explains {events:#?}");
        }
    }
}

#[test]
fn wrong_histories_are_refused() {
    use Step::*;
    let wrong = [
        // Not to all; twice to one; in another order to another.
        (Lag::Wait, vec![(0, 0, 1, Sent(1)), (1, 2, 3, Empty(1))]),
        (Lag::Wait, vec![(0, 0, 1, Sent(1)), (1, 2, 3, Received(1, 1)), (1, 4, 5, Received(1, 1))]),
        (
            Lag::Wait,
            vec![
                (0, 0, 9, Sent(1)),
                (1, 0, 9, Sent(2)),
                (0, 10, 11, Received(0, 1)),
                (1, 10, 11, Received(1, 2)),
            ],
        ),
        // Full while there is room; displaced while senders wait; not displaced while they do not.
        (Lag::Wait, vec![(0, 0, 1, Sent(1)), (0, 2, 3, Full)]),
        (Lag::Wait, vec![(0, 0, 1, Sent(1)), (0, 2, 3, Sent(2)), (0, 4, 5, Sent(3))]),
        (
            Lag::Report,
            vec![
                (0, 0, 1, Sent(1)),
                (0, 2, 3, Sent(2)),
                (0, 4, 5, Sent(3)),
                (1, 6, 7, Received(1, 1)),
            ],
        ),
        (Lag::Report, vec![(0, 0, 1, Sent(1)), (1, 2, 3, Lagged(1, 1))]),
        // The end while there is something left, or somebody to send.
        (Lag::Skip, vec![(0, 0, 1, SenderGone), (1, 2, 3, Ended(1))]),
        (
            Lag::Skip,
            vec![
                (0, 0, 1, Sent(1)),
                (0, 2, 3, SenderGone),
                (1, 2, 3, SenderGone),
                (1, 4, 5, Ended(1)),
            ],
        ),
        (Lag::Wait, vec![(0, 0, 1, NoReceivers)]),
        (Lag::Wait, vec![(0, 0, 1, Sent(1)), (0, 2, 3, Len(0))]),
    ];
    for (lag, events) in wrong {
        let events = history(events);
        assert!(!is_explained(&Broadcast::new(2, lag, 2), &events), "{events:#?}");
    }
    let right = history(vec![
        (0, 0, 1, Sent(1)),
        (0, 2, 3, Sent(2)),
        (0, 4, 5, Sent(3)),
        (1, 6, 7, Lagged(1, 1)),
        (1, 8, 9, Received(1, 2)),
    ]);
    assert!(is_explained(&Broadcast::new(2, Lag::Report, 2), &right));
}
