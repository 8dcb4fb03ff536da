//! Polling the source for all groups.

use std::collections::HashMap;
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
        if let Some(key) = self.keys[slot].take() {
            self.slots.remove(&key);
        }
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
        let engine =
            Engine { source: Box::pin(source), key, slots: HashMap::new(), keys: Vec::new() };
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
        let dead = std::mem::take(&mut shared.state.dead);
        let orphans = std::mem::take(&mut shared.state.orphans);
        drop(shared);
        let mut turn = Turn { core: self, engine: Some(engine) };
        // Before the poll, so that its wake finds us.
        self.waits.begin(id, cx.waker());
        *registered = true;
        self.chores(turn.engine(), dead, orphans);
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
    fn chores(&self, engine: &mut Engine<St, K, F>, dead: Vec<usize>, orphans: Vec<usize>) {
        if dead.is_empty() && orphans.is_empty() {
            return;
        }
        dead.iter().for_each(|slot| engine.forget(*slot));
        let key = |slot: usize| engine.keys[slot].clone().expect("it has a group");
        let again: Vec<_> = orphans.into_iter().map(|slot| (key(slot), slot)).collect();
        let mut shared = self.lock();
        dead.into_iter().for_each(|slot| shared.state.release(slot));
        shared.state.announced.extend(again);
        drop(shared);
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
                engine.forget(slot);
                self.lock().state.release(slot);
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
                engine.forget(evicted);
                self.waits.wake_one(evicted + 1);
                shared = self.lock();
                opened = shared.state.open();
            }
        }
        let Some(slot) = opened else {
            shared.state.failed = Some(GroupError::TooManyGroups { key, item });
            return (Some(GROUPS), None);
        };
        shared.state.announced.push_back((key, slot));
        let pushed = shared.state.push(slot, item);
        debug_assert!(matches!(pushed, Ok(Routed::Queued(_))), "a new group has room");
        drop(shared);
        engine.bind(copies.0, copies.1, slot);
        (Some(GROUPS), None)
    }
}
