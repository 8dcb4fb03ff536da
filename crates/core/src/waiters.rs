//! Those who wait for a pool's block. Only touched when the pool is exhausted.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// A list behind a lock.
pub(crate) struct Waiters {
    list: Mutex<WaiterList>,
}

struct WaiterList {
    next_id: u64,
    waiting: VecDeque<(u64, Waker)>,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        // Room for a few, so that waiting does not allocate in the common case.
        let waiting = VecDeque::with_capacity(4);
        Waiters { list: Mutex::new(WaiterList { next_id: 0, waiting }) }
    }

    fn lock(&self) -> MutexGuard<'_, WaiterList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a waker, in the place of the one that was left under `id`.
    pub(crate) fn register(&self, id: &mut Option<u64>, waker: &Waker) {
        // Cloned before, and the old one dropped after: both call out, which must not happen under the
        // lock.
        let waker = waker.clone();
        let mut list = self.lock();
        let place = id.and_then(|id| list.waiting.iter().position(|(i, _)| *i == id));
        let old = match place {
            Some(at) => Some(std::mem::replace(&mut list.waiting[at].1, waker)),
            None => {
                list.next_id += 1;
                let new = list.next_id;
                *id = Some(new);
                list.waiting.push_back((new, waker));
                None
            }
        };
        drop(list);
        drop(old);
    }

    /// Forgets the waker that was left under `id`, if it is still there.
    pub(crate) fn remove(&self, id: u64) {
        let mut list = self.lock();
        let removed = list.waiting.iter().position(|(i, _)| *i == id);
        let removed = removed.and_then(|at| list.waiting.remove(at));
        // As in `register`.
        drop(list);
        drop(removed);
    }

    /// Wakes all who wait now. Those who find nothing come back, and say so again.
    pub(crate) fn wake_all(&self) {
        let count = self.lock().waiting.len();
        for _ in 0..count {
            // One at a time: the lock is not held while calling out.
            let Some((_, waker)) = self.lock().waiting.pop_front() else { return };
            waker.wake();
        }
    }
}
