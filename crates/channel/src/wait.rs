//! Who is parked: a list of wakers behind a short lock, touched only when somebody parks or must be
//! woken.
//!
//! A waiter is either one that *commits*: it is a future that, woken, either uses the wake or passes it
//! on when it is dropped; or one that does not: a `Stream` or `Sink` that may never be polled again. A
//! wake for one waiter wakes the first that commits, and all before it that don't, so that a wake is
//! never stuck with somebody who went away.

use std::task::Waker;

use crate::fence;
use crate::layout::{PARKED, STRICT};
use crate::sync::{AtomicU32, Mutex, Ordering, fence, lock};

const NONE: u32 = u32::MAX;

/// A side that parks again before this many items have passed, a few times in a row, parks often.
const OFTEN: u64 = 2048;
/// How many times in a row.
const STREAK: u32 = 4;
/// A side that parks after this many items parks rarely.
const RARELY: u64 = 1 << 16;

/// A waiter's place in the list. It is out of date as soon as the waiter has been woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

struct Entry {
    /// `None`: the entry is free.
    waker: Option<Waker>,
    /// Changes whenever the entry becomes free.
    generation: u32,
    commits: bool,
    previous: u32,
    /// In the list of waiters, or in that of free entries.
    next: u32,
}

struct Inner {
    entries: Vec<Entry>,
    free: u32,
    first: u32,
    last: u32,
    /// How many items had passed when somebody parked last.
    passed: u64,
    streak: u32,
}

/// The waiting list of one side of a channel.
pub(crate) struct WaitList {
    inner: Mutex<Inner>,
}

/// Up to this many are woken per look at the list.
const AT_ONCE: usize = 16;

impl WaitList {
    pub(crate) fn new() -> Self {
        let inner = Inner {
            entries: Vec::new(),
            free: NONE,
            first: NONE,
            last: NONE,
            passed: 0,
            streak: 0,
        };
        WaitList { inner: Mutex::new(inner) }
    }

    /// Puts a waiter in the list, or its new waker in its place. `true`: it was not there before, and has
    /// to look for what it waits for once more; the barrier that this needs has been passed.
    ///
    /// `passed` is how many items have passed so far, for judging whether this side parks often. A waiter
    /// that was woken and found nothing (its key is out of date) goes to the front: it was there first.
    #[cold]
    pub(crate) fn park(
        &self,
        word: &AtomicU32,
        key: &mut Option<Key>,
        waker: &Waker,
        commits: bool,
        passed: u64,
    ) -> bool {
        let mut inner = lock(&self.inner);
        if let Some(entry) = key.and_then(|key| inner.entry(key)) {
            let old = match &entry.waker {
                Some(old) if old.will_wake(waker) => None,
                _ => entry.waker.replace(waker.clone()),
            };
            drop(inner);
            // Outside the lock: it may be the last of its task.
            drop(old);
            return false;
        }
        let lenient = inner.judge(word, passed);
        let front = key.is_some();
        *key = Some(inner.insert(waker.clone(), commits, front));
        // SeqCst, with the fence below: the parker's half of Dekker's protocol.
        word.fetch_or(PARKED, Ordering::SeqCst);
        drop(inner);
        if lenient {
            fence::heavy();
        }
        fence(Ordering::SeqCst);
        true
    }

    /// Ends a wait. `true`: the waiter had been woken, so that, unless it has done what it waited for,
    /// somebody else has to be.
    #[cold]
    pub(crate) fn unpark(&self, word: &AtomicU32, key: Key) -> bool {
        let mut inner = lock(&self.inner);
        if inner.entry(key).is_none() {
            return true;
        }
        let waker = inner.remove(key.index);
        inner.tell(word);
        drop(inner);
        drop(waker);
        false
    }

    /// Wakes up to `count` waiters that commit, and those before them that don't.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake(&self, word: &AtomicU32, mut count: usize) {
        while count > 0 {
            let mut wakers: [Option<Waker>; AT_ONCE] = [const { None }; AT_ONCE];
            let mut found = 0;
            let mut inner = lock(&self.inner);
            while found < AT_ONCE && count > 0 && inner.first != NONE {
                let index = inner.first;
                count -= usize::from(inner.entries[index as usize].commits);
                wakers[found] = inner.remove(index);
                found += 1;
            }
            let empty = inner.first == NONE;
            inner.tell(word);
            drop(inner);
            wakers.into_iter().flatten().for_each(Waker::wake);
            if empty {
                return;
            }
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.inner).entries.iter().filter(|entry| entry.waker.is_some()).count()
    }
}

/// A waiting list with a word of its own, whose publications are strict.
pub(crate) struct Queue {
    list: WaitList,
    word: AtomicU32,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Queue { list: WaitList::new(), word: AtomicU32::new(STRICT) }
    }

    /// See [`WaitList::park`].
    pub(crate) fn park(&self, key: &mut Option<Key>, waker: &Waker) -> bool {
        self.list.park(&self.word, key, waker, true, 0)
    }

    /// Ends a wait. `used`: a wake that came is not passed on.
    pub(crate) fn unpark(&self, key: &mut Option<Key>, used: bool) {
        if let Some(key) = key.take() {
            if self.list.unpark(&self.word, key) && !used {
                self.wake(1);
            }
        }
    }

    /// Wakes up to `count`, after something was published.
    pub(crate) fn wake(&self, count: usize) {
        // SeqCst: pairs with the parker's fence.
        fence(Ordering::SeqCst);
        if self.word.load(Ordering::Relaxed) & PARKED != 0 {
            self.list.wake(&self.word, count);
        }
    }
}

impl Inner {
    fn entry(&mut self, key: Key) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(key.index as usize)?;
        (entry.generation == key.generation && entry.waker.is_some()).then_some(entry)
    }

    fn insert(&mut self, waker: Waker, commits: bool, front: bool) -> Key {
        let index = if self.free == NONE {
            let free =
                Entry { waker: None, generation: 0, commits: false, previous: NONE, next: NONE };
            self.entries.push(free);
            (self.entries.len() - 1) as u32
        } else {
            self.free
        };
        let (first, last) = (self.first, self.last);
        let entry = &mut self.entries[index as usize];
        if self.free == index {
            self.free = entry.next;
        }
        entry.waker = Some(waker);
        entry.commits = commits;
        (entry.previous, entry.next) = if front { (NONE, first) } else { (last, NONE) };
        let key = Key { index, generation: entry.generation };
        if front {
            self.first = index;
            self.set_previous(first, index);
        } else {
            self.last = index;
            self.set_next(last, index);
        }
        key
    }

    /// Takes a waiter out of the list.
    fn remove(&mut self, index: u32) -> Option<Waker> {
        let free = self.free;
        let entry = &mut self.entries[index as usize];
        let (previous, next) = (entry.previous, entry.next);
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = free;
        let waker = entry.waker.take();
        self.free = index;
        self.set_next(previous, next);
        self.set_previous(next, previous);
        waker
    }

    /// Links `index` (or the list's start) to `next`.
    fn set_next(&mut self, index: u32, next: u32) {
        match self.entries.get_mut(index as usize) {
            Some(entry) => entry.next = next,
            None => self.first = next,
        }
    }

    /// Links `index` (or the list's end) back to `previous`.
    fn set_previous(&mut self, index: u32, previous: u32) {
        match self.entries.get_mut(index as usize) {
            Some(entry) => entry.previous = previous,
            None => self.last = previous,
        }
    }

    /// Keeps the parked word true to the list.
    fn tell(&self, word: &AtomicU32) {
        if self.first == NONE {
            // Relaxed: a publisher that still sees the bit finds an empty list.
            word.fetch_and(!PARKED, Ordering::Relaxed);
        }
    }

    /// Decides how the word's publishers and parkers share the cost of their barriers; under the lock.
    /// `true`: the parker has to call [`fence::heavy`].
    fn judge(&mut self, word: &AtomicU32, passed: u64) -> bool {
        if !fence::is_asymmetric() {
            return false;
        }
        let run = passed.wrapping_sub(self.passed);
        self.passed = passed;
        self.streak = if run < OFTEN { self.streak.saturating_add(1) } else { 0 };
        let strict = word.load(Ordering::Relaxed) & STRICT != 0;
        if strict && run > RARELY && self.first == NONE {
            // Nobody is in the list, so that nobody relies on the publishers' barriers.
            word.fetch_and(!STRICT, Ordering::SeqCst);
            return true;
        }
        if !strict && self.streak >= STREAK {
            // One more `heavy`: from then on every publisher sees the bit.
            word.fetch_or(STRICT, Ordering::SeqCst);
            return true;
        }
        !strict
    }
}

#[cfg(all(test, not(ziggurat_loom)))]
mod tests {
    use super::*;
    use futures::task::{ArcWake, waker};
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    struct Count(AtomicUsize);
    impl ArcWake for Count {
        fn wake_by_ref(this: &Arc<Self>) {
            this.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counter() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        (count.clone(), waker(count))
    }

    fn count(c: &Count) -> usize {
        c.0.load(Ordering::SeqCst)
    }

    #[test]
    fn wakes_in_order_and_passes_over_those_that_do_not_commit() {
        let (list, word) = (WaitList::new(), AtomicU32::new(STRICT));
        let waiters: Vec<_> = (0..4).map(|_| counter()).collect();
        let mut keys = [None; 4];
        for (i, (_, waker)) in waiters.iter().enumerate() {
            assert!(list.park(&word, &mut keys[i], waker, i % 2 == 1, 0));
        }
        list.wake(&word, 1);
        let counts = || waiters.iter().map(|(c, _)| count(c)).collect::<Vec<_>>();
        assert_eq!(counts(), [1, 1, 0, 0]);
        assert_eq!(word.load(Ordering::Relaxed) & PARKED, PARKED);
        list.wake(&word, 5);
        assert_eq!(counts(), [1, 1, 1, 1]);
        assert_eq!(word.load(Ordering::Relaxed) & PARKED, 0);
    }

    #[test]
    fn a_waiter_that_found_nothing_keeps_its_place() {
        let (list, word) = (WaitList::new(), AtomicU32::new(STRICT));
        let ((a, a_waker), (b, b_waker)) = (counter(), counter());
        let (mut first, mut second) = (None, None);
        list.park(&word, &mut first, &a_waker, true, 0);
        list.park(&word, &mut second, &b_waker, true, 0);
        list.wake(&word, 1);
        assert!(list.park(&word, &mut first, &a_waker, true, 0));
        list.wake(&word, 1);
        assert_eq!((count(&a), count(&b)), (2, 0));
    }

    #[test]
    fn whoever_leaves_says_whether_it_was_woken() {
        let (list, word) = (WaitList::new(), AtomicU32::new(STRICT));
        let (c, waker) = counter();
        let (mut a, mut b) = (None, None);
        list.park(&word, &mut a, &waker, true, 0);
        list.park(&word, &mut b, &waker, true, 0);
        list.wake(&word, 1);
        assert!(list.unpark(&word, a.expect("parked")));
        assert!(!list.unpark(&word, b.expect("parked")));
        assert_eq!((list.len(), word.load(Ordering::Relaxed) & PARKED), (0, 0));
        assert_eq!(count(&c), 1);
        // The entries are used again, under other names.
        let mut again = None;
        list.park(&word, &mut again, &waker, true, 0);
        assert_ne!(again, a);
        assert_ne!(again, b);
    }
}
