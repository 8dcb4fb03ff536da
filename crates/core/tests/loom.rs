//! Model checks of the pool's free list. They run with `RUSTFLAGS="--cfg ziggurat_loom"`.
#![cfg(ziggurat_loom)]

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};

use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;
use ziggurat_core::model::{FreeList, Pushed};

struct Slots {
    list: FreeList,
    links: Vec<AtomicU32>,
}

impl Slots {
    fn new(count: u32) -> Arc<Self> {
        let slots =
            Slots { list: FreeList::new(), links: (0..count).map(|_| AtomicU32::new(0)).collect() };
        slots.list.add_slots(count as usize);
        Arc::new(slots)
    }

    fn full(count: u32) -> Arc<Self> {
        let slots = Slots::new(count);
        (0..count).for_each(|i| assert!(slots.push(i).is_none()));
        slots
    }

    fn pop(&self) -> Option<u32> {
        self.list.pop(|i| &self.links[i as usize])
    }

    fn push(&self, index: u32) -> Option<()> {
        match self.list.push(index, &self.links[index as usize], || ()) {
            Pushed::Free(wake) => wake,
            other => panic!("the list is open, not {other:?}"),
        }
    }
}

/// Runs a model and prints how many executions were explored.
fn model(name: &str, f: impl Fn() + Sync + Send + 'static) {
    static EXECUTIONS: StdAtomicUsize = StdAtomicUsize::new(0);
    EXECUTIONS.store(0, StdOrdering::Relaxed);
    loom::model(move || {
        EXECUTIONS.fetch_add(1, StdOrdering::Relaxed);
        f();
    });
    println!("loom: {name}: {} executions", EXECUTIONS.load(StdOrdering::Relaxed));
}

/// One test, so that the models' counts are not mixed by parallel runs.
#[test]
fn free_list_models() {
    model("no slot is owned twice, none is lost", || {
        let slots = Slots::full(2);
        let work = |slots: Arc<Slots>| {
            move || {
                if let Some(index) = slots.pop() {
                    slots.push(index);
                }
                slots.pop()
            }
        };
        let other = thread::spawn(work(slots.clone()));
        let ours = work(slots.clone())();
        let theirs = other.join().unwrap();
        let rest = std::iter::from_fn(|| slots.pop());
        let all: Vec<_> = ours.into_iter().chain(theirs).chain(rest).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 2);
    });

    model("exactly one of the last users frees the list", || {
        let slots = Slots::new(2);
        let freed = Arc::new(AtomicUsize::new(0));
        let home = |index: u32| {
            let (slots, freed) = (slots.clone(), freed.clone());
            move || {
                if let Pushed::Last = slots.list.push(index, &slots.links[index as usize], || ()) {
                    freed.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let threads = [thread::spawn(home(0)), thread::spawn(home(1))];
        if let Pushed::Last = slots.list.close(|i| &slots.links[i as usize]) {
            freed.fetch_add(1, Ordering::Relaxed);
        }
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(freed.load(Ordering::Relaxed), 1);
    });

    model("a waiter is never left asleep beside a free slot", || {
        let slots = Slots::full(1);
        let event = Arc::new(Notify::new());
        let slot = slots.pop().unwrap();
        let waiter = thread::spawn({
            let (slots, event) = (slots.clone(), event.clone());
            move || loop {
                if let Some(index) = slots.pop() {
                    return index;
                }
                slots.list.announce_waiter();
                if let Some(index) = slots.pop() {
                    return index;
                }
                event.wait();
            }
        });
        if slots.push(slot).is_some() {
            event.notify();
        }
        assert_eq!(waiter.join().unwrap(), slot);
    });
}
