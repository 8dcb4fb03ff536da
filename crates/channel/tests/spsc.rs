//! What a user can see of the one-to-one channel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::thread;

use futures::task::{ArcWake, waker};
use futures::{FutureExt, SinkExt, StreamExt};
use futures_lite::future::{block_on, yield_now};
use ziggurat_channel::{TryRecvError, TrySendError, spsc};

#[derive(Default)]
struct Wakes(AtomicUsize);
impl ArcWake for Wakes {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn capacities_are_exact() {
    for capacity in [1, 2, 3, 5, 8, 100] {
        let (mut s, mut r) = spsc::bounded(capacity);
        for _ in 0..5 {
            (0..capacity).for_each(|i| s.try_send(i).unwrap());
            assert_eq!(s.try_send(0), Err(TrySendError::Full(0)));
            assert!(s.is_full());
            (0..capacity).for_each(|i| assert_eq!(r.try_recv(), Ok(i)));
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        }
    }
}

#[test]
fn either_end_closes() {
    let (mut s, mut r) = spsc::bounded(4);
    s.try_send(1).unwrap();
    assert!(s.close());
    assert!(!s.close());
    assert_eq!(s.try_send(2), Err(TrySendError::Closed(2)));
    assert_eq!(r.try_recv(), Ok(1));
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));

    let (mut s, mut r) = spsc::bounded(4);
    s.try_send(1).unwrap();
    assert!(r.close());
    assert_eq!(s.try_send(2), Err(TrySendError::Closed(2)));
    let mut batch: VecDeque<_> = [3, 4].into();
    assert!(s.try_send_many(&mut batch).is_err());
    assert_eq!(batch, [3, 4]);
    assert_eq!(s.try_send_slice(&[5, 6]), Err(ziggurat_channel::error::Closed));
    assert_eq!(r.try_recv(), Ok(1));
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    assert!(s.is_closed() && r.is_closed());
}

#[test]
fn what_is_left_is_dropped_with_the_receiver() {
    let item = Arc::new(());
    let (mut s, r) = spsc::bounded(8);
    (0..5).for_each(|_| s.try_send(item.clone()).unwrap());
    drop(r);
    assert_eq!(Arc::strong_count(&item), 1);
    assert!(s.try_send(item.clone()).is_err());
    assert_eq!(Arc::strong_count(&item), 1);
}

#[test]
fn batches_wrap_around() {
    let (mut s, mut r) = spsc::bounded(5);
    let mut next = 0u32;
    let mut expected = 0u32;
    let mut received = Vec::new();
    for round in 0..200 {
        if round % 2 == 0 {
            let items: Vec<_> = (next..next + 3).collect();
            next += s.try_send_slice(&items).unwrap() as u32;
        } else {
            let mut items: VecDeque<_> = (next..next + 4).collect();
            next += s.try_send_many(&mut items).unwrap() as u32;
        }
        received.clear();
        if r.try_recv_many(&mut received, 1 + round % 4).is_ok() {
            for item in &received {
                assert_eq!(*item, expected);
                expected += 1;
            }
        }
    }
    assert!(expected > 300);
}

#[test]
fn two_threads_keep_the_order() {
    for capacity in [1, 3, 128] {
        let (mut s, mut r) = spsc::bounded(capacity);
        let sender = thread::spawn(move || (0..50_000).for_each(|i| s.send_blocking(i).unwrap()));
        for i in 0..50_000 {
            assert_eq!(r.recv_blocking(), Ok(i));
        }
        assert!(r.recv_blocking().is_err());
        sender.join().unwrap();
    }
}

#[test]
fn a_send_that_races_with_close_fails_or_is_received() {
    for round in 0..500 {
        let (mut s, mut r) = spsc::bounded(8);
        let sender =
            thread::spawn(move || (0..).take_while(|&i: &u64| s.send_blocking(i).is_ok()).count());
        let mut received = 0;
        for _ in 0..round {
            received += usize::from(r.recv_blocking().is_ok());
        }
        r.close();
        while r.try_recv().is_ok() {
            received += 1;
        }
        assert_eq!(sender.join().unwrap(), received);
    }
}

#[test]
fn stream_and_sink() {
    let (mut s, r) = spsc::bounded(2);
    let sender = thread::spawn(move || {
        block_on(async {
            for i in 0..100 {
                s.feed(i).await.unwrap();
            }
            SinkExt::close(&mut s).await.unwrap();
        });
    });
    assert_eq!(block_on(r.collect::<Vec<_>>()), (0..100).collect::<Vec<_>>());
    sender.join().unwrap();
}

#[test]
fn futures_are_debug_whatever_the_item_is() {
    struct Secret;
    let (mut s, mut r) = spsc::bounded(1);
    assert_eq!(format!("{:?}", s.send(Secret)), "Send { .. }");
    assert_eq!(format!("{:?}", r.recv()), "Recv { .. }");
    assert_eq!(format!("{:?}", r.recv_many(&mut Vec::new(), 1)), "RecvMany { .. }");
}

/// Whether a barrier may be left out depends on where the ends are: here they are somewhere else all the
/// time, alone and together. A wake that got lost would let it hang.
#[test]
fn ends_that_move_from_thread_to_thread() {
    const ITEMS: u64 = if cfg!(miri) { 100 } else { 50_000 };
    for capacity in [1, 3, 64] {
        let (mut s, mut r) = spsc::bounded(capacity);
        let executor = smol::Executor::new();
        let sender = executor.spawn(async move {
            for i in 0..ITEMS {
                s.send(i).await.unwrap();
                if i % 7 == 0 {
                    yield_now().await;
                }
            }
        });
        let receiver = executor.spawn(async move {
            for i in 0..ITEMS {
                assert_eq!(r.recv().await, Ok(i));
                if i % 11 == 0 {
                    yield_now().await;
                }
            }
        });
        let (stop, stopped) = async_channel::bounded::<()>(1);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| block_on(executor.run(stopped.recv())));
            }
            block_on(async {
                sender.await;
                receiver.await;
            });
            drop(stop);
        });
    }
}

/// An end waits for one thing at a time: a future takes the place of a pending poll, whose task is told.
#[test]
fn a_future_after_a_pending_poll() {
    let (mut s, mut r) = spsc::bounded(1);
    let (polled, waits) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
    let (polled_waker, waits_waker) = (waker(polled.clone()), waker(waits.clone()));
    let (mut poll, mut wait) =
        (Context::from_waker(&polled_waker), Context::from_waker(&waits_waker));

    // Until both are parked: a first poll may look on for a while.
    while r.poll_next_unpin(&mut poll).is_pending() && polled.0.swap(0, SeqCst) > 0 {}
    let mut recv = r.recv();
    while recv.poll_unpin(&mut wait).is_pending() && waits.0.swap(0, SeqCst) > 0 {}
    assert_eq!(polled.0.load(SeqCst), 1);
    s.try_send(1).unwrap();
    assert_eq!((polled.0.load(SeqCst), waits.0.load(SeqCst)), (1, 1));
    assert_eq!(recv.poll_unpin(&mut wait), Poll::Ready(Ok(1)));
    drop(recv);

    // A future that is not polled leaves the poll's place alone.
    while r.poll_next_unpin(&mut poll).is_pending() && polled.0.swap(0, SeqCst) > 0 {}
    polled.0.store(0, SeqCst);
    drop(r.recv());
    s.try_send(2).unwrap();
    assert_eq!(polled.0.load(SeqCst), 1);
    assert_eq!(r.poll_next_unpin(&mut poll), Poll::Ready(Some(2)));

    // One that is forgotten is followed by the next.
    let mut forgotten = Box::pin(r.recv());
    while forgotten.poll_unpin(&mut poll).is_pending() && polled.0.swap(0, SeqCst) > 0 {}
    std::mem::forget(forgotten);
    waits.0.store(0, SeqCst);
    let mut recv = r.recv();
    assert!(recv.poll_unpin(&mut wait).is_pending());
    s.try_send(3).unwrap();
    assert_eq!(waits.0.load(SeqCst), 1);
    assert_eq!(recv.poll_unpin(&mut wait), Poll::Ready(Ok(3)));
}
