//! A set of small numbers that finds its next member in a few instructions.

/// Two levels: a bit per number, and a bit per word of those that is not zero. To find a member among
/// 4,096 numbers is to look at two or three words.
#[derive(Debug, Clone, Default)]
pub struct Bits {
    words: Vec<u64>,
    summary: Vec<u64>,
}

impl Bits {
    /// For numbers below `len`.
    pub fn new(len: usize) -> Self {
        let words = len.div_ceil(64).max(1);
        Bits { words: vec![0; words], summary: vec![0; words.div_ceil(64)] }
    }

    /// The same members, with room for numbers below `len`. It never gets less.
    pub fn grow(&mut self, len: usize) {
        let words = len.div_ceil(64).max(self.words.len());
        self.words.resize(words, 0);
        self.summary.resize(words.div_ceil(64), 0);
    }

    /// Removes all, at a cost that grows with their number.
    pub fn clear(&mut self) {
        for (i, summary) in self.summary.iter_mut().enumerate() {
            while *summary != 0 {
                self.words[i * 64 + summary.trailing_zeros() as usize] = 0;
                *summary &= *summary - 1;
            }
        }
    }

    #[inline]
    pub fn insert(&mut self, number: usize) {
        self.insert_word(number / 64, 1 << (number % 64));
    }

    #[inline]
    pub fn insert_word(&mut self, word: usize, bits: u64) {
        if bits != 0 {
            self.words[word] |= bits;
            self.summary[word / 64] |= 1 << (word % 64);
        }
    }

    #[inline]
    pub fn remove(&mut self, number: usize) {
        let word = number / 64;
        self.words[word] &= !(1 << (number % 64));
        if self.words[word] == 0 {
            self.summary[word / 64] &= !(1 << (word % 64));
        }
    }

    #[inline]
    pub fn contains(&self, number: usize) -> bool {
        self.words[number / 64] & 1 << (number % 64) != 0
    }

    pub fn is_empty(&self) -> bool {
        self.summary.iter().all(|&word| word == 0)
    }

    /// The lowest member.
    #[inline]
    pub fn first(&self) -> Option<usize> {
        self.at_or_after(0)
    }

    /// The lowest member that is not below `number`.
    #[inline]
    pub fn at_or_after(&self, number: usize) -> Option<usize> {
        let word = number / 64;
        let here = *self.words.get(word)? >> (number % 64);
        if here != 0 {
            return Some(number + here.trailing_zeros() as usize);
        }
        let word = next_set(&self.summary, word + 1)?;
        Some(word * 64 + self.words[word].trailing_zeros() as usize)
    }

    /// The lowest member of both that is not below `number`, or else the lowest of all.
    pub fn next_around_in(&self, other: &Bits, number: usize) -> Option<usize> {
        let both = |word: usize, bits: u64| bits & other.word(word);
        self.scan(number, both).or_else(|| self.scan(0, both))
    }

    /// As `next_around_in`, of those that are not in `other`.
    pub fn next_around_without(&self, other: &Bits, number: usize) -> Option<usize> {
        let rest = |word: usize, bits: u64| bits & !other.word(word);
        self.scan(number, rest).or_else(|| self.scan(0, rest))
    }

    fn word(&self, word: usize) -> u64 {
        self.words.get(word).copied().unwrap_or(0)
    }

    /// The words that are not zero, with their numbers.
    pub fn set_words(&self) -> impl Iterator<Item = (usize, u64)> {
        let mut word = 0;
        std::iter::from_fn(move || {
            let found = next_set(&self.summary, word)?;
            word = found + 1;
            Some((found, self.words[found]))
        })
    }

    /// The lowest member not below `number` that is still there after `keep` has masked its word.
    fn scan(&self, number: usize, keep: impl Fn(usize, u64) -> u64) -> Option<usize> {
        let mut word = number / 64;
        let mut bits = keep(word, *self.words.get(word)?) & u64::MAX << (number % 64);
        while bits == 0 {
            word = next_set(&self.summary, word + 1)?;
            bits = keep(word, self.words[word]);
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    /// As `at_or_after`, and when there is none, the lowest of all: the next one round the circle.
    pub fn next_around(&self, number: usize) -> Option<usize> {
        self.at_or_after(number).or_else(|| self.first())
    }

    /// As `next_around`, if that is in the word of `number`, which is given, or there is only one word.
    /// Of 64 that are all in the set, this finds all but one.
    #[inline]
    pub fn next_near(&self, word: usize, number: usize) -> Option<usize> {
        debug_assert_eq!(word, number / 64);
        if let [word] = self.words[..] {
            // Without a branch on where the next one is. 64 is the end, after which 0 comes.
            debug_assert!(number <= 64);
            let rest = word & u64::MAX << (number % 64);
            let next = if rest == 0 { word } else { rest };
            return (word != 0).then(|| next.trailing_zeros() as usize);
        }
        let here = self.words.get(word)? >> (number % 64);
        (here != 0).then(|| number + here.trailing_zeros() as usize)
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
            len in prop_oneof![1_usize..200, 200_usize..10_000],
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
            prop_assert_eq!(bits.next_around(len), set.first().copied());
            let near = bits.next_near(from / 64, from);
            prop_assert!(near.is_none() || near == bits.next_around(from));
            let found = next.is_some_and(|next| next / 64 == from / 64);
            prop_assert!(near.is_some() || !found && (len > 64 || set.is_empty()));
            let words = bits.set_words().map(|(_, word)| word.count_ones() as usize).sum::<usize>();
            prop_assert_eq!(words, set.len());
            bits.grow(2 * len);
            prop_assert_eq!(bits.at_or_after(from), next);
            bits.clear();
            prop_assert!(bits.is_empty() && bits.at_or_after(0).is_none());
        }

        #[test]
        fn two_are_searched_as_one(
            ours in prop::collection::btree_set(0_usize..9000, 0..100),
            theirs in prop::collection::btree_set(0_usize..9000, 0..100),
            shared in prop::collection::btree_set(0_usize..9000, 0..20),
            from in 0_usize..9001,
        ) {
            let ours: BTreeSet<_> = ours.union(&shared).copied().collect();
            let theirs: BTreeSet<_> = theirs.union(&shared).copied().collect();
            let (mut a, mut b) = (Bits::new(9000), Bits::new(9000));
            ours.iter().for_each(|&number| a.insert(number));
            theirs.iter().for_each(|&number| b.insert(number));
            let around = |set: BTreeSet<usize>| {
                set.range(from..).next().or(set.first()).copied()
            };
            prop_assert_eq!(a.next_around_in(&b, from), around(&ours & &theirs));
            prop_assert_eq!(a.next_around_without(&b, from), around(&ours - &theirs));
        }
    }
}
