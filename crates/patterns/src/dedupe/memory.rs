//! What is remembered.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::time::Duration;

use ziggurat_core::time::{DefaultTimer, Timer};

/// Remembers keys.
pub trait Memory<K> {
    /// Remembers `key`. Whether it is new.
    fn insert(&mut self, key: K) -> bool;
}

/// Remembers the last key.
///
/// ```
/// use ziggurat_patterns::dedupe::{Consecutive, Memory};
///
/// let mut memory = Consecutive::new();
/// assert!(memory.insert(1) && !memory.insert(1) && memory.insert(2) && memory.insert(1));
/// ```
#[derive(Debug, Clone)]
pub struct Consecutive<K> {
    last: Option<K>,
}

impl<K> Consecutive<K> {
    /// An empty memory.
    pub fn new() -> Self {
        Consecutive { last: None }
    }
}

impl<K> Default for Consecutive<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: PartialEq> Memory<K> for Consecutive<K> {
    #[inline]
    fn insert(&mut self, key: K) -> bool {
        if self.last.as_ref() == Some(&key) {
            return false;
        }
        self.last = Some(key);
        true
    }
}

/// Remembers keys for some time after they were new, and at most so many of them.
///
/// A key that comes again and again is new once per `ttl`: seeing it does not make it stay. Every item
/// reads the clock ([`Timer::nanos`]), which is how it is known what has expired.
///
/// ```
/// use std::{num::NonZeroUsize, time::Duration};
/// use ziggurat_patterns::{dedupe::{Memory, Within}, time::TestClock};
///
/// let clock = TestClock::new();
/// let minute = Duration::from_secs(60);
/// let mut memory = Within::new(minute, NonZeroUsize::new(1000).unwrap()).with_timer(clock.clone());
/// assert!(memory.insert("a") && !memory.insert("a"));
/// clock.advance(minute);
/// assert!(memory.insert("a"));
/// ```
#[derive(Clone)]
pub struct Within<K, T = DefaultTimer> {
    ttl: Duration,
    capacity: usize,
    timer: T,
    keys: HashSet<K>,
    /// In the order in which they expire.
    order: VecDeque<(K, u64)>,
}

impl<K> Within<K> {
    /// An empty memory of at most `capacity` keys.
    pub fn new(ttl: Duration, capacity: NonZeroUsize) -> Self {
        let capacity = capacity.get();
        let (keys, order) = (HashSet::new(), VecDeque::new());
        Within { ttl, capacity, timer: DefaultTimer, keys, order }
    }
}

impl<K, T> Within<K, T> {
    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> Within<K, U> {
        let Within { ttl, capacity, keys, order, .. } = self;
        Within { ttl, capacity, timer, keys, order }
    }
}

impl<K: Hash + Eq + Clone, T: Timer> Memory<K> for Within<K, T> {
    fn insert(&mut self, key: K) -> bool {
        let now = self.timer.nanos();
        let ttl = u64::try_from(self.ttl.as_nanos()).unwrap_or(u64::MAX);
        while let Some((_, since)) = self.order.front() {
            if now.saturating_sub(*since) < ttl {
                break;
            }
            self.forget();
        }
        if self.keys.contains(&key) {
            return false;
        }
        if self.order.len() >= self.capacity {
            self.forget();
        }
        self.keys.insert(key.clone());
        self.order.push_back((key, now));
        true
    }
}

impl<K: Hash + Eq, T> Within<K, T> {
    fn forget(&mut self) {
        if let Some((key, _)) = self.order.pop_front() {
            self.keys.remove(&key);
        }
    }
}

impl<K, T> fmt::Debug for Within<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within")
            .field("ttl", &self.ttl)
            .field("keys", &self.order.len())
            .finish_non_exhaustive()
    }
}
