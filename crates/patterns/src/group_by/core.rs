//! Polling the source for all groups.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::GroupError;
use super::policy::Config;
use super::state::{GROUPS, Routed, State, Status};
use crate::broadcast::WaitList;
use crate::sync::{Mutex, MutexGuard, lock};

/// What the stream of groups and the groups share.
pub(super) struct Core<St: Stream, K, F> {
    shared: Mutex<Shared<St, K, F>>,
    pub(super) waits: Arc<WaitList>,
    waker: Waker,
}

pub(super) struct Shared<St: Stream, K, F> {
    pub(super) state: State<K, St::Item>,
    /// Taken out by whoever polls the source: the source, the caller's closure and the keys' `Hash` and
    /// `Eq` are not called under the lock.
    pub(super) engine: Option<Box<Engine<St, K, F>>>,
}

/// The source, and which key has which slot.
pub(super) struct Engine<St, K, F> {
    pub(super) source: Pin<Box<St>>,
    key: F,
    slots: HashMap<K, usize>,
    keys: Vec<Option<K>>,
    /// What is left to do. The caller's keys may panic: what was not done then is done with the next
    /// poll, before anything is taken from the source.
    chores: Chores,
}

/// Slots whose keys are to be seen to.
#[derive(Default)]
struct Chores {
    /// Of evicted groups: their keys are to be forgotten.
    evicted: Vec<usize>,
    /// Of groups that were opened, but whose key could not be bound to them.
    unbound: Vec<usize>,
    /// As [`State::dead`].
    dead: Vec<usize>,
    /// As [`State::orphans`].
    orphans: VecDeque<usize>,
}

impl Chores {
    fn is_empty(&self) -> bool {
        let slots = [&self.evicted, &self.unbound, &self.dead];
        slots.iter().all(|slots| slots.is_empty()) && self.orphans.is_empty()
    }
}

impl<St, K: Hash + Eq, F> Engine<St, K, F> {
    fn bind(&mut self, key: K, copy: K, slot: usize) {
        if self.keys.len() <= slot {
            self.keys.resize_with(slot + 1, || None);
        }
        self.keys[slot] = Some(copy);
        self.slots.insert(key, slot);
    }

    fn forget(&mut self, slot: usize) {
        // The map first: if that panics, the key is still there for the next time.
        let entry = self.keys.get(slot).and_then(Option::as_ref);
        let gone = entry.and_then(|key| self.slots.remove_entry(key));
        let copy = self.keys.get_mut(slot).and_then(Option::take);
        drop((gone, copy));
    }
}

/// Puts the engine back, whatever happens.
struct Turn<'a, St: Stream, K, F> {
    core: &'a Core<St, K, F>,
    engine: Option<Box<Engine<St, K, F>>>,
}

impl<St: Stream, K, F> Turn<'_, St, K, F> {
    fn engine(&mut self) -> &mut Engine<St, K, F> {
        self.engine.as_mut().expect("there until it is given back")
    }

    fn give_back(&mut self) -> MutexGuard<'_, Shared<St, K, F>> {
        let mut shared = self.core.lock();
        if let Some(engine) = &mut self.engine {
            // Known to all: that there are some keeps the stream from its end.
            shared.state.dead.append(&mut engine.chores.dead);
            shared.state.orphans.extend(engine.chores.orphans.drain(..));
        }
        shared.engine = self.engine.take();
        shared
    }
}

impl<St: Stream, K, F> Drop for Turn<'_, St, K, F> {
    fn drop(&mut self) {
        if self.engine.is_some() {
            // Something of the caller's has panicked. The others are to find out for themselves.
            drop(self.give_back());
            self.core.waits.wake_all();
        }
    }
}

impl<St: Stream, K, F> Core<St, K, F> {
    pub(super) fn new(source: St, key: F, config: Config) -> Arc<Self> {
        let waits = Arc::new(WaitList::default());
        let waker = Waker::from(Arc::clone(&waits));
        let engine = Engine {
            source: Box::pin(source),
            key,
            slots: HashMap::new(),
            keys: Vec::new(),
            chores: Chores::default(),
        };
        let shared = Shared { state: State::new(config), engine: Some(Box::new(engine)) };
        Arc::new(Core { shared: Mutex::new(shared), waits, waker })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shared<St, K, F>> {
        lock(&self.shared)
    }

    pub(super) fn into_shared(self) -> Shared<St, K, F> {
        self.shared.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<St, K, F> Core<St, K, F>
where
    St: Stream,
    K: Hash + Eq + Clone,
    F: FnMut(&St::Item) -> K,
{
    /// Opens a group before anything is polled.
    pub(super) fn preset(&self, key: K) -> usize {
        let mut shared = self.lock();
        let slot = shared.state.open().expect("there is room");
        let engine = shared.engine.as_mut().expect("nobody polls yet");
        engine.bind(key.clone(), key, slot);
        slot
    }

    /// Makes progress for all, on behalf of `id`, who found nothing under the lock that it gives. Ready
    /// when it is to look again. `registered` is kept between calls of one poll.
    pub(super) fn poll(
        &self,
        id: usize,
        cx: &Context<'_>,
        mut shared: MutexGuard<'_, Shared<St, K, F>>,
        registered: &mut bool,
    ) -> Poll<()> {
        let held = shared.state.is_held();
        let engine = if held && !shared.state.has_chores() { None } else { shared.engine.take() };
        let Some(engine) = engine else {
            drop(shared);
            // Held, or somebody polls at this moment. Outside the lock, and then we look again.
            if std::mem::replace(registered, true) {
                return Poll::Pending;
            }
            self.waits.register(id, cx.waker());
            return Poll::Ready(());
        };
        let mut turn = Turn { core: self, engine: Some(engine) };
        let chores = &mut turn.engine().chores;
        chores.dead.append(&mut shared.state.dead);
        chores.orphans.extend(shared.state.orphans.drain(..));
        drop(shared);
        // Before the poll, so that its wake finds us.
        self.waits.begin(id, cx.waker());
        *registered = true;
        self.chores(turn.engine());
        if held {
            drop(turn.give_back());
            return Poll::Ready(());
        }
        let mut source_cx = Context::from_waker(&self.waker);
        match turn.engine().source.as_mut().poll_next(&mut source_cx) {
            // Others may have seen it taken, and gone to sleep after the wake.
            Poll::Pending => {
                drop(turn.give_back());
                if self.waits.was_woken() {
                    self.waits.wake_all();
                }
                Poll::Pending
            }
            Poll::Ready(None) => {
                turn.give_back().state.ended = true;
                self.waits.wake_except(id);
                Poll::Ready(())
            }
            Poll::Ready(Some(item)) => {
                let (wake, dropped) = self.route(turn.engine(), item);
                drop(turn.give_back());
                // Before the drop: that is the user's, and may panic.
                wake.into_iter().filter(|other| *other != id).for_each(|other| {
                    self.waits.wake_one(other);
                });
                drop(dropped);
                Poll::Ready(())
            }
        }
    }

    /// Forgets the keys of groups that are gone, and announces anew those that left items.
    fn chores(&self, engine: &mut Engine<St, K, F>) {
        if engine.chores.is_empty() {
            return;
        }
        // Each is crossed off when it is done.
        while let Some(&slot) = engine.chores.evicted.last() {
            engine.forget(slot);
            engine.chores.evicted.pop();
        }
        while let Some(&slot) = engine.chores.unbound.last() {
            engine.forget(slot);
            engine.chores.unbound.pop();
            self.lock().state.undo_open(slot);
        }
        while let Some(&slot) = engine.chores.dead.last() {
            engine.forget(slot);
            engine.chores.dead.pop();
            self.lock().state.release(slot);
        }
        while let Some(&slot) = engine.chores.orphans.front() {
            let key = engine.keys[slot].clone().expect("it has a group");
            engine.chores.orphans.pop_front();
            self.lock().state.announced.push_back((key, slot));
        }
        self.waits.wake_one(GROUPS);
    }

    /// Finds the item's group, or opens one. Returns who is to be woken, and what is to be dropped.
    fn route(
        &self,
        engine: &mut Engine<St, K, F>,
        item: St::Item,
    ) -> (Option<usize>, Option<St::Item>) {
        let key = (engine.key)(&item);
        let mut known = engine.slots.get(&key).copied();
        if let Some(slot) = known {
            let mut shared = self.lock();
            if shared.state.queues[slot].status == Status::Dead {
                // Dropped since the chores were done.
                shared.state.dead.retain(|dead| *dead != slot);
                drop(shared);
                engine.chores.dead.push(slot);
                self.chores(engine);
                known = None;
            } else {
                return match shared.state.push(slot, item) {
                    Ok(Routed::Queued(slot)) => (Some(slot + 1), None),
                    Ok(Routed::Held) => (None, None),
                    Ok(Routed::Discarded(item)) => (None, Some(item)),
                    Err(item) => {
                        shared.state.failed = Some(GroupError::Overflow { key, item });
                        (Some(GROUPS), None)
                    }
                };
            }
        }
        debug_assert!(known.is_none());
        let copies = (key.clone(), key.clone());
        let mut shared = self.lock();
        let mut opened = shared.state.open();
        if opened.is_none() {
            if let Some(evicted) = shared.state.evict() {
                drop(shared);
                self.waits.wake_one(evicted + 1);
                engine.chores.evicted.push(evicted);
                self.chores(engine);
                shared = self.lock();
                opened = shared.state.open();
            }
        }
        let Some(slot) = opened else {
            shared.state.failed = Some(GroupError::TooManyGroups { key, item });
            return (Some(GROUPS), None);
        };
        drop(shared);
        // Undone, unless it is crossed off.
        engine.chores.unbound.push(slot);
        engine.bind(copies.0, copies.1, slot);
        engine.chores.unbound.pop();
        let mut shared = self.lock();
        if shared.state.closed {
            // The stream of groups was dropped meanwhile, and nobody is to get the group.
            shared.state.discarded += 1;
            return (None, Some(item));
        }
        shared.state.announced.push_back((key, slot));
        let pushed = shared.state.push(slot, item);
        debug_assert!(matches!(pushed, Ok(Routed::Queued(_))), "a new group has room");
        (Some(GROUPS), None)
    }
}
