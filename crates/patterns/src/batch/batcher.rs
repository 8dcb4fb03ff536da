//! The batch that is being collected, and its limits.

use std::mem;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::Weigh;

/// When a batch is complete.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub count: Option<NonZeroUsize>,
    pub weight: Option<usize>,
    pub time: Option<Duration>,
    pub eager: bool,
}

/// More items than this are not reserved in advance.
const RESERVED: usize = 4096;

#[derive(Debug)]
pub(super) struct Batcher<I, W> {
    pub limits: Limits,
    weigh: W,
    items: Vec<I>,
    weight: usize,
    /// How long the last batch was.
    last: usize,
}

impl<I, W> Batcher<I, W> {
    pub(super) fn new(limits: Limits, weigh: W) -> Self {
        Batcher { limits, weigh, items: Vec::new(), weight: 0, last: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn items(&self) -> &[I] {
        &self.items
    }

    pub(super) fn into_items(self) -> Vec<I> {
        self.items
    }

    /// The batch, and an empty one in its place.
    #[inline]
    pub(super) fn take(&mut self) -> Vec<I> {
        (self.last, self.weight) = (self.items.len(), 0);
        mem::take(&mut self.items)
    }

    /// Adds the batch to `out`, and keeps whichever memory can be kept. Returns how many items it had.
    pub(super) fn take_into(&mut self, out: &mut Vec<I>) -> usize {
        (self.last, self.weight) = (self.items.len(), 0);
        if out.is_empty() {
            mem::swap(&mut self.items, out);
        } else {
            out.append(&mut self.items);
        }
        self.last
    }

    /// Items that come, and those that are held, make at least so many batches.
    pub(super) fn least(&self, items: usize) -> usize {
        let all = items.saturating_add(self.items.len());
        self.limits.count.map_or(all.min(1), |count| all.div_ceil(count.get()))
    }

    /// … and at most so many.
    pub(super) fn most(&self, items: usize) -> Option<usize> {
        let all = items.checked_add(self.items.len())?;
        match self.limits {
            Limits { count: Some(count), weight: None, time: None, eager: false } => {
                Some(all.div_ceil(count.get()))
            }
            _ => Some(all),
        }
    }
}

impl<I, W: Weigh<I>> Batcher<I, W> {
    /// Whether it can take no more.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= self.most_items() || self.is_heavy()
    }

    #[inline]
    pub(super) fn is_heavy(&self) -> bool {
        let limit = self.limits.weight.filter(|_| W::WEIGHS);
        limit.is_some_and(|limit| !self.items.is_empty() && self.weight >= limit)
    }

    /// How many items it can have.
    #[inline]
    pub(super) fn most_items(&self) -> usize {
        self.limits.count.map_or(usize::MAX, NonZeroUsize::get)
    }

    /// Adds an item. Returns the batch before it, if the item would make that too heavy.
    #[inline]
    pub(super) fn push(&mut self, item: I) -> Option<Vec<I>> {
        let mut before = None;
        if let Some(limit) = self.limits.weight.filter(|_| W::WEIGHS) {
            let weight = self.weigh.weigh(&item);
            if !self.items.is_empty() && weight > limit.saturating_sub(self.weight) {
                before = Some(self.take());
            }
            self.weight = self.weight.saturating_add(weight);
        }
        if self.items.capacity() == 0 {
            self.reserve();
        }
        self.items.push(item);
        before
    }

    #[inline]
    fn reserve(&mut self) {
        // Without a limit of count, the next is probably as long as the last.
        let count = self.limits.count.map_or(self.last, NonZeroUsize::get);
        self.items = Vec::with_capacity(count.min(RESERVED));
    }
}
