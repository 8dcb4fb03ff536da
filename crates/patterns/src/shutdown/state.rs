//! What is under way, whether the shutdown has begun, and who wants to know.
//!
//! One word holds the count and two bits. Who waits leaves a waker and then reads the word; who changes
//! the word wakes after that. The wakers are in slots, each of which is made once, under a lock, by
//! something that has to wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use super::Refused;
use crate::sync::{AtomicU64, AtomicWaker, Mutex, Ordering, lock};

pub(super) const BEGUN: u64 = 1;
pub(super) const ABORTED: u64 = 2;
/// One that is under way.
const ONE: u64 = 4;
/// Not a bit of the word: what those are woken for who wait until nothing is under way.
pub(super) const DRAINED: u64 = 4;

/// The state of a shutdown.
#[derive(Debug)]
pub struct State {
    word: AtomicU64,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    next: u64,
    slots: BTreeMap<u64, Slot>,
}

#[derive(Debug)]
struct Slot {
    /// What it is woken for.
    events: u64,
    waker: Arc<AtomicWaker>,
}

impl State {
    /// Nothing has begun, and nothing is under way.
    pub fn new() -> Self {
        State { word: AtomicU64::new(0), slots: Mutex::default() }
    }

    /// Whether any of the bits is set.
    #[inline]
    pub fn has(&self, bits: u64) -> bool {
        // Acquire, so that who sees the shutdown sees what led to it.
        self.word.load(Ordering::Acquire) & bits != 0
    }

    /// How much is under way.
    #[inline]
    pub fn in_flight(&self) -> u64 {
        // Acquire pairs with the release in `exit`: who sees nothing under way sees all that was done.
        self.word.load(Ordering::Acquire) / ONE
    }

    /// Counts one more, unless the shutdown has begun.
    #[inline]
    pub fn enter(&self) -> Result<(), Refused> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & BEGUN != 0 {
                return Err(Refused);
            }
            let relaxed = Ordering::Relaxed;
            match self.word.compare_exchange_weak(word, word + ONE, relaxed, relaxed) {
                Ok(_) => return Ok(()),
                Err(current) => word = current,
            }
        }
    }

    /// Counts one less. The last one after the beginning wakes who waits for that.
    #[inline]
    pub fn exit(&self) {
        // Acquire too: the last one passes on what the others did.
        let word = self.word.fetch_sub(ONE, Ordering::AcqRel);
        if word & BEGUN != 0 && word / ONE == 1 {
            self.wake(DRAINED);
        }
    }

    /// Begins, and aborts with that bit. The beginning refuses all that is new in the same step that
    /// tells how much is under way.
    pub fn set(&self, bits: u64) {
        let bits = bits | BEGUN;
        let new = bits & !self.word.fetch_or(bits, Ordering::AcqRel);
        if new != 0 {
            self.wake(new);
        }
    }

    #[cold]
    fn wake(&self, events: u64) {
        // Wakers may do anything, also come back here.
        let slots = lock(&self.slots);
        let due = slots.slots.values().filter(|slot| slot.events & events != 0);
        let due: Vec<_> = due.map(|slot| Arc::clone(&slot.waker)).collect();
        drop(slots);
        due.iter().for_each(|waker| waker.wake());
    }
}

/// What something that may be under way holds: a count, if it has entered, and a place for its task's
/// waker. A clone has neither.
#[derive(Debug)]
pub struct Watch {
    state: Arc<State>,
    entered: bool,
    events: u64,
    slot: Option<(u64, Arc<AtomicWaker>)>,
}

impl Watch {
    /// Nothing under way yet, and to be woken for some of the events.
    pub fn new(state: Arc<State>, events: u64) -> Self {
        Watch { state, entered: false, events, slot: None }
    }

    #[inline]
    pub(super) fn has(&self, bits: u64) -> bool {
        self.state.has(bits)
    }

    #[inline]
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Leaves a waker. The caller then looks at the state once more.
    #[inline(never)]
    pub fn register(&mut self, waker: &Waker) {
        let (_, place) = self.slot.get_or_insert_with(|| {
            let place = Arc::new(AtomicWaker::new());
            let slot = Slot { events: self.events, waker: Arc::clone(&place) };
            let mut slots = lock(&self.state.slots);
            let id = slots.next;
            slots.next += 1;
            slots.slots.insert(id, slot);
            (id, place)
        });
        place.register(waker);
    }

    /// Counts it as under way, if it is not yet.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<(), Refused> {
        if !self.entered {
            self.state.enter()?;
            self.entered = true;
        }
        Ok(())
    }

    /// It is over.
    #[inline]
    pub(super) fn exit(&mut self) {
        if std::mem::take(&mut self.entered) {
            self.state.exit();
        }
    }

    /// It is over, and waits for nothing more.
    #[inline]
    pub(super) fn finish(&mut self) {
        if self.slot.is_some() {
            self.clear();
        }
        self.exit();
    }

    /// Removes the waker, if there is one.
    #[inline(never)]
    fn clear(&mut self) {
        if let Some((id, place)) = self.slot.take() {
            let removed = lock(&self.state.slots).slots.remove(&id);
            drop((removed, place));
        }
    }
}

impl Clone for Watch {
    fn clone(&self) -> Self {
        Watch::new(Arc::clone(&self.state), self.events)
    }
}

impl Drop for Watch {
    #[inline]
    fn drop(&mut self) {
        self.finish();
    }
}
