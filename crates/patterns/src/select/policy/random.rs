//! Chance.

use super::{Policy, State};
use crate::wake_set::Bits;

/// Each stream that is ready is as likely as any other to be next.
///
/// The same seed, with the same streams that are ready at the same times, gives the same order: tests
/// that use it run twice in the same way. Choosing takes time in proportion to the number of streams
/// that are ready, divided by 64 where they stand close together.
///
/// ```
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{select::Random, stream::merge};
///
/// let order = |seed| {
///     let streams = (0..4).map(|n| stream::iter([n; 3]));
///     let merged = merge(streams).with_policy(Random::new(seed));
///     futures::executor::block_on(merged.collect::<Vec<_>>())
/// };
/// assert_eq!(order(1), order(1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Random {
    seed: u64,
}

impl Random {
    /// With a seed for the random numbers.
    pub fn new(seed: u64) -> Self {
        Random { seed }
    }
}

impl Policy for Random {
    type Share = ();
    type State = Dice;

    fn into_state(self) -> Dice {
        Dice { rng: fastrand::Rng::with_seed(self.seed) }
    }
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Dice {
    rng: fastrand::Rng,
}

impl State<()> for Dice {
    fn pick(&mut self, ready: &Bits) -> Option<usize> {
        let count: u32 = ready.set_words().map(|(_, bits)| bits.count_ones()).sum();
        if count == 0 {
            return None;
        }
        let mut rank = self.rng.u32(0..count);
        for (word, bits) in ready.set_words() {
            let here = bits.count_ones();
            if rank < here {
                return Some(word * 64 + select(bits, rank) as usize);
            }
            rank -= here;
        }
        None
    }

    fn delivered(&mut self, _child: usize) {}
}

/// The bit of `bits` below which there are `rank` others.
fn select(mut bits: u64, mut rank: u32) -> u32 {
    let mut at = 0;
    let mut width = 32;
    while width > 0 {
        let below = (bits & ((1 << width) - 1)).count_ones();
        if rank >= below {
            rank -= below;
            bits >>= width;
            at += width;
        }
        width /= 2;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn select_finds_the_bit_of_a_rank(bits in any::<u64>()) {
            let set = (0..64).filter(|bit| bits & 1 << bit != 0);
            for (rank, bit) in set.enumerate() {
                prop_assert_eq!(super::select(bits, rank as u32), bit);
            }
        }
    }
}
