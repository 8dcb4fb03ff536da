//! Who waits, who is woken, and who leaves.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use futures::{FutureExt, StreamExt};
use ziggurat_channel::{RecvError, SendError, bounded, unbounded};

use crate::support::{Bounded, Growable, Tally, Tasks, Unbounded, make};
use crate::{KINDS, SEEDS};

#[test]
fn a_receiver_waits_for_each_item() {
    for kind in KINDS {
        let (s, r) = make(kind);
        let mut tasks = Tasks::new(1);
        tasks.spawn(async move {
            assert_eq!(r.recv().await, Ok(7));
            let mut r = r;
            assert_eq!(r.next().await, Some(8));
            assert_eq!(r.recv().await, Ok(9));
            assert_eq!(r.recv().await, Err(RecvError));
        });
        for item in 7..10 {
            tasks.settle(1_000);
            assert_eq!((tasks.left(), s.len()), (1, 0));
            s.try_send(item).unwrap();
        }
        tasks.settle(1_000);
        drop(s);
        tasks.run(1_000);
    }
}

#[test]
fn a_sender_waits_for_room() {
    for capacity in 1..4 {
        let (s, r) = bounded(capacity);
        let mut tasks = Tasks::new(1);
        tasks.spawn(async move {
            for i in 0..10 {
                s.send(i).await.unwrap();
            }
            // Nobody takes these.
            for i in 10..=10 + capacity {
                let sent = s.send(i).await;
                assert_eq!(sent, if i < 10 + capacity { Ok(()) } else { Err(SendError(i)) });
            }
        });
        for i in 0..10 {
            tasks.settle(1_000);
            assert_eq!((tasks.left(), r.len()), (1, capacity));
            assert_eq!(r.try_recv(), Ok(i));
        }
        tasks.settle(1_000);
        assert_eq!(tasks.left(), 1);
        drop(r);
        tasks.run(1_000);
    }
}

/// By a drop of the other side, and by `close` from either; and without anybody to wake, the executor
/// notices.
#[test]
fn the_end_wakes_all_who_wait() {
    for (seed, how) in (0..3).flat_map(|how| (0..SEEDS).map(move |seed| (seed, how))) {
        let (s, r) = bounded::<u8>(1);
        let mut tasks = Tasks::new(seed);
        for i in 0..4 {
            let mut r = r.clone();
            tasks.spawn(async move {
                let ended = if i % 2 == 0 { r.recv().await.ok() } else { r.next().await };
                assert_eq!(ended, None);
            });
        }
        tasks.settle(1_000);
        assert_eq!(tasks.left(), 4);
        match how {
            0 => drop(s),
            1 => assert!(s.close()),
            _ => assert!(r.close()),
        }
        tasks.run(1_000);

        let (s, r) = bounded(1);
        s.try_send(0).unwrap();
        let mut tasks = Tasks::new(seed);
        for i in 1..5 {
            let s = s.clone();
            tasks.spawn(async move { assert_eq!(s.send(i).await, Err(SendError(i))) });
        }
        tasks.settle(1_000);
        assert_eq!(tasks.left(), 4);
        match how {
            0 => drop(r),
            1 => assert!(s.close()),
            _ => assert!(r.close()),
        }
        tasks.run(1_000);
    }
}

#[test]
fn a_receiver_that_gave_up_keeps_no_item() {
    for seed in 0..SEEDS {
        let (s, r) = bounded(10);
        let mut stream = r.clone();
        let mut recv = Box::pin(r.recv());
        assert!(recv.as_mut().now_or_never().is_none());
        assert!(stream.next().now_or_never().is_none());
        let mut tasks = Tasks::new(seed);
        let other = r.clone();
        tasks.spawn(async move { assert_eq!(other.recv().await, Ok(42)) });
        tasks.settle(1_000);
        s.try_send(42).unwrap();
        // The wake may have been for either of these, who leave.
        drop(recv);
        drop(stream);
        tasks.run(1_000);
    }
}

#[test]
fn many_receivers_of_both_kinds_see_the_end() {
    for (seed, kind) in (0..20).zip(KINDS.into_iter().cycle()) {
        let received = Cell::new(0);
        let ((s, r), mut tasks) = (make(kind), Tasks::new(seed));
        for i in 0..250 {
            let (mut r, received) = (r.clone(), &received);
            tasks.spawn(async move {
                while if i % 2 == 0 { r.next().await.is_some() } else { r.recv().await.is_ok() } {
                    received.set(received.get() + 1);
                }
            });
        }
        tasks.spawn(async move {
            for _ in 0..1_000 {
                s.send(()).await.unwrap();
            }
        });
        tasks.run(1_000_000);
        assert_eq!(received.get(), 1_000);
    }
}

#[test]
fn one_wake_for_many_items() {
    for kind in [Bounded(3), Unbounded, Growable(1)] {
        let ((s, mut r), (waker, wakes)) = (make(kind), counting());
        assert!(r.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
        (0..3).for_each(|i| s.try_send(i).unwrap());
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_receiver_that_leaves_while_senders_come() {
    for seed in 0..SEEDS {
        let ((s, r), (t, done)) = (unbounded(), unbounded());
        let mut tasks = Tasks::new(seed);
        tasks.spawn(async move {
            r.recv().await.unwrap();
            drop(r);
            t.send(()).await.unwrap();
        });
        tasks.settle(1_000);
        let other = s.clone();
        drop(s);
        other.try_send(()).unwrap();
        tasks.spawn(async move { done.recv().await.unwrap() });
        tasks.run(1_000);
        assert!(other.is_closed());
    }
}

/// A waker, and how often it was woken.
fn counting() -> (Waker, Arc<AtomicUsize>) {
    struct Count(Arc<AtomicUsize>);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    (Arc::new(Count(count.clone())).into(), count)
}

/// Polls until the future is parked: until it no longer wakes itself.
fn park(mut future: Pin<&mut impl Future>, waker: &Waker, count: &AtomicUsize) {
    for _ in 0..10_000 {
        let before = count.load(Ordering::SeqCst);
        assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        if count.load(Ordering::SeqCst) == before {
            return;
        }
    }
    panic!("it never parks");
}

#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    let ((old, old_count), (new, new_count)) = (counting(), counting());
    let wakes = || (old_count.load(Ordering::SeqCst), new_count.load(Ordering::SeqCst));
    let (s, r) = bounded(1);
    s.try_send(()).unwrap();
    let mut send = pin!(s.send(()));
    park(send.as_mut(), &old, &old_count);
    park(send.as_mut(), &new, &new_count);
    let before = wakes();
    r.try_recv().unwrap();
    assert_eq!(wakes(), (before.0, before.1 + 1));
    assert!(send.as_mut().poll(&mut Context::from_waker(&new)).is_ready());

    r.try_recv().unwrap();
    let mut recv = pin!(r.recv());
    park(recv.as_mut(), &old, &old_count);
    park(recv.as_mut(), &new, &new_count);
    let before = wakes();
    s.try_send(()).unwrap();
    assert_eq!(wakes(), (before.0, before.1 + 1));
    assert!(recv.as_mut().poll(&mut Context::from_waker(&new)).is_ready());
}

#[test]
fn aborted_tasks_leave_the_channel_as_it_was() {
    for seed in 0..SEEDS {
        let (tally, (s, r)) = (Tally::default(), bounded(3));
        let mut tasks = Tasks::new(seed);
        let receivers = (0..10).map(|_| {
            let r = r.clone();
            tasks.spawn(async move { panic!("nobody sent {:?}", r.recv().await) })
        });
        let receivers: Vec<_> = receivers.collect();
        tasks.settle(10_000);
        receivers.into_iter().for_each(|task| tasks.abort(task));

        (0..3).for_each(|i| s.try_send(tally.item(i)).unwrap());
        let senders = (3..13).map(|i| {
            let (s, item) = (s.clone(), tally.item(i));
            tasks.spawn(async move { panic!("there was no room, but {:?}", s.send(item).await) })
        });
        let senders: Vec<_> = senders.collect();
        tasks.settle(10_000);
        assert_eq!(tally.live(), 13);
        senders.into_iter().for_each(|task| tasks.abort(task));
        assert_eq!((tally.live(), s.len(), s.sender_count(), s.receiver_count()), (3, 3, 1, 1));
        for i in 0..3 {
            assert_eq!(r.try_recv().unwrap().number, i);
        }
        // Nobody's place in a queue is left over.
        tasks.spawn(async move { assert_eq!(r.recv().await.unwrap().number, 13) });
        tasks.settle(1_000);
        s.try_send(tally.item(13)).unwrap();
        tasks.run(1_000);
        assert_eq!(tally.live(), 0);
    }
}

#[test]
fn items_are_dropped_wherever_the_end_finds_them() {
    for (seed, how) in (0..SEEDS).flat_map(|seed| (0..3).map(move |how| (seed, how))) {
        let (tally, (s, r)) = (Tally::default(), bounded(4));
        let mut tasks = Tasks::new(seed);
        // In the channel, and in senders that wait.
        for i in 0..10 {
            let (s, item) = (s.clone(), tally.item(i));
            tasks.spawn(async move { drop(s.send(item).await) });
        }
        tasks.settle(10_000);
        assert_eq!((tally.live(), s.len(), tasks.left()), (10, 4, 6));
        let mut receiver = Some(r);
        match how {
            0 => assert!(s.close()),
            1 => assert!(receiver.as_ref().is_some_and(|r| r.close())),
            _ => receiver = None,
        }
        // In futures that were never polled, and in sends that fail.
        (0..10).for_each(|i| drop(s.send(tally.item(i))));
        (0..10).for_each(|i| assert!(s.try_send(tally.item(i)).is_err()));
        tasks.run(10_000);
        assert_eq!((tally.live(), tally.made()), (4, 30));
        drop((receiver, s));
        assert_eq!(tally.live(), 0);
    }
}
