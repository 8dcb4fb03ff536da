//! The channel for one item.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::*;
use ziggurat_channel::{TryRecvError, oneshot};

use crate::checker::{Event, Log, Model, history, is_explained, pause, record};

#[derive(Debug, Clone, Copy)]
enum Step {
    Sent,
    Refused,
    Received,
    Empty,
    Closed,
    /// Either end has closed, or is gone.
    Close,
    IsClosed(bool),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Oneshot {
    item: bool,
    closed: bool,
}

impl Model for Oneshot {
    type Step = Step;

    fn after(&self, step: &Step) -> Option<Self> {
        let Oneshot { item, closed } = *self;
        let next = |item, closed| Oneshot { item, closed };
        match *step {
            Step::Sent => (!closed && !item).then_some(next(true, closed)),
            Step::Refused => closed.then_some(next(item, closed)),
            Step::Received => item.then_some(next(false, closed)),
            Step::Empty => (!closed && !item).then_some(next(item, closed)),
            Step::Closed => (closed && !item).then_some(next(item, closed)),
            Step::Close => Some(next(item, true)),
            Step::IsClosed(seen) => (seen == closed).then_some(next(item, closed)),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Look,
    Poll,
    Close,
}

fn acts() -> impl Strategy<Value = Vec<(Act, u8)>> {
    let act = prop_oneof![3 => Just(Act::Look), 3 => Just(Act::Poll), 1 => Just(Act::Close)];
    vec((act, 0..7_u8), 0..6)
}

fn observe(before: &[(Act, u8)], sends: bool, receives: &[(Act, u8)]) -> Vec<Event<Step>> {
    let (mut sender, mut receiver) = oneshot::channel();
    let send = |log: &mut Log<'_, Step>| {
        let mut cx = Context::from_waker(Waker::noop());
        for &(act, length) in before {
            pause(length);
            log.call(
                || match act {
                    Act::Poll => sender.poll_closed(&mut cx).is_ready(),
                    _ => sender.is_closed(),
                },
                |closed| vec![Step::IsClosed(closed)],
            );
        }
        // A sender goes with its item: two steps.
        log.call(
            || sends.then(|| sender.send(())),
            |sent| match sent {
                Some(Ok(())) => vec![Step::Sent, Step::Close],
                Some(Err(_)) => vec![Step::Refused, Step::Close],
                None => vec![Step::Close],
            },
        );
    };
    let receive = |log: &mut Log<'_, Step>| {
        let mut cx = Context::from_waker(Waker::noop());
        for &(act, length) in receives {
            pause(length);
            match act {
                Act::Look => log.call(
                    || receiver.try_recv(),
                    |got| match got {
                        Ok(()) => vec![Step::Received],
                        Err(TryRecvError::Empty) => vec![Step::Empty],
                        Err(TryRecvError::Closed) => vec![Step::Closed],
                    },
                ),
                Act::Poll => log.call(
                    || Pin::new(&mut receiver).poll(&mut cx),
                    |got| match got {
                        Poll::Ready(Ok(())) => vec![Step::Received],
                        Poll::Ready(Err(_)) => vec![Step::Closed],
                        Poll::Pending => vec![Step::Empty],
                    },
                ),
                Act::Close => log.call(|| receiver.close(), |()| vec![Step::Close]),
            }
        }
        log.call(|| drop(receiver), |()| vec![Step::Close]);
    };
    let parts: Vec<Box<dyn FnOnce(&mut Log<'_, Step>) + Send + '_>> =
        vec![Box::new(send), Box::new(receive)];
    record(parts)
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn is_linearizable(before in acts(), sends in any::<bool>(), receives in acts()) {
        for _ in 0..crate::RUNS {
            let events = observe(&before, sends, &receives);
            let explained = is_explained(&Oneshot::default(), &events);
            prop_assert!(explained, "no order explains {events:#?}");
        }
    }
}

#[test]
fn wrong_histories_are_refused() {
    use Step::*;
    let wrong = [
        vec![(0, 0, 1, Received)],
        vec![(0, 0, 1, Sent), (0, 2, 3, Close), (1, 4, 5, Closed)],
        vec![(0, 0, 1, Sent), (1, 2, 3, Empty)],
        vec![(0, 0, 1, Sent), (1, 2, 3, Received), (1, 4, 5, Received)],
        vec![(1, 0, 1, Close), (0, 2, 3, Sent)],
        vec![(0, 0, 1, Close), (1, 2, 3, Empty)],
        vec![(0, 0, 1, Refused), (1, 2, 3, Close)],
        vec![(0, 0, 1, IsClosed(true))],
        // The sender goes after its item, not before it.
        vec![(1, 0, 9, Closed), (1, 0, 9, Received), (0, 0, 9, Sent), (0, 0, 9, Close)],
    ];
    for events in wrong {
        let events = history(events);
        assert!(!is_explained(&Oneshot::default(), &events), "{events:#?}");
    }
    let right = history(vec![
        (0, 0, 9, Sent),
        (0, 0, 9, Close),
        (1, 0, 9, Received),
        (1, 0, 9, Empty),
        (1, 10, 11, Closed),
    ]);
    assert!(is_explained(&Oneshot::default(), &right));
}
