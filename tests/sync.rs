//! std's queues, mutexes, conditions and the like, between coroutines, threads, and both.

mod support;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use futures::{Stream, StreamExt, TryStreamExt, poll};
use support::Executor;
use ziggurat::{ZigError, ZigStream, stream::StreamBuilder};
use ziggurat_tests_zig::sync as zig;

/// Where a function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    AsCoroutine,
    OnThread,
}

use Runs::{AsCoroutine, OnThread};

const PAIRS: [(Runs, Runs); 4] = [
    (AsCoroutine, AsCoroutine),
    (AsCoroutine, OnThread),
    (OnThread, AsCoroutine),
    (OnThread, OnThread),
];

impl Runs {
    fn open(self, function: StreamBuilder<u64>) -> ZigStream<u64> {
        let function = if self == OnThread { function.on_thread() } else { function };
        function.open().unwrap()
    }

    async fn collect(self, function: StreamBuilder<u64>) -> Vec<u64> {
        self.open(function).try_collect().await.unwrap()
    }
}

/// Something to share for one test.
fn room() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: numbers, each given once.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

async fn closed(room: u32) -> u64 {
    AsCoroutine.collect(zig::close(room)).await[0]
}

/// Holders of the room's mutex, and those that wait for it.
async fn inside(room: u32) -> [u64; 2] {
    AsCoroutine.collect(zig::inside(room)).await.try_into().unwrap()
}

/// Waits for what threads are about to do. The limit only ends a test that has failed.
async fn until<F: Future<Output = bool>>(what: &str, check: impl Fn() -> F) {
    let start = Instant::now();
    while !check().await {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        thread::yield_now();
    }
}

on_every_executor! {
    async fn a_queue_has_both_ends_anywhere(_executor: Executor) {
        const ITEMS: u64 = 300;
        for (producers, consumers) in PAIRS {
            let room = room();
            let putting = async {
                let put = |i| producers.collect(zig::put(room, i * ITEMS, (i + 1) * ITEMS));
                let put = join_all((0..3).map(put)).await;
                assert!(put.concat().into_iter().eq(0..3 * ITEMS), "{producers:?}");
                closed(room).await;
            };
            let taking = join_all((0..2).map(|_| consumers.collect(zig::take(room, u64::MAX))));
            let (taken, ()) = join(taking, putting).await;
            let expected = (0..3 * ITEMS).sum::<u64>();
            assert_eq!(taken.concat().iter().sum::<u64>(), expected, "{producers:?} {consumers:?}");
            assert_eq!(closed(room).await, expected);
        }
    }

    async fn a_condition_says_whose_turn_it_is(_executor: Executor) {
        for players in [[AsCoroutine; 4], [OnThread; 4], [AsCoroutine, OnThread, AsCoroutine, OnThread]] {
            let room = room();
            let turns = |(me, runs): (usize, &Runs)| runs.collect(zig::turns(room, me as u64, 4, 200));
            let turns = join_all(players.iter().enumerate().map(turns)).await;
            for (me, numbers) in turns.into_iter().enumerate() {
                assert!(numbers.into_iter().eq((me as u64..200).step_by(4)), "{players:?} {me}");
            }
        }
    }

    async fn a_semaphore_lets_two_in(_executor: Executor) {
        for (some, others) in PAIRS {
            let room = room();
            let entering = [some, others, some, others].map(|runs| runs.collect(zig::enter(room, 100)));
            for seen in join_all(entering).await {
                assert_eq!(seen.len(), 100);
                assert!(seen.iter().all(|n| (1..=2).contains(n)), "{some:?} {others:?}");
            }
        }
    }

    async fn nobody_reads_what_is_half_written(_executor: Executor) {
        for (readers, writers) in PAIRS {
            let room = room();
            let reading = join_all((0..2).map(|_| readers.collect(zig::read_or_write(room, 0, 100))));
            let writing = join_all((0..2).map(|_| writers.collect(zig::read_or_write(room, 1, 50))));
            let (read, _) = join(reading, writing).await;
            assert!(read.iter().all(|numbers| numbers.is_sorted() && numbers.len() == 100));
            // What is there after all writers: each has written fifty times, in two steps.
            assert_eq!(readers.collect(zig::read_or_write(room, 0, 1)).await, [200]);
        }
    }

    async fn an_event_is_waited_for_with_and_without_success(_executor: Executor) {
        for (waits, sets) in PAIRS {
            let room = room();
            let mut waiting = waits.open(zig::wait_for_event(room));
            // A wait that is over before the event.
            assert_eq!(waiting.next().await, Some(Ok(0)));
            assert_eq!(sets.collect(zig::set_event(room)).await, [1]);
            let rest: Vec<u64> = waiting.try_collect().await.unwrap();
            assert_eq!(rest.last(), Some(&1));
        }
    }

    async fn what_waits_for_a_lock_is_dropped(_executor: Executor) {
        for (holds, waits) in PAIRS {
            let room = room();
            let mut holder = holds.open(zig::hold(room));
            assert_eq!(holder.next().await, Some(Ok(1)));
            let mut waiter = waits.open(zig::hold(room));
            assert!(poll!(waiter.next()).is_pending());
            until("it waits", || async { inside(room).await == [1, 1] }).await;
            drop(waiter);
            until("it waits no longer", || async { inside(room).await == [1, 0] }).await;
            drop(holder);
            until("the lock is free", || async { inside(room).await == [0, 0] }).await;
            let mut next = waits.open(zig::hold(room));
            assert_eq!(next.next().await, Some(Ok(1)));
        }
    }

    async fn a_wake_is_not_lost_with_who_is_dropped(_executor: Executor) {
        for (some, others) in PAIRS {
            // One room for all turns: nobody is left in it.
            let room = room();
            for turn in 0..10 {
                let mut holder = some.open(zig::hold(room));
                assert_eq!(holder.next().await, Some(Ok(1)));
                let mut first = others.open(zig::hold(room));
                assert!(poll!(first.next()).is_pending());
                until("the first waits", || async { inside(room).await == [1, 1] }).await;
                let mut second = some.open(zig::hold(room));
                assert!(poll!(second.next()).is_pending());
                until("the second waits", || async { inside(room).await == [1, 2] }).await;
                // The lock is given up, to the first or the second, while the first is called off.
                if turn % 2 == 0 {
                    drop(holder);
                    drop(first);
                } else {
                    drop(first);
                    drop(holder);
                }
                assert_eq!(second.next().await, Some(Ok(1)), "{some:?} {others:?}");
                drop(second);
                until("all are gone", || async { inside(room).await == [0, 0] }).await;
            }
        }
    }

    async fn nothing_is_lost_with_consumers_that_are_dropped(_executor: Executor) {
        const ITEMS: u64 = 400;
        for (producers, consumers) in PAIRS {
            let room = room();
            let putting = async {
                producers.collect(zig::put(room, 0, ITEMS)).await;
                closed(room).await;
            };
            let taking = async {
                for turn in 0..40 {
                    let mut taking = consumers.open(zig::take(room, 7));
                    if turn % 3 == 0 || poll!(taking.next()).is_ready() {
                        continue;
                    }
                    if turn % 3 == 1 {
                        taking.next().await;
                    }
                }
                consumers.collect(zig::take(room, u64::MAX)).await
            };
            join(taking, putting).await;
            let all = (0..ITEMS).sum::<u64>();
            until("those that were dropped have kept what they took", || async {
                closed(room).await == all
            })
            .await;
        }
    }

    async fn the_first_of_several_is_selected(_executor: Executor) {
        for (puts, selects) in PAIRS {
            let room = room();
            let put = puts.collect(zig::put(room, 0, 50));
            let (selected, _) = join(selects.collect(zig::races(room, 50)), put).await;
            assert!(selected.into_iter().eq(0..50), "{puts:?} {selects:?}");
        }
    }

    async fn a_name_is_looked_up(_executor: Executor) {
        for runs in [AsCoroutine, OnThread] {
            assert!(runs.collect(zig::look_up("localhost")).await[0] >= 1);
            let unknown = runs.open(zig::look_up("no-such-name.invalid")).try_collect::<Vec<u64>>();
            let error: ZigError = unknown.await.unwrap_err();
            assert!(error.name().is_some());
        }
    }
}

/// Unparks the thread that drives a task.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// All items of a stream that is polled by another thread each time.
fn wandering(mut stream: impl Stream<Item = Result<u64, ZigError>> + Send + Unpin) -> Vec<u64> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut items = Vec::new();
    loop {
        let poll = || Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker));
        match thread::scope(|scope| scope.spawn(poll).join().unwrap()) {
            Poll::Ready(Some(item)) => items.push(item.unwrap()),
            Poll::Ready(None) => return items,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn coroutines_that_wander_share_with_each_other_and_with_threads() {
    const ITEMS: u64 = 200;
    for others in [AsCoroutine, OnThread] {
        let (queue, turn) = (room(), room());
        thread::scope(|scope| {
            let puts: Vec<_> = (0..2)
                .map(|i| zig::put(queue, i * ITEMS, (i + 1) * ITEMS).batch(1).open().unwrap())
                .map(|put| scope.spawn(|| wandering(put)))
                .collect();
            let takes: Vec<_> = [AsCoroutine, others]
                .map(|runs| runs.open(zig::take(queue, u64::MAX)))
                .map(|take| scope.spawn(|| wandering(take)))
                .into();
            let turns: Vec<_> = [AsCoroutine, others, AsCoroutine]
                .into_iter()
                .enumerate()
                .map(|(me, runs)| runs.open(zig::turns(turn, me as u64, 3, 150)))
                .map(|turns| scope.spawn(|| wandering(turns)))
                .collect();
            let put: Vec<u64> = puts.into_iter().flat_map(|put| put.join().unwrap()).collect();
            assert!(put.into_iter().eq(0..2 * ITEMS));
            futures::executor::block_on(closed(queue));
            let taken: u64 = takes.into_iter().flat_map(|take| take.join().unwrap()).sum();
            assert_eq!(taken, (0..2 * ITEMS).sum::<u64>());
            for (me, numbers) in turns.into_iter().enumerate() {
                assert!(numbers.join().unwrap().into_iter().eq((me as u64..150).step_by(3)));
            }
        });
    }
}
