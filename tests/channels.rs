//! Channels that both languages hold an end of, under every executor.

mod support;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::{StreamExt, poll};
use support::{Executor, wait_for};
use ziggurat::channel::{
    Receiver, RecvError, Sender, TryRecvError, TrySendError, bounded, growable_with_capacity,
};
use ziggurat::ffi::Outcome;
use ziggurat::stream::SinkBuilder;
use ziggurat::{Buffer, ZigError, ZigSink};
use ziggurat_tests_zig::channels::{self as zig, Sum};

const COUNT: u64 = 10_000;
/// Of the numbers below `COUNT`.
const SUM: Sum = Sum { sum: COUNT * (COUNT - 1) / 2, count: COUNT, disorder: 0 };
/// Capacities, and items per batch in Zig.
const SHAPES: [(usize, u64); 5] = [(1, 1), (3, 1), (128, 1), (7, 64), (128, 64)];

/// How a function runs. As coroutines only those go on here that are polled while the other end is waited
/// for.
#[derive(Debug, Clone, Copy)]
enum Way {
    Coroutine,
    Thread,
}

impl Way {
    fn open<R: Outcome<Value = R>>(self, call: SinkBuilder<u8, R>) -> ZigSink<u8, R> {
        match self {
            Way::Coroutine => call.open(),
            Way::Thread => call.on_thread().open(),
        }
        .unwrap()
    }
}

fn shapes_and_ways() -> impl Iterator<Item = (usize, u64, Way)> {
    let ways = |(capacity, batch)| [Way::Coroutine, Way::Thread].map(|way| (capacity, batch, way));
    SHAPES.into_iter().flat_map(ways)
}

/// A buffer that counts its releases.
fn counted(released: &Arc<AtomicUsize>, len: usize) -> Buffer {
    struct Counted(Vec<u8>, Arc<AtomicUsize>);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    Buffer::from(Bytes::from_owner(Counted(vec![7; len], released.clone())))
}

/// Waits until a count is what it should be, giving way to other tasks.
async fn settles(what: &str, check: impl Fn() -> bool) {
    wait_for(what, || check().then_some(()));
}

/// The bodies that are the same over all kinds of channels.
macro_rules! over {
    ($kind:ident: $bounded:path, $zig:path) => {
        // The methods of one-to-one ends want `&mut self`.
        #[allow(unused_mut)]
        mod $kind {
            use super::*;
            use $bounded as channel;
            use $zig as zig;

            on_every_executor! {
                async fn zig_sends_and_rust_receives(_executor: Executor) {
                    for (capacity, batch, way) in shapes_and_ways() {
                        let (s, mut r) = channel(capacity);
                        let mut producer = way.open(zig::count_into(s, COUNT, 0, batch));
                        let consumer = async {
                            let mut expected = 0;
                            while let Ok(item) = r.recv().await {
                                assert_eq!(item, expected);
                                expected += 1;
                            }
                            expected
                        };
                        let (sent, received) = futures::join!(producer.close(), consumer);
                        assert_eq!((sent.unwrap(), received), (COUNT, COUNT));
                    }
                }

                async fn rust_sends_and_zig_receives(_executor: Executor) {
                    for (capacity, batch, way) in shapes_and_ways() {
                        let (mut s, r) = channel(capacity);
                        let mut consumer = way.open(zig::sum_of(r, batch));
                        let producer = async move {
                            for i in 0..COUNT {
                                s.send(i).await.unwrap();
                            }
                        };
                        let (sum, ()) = futures::join!(consumer.close(), producer);
                        assert_eq!(sum.unwrap(), SUM);
                    }
                }

                async fn zig_sends_and_zig_receives(_executor: Executor) {
                    for (capacity, batch, way) in shapes_and_ways() {
                        let ((s, relayed), (into, r)) = (channel(capacity), channel(3));
                        let mut producer = way.open(zig::count_into(s, COUNT, 0, batch));
                        let mut relay = way.open(zig::relay(relayed, into));
                        let mut consumer = way.open(zig::sum_of(r, batch));
                        let (sent, passed, sum) =
                            futures::join!(producer.close(), relay.close(), consumer.close());
                        assert_eq!((sent, passed, sum), (Ok(COUNT), Ok(COUNT), Ok(SUM)));
                    }
                }

                async fn a_function_that_never_ran_drops_its_end(_executor: Executor) {
                    let (s, mut r) = channel(8);
                    drop(zig::count_into(s, 20, 0, 1));
                    assert_eq!(r.recv().await, Err(RecvError));
                    let (s, mut r) = channel(8);
                    drop(zig::count_into(s, 20, 0, 1).on_thread().open().unwrap());
                    assert_eq!(r.recv().await, Err(RecvError));
                    let (mut s, r) = channel::<u64>(8);
                    drop(zig::sum_of(r, 1).on_thread().open().unwrap());
                    assert_eq!(s.send(1).await.unwrap_err().into_inner(), 1);
                }

                async fn cancelling_a_parked_receiver_drops_its_end(_executor: Executor) {
                    for _ in 0..20 {
                        let (mut s, r) = channel::<u64>(2);
                        let mut consumer = zig::sum_of(r, 1).on_thread().open().unwrap();
                        s.send(1).await.unwrap();
                        assert!(poll!(Box::pin(consumer.close())).is_pending());
                        settles("the item is gone", || s.is_empty()).await;
                        drop(consumer);
                        settles("the channel is closed", || s.is_closed()).await;
                    }
                }

                async fn ends_come_back(_executor: Executor) {
                    let (mut s, r) = channel(4);
                    let mut half = zig::give_back_receiver(r, 3).on_thread().open().unwrap();
                    for i in 0..4 {
                        s.send(i).await.unwrap();
                    }
                    let mut r = half.close().await.unwrap();
                    assert_eq!(r.recv().await, Ok(3));
                    let mut half = zig::give_back_sender(s, 2).on_thread().open().unwrap();
                    let mut s = half.close().await.unwrap();
                    s.send(7).await.unwrap();
                    assert_eq!((r.recv().await, r.recv().await), (Ok(0), Ok(1)));
                    assert_eq!(r.recv().await, Ok(7));
                    drop(s);
                    assert_eq!(r.recv().await, Err(RecvError));
                }

                async fn a_returned_end_that_nobody_takes_is_dropped(_executor: Executor) {
                    let (mut s, r) = channel::<u64>(4);
                    let mut half = zig::give_back_receiver(r, 1).on_thread().open().unwrap();
                    s.send(1).await.unwrap();
                    assert!(poll!(Box::pin(half.close())).is_pending() || s.is_empty());
                    settles("the item is gone", || s.is_empty()).await;
                    drop(half);
                    settles("the channel is closed", || s.is_closed()).await;
                }

                async fn buffers_cross_without_a_copy_both_ways(_executor: Executor) {
                    let released = Arc::new(AtomicUsize::new(0));
                    let ((mut s, from), (into, mut r)) = (channel(4), channel(4));
                    let mut passer = zig::pass_buffers(from, into).on_thread().open().unwrap();
                    let task = async {
                        for i in 0..100 {
                            let buffer = counted(&released, 100 + i);
                            let address = buffer.as_ptr().addr();
                            s.send(buffer).await.unwrap();
                            let back: Buffer = r.recv().await.unwrap();
                            assert_eq!((back.as_ptr().addr(), back.len()), (address, 100 + i));
                            assert_eq!(released.load(Ordering::SeqCst), i);
                        }
                        drop(s);
                    };
                    let (passed, ()) = futures::join!(passer.close(), task);
                    assert_eq!(passed, Ok(100));
                    assert_eq!(released.load(Ordering::SeqCst), 100);

                    let (mut s, r) = channel(4);
                    let mut taker = zig::take_buffers(r).on_thread().open().unwrap();
                    let sender = async {
                        let mut sum = 0_u64;
                        for _ in 0..100 {
                            let buffer = counted(&released, 10);
                            sum = sum.wrapping_add(buffer.as_ptr() as u64);
                            s.send(buffer).await.unwrap();
                        }
                        drop(s);
                        sum
                    };
                    let (taken, sum) = futures::join!(taker.close(), sender);
                    assert_eq!(taken.unwrap(), sum);
                    assert_eq!(released.load(Ordering::SeqCst), 200);
                }

                async fn impossible_buffers_close_the_channel(_executor: Executor) {
                    let (s, mut r) = channel::<Buffer>(4);
                    zig::break_buffers(s).on_thread().open().unwrap().close().await.unwrap();
                    let mut received = Vec::new();
                    while let Ok(buffer) = r.recv().await {
                        received.push(buffer);
                    }
                    assert_eq!(received.len(), 1);
                    assert_eq!(&*received[0], b"good");
                    assert_eq!(r.fault(), Some(ziggurat::channel::ProtocolError::Item));

                    let (s, mut r) = channel::<Buffer>(4);
                    zig::break_buffers(s).on_thread().open().unwrap().close().await.unwrap();
                    let mut received = Vec::new();
                    assert_eq!(r.recv_many(&mut received, 10).await, Ok(1));
                    assert_eq!(&*received[0], b"good");
                    assert!(r.recv_many(&mut received, 10).await.is_err());
                    // Dropped in there, they are let alone.
                    let (s, r) = channel::<Buffer>(4);
                    zig::break_buffers(s).on_thread().open().unwrap().close().await.unwrap();
                    drop(r);
                }
            }
        }
    };
}

over!(many_to_many: ziggurat::channel::bounded, ziggurat_tests_zig::channels);
over!(one_to_one: ziggurat::channel::spsc::bounded, ziggurat_tests_zig::channels::spsc);
// The capacity is that of the first ring.
over!(growable: ziggurat::channel::growable_with_capacity, ziggurat_tests_zig::channels);

/// The bodies about a bound.
macro_rules! over_bounded {
    ($kind:ident: $bounded:path, $zig:path) => {
        // As above.
        #[allow(unused_mut)]
        mod $kind {
            use super::*;
            use $bounded as channel;
            use $zig as zig;

            on_every_executor! {
                async fn a_slow_consumer_bounds_what_is_under_way(_executor: Executor) {
                    let (s, mut r) = channel(5);
                    let mut producer = zig::count_into(s, 8, 0, 1).on_thread().open().unwrap();
                    // It runs, and then waits for room.
                    assert!(poll!(Box::pin(producer.close())).is_pending());
                    settles("the channel is full", || r.len() == 5).await;
                    assert_eq!(r.recv().await, Ok(0));
                    settles("it is full again", || r.len() == 5).await;
                    // Of the eight one was received, five are here, and the sender holds the next one.
                    for i in 1..8 {
                        assert_eq!(r.recv().await, Ok(i));
                    }
                    assert_eq!(r.recv().await, Err(RecvError));
                    assert_eq!(producer.close().await, Ok(8));
                }

                async fn a_receiver_that_goes_ends_the_zig_sender(_executor: Executor) {
                    for (capacity, batch, way) in shapes_and_ways() {
                        let (s, mut r) = channel(capacity);
                        let mut producer = way.open(zig::count_into(s, u64::MAX, 0, batch));
                        let consumer = async move {
                            for i in 0..100 {
                                assert_eq!(r.recv().await, Ok(i));
                            }
                        };
                        let (sent, ()) = futures::join!(producer.close(), consumer);
                        assert!(sent.unwrap() >= 100);
                    }
                }

                async fn close_by_either_side_leaves_what_was_sent(_executor: Executor) {
                    let (s, mut r) = channel(8);
                    let mut producer = zig::count_into(s, 20, 0, 1).on_thread().open().unwrap();
                    assert!(poll!(Box::pin(producer.close())).is_pending());
                    settles("the channel is full", || r.len() == 8).await;
                    assert!(r.close());
                    assert_eq!(producer.close().await, Ok(8));
                    for i in 0..8 {
                        assert_eq!(r.recv().await, Ok(i));
                    }
                    assert_eq!(r.recv().await, Err(RecvError));
                }

                async fn cancelling_a_parked_sender_drops_its_end(_executor: Executor) {
                    for _ in 0..20 {
                        let (s, mut r) = channel(2);
                        let mut producer = zig::count_into(s, 20, 0, 1).on_thread().open().unwrap();
                        assert!(poll!(Box::pin(producer.close())).is_pending());
                        settles("the channel is full", || r.len() == 2).await;
                        producer.request_cancel();
                        assert_eq!(producer.close().await, Err(ZigError::Canceled));
                        // What it had sent is here, and nothing else.
                        assert_eq!((r.recv().await, r.recv().await), (Ok(0), Ok(1)));
                        assert_eq!(r.recv().await, Err(RecvError));
                    }
                }
            }
        }
    };
}

over_bounded!(many_to_many_bounds: ziggurat::channel::bounded, ziggurat_tests_zig::channels);
over_bounded!(
    one_to_one_bounds: ziggurat::channel::spsc::bounded,
    ziggurat_tests_zig::channels::spsc
);

/// Two functions and two tasks of each kind, on one channel.
async fn many_share((s, r): (Sender<u64>, Receiver<u64>)) {
    let each = 5_000;
    let producer =
        |i: u64| zig::count_into(s.clone(), each, i, 1 + 63 * i).on_thread().open().unwrap();
    let mut producers: Vec<_> = (0..2).map(producer).collect();
    let consumer = |i: u64| zig::sum_of(r.clone(), 1 + 63 * i).on_thread().open().unwrap();
    let mut consumers: Vec<_> = (0..2).map(consumer).collect();
    let senders = (2..4).map(|mark| {
        let s = s.clone();
        async move {
            for i in 0..each {
                s.send(mark << 48 | i).await.unwrap();
            }
        }
    });
    let receivers = (0..2).map(|_| {
        let r = r.clone();
        async move {
            let mut sum = Sum { sum: 0, count: 0, disorder: 0 };
            while let Ok(item) = r.recv().await {
                sum.sum += item & ((1 << 48) - 1);
                sum.count += 1;
            }
            sum
        }
    });
    let senders = futures::future::join_all(senders);
    let receivers = futures::future::join_all(receivers);
    drop((s, r));
    let produced = futures::future::join_all(producers.iter_mut().map(|p| p.close()));
    let consumed = futures::future::join_all(consumers.iter_mut().map(|c| c.close()));
    let (_, received, produced, consumed) = futures::join!(senders, receivers, produced, consumed);
    assert!(produced.iter().all(|sent| *sent == Ok(each)));
    let consumed = consumed.into_iter().map(Result::unwrap);
    let total = received.into_iter().chain(consumed).fold((0, 0), |(sum, count), one| {
        assert_eq!(one.disorder, 0);
        (sum + one.sum, count + one.count)
    });
    assert_eq!(total, (4 * each * (each - 1) / 2, 4 * each));
}

on_every_executor! {
    async fn many_on_both_sides(_executor: Executor) {
        many_share(bounded(16)).await;
        many_share(growable_with_capacity(1)).await;
    }

    async fn clones_are_counted_exactly(_executor: Executor) {
        for (s, r) in [bounded(8), growable_with_capacity(1)] {
        let mut pool = zig::pool(s.clone(), r.clone(), 4, 1000).on_thread().open().unwrap();
        assert_eq!((s.sender_count(), s.receiver_count()), (2, 2));
        // Its receivers end with the last sender, which is here.
        drop(s);
        let sum = pool.close().await.unwrap();
        assert_eq!((sum.count, sum.disorder), (4000, 0));
        assert_eq!((r.sender_count(), r.receiver_count()), (0, 1));
        drop(pool);
        assert_eq!((r.sender_count(), r.receiver_count()), (0, 1));
        assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
        }
    }

    async fn a_source_may_hold_an_end(_executor: Executor) {
        let (s, r) = bounded(4);
        let mut numbers = zig::from_both(r).on_thread().open().unwrap();
        let sender = async move {
            for i in 0..1000 {
                s.send(i).await.unwrap();
            }
        };
        let receiver = async {
            let mut expected = 0;
            while let Some(item) = numbers.next().await {
                assert_eq!(item.unwrap(), expected);
                expected += 1;
            }
            expected
        };
        assert_eq!(futures::join!(sender, receiver).1, 1000);
    }

    async fn items_that_are_left_are_released_once(_executor: Executor) {
        let released = Arc::new(AtomicUsize::new(0));
        // Dropped at every point: so many are taken out again before everything goes.
        for taken in 0..6 {
            let before = released.load(Ordering::SeqCst);
            let ((s, from), (into, r)) = (bounded(4), bounded(4));
            let mut passer = zig::pass_buffers(from, into).on_thread().open().unwrap();
            let mut sent = 0;
            let mut closing = Box::pin(passer.close());
            assert!(poll!(&mut closing).is_pending());
            for _ in 0..10 {
                let full = || s.try_send(counted(&released, 10));
                match full() {
                    Ok(()) => sent += 1,
                    Err(TrySendError::Full(back)) => drop(back),
                    Err(TrySendError::Closed(_)) => panic!("it is open"),
                }
            }
            let dropped_here = 10 - sent;
            for _ in 0..taken.min(sent) {
                r.recv().await.unwrap();
            }
            drop(closing);
            if taken % 2 == 0 {
                drop((passer, s, r));
            } else {
                drop((r, s, passer));
            }
            settles("all are released", || {
                released.load(Ordering::SeqCst) - before == sent + dropped_here
            })
            .await;
        }
    }
}

/// Zig's buffers go back to Zig, whoever drops them, and at whatever point.
#[test]
fn zigs_buffers_come_home() {
    for executor in Executor::ALL {
        executor.run(async {
            for taken in [0, 1, 5, 40] {
                let (s, r) = bounded(4);
                let mut maker = zig::make_buffers(s, 40, 100).on_thread().open().unwrap();
                let consumer = async move {
                    for _ in 0..taken {
                        let bytes = Bytes::from(r.recv().await.unwrap());
                        let address = u64::from_le_bytes(bytes[..8].try_into().unwrap());
                        assert_eq!(address, bytes.as_ptr() as u64);
                    }
                };
                let (made, ()) = futures::join!(maker.close(), consumer);
                assert!(made.unwrap() >= taken);
            }
        });
        wait_for("all are home", || (zig::live() == 0).then_some(()));
    }
}

/// The bodies run as they would for a user: spawned, so that everything in them is `Send`.
#[test]
fn closing_is_send() {
    fn is_send(_: impl Future + Send) {}
    let (s, _r) = bounded(1);
    is_send(async move { zig::count_into(s, 1, 0, 1).on_thread().open().unwrap().close().await });
}
