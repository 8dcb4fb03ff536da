//! Which of many children were woken, at a cost per wake that does not grow with their number.
//!
//! A combinator over `n` children gives each of them a waker of its own. A wake sets the child's bit
//! and, if it is the first since the parent looked, wakes the parent's task. The parent then polls the
//! children whose bits are set and no others: O(woken), not O(n).

use std::sync::Arc;
use std::task::{Context, Waker};

use ziggurat_core::wake::{WakeByNumber, WakerBlock, WakerRef};

mod bits;

use crate::sync::{AtomicU64, AtomicUsize, AtomicWaker, Ordering};
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

/// What wakers on other threads touch: a bit per child in words, and a list of the words that have one.
///
/// Who sets the first bit of a word puts the word on the list, and who puts the first word on the list
/// wakes the parent. The consumer takes the list as a whole and then the bits of each word on it. So a
/// word that has bits is on the list, or its producer is about to put it there; and it is there once.
///
/// A word lies with the wakers of its children: who wakes one finds all but the root on one cache line.
pub struct Shared {
    root: Arc<Root>,
    words: Vec<WakerBlock<Word>>,
}

struct Root {
    parent: AtomicWaker,
    /// The word that was put on the list last, or `END`.
    last: AtomicUsize,
}

/// The bits of 64 children.
struct Word {
    bits: AtomicU64,
    /// On the list: the word that was put there before this one, or `END`.
    before: AtomicUsize,
    root: Arc<Root>,
    /// Which word this is.
    index: usize,
}

/// In place of a word's number: there is none.
const END: usize = usize::MAX;

impl WakeByNumber for Word {
    /// Sets the child's bit, and wakes the parent unless somebody else is about to.
    #[inline]
    fn wake(&self, number: usize) {
        // AcqRel: the consumer's swap is to see what the waker's caller did before; and where the bits
        // were not clear, the one who set them first carries ours along, so he must be seen to have
        // done so.
        if self.bits.fetch_or(1 << number, Ordering::AcqRel) == 0 && self.root.put(self) {
            self.root.parent.wake();
        }
    }
}

impl Root {
    /// Puts a word on the list. Returns whether it is the first.
    #[inline]
    fn put(&self, word: &Word) -> bool {
        // Relaxed: nothing is read by way of what this names, here.
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the exchange. The consumer has read what was here: that was before
            // it cleared the bits, and it is only after that somebody puts the word on the list again.
            word.before.store(last, Ordering::Relaxed);
            // AcqRel: the consumer is to see `before` and the bits; and as above.
            let exchanged = self.last.compare_exchange_weak(
                last,
                word.index,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            match exchanged {
                Ok(_) => return last == END,
                Err(other) => last = other,
            }
        }
    }
}

impl Shared {
    /// For `children` children.
    pub fn new(children: usize) -> Self {
        let root = Arc::new(Root { parent: AtomicWaker::new(), last: AtomicUsize::new(END) });
        let word = |index| Word {
            bits: AtomicU64::new(0),
            before: AtomicUsize::new(END),
            root: Arc::clone(&root),
            index,
        };
        let words = (0..children.div_ceil(64)).map(|index| WakerBlock::new(word(index))).collect();
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
        // Relaxed: a word that is seen late is seen after `register`, which orders it; one that is seen
        // is read by the swap.
        self.root.last.load(Ordering::Relaxed) != END
    }

    /// Takes all bits that are set, as the numbers of words and what is in them.
    #[inline]
    pub fn take(&self, each: impl FnMut(usize, u64)) {
        if self.has_news() {
            self.take_listed(each);
        }
    }

    // Out of line: on the path where nobody was woken, this is a load and a branch.
    #[inline(never)]
    fn take_listed(&self, mut each: impl FnMut(usize, u64)) {
        let mut next = self.root.last.swap(END, Ordering::AcqRel);
        while next != END {
            let (index, word) = (next, self.words[next].target());
            // Relaxed: written before the word was put on the list, which was seen by the swap above.
            // Read before the bits are cleared: from then on somebody may put it on the list anew.
            next = word.before.load(Ordering::Relaxed);
            each(index, word.bits.swap(0, Ordering::AcqRel));
        }
    }
}
