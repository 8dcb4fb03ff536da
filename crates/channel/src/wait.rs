//! Who is parked: a list of wakers behind a short lock, touched only when somebody parks or must be
//! woken.
//!
//! A waiter is either one that *commits*: it is a future that, woken, either uses the wake or passes it
//! on when it is dropped; or one that does not: a `Stream` or `Sink` that may never be polled again. A
//! wake for one waiter wakes the first that commits, and all before it that don't, so that a wake is
//! never stuck with somebody who went away.
//!
//! The list is in the order in which the waiters came. One that was woken, found nothing and comes back
//! gets the place that it had.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::fence;
use crate::home::Home;
use crate::layout::{PARKED, STRICT};
use crate::sync::{AtomicU32, Mutex, MutexGuard, Ordering, fence, lock};

const NONE: u32 = u32::MAX;

/// A side that parks again before this many items have passed, a few times in a row, parks often.
const OFTEN: u64 = 256;
/// How many times in a row.
const STREAK: u32 = 4;
/// A side that parks after this many items parks rarely.
const RARELY: u64 = 512;

/// Whom a waiter of a one-to-one ring waits for.
pub(crate) struct Publisher<'a> {
    /// How many items have passed so far, for judging whether the waiter's side parks often.
    pub(crate) passed: u64,
    pub(crate) home: &'a Home,
}

/// A waiter's entry, which is its own from its first wait to [`unpark`](WaitList::unpark). Nobody else's
/// entry can be taken for it meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// How the other language keeps a key: 0 is none.
#[cfg(feature = "zig")]
impl Key {
    pub(crate) fn from_ticket(ticket: u64) -> Option<Key> {
        let index = (ticket >> 32) as u32;
        Some(Key { index: index.checked_sub(1)?, generation: ticket as u32 })
    }

    pub(crate) fn ticket(self) -> u64 {
        (u64::from(self.index) + 1) << 32 | u64::from(self.generation)
    }
}

struct Entry {
    /// `None`: the waiter has been woken, or there is none.
    waker: Option<Waker>,
    /// Numbers the waiters, from 1 on. 0: the entry is free.
    ticket: u64,
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
    /// Who came back last, if still here. Others that come back have their places nearby.
    returned: u32,
    /// The last ticket that was given out.
    ticket: u64,
    /// How many items had passed when somebody parked last.
    passed: u64,
    streak: u32,
}

/// The waiting list of one side of a channel.
pub(crate) struct WaitList {
    inner: Mutex<Inner>,
}

/// Up to this many more than one are woken without an allocation.
const AT_ONCE: usize = 16;

/// Wakes all of them; the others, too, if one of them panics.
pub(crate) fn wake_all(wakers: impl Iterator<Item = Waker>) {
    struct Rest<I: Iterator<Item = Waker>>(I);
    impl<I: Iterator<Item = Waker>> Drop for Rest<I> {
        fn drop(&mut self) {
            self.0.by_ref().for_each(Waker::wake);
        }
    }
    let mut rest = Rest(wakers);
    rest.0.by_ref().for_each(Waker::wake);
}

impl WaitList {
    pub(crate) fn new() -> Self {
        let inner = Inner {
            entries: Vec::new(),
            free: NONE,
            first: NONE,
            last: NONE,
            returned: NONE,
            ticket: 0,
            passed: 0,
            streak: 0,
        };
        WaitList { inner: Mutex::new(inner) }
    }

    /// Puts a waiter in the list, or its new waker in its place. `true`: it was not there before, and has
    /// to look for what it waits for once more; the barrier that this needs has been passed.
    ///
    /// `publisher`: of a one-to-one ring. A waiter that was woken and found nothing gets its place back.
    #[cold]
    pub(crate) fn park(
        &self,
        word: &AtomicU32,
        key: &mut Option<Key>,
        waker: &Waker,
        commits: bool,
        publisher: Option<Publisher<'_>>,
    ) -> bool {
        let mut inner = lock(&self.inner);
        let mine = key.filter(|key| inner.entry(*key).is_some());
        let entry = mine.and_then(|key| inner.entry(key));
        if let Some(old) = entry.and_then(|entry| entry.waker.as_mut()) {
            if !old.will_wake(waker) {
                let old = std::mem::replace(old, waker.clone());
                drop(inner);
                // Outside the lock: it may be the last of its task.
                drop(old);
            }
            return false;
        }
        // First: it is somebody else's code, which may panic.
        let waker = waker.clone();
        *key = Some(match mine {
            Some(key) => inner.come_back(key, waker),
            None => inner.come(waker, commits),
        });
        // SeqCst, with the fence: the parker's half of Dekker's protocol.
        word.fetch_or(PARKED, Ordering::SeqCst);
        fence::behind_exchange();
        if publisher.is_some_and(|publisher| inner.judge(word, publisher)) {
            drop(inner);
            fence::heavy();
        }
        true
    }

    /// Whether a waiter has been woken since it was put in the list last.
    #[cold]
    pub(crate) fn is_woken(&self, key: Key) -> bool {
        lock(&self.inner).entry(key).is_none_or(|entry| entry.waker.is_none())
    }

    /// Ends a wait. `true`: the waiter had been woken, so that, unless that was for what it has done,
    /// somebody else has to be.
    #[cold]
    pub(crate) fn unpark(&self, word: &AtomicU32, key: Key) -> bool {
        let mut inner = lock(&self.inner);
        if inner.entry(key).is_none() {
            return true;
        }
        let waker = inner.take(key.index);
        inner.free(key.index);
        inner.tell(word);
        drop(inner);
        // Outside the lock, as above.
        waker.is_none()
    }

    /// Wakes up to `count` waiters that commit, and those before them that don't.
    ///
    /// In one look at the list: those that come back while the others are being woken are not meant.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake(&self, word: &AtomicU32, mut count: usize) {
        let mut inner = lock(&self.inner);
        let first = inner.take_first(&mut count);
        if count > 0 && inner.first != NONE {
            return Self::wake_more(inner, word, first, count);
        }
        inner.tell(word);
        drop(inner);
        first.into_iter().for_each(Waker::wake);
    }

    /// Wakes `first`, and up to `count` more.
    #[cold]
    #[inline(never)]
    fn wake_more(
        mut inner: MutexGuard<'_, Inner>,
        word: &AtomicU32,
        first: Option<Waker>,
        mut count: usize,
    ) {
        let mut few: [Option<Waker>; AT_ONCE] = [const { None }; AT_ONCE];
        for place in &mut few {
            *place = inner.take_first(&mut count);
        }
        let many: Vec<_> = std::iter::from_fn(|| inner.take_first(&mut count)).collect();
        inner.tell(word);
        drop(inner);
        wake_all(first.into_iter().chain(few.into_iter().flatten()).chain(many));
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.inner).entries.iter().filter(|entry| entry.waker.is_some()).count()
    }
}

/// A waiting list with a word of its own.
pub(crate) struct Queue {
    list: WaitList,
    word: AtomicU32,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Queue { list: WaitList::new(), word: AtomicU32::new(0) }
    }

    /// See [`WaitList::park`].
    pub(crate) fn park(&self, key: &mut Option<Key>, waker: &Waker) -> bool {
        self.list.park(&self.word, key, waker, true, None)
    }

    /// See [`WaitList::is_woken`]; `false` for one that does not wait.
    pub(crate) fn is_woken(&self, key: Option<Key>) -> bool {
        key.is_some_and(|key| self.list.is_woken(key))
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

/// Waits in a queue whose waiters are all woken at once, until `done` says something.
pub(crate) struct Until<'a, F> {
    queue: &'a Queue,
    key: Option<Key>,
    done: F,
}

impl<'a, F> Until<'a, F> {
    pub(crate) fn new(queue: &'a Queue, done: F) -> Self {
        Until { queue, key: None, done }
    }
}

impl<F> Unpin for Until<'_, F> {}

impl<R, F: FnMut() -> Option<R>> Future for Until<'_, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let Until { queue, key, done } = self.get_mut();
        if let Some(result) = done() {
            return Poll::Ready(result);
        }
        queue.park(key, cx.waker());
        done().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<F> Drop for Until<'_, F> {
    fn drop(&mut self) {
        // Everybody is woken at once, so that there is nothing to pass on.
        self.queue.unpark(&mut self.key, true);
    }
}

impl Inner {
    fn entry(&mut self, key: Key) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(key.index as usize)?;
        (entry.generation == key.generation && entry.ticket != 0).then_some(entry)
    }

    /// Puts a waiter at the end.
    fn come(&mut self, waker: Waker, commits: bool) -> Key {
        if self.free == NONE {
            self.free = self.entries.len() as u32;
            let (generation, next) = (0, NONE);
            let free = Entry { waker: None, ticket: 0, generation, commits, previous: NONE, next };
            self.entries.push(free);
        }
        let index = self.free;
        self.ticket += 1;
        let ticket = self.ticket;
        let entry = &mut self.entries[index as usize];
        self.free = entry.next;
        (entry.waker, entry.ticket, entry.commits) = (Some(waker), ticket, commits);
        let key = Key { index, generation: entry.generation };
        self.link(self.last, index);
        key
    }

    /// Puts a waiter that was woken in the place that it had.
    fn come_back(&mut self, key: Key, waker: Waker) -> Key {
        let entry = &mut self.entries[key.index as usize];
        entry.waker = Some(waker);
        let ticket = entry.ticket;
        self.link(self.last_before(ticket), key.index);
        self.returned = key.index;
        key
    }

    /// The last waiter in the list that came before the one with `ticket`.
    fn last_before(&self, ticket: u64) -> u32 {
        let get = |at: u32| self.entries.get(at as usize);
        let mut at = self.returned;
        while let Some(entry) = get(at).filter(|entry| entry.ticket > ticket) {
            at = entry.previous;
        }
        loop {
            let next = get(at).map_or(self.first, |entry| entry.next);
            match get(next) {
                Some(entry) if entry.ticket < ticket => at = next,
                _ => return at,
            }
        }
    }

    /// Wakes the first waiter, as far as the list is concerned, if `count` is not used up.
    fn take_first(&mut self, count: &mut usize) -> Option<Waker> {
        if *count == 0 {
            return None;
        }
        let first = self.first;
        *count -= usize::from(self.entries.get(first as usize)?.commits);
        self.take(first)
    }

    /// Takes a waiter out of the list, if it is in it. The entry stays the waiter's.
    fn take(&mut self, index: u32) -> Option<Waker> {
        let entry = &mut self.entries[index as usize];
        let waker = entry.waker.take()?;
        let (previous, next) = (entry.previous, entry.next);
        if self.returned == index {
            self.returned = previous;
        }
        self.set_next(previous, next);
        self.set_previous(next, previous);
        Some(waker)
    }

    /// Makes the entry of a waiter that is not in the list anybody's.
    fn free(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.ticket = 0;
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = self.free;
        self.free = index;
    }

    /// Links a waiter behind another (or at the start).
    fn link(&mut self, previous: u32, index: u32) {
        let next = self.entries.get(previous as usize).map_or(self.first, |entry| entry.next);
        let entry = &mut self.entries[index as usize];
        (entry.previous, entry.next) = (previous, next);
        self.set_next(previous, index);
        self.set_previous(next, index);
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

    /// Decides how the word's publishers and parkers share the cost of their barriers; under the lock,
    /// and after the parker's fence. `true`: the parker has to call [`fence::heavy`].
    fn judge(&mut self, word: &AtomicU32, Publisher { passed, home }: Publisher<'_>) -> bool {
        if !fence::is_asymmetric() {
            return false;
        }
        let run = passed.wrapping_sub(self.passed);
        self.passed = passed;
        // Nobody but the parker is in the list, so that nobody relies on the publishers' barriers.
        let alone = self.first == self.last;
        let strict = word.load(Ordering::Relaxed) & STRICT != 0;
        if home.is_here() {
            self.streak = 0;
            if strict && alone {
                word.fetch_and(!STRICT, Ordering::SeqCst);
            }
            return false;
        }
        self.streak = if run < OFTEN { self.streak.saturating_add(1) } else { 0 };
        if strict && run > RARELY && alone {
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
        let (list, word) = (WaitList::new(), AtomicU32::new(0));
        let waiters: Vec<_> = (0..4).map(|_| counter()).collect();
        let mut keys = [None; 4];
        for (i, (_, waker)) in waiters.iter().enumerate() {
            assert!(list.park(&word, &mut keys[i], waker, i % 2 == 1, None));
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
        let (list, word) = (WaitList::new(), AtomicU32::new(0));
        let ((a, a_waker), (b, b_waker)) = (counter(), counter());
        let (mut first, mut second) = (None, None);
        list.park(&word, &mut first, &a_waker, true, None);
        list.park(&word, &mut second, &b_waker, true, None);
        list.wake(&word, 1);
        assert!(list.park(&word, &mut first, &a_waker, true, None));
        list.wake(&word, 1);
        assert_eq!((count(&a), count(&b)), (2, 0));
    }

    #[test]
    fn whoever_leaves_says_whether_it_was_woken() {
        let (list, word) = (WaitList::new(), AtomicU32::new(0));
        let (c, waker) = counter();
        let (mut a, mut b) = (None, None);
        list.park(&word, &mut a, &waker, true, None);
        list.park(&word, &mut b, &waker, true, None);
        list.wake(&word, 1);
        assert!(list.unpark(&word, a.expect("parked")));
        assert!(!list.unpark(&word, b.expect("parked")));
        assert_eq!((list.len(), word.load(Ordering::Relaxed) & PARKED), (0, 0));
        assert_eq!(count(&c), 1);
        // The entries are used again, under other names.
        let mut again = None;
        list.park(&word, &mut again, &waker, true, None);
        assert_ne!(again, a);
        assert_ne!(again, b);
    }
    /// Random comings and goings, against a list that is sorted by hand.
    #[test]
    fn the_order_is_that_of_coming() {
        let (list, word) = (WaitList::new(), AtomicU32::new(0));
        let waiters: Vec<_> = (0..40).map(|_| counter()).collect();
        let mut keys = vec![None; waiters.len()];
        // Those that wait, and those that were woken and have not come back, in order of coming.
        let (mut waiting, mut woken) = (Vec::<(u32, usize)>::new(), Vec::<(u32, usize)>::new());
        let mut random = 1u32;
        for turn in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let i = (random >> 8) as usize % waiters.len();
            let is_waiting = waiting.iter().position(|waiter| waiter.1 == i);
            let was_woken = woken.iter().position(|waiter| waiter.1 == i);
            match (random >> 28, is_waiting, was_woken) {
                (0..5, _, _) if !waiting.is_empty() => {
                    let before = waiters.iter().map(|(c, _)| count(c)).collect::<Vec<_>>();
                    list.wake(&word, 1);
                    let first = waiting.remove(0);
                    woken.push(first);
                    let after = (0..waiters.len()).filter(|&i| count(&waiters[i].0) > before[i]);
                    assert_eq!(after.collect::<Vec<_>>(), [first.1], "turn {turn}");
                }
                (5, Some(at), _) => {
                    waiting.remove(at);
                    assert!(!list.unpark(&word, keys[i].take().expect("parked")));
                }
                (5, _, Some(at)) => {
                    woken.remove(at);
                    assert!(list.unpark(&word, keys[i].take().expect("parked")));
                }
                (_, None, at) => {
                    let came = at.map_or(turn, |at| woken.remove(at).0);
                    waiting.push((came, i));
                    waiting.sort_unstable();
                    assert!(list.park(&word, &mut keys[i], &waiters[i].1, true, None));
                }
                _ => assert!(!list.park(&word, &mut keys[i], &waiters[i].1, true, None)),
            }
            assert_eq!(list.len(), waiting.len());
        }
    }
}
