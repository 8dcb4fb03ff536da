//! The channels against a queue: any sequence of operations on one thread. (`histories` is about what
//! threads do at the same time.)

mod support;

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use support::{Bounded, Growable, Unbounded, make};
use ziggurat_channel::{TryRecvError, TrySendError, spsc};

#[derive(Debug, Clone)]
enum Op {
    Send,
    Recv,
    Force,
    SendMany(usize),
    RecvMany(usize),
    Reserve,
    Use,
    Release,
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Send),
        6 => Just(Op::Recv),
        2 => Just(Op::Force),
        2 => (0..6usize).prop_map(Op::SendMany),
        2 => (0..6usize).prop_map(Op::RecvMany),
        2 => Just(Op::Reserve),
        2 => Just(Op::Use),
        1 => Just(Op::Release),
        1 => Just(Op::Close),
    ]
}

proptest! {
    #[test]
    fn is_a_queue(
        kind in prop_oneof![
            (1..6usize).prop_map(Bounded),
            Just(Unbounded),
            (1..4usize).prop_map(Growable),
        ],
        ops in vec(op(), 0..200),
    ) {
        let ((s, r), capacity) = (make(kind), kind.capacity());
        let mut permits = Vec::new();
        let mut queue = VecDeque::new();
        let mut closed = false;
        for (i, op) in ops.into_iter().enumerate() {
            let i = i as u64;
            let room = capacity.map_or(usize::MAX, |n| n - queue.len() - permits.len());
            match op {
                Op::Send if closed => prop_assert_eq!(s.try_send(i), Err(TrySendError::Closed(i))),
                Op::Send if room == 0 => prop_assert_eq!(s.try_send(i), Err(TrySendError::Full(i))),
                Op::Send => {
                    prop_assert_eq!(s.try_send(i), Ok(()));
                    queue.push_back(i);
                }
                Op::Recv => match queue.pop_front() {
                    Some(item) => prop_assert_eq!(r.try_recv(), Ok(item)),
                    None if closed => prop_assert_eq!(r.try_recv(), Err(TryRecvError::Closed)),
                    None => prop_assert_eq!(r.try_recv(), Err(TryRecvError::Empty)),
                },
                Op::Force if closed => prop_assert!(s.force_send(i).is_err()),
                // With all room reserved there is nothing that could be displaced.
                Op::Force if room == 0 && queue.is_empty() => {
                    prop_assert_eq!(s.force_send(i), Ok(Some(i)));
                }
                Op::Force => {
                    let displaced = if room == 0 { queue.pop_front() } else { None };
                    prop_assert_eq!(s.force_send(i), Ok(displaced));
                    queue.push_back(i);
                }
                Op::SendMany(n) => {
                    let mut items: VecDeque<_> = (i * 1000..i * 1000 + n as u64).collect();
                    let sent = s.try_send_many(&mut items);
                    if closed && n > 0 {
                        prop_assert!(sent.is_err());
                    } else {
                        prop_assert_eq!(sent, Ok(n.min(room)));
                        queue.extend(i * 1000..i * 1000 + n.min(room) as u64);
                    }
                }
                Op::RecvMany(n) => {
                    let mut items = Vec::new();
                    let received = r.try_recv_many(&mut items, n).unwrap_or(0);
                    prop_assert_eq!(received, items.len());
                    prop_assert!(received > 0 || n == 0 || queue.is_empty());
                    for item in items {
                        prop_assert_eq!(Some(item), queue.pop_front());
                    }
                }
                Op::Reserve => match s.try_reserve() {
                    Ok(permit) => {
                        prop_assert!(room > 0 && !closed);
                        if capacity.is_some() {
                            permits.push(permit);
                        }
                    }
                    Err(_) => prop_assert!(room == 0 || closed),
                },
                Op::Use => {
                    if let Some(permit) = permits.pop() {
                        prop_assert_eq!(permit.send(i).is_ok(), !closed);
                        if !closed {
                            queue.push_back(i);
                        }
                    }
                }
                Op::Release => drop(permits.pop()),
                Op::Close => {
                    prop_assert_eq!(s.close(), !closed);
                    closed = true;
                }
            }
            prop_assert_eq!(s.len(), queue.len());
            prop_assert_eq!(r.is_empty(), queue.is_empty());
        }
    }

    #[test]
    fn one_to_one_is_a_queue(capacity in 1..6usize, ops in vec(op(), 0..200)) {
        let (mut s, mut r) = spsc::bounded(capacity);
        let mut queue = VecDeque::new();
        let mut closed = false;
        for (i, op) in ops.into_iter().enumerate() {
            let room = capacity - queue.len();
            match op {
                Op::Send | Op::Force if closed => prop_assert!(s.try_send(i).is_err()),
                Op::Send | Op::Force => {
                    prop_assert_eq!(s.try_send(i).is_ok(), room > 0);
                    if room > 0 {
                        queue.push_back(i);
                    }
                }
                Op::Recv | Op::Reserve => prop_assert_eq!(r.try_recv().ok(), queue.pop_front()),
                Op::SendMany(n) => {
                    let mut items: VecDeque<_> = (i * 1000..i * 1000 + n).collect();
                    let sent = s.try_send_many(&mut items).unwrap_or(0);
                    prop_assert_eq!(sent, if closed { 0 } else { n.min(room) });
                    prop_assert_eq!(items.len(), n - sent);
                    queue.extend(i * 1000..i * 1000 + sent);
                }
                Op::RecvMany(n) => {
                    let mut items = Vec::new();
                    let received = r.try_recv_many(&mut items, n).unwrap_or(0);
                    prop_assert_eq!(received, n.min(queue.len()));
                    prop_assert!(items.into_iter().eq(queue.drain(..received)));
                }
                Op::Close if i % 3 == 0 => {
                    prop_assert_eq!(if i % 2 == 0 { s.close() } else { r.close() }, !closed);
                    closed = true;
                }
                _ => {}
            }
            prop_assert_eq!(r.len(), queue.len());
        }
    }
}
