//! The generic cell rate algorithm over one word, and the queue of those who wait.
//!
//! The word is the theoretical arrival time (TAT): when the bucket will be as good as new, in
//! nanoseconds of the limiter's timer. A cell moves it on by one interval, and is admitted if it then
//! lies no more than the burst's worth ahead of the present. The top bit says that somebody waits: such
//! a word lies beyond every limit, so the fast path finds that out with the comparison that it makes
//! anyway.
//!
//! # Why relaxed orderings are enough
//!
//! What is decided about cells is decided on the one word, by read-modify-writes, which have one order.
//! The queue is under a lock. A waiter sets the bit with the lock held, before it looks at the time
//! that it was left with; who gives cells back changes the word first, and takes the lock if the bit
//! was set. So either the waiter sees those cells, or the giver finds the waiter.

use std::collections::BTreeMap;
use std::task::Waker;

use super::Quota;
use crate::sync::{AtomicU64, Mutex, Ordering, lock};

/// Somebody waits.
const QUEUED: u64 = 1 << 63;

/// The state of one quota.
#[derive(Debug)]
pub struct Bucket {
    tat: AtomicU64,
    /// The burst's worth, in nanoseconds.
    span: u64,
    /// A single cell's.
    interval: u64,
    quota: Quota,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// By their tickets, which are in the order of arrival.
    waiting: BTreeMap<u64, Waiting>,
    /// What all of them cost.
    cost: u64,
}

#[derive(Debug)]
struct Waiting {
    cost: u64,
    /// Taken by who wakes it; left anew by the next poll.
    waker: Option<Waker>,
}

/// Why there is no cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// There will be, in so many nanoseconds.
    Wait(u64),
    /// Others wait already.
    Queued,
}

/// What a waiter is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has its cells, and is out of the queue.
    Taken,
    /// It is the first, and looks again in so many nanoseconds.
    Wait(u64),
    /// It will be woken when it is the first.
    Behind,
}

impl Bucket {
    /// A bucket that has had no cells yet.
    pub fn new(quota: Quota) -> Self {
        Bucket {
            tat: AtomicU64::new(0),
            span: quota.cost(quota.burst().get()),
            interval: quota.cost(1),
            quota,
            queue: Mutex::default(),
        }
    }

    pub(super) fn quota(&self) -> &Quota {
        &self.quota
    }

    /// What a single cell costs.
    #[inline]
    pub(super) fn unit(&self) -> u64 {
        self.interval
    }

    /// As far ahead as the TAT may lie. Only 292 years after its timer's zero does a limiter end here.
    #[inline]
    fn limit(&self, now: u64) -> u64 {
        now.saturating_add(self.span).min(QUEUED - 1)
    }

    /// Takes cells for `cost` nanoseconds, if there are and nobody waits: one compare-and-swap.
    #[inline]
    pub fn try_take(&self, cost: u64, now: u64) -> Result<(), Denied> {
        let limit = self.limit(now);
        let mut tat = self.tat.load(Ordering::Relaxed);
        loop {
            let next = tat.max(now).saturating_add(cost);
            if next > limit {
                let wait = Denied::Wait(next - limit);
                return Err(if tat & QUEUED == 0 { wait } else { Denied::Queued });
            }
            match self.tat.compare_exchange_weak(tat, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(current) => tat = current,
            }
        }
    }

    /// How long until there are cells for `cost`, after those who wait have theirs.
    pub(super) fn wait(&self, cost: u64, now: u64) -> u64 {
        let ahead = lock(&self.queue).cost;
        let tat = self.tat.load(Ordering::Relaxed) & !QUEUED;
        let next = tat.max(now).saturating_add(ahead).saturating_add(cost);
        // Not 0: there may be room, but those who wait have not come for it yet.
        next.saturating_sub(self.limit(now)).max(1)
    }

    /// A waiter's poll: it gets a ticket with the first one, and loses it with its cells. The cost is
    /// that of the first one.
    pub fn poll_turn(&self, ticket: &mut Option<u64>, cost: u64, now: u64, waker: &Waker) -> Turn {
        // Cloned before the lock is taken, and the old one dropped after it: both call out.
        let waker = waker.clone();
        let limit = self.limit(now);
        let mut queue = lock(&self.queue);
        let id = *ticket.get_or_insert_with(|| {
            self.tat.fetch_or(QUEUED, Ordering::Relaxed);
            queue.enter(cost)
        });
        if queue.first() != Some(id) {
            let old = queue.waiting.get_mut(&id).and_then(|waiting| waiting.waker.replace(waker));
            drop(queue);
            drop(old);
            return Turn::Behind;
        }
        let cost = queue.waiting.get(&id).map_or(cost, |waiting| waiting.cost);
        let rest = if queue.waiting.len() > 1 { QUEUED } else { 0 };
        let mut word = self.tat.load(Ordering::Relaxed);
        loop {
            let next = (word & !QUEUED).max(now).saturating_add(cost);
            if next > limit {
                let first = queue.waiting.get_mut(&id);
                let old = first.and_then(|waiting| waiting.waker.replace(waker));
                drop(queue);
                drop(old);
                return Turn::Wait(next - limit);
            }
            // Only cells that are given back can have come between.
            let relaxed = Ordering::Relaxed;
            match self.tat.compare_exchange_weak(word, next | rest, relaxed, relaxed) {
                Ok(_) => break,
                Err(current) => word = current,
            }
        }
        *ticket = None;
        let old = queue.leave(id);
        let next = queue.take_first_waker();
        drop(queue);
        drop(old);
        next.into_iter().for_each(Waker::wake);
        Turn::Taken
    }

    /// Gives a waiter's place up. If it was the first, the next one's turn has come.
    pub fn leave(&self, id: u64) {
        let mut queue = lock(&self.queue);
        let was_first = queue.first() == Some(id);
        let old = queue.leave(id);
        if queue.waiting.is_empty() {
            self.tat.fetch_and(!QUEUED, Ordering::Relaxed);
        }
        let next = if was_first { queue.take_first_waker() } else { None };
        drop(queue);
        drop(old);
        next.into_iter().for_each(Waker::wake);
    }

    /// Gives cells back that were taken at `taken` and not used; see the rule in the limiter's
    /// documentation.
    pub fn give_back(&self, cost: u64, taken: u64, now: u64) {
        let left = cost.saturating_sub(now.saturating_sub(taken));
        if left == 0 {
            return;
        }
        let mut word = self.tat.load(Ordering::Relaxed);
        loop {
            let tat = (word & !QUEUED).saturating_sub(left);
            let new = tat | (word & QUEUED);
            match self.tat.compare_exchange_weak(word, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break,
                Err(current) => word = current,
            }
        }
        if word & QUEUED != 0 {
            // Its alarm is set for too late.
            let first = lock(&self.queue).take_first_waker();
            first.into_iter().for_each(Waker::wake);
        }
    }

    /// Whether it cannot be told from one that has had no cells.
    pub(super) fn is_fresh(&self, now: u64) -> bool {
        self.tat.load(Ordering::Relaxed) <= now
    }

    pub(super) fn waiting(&self) -> usize {
        lock(&self.queue).waiting.len()
    }
}

impl Queue {
    fn enter(&mut self, cost: u64) -> u64 {
        let id = self.next;
        self.next += 1;
        self.cost = self.cost.saturating_add(cost);
        self.waiting.insert(id, Waiting { cost, waker: None });
        id
    }

    fn leave(&mut self, id: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        self.cost = self.cost.saturating_sub(waiting.cost);
        Some(waiting)
    }

    fn first(&self) -> Option<u64> {
        self.waiting.keys().next().copied()
    }

    fn take_first_waker(&mut self) -> Option<Waker> {
        self.waiting.first_entry()?.get_mut().waker.take()
    }
}
