//! A semaphore for each key, for as long as somebody uses it.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Semaphore;
use crate::hashed::{Hashed, HashedMap, Key, Probe};
use crate::sync::{Mutex, lock};

/// Locks that keys are spread over. A power of two.
const SHARDS: usize = 16;

/// The semaphores, shared by all clones. A key is there while it has leases.
pub(super) struct Keys<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    permits: NonZeroUsize,
    /// How many keys there are, in all shards.
    len: AtomicUsize,
    hasher: RandomState,
    shards: [Mutex<HashedMap<K, Slot>>; SHARDS],
}

struct Slot {
    semaphore: Semaphore,
    leases: usize,
}

/// A key's place. It goes when the last lease of the key is dropped.
pub(super) struct Lease<K: Hash + Eq> {
    shared: Arc<Shared<K>>,
    key: Hashed<K>,
}

impl<K> Keys<K> {
    /// Semaphores of so many permits each.
    pub(super) fn new(permits: NonZeroUsize) -> Self {
        let shards = std::array::from_fn(|_| Mutex::new(HashedMap::default()));
        let (len, hasher) = (AtomicUsize::new(0), RandomState::new());
        Keys { shared: Arc::new(Shared { permits, len, hasher, shards }) }
    }

    pub(super) fn len(&self) -> usize {
        self.shared.len.load(Ordering::Relaxed)
    }
}

impl<K: Hash + Eq + Clone> Keys<K> {
    /// The semaphore of `key`, unless that would be one more than `max` keys. It is not to be used
    /// without its lease: another one may take its place.
    pub(super) fn lease(&self, key: K, max: usize) -> Option<(Semaphore, Lease<K>)> {
        let shared = &self.shared;
        let key = Hashed { hash: shared.hasher.hash_one(&key), key };
        let semaphore = shared.enter(&key).or_else(|| shared.insert(&key, max))?;
        Some((semaphore, Lease { shared: Arc::clone(shared), key }))
    }
}

impl<K> Shared<K> {
    /// By bits that the map inside makes the least of.
    fn shard(&self, hash: u64) -> &Mutex<HashedMap<K, Slot>> {
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

impl<K: Hash + Eq> Shared<K> {
    /// One more lease of a key that is there.
    fn enter(&self, key: &Hashed<K>) -> Option<Semaphore> {
        let probe = Probe { hash: key.hash, key: &key.key };
        let mut shard = lock(self.shard(key.hash));
        let slot = shard.get_mut(&probe as &dyn Key<K>)?;
        slot.leases += 1;
        Some(slot.semaphore.clone())
    }

    /// The first lease of a key, unless another thread was faster.
    #[cold]
    #[inline(never)]
    fn insert(&self, key: &Hashed<K>, max: usize) -> Option<Semaphore>
    where
        K: Clone,
    {
        // Without the lock: a clone and a drop may do anything.
        let new = Hashed { hash: key.hash, key: key.key.clone() };
        let semaphore = Semaphore::new(self.permits.get());
        let mut shard = lock(self.shard(key.hash));
        if let Some(slot) = shard.get_mut(&new as &dyn Key<K>) {
            slot.leases += 1;
            let semaphore = slot.semaphore.clone();
            drop(shard);
            return Some(semaphore);
        }
        // The count orders nothing: what is in the map is under its lock.
        let one_more = |len| (len < max).then_some(len + 1);
        if self.len.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            drop(shard);
            return None;
        }
        shard.insert(new, Slot { semaphore: semaphore.clone(), leases: 1 });
        Some(semaphore)
    }
}

impl<K: Hash + Eq> Drop for Lease<K> {
    fn drop(&mut self) {
        let mut shard = lock(self.shared.shard(self.key.hash));
        let Some(slot) = shard.get_mut(&self.key as &dyn Key<K>) else { return };
        slot.leases -= 1;
        if slot.leases > 0 {
            return;
        }
        let gone = shard.remove_entry(&self.key as &dyn Key<K>);
        self.shared.len.fetch_sub(1, Ordering::Relaxed);
        drop(shard);
        drop(gone);
    }
}

impl<K> Clone for Keys<K> {
    fn clone(&self) -> Self {
        Keys { shared: Arc::clone(&self.shared) }
    }
}

impl<K> fmt::Debug for Keys<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("permits", &self.shared.permits)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<K: Hash + Eq> fmt::Debug for Lease<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}
