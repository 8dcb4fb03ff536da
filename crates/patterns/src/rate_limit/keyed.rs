//! A quota for each key.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::mem;
use std::sync::Arc;

use ziggurat_core::time::{DefaultTimer, Timer};

use super::bucket::Bucket;
use super::{Acquire, Quota, RateLimiter, Rejected};
use crate::hashed::{Hashed, HashedMap, Key, Probe};
use crate::sync::{Mutex, lock};

/// Locks that keys are spread over. A power of two.
const SHARDS: usize = 16;

/// The smallest shard that is worth looking through for keys to forget.
const MIN_SWEEP: usize = 64;

/// A limiter for each key: a client's address, a tenant. All have the same quota. Clones share them.
///
/// # Memory
///
/// A key is kept while it can be told from a new one: while it has cells that are not replenished yet,
/// or somebody waits for it or holds its limiter. Others are forgotten when a new key finds its shard
/// twice as large as it was after the last sweep (amortised, constant time per new key), so there are
/// at most about twice as many keys as are in use, and a thousand more.
/// [`retain_recent`](Self::retain_recent) forgets them at once.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use ziggurat_patterns::rate_limit::{KeyedRateLimiter, Quota};
/// use ziggurat_patterns::time::TestClock;
///
/// let clock = TestClock::new();
/// let limiter = KeyedRateLimiter::new(Quota::per_second(NonZeroU32::MIN)).with_timer(clock.clone());
/// assert!(limiter.try_acquire(&"alice", 1).is_ok());
/// assert!(limiter.try_acquire(&"alice", 1).is_err());
/// assert!(limiter.try_acquire(&"bob", 1).is_ok());
/// clock.advance(Duration::from_secs(1));
/// limiter.retain_recent();
/// assert!(limiter.is_empty());
/// ```
pub struct KeyedRateLimiter<K, T = DefaultTimer> {
    timer: T,
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    quota: Quota,
    hasher: RandomState,
    shards: [Mutex<Shard<K>>; SHARDS],
}

struct Shard<K> {
    keys: HashedMap<K, Arc<Bucket>>,
    /// The length at which it is swept next.
    sweep_at: usize,
}

impl<K> KeyedRateLimiter<K> {
    /// A limiter that gives every key `quota`.
    pub fn new(quota: Quota) -> Self {
        KeyedRateLimiter { timer: DefaultTimer, shared: Arc::new(Shared::new(quota)) }
    }
}

impl<K, T> KeyedRateLimiter<K, T> {
    /// A limiter of the same quota by another timer. It shares nothing with this one.
    pub fn with_timer<U: Timer>(self, timer: U) -> KeyedRateLimiter<K, U> {
        KeyedRateLimiter { timer, shared: Arc::new(Shared::new(self.shared.quota)) }
    }

    /// Every key's quota.
    pub fn quota(&self) -> &Quota {
        &self.shared.quota
    }

    /// How many keys are kept.
    pub fn len(&self) -> usize {
        self.shared.shards.iter().map(|shard| lock(shard).keys.len()).sum()
    }

    /// Whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Hash + Eq, T: Timer> KeyedRateLimiter<K, T> {
    /// The limiter of one key. The key is kept for as long as this is.
    pub fn get(&self, key: &K) -> RateLimiter<T>
    where
        K: Clone,
    {
        let probe = self.shared.probe(key);
        let shard = lock(self.shared.shard(probe.hash));
        let bucket = shard.keys.get(&probe as &dyn Key<K>).map(Arc::clone);
        drop(shard);
        let bucket = bucket.unwrap_or_else(|| self.insert(probe.hash, key.clone()));
        RateLimiter::with_bucket(self.timer.clone(), bucket)
    }

    /// The bucket of a key that was not there.
    #[cold]
    #[inline(never)]
    fn insert(&self, hash: u64, key: K) -> Arc<Bucket> {
        let (now, new) = (self.timer.nanos(), Arc::new(Bucket::new(self.shared.quota)));
        let key = Hashed { hash, key };
        let mut shard = lock(self.shared.shard(hash));
        let full = shard.keys.len() >= shard.sweep_at;
        let swept = if full { shard.sweep(now) } else { Vec::new() };
        let (bucket, unused) = match shard.keys.get(&key as &dyn Key<K>) {
            // Another thread was faster.
            Some(bucket) => (Arc::clone(bucket), Some(key)),
            None => {
                shard.keys.insert(key, Arc::clone(&new));
                (new, None)
            }
        };
        drop(shard);
        drop((swept, unused));
        bucket
    }

    /// Takes `cells` of the key's quota, if there are that many and nobody waits.
    ///
    /// # Errors
    ///
    /// How long to wait, or that there will never be so many.
    pub fn try_acquire(&self, key: &K, cells: u32) -> Result<(), Rejected>
    where
        K: Clone,
    {
        if cells == 1 {
            // The usual case, without a limiter of its own. The clock is read before the lock is taken.
            let (now, probe) = (self.timer.nanos(), self.shared.probe(key));
            let shard = lock(self.shared.shard(probe.hash));
            let bucket = shard.keys.get(&probe as &dyn Key<K>);
            let taken = bucket.map(|bucket| bucket.try_take(bucket.unit(), now));
            drop(shard);
            if let Some(Ok(())) = taken {
                return Ok(());
            }
        }
        self.get(key).try_acquire(cells)
    }

    /// Waits for `cells` of the key's quota. See [`RateLimiter::acquire`].
    ///
    /// # Errors
    ///
    /// The future fails at once if the quota's burst is less than `cells`.
    ///
    /// # Cancel safety
    ///
    /// As [`RateLimiter::acquire`].
    pub fn acquire(&self, key: &K, cells: u32) -> Acquire<T>
    where
        K: Clone,
    {
        self.get(key).acquire(cells)
    }

    /// Forgets all keys that cannot be told from new ones.
    pub fn retain_recent(&self) {
        let now = self.timer.nanos();
        for shard in &self.shared.shards {
            let swept = lock(shard).sweep(now);
            drop(swept);
        }
    }
}

impl<K> Shared<K> {
    fn new(quota: Quota) -> Self {
        let shard = |_| Mutex::new(Shard { keys: HashedMap::default(), sweep_at: MIN_SWEEP });
        Shared { quota, hasher: RandomState::new(), shards: std::array::from_fn(shard) }
    }
}

impl<K: Hash + Eq> Shared<K> {
    fn probe<'a>(&self, key: &'a K) -> Probe<'a, K> {
        Probe { hash: self.hasher.hash_one(key), key }
    }
}

impl<K> Shared<K> {
    /// By bits that the map inside makes the least of.
    fn shard(&self, hash: u64) -> &Mutex<Shard<K>> {
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

impl<K: Eq> Shard<K> {
    /// Takes out the keys to forget. They are dropped without the lock: they may do anything.
    #[must_use = "dropped when the lock is free"]
    fn sweep(&mut self, now: u64) -> Vec<Hashed<K>> {
        let mut swept = Vec::new();
        for (key, mut bucket) in mem::take(&mut self.keys) {
            // One that is fresh and that nobody else holds can't come to life meanwhile: it is only
            // handed out under this lock. `get_mut` sees what the last other holder did, which a look at
            // the count would not.
            if Arc::get_mut(&mut bucket).is_some_and(|bucket| bucket.is_fresh(now)) {
                swept.push(key);
            } else {
                self.keys.insert(key, bucket);
            }
        }
        self.sweep_at = MIN_SWEEP.max(self.keys.len() * 2);
        swept
    }
}

impl<K, T: Clone> Clone for KeyedRateLimiter<K, T> {
    fn clone(&self) -> Self {
        KeyedRateLimiter { timer: self.timer.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<K, T> fmt::Debug for KeyedRateLimiter<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimiter").field("quota", self.quota()).finish_non_exhaustive()
    }
}
