//! Responses that are on their way, in the one order or the other.

use std::collections::VecDeque;
use std::fmt;

/// In which order responses come: [`InOrder`] or [`AsFinished`].
pub trait Order: sealed::Sealed {
    #[doc(hidden)]
    type Queue<T>: Queue<T>;
}

/// Responses come in the order of their requests.
#[derive(Debug, Clone, Copy)]
pub struct InOrder;

/// Responses come as their calls finish.
#[derive(Debug, Clone, Copy)]
pub struct AsFinished;

impl Order for InOrder {
    type Queue<T> = OrderedQueue<T>;
}

impl Order for AsFinished {
    type Queue<T> = UnorderedQueue<T>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::InOrder {}
    impl Sealed for super::AsFinished {}
}

/// A place in the queue.
#[derive(Debug)]
pub enum Entry<T> {
    /// In flight, in this slot.
    InFlight(usize),
    /// Finished.
    Finished(T),
}

/// What was started and not yet delivered.
pub trait Queue<T>: Default + fmt::Debug {
    /// Whether a response that comes now is the next to be delivered.
    fn is_next(&self) -> bool;
    /// Whether the next response is there.
    fn has_next(&self) -> bool;
    /// A call was started and is pending.
    fn started(&mut self, slot: usize);
    /// The call of a slot has finished.
    fn finished(&mut self, slot: usize, output: T);
    /// A call was started and has finished at once.
    fn push(&mut self, output: T);
    /// The next response, if it is there.
    fn pop(&mut self) -> Option<T>;
    /// How many are in flight or finished, given how many are in flight.
    fn len(&self, in_flight: usize) -> usize;
    /// All, in their order. Those in flight are numbered by their slots; an unordered queue does not
    /// know of them.
    fn into_entries(self) -> VecDeque<Entry<T>>;
}

/// By requests.
pub struct OrderedQueue<T> {
    entries: VecDeque<Entry<T>>,
    /// The number of the first entry: how many were delivered.
    first: u64,
    /// The number of each slot's call.
    numbers: Vec<u64>,
}

impl<T> Default for OrderedQueue<T> {
    fn default() -> Self {
        OrderedQueue { entries: VecDeque::new(), first: 0, numbers: Vec::new() }
    }
}

impl<T> fmt::Debug for OrderedQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderedQueue").field("len", &self.entries.len()).finish_non_exhaustive()
    }
}

impl<T> Queue<T> for OrderedQueue<T> {
    #[inline]
    fn is_next(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    fn has_next(&self) -> bool {
        matches!(self.entries.front(), Some(Entry::Finished(_)))
    }

    fn started(&mut self, slot: usize) {
        if slot >= self.numbers.len() {
            self.numbers.resize(slot + 1, 0);
        }
        self.numbers[slot] = self.first + self.entries.len() as u64;
        self.entries.push_back(Entry::InFlight(slot));
    }

    fn finished(&mut self, slot: usize, output: T) {
        let index = (self.numbers[slot] - self.first) as usize;
        self.entries[index] = Entry::Finished(output);
    }

    fn push(&mut self, output: T) {
        self.entries.push_back(Entry::Finished(output));
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        match self.entries.pop_front()? {
            Entry::Finished(output) => {
                self.first += 1;
                Some(output)
            }
            waiting => {
                self.entries.push_front(waiting);
                None
            }
        }
    }

    #[inline]
    fn len(&self, _in_flight: usize) -> usize {
        self.entries.len()
    }

    fn into_entries(self) -> VecDeque<Entry<T>> {
        self.entries
    }
}

/// By completion.
pub struct UnorderedQueue<T> {
    finished: VecDeque<T>,
}

impl<T> Default for UnorderedQueue<T> {
    fn default() -> Self {
        UnorderedQueue { finished: VecDeque::new() }
    }
}

impl<T> fmt::Debug for UnorderedQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnorderedQueue").field("finished", &self.finished.len()).finish()
    }
}

impl<T> Queue<T> for UnorderedQueue<T> {
    #[inline]
    fn is_next(&self) -> bool {
        self.finished.is_empty()
    }

    #[inline]
    fn has_next(&self) -> bool {
        !self.finished.is_empty()
    }

    fn started(&mut self, _slot: usize) {}

    fn finished(&mut self, _slot: usize, output: T) {
        self.finished.push_back(output);
    }

    fn push(&mut self, output: T) {
        self.finished.push_back(output);
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.finished.pop_front()
    }

    #[inline]
    fn len(&self, in_flight: usize) -> usize {
        self.finished.len() + in_flight
    }

    fn into_entries(self) -> VecDeque<Entry<T>> {
        self.finished.into_iter().map(Entry::Finished).collect()
    }
}
