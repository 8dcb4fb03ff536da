//! What a user can see of oneshot, watch, broadcast and the timeouts.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::future::FusedFuture;
use futures_lite::future::block_on;
use ziggurat_channel::broadcast::{self, Lag};
use ziggurat_channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError, bounded,
    oneshot, watch,
};
use ziggurat_core::time::TestClock;

#[test]
fn oneshot_delivers_or_says_why_not() {
    let (s, mut r) = oneshot::channel();
    assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    s.send(1).unwrap();
    assert_eq!(r.try_recv(), Ok(1));
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));

    let (s, r) = oneshot::channel::<u8>();
    drop(s);
    assert_eq!(block_on(r), Err(RecvError));

    let (mut s, r) = oneshot::channel();
    assert!(s.closed().now_or_never().is_none());
    drop(r);
    block_on(s.closed());
    assert_eq!(s.send(2), Err(SendError(2)));

    let (s, mut r) = oneshot::channel();
    s.send(3).unwrap();
    r.close();
    assert_eq!(r.recv_blocking(), Ok(3));
}

#[test]
fn oneshot_drops_an_item_that_nobody_takes() {
    let item = Arc::new(());
    let (s, r) = oneshot::channel();
    s.send(item.clone()).unwrap();
    drop(r);
    assert_eq!(Arc::strong_count(&item), 1);
}

#[test]
fn watch_shows_the_latest_value() {
    let (s, mut r) = watch::channel(0);
    assert_eq!(r.has_changed(), Ok(false));
    assert!(r.changed().now_or_never().is_none());
    s.send(1).unwrap();
    let late = s.subscribe();
    assert_eq!(late.has_changed(), Ok(false));
    assert_eq!(r.has_changed(), Ok(true));
    assert!(!s.send_if_modified(|_| false));
    s.send_modify(|value| *value += 1);
    assert_eq!(late.has_changed(), Ok(true));
    block_on(r.changed()).unwrap();
    assert_eq!((*r.borrow(), *s.borrow()), (2, 2));
    let waiting = thread::spawn(move || block_on(r.wait_for(|value| *value == 5)).is_ok());
    (3..=5).for_each(|value| assert_eq!(s.send_replace(value), value - 1));
    assert!(waiting.join().unwrap());
    drop(late);
    block_on(s.closed());
    assert_eq!(s.send(9), Err(SendError(9)));
    assert_eq!(*s.borrow(), 5);
}

#[test]
fn watch_shows_the_last_value_and_then_the_end() {
    let (s, mut r) = watch::channel(0);
    let other = s.clone();
    drop(s);
    other.send(1).unwrap();
    drop(other);
    assert_eq!(block_on(r.changed()), Ok(()));
    assert_eq!(*r.borrow_and_update(), 1);
    assert!(block_on(r.changed()).is_err());
    assert!(r.has_changed().is_err());
}

#[test]
fn broadcast_waits_for_the_slowest_if_told_to() {
    let (s, mut fast) = broadcast::bounded(2, Lag::Wait);
    let slow = s.subscribe();
    (1..=2).for_each(|i| s.try_send(i).unwrap());
    assert_eq!(fast.try_recv(), Ok(1));
    assert_eq!(s.try_send(3), Err(TrySendError::Full(3)));
    let mut send = Box::pin(s.send(3));
    assert!(send.as_mut().now_or_never().is_none());
    drop(slow);
    assert_eq!(block_on(send), Ok(()));
    assert_eq!((fast.try_recv(), fast.try_recv()), (Ok(2), Ok(3)));
    drop(fast);
    assert_eq!(block_on(s.send(4)), Err(SendError(4)));
}

#[test]
fn broadcast_tells_how_many_were_missed() {
    let (s, mut r) = broadcast::bounded(2, Lag::Report);
    (1..=5).for_each(|i| s.try_send(i).unwrap());
    assert_eq!(r.len(), 5);
    assert_eq!(r.try_recv(), Err(broadcast::TryRecvError::Lagged(3)));
    let mut clone = r.clone();
    assert_eq!((r.try_recv(), r.try_recv()), (Ok(4), Ok(5)));
    assert_eq!(clone.try_recv(), Ok(4));
    assert_eq!(r.try_recv(), Err(broadcast::TryRecvError::Empty));

    let (s, mut r) = broadcast::bounded(1, Lag::Skip);
    (1..=3).for_each(|i| s.try_send(i).unwrap());
    drop(s);
    assert_eq!(block_on(r.recv()), Ok(3));
    assert_eq!(r.missed(), 2);
    assert_eq!(block_on(r.recv()), Err(broadcast::RecvError::Closed));
}

#[test]
fn broadcast_keeps_nothing_that_everybody_has_seen() {
    let item = Arc::new(());
    let (s, mut a) = broadcast::bounded(8, Lag::Report);
    let b = a.clone();
    (0..3).for_each(|_| s.try_send(item.clone()).unwrap());
    (0..3).for_each(|_| drop(a.try_recv().unwrap()));
    assert_eq!(Arc::strong_count(&item), 4);
    drop(b);
    assert_eq!(Arc::strong_count(&item), 1);
}

#[test]
fn broadcast_across_threads() {
    for lag in [Lag::Wait, Lag::Report] {
        let (s, r) = broadcast::bounded(4, lag);
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let mut r = r.clone();
                thread::spawn(move || {
                    let (mut sum, mut missed) = (0, 0);
                    loop {
                        match block_on(r.recv()) {
                            Ok(item) => sum += item,
                            Err(broadcast::RecvError::Lagged(n)) => missed += n,
                            Err(_) => return (sum, missed),
                        }
                    }
                })
            })
            .collect();
        drop(r);
        (0..5_000u64).for_each(|i| block_on(s.send(i)).unwrap());
        drop(s);
        for receiver in receivers {
            let (sum, missed) = receiver.join().unwrap();
            assert!(lag == Lag::Report || (sum, missed) == (4_999 * 2_500, 0));
        }
    }
}

#[test]
fn timeouts_give_the_item_back_and_lose_none() {
    let clock = TestClock::new();
    let (s, r) = bounded(1);
    let limit = Duration::from_secs(3);
    assert_eq!(clock.block_on(s.send_timeout_with(1, limit, clock.clone())), Ok(()));
    let late = clock.block_on(s.send_timeout_with(2, limit, clock.clone()));
    assert_eq!(late, Err(SendTimeoutError::Timeout(2)));
    assert_eq!(late.unwrap_err().into_inner(), 2);
    assert_eq!(clock.elapsed(), limit);
    assert_eq!(clock.block_on(r.recv_timeout_with(limit, clock.clone())), Ok(1));
    let late = clock.block_on(r.recv_timeout_with(limit, clock.clone()));
    assert_eq!(late, Err(RecvTimeoutError::Timeout));
    r.close();
    let closed = clock.block_on(s.send_timeout_with(3, limit, clock.clone()));
    assert_eq!(closed, Err(SendTimeoutError::Closed(3)));
    assert_eq!(block_on(r.recv_timeout(limit)), Err(RecvTimeoutError::Closed));
    assert_eq!(clock.elapsed(), 2 * limit);
}

#[test]
fn watch_says_what_it_waited_for() {
    let (s, mut r) = watch::channel(0);
    {
        let mut wait = Box::pin(r.wait_for(|value| *value == 2));
        assert!(wait.as_mut().now_or_never().is_none());
        s.send(1).unwrap();
        assert!(wait.as_mut().now_or_never().is_none());
        s.send(2).unwrap();
        assert_eq!(wait.as_mut().now_or_never().map(|value| *value.unwrap()), Some(2));
    }
    // What it has looked at counts as seen, but not what came later.
    assert_eq!(r.has_changed(), Ok(false));
    assert_eq!(block_on(r.wait_for(|value| *value == 2)).map(|value| *value), Ok(2));
    // Cancelled: 3 counts as seen, 4 does not.
    s.send(3).unwrap();
    assert!(r.wait_for(|_| false).now_or_never().is_none());
    assert_eq!(r.has_changed(), Ok(false));
    s.send(4).unwrap();
    drop(s);
    assert_eq!(block_on(r.changed()), Ok(()));
    assert!(block_on(r.wait_for(|value| *value == 5)).is_err());
    assert_eq!(block_on(r.wait_for(|value| *value == 4)).map(|value| *value), Ok(4));
}

#[test]
fn watch_marks_hold_until_the_next_look() {
    let (s, mut r) = watch::channel(0);
    (0..3).for_each(|_| r.mark_changed());
    assert_eq!(r.has_changed(), Ok(true));
    assert_eq!(block_on(r.changed()), Ok(()));
    assert_eq!(r.has_changed(), Ok(false));
    s.send(1).unwrap();
    r.mark_unchanged();
    assert!(r.changed().now_or_never().is_none());
    r.mark_changed();
    drop(s);
    assert_eq!(block_on(r.changed()), Ok(()));
    assert!(block_on(r.changed()).is_err());
}

#[test]
fn watch_counts_its_ends() {
    let s = watch::Sender::<u8>::default();
    assert_eq!((s.sender_count(), s.receiver_count(), s.is_closed()), (1, 0, true));
    assert_eq!(s.send(1), Err(SendError(1)));
    let r = s.subscribe();
    assert_eq!((*r.borrow(), s.clone().sender_count()), (0, 2));
    assert!(s.closed().now_or_never().is_none());
    assert!(s.same_channel(&s.clone()) && r.same_channel(&r.clone()));
    assert!(!s.same_channel(&watch::Sender::default()));
    // A receiver that comes while somebody waits for the last to go.
    let mut closed = Box::pin(s.closed());
    assert!(closed.as_mut().now_or_never().is_none());
    drop(r);
    let again = s.subscribe();
    assert!(closed.as_mut().now_or_never().is_none());
    drop(again);
    assert!(closed.as_mut().now_or_never().is_some());
}

#[test]
fn watch_outlives_a_panic_in_a_change() {
    let (s, mut r) = watch::channel(0);
    let panicked = std::panic::catch_unwind(|| {
        s.send_modify(|value| {
            *value = 1;
            panic!("boom");
        });
    });
    assert!(panicked.is_err());
    assert_eq!((*r.borrow(), r.has_changed()), (1, Ok(false)));
    s.send_modify(|value| *value += 1);
    assert_eq!(block_on(r.changed()), Ok(()));
    assert_eq!(*r.borrow_and_update(), 2);
}

#[test]
fn oneshot_is_terminated_when_there_is_nothing_to_come() {
    let (s, mut r) = oneshot::channel();
    assert!(!r.is_terminated());
    s.send(1).unwrap();
    assert!(!r.is_terminated());
    assert_eq!(block_on(&mut r), Ok(1));
    assert!(r.is_terminated());
    assert_eq!(block_on(r), Err(RecvError));
}

#[test]
fn a_cancelled_receive_loses_nothing() {
    let (s, mut r) = oneshot::channel();
    assert!((&mut r).now_or_never().is_none());
    s.send(1).unwrap();
    assert_eq!(block_on(r), Ok(1));

    let (s, mut r) = broadcast::bounded(1, Lag::Wait);
    assert!(r.recv().now_or_never().is_none());
    s.try_send(1).unwrap();
    assert!(s.send(2).now_or_never().is_none());
    assert_eq!((r.try_recv(), r.try_recv()), (Ok(1), Err(broadcast::TryRecvError::Empty)));

    let (s, mut r) = watch::channel(0);
    assert!(r.changed().now_or_never().is_none());
    s.send(1).unwrap();
    drop(r.changed());
    assert_eq!(r.has_changed(), Ok(true));
}

#[test]
fn broadcast_counts_its_ends() {
    let (s, mut r) = broadcast::bounded(3, Lag::Wait);
    assert_eq!((s.capacity(), s.sender_count(), s.receiver_count()), (3, 1, 1));
    assert_eq!(s.send_blocking(1), Ok(()));
    let mut late = r.resubscribe();
    assert_eq!(s.send_blocking(2), Ok(()));
    assert_eq!((s.len(), r.len(), late.len()), (2, 2, 1));
    assert_eq!((late.recv_blocking(), r.recv_blocking(), r.recv_blocking()), (Ok(2), Ok(1), Ok(2)));
    assert!(s.is_empty() && !r.is_closed() && r.same_channel(&late));
    let other = s.clone();
    assert!(s.same_channel(&other));
    drop(s);
    drop(r);
    let mut closed = Box::pin(other.closed());
    assert!(closed.as_mut().now_or_never().is_none());
    drop(late);
    assert!(closed.as_mut().now_or_never().is_some());
    // It opens again.
    drop(closed);
    let r = other.subscribe();
    assert!(!other.is_closed());
    drop(other);
    assert!(r.is_closed());
}

/// Shared until the last receiver has it, and cloned for each of them: whatever the order, no item is
/// kept, and none is dropped twice.
#[test]
fn broadcast_drops_what_all_have_seen_in_any_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let item = Arc::new(());
        let (s, r) = broadcast::bounded(8, Lag::Wait);
        let mut receivers = [Some(r.clone()), Some(r.clone()), Some(r)];
        (0..4).for_each(|_| s.try_send(item.clone()).unwrap());
        for (turn, i) in order.into_iter().enumerate() {
            let receiver = receivers[i].as_mut().unwrap();
            (0..=turn).for_each(|_| drop(receiver.try_recv().unwrap()));
        }
        // They have seen 1, 2 and 3 items; the first of them keeps three.
        assert_eq!(Arc::strong_count(&item), 1 + 3);
        receivers[order[0]] = None;
        assert_eq!(Arc::strong_count(&item), 1 + 2);
        receivers[order[1]] = None;
        assert_eq!((Arc::strong_count(&item), s.len()), (1 + 1, 1));
        receivers[order[2]] = None;
        assert_eq!((Arc::strong_count(&item), s.len()), (1, 0));
    }
}

#[test]
fn auto_traits_are_what_they_should_be() {
    fn all<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    fn send<T: Send>(_: T) {}
    fn errors<E: std::error::Error + Send + Sync + 'static>() {}
    struct NotDebug;
    all::<watch::Sender<u8>>();
    all::<watch::Receiver<u8>>();
    all::<broadcast::Sender<u8>>();
    all::<broadcast::Receiver<u8>>();
    all::<oneshot::Sender<std::cell::Cell<u8>>>();
    all::<oneshot::Receiver<std::cell::Cell<u8>>>();
    errors::<SendError<NotDebug>>();
    errors::<TrySendError<NotDebug>>();
    errors::<SendTimeoutError<NotDebug>>();
    static_assertions::assert_not_impl_any!(watch::Sender<std::cell::Cell<u8>>: Send, Sync);
    static_assertions::assert_not_impl_any!(broadcast::Sender<std::cell::Cell<u8>>: Send, Sync);
    static_assertions::assert_not_impl_any!(oneshot::Sender<std::rc::Rc<u8>>: Send, Sync);
    static_assertions::assert_impl_all!(broadcast::Send<'static, NotDebug>: std::fmt::Debug, Unpin);
    static_assertions::assert_impl_all!(broadcast::Recv<'static, NotDebug>: std::fmt::Debug, Unpin);
    let (s, mut r) = watch::channel(0);
    send(r.changed());
    send(r.wait_for(|value| *value == 1));
    send(s.closed());
    let (s, mut r) = broadcast::bounded::<u8>(1, Lag::Wait);
    send(r.recv());
    send(s.closed());
    let (mut s, _r) = oneshot::channel::<u8>();
    send(s.closed());
}
