//! Taking turns, and not taking turns.

use super::{Policy, State, TuplePolicy};
use crate::wake_set::Bits;

/// The streams take turns.
///
/// Between two items of one stream, every other stream that is ready all the while delivers exactly one
/// item. So of `n` such streams each has 1 of every `n` items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoundRobin;

impl Policy for RoundRobin {
    type Share = ();
    type State = Rotation;

    fn into_state(self) -> Rotation {
        Rotation { next: 0, word: 0 }
    }
}

impl TuplePolicy for RoundRobin {
    const ROTATES: bool = true;
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Rotation {
    next: usize,
    /// That of `next`, which is written only when it changes: so that the next pick need not wait for
    /// what the last one has written to know where to look.
    word: usize,
}

impl State<()> for Rotation {
    #[inline]
    fn pick(&mut self, ready: &Bits) -> Option<usize> {
        ready.next_around(self.next)
    }

    #[inline]
    fn pick_near(&mut self, ready: &Bits) -> Option<usize> {
        ready.next_near(self.word, self.next)
    }

    #[inline]
    fn delivered(&mut self, child: usize) {
        self.next = child + 1;
        let word = self.next / 64;
        if word != self.word {
            self.word = word;
        }
    }
}

/// The first stream that has an item delivers it.
///
/// One that always has an item starves all that come after it: that is what the caller asks for with this
/// policy. [`Priority`](super::Priority) leaves them a share.
///
/// Streams that were given together are in that order. One that is added later takes the first place
/// that is free, which may be before others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Biased;

impl Policy for Biased {
    type Share = ();
    type State = First;

    fn into_state(self) -> First {
        First
    }
}

impl TuplePolicy for Biased {
    const ROTATES: bool = false;
}

#[doc(hidden)]
#[derive(Debug)]
pub struct First;

impl State<()> for First {
    #[inline]
    fn pick(&mut self, ready: &Bits) -> Option<usize> {
        ready.first()
    }

    #[inline]
    fn delivered(&mut self, _child: usize) {}
}
