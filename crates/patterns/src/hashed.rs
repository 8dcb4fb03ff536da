//! Maps whose keys come with their hash: it is computed once, to find both a shard and a place in it, and
//! before a lock is taken.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A map by keys that have been hashed.
pub(crate) type HashedMap<K, V> = HashMap<Hashed<K>, V, BuildHasherDefault<AsIs>>;

/// A key with its hash, which is computed once, to find the shard and the place in it.
pub(crate) struct Hashed<K> {
    pub hash: u64,
    pub key: K,
}

/// The same, to look it up.
pub(crate) struct Probe<'a, K> {
    pub hash: u64,
    pub key: &'a K,
}

/// What both have in common: so one is found by the other.
pub(crate) trait Key<K> {
    fn hashed(&self) -> (u64, &K);
}

impl<K> Key<K> for Hashed<K> {
    fn hashed(&self) -> (u64, &K) {
        (self.hash, &self.key)
    }
}

impl<K> Key<K> for Probe<'_, K> {
    fn hashed(&self) -> (u64, &K) {
        (self.hash, self.key)
    }
}

impl<'a, K: Eq + 'a> Borrow<dyn Key<K> + 'a> for Hashed<K> {
    fn borrow(&self) -> &(dyn Key<K> + 'a) {
        self
    }
}

impl<K: Eq> PartialEq for dyn Key<K> + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.hashed() == other.hashed()
    }
}

impl<K: Eq> Eq for dyn Key<K> + '_ {}

impl<K> Hash for dyn Key<K> + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hashed().0);
    }
}

impl<K: Eq> PartialEq for Hashed<K> {
    fn eq(&self, other: &Self) -> bool {
        self.hashed() == other.hashed()
    }
}

impl<K: Eq> Eq for Hashed<K> {}

impl<K> Hash for Hashed<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Takes a hash for what it is.
#[derive(Default)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
