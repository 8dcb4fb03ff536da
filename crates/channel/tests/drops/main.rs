//! An end that is dropped at any point neither loses an item silently nor leaks one.
//!
//! A task does its work with an end, and is dropped after its first poll, its second, and so on to the
//! last. Each item must then be where the task was told that it is: sent and received, or given back, or
//! dropped along with the future that held it. Items are counted, and so are the bytes that were
//! allocated.

mod others;
mod queues;
#[path = "../support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use futures::future::LocalBoxFuture;
use support::{Bounded, Growable, Item, Kind, Tally, Unbounded};

/// Counts what this thread has allocated and not freed.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn count(size: usize, sign: isize) {
    LIVE.with(|live| live.set(live.get() + sign * size as isize));
}

// SAFETY: it is the system's, and a count beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Items per run.
const COUNT: u64 = 8;
const KINDS: [Kind; 5] = [Bounded(1), Bounded(2), Bounded(5), Unbounded, Growable(1)];

/// The items that a task was told it has sent, or received, in their order.
#[derive(Clone, Default)]
struct Told(Rc<RefCell<Vec<u64>>>);

impl Told {
    fn done(&self, number: u64) {
        self.0.borrow_mut().push(number);
    }

    fn take(&self) -> Vec<u64> {
        self.0.take()
    }
}

/// Items to be sent as a batch: those that are not here any more count as sent, whenever the task is
/// dropped.
struct Batch {
    items: VecDeque<Item>,
    told: Told,
}

impl Drop for Batch {
    fn drop(&mut self) {
        let first = self.items.front().map_or(COUNT, |item| item.number);
        assert!(self.items.iter().map(|item| item.number).eq(first..COUNT));
        (0..first).for_each(|i| self.told.done(i));
    }
}

/// Items that were received as batches, whenever the task is dropped.
struct Taken {
    items: Vec<Item>,
    told: Told,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.items.iter().for_each(|item| self.told.done(item.number));
    }
}

fn all(tally: &Tally, told: Told) -> Batch {
    Batch { items: (0..COUNT).map(|i| tally.item(i)).collect(), told }
}

/// Polls a task up to `polls` times, and the other side after each; drops the task. `true`: it was done.
fn drop_after(mut task: LocalBoxFuture<'_, ()>, polls: usize, mut other: impl FnMut()) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if task.as_mut().poll(&mut cx).is_ready() {
            return true;
        }
        other();
    }
    false
}

/// Runs a world again and again, with one poll more each time, until its task is done; after each run no
/// byte is left. `world` says whether it was done.
fn at_every_poll(what: &str, mut world: impl FnMut(usize) -> bool) {
    // Some things are allocated once.
    world(1_000);
    for polls in 0..1_000 {
        let before = LIVE.get();
        let done = world(polls);
        assert_eq!(LIVE.get(), before, "{what}: bytes are left after {polls} polls");
        if done {
            assert!(polls > 1, "{what}: nothing was tested");
            return;
        }
    }
    panic!("{what}: it never ends");
}

/// The harness must be able to fail.
#[test]
fn a_leak_is_seen() {
    let before = LIVE.get();
    let leaked = Box::leak(Box::new([0_u8; 100]));
    assert_eq!(LIVE.get(), before + 100);
    // SAFETY: leaked just now.
    drop(unsafe { Box::from_raw(leaked) });
    assert_eq!(LIVE.get(), before);
    let tally = Tally::default();
    let item = Pin::new(Box::new(tally.item(1)));
    assert_eq!((tally.live(), tally.made()), (1, 1));
    drop(item);
    assert_eq!((tally.live(), tally.made()), (0, 1));
}
