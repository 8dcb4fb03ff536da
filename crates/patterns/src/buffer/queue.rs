//! The bounded room, and what its policy does when it is full.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use super::policy::Rule;

/// A queue whose memory is there from the first item on.
#[derive(Debug)]
pub(super) struct Queue<T> {
    items: VecDeque<T>,
    capacity: usize,
    rule: Rule,
    dropped: u64,
    /// The last item came when it was full. It is in the queue for the sake of the order.
    overflow: bool,
}

/// More than this is not reserved in advance.
const RESERVED: usize = 1024;

impl<T> Queue<T> {
    /// An empty one. It allocates with the first item.
    pub(super) fn new(capacity: NonZeroUsize, rule: Rule) -> Self {
        let capacity = if rule == Rule::Latest { 1 } else { capacity.get() };
        Queue { items: VecDeque::new(), capacity, rule, dropped: 0, overflow: false }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= self.capacity
    }

    /// Whether an item that is refused counts, and is not kept waiting for.
    pub(super) fn is_lossy(&self) -> bool {
        matches!(self.rule, Rule::DropOldest | Rule::DropNewest | Rule::Latest)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether the producer may be asked for an item.
    #[inline]
    pub(super) fn wants(&self) -> bool {
        match self.rule {
            Rule::Backpressure => !self.is_full(),
            Rule::Reject => !self.overflow,
            _ => true,
        }
    }

    /// Whether there is so much room that a producer that waits for it should be woken: half of it. So a
    /// slow consumer doesn't wake the producer for each item.
    pub(super) fn wants_much(&self) -> bool {
        self.wants() && (self.rule != Rule::Backpressure || self.items.len() <= self.capacity / 2)
    }

    /// Adds an item that it [wants](Self::wants). Returns what is dropped for it: the caller drops it
    /// when no lock is held.
    #[inline]
    pub(super) fn push(&mut self, item: T) -> Option<T> {
        if !self.is_full() {
            if self.items.capacity() == 0 {
                self.items.reserve(self.capacity.min(RESERVED));
            }
            self.items.push_back(item);
            return None;
        }
        self.push_full(item)
    }

    fn push_full(&mut self, item: T) -> Option<T> {
        let victim = match self.rule {
            Rule::DropOldest | Rule::Latest => self.items.pop_front(),
            Rule::DropNewest => {
                self.dropped += 1;
                return Some(item);
            }
            Rule::Reject => {
                self.overflow = true;
                None
            }
            Rule::Backpressure => None,
        };
        self.dropped += u64::from(victim.is_some());
        self.items.push_back(item);
        victim
    }

    /// Adds an item, full or not.
    pub(super) fn force(&mut self, item: T) {
        self.items.push_back(item);
    }

    /// The oldest item, and whether it is one that came when the queue was full.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<(T, bool)> {
        let item = self.items.pop_front()?;
        let overflow = self.overflow && self.items.is_empty();
        if overflow {
            self.overflow = false;
        }
        Some((item, overflow))
    }

    pub(super) fn into_items(self) -> VecDeque<T> {
        self.items
    }

    pub(super) fn take_items(&mut self) -> VecDeque<T> {
        self.overflow = false;
        std::mem::take(&mut self.items)
    }
}
