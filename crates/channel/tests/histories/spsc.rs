//! The channel for one on each side.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use ziggurat_channel::spsc::{self, Receiver, Sender};
use ziggurat_channel::{TryRecvError, TrySendError};

use crate::checker::{Event, Log, is_explained, pause, record};
use crate::queue::{Act, Queue, Step, act, poll_some, received, sent_of};

/// What the threads at the two ends saw of a channel while each did its program.
fn observe(capacity: usize, programs: &[Vec<(Act, u8)>; 2]) -> Vec<Event<Step>> {
    let (mut sender, mut receiver) = spsc::bounded(capacity);
    let [sending, receiving] = programs.clone();
    let send = move |log: &mut Log<'_, Step>| {
        for (item, (act, length)) in (0..).zip(sending) {
            pause(length);
            send(&mut sender, act, item, log);
        }
        log.call(|| drop(sender), |()| vec![Step::SenderGone]);
    };
    let receive = move |log: &mut Log<'_, Step>| {
        for (act, length) in receiving {
            pause(length);
            receive(&mut receiver, act, log);
        }
        log.call(|| drop(receiver), |()| vec![Step::ReceiverGone]);
    };
    let parts: Vec<Box<dyn FnOnce(&mut Log<'_, Step>) + Send>> =
        vec![Box::new(send), Box::new(receive)];
    record(parts)
}

fn send(sender: &mut Sender<u64>, act: Act, item: u64, log: &mut Log<'_, Step>) {
    match act {
        Act::Send(polls) | Act::Recv(polls) => log.call(
            || poll_some(sender.send(item), polls),
            |sent| match sent {
                Some(Ok(())) => vec![Step::Sent(item)],
                Some(Err(_)) => vec![Step::SendClosed],
                None => vec![],
            },
        ),
        Act::SendMany(n) | Act::SendManyPolled(n) | Act::RecvMany(n) => {
            let all: Vec<_> = (0..n.into()).map(|i| (item + 1) * 1_000 + i).collect();
            log.call(
                || {
                    let mut rest: VecDeque<_> = all.iter().copied().collect();
                    let closed = sender.try_send_many(&mut rest).is_err();
                    (rest, closed)
                },
                |(rest, closed)| sent_of(&all, &rest, closed),
            );
        }
        Act::Close => log.call(|| sender.close(), |was_open| vec![Step::Closed(was_open)]),
        Act::Len => log.call(|| sender.len(), |len| vec![Step::Len(len)]),
        _ => log.call(
            || sender.try_send(item),
            |sent| match sent {
                Ok(()) => vec![Step::Sent(item)],
                Err(TrySendError::Full(_)) => vec![Step::Full],
                Err(TrySendError::Closed(_)) => vec![Step::SendClosed],
            },
        ),
    }
}

fn receive(receiver: &mut Receiver<u64>, act: Act, log: &mut Log<'_, Step>) {
    let mut items = Vec::new();
    match act {
        Act::Send(polls) | Act::Recv(polls) => log.call(
            || poll_some(receiver.recv(), polls),
            |got| match got {
                Some(Ok(item)) => vec![Step::Received(item)],
                Some(Err(_)) => vec![Step::RecvClosed],
                None => vec![],
            },
        ),
        Act::SendMany(n) | Act::RecvMany(n) | Act::RecvManyPolled(n) => log.call(
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
        Act::Close => log.call(|| receiver.close(), |was_open| vec![Step::Closed(was_open)]),
        Act::Len => log.call(|| receiver.len(), |len| vec![Step::Len(len)]),
        _ => log.call(
            || receiver.try_recv(),
            |got| match got {
                Ok(item) => vec![Step::Received(item)],
                Err(TryRecvError::Empty) => vec![Step::Empty],
                Err(TryRecvError::Closed) => vec![Step::RecvClosed],
            },
        ),
    }
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn is_linearizable(
        capacity in 1..4_usize,
        sending in vec((act(), 0..7_u8), 1..8),
        receiving in vec((act(), 0..7_u8), 1..8),
    ) {
        let model = Queue::one_to_one(capacity);
        let programs = [sending, receiving];
        for _ in 0..crate::RUNS {
            let events = observe(capacity, &programs);
            prop_assert!(is_explained(&model, &events), "no order explains {events:#?}");
        }
    }
}
