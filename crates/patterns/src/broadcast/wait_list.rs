//! The wakers of those who wait for a shared source, and the waker that the source is given.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::sync::{Mutex, MutexGuard, lock};

/// Who waits, by number. It is the source's waker too: a wake of the source wakes all of them, and the
/// first to be polled polls the source. So none depends on another one being polled.
///
/// It is apart from the source, which keeps a waker and would otherwise keep itself alive.
#[derive(Default)]
pub(crate) struct WaitList {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    waiting: Vec<Option<Waker>>,
    /// How many of these are `Some`.
    count: usize,
    /// There was a wake since `begin`.
    woken: bool,
    /// Where wakers are put to be woken outside the lock: kept, so that it is allocated once.
    spare: Vec<Waker>,
}

impl WaitList {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Leaves the waker of one of them.
    pub(crate) fn register(&self, id: usize, waker: &Waker) {
        self.register_and(id, waker, false);
    }

    /// As `register`, for the one that is going to poll the source: from here on wakes are noted.
    pub(crate) fn begin(&self, id: usize, waker: &Waker) {
        self.register_and(id, waker, true);
    }

    fn register_and(&self, id: usize, waker: &Waker, begin: bool) {
        let mut inner = self.inner();
        if begin {
            inner.woken = false;
        }
        if inner.waiting.len() <= id {
            inner.waiting.resize(id + 1, None);
        }
        if inner.waiting[id].as_ref().is_some_and(|old| old.will_wake(waker)) {
            return;
        }
        drop(inner);
        // Cloned and dropped outside the lock. Nobody else registers this id meanwhile.
        let waker = waker.clone();
        let mut inner = self.inner();
        let old = inner.waiting[id].replace(waker);
        inner.count += usize::from(old.is_none());
        drop(inner);
        drop(old);
    }

    /// Whether there was a wake since `begin`.
    pub(crate) fn was_woken(&self) -> bool {
        self.inner().woken
    }

    /// One is no longer there.
    pub(crate) fn remove(&self, id: usize) {
        let mut inner = self.inner();
        let old = inner.waiting.get_mut(id).and_then(Option::take);
        inner.count -= usize::from(old.is_some());
        drop(inner);
        drop(old);
    }

    /// Wakes one of them.
    pub(crate) fn wake_one(&self, id: usize) {
        let mut inner = self.inner();
        let waker = inner.waiting.get_mut(id).and_then(Option::take);
        inner.count -= usize::from(waker.is_some());
        drop(inner);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Wakes all.
    pub(crate) fn wake_all(&self) {
        self.wake_except(usize::MAX);
    }

    /// Wakes all but one.
    pub(crate) fn wake_except(&self, id: usize) {
        self.wake_from(self.inner(), id);
    }

    fn wake_from(&self, mut inner: MutexGuard<'_, Inner>, except: usize) {
        let kept = usize::from(inner.waiting.get(except).is_some_and(Option::is_some));
        if inner.count == kept {
            return;
        }
        let mut wakers = std::mem::take(&mut inner.spare);
        let Inner { waiting, .. } = &mut *inner;
        let others = waiting.iter_mut().enumerate().filter(|(other, _)| *other != except);
        wakers.extend(others.filter_map(|(_, waker)| waker.take()));
        inner.count = kept;
        drop(inner);
        wakers.drain(..).for_each(Waker::wake);
        let mut inner = self.inner();
        if inner.spare.capacity() < wakers.capacity() {
            std::mem::swap(&mut inner.spare, &mut wakers);
        }
    }
}

impl Wake for WaitList {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut inner = self.inner();
        inner.woken = true;
        self.wake_from(inner, usize::MAX);
    }
}
