//! The keys that were seen last.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;

use super::Memory;

/// Remembers the last `n` different keys, exactly: the one that was not seen for longest goes first
/// (LRU).
///
/// ```
/// use std::num::NonZeroUsize;
/// use ziggurat_patterns::dedupe::{Memory, Recent};
///
/// let mut memory = Recent::new(NonZeroUsize::new(2).unwrap());
/// assert!(memory.insert("a") && memory.insert("b"));
/// assert!(!memory.insert("a")); // "b" is the oldest now
/// assert!(memory.insert("c") && memory.insert("b") && memory.insert("a"));
/// ```
#[derive(Clone)]
pub struct Recent<K> {
    capacity: usize,
    nodes: HashMap<K, usize>,
    /// A ring list through all of them: `list[0]` is its anchor, after which comes the newest.
    list: Vec<Node<K>>,
}

#[derive(Clone)]
struct Node<K> {
    key: Option<K>,
    newer: usize,
    older: usize,
}

const ANCHOR: usize = 0;

impl<K> Recent<K> {
    /// An empty memory of `capacity` keys.
    pub fn new(capacity: NonZeroUsize) -> Self {
        let anchor = Node { key: None, newer: ANCHOR, older: ANCHOR };
        Recent { capacity: capacity.get(), nodes: HashMap::new(), list: vec![anchor] }
    }

    fn unlink(&mut self, node: usize) {
        let (newer, older) = (self.list[node].newer, self.list[node].older);
        self.list[newer].older = older;
        self.list[older].newer = newer;
    }

    fn link_newest(&mut self, node: usize) {
        let older = self.list[ANCHOR].older;
        self.list[node].newer = ANCHOR;
        self.list[node].older = older;
        self.list[older].newer = node;
        self.list[ANCHOR].older = node;
    }
}

impl<K: Hash + Eq + Clone> Memory<K> for Recent<K> {
    fn insert(&mut self, key: K) -> bool {
        if let Some(&node) = self.nodes.get(&key) {
            self.unlink(node);
            self.link_newest(node);
            return false;
        }
        let node = if self.nodes.len() < self.capacity {
            self.list.push(Node { key: None, newer: ANCHOR, older: ANCHOR });
            self.list.len() - 1
        } else {
            // The oldest gives its place.
            let node = self.list[ANCHOR].newer;
            self.unlink(node);
            if let Some(old) = self.list[node].key.take() {
                self.nodes.remove(&old);
            }
            node
        };
        self.list[node].key = Some(key.clone());
        self.link_newest(node);
        self.nodes.insert(key, node);
        true
    }
}

impl<K> fmt::Debug for Recent<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent")
            .field("capacity", &self.capacity)
            .field("keys", &self.nodes.len())
            .finish()
    }
}
