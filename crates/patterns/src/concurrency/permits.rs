//! The count of a semaphore, and the queue of those who wait.
//!
//! One word holds the permits that are free, and two bits: that the semaphore is closed, and that the
//! slow path is to be taken, since somebody waits or permits are owed. With that bit set, only the
//! holder of the lock takes permits; anybody may add some, and then has to take the lock and hand them
//! out.
//!
//! # Why no wake is lost
//!
//! A waiter sets the bit with the lock held, by a read-modify-write that tells it the permits that are
//! free. A release is a read-modify-write of the same word. If it comes first, the waiter sees the
//! permit; if it comes second, it sees the bit, and finds the waiter when it gets the lock.

use std::collections::BTreeMap;
use std::task::{Poll, Waker};

use super::TryAcquireError;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, lock};

const CLOSED: u64 = 1;
const SLOW: u64 = 2;
/// One permit.
const ONE: u64 = 4;

/// The most permits that are free at one time.
pub(super) const MAX: u64 = u64::MAX >> 4;

/// The state of a semaphore.
#[derive(Debug)]
pub struct Permits {
    word: AtomicU64,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// By their tickets, which are in the order of arrival. Those that have their permits, and don't
    /// know it yet, come first.
    entries: BTreeMap<u64, Entry>,
    /// How many of them have none yet.
    waiting: usize,
    /// The lowest ticket that may have none yet.
    first_waiting: u64,
    /// Permits that were taken away while they were in use.
    owed: u64,
}

#[derive(Debug)]
struct Entry {
    permits: u64,
    granted: bool,
    waker: Option<Waker>,
}

/// Those to wake when the lock is free again.
type Wakes = Vec<Waker>;

/// Why there is no place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As many wait as may.
    Full,
    /// The semaphore is closed.
    Closed,
}

impl Permits {
    /// So many, all free.
    pub fn new(permits: u64) -> Self {
        Permits { word: AtomicU64::new(permits.min(MAX) * ONE), queue: Mutex::default() }
    }

    /// How many are free.
    pub fn available(&self) -> u64 {
        self.word.load(Ordering::Acquire) / ONE
    }

    pub(super) fn waiting(&self) -> usize {
        lock(&self.queue).waiting
    }

    pub(super) fn is_closed(&self) -> bool {
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Takes permits, if there are and nobody waits.
    #[inline]
    pub fn try_take(&self, permits: u64) -> Result<(), TryAcquireError> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & CLOSED != 0 {
                return Err(TryAcquireError::Closed);
            }
            if word & SLOW != 0 || word / ONE < permits {
                return Err(TryAcquireError::NoPermits);
            }
            // Acquire pairs with the release in `give`: who gets a permit sees what was done under it
            // before.
            let (new, acquire) = (word - permits * ONE, Ordering::Acquire);
            match self.word.compare_exchange_weak(word, new, acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(current) => word = current,
            }
        }
    }

    /// As `try_take`, and not put off by somebody who only passes through the slow path.
    #[inline]
    pub fn try_take_now(&self, permits: u64) -> Result<(), TryAcquireError> {
        match self.try_take(permits) {
            Err(TryAcquireError::NoPermits) => self.try_again(permits),
            taken => taken,
        }
    }

    #[cold]
    #[inline(never)]
    fn try_again(&self, permits: u64) -> Result<(), TryAcquireError> {
        loop {
            let word = self.word.load(Ordering::Acquire);
            if word & SLOW != 0 {
                // Without the lock, that bit does not tell a queue from somebody who looks whether there
                // is one. With it, the bit is set only if there is a queue or a debt.
                let _queue = lock(&self.queue);
                return self.try_take(permits);
            }
            if word & CLOSED == 0 && word / ONE < permits {
                return Err(TryAcquireError::NoPermits);
            }
            match self.try_take(permits) {
                Err(TryAcquireError::NoPermits) => {}
                taken => return taken,
            }
        }
    }

    /// A waiter's poll: it gets a ticket with the first one, unless `max_waiting` have one already, and
    /// loses it with its permits.
    pub fn poll_take(
        &self,
        ticket: &mut Option<u64>,
        permits: u64,
        max_waiting: usize,
        waker: &Waker,
    ) -> Poll<Result<(), Refused>> {
        // Cloned before the lock is taken, and the old one dropped after it: both call out.
        let waker = waker.clone();
        let mut queue = lock(&self.queue);
        let Some(id) = *ticket else {
            return self.enter(queue, ticket, permits, max_waiting, waker);
        };
        let entry = queue.entries.get_mut(&id).expect("a ticket has an entry");
        let granted = entry.granted;
        if !granted && !self.is_closed() {
            let old = entry.waker.replace(waker);
            drop(queue);
            drop(old);
            return Poll::Pending;
        }
        *ticket = None;
        let old = queue.remove(id);
        let wakes = self.settle(&mut queue);
        drop(queue);
        drop(old);
        wakes.into_iter().for_each(Waker::wake);
        Poll::Ready(if granted { Ok(()) } else { Err(Refused::Closed) })
    }

    fn enter(
        &self,
        mut queue: MutexGuard<'_, Queue>,
        ticket: &mut Option<u64>,
        permits: u64,
        max_waiting: usize,
        waker: Waker,
    ) -> Poll<Result<(), Refused>> {
        // From here on nobody takes permits without the lock.
        let word = self.word.fetch_or(SLOW, Ordering::Acquire);
        let result = if word & CLOSED != 0 {
            Poll::Ready(Err(Refused::Closed))
        } else if queue.waiting == 0 && queue.owed == 0 && word / ONE >= permits {
            self.word.fetch_sub(permits * ONE, Ordering::Acquire);
            Poll::Ready(Ok(()))
        } else if queue.waiting >= max_waiting {
            Poll::Ready(Err(Refused::Full))
        } else {
            *ticket = Some(queue.push(permits, waker));
            Poll::Pending
        };
        let wakes = self.settle(&mut queue);
        drop(queue);
        wakes.into_iter().for_each(Waker::wake);
        result
    }

    /// Gives a waiter's place up, with its permits if it has got them.
    pub fn leave(&self, id: u64) {
        let mut queue = lock(&self.queue);
        let Some(entry) = queue.remove(id) else { return };
        if entry.granted {
            self.word.fetch_add(entry.permits * ONE, Ordering::Release);
        }
        // It may have been the first, and wanted more than the next one does.
        let wakes = self.settle(&mut queue);
        drop(queue);
        drop(entry);
        wakes.into_iter().for_each(Waker::wake);
    }

    /// Gives permits back, or adds new ones.
    #[inline]
    pub fn give(&self, permits: u64) {
        let word = self.word.fetch_add(permits * ONE, Ordering::Release);
        if word & SLOW != 0 {
            self.hand_out();
        }
    }

    /// As `give`, for permits that were never taken: no more than [`MAX`] in all.
    pub(super) fn add(&self, permits: u64) {
        let room = MAX.saturating_sub(self.available());
        self.give(permits.min(room));
    }

    #[inline(never)]
    fn hand_out(&self) {
        let mut queue = lock(&self.queue);
        let wakes = self.settle(&mut queue);
        drop(queue);
        wakes.into_iter().for_each(Waker::wake);
    }

    /// Takes permits away: those that are free now, and the others when they are given back.
    pub fn forget(&self, permits: u64) {
        let mut queue = lock(&self.queue);
        self.word.fetch_or(SLOW, Ordering::Relaxed);
        queue.owed = queue.owed.saturating_add(permits);
        let wakes = self.settle(&mut queue);
        drop(queue);
        wakes.into_iter().for_each(Waker::wake);
    }

    /// Admits nobody any more. Who waits is woken.
    pub fn close(&self) {
        let mut queue = lock(&self.queue);
        self.word.fetch_or(CLOSED, Ordering::AcqRel);
        let waiting = queue.entries.values_mut().filter(|entry| !entry.granted);
        let wakes: Wakes = waiting.filter_map(|entry| entry.waker.take()).collect();
        drop(queue);
        wakes.into_iter().for_each(Waker::wake);
    }

    /// Pays debts and serves the first in line, as far as there are permits; and leaves the slow path
    /// if nobody is left. The bit is set, so nobody else takes any. Does not allocate if it wakes
    /// nobody.
    fn settle(&self, queue: &mut Queue) -> Wakes {
        let mut wakes = Wakes::new();
        let word = self.word.load(Ordering::Acquire);
        let mut free = word / ONE;
        let paid = free.min(queue.owed);
        queue.owed -= paid;
        free -= paid;
        let mut taken = paid;
        // Those who wait for a closed one are on their way out.
        let open = word & CLOSED == 0;
        while let Some(entry) = queue.first_waiting().filter(|entry| open && entry.permits <= free)
        {
            free -= entry.permits;
            taken += entry.permits;
            entry.granted = true;
            wakes.extend(entry.waker.take());
            queue.waiting -= 1;
        }
        self.word.fetch_sub(taken * ONE, Ordering::AcqRel);
        if queue.waiting == 0 && queue.owed == 0 {
            self.word.fetch_and(!SLOW, Ordering::AcqRel);
        }
        wakes
    }
}

impl Queue {
    fn push(&mut self, permits: u64, waker: Waker) -> u64 {
        let id = self.next;
        self.next += 1;
        self.waiting += 1;
        self.entries.insert(id, Entry { permits, granted: false, waker: Some(waker) });
        id
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.waiting -= usize::from(!entry.granted);
        Some(entry)
    }

    /// The first that has no permits yet.
    fn first_waiting(&mut self) -> Option<&mut Entry> {
        let found = self.entries.range(self.first_waiting..).find(|(_, entry)| !entry.granted);
        self.first_waiting = found.map_or(self.next, |(id, _)| *id);
        self.entries.get_mut(&self.first_waiting)
    }
}
