//! Which of many children were woken, at a cost per wake that does not grow with their number.
//!
//! A combinator over `n` children gives each of them a waker of its own. A wake sets the child's bit
//! and, if it is the first since the parent looked, wakes the parent's task. The parent then polls the
//! children whose bits are set and no others: O(woken), not O(n).

use std::sync::Arc;
use std::task::{Context, Waker};

use ziggurat_core::wake::{WakeByNumber, WakerBlock, WakerRef};

mod bits;

use crate::sync::{AtomicU64, AtomicWaker, Ordering};
pub(crate) use bits::Bits;

/// The bits of a set of children, which are numbered from 0, and their wakers.
///
/// What is woken from anywhere is collected into [`ready`](Self::ready), where the parent takes it in
/// the order that suits it. A child that is to be polled again without a wake simply stays there.
///
/// A stale waker of a child that is gone may still set its bit: an index in `ready` is a hint that the
/// child should be polled, not a promise that there is one.
pub(crate) struct WakeSet {
    /// The children to poll.
    pub(crate) ready: Bits,
    shared: Shared,
    capacity: usize,
}

impl WakeSet {
    /// For `children` children, none of which is ready.
    pub(crate) fn new(capacity: usize) -> Self {
        WakeSet { ready: Bits::new(capacity), shared: Shared::new(capacity), capacity }
    }

    /// How many children it has room for.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Makes room for more children. Those that there are get other wakers. All of them become ready,
    /// to be polled again, and to leave the new ones.
    pub(crate) fn grow(&mut self, children: usize) {
        debug_assert!(children >= self.capacity());
        let old = self.capacity();
        *self = WakeSet::new(children);
        (0..old).for_each(|child| self.ready.insert(child));
    }

    /// Whether somebody was woken since the last time, and is to be collected.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.shared.has_news()
    }

    /// Collects who was woken since the last time. A load when nobody was.
    #[inline]
    pub(crate) fn collect(&mut self) {
        self.shared.take(|word, bits| self.ready.insert_word(word, bits));
    }

    /// As `collect`, and from here on a wake also wakes the task of `cx`. To be called before the parent
    /// returns `Pending`; it may do so only if `ready` is still empty.
    #[inline(never)]
    pub(crate) fn collect_or_register(&mut self, cx: &Context<'_>) {
        self.shared.register(cx.waker());
        self.collect();
    }

    /// A child's waker: the same from poll to poll, until the set grows.
    #[inline]
    pub(crate) fn waker(&self, child: usize) -> WakerRef<'_> {
        self.shared.words[child / 64].waker(child % 64)
    }
}

/// What wakers on other threads touch: a bit per child in words, and a bit per group of words in the
/// root.
///
/// A group is one word as long as that is enough: up to 4,096 children. Beyond that it is two words,
/// four, eight, so that there is never more than one word to look at when nobody was woken.
///
/// Producers set the bit in the word first, then the group's bit in the root, then wake the parent. The
/// consumer clears them in the opposite order: the root first, then the words of the groups it named. So
/// a bit in a word is either named by the root, or its producer is about to name it.
///
/// A word lies with the wakers of its children: who wakes one finds all but the root on one cache line.
pub struct Shared {
    root: Arc<Root>,
    words: Vec<WakerBlock<Word>>,
}

struct Root {
    parent: AtomicWaker,
    groups: AtomicU64,
    /// A group is `1 << shift` words.
    shift: u32,
}

/// The bits of 64 children.
struct Word {
    bits: AtomicU64,
    root: Arc<Root>,
    /// Which word this is.
    index: usize,
}

impl WakeByNumber for Word {
    /// Sets the child's bit, and wakes the parent unless somebody else is about to.
    #[inline]
    fn wake(&self, number: usize) {
        // AcqRel on both: the consumer's swaps are to see what the waker's caller did before; and where
        // the bits were not clear, the one who set them first carries ours along, so he must be seen to
        // have done so.
        if self.bits.fetch_or(1 << number, Ordering::AcqRel) != 0 {
            return;
        }
        let group = 1 << (self.index >> self.root.shift);
        if self.root.groups.fetch_or(group, Ordering::AcqRel) == 0 {
            self.root.parent.wake();
        }
    }
}

impl Shared {
    /// For `children` children.
    pub fn new(children: usize) -> Self {
        let words = children.div_ceil(64).max(1);
        Shared::with_groups(children, words.div_ceil(64).next_power_of_two().trailing_zeros())
    }

    /// As `new`, with `1 << shift` words to a group. There are at most 64 groups.
    pub fn with_groups(children: usize, shift: u32) -> Self {
        let words = children.div_ceil(64);
        debug_assert!(words == 0 || (words - 1) >> shift < 64);
        let (parent, groups) = (AtomicWaker::new(), AtomicU64::new(0));
        let root = Arc::new(Root { parent, groups, shift });
        let word = |index| Word { bits: AtomicU64::new(0), root: Arc::clone(&root), index };
        let words = (0..words).map(|index| WakerBlock::new(word(index))).collect();
        Shared { root, words }
    }

    /// A child's waker.
    #[cfg(ziggurat_loom)]
    pub fn waker(&self, child: usize) -> Waker {
        self.words[child / 64].waker(child % 64).clone()
    }

    /// Leaves the parent's waker. `take` once more after it.
    pub fn register(&self, waker: &Waker) {
        self.root.parent.register(waker);
    }

    /// Whether there is something to take.
    #[inline]
    fn has_news(&self) -> bool {
        // Relaxed: a bit that is seen late is seen after `register`, which orders it; one that is seen is
        // read by the swap.
        self.root.groups.load(Ordering::Relaxed) != 0
    }

    /// Takes all bits that are set, as the numbers of words and what is in them.
    #[inline]
    pub fn take(&self, each: impl FnMut(usize, u64)) {
        if self.has_news() {
            self.take_named(each);
        }
    }

    // Out of line: on the path where nobody was woken, this is a load and a branch.
    #[inline(never)]
    fn take_named(&self, mut each: impl FnMut(usize, u64)) {
        let Root { groups, shift, .. } = &*self.root;
        let mut named = groups.swap(0, Ordering::AcqRel);
        while named != 0 {
            let first = (named.trailing_zeros() as usize) << shift;
            named &= named - 1;
            let end = self.words.len().min(first + (1 << shift));
            for (index, word) in (first..end).zip(&self.words[first..end]) {
                let bits = &word.target().bits;
                // Relaxed: a word that the root named is seen to be set, after the swap above; a word
                // that it did not name, and that is seen too late here, is named by its producer in a
                // moment.
                if bits.load(Ordering::Relaxed) != 0 {
                    each(index, bits.swap(0, Ordering::AcqRel));
                }
            }
        }
    }
}
