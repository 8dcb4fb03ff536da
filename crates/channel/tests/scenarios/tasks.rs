//! Networks of tasks, under schedules that seeds choose.

use futures::{FutureExt, StreamExt, stream};
use futures_lite::future::block_on;
use ziggurat_channel::{Receiver, RecvError, Sender, TryRecvError, bounded, unbounded};

use crate::support::{Tasks, make};
use crate::{KINDS, SEEDS};

#[test]
fn whichever_has_an_item_first() {
    for seed in 0..SEEDS {
        let ((s, mut a), (t, mut b)) = (bounded(1), unbounded());
        let mut tasks = Tasks::new(seed);
        for i in 0..20 {
            let (s, t) = (s.clone(), t.clone());
            tasks.spawn(async move {
                if i % 2 == 0 { s.send(i).await.unwrap() } else { t.send(i).await.unwrap() }
            });
        }
        drop((s, t));
        tasks.spawn(async move {
            let mut sum = 0;
            loop {
                futures::select! {
                    item = a.select_next_some() => sum += item,
                    item = b.select_next_some() => sum += item,
                    complete => break,
                }
            }
            assert_eq!(sum, (0..20).sum());
        });
        tasks.run(10_000);
    }
    // What is not chosen is not lost.
    let ((s, a), (t, b)) = (bounded(1), bounded(1));
    s.try_send(1).unwrap();
    t.try_send(2).unwrap();
    let chosen = block_on(async {
        futures::select_biased! { x = a.recv().fuse() => x, y = b.recv().fuse() => y }
    });
    assert_eq!((chosen, b.try_recv()), (Ok(1), Ok(2)));
    let sent = block_on(async {
        futures::select_biased! { x = s.send(3).fuse() => (1, x), y = t.send(4).fuse() => (2, y) }
    });
    assert_eq!((sent, a.try_recv(), b.try_recv()), ((1, Ok(())), Ok(3), Err(TryRecvError::Empty)));
}

#[test]
fn many_channels_into_one() {
    for (seed, kind) in (0..SEEDS).zip(KINDS.into_iter().cycle()) {
        let ((into, all), mut tasks) = (make(kind), Tasks::new(seed));
        for _ in 0..16 {
            let ((s, r), into) = (make(kind), into.clone());
            tasks.spawn(async move {
                for i in 0..20 {
                    s.send(i).await.unwrap();
                }
            });
            tasks.spawn(async move {
                while let Ok(item) = r.recv().await {
                    into.send(item).await.unwrap();
                }
            });
        }
        drop(into);
        tasks.spawn(async move {
            let sum = all.fold(0, |sum, i| async move { sum + i }).await;
            assert_eq!(sum, 16 * (0..20).sum::<i32>());
        });
        tasks.run(100_000);
    }
}

#[test]
fn one_ring_of_many_channels() {
    for seed in 0..SEEDS {
        let ((mut first, out), mut tasks) = (bounded(1), Tasks::new(seed));
        for _ in 0..32 {
            let (mut into, r) = bounded(1 + seed as usize);
            std::mem::swap(&mut into, &mut first);
            tasks.spawn(async move {
                while let Ok(item) = r.recv().await {
                    into.send(item).await.unwrap();
                }
            });
        }
        tasks.spawn(async move {
            for i in 0..30 {
                first.send(i).await.unwrap();
            }
        });
        tasks.spawn(async move {
            for i in 0..30 {
                assert_eq!(out.recv().await, Ok(i));
            }
            assert_eq!(out.recv().await, Err(RecvError));
        });
        tasks.run(100_000);
    }
}

#[test]
fn a_stream_is_forwarded_to_its_end() {
    for seed in 0..SEEDS {
        let ((s, r), mut tasks) = (bounded(1 + seed as usize), Tasks::new(seed));
        tasks.spawn(async move {
            stream::iter((0..1000).map(Ok)).forward(s).await.unwrap();
        });
        tasks.spawn(async move {
            assert!(r.collect::<Vec<_>>().await.into_iter().eq(0..1000));
        });
        tasks.run(100_000);
    }
}

/// Doug McIlroy's: each prime has a task that lets pass what it does not divide.
#[test]
fn numbers_through_a_sieve() {
    fn filter(prime: u32, from: Receiver<u32>, into: Sender<u32>) -> impl Future<Output = ()> {
        async move {
            while let Ok(number) = from.recv().await {
                if number % prime != 0 && into.send(number).await.is_err() {
                    return;
                }
            }
        }
    }
    let primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71];
    for (seed, kind) in (0..10).zip(KINDS.into_iter().cycle()) {
        let ((s, mut r), mut tasks) = (make(kind), Tasks::new(seed));
        tasks.spawn(async move {
            for number in 2..=71 {
                if s.send(number).await.is_err() {
                    return;
                }
            }
        });
        for prime in primes {
            let mut found = Vec::new();
            for _ in 0..10_000 {
                if let Ok(number) = r.try_recv() {
                    found.push(number);
                    break;
                }
                tasks.step();
            }
            assert_eq!(found, [prime]);
            let (into, next) = make(kind);
            let from = std::mem::replace(&mut r, next);
            tasks.spawn(filter(prime, from, into));
        }
        tasks.run(100_000);
        assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    }
}

#[test]
fn a_chain_of_tasks() {
    for seed in 0..10 {
        let ((s, first), mut tasks) = (bounded(1), Tasks::new(seed));
        let mut last = first;
        for _ in 0..500 {
            let (into, next) = bounded(1);
            let from = std::mem::replace(&mut last, next);
            tasks.spawn(async move { into.send(from.recv().await.unwrap() + 1).await.unwrap() });
        }
        s.try_send(0).unwrap();
        tasks.spawn(async move { assert_eq!(last.recv().await, Ok(500)) });
        tasks.run(100_000);
    }
}
