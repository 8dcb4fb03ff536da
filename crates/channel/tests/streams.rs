//! Watch and broadcast receivers as streams, beside tokio-stream's; and permits that own their sender.

mod support;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::stream::FusedStream;
use futures::{FutureExt, Stream, StreamExt};
use futures_lite::future::block_on;
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Tally, Tasks};
use tokio_stream::wrappers as peers;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use ziggurat_channel::broadcast::{self, BroadcastStream, Lag, Lagged};
use ziggurat_channel::error::Closed;
use ziggurat_channel::watch::{self, WatchStream};
use ziggurat_channel::{
    OwnedPermit, RecvError, ReserveOwned, SendError, TryRecvError, TrySendError, bounded, unbounded,
};

/// Counts its wakes.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Send,
    Poll,
    /// The stream is taken apart and put together again.
    Rewrap,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![3 => Just(Act::Send), 3 => Just(Act::Poll), 1 => Just(Act::Rewrap)];
    vec(act, 0..40)
}

fn poll_next<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
}

proptest! {
    #[test]
    fn a_watch_stream_yields_what_its_peer_yields(acts in acts(), from_changes: bool) {
        let (s, r) = watch::channel(0);
        let (t, q) = tokio::sync::watch::channel(0);
        let (mut stream, mut peer) = if from_changes {
            (WatchStream::from_changes(r), peers::WatchStream::from_changes(q))
        } else {
            (WatchStream::new(r), peers::WatchStream::new(q))
        };
        let mut begun = from_changes;
        for (value, act) in (1..).zip(acts) {
            match act {
                Act::Send => {
                    prop_assert_eq!(s.send(value), Ok(()));
                    prop_assert!(t.send(value).is_ok());
                }
                Act::Poll => {
                    prop_assert_eq!(poll_next(&mut stream), poll_next(&mut peer));
                    begun = true;
                }
                Act::Rewrap if begun => stream = WatchStream::from_changes(stream.into_inner()),
                Act::Rewrap => {}
            }
        }
        drop((s, t));
        prop_assert!(block_on(stream.collect::<Vec<_>>()) == block_on(peer.collect::<Vec<_>>()));
    }

    // A power of two, to which the peer would round up.
    #[test]
    fn a_broadcast_stream_yields_what_its_peer_yields(acts in acts()) {
        let (s, r) = broadcast::bounded(4, Lag::Report);
        let (t, q) = tokio::sync::broadcast::channel(4);
        let (mut stream, mut peer) = (BroadcastStream::new(r), peers::BroadcastStream::new(q));
        let same = |theirs: Result<i32, BroadcastStreamRecvError>| {
            theirs.map_err(|BroadcastStreamRecvError::Lagged(missed)| Lagged(missed))
        };
        for (item, act) in (0..).zip(acts) {
            match act {
                Act::Send => {
                    prop_assert_eq!(s.try_send(item), Ok(()));
                    prop_assert!(t.send(item).is_ok());
                }
                Act::Poll => {
                    let theirs = poll_next(&mut peer).map(|item| item.map(same));
                    prop_assert_eq!(poll_next(&mut stream), theirs);
                }
                Act::Rewrap => stream = stream.into_inner().into(),
            }
        }
        drop((s, t));
        let theirs: Vec<_> = block_on(peer.map(same).collect());
        prop_assert_eq!(block_on(stream.collect::<Vec<_>>()), theirs);
    }
}

#[test]
fn a_watch_stream_is_woken_by_changes_and_by_the_end() {
    let (wakes, (s, r)) = (Arc::new(Wakes::default()), watch::channel(1));
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    let mut stream = pin!(WatchStream::new(r));
    assert_eq!(stream.as_mut().poll_next(&mut cx), Poll::Ready(Some(1)));
    assert!(stream.as_mut().poll_next(&mut cx).is_pending());
    s.send(2).unwrap();
    assert_eq!(wakes.count(), 1);
    s.send(3).unwrap();
    assert_eq!(wakes.count(), 1);
    assert_eq!(stream.as_mut().poll_next(&mut cx), Poll::Ready(Some(3)));
    assert!(stream.as_mut().poll_next(&mut cx).is_pending());
    assert!(!stream.is_terminated());
    drop(s);
    assert_eq!(wakes.count(), 2);
    assert!(stream.is_terminated());
    assert_eq!(stream.as_mut().poll_next(&mut cx), Poll::Ready(None));
    assert_eq!(stream.as_mut().poll_next(&mut cx), Poll::Ready(None));
}

#[test]
fn a_watch_stream_yields_the_last_value_before_the_end() {
    let (s, mut r) = watch::channel(1);
    r.mark_unchanged();
    let (mut values, mut changes) = (WatchStream::new(r.clone()), WatchStream::from_changes(r));
    drop(s);
    assert!(!values.is_terminated() && changes.is_terminated());
    assert_eq!(block_on(values.next()), Some(1));
    assert_eq!((block_on(values.next()), block_on(changes.next())), (None, None));

    let (s, r) = watch::channel(1);
    let mut changes = WatchStream::from_changes(r);
    s.send(2).unwrap();
    drop(s);
    assert!(!changes.is_terminated());
    assert_eq!(block_on(changes.next()), Some(2));
    assert_eq!(*changes.into_inner().borrow(), 2);
}

#[test]
fn a_broadcast_stream_is_woken_by_items_and_by_the_end() {
    for lag in [Lag::Wait, Lag::Report, Lag::Skip] {
        let (wakes, (s, r)) = (Arc::new(Wakes::default()), broadcast::bounded(2, lag));
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let mut stream = pin!(BroadcastStream::from(r));
        assert!(stream.as_mut().poll_next(&mut cx).is_pending());
        assert_eq!(stream.size_hint(), (0, None));
        s.try_send(1).unwrap();
        s.try_send(2).unwrap();
        assert_eq!((wakes.count(), stream.size_hint()), (1, (1, None)));
        assert_eq!(stream.as_mut().poll_next(&mut cx), Poll::Ready(Some(Ok(1))));
        assert_eq!(stream.as_mut().poll_next(&mut cx), Poll::Ready(Some(Ok(2))));
        assert!(stream.as_mut().poll_next(&mut cx).is_pending());
        drop(s);
        assert_eq!(wakes.count(), 2);
        assert!(stream.is_terminated());
        assert_eq!(stream.as_mut().poll_next(&mut cx), Poll::Ready(None));
    }
}

#[test]
fn a_stream_that_skips_yields_no_errors() {
    let (s, r) = broadcast::bounded(2, Lag::Skip);
    (0..10).for_each(|i| s.try_send(i).unwrap());
    drop(s);
    let mut stream = BroadcastStream::new(r);
    assert_eq!(stream.by_ref().take(1).collect::<Vec<_>>().now_or_never(), Some(vec![Ok(8)]));
    let mut r = stream.into_inner();
    assert_eq!((r.missed(), r.try_recv()), (8, Ok(9)));
}

/// A sender that waits for the slowest is woken by what a stream takes, or by its end.
#[test]
fn streams_make_room() {
    for seed in 0..50 {
        let ((s, r), mut tasks) = (broadcast::bounded(2, Lag::Wait), Tasks::new(seed));
        let streams = [r.clone(), r.clone(), r].map(BroadcastStream::new);
        for (count, stream) in [100, 50, 1].into_iter().zip(streams) {
            tasks.spawn(async move {
                let items: Vec<_> = stream.take(count).collect().await;
                assert!(items.into_iter().eq((0..count).map(Ok)));
            });
        }
        tasks.spawn(async move {
            for i in 0..100 {
                s.send(i).await.unwrap();
            }
        });
        tasks.run(10_000);
    }
}

#[test]
fn every_watch_stream_sees_the_last_value() {
    for seed in 0..50 {
        let ((s, r), mut tasks) = (watch::channel(0), Tasks::new(seed));
        for _ in 0..3 {
            let values = WatchStream::new(r.clone());
            tasks.spawn(async move {
                let seen: Vec<_> = values.collect().await;
                assert!(seen.is_sorted() && seen.last() == Some(&99));
            });
        }
        tasks.spawn(async move {
            for i in 0..100 {
                s.send(i).unwrap();
                if i % 7 == 0 {
                    futures_lite::future::yield_now().await;
                }
            }
        });
        tasks.run(10_000);
    }
}

#[test]
fn an_owned_permit_keeps_room_and_a_sender() {
    let (s, r) = bounded(1);
    let permit = s.try_reserve_owned().unwrap();
    assert_eq!((r.sender_count(), r.is_full(), r.len()), (1, true, 0));
    let s = permit.send(1).unwrap();
    let Err(TrySendError::Full(s)) = s.try_reserve_owned() else { panic!("it is full") };
    assert_eq!(r.try_recv(), Ok(1));
    let permit = s.try_reserve_owned().unwrap();
    let s = permit.release();
    assert_eq!(s.try_send(2), Ok(()));
    assert_eq!(r.try_recv(), Ok(2));
    drop(s.clone().try_reserve_owned().unwrap());
    assert_eq!((r.sender_count(), r.is_full()), (1, false));
    // The last sender is in it.
    let permit = s.try_reserve_owned().unwrap();
    assert!(!r.is_closed());
    drop(permit);
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn an_owned_permit_of_a_closed_channel_gives_the_item_back() {
    let (s, r) = bounded(1);
    let permit = s.clone().try_reserve_owned().unwrap();
    r.close();
    assert_eq!(permit.send(1).unwrap_err(), SendError(1));
    assert_eq!(block_on(s.clone().reserve_owned()).unwrap_err(), Closed);
    let Err(TrySendError::Closed(s)) = s.try_reserve_owned() else { panic!("it is closed") };
    assert_eq!((s.sender_count(), r.try_recv()), (1, Err(TryRecvError::Closed)));
}

#[test]
fn owned_permits_wait_for_room_in_turn_and_leave_it_to_others() {
    for seed in 0..50 {
        let ((s, r), mut tasks, tally) = (bounded(2), Tasks::new(seed), Tally::default());
        for i in 0..20 {
            let (s, tally) = (s.clone(), tally.clone());
            tasks.spawn(async move {
                let permit = s.reserve_owned().await.unwrap();
                if i % 3 > 0 {
                    assert_eq!(permit.send(tally.item(i)).unwrap().capacity(), Some(2));
                }
            });
        }
        // Those who wait, and those who were woken and not polled, leave.
        let waiting = s.clone();
        let task = tasks.spawn(async move { drop(waiting.reserve_owned().await) });
        (0..seed).for_each(|_| _ = tasks.step());
        tasks.abort(task);
        drop(s);
        let received = tally.clone();
        tasks.spawn(async move {
            let mut sum = 0;
            while let Ok(item) = r.recv().await {
                sum += item.number;
            }
            assert_eq!(sum, (0..20).filter(|i| i % 3 > 0).sum());
            assert_eq!(received.live(), 0);
        });
        tasks.run(10_000);
    }
    let (s, r) = unbounded();
    let permit = block_on(s.reserve_owned()).unwrap();
    let s = permit.send(1).unwrap();
    drop(s);
    assert_eq!((r.recv_blocking(), r.recv_blocking()), (Ok(1), Err(RecvError)));
}

#[test]
fn auto_traits_are_what_they_should_be() {
    fn all<T: Send + Sync + Unpin + std::fmt::Debug>() {}
    struct NotDebug;
    all::<OwnedPermit<NotDebug>>();
    all::<ReserveOwned<NotDebug>>();
    all::<WatchStream<NotDebug>>();
    all::<BroadcastStream<NotDebug>>();
    static_assertions::assert_not_impl_any!(OwnedPermit<std::rc::Rc<u8>>: Send);
    static_assertions::assert_not_impl_any!(BroadcastStream<std::cell::Cell<u8>>: Send);
    static_assertions::assert_impl_all!(Lagged: std::error::Error, Send, Sync, Copy);
}
