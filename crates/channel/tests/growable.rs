//! The memory of a row of rings: how much it takes, what lies in it, and that nothing is left of it.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use futures_lite::future::block_on;
use support::Tally;
use ziggurat_channel::{TryRecvError, growable, growable_with_capacity};

/// Counts the bytes that this thread has allocated and not freed, and the allocations that it has made.
struct Counting;

thread_local! {
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: it is the system's, and a count beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.with(|bytes| bytes.set(bytes.get() + layout.size() as isize));
        CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        BYTES.with(|bytes| bytes.set(bytes.get() - layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The words of a ring, in bytes.
const WORDS: isize = 256;

#[test]
fn rings_take_what_they_say_and_are_made_when_they_are_needed() {
    let start = BYTES.get();
    let (s, r) = growable::<u64>();
    let ring = |number: u32| WORDS + (64 << number) * 16;
    let (empty, calls) = (BYTES.get(), CALLS.get());
    for i in 0..64 {
        s.try_send(i).unwrap();
    }
    assert_eq!((BYTES.get(), CALLS.get()), (empty, calls), "there was room for so many");
    let mut expected = empty;
    for number in 1..8 {
        s.try_send(0).unwrap();
        expected += ring(number);
        assert_eq!(BYTES.get(), expected, "ring {number}");
        for i in 1..64 << number {
            s.try_send(i).unwrap();
        }
        assert_eq!(BYTES.get(), expected, "ring {number} is full");
    }
    // The last ring is lapped for as long as the backlog fits.
    while r.try_recv().is_ok() {}
    for i in 0..50_000 {
        s.try_send(i).unwrap();
        assert_eq!(r.try_recv(), Ok(i));
    }
    assert_eq!(BYTES.get(), expected);
    drop((s, r));
    assert_eq!(BYTES.get(), start);
}

#[test]
fn the_first_ring_is_as_large_as_it_was_asked_to_be() {
    for (asked, slots) in [(0, 1), (1, 1), (2, 2), (3, 4), (1000, 1024)] {
        let (s, _r) = growable_with_capacity(asked);
        let calls = CALLS.get();
        (0..slots).for_each(|i| s.try_send(i).unwrap());
        assert_eq!((CALLS.get(), s.len()), (calls, slots));
        s.try_send(0).unwrap();
        assert_eq!((CALLS.get(), s.capacity(), s.is_full()), (calls + 1, None, false));
    }
    let overflow = catch_unwind(|| growable_with_capacity::<u64>(usize::MAX / 16));
    assert!(overflow.is_err());
}

fn pass_through<T: PartialEq + std::fmt::Debug + Copy>(item: T) {
    let (s, r) = growable_with_capacity(2);
    for _ in 0..3 {
        let mut items: VecDeque<_> = [item; 37].into();
        assert_eq!(s.try_send_many(&mut items), Ok(37));
        assert_eq!(s.len(), 37);
        for _ in 0..37 {
            assert_eq!(r.try_recv(), Ok(item));
        }
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn items_of_any_size_and_alignment() {
    #[repr(align(512))]
    #[derive(Debug, PartialEq, Clone, Copy)]
    struct Aligned(u8);

    pass_through(());
    pass_through(7_u8);
    pass_through([7_u64; 1000]);
    pass_through(Aligned(7));
    let (s, r) = growable_with_capacity(1);
    for i in 0..20 {
        s.try_send(Aligned(i)).unwrap();
    }
    for i in 0..20 {
        let item = Box::new(r.try_recv().unwrap());
        assert_eq!((&raw const *item).addr() % 512, 0);
        assert_eq!(item.0, i);
    }
}

#[test]
fn whatever_is_left_in_the_rings_is_dropped_once() {
    let start = BYTES.get();
    for sent in [0, 1, 2, 3, 7, 8, 100] {
        for taken in [0, 1, 3, 50, 100] {
            let (tally, (s, r)) = (Tally::default(), growable_with_capacity(1));
            (0..sent).for_each(|i| s.try_send(tally.item(i)).unwrap());
            for i in 0..taken.min(sent) {
                assert_eq!(r.try_recv().unwrap().number, i);
            }
            let left = sent.saturating_sub(taken) as usize;
            assert_eq!((tally.live(), s.len()), (left, left));
            if taken % 2 == 0 {
                drop((s, r))
            } else {
                drop((r, s))
            }
            assert_eq!(tally.live(), 0);
        }
    }
    assert_eq!(BYTES.get(), start);
}

#[test]
fn an_item_whose_drop_panics_keeps_neither_the_others_nor_the_memory() {
    struct Bomb(Arc<AtomicUsize>, bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            assert!(!self.1, "it goes off");
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let (s, r) = growable_with_capacity(1);
    for i in 0..20 {
        assert!(s.try_send(Bomb(count.clone(), i == 2)).is_ok());
    }
    drop(r);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(s))).is_err());
    assert_eq!((count.load(Ordering::SeqCst), Arc::strong_count(&count)), (20, 1));
}

/// Four senders and four receivers through rings that begin with one slot: each item arrives once, each
/// sender's in order.
fn stress(each: u64) {
    let (s, r) = growable_with_capacity(1);
    let senders: Vec<_> = (0..4_u64)
        .map(|id| {
            let s = s.clone();
            thread::spawn(move || {
                let mut next = 0;
                let mut items = VecDeque::new();
                while next < each {
                    if next % 3 == 0 {
                        s.try_send(id << 48 | next).unwrap();
                        next += 1;
                        continue;
                    }
                    let end = (next + next % 100 + 1).min(each);
                    items.extend((next..end).map(|i| id << 48 | i));
                    assert_eq!(s.try_send_many(&mut items), Ok((end - next) as usize));
                    next = end;
                }
            })
        })
        .collect();
    drop(s);
    let receivers: Vec<_> = (0..4)
        .map(|id| {
            let r = r.clone();
            thread::spawn(move || {
                let (mut next, mut sum, mut items) = ([0; 4], 0, Vec::new());
                loop {
                    let received = if id % 2 == 0 {
                        block_on(r.recv()).map(|item| items.push(item)).is_ok()
                    } else {
                        block_on(r.recv_many(&mut items, 50)).is_ok()
                    };
                    if !received {
                        return sum;
                    }
                    for item in items.drain(..) {
                        let (id, number) = ((item >> 48) as usize, item & ((1 << 48) - 1));
                        assert!(number >= next[id]);
                        next[id] = number + 1;
                        sum += number;
                    }
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let sum: u64 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
    assert_eq!(sum, 4 * (each * (each - 1) / 2));
    assert_eq!((r.len(), r.fault()), (0, None));
}

#[test]
fn everything_arrives_once_and_in_order() {
    (0..20).for_each(|_| stress(5_000));
}

#[test]
#[ignore = "takes some seconds"]
fn many_items_arrive_once_and_in_order() {
    (0..20).for_each(|_| stress(1_000_000));
}
