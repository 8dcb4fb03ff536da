//! Turns in proportion to weights.

use std::num::NonZeroU32;

use super::{Policy, State};
use crate::wake_set::Bits;

/// How many items a stream may deliver per round of [`Weighted`]. 1 unless it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(NonZeroU32);

impl Weight {
    /// A weight.
    pub const fn new(weight: NonZeroU32) -> Self {
        Weight(weight)
    }

    /// The weight.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl Default for Weight {
    fn default() -> Self {
        Weight(NonZeroU32::MIN)
    }
}

impl From<NonZeroU32> for Weight {
    fn from(weight: NonZeroU32) -> Self {
        Weight(weight)
    }
}

/// The streams take turns in proportion to their [`Weight`]s.
///
/// Items come in rounds. In each, a stream of weight `w` delivers at most `w` items, and a stream that is
/// ready all the while exactly `w`. So its share is at least `w` of the sum of all weights, and exactly
/// that when all are ready; what the others do not take goes to those who are ready, in new rounds.
///
/// Within a round it is one item each, then another one each of those that may deliver more: a heavy
/// stream does not hold up the light ones for its whole share. This is the interleaved weighted round
/// robin of Katevenis, Sidiropoulos and Courcoubetis, "Weighted Round-Robin Cell Multiplexing in a
/// General-Purpose ATM Switch Chip" (IEEE JSAC, 1991).
///
/// To choose takes a few instructions, and as many steps as there are words of 64 places in which all
/// that are ready have had their share of the round.
///
/// ```
/// use std::num::NonZeroU32;
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{select::{Weight, Weighted}, stream::Merge};
///
/// let mut merged = Merge::new().with_policy(Weighted);
/// merged.push(stream::repeat('a'));
/// merged.push_with(stream::repeat('b'), Weight::new(NonZeroU32::new(3).unwrap()));
/// let items: String = futures::executor::block_on(merged.take(8).collect());
/// assert_eq!(items, "abbbabbb");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weighted;

impl Policy for Weighted {
    type Share = Weight;
    type State = Rounds;

    fn into_state(self) -> Rounds {
        Rounds { shares: Vec::new(), spent: Bits::new(0), round: 0, next: 0 }
    }
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Rounds {
    shares: Vec<Share>,
    /// Who has had its share of this round.
    spent: Bits,
    round: u64,
    next: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Share {
    weight: u32,
    /// How many items it delivered in `round`.
    used: u32,
    round: u64,
}

impl State<Weight> for Rounds {
    fn admit(&mut self, child: usize, weight: Weight) {
        if self.shares.len() <= child {
            self.shares.resize(child + 1, Share::default());
            self.spent.grow(child + 1);
        }
        self.shares[child] = Share { weight: weight.get(), used: 0, round: self.round };
        self.spent.remove(child);
    }

    fn pick(&mut self, ready: &Bits) -> Option<usize> {
        if let Some(child) = ready.next_around_without(&self.spent, self.next) {
            return Some(child);
        }
        let child = ready.next_around(self.next)?;
        self.spent.clear();
        self.round += 1;
        Some(child)
    }

    fn delivered(&mut self, child: usize) {
        self.next = child + 1;
        let share = &mut self.shares[child];
        if share.round != self.round {
            (share.round, share.used) = (self.round, 0);
        }
        share.used += 1;
        if share.used >= share.weight {
            self.spent.insert(child);
        }
    }
}
