//! What is under the lock: queues, and what is to be said. Plain data; nothing of the caller's runs
//! here.

use std::collections::VecDeque;

use super::GroupError;
use super::policy::{Config, OnDrop, Overflow, WhenFull};

/// The number that the stream of groups has among those who wait. A group's is its slot plus 1.
pub(super) const GROUPS: usize = 0;

pub(super) struct State<K, T> {
    pub(super) config: Config,
    pub(super) queues: Vec<Queue<T>>,
    free: Vec<usize>,
    /// Groups that the stream of groups has yet to hand out.
    pub(super) announced: VecDeque<(K, usize)>,
    /// An item that came back, for the stream of groups to hand out. The source is held meanwhile.
    pub(super) failed: Option<GroupError<K, T>>,
    /// An item whose group is full. The source is held meanwhile.
    pub(super) stuck: Option<(usize, T)>,
    /// Slots of dropped groups: their keys are to be forgotten, and the slots to be freed.
    pub(super) dead: Vec<usize>,
    /// Slots of dropped groups with items: they are to be announced again.
    pub(super) orphans: Vec<usize>,
    /// Items in queues.
    total: usize,
    /// Slots that count as groups.
    groups: usize,
    pub(super) ended: bool,
    /// The stream of groups was dropped.
    pub(super) closed: bool,
    pub(super) discarded: u64,
    ticks: u64,
}

pub(super) struct Queue<T> {
    pub(super) items: VecDeque<T>,
    pub(super) status: Status,
    /// When it got its last item, in items.
    used: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// No group.
    Free,
    /// A group, which is or will be somebody's.
    Open,
    /// A group whose consumer has to see that it has ended. No key leads to it.
    Evicted,
    /// Its consumer is gone and it holds nothing. It will be free when its key is forgotten.
    Dead,
    /// Its consumer is gone, and what comes is dropped.
    Discarding,
}

/// Where an item went.
pub(super) enum Routed<T> {
    /// Into the queue of this slot.
    Queued(usize),
    /// It is held, or has come back: the source is held.
    Held,
    /// Nowhere, by the caller's choice.
    Discarded(T),
}

/// What a group finds.
pub(super) enum Take<T> {
    /// An item, and whether the source may go on where it could not.
    Item(T, bool),
    End,
    Empty,
}

impl<K, T> State<K, T> {
    pub(super) fn new(config: Config) -> Self {
        State {
            config,
            queues: Vec::new(),
            free: Vec::new(),
            announced: VecDeque::new(),
            failed: None,
            stuck: None,
            dead: Vec::new(),
            orphans: Vec::new(),
            total: 0,
            groups: 0,
            ended: false,
            closed: false,
            discarded: 0,
            ticks: 0,
        }
    }

    /// Whether nothing may be taken from the source.
    pub(super) fn is_held(&self) -> bool {
        self.ended
            || self.closed
            || self.failed.is_some()
            || self.stuck.is_some()
            || self.total >= self.config.total
    }

    /// Whether there is something for who has the keys to do.
    pub(super) fn has_chores(&self) -> bool {
        !self.dead.is_empty() || !self.orphans.is_empty()
    }

    /// A new group, if there may be one.
    pub(super) fn open(&mut self) -> Option<usize> {
        if self.groups >= self.config.max_groups {
            return None;
        }
        self.groups += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.queues.push(Queue { items: VecDeque::new(), status: Status::Free, used: 0 });
            self.queues.len() - 1
        });
        self.queues[slot].status = Status::Open;
        Some(slot)
    }

    /// Ends the group that was idle for longest, if the caller wants that and there is one.
    pub(super) fn evict(&mut self) -> Option<usize> {
        if self.config.when_full != WhenFull::EvictIdle {
            return None;
        }
        let is_idle = |queue: &Queue<T>| queue.status == Status::Open && queue.items.is_empty();
        let queues = self.queues.iter().enumerate();
        let idle = queues.filter(|(_, queue)| is_idle(queue)).min_by_key(|(_, queue)| queue.used);
        let slot = idle?.0;
        self.queues[slot].status = Status::Evicted;
        self.groups -= 1;
        Some(slot)
    }

    /// Takes back what `open` gave. Nobody knows the group yet.
    pub(super) fn undo_open(&mut self, slot: usize) {
        self.groups -= 1;
        self.release(slot);
    }

    /// A slot whose key is forgotten.
    pub(super) fn release(&mut self, slot: usize) {
        self.queues[slot].status = Status::Free;
        self.free.push(slot);
    }

    /// Puts an item into the group of a slot that is open or was dropped. `Err` gives it back when that
    /// is full and the caller wants to know.
    pub(super) fn push(&mut self, slot: usize, item: T) -> Result<Routed<T>, T> {
        self.ticks += 1;
        let queue = &mut self.queues[slot];
        if queue.status == Status::Discarding {
            self.discarded += 1;
            return Ok(Routed::Discarded(item));
        }
        if queue.items.len() < self.config.capacity {
            queue.used = self.ticks;
            queue.items.push_back(item);
            self.total += 1;
            return Ok(Routed::Queued(slot));
        }
        if self.config.overflow == Overflow::Error {
            return Err(item);
        }
        self.stuck = Some((slot, item));
        Ok(Routed::Held)
    }

    pub(super) fn take(&mut self, slot: usize) -> Take<T> {
        let was_held = self.is_held();
        let queue = &mut self.queues[slot];
        let Some(item) = queue.items.pop_front() else {
            let over = queue.status == Status::Evicted || self.ended || self.closed;
            return if over { Take::End } else { Take::Empty };
        };
        self.total -= 1;
        if self.stuck.as_ref().is_some_and(|(stuck, _)| *stuck == slot) {
            let (_, stuck) = self.stuck.take().expect("looked at");
            self.queues[slot].items.push_back(stuck);
            self.total += 1;
        }
        Take::Item(item, was_held && !self.is_held())
    }

    /// The consumer of a slot is gone. What is dropped with it is handed out.
    pub(super) fn leave(&mut self, slot: usize) -> (VecDeque<T>, Option<T>) {
        let over = self.ended || self.closed;
        let stuck = self.stuck.as_ref().is_some_and(|(stuck, _)| *stuck == slot);
        let queue = &mut self.queues[slot];
        if queue.status == Status::Evicted {
            self.release(slot);
            return Default::default();
        }
        if !over && self.config.on_drop == OnDrop::Reopen {
            if queue.items.is_empty() && !stuck {
                queue.status = Status::Dead;
                self.groups -= 1;
                self.dead.push(slot);
            } else {
                self.orphans.push(slot);
            }
            return Default::default();
        }
        queue.status = Status::Discarding;
        let items = std::mem::take(&mut queue.items);
        let stuck = if stuck { self.stuck.take().map(|(_, item)| item) } else { None };
        self.total -= items.len();
        self.discarded += items.len() as u64 + u64::from(stuck.is_some());
        (items, stuck)
    }
}
