//! A set of small numbers that finds its next member in a few instructions.

/// Two levels: a bit per number, and a bit per word of those that is not zero. To find a member among
/// 4,096 numbers is to look at two or three words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    summary: Vec<u64>,
}

impl Bits {
    /// For numbers below `len`.
    pub(crate) fn new(len: usize) -> Self {
        let words = len.div_ceil(64).max(1);
        Bits { words: vec![0; words], summary: vec![0; words.div_ceil(64)] }
    }

    #[inline]
    pub(crate) fn insert(&mut self, number: usize) {
        self.insert_word(number / 64, 1 << (number % 64));
    }

    #[inline]
    pub(crate) fn insert_word(&mut self, word: usize, bits: u64) {
        if bits != 0 {
            self.words[word] |= bits;
            self.summary[word / 64] |= 1 << (word % 64);
        }
    }

    #[inline]
    pub(crate) fn remove(&mut self, number: usize) {
        let word = number / 64;
        self.words[word] &= !(1 << (number % 64));
        if self.words[word] == 0 {
            self.summary[word / 64] &= !(1 << (word % 64));
        }
    }

    #[inline]
    pub(crate) fn contains(&self, number: usize) -> bool {
        self.words[number / 64] & 1 << (number % 64) != 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.summary.iter().all(|&word| word == 0)
    }

    /// The lowest member.
    #[inline]
    pub(crate) fn first(&self) -> Option<usize> {
        self.at_or_after(0)
    }

    /// The lowest member that is not below `number`.
    #[inline]
    pub(crate) fn at_or_after(&self, number: usize) -> Option<usize> {
        let word = number / 64;
        let here = *self.words.get(word)? >> (number % 64);
        if here != 0 {
            return Some(number + here.trailing_zeros() as usize);
        }
        let word = next_set(&self.summary, word + 1)?;
        Some(word * 64 + self.words[word].trailing_zeros() as usize)
    }

    /// As `at_or_after`, and when there is none, the lowest of all: the next one round the circle.
    #[inline]
    pub(crate) fn next_around(&self, number: usize) -> Option<usize> {
        self.at_or_after(number).or_else(|| self.first())
    }
}

/// The first bit at or after `from` that is set.
fn next_set(words: &[u64], from: usize) -> Option<usize> {
    let mut index = from / 64;
    let mut word = words.get(index)? & u64::MAX << (from % 64);
    while word == 0 {
        index += 1;
        word = *words.get(index)?;
    }
    Some(index * 64 + word.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Bits;

    proptest! {
        #[test]
        fn it_is_a_set(
            len in 1_usize..10_000,
            acts in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200),
            from in any::<prop::sample::Index>(),
        ) {
            let mut bits = Bits::new(len);
            let mut set = BTreeSet::new();
            for (insert, number) in acts {
                let number = number.index(len);
                if insert {
                    bits.insert(number);
                    set.insert(number);
                } else {
                    bits.remove(number);
                    set.remove(&number);
                }
                prop_assert_eq!(bits.contains(number), insert);
            }
            let from = from.index(len);
            prop_assert_eq!(bits.is_empty(), set.is_empty());
            prop_assert_eq!(bits.first(), set.first().copied());
            let next = set.range(from..).next().copied();
            prop_assert_eq!(bits.at_or_after(from), next);
            prop_assert_eq!(bits.next_around(from), next.or(set.first().copied()));
        }
    }
}
