//! The channels for many on both sides, bounded and not.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::*;
use ziggurat_channel::{OwnedPermit, Receiver, SendError, Sender, TryRecvError, TrySendError};

use crate::checker::{Event, Log, history, is_explained, pause, record};
use crate::queue_model::{Queue, Step};
use crate::support::{Bounded, Growable, Kind, Unbounded, make};

/// What a thread is to do.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    TrySend,
    /// Polls a future so many times, and drops it then.
    Send(u8),
    SendMany(u8),
    SendManyPolled(u8),
    Force,
    Reserve,
    ReservePolled,
    Use,
    Release,
    TryRecv,
    Recv(u8),
    RecvMany(u8),
    RecvManyPolled(u8),
    Close,
    Len,
    DropSender,
    DropReceiver,
}

pub fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::TrySend),
        4 => (1..4_u8).prop_map(Act::Send),
        2 => (1..4_u8).prop_map(Act::SendMany),
        1 => (1..4_u8).prop_map(Act::SendManyPolled),
        1 => Just(Act::Force),
        2 => Just(Act::Reserve),
        1 => Just(Act::ReservePolled),
        2 => Just(Act::Use),
        1 => Just(Act::Release),
        6 => Just(Act::TryRecv),
        4 => (1..4_u8).prop_map(Act::Recv),
        2 => (1..4_u8).prop_map(Act::RecvMany),
        1 => (1..4_u8).prop_map(Act::RecvManyPolled),
        1 => Just(Act::Close),
        1 => Just(Act::Len),
        1 => Just(Act::DropSender),
        1 => Just(Act::DropReceiver),
    ]
}

/// What each thread does, with a pause before each act.
fn programs() -> impl Strategy<Value = Vec<Vec<(Act, u8)>>> {
    vec(vec((act(), 0..7_u8), 1..5), 2..=4)
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => (1..4_usize).prop_map(Bounded),
        1 => Just(Unbounded),
        // The first ring is soon full.
        2 => (1..3_usize).prop_map(Growable),
    ]
}

/// Polls up to `most` times, and then gives up.
pub fn poll_some<F: Future + Unpin>(mut future: F, most: u8) -> Option<F::Output> {
    let mut cx = Context::from_waker(Waker::noop());
    for i in 0..most {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut cx) {
            return Some(output);
        }
        pause(i);
    }
    None
}

/// The steps of a batch that was sent from: what is no longer there.
pub fn sent_of(all: &[u64], rest: &VecDeque<u64>, closed: bool) -> Vec<Step> {
    let sent = all.iter().take(all.len() - rest.len()).map(|&item| Step::Sent(item));
    let end = (closed && !rest.is_empty()).then_some(Step::SendClosed);
    sent.chain(end).collect()
}

pub fn received(items: Vec<u64>) -> Vec<Step> {
    items.into_iter().map(Step::Received).collect()
}

/// The ends of one thread. What needs an end that is gone is not done.
struct Player {
    sender: Option<Sender<u64>>,
    receiver: Option<Receiver<u64>>,
    permits: Vec<OwnedPermit<u64>>,
}

impl Player {
    fn play(&mut self, act: Act, fresh: &mut impl Iterator<Item = u64>, log: &mut Log<'_, Step>) {
        match act {
            Act::DropSender => {
                let sender = self.sender.take();
                let gone = if sender.is_some() { vec![Step::SenderGone] } else { vec![] };
                log.call(|| drop(sender), |()| gone);
            }
            Act::DropReceiver => {
                let receiver = self.receiver.take();
                let gone = if receiver.is_some() { vec![Step::ReceiverGone] } else { vec![] };
                log.call(|| drop(receiver), |()| gone);
            }
            Act::Use => self.use_permit(fresh, log),
            Act::Release => {
                let permit = self.permits.pop();
                let gone = [Step::Released, Step::SenderGone];
                let steps = if permit.is_some() { gone.to_vec() } else { vec![] };
                log.call(|| drop(permit), |()| steps);
            }
            Act::TryRecv | Act::Recv(_) | Act::RecvMany(_) | Act::RecvManyPolled(_) => {
                if let Some(receiver) = &self.receiver {
                    receive(receiver, act, log);
                }
            }
            Act::Reserve | Act::ReservePolled => {
                if let Some(sender) = &self.sender {
                    self.permits.extend(reserve(sender, act, log));
                }
            }
            _ => {
                if let Some(sender) = &self.sender {
                    send(sender, act, fresh, log);
                }
            }
        }
    }

    fn use_permit(&mut self, fresh: &mut impl Iterator<Item = u64>, log: &mut Log<'_, Step>) {
        let (Some(permit), Some(item)) = (self.permits.pop(), fresh.next()) else { return };
        log.call(
            || permit.send(item).map(drop),
            |sent| match sent {
                Ok(()) => vec![Step::Used(item), Step::SenderGone],
                Err(SendError(_)) => vec![Step::SendClosed, Step::Released, Step::SenderGone],
            },
        );
    }
}

fn send(
    sender: &Sender<u64>,
    act: Act,
    fresh: &mut impl Iterator<Item = u64>,
    log: &mut Log<'_, Step>,
) {
    let Some(item) = fresh.next() else { return };
    let batch = |n: u8| (0..u64::from(n)).map(|i| item * 1_000 + i).collect::<Vec<_>>();
    match act {
        Act::TrySend => log.call(
            || sender.try_send(item),
            |sent| match sent {
                Ok(()) => vec![Step::Sent(item)],
                Err(TrySendError::Full(_)) => vec![Step::Full],
                Err(TrySendError::Closed(_)) => vec![Step::SendClosed],
            },
        ),
        Act::Send(polls) => log.call(
            || poll_some(sender.send(item), polls),
            |sent| match sent {
                Some(Ok(())) => vec![Step::Sent(item)],
                Some(Err(_)) => vec![Step::SendClosed],
                // Given up: whatever it saw, the item was not sent.
                None => vec![],
            },
        ),
        Act::SendMany(n) | Act::SendManyPolled(n) => {
            let all = batch(n);
            log.call(
                || {
                    let mut rest: VecDeque<_> = all.iter().copied().collect();
                    let closed = match act {
                        Act::SendMany(_) => sender.try_send_many(&mut rest).is_err(),
                        _ => poll_some(sender.send_many(&mut rest), 2)
                            .is_some_and(|sent| sent.is_err()),
                    };
                    (rest, closed)
                },
                |(rest, closed)| sent_of(&all, &rest, closed),
            );
        }
        Act::Force => log.call(
            || sender.force_send(item),
            |sent| match sent {
                Ok(displaced) => vec![Step::Forcing(item), Step::Displaced(displaced)],
                Err(_) => vec![Step::SendClosed],
            },
        ),
        Act::Close => log.call(|| sender.close(), |was_open| vec![Step::Closed(was_open)]),
        _ => log.call(|| sender.len(), |len| vec![Step::Len(len)]),
    }
}

fn reserve(sender: &Sender<u64>, act: Act, log: &mut Log<'_, Step>) -> Option<OwnedPermit<u64>> {
    let mut permit = None;
    let kept = &mut permit;
    log.call(
        || match act {
            Act::Reserve => match sender.clone().try_reserve_owned() {
                Ok(permit) => {
                    *kept = Some(permit);
                    Some(Step::Reserved)
                }
                Err(TrySendError::Full(_)) => Some(Step::Full),
                Err(TrySendError::Closed(_)) => Some(Step::SendClosed),
            },
            _ => match poll_some(sender.clone().reserve_owned(), 2) {
                Some(Ok(permit)) => {
                    *kept = Some(permit);
                    Some(Step::Reserved)
                }
                Some(Err(_)) => Some(Step::SendClosed),
                None => None,
            },
        },
        |step| match step {
            Some(Step::Reserved) => vec![Step::SenderCame, Step::Reserved],
            Some(step) => vec![Step::SenderCame, step, Step::SenderGone],
            None => vec![Step::SenderCame, Step::SenderGone],
        },
    );
    permit
}

fn receive(receiver: &Receiver<u64>, act: Act, log: &mut Log<'_, Step>) {
    let mut items = Vec::new();
    match act {
        Act::TryRecv => log.call(
            || receiver.try_recv(),
            |got| match got {
                Ok(item) => vec![Step::Received(item)],
                Err(TryRecvError::Empty) => vec![Step::Empty],
                Err(TryRecvError::Closed) => vec![Step::RecvClosed],
            },
        ),
        Act::Recv(polls) => log.call(
            || poll_some(receiver.recv(), polls),
            |got| match got {
                Some(Ok(item)) => vec![Step::Received(item)],
                Some(Err(_)) => vec![Step::RecvClosed],
                None => vec![],
            },
        ),
        Act::RecvMany(n) => log.call(
            || {
                let got = receiver.try_recv_many(&mut items, n.into());
                (got, items)
            },
            |(got, items)| match got {
                Ok(_) => received(items),
                Err(TryRecvError::Empty) => vec![Step::Empty],
                Err(TryRecvError::Closed) => vec![Step::RecvClosed],
            },
        ),
        Act::RecvManyPolled(n) => log.call(
            || {
                let got = poll_some(receiver.recv_many(&mut items, n.into()), 2);
                (got, items)
            },
            |(got, items)| match got {
                Some(Err(_)) => vec![Step::RecvClosed],
                _ => received(items),
            },
        ),
        _ => {}
    }
}

/// What all threads saw of a channel while each did its program.
fn observe(kind: Kind, programs: &[Vec<(Act, u8)>]) -> Vec<Event<Step>> {
    let (sender, receiver) = make(kind);
    let play = |(id, program): (usize, &Vec<(Act, u8)>)| {
        let (sender, receiver) = (Some(sender.clone()), Some(receiver.clone()));
        let mut player = Player { sender, receiver, permits: Vec::new() };
        let program = program.clone();
        move |log: &mut Log<'_, Step>| {
            let mut fresh = id as u64 * 100..;
            for (act, length) in program {
                pause(length);
                player.play(act, &mut fresh, log);
            }
            // The others may go on.
            while !player.permits.is_empty() {
                player.play(Act::Release, &mut fresh, log);
            }
            player.play(Act::DropSender, &mut fresh, log);
            player.play(Act::DropReceiver, &mut fresh, log);
        }
    };
    let parts: Vec<_> = programs.iter().enumerate().map(play).collect();
    drop((sender, receiver));
    record(parts)
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn is_linearizable(kind in kinds(), programs in programs()) {
        let model = Queue::new(kind.capacity(), programs.len(), programs.len());
        for _ in 0..crate::RUNS {
            let events = observe(kind, &programs);
            prop_assert!(is_explained(&model, &events), "no order explains {events:#?}");
        }
    }
}

/// The checker must be able to say no.
#[test]
fn wrong_histories_are_refused() {
    use Step::*;
    let queue = |capacity| Queue::new(capacity, 2, 2);
    let wrong = |capacity, events| {
        let events = history(events);
        assert!(!is_explained(&queue(capacity), &events), "{events:#?}");
    };
    let right = |capacity, events| {
        let events = history(events);
        assert!(is_explained(&queue(capacity), &events), "{events:#?}");
    };
    // Out of order; the same while both sends are under way is right.
    wrong(None, vec![(0, 0, 1, Sent(1)), (0, 2, 3, Sent(2)), (1, 4, 5, Received(2))]);
    right(None, vec![(0, 0, 3, Sent(1)), (1, 1, 2, Sent(2)), (1, 4, 5, Received(2))]);
    // Within a batch, too: its steps are at the same time, but one after the other.
    wrong(None, vec![(0, 0, 1, Sent(1)), (0, 0, 1, Sent(2)), (1, 0, 5, Received(2))]);
    // Twice, before it was sent, and never sent.
    wrong(None, vec![(0, 0, 1, Sent(1)), (1, 2, 3, Received(1)), (2, 2, 3, Received(1))]);
    wrong(None, vec![(1, 0, 1, Received(1)), (0, 2, 3, Sent(1))]);
    wrong(None, vec![(0, 0, 1, Received(1))]);
    // Lost: nobody took it, and yet it is gone.
    wrong(None, vec![(0, 0, 1, Sent(1)), (1, 2, 3, Empty)]);
    right(None, vec![(0, 0, 2, Sent(1)), (1, 1, 3, Empty)]);
    wrong(None, vec![(0, 0, 1, Sent(1)), (0, 2, 3, Closed(true)), (1, 4, 5, RecvClosed)]);
    // More than there is room for, and full while it is not.
    wrong(Some(1), vec![(0, 0, 1, Sent(1)), (1, 0, 1, Sent(2))]);
    wrong(Some(1), vec![(0, 0, 1, Sent(1)), (1, 2, 3, Received(1)), (0, 4, 5, Full)]);
    wrong(Some(1), vec![(0, 0, 1, Full)]);
    wrong(Some(2), vec![(0, 0, 1, Reserved), (0, 2, 3, Reserved), (1, 4, 5, Sent(1))]);
    wrong(Some(1), vec![(0, 0, 1, Reserved), (0, 2, 3, Released), (1, 4, 5, Full)]);
    right(Some(1), vec![(0, 0, 1, Reserved), (0, 2, 3, Used(1)), (1, 4, 5, Full)]);
    // Displaced without need, the wrong one, and not at all.
    let forced = |capacity, displaced| {
        let force = [(0, 2, 3, Forcing(2)), (0, 2, 3, Displaced(displaced))];
        let events = [(0, 0, 1, Sent(1))].into_iter().chain(force).collect();
        is_explained(&queue(Some(capacity)), &history(events))
    };
    assert!(forced(1, Some(1)) && forced(2, None));
    assert!(!forced(2, Some(1)) && !forced(1, Some(2)) && !forced(1, None));
    // After the end, closed twice, and no end where there must be one.
    wrong(None, vec![(0, 0, 1, Closed(true)), (1, 2, 3, Sent(1))]);
    wrong(None, vec![(0, 0, 1, Closed(true)), (1, 2, 3, Closed(true))]);
    wrong(None, vec![(0, 0, 1, SenderGone), (1, 2, 3, RecvClosed)]);
    wrong(None, vec![(0, 0, 1, SenderGone), (1, 2, 3, SenderGone), (1, 4, 5, Empty)]);
    wrong(None, vec![(0, 0, 1, ReceiverGone), (1, 2, 3, ReceiverGone), (1, 4, 5, Sent(1))]);
    // Miscounted.
    wrong(None, vec![(0, 0, 1, Sent(1)), (0, 2, 3, Len(0))]);
}
