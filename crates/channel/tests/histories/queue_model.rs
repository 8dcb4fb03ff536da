//! A queue with one thread, and what can be seen of it.

use std::collections::VecDeque;

use super::checker::Model;

/// What can be seen of a queue.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    Sent(u64),
    Full,
    SendClosed,
    Received(u64),
    Empty,
    RecvClosed,
    /// An item came in, whether there was room or not: the first half of a forced send.
    Forcing(u64),
    /// The second half: what it displaced, unless room has come about meanwhile.
    Displaced(Option<u64>),
    Reserved,
    /// Into reserved room.
    Used(u64),
    /// Reserved room, given back or lost with the end.
    Released,
    /// Whether it was open.
    Closed(bool),
    Len(usize),
    SenderCame,
    SenderGone,
    ReceiverGone,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Queue {
    items: VecDeque<u64>,
    capacity: usize,
    reserved: usize,
    senders: usize,
    receivers: usize,
    closed: bool,
    /// Items that are left go one by one, after the receiver.
    one_to_one: bool,
}

impl Queue {
    pub fn new(capacity: Option<usize>, senders: usize, receivers: usize) -> Self {
        Queue {
            items: VecDeque::new(),
            capacity: capacity.unwrap_or(usize::MAX),
            reserved: 0,
            senders,
            receivers,
            closed: false,
            one_to_one: false,
        }
    }

    pub fn one_to_one(capacity: usize) -> Self {
        Queue { one_to_one: true, ..Queue::new(Some(capacity), 1, 1) }
    }

    fn has_room(&self) -> bool {
        self.items.len() + self.reserved < self.capacity
    }
}

impl Model for Queue {
    type Step = Step;

    fn after(&self, step: &Step) -> Option<Self> {
        let mut next = self.clone();
        let possible = match *step {
            Step::Sent(item) => {
                next.items.push_back(item);
                !self.closed && self.has_room()
            }
            Step::Full => !self.closed && !self.has_room(),
            Step::SendClosed => self.closed,
            Step::Received(item) => next.items.pop_front() == Some(item),
            Step::Empty => !self.closed && self.items.is_empty(),
            Step::RecvClosed => self.closed && self.items.is_empty(),
            Step::Forcing(item) => {
                next.items.push_back(item);
                !self.closed
            }
            Step::Displaced(displaced) => {
                let is_over = self.items.len() + self.reserved > self.capacity;
                let popped = if is_over { next.items.pop_front() } else { None };
                popped == displaced
            }
            Step::Reserved => {
                next.reserved += usize::from(self.capacity < usize::MAX);
                !self.closed && self.has_room()
            }
            Step::Used(item) => {
                next.reserved -= usize::from(self.capacity < usize::MAX);
                next.items.push_back(item);
                !self.closed
            }
            Step::Released => {
                next.reserved -= usize::from(self.capacity < usize::MAX);
                true
            }
            Step::Closed(was_open) => {
                next.closed = true;
                was_open != self.closed
            }
            Step::Len(len) if self.one_to_one && self.receivers == 0 => len <= self.items.len(),
            Step::Len(len) => self.items.len().min(self.capacity) == len,
            Step::SenderCame => {
                next.senders += 1;
                self.senders > 0
            }
            Step::SenderGone => {
                next.senders -= 1;
                next.closed |= next.senders == 0;
                true
            }
            Step::ReceiverGone => {
                next.receivers -= 1;
                next.closed |= next.receivers == 0;
                true
            }
        };
        possible.then_some(next)
    }
}
