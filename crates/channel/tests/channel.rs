//! What a user can see of the many-to-many channels beyond async-channel's own suite.

mod support;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;

use futures::task::{ArcWake, noop_waker, waker};
use futures::{FutureExt, SinkExt, StreamExt};
use futures_lite::future::block_on;
use support::{Bounded, Growable, Unbounded, make};
use ziggurat_channel::{
    Receiver, RecvError, SendError, Sender, TryRecvError, TryReserveError, TrySendError, bounded,
    try_bounded, unbounded,
};

#[derive(Default)]
struct Wakes(AtomicUsize);
impl ArcWake for Wakes {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls until the future no longer wakes itself: it is done, or parked.
fn settle<F: Future>(mut future: Pin<&mut F>, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    let waker = waker(wakes.clone());
    for _ in 0..1_000_000 {
        let before = wakes.0.load(Ordering::SeqCst);
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() || wakes.0.load(Ordering::SeqCst) == before {
            return polled;
        }
    }
    panic!("it never parks");
}

/// Counts itself.
struct Counted(Arc<AtomicUsize>);
impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(count.clone())
    }
}
impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn auto_traits_do_not_depend_on_more_than_the_item_being_send() {
    fn all<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    fn futures<T: Send + Sync>() {}
    all::<Sender<std::cell::Cell<u8>>>();
    all::<Receiver<std::cell::Cell<u8>>>();
    all::<ziggurat_channel::WeakSender<u8>>();
    all::<ziggurat_channel::WeakReceiver<u8>>();
    futures::<ziggurat_channel::Send<'_, u8>>();
    futures::<ziggurat_channel::Recv<'_, u8>>();
    futures::<ziggurat_channel::Permit<'_, u8>>();
}

#[test]
fn capacities_are_exact() {
    for capacity in [1, 2, 3, 5, 7, 8, 100] {
        let (s, r) = bounded(capacity);
        for lap in 0..5 {
            for i in 0..capacity {
                assert!(!s.is_full());
                s.try_send(lap * capacity + i).unwrap();
            }
            assert_eq!(s.try_send(0), Err(TrySendError::Full(0)));
            assert!(s.is_full());
            for i in 0..capacity {
                assert_eq!(r.try_recv(), Ok(lap * capacity + i));
                assert_eq!(r.len(), capacity - i - 1);
            }
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        }
    }
}

#[test]
fn bad_capacities_are_refused() {
    assert!(catch_unwind(|| bounded::<u8>(0)).is_err());
    let huge = std::num::NonZeroUsize::MAX;
    assert!(try_bounded::<u64>(huge).is_err());
    assert!(ziggurat_channel::spsc::try_bounded::<u64>(huge).is_err());
    // These need no memory, but positions: there are 2^48.
    #[cfg(target_pointer_width = "64")]
    for exponent in [47, 48, 50] {
        let many = std::num::NonZeroUsize::new(1 << exponent).unwrap();
        assert!(ziggurat_channel::spsc::try_bounded::<()>(many).is_err());
    }
}

#[test]
fn zero_sized_and_overaligned_items_pass() {
    #[repr(align(256))]
    #[derive(Debug, PartialEq)]
    struct Wide(u8);
    let (s, r) = bounded::<()>(3);
    (0..3).for_each(|_| s.try_send(()).unwrap());
    assert!(s.try_send(()).is_err());
    assert_eq!(r.try_recv(), Ok(()));
    let (s, r) = unbounded();
    (0..200).for_each(|i| s.try_send(Wide(i)).unwrap());
    (0..200).for_each(|i| assert_eq!(r.try_recv(), Ok(Wide(i))));
}

#[test]
fn items_are_dropped_exactly_once_whatever_is_left() {
    for kind in [Bounded(3), Bounded(64), Unbounded, Growable(1)] {
        let count = Arc::new(AtomicUsize::new(0));
        let (s, r) = make(kind);
        for round in 0..300 {
            while s.try_send(Counted::new(&count)).is_ok() && s.len() < 200 {}
            (0..round % 7).for_each(|_| drop(r.try_recv()));
        }
        assert_eq!(count.load(Ordering::SeqCst), s.len());
        drop(r);
        assert!(s.try_send(Counted::new(&count)).is_err());
        drop(s);
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn an_item_whose_drop_panics_does_not_keep_the_others() {
    struct Bomb(#[allow(dead_code)] Counted, bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.1, "boom");
        }
    }
    for spsc in [false, true] {
        let count = Arc::new(AtomicUsize::new(0));
        let bombs = (0..6).map(|i| Bomb(Counted::new(&count), i == 2));
        let dropped = if spsc {
            let (mut s, r) = ziggurat_channel::spsc::bounded(8);
            bombs.for_each(|bomb| assert!(s.try_send(bomb).is_ok()));
            catch_unwind(AssertUnwindSafe(move || drop((s, r))))
        } else {
            let (s, r) = bounded(8);
            bombs.for_each(|bomb| assert!(s.try_send(bomb).is_ok()));
            catch_unwind(AssertUnwindSafe(move || drop((s, r))))
        };
        assert!(dropped.is_err());
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_receiver_that_was_woken_and_leaves_passes_the_wake_on() {
    let (s, r) = bounded(2);
    let (first, second) = (Arc::default(), Arc::default());
    let mut a = Box::pin(r.recv());
    let mut b = Box::pin(r.recv());
    assert!(settle(a.as_mut(), &first).is_pending());
    assert!(settle(b.as_mut(), &second).is_pending());
    let (before_a, before_b) = (first.0.load(Ordering::SeqCst), second.0.load(Ordering::SeqCst));
    s.try_send(1).unwrap();
    assert_eq!(first.0.load(Ordering::SeqCst), before_a + 1);
    assert_eq!(second.0.load(Ordering::SeqCst), before_b);
    drop(a);
    assert_eq!(second.0.load(Ordering::SeqCst), before_b + 1);
    assert_eq!(settle(b.as_mut(), &second), Poll::Ready(Ok(1)));
}

#[test]
fn a_sender_that_was_woken_and_leaves_passes_the_wake_on() {
    let (s, r) = bounded(1);
    s.try_send(0).unwrap();
    let (first, second) = (Arc::default(), Arc::default());
    let mut a = Box::pin(s.send(1));
    let mut b = Box::pin(s.send(2));
    assert!(settle(a.as_mut(), &first).is_pending());
    assert!(settle(b.as_mut(), &second).is_pending());
    let before = second.0.load(Ordering::SeqCst);
    assert_eq!(r.try_recv(), Ok(0));
    drop(a);
    assert_eq!(second.0.load(Ordering::SeqCst), before + 1);
    assert_eq!(settle(b.as_mut(), &second), Poll::Ready(Ok(())));
    assert_eq!(r.try_recv(), Ok(2));
}

#[test]
fn a_stream_that_is_never_polled_again_keeps_no_wake() {
    let (s, r) = bounded(2);
    let mut idle = r.clone();
    let wakes: Arc<Wakes> = Arc::default();
    let waker = waker(wakes.clone());
    assert!(idle.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    let mut waiting = Box::pin(r.recv());
    assert!(settle(waiting.as_mut(), &wakes).is_pending());
    let before = wakes.0.load(Ordering::SeqCst);
    s.try_send(1).unwrap();
    assert_eq!(wakes.0.load(Ordering::SeqCst), before + 2);
    assert_eq!(settle(waiting.as_mut(), &wakes), Poll::Ready(Ok(1)));
}

#[test]
fn parked_senders_get_through_beside_one_that_never_stops() {
    let (s, r) = bounded(1);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let hog = {
        let (s, stop) = (s.clone(), stop.clone());
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let _ = s.try_send(0);
            }
        })
    };
    let parked = thread::spawn(move || (1..=200).for_each(|i| s.send_blocking(i).unwrap()));
    let mut last = 0;
    while last < 200 {
        last = last.max(r.recv_blocking().unwrap());
    }
    stop.store(true, Ordering::Relaxed);
    while r.recv_blocking().is_ok() {}
    hog.join().unwrap();
    parked.join().unwrap();
}

#[test]
fn a_send_that_races_with_close_fails_or_is_received() {
    for round in 0..200 {
        let (s, r) = make([Bounded(64), Unbounded, Growable(1)][round % 3]);
        let senders: Vec<_> = (0..3)
            .map(|_| {
                let s = s.clone();
                thread::spawn(move || {
                    (0..).take_while(|&i: &u64| s.send_blocking(i).is_ok()).count()
                })
            })
            .collect();
        let closer = s.clone();
        let closing = thread::spawn(move || {
            (0..round * 10).for_each(|_| std::hint::spin_loop());
            closer.close()
        });
        let mut received = 0;
        while r.recv_blocking().is_ok() {
            received += 1;
        }
        let sent: usize = senders.into_iter().map(|s| s.join().unwrap()).sum();
        assert!(closing.join().unwrap());
        assert_eq!(sent, received);
    }
}

#[test]
fn permits_keep_room_and_give_it_back() {
    let (s, r) = bounded(2);
    let a = s.try_reserve().unwrap();
    let b = s.try_reserve().unwrap();
    assert_eq!(s.try_reserve().unwrap_err(), TryReserveError::Full);
    assert_eq!(s.try_send(1), Err(TrySendError::Full(1)));
    assert!(s.is_full() && s.is_empty());
    let wakes = Arc::default();
    let mut waiting = pin!(s.send(5));
    assert!(settle(waiting.as_mut(), &wakes).is_pending());
    drop(a);
    assert_eq!(settle(waiting.as_mut(), &wakes), Poll::Ready(Ok(())));
    b.send(6).unwrap();
    assert_eq!((r.try_recv(), r.try_recv()), (Ok(5), Ok(6)));
    let late = s.try_reserve().unwrap();
    r.close();
    assert_eq!(late.send(7), Err(SendError(7)));
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(s.try_reserve().unwrap_err(), TryReserveError::Closed);
}

#[test]
fn force_send_leaves_reserved_room_alone() {
    let (s, r) = bounded(3);
    let permit = s.try_reserve().unwrap();
    assert_eq!(s.force_send(1), Ok(None));
    assert_eq!(s.force_send(2), Ok(None));
    assert_eq!(s.force_send(3), Ok(Some(1)));
    permit.send(4).unwrap();
    assert_eq!(s.force_send(5), Ok(Some(2)));
    let left: Vec<_> = std::iter::from_fn(|| r.try_recv().ok()).collect();
    assert_eq!(left, [3, 4, 5]);
}

#[test]
fn force_send_loses_nothing_under_contention() {
    let (s, r) = bounded(4);
    let forcers: Vec<_> = (0..2)
        .map(|_| {
            let s = s.clone();
            thread::spawn(move || {
                (0..20_000).filter_map(|i| s.force_send(i).unwrap()).map(|_| 1).sum::<usize>()
            })
        })
        .collect();
    drop(s);
    let received = std::iter::from_fn(|| r.recv_blocking().ok()).count();
    let displaced: usize = forcers.into_iter().map(|f| f.join().unwrap()).sum();
    assert_eq!(received + displaced, 40_000);
}

#[test]
fn batches_report_partial_progress() {
    let (s, r) = bounded(4);
    let mut items: VecDeque<_> = (0..6).collect();
    assert_eq!(s.try_send_many(&mut items), Ok(4));
    assert_eq!(items, [4, 5]);
    let wakes = Arc::default();
    {
        let mut rest = pin!(s.send_many(&mut items));
        assert!(settle(rest.as_mut(), &wakes).is_pending());
        assert_eq!(r.try_recv(), Ok(0));
        assert!(settle(rest.as_mut(), &wakes).is_pending());
        assert_eq!(rest.sent(), 1);
    }
    assert_eq!(items, [5]);
    r.close();
    assert!(block_on(s.send_many(&mut items)).is_err());
    assert_eq!(items, [5]);
    let mut received = vec![9];
    assert_eq!(block_on(r.recv_many(&mut received, 100)), Ok(4));
    assert_eq!(received, [9, 1, 2, 3, 4]);
    assert_eq!(block_on(r.recv_many(&mut received, 100)), Err(RecvError));
}

#[test]
fn a_batch_takes_memory_for_what_there_is() {
    let (s, r) = bounded(1 << 20);
    let mut received: Vec<u8> = Vec::new();
    assert_eq!(r.try_recv_many(&mut received, usize::MAX), Err(TryRecvError::Empty));
    (0..10).for_each(|i| s.try_send(i).unwrap());
    assert_eq!(r.try_recv_many(&mut received, usize::MAX), Ok(10));
    assert!(received.capacity() < 1000, "{}", received.capacity());
}

#[test]
fn unbounded_batches_cross_segments_and_rings() {
    for kind in [Unbounded, Growable(1), Growable(64)] {
        let (s, r) = make(kind);
        let mut items: VecDeque<_> = (0..1000).collect();
        assert_eq!(s.try_send_many(&mut items), Ok(1000));
        assert_eq!(s.len(), 1000);
        let mut received = Vec::new();
        while r.try_recv_many(&mut received, 37).is_ok() {}
        assert_eq!(received, (0..1000).collect::<Vec<_>>());
    }
}

#[test]
fn the_sink_waits_for_room_and_closes() {
    let (mut s, mut r) = bounded(1);
    block_on(s.feed(1)).unwrap();
    assert!(s.feed(2).now_or_never().is_none());
    assert_eq!(block_on(r.next()), Some(1));
    block_on(s.send(3).map(drop));
    assert_eq!(block_on(r.next()), Some(3));
    let other = s.clone();
    let mut cx = Context::from_waker(futures::task::noop_waker_ref());
    assert!(s.poll_ready_unpin(&mut cx).is_ready());
    // The room is the ready sink's.
    assert!(other.try_send(4).is_err());
    drop(s);
    assert!(other.try_send(5).is_ok());
    let mut other = other;
    block_on(SinkExt::close(&mut other)).unwrap();
    assert_eq!(block_on(r.next()), Some(5));
    assert_eq!(block_on(r.next()), None);
    assert!(block_on(other.feed(6)).is_err());
}

#[test]
fn every_executor_moves_everything() {
    async fn work() -> u64 {
        let (s, r) = bounded(3);
        let send = async move {
            for i in 0..1000 {
                s.send(i).await.unwrap();
            }
        };
        let receive = async move {
            let mut sum = 0;
            while let Ok(i) = r.recv().await {
                sum += i;
            }
            sum
        };
        futures::join!(send, receive).1
    }
    let expected = 999 * 1000 / 2;
    assert_eq!(block_on(work()), expected);
    assert_eq!(smol::block_on(work()), expected);
    let current = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(current.block_on(work()), expected);
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    assert_eq!(multi.block_on(async { tokio::spawn(work()).await.unwrap() }), expected);
}

#[test]
fn an_idle_wait_ends_up_parked() {
    let (_s, r) = bounded::<u8>(1);
    for _ in 0..40 {
        let wakes = Arc::default();
        assert!(settle(pin!(r.recv()), &wakes).is_pending());
    }
    // After so many waits in vain, nobody looks on any more.
    let wakes: Arc<Wakes> = Arc::default();
    let waker = waker(wakes.clone());
    let mut wait = pin!(r.recv());
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
}

#[test]
fn many_threads_keep_each_senders_order() {
    for kind in [Bounded(1), Bounded(3), Bounded(128), Unbounded, Growable(1)] {
        let (s, r) = make(kind);
        let senders: Vec<_> = (0..3u64)
            .map(|id| {
                let s = s.clone();
                thread::spawn(move || {
                    for i in 0..5_000u64 {
                        if i % 7 == 0 {
                            block_on(s.reserve()).unwrap().send((id, i)).unwrap();
                        } else {
                            s.send_blocking((id, i)).unwrap();
                        }
                    }
                })
            })
            .collect();
        drop(s);
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let r = r.clone();
                thread::spawn(move || {
                    let mut last = [None; 3];
                    let mut batch = Vec::new();
                    let mut count = 0;
                    while block_on(r.recv_many(&mut batch, 5)).is_ok() {
                        for (id, i) in batch.drain(..) {
                            assert!(last[id as usize] < Some(i));
                            last[id as usize] = Some(i);
                            count += 1;
                        }
                    }
                    count
                })
            })
            .collect();
        senders.into_iter().for_each(|s| s.join().unwrap());
        drop(r);
        assert_eq!(receivers.into_iter().map(|r| r.join().unwrap()).sum::<u64>(), 15_000);
    }
}

#[test]
fn a_poll_never_waits_for_a_waker_that_does_nothing() {
    let (s, r) = bounded(1);
    let waker = noop_waker();
    let mut recv = pin!(r.recv());
    assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    s.try_send(1).unwrap();
    assert_eq!(block_on(poll_fn(|cx| recv.as_mut().poll(cx))), Ok(1));
}
