//! What the suites share: an executor that needs no clock to end a test that hangs, random numbers, and
//! items that count themselves.

#![allow(dead_code, reason = "no suite uses all of it")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Context;

use futures::future::LocalBoxFuture;
use futures::task::{ArcWake, waker};
use ziggurat_channel::{Receiver, Sender, bounded, growable_with_capacity, unbounded};

/// A kind of channel for many on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bounded(usize),
    Unbounded,
    /// With room for so many in the first ring.
    Growable(usize),
}

pub use Kind::*;

impl Kind {
    pub fn capacity(self) -> Option<usize> {
        match self {
            Bounded(capacity) => Some(capacity),
            Unbounded | Growable(_) => None,
        }
    }
}

pub fn make<T>(kind: Kind) -> (Sender<T>, Receiver<T>) {
    match kind {
        Bounded(capacity) => bounded(capacity),
        Unbounded => unbounded(),
        Growable(first) => growable_with_capacity(first),
    }
}

/// Random numbers that are the same for the same seed.
/// (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.)
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

struct Woken(AtomicBool);

impl ArcWake for Woken {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.store(true, Ordering::SeqCst);
    }
}

struct Task<'a> {
    future: LocalBoxFuture<'a, ()>,
    woken: Arc<Woken>,
}

/// Tasks on one thread, each polled only when it was woken, in an order that the seed chooses.
///
/// When nobody is woken and some are not done, a wake was lost or the test has a cycle; when there
/// are too many polls, somebody looks without end. Both are known by counting.
pub struct Tasks<'a> {
    tasks: Vec<Option<Task<'a>>>,
    random: Random,
}

impl<'a> Tasks<'a> {
    pub fn new(seed: u64) -> Self {
        Tasks { tasks: Vec::new(), random: Random(seed) }
    }

    /// Adds a task, and returns its number.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'a) -> usize {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.tasks.push(Some(Task { future: Box::pin(future), woken }));
        self.tasks.len() - 1
    }

    /// Drops a task where it is.
    pub fn abort(&mut self, task: usize) {
        self.tasks[task] = None;
    }

    /// Tasks that are not done.
    pub fn left(&self) -> usize {
        self.tasks.iter().flatten().count()
    }

    /// Polls one of those that were woken. `false`: there is none.
    pub fn step(&mut self) -> bool {
        let is_woken = |task: &Task<'_>| task.woken.0.load(Ordering::SeqCst);
        let woken: Vec<_> = (0..self.tasks.len())
            .filter(|&i| self.tasks[i].as_ref().is_some_and(is_woken))
            .collect();
        if woken.is_empty() {
            return false;
        }
        let chosen = woken[self.random.below(woken.len())];
        let Some(task) = &mut self.tasks[chosen] else { return false };
        task.woken.0.store(false, Ordering::SeqCst);
        let waker = waker(task.woken.clone());
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.tasks[chosen] = None;
        }
        true
    }

    /// Polls until nobody is woken any more, at most so many times.
    pub fn settle(&mut self, most: usize) {
        for _ in 0..most {
            if !self.step() {
                return;
            }
        }
        panic!("after {most} polls, {} tasks are not done and not parked", self.left());
    }

    /// Polls until all are done, at most so many times.
    pub fn run(mut self, most: usize) {
        self.settle(most);
        assert_eq!(self.left(), 0, "tasks are parked, and nobody is left to wake them");
    }
}

/// How many items of a test there are, and how many there have been.
#[derive(Clone, Default)]
pub struct Tally(Arc<(AtomicUsize, AtomicUsize)>);

impl Tally {
    pub fn item(&self, number: u64) -> Item {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        self.0.1.fetch_add(1, Ordering::SeqCst);
        Item { number, tally: self.clone(), live: Box::new(true) }
    }

    /// Items that have not been dropped.
    pub fn live(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    /// Items that have been made.
    pub fn made(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// Counts itself, and owns memory of its own: what is dropped twice or not at all is seen by the
/// tally and by the allocator.
pub struct Item {
    pub number: u64,
    tally: Tally,
    live: Box<bool>,
}

impl Drop for Item {
    fn drop(&mut self) {
        assert!(std::mem::take(&mut *self.live), "dropped twice");
        self.tally.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Item({})", self.number)
    }
}
