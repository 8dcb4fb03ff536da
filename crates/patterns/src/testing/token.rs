//! Items that know how many of them are alive, and an error to go with them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the [`Token`]s that it has issued and that are still alive. Clones share the count.
///
/// ```
/// use ziggurat_patterns::testing::Ledger;
///
/// let ledger = Ledger::new();
/// let token = ledger.token(7);
/// let copy = token.clone();
/// assert_eq!((token.id(), ledger.alive()), (7, 2));
/// drop((token, copy));
/// assert_eq!(ledger.alive(), 0);
/// ```
#[derive(Clone, Default)]
pub struct Ledger {
    alive: Arc<AtomicUsize>,
}

impl Ledger {
    /// A ledger without tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token with the number `id`, which need not be unique.
    pub fn token(&self, id: u64) -> Token {
        // Relaxed: a count, which orders nothing.
        self.alive.fetch_add(1, Ordering::Relaxed);
        Token { id, ledger: self.clone() }
    }

    /// How many tokens have not been dropped. Copies count.
    pub fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("alive", &self.alive()).finish()
    }
}

/// An item with a number, counted by its [`Ledger`] for as long as it lives.
///
/// It compares, sorts and hashes by its number.
///
/// ```
/// use ziggurat_patterns::testing::Ledger;
///
/// let ledger = Ledger::new();
/// assert!(ledger.token(1) < ledger.token(2));
/// assert_eq!(ledger.alive(), 0);
/// ```
pub struct Token {
    id: u64,
    ledger: Ledger,
}

impl Token {
    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl Clone for Token {
    fn clone(&self) -> Self {
        self.ledger.token(self.id)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.ledger.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Token {}

impl PartialOrd for Token {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Token {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.id).finish()
    }
}

/// The error of the kit's own streams, sinks and services, with a number to tell several apart.
///
/// ```
/// use ziggurat_patterns::testing::Fault;
///
/// assert_eq!(Fault(3).to_string(), "fault 3");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[error("fault {0}")]
pub struct Fault(
    /// Which one.
    pub u64,
);

/// What has [`Token`]s in it. So the laws find the items again in what a layer makes of them.
///
/// ```
/// use ziggurat_patterns::testing::{Fault, Ledger, Tokens};
///
/// let ledger = Ledger::new();
/// let batch: Result<_, Fault> = Ok(vec![ledger.token(1), ledger.token(2)]);
/// assert_eq!(batch.ids(), [1, 2]);
/// ```
pub trait Tokens {
    /// Appends the numbers of the tokens, in their order.
    fn append_ids(&self, ids: &mut Vec<u64>);

    /// The numbers of the tokens, in their order.
    fn ids(&self) -> Vec<u64> {
        let mut ids = Vec::new();
        self.append_ids(&mut ids);
        ids
    }
}

impl Tokens for Token {
    fn append_ids(&self, ids: &mut Vec<u64>) {
        ids.push(self.id);
    }
}

impl Tokens for () {
    fn append_ids(&self, _: &mut Vec<u64>) {}
}

impl<T: Tokens + ?Sized> Tokens for &T {
    fn append_ids(&self, ids: &mut Vec<u64>) {
        (**self).append_ids(ids);
    }
}

impl<T: Tokens + ?Sized> Tokens for Box<T> {
    fn append_ids(&self, ids: &mut Vec<u64>) {
        (**self).append_ids(ids);
    }
}

impl<T: Tokens + ?Sized> Tokens for Arc<T> {
    fn append_ids(&self, ids: &mut Vec<u64>) {
        (**self).append_ids(ids);
    }
}

impl<T: Tokens> Tokens for Option<T> {
    fn append_ids(&self, ids: &mut Vec<u64>) {
        self.iter().for_each(|tokens| tokens.append_ids(ids));
    }
}

/// Errors have none.
impl<T: Tokens, E> Tokens for Result<T, E> {
    fn append_ids(&self, ids: &mut Vec<u64>) {
        self.iter().for_each(|tokens| tokens.append_ids(ids));
    }
}

impl<T: Tokens> Tokens for [T] {
    fn append_ids(&self, ids: &mut Vec<u64>) {
        self.iter().for_each(|tokens| tokens.append_ids(ids));
    }
}

impl<T: Tokens> Tokens for Vec<T> {
    fn append_ids(&self, ids: &mut Vec<u64>) {
        self.as_slice().append_ids(ids);
    }
}

impl<T: Tokens> Tokens for std::collections::VecDeque<T> {
    fn append_ids(&self, ids: &mut Vec<u64>) {
        self.iter().for_each(|tokens| tokens.append_ids(ids));
    }
}

impl<A: Tokens, B: Tokens> Tokens for (A, B) {
    fn append_ids(&self, ids: &mut Vec<u64>) {
        self.0.append_ids(ids);
        self.1.append_ids(ids);
    }
}
