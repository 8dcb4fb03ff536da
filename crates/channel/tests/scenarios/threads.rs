//! Threads that race.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use futures::StreamExt;
use futures_lite::future::block_on;
use futures_lite::stream::block_on as iterate;
use ziggurat_channel::{Receiver, RecvError, SendError, TryRecvError, bounded, spsc};

use crate::support::{Bounded, Growable, Item, Random, Tally, Tasks, Unbounded, make};
use crate::{KINDS, SEEDS};

#[test]
fn length_is_exact_at_rest_and_bounded_in_motion() {
    const CAPACITY: usize = 100;
    let (s, r) = bounded(CAPACITY);
    for _ in 0..CAPACITY / 10 {
        (0..50).for_each(|i| {
            s.try_send(i).unwrap();
            assert_eq!(s.len(), i + 1);
        });
        (0..50).for_each(|i| {
            assert_eq!(r.try_recv(), Ok(i));
            assert_eq!(r.len(), 49 - i);
        });
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..5_000 {
                assert_eq!(r.recv_blocking(), Ok(i));
                assert!(r.len() <= CAPACITY);
            }
        });
        for i in 0..5_000 {
            s.send_blocking(i).unwrap();
            assert!(s.len() <= CAPACITY);
        }
    });
    assert_eq!((s.len(), r.len()), (0, 0));
}

#[test]
fn one_to_one_in_order() {
    const COUNT: usize = 20_000;
    for kind in KINDS {
        let (s, mut r) = make(kind);
        thread::scope(|scope| {
            scope.spawn(move || (0..COUNT).for_each(|i| s.send_blocking(i).unwrap()));
            (0..COUNT / 2).for_each(|i| assert_eq!(r.recv_blocking(), Ok(i)));
            (COUNT / 2..COUNT).for_each(|i| assert_eq!(block_on(r.next()), Some(i)));
            assert_eq!(r.recv_blocking(), Err(RecvError));
        });
        // On one thread, whoever is polled first.
        for seed in 0..SEEDS {
            let ((s, r), mut tasks) = (make(kind), Tasks::new(seed));
            tasks.spawn(async move {
                for i in 0..100 {
                    s.send(i).await.unwrap();
                }
            });
            tasks.spawn(async move {
                for i in 0..100 {
                    assert_eq!(r.recv().await, Ok(i));
                }
            });
            tasks.run(10_000);
        }
    }
    let (mut s, mut r) = spsc::bounded(3);
    thread::scope(|scope| {
        scope.spawn(move || (0..COUNT).for_each(|i| s.send_blocking(i).unwrap()));
        (0..COUNT).for_each(|i| assert_eq!(r.recv_blocking(), Ok(i)));
        assert_eq!(r.recv_blocking(), Err(RecvError));
    });
}

#[test]
fn many_to_many_each_as_often_as_it_was_sent() {
    const COUNT: usize = 3_000;
    const THREADS: usize = 4;
    for kind in [Bounded(3), Unbounded, Growable(1)] {
        let (s, r) = make(kind);
        let seen: Vec<_> = (0..COUNT).map(|_| AtomicUsize::new(0)).collect();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..COUNT {
                        let item: usize = r.recv_blocking().unwrap();
                        seen[item].fetch_add(1, Ordering::SeqCst);
                    }
                });
                scope.spawn(|| (0..COUNT).for_each(|i| s.send_blocking(i).unwrap()));
            }
        });
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        assert!(seen.into_iter().all(|seen| seen.into_inner() == THREADS));
    }
}

#[test]
fn two_threads_race_over_one_item_and_the_end() {
    for round in 0..2_000 {
        let (s, r) = make([Bounded(1), Unbounded, Growable(1)][round % 3]);
        thread::scope(|scope| match round % 10 / 2 {
            0 => {
                let receiver = scope.spawn(move || r.recv_blocking());
                s.send_blocking(Box::new(10)).unwrap();
                assert_eq!(receiver.join().unwrap(), Ok(Box::new(10)));
            }
            1 => {
                let receiver = scope.spawn(move || r.recv_blocking());
                drop(s);
                assert_eq!(receiver.join().unwrap(), Err(RecvError));
            }
            2 => {
                scope.spawn(move || drop(r));
                drop(s);
            }
            3 => {
                // One of the two: sent into the channel, or given back.
                scope.spawn(move || drop(r));
                let given_back = s.send_blocking(Box::new(1)).err().map(SendError::into_inner);
                assert!(given_back.is_none_or(|item| *item == 1));
            }
            _ => {
                let (t, back) = make(Bounded(3));
                scope.spawn(move || {
                    r.recv_blocking().unwrap();
                    t.try_send(()).unwrap();
                });
                s.try_send(Box::new(1)).unwrap();
                back.recv_blocking().unwrap();
            }
        });
    }
}

#[test]
fn requests_and_responses() {
    const COUNT: usize = 10_000;
    for kind in [Bounded(1), Unbounded, Growable(1)] {
        let ((ask, asked), (answer, answers)) = (make(kind), make(kind));
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut count = 0;
                loop {
                    for x in std::iter::from_fn(|| answers.try_recv().ok()) {
                        count += x;
                        if count == COUNT {
                            return;
                        }
                    }
                    ask.send_blocking(()).unwrap();
                }
            });
            for () in iterate(asked) {
                if answer.send_blocking(1).is_err() {
                    break;
                }
            }
        });
    }
}

#[test]
fn items_are_dropped_once_received_or_not() {
    let mut random = Random(1);
    for kind in [Bounded(50), Unbounded, Growable(1)] {
        for _ in 0..30 {
            let (steps, left) = (random.below(1_000), random.below(50));
            let (tally, (s, r)) = (Tally::default(), make::<Item>(kind));
            thread::scope(|scope| {
                scope.spawn(|| (0..steps).for_each(|_| drop(r.recv_blocking().unwrap())));
                (0..steps).for_each(|i| s.send_blocking(tally.item(i as u64)).unwrap());
            });
            assert_eq!(tally.live(), 0);
            (0..left).for_each(|i| s.try_send(tally.item(i as u64)).unwrap());
            drop(s);
            assert_eq!(tally.live(), left);
            drop(r);
            assert_eq!((tally.live(), tally.made()), (0, steps + left));
        }
    }
}

#[test]
fn after_a_send_there_is_something_for_a_receive() {
    const THREADS: usize = 4;
    for kind in [Bounded(THREADS), Unbounded, Growable(1)] {
        let (s, r) = make(kind);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        s.send_blocking(0).unwrap();
                        r.try_recv().unwrap();
                    }
                });
            }
        });
    }
}

#[test]
fn a_channel_goes_through_a_channel() {
    type Nested = Box<dyn Any + Send>;
    for kind in [Bounded(1), Unbounded, Growable(1)] {
        let (mut s, mut r) = make::<Nested>(kind);
        thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..500 {
                    let (next, other) = make::<Nested>(kind);
                    s.send_blocking(Box::new(other)).unwrap();
                    s = next;
                }
            });
            for _ in 0..500 {
                r = *r.recv_blocking().unwrap().downcast::<Receiver<Nested>>().unwrap();
            }
            assert!(r.recv_blocking().is_err());
        });
    }
}

#[test]
fn many_senders_into_little_room() {
    let (s, r) = bounded(5);
    (0..5).for_each(|i| s.try_send(i).unwrap());
    assert_eq!(r.try_recv(), Ok(0));
    s.send_blocking(5).unwrap();
    assert!(s.try_send(6).is_err());
    let mut all = Vec::new();
    assert_eq!(r.try_recv_many(&mut all, 9), Ok(5));
    thread::scope(|scope| {
        for _ in 0..20 {
            let s = s.clone();
            scope.spawn(move || (0..500).for_each(|i| s.send_blocking(i).unwrap()));
        }
        drop(s);
        assert_eq!(iterate(r.clone()).sum::<u64>(), (0..500).sum::<u64>() * 20);
    });
    assert_eq!(r.recv_blocking(), Err(RecvError));
}

#[test]
fn threads_and_tasks_share_a_channel() {
    for kind in KINDS {
        let ((s, r), (t, back)) = (make(kind), make(kind));
        thread::scope(|scope| {
            scope.spawn(move || (0..500).for_each(|i| s.send_blocking(i).unwrap()));
            scope.spawn(move || {
                block_on(async {
                    while let Ok(item) = r.recv().await {
                        t.send(item + 1).await.unwrap();
                    }
                });
            });
            (1..=500).for_each(|i| assert_eq!(back.recv_blocking(), Ok(i)));
            assert_eq!(back.recv_blocking(), Err(RecvError));
        });
    }
}

/// Half-written items would differ in their bits.
#[test]
fn items_keep_every_bit() {
    #[derive(Debug, Clone, PartialEq)]
    struct Padded(bool, u8, u32);
    #[derive(Debug, Clone, PartialEq)]
    #[repr(C)]
    struct PaddedAsInC(bool, u8, u32);

    fn check<T: Clone + PartialEq + std::fmt::Debug + Send + Sync>(zeros: T, ones: T) {
        for kind in [Bounded(1), Bounded(3), Unbounded, Growable(1)] {
            let (s, r) = make(kind);
            thread::scope(|scope| {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        s.send_blocking(zeros.clone()).unwrap();
                        s.send_blocking(ones.clone()).unwrap();
                    }
                });
                for _ in 0..2_000 {
                    assert_eq!(r.recv_blocking().as_ref(), Ok(&zeros));
                    assert_eq!(r.recv_blocking().as_ref(), Ok(&ones));
                }
            });
        }
    }
    check(0_u8, !0_u8);
    check(0_u16, !0_u16);
    check(0_u32, !0_u32);
    check(0_u64, !0_u64);
    check([0_u64; 4], [!0_u64; 4]);
    check((0_u64, 0_u64, 0_u64, 0_u8), (!0_u64, !0_u64, !0_u64, !0_u8));
    check("", "not empty");
    check(Box::new(0_u64), Box::new(!0_u64));
    check(vec![1, 2, 3], vec![]);
    check(Padded(false, 0, 0), Padded(true, !0, !0));
    check(PaddedAsInC(false, 0, 0), PaddedAsInC(true, !0, !0));
}

#[test]
fn items_of_no_size_and_wide_alignment() {
    #[repr(align(1024))]
    struct Wide;
    for kind in KINDS {
        let (s, r) = make(kind);
        thread::scope(|scope| {
            scope.spawn(move || (0..1_000).for_each(|_| assert!(s.send_blocking(Wide).is_ok())));
            let items = std::iter::from_fn(|| r.recv_blocking().ok());
            let aligned = items.filter(|wide| std::ptr::from_ref(wide).addr() % 1024 == 0);
            assert_eq!(aligned.count(), 1_000);
        });
    }
}

#[test]
fn each_item_that_changes_threads_is_dropped_once() {
    const EACH: usize = 1_000;
    for kind in [Bounded(1), Bounded(64), Unbounded, Growable(1)] {
        let (tally, (s, r)) = (Tally::default(), make::<Item>(kind));
        thread::scope(|scope| {
            for _ in 0..4 {
                let (s, tally) = (s.clone(), &tally);
                scope.spawn(move || {
                    (0..EACH).for_each(|i| s.send_blocking(tally.item(i as u64)).unwrap());
                });
                scope.spawn(|| (0..EACH).for_each(|_| drop(r.recv_blocking().unwrap())));
            }
        });
        assert_eq!((tally.live(), tally.made()), (0, 4 * EACH));
    }
}
