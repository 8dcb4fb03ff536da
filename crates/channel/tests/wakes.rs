//! Who is woken, in which order, and that nobody is forgotten: whatever wakers, items and cancelled
//! futures do.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::{ArcWake, waker};
use futures::{FutureExt, SinkExt};
use ziggurat_channel::broadcast::{self, Lag};
use ziggurat_channel::{SendError, bounded, oneshot, watch};
use ziggurat_core::time::TestClock;

#[derive(Default)]
struct Wakes(AtomicUsize);
impl ArcWake for Wakes {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.fetch_add(1, Ordering::SeqCst);
    }
}
impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Polls until the future no longer wakes itself: it is done, or parked.
fn settle<F: Future>(mut future: Pin<&mut F>, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    let waker = waker(wakes.clone());
    for _ in 0..1_000_000 {
        let before = wakes.count();
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() || wakes.count() == before {
            return polled;
        }
    }
    panic!("it never parks");
}

#[test]
fn those_that_come_back_in_vain_keep_their_order() {
    let (s, r) = bounded(4);
    let wakes: [Arc<Wakes>; 4] = Default::default();
    let mut waits: Vec<_> = (0..4).map(|_| Box::pin(r.recv())).collect();
    let mut park = |i: usize| assert!(settle(waits[i].as_mut(), &wakes[i]).is_pending());
    (0..4).for_each(&mut park);
    (0..3).for_each(|i| s.try_send(i).unwrap());
    (0..3).for_each(|i| assert_eq!(r.try_recv(), Ok(i)));
    [1, 3, 0, 2].into_iter().for_each(&mut park);
    for i in 0..4 {
        let before = wakes.each_ref().map(|wakes| wakes.count());
        s.try_send(9).unwrap();
        let woken: Vec<_> = (0..4).filter(|&i| wakes[i].count() > before[i]).collect();
        assert_eq!(woken, [i]);
    }
}

/// A task that is polled by whoever wakes it.
struct Inline {
    future: Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>,
    polls: AtomicUsize,
}
impl ArcWake for Inline {
    fn wake_by_ref(this: &Arc<Self>) {
        assert!(this.polls.fetch_add(1, Ordering::SeqCst) < 1_000, "woken again and again");
        let waker = waker(this.clone());
        let mut future = this.future.try_lock().expect("woken by itself");
        let _ = future.as_mut().poll(&mut Context::from_waker(&waker));
    }
}

#[test]
fn a_send_to_many_ends_even_if_they_all_wait_again_at_once() {
    let (s, r) = broadcast::bounded(4, Lag::Wait);
    let received = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let (mut r, received) = (r.clone(), received.clone());
            let future = async move {
                while r.recv().await.is_ok() {
                    received.fetch_add(1, Ordering::SeqCst);
                }
            };
            Arc::new(Inline { future: Mutex::new(Box::pin(future)), polls: AtomicUsize::new(0) })
        })
        .collect();
    drop(r);
    tasks.iter().for_each(ArcWake::wake_by_ref);
    s.try_send(1).unwrap();
    assert_eq!(received.load(Ordering::SeqCst), 40);
    // Once to begin with, and once for the item.
    assert!(tasks.iter().all(|task| task.polls.load(Ordering::SeqCst) == 2));
    drop(s);
}

struct Panics;
impl ArcWake for Panics {
    fn wake_by_ref(_: &Arc<Self>) {
        panic!("boom");
    }
}

#[test]
fn a_waker_that_panics_does_not_keep_the_others_asleep() {
    let (s, mut a) = watch::channel(0);
    let mut b = a.clone();
    let mut first = pin!(a.changed());
    let bad = waker(Arc::new(Panics));
    assert!(first.as_mut().poll(&mut Context::from_waker(&bad)).is_pending());
    let wakes = Arc::default();
    let mut second = pin!(b.changed());
    assert!(settle(second.as_mut(), &wakes).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| s.send(1))).is_err());
    assert_eq!(wakes.count(), 1);
    assert_eq!(settle(second.as_mut(), &wakes), Poll::Ready(Ok(())));
}

#[test]
fn a_receive_that_timed_out_takes_no_wake_though_it_is_still_there() {
    let (s, r) = bounded(1);
    let clock = TestClock::new();
    let (early, late) = (Arc::default(), Arc::default());
    let mut timed = pin!(r.recv_timeout_with(Duration::from_secs(1), clock.clone()));
    assert!(settle(timed.as_mut(), &early).is_pending());
    let mut waiting = pin!(r.recv());
    assert!(settle(waiting.as_mut(), &late).is_pending());
    clock.advance(Duration::from_secs(1));
    assert!(settle(timed.as_mut(), &early).is_ready());
    let before = late.count();
    s.try_send(1).unwrap();
    assert_eq!(late.count(), before + 1);
}

#[test]
fn a_send_that_timed_out_takes_no_wake_though_it_is_still_there() {
    let (s, r) = bounded(1);
    s.try_send(0).unwrap();
    let clock = TestClock::new();
    let (early, late) = (Arc::default(), Arc::default());
    let mut timed = pin!(s.send_timeout_with(1, Duration::from_secs(1), clock.clone()));
    assert!(settle(timed.as_mut(), &early).is_pending());
    let mut waiting = pin!(s.send(2));
    assert!(settle(waiting.as_mut(), &late).is_pending());
    clock.advance(Duration::from_secs(1));
    assert!(settle(timed.as_mut(), &early).is_ready());
    let before = late.count();
    assert_eq!(r.try_recv(), Ok(0));
    assert_eq!(late.count(), before + 1);
}

#[test]
fn a_limit_beyond_all_time_is_no_limit() {
    let (s, r) = bounded(1);
    let clock = TestClock::new();
    let wakes = Arc::default();
    let mut timed = pin!(r.recv_timeout_with(Duration::MAX, clock.clone()));
    assert!(settle(timed.as_mut(), &wakes).is_pending());
    clock.advance(ziggurat_core::time::FAR_FUTURE - Duration::from_secs(1));
    assert!(settle(timed.as_mut(), &wakes).is_pending());
    s.try_send(1).unwrap();
    assert_eq!(settle(timed.as_mut(), &wakes), Poll::Ready(Ok(1)));
}

/// Panics when it is dropped, unless it is a clone.
struct Bomb(bool);
impl Clone for Bomb {
    fn clone(&self) -> Self {
        Bomb(false)
    }
}
impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0, "boom");
    }
}

#[test]
fn a_displaced_item_whose_drop_panics_does_not_keep_receivers_asleep() {
    let (s, mut r) = broadcast::bounded(1, Lag::Report);
    let _slow = r.clone();
    s.try_send(Bomb(true)).unwrap();
    assert!(r.try_recv().is_ok());
    let wakes = Arc::default();
    let mut waiting = pin!(r.recv());
    assert!(settle(waiting.as_mut(), &wakes).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| s.try_send(Bomb(false)))).is_err());
    assert_eq!(wakes.count(), 1);
    assert!(matches!(settle(waiting.as_mut(), &wakes), Poll::Ready(Ok(_))));
}

#[test]
fn a_broadcast_sender_that_was_woken_and_leaves_passes_the_wake_on() {
    let (s, mut r) = broadcast::bounded(1, Lag::Wait);
    s.try_send(0).unwrap();
    let (first, second) = (Arc::default(), Arc::default());
    let mut a = Box::pin(s.send(1));
    let mut b = Box::pin(s.send(2));
    assert!(settle(a.as_mut(), &first).is_pending());
    assert!(settle(b.as_mut(), &second).is_pending());
    assert_eq!(r.try_recv(), Ok(0));
    assert_eq!((first.count(), second.count()), (1, 0));
    drop(a);
    assert_eq!(second.count(), 1);
    assert_eq!(settle(b.as_mut(), &second), Poll::Ready(Ok(())));
    assert_eq!(r.try_recv(), Ok(2));
}

#[test]
fn an_end_of_a_oneshot_wakes_the_other_and_not_itself() {
    let wakes = Arc::default();
    let (mut s, mut r) = oneshot::channel::<u8>();
    assert!(settle(Pin::new(&mut r), &wakes).is_pending());
    drop(r);
    assert_eq!(wakes.count(), 0);
    assert!(settle(pin!(s.closed()), &wakes).is_ready());

    let (mut s, r) = oneshot::channel::<u8>();
    assert!(settle(pin!(s.closed()), &wakes).is_pending());
    drop(s);
    assert_eq!(wakes.count(), 0);
    assert!(r.now_or_never().is_some());
}

#[test]
fn a_sink_that_is_closed_leaves_the_other_senders_open() {
    let (mut a, r) = bounded(4);
    let mut b = a.clone();
    a.feed(1).now_or_never().unwrap().unwrap();
    SinkExt::close(&mut a).now_or_never().unwrap().unwrap();
    assert_eq!(SinkExt::send(&mut a, 2).now_or_never(), Some(Err(SendError(None))));
    assert_eq!(SinkExt::send(&mut b, 3).now_or_never(), Some(Ok(())));
    assert!(!r.is_closed());
    assert_eq!(r.sender_count(), 1);
    SinkExt::close(&mut b).now_or_never().unwrap().unwrap();
    assert!(r.is_closed());
    assert_eq!((r.try_recv(), r.try_recv()), (Ok(1), Ok(3)));
    drop((a, b));
    assert_eq!(r.sender_count(), 0);
}
