//! Wakes from anywhere at any time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;
use std::thread;

use crate::HostWaker;
use crate::abi::DONE;
use crate::testing::{Crossing, FakeSource, Task};

#[test]
fn a_wake_from_inside_a_poll_reaches_the_polling_task() {
    let fake = FakeSource::new([
        Crossing::pending().during(|waker| waker.wake()),
        Crossing::ready([1_u64]).during(|waker| (0..3).for_each(|_| waker.wake())),
    ]);
    let (mut source, task) = (fake.open(), Task::new());
    let waker = task.waker();
    let mut cx = Context::from_waker(&waker);
    fake.poll(&mut source, &mut cx, 1);
    assert_eq!(task.wakes(), 1);
    fake.poll(&mut source, &mut cx, 1);
    assert_eq!(task.wakes(), 2, "one registration, one wake");
    drop(source);
    fake.assert_released();
}

#[test]
fn the_task_that_polled_last_is_woken() {
    let fake = FakeSource::<u64>::new([]);
    let (mut source, first, second) = (fake.open(), Task::new(), Task::new());
    fake.poll(&mut source, &mut Context::from_waker(&first.waker()), 1);
    fake.poll(&mut source, &mut Context::from_waker(&second.waker()), 1);
    assert_eq!(first.wakers(), 0, "a task that is no longer waiting is not kept");
    fake.waker().unwrap().wake();
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
    fake.poll(&mut source, &mut Context::from_waker(&first.waker()), 1);
    fake.waker().unwrap().wake();
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
    drop(source);
    fake.assert_released();
}

#[test]
fn polls_that_find_the_waker_in_place_clone_nothing() {
    let fake = FakeSource::<u64>::new([]);
    let (mut source, task) = (fake.open(), Task::new());
    let waker = task.waker();
    for _ in 0..100 {
        fake.poll(&mut source, &mut Context::from_waker(&waker), 1);
    }
    assert_eq!(task.clones(), 1);
    // A wake takes the waker along: the next poll puts a new one in.
    fake.waker().unwrap().wake();
    for _ in 0..100 {
        fake.poll(&mut source, &mut Context::from_waker(&waker), 1);
    }
    assert_eq!(task.clones(), 2);
    drop(source);
    fake.assert_released();
}

#[test]
fn wakes_after_the_drop_reach_nobody() {
    let fake = FakeSource::<u64>::new([]);
    let (mut source, task) = (fake.open(), Task::new());
    fake.poll(&mut source, &mut Context::from_waker(&task.waker()), 1);
    let kept = fake.waker().unwrap();
    drop(source);
    fake.assert_released();
    assert_eq!(task.wakers(), 0, "a handle that is kept forever keeps no task");
    kept.wake();
    kept.clone().wake();
    assert_eq!(task.wakes(), 0);
}

#[test]
fn a_waker_that_is_kept_after_the_end_keeps_no_task_beyond_the_drop() {
    let fake = FakeSource::<u64>::new([Crossing::pending(), Crossing::new(DONE)]);
    let (mut source, task) = (fake.open(), Task::new());
    let waker = task.waker();
    fake.poll(&mut source, &mut Context::from_waker(&waker), 1);
    let kept = fake.waker().unwrap();
    fake.poll(&mut source, &mut Context::from_waker(&waker), 1);
    drop((source, waker));
    kept.wake();
    assert_eq!(task.wakers(), 0);
}

#[test]
fn a_storm_of_wakes_while_the_source_is_polled_moved_and_dropped() {
    for round in 0..20 {
        let fake = FakeSource::<u64>::new([]);
        let (mut source, task, stop) = (fake.open(), Task::new(), AtomicBool::new(false));
        let waker = task.waker();
        fake.poll(&mut source, &mut Context::from_waker(&waker), 1);
        let kept = fake.waker().unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                let (kept, stop) = (kept.clone(), &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        kept.clone().wake();
                        thread::yield_now();
                    }
                });
            }
            let (fake, stop) = (&fake, &stop);
            scope.spawn(move || {
                for _ in 0..50 + round {
                    let other = Task::new();
                    fake.poll(&mut source, &mut Context::from_waker(&waker), 1);
                    fake.poll(&mut source, &mut Context::from_waker(&other.waker()), 1);
                    fake.poll(&mut source, &mut Context::from_waker(&waker), 1);
                }
                drop((source, waker));
                stop.store(true, Ordering::Relaxed);
            });
        });
        fake.assert_released();
        drop(kept);
        assert_eq!(task.wakers(), 0);
    }
}

/// The waker that [`HostWaker`] compares with is the clone that it keeps, not the original: one that
/// changes when it is cloned is registered anew each time, and is never mistaken.
#[test]
fn a_waker_that_changes_when_it_is_cloned_still_works() {
    use std::task::{RawWaker, RawWakerVTable, Waker};
    static BORROWED: RawWakerVTable = RawWakerVTable::new(
        |data| {
            // SAFETY: the borrowed waker of this test points to one that is alive.
            let owned = unsafe { &*data.cast::<Waker>() }.clone();
            let owned = std::mem::ManuallyDrop::new(owned);
            RawWaker::new(owned.data(), owned.vtable())
        },
        |_| unreachable!(),
        |_| unreachable!(),
        |_| {},
    );
    let (mut host, task) = (HostWaker::new(), Task::new());
    let owned = task.waker();
    // SAFETY: `owned` outlives it, and the table's functions need nothing else.
    let borrowed = unsafe { Waker::from_raw(RawWaker::new((&raw const owned).cast(), &BORROWED)) };
    for _ in 0..3 {
        host.register(&mut Context::from_waker(&borrowed));
    }
    assert_eq!(task.wakers(), 2);
    drop(host);
    assert_eq!(task.wakers(), 1);
}
