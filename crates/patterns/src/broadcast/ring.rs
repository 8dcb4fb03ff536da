//! The items that not everybody has taken yet, and how far each consumer is.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Lagged;
use super::policy::OnFull;

/// The ring and its consumers. All of it is plain data: what is to be dropped or cloned is handed out.
pub(super) struct Ring<T> {
    entries: VecDeque<Entry<T>>,
    capacity: usize,
    /// The number of the first entry.
    first: u64,
    consumers: Vec<Option<Consumer>>,
    /// How many consumers get what comes next.
    live: usize,
    ended: bool,
}

struct Entry<T> {
    /// Counted, so that a consumer can clone it outside the lock.
    item: Arc<T>,
    /// How many consumers have not taken it.
    owed: usize,
}

#[derive(Clone, Copy)]
struct Consumer {
    /// The number of the item that it takes next.
    next: u64,
    /// It was cut off with so many items untaken, and was not told yet.
    cut: Option<u64>,
    live: bool,
}

/// What a consumer finds.
pub(super) enum Take<T> {
    /// An item; with whether the ring was full and no longer is.
    Item(Arc<T>, bool),
    Lagged(Lagged),
    /// Nothing, and there is room for more.
    Empty,
    /// Nothing, and the ring is full: another consumer has to take first.
    Full,
    End,
}

impl<T> Ring<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Ring {
            entries: VecDeque::new(),
            capacity,
            first: 0,
            consumers: Vec::new(),
            live: 0,
            ended: false,
        }
    }

    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// A consumer of what comes from now on.
    pub(super) fn join(&mut self) -> usize {
        let consumer = Some(Consumer { next: self.end(), cut: None, live: true });
        self.live += 1;
        match self.consumers.iter().position(Option::is_none) {
            Some(id) => {
                self.consumers[id] = consumer;
                id
            }
            None => {
                self.consumers.push(consumer);
                self.consumers.len() - 1
            }
        }
    }

    /// A consumer goes. What nobody else wants is handed out.
    pub(super) fn leave(&mut self, id: usize) -> Vec<Arc<T>> {
        let Some(consumer) = self.consumers.get_mut(id).and_then(Option::take) else {
            return Vec::new();
        };
        if consumer.live {
            self.live -= 1;
            self.give_up(consumer.next);
        }
        self.trim()
    }

    /// A consumer will not take the items from `next` on.
    fn give_up(&mut self, next: u64) {
        let skip = next.saturating_sub(self.first) as usize;
        self.entries.iter_mut().skip(skip).for_each(|entry| entry.owed -= 1);
    }

    fn trim(&mut self) -> Vec<Arc<T>> {
        let mut dropped = Vec::new();
        while self.entries.front().is_some_and(|entry| entry.owed == 0) {
            dropped.extend(self.entries.pop_front().map(|entry| entry.item));
            self.first += 1;
        }
        dropped
    }

    pub(super) fn take(&mut self, id: usize, on_full: OnFull) -> Take<T> {
        let (end, ended) = (self.end(), self.ended);
        let Some(consumer) = self.consumers[id].as_mut() else { return Take::End };
        if let Some(missed) = consumer.cut.take() {
            return Take::Lagged(Lagged { missed });
        }
        if !consumer.live {
            return Take::End;
        }
        if consumer.next < self.first {
            let missed = self.first - consumer.next;
            consumer.next = self.first;
            return Take::Lagged(Lagged { missed });
        }
        if consumer.next == end {
            return match (ended, on_full) {
                (true, _) => Take::End,
                (false, OnFull::Wait) if self.entries.len() >= self.capacity => Take::Full,
                (false, _) => Take::Empty,
            };
        }
        let index = (consumer.next - self.first) as usize;
        consumer.next += 1;
        let entry = &mut self.entries[index];
        entry.owed -= 1;
        if entry.owed > 0 {
            return Take::Item(Arc::clone(&entry.item), false);
        }
        // The last to take it. Whoever has not taken an older item has not taken this one: so it is the
        // oldest.
        debug_assert_eq!(index, 0);
        let was_full = self.entries.len() == self.capacity;
        let entry = self.entries.pop_front().expect("it was looked at");
        self.first += 1;
        Take::Item(entry.item, was_full)
    }

    /// An item for everybody. What it pushes out is handed out.
    pub(super) fn push(&mut self, item: Arc<T>, on_full: OnFull) -> Vec<Arc<T>> {
        let mut dropped = Vec::new();
        if self.entries.len() >= self.capacity {
            match on_full {
                OnFull::Wait => {}
                OnFull::DropOldest => {
                    dropped.extend(self.entries.pop_front().map(|entry| entry.item));
                    self.first += 1;
                }
                OnFull::Disconnect => dropped = self.cut(),
            }
        }
        if self.live > 0 {
            self.entries.push_back(Entry { item, owed: self.live });
        } else {
            dropped.push(item);
        }
        dropped
    }

    /// Cuts off whoever has not taken the oldest item.
    fn cut(&mut self) -> Vec<Arc<T>> {
        let (first, end) = (self.first, self.end());
        for id in 0..self.consumers.len() {
            let Some(consumer) = self.consumers[id].as_mut() else { continue };
            if consumer.live && consumer.next == first {
                consumer.live = false;
                consumer.cut = Some(end - first);
                self.live -= 1;
                self.give_up(first);
            }
        }
        self.trim()
    }

    pub(super) fn finish(&mut self) {
        self.ended = true;
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// How many items there are for a consumer, and whether that is all that will come.
    pub(super) fn waiting(&self, id: usize) -> (usize, bool) {
        let Some(consumer) = self.consumers[id] else { return (0, true) };
        if !consumer.live {
            return (usize::from(consumer.cut.is_some()), true);
        }
        let lagged = usize::from(consumer.next < self.first);
        let items = (self.end() - consumer.next.max(self.first)) as usize;
        (items + lagged, self.ended)
    }

    /// The items that a consumer has not taken.
    pub(super) fn into_waiting(self, id: usize) -> Vec<Arc<T>> {
        let Some(consumer) = self.consumers.get(id).copied().flatten().filter(|c| c.live) else {
            return Vec::new();
        };
        let skip = consumer.next.saturating_sub(self.first) as usize;
        self.entries.into_iter().skip(skip).map(|entry| entry.item).collect()
    }
}
