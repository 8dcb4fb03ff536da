//! Merges under each executor, with items from other threads.

#[path = "../support/mod.rs"]
mod support;

use std::thread;

use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use ziggurat_patterns::select::{Priority, Random, Weighted};
use ziggurat_patterns::stream::{MergeMap, MergeTuple, RaceTuple, merge, race, zip};

const THREADS: u64 = 4;
const STREAMS: u64 = 40;
const ITEMS: u64 = 100;

/// Streams that are fed by threads, each by one of them, a few at a time by each.
fn fed() -> (Vec<mpsc::Receiver<u64>>, Vec<thread::JoinHandle<()>>) {
    let mut receivers = Vec::new();
    let mut threads = Vec::new();
    for _ in 0..THREADS {
        let mut senders = Vec::new();
        for _ in 0..STREAMS / THREADS {
            let (sender, receiver) = mpsc::channel(1);
            senders.push(sender);
            receivers.push(receiver);
        }
        threads.push(thread::spawn(move || {
            futures::executor::block_on(async {
                for item in 0..ITEMS {
                    for sender in &mut senders {
                        sender.send(item).await.expect("somebody receives");
                    }
                }
            });
        }));
    }
    (receivers, threads)
}

fn joined(threads: Vec<thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}

/// Each stream's items, once and in order.
async fn everything() {
    let (receivers, threads) = fed();
    let mut map: MergeMap<usize, _> = receivers.into_iter().enumerate().collect();
    let mut next = vec![0; STREAMS as usize];
    while let Some((key, item)) = map.next().await {
        assert_eq!(item, next[key]);
        next[key] += 1;
    }
    assert!(next.iter().all(|&next| next == ITEMS));
    joined(threads);

    let (receivers, threads) = fed();
    let sum = merge(receivers).with_policy(Weighted).fold(0, async |sum, item| sum + item).await;
    assert_eq!(sum, STREAMS * ITEMS * (ITEMS - 1) / 2);
    joined(threads);

    let (receivers, threads) = fed();
    let patience = Priority::new(3.try_into().expect("not 0"));
    assert_eq!(merge(receivers).with_policy(patience).count().await as u64, STREAMS * ITEMS);
    joined(threads);

    let (receivers, threads) = fed();
    let mut merged = merge(receivers).with_policy(Random::new(1));
    let mut items = Vec::new();
    while merged.next_many(&mut items, 50).await > 0 {}
    assert_eq!(items.len() as u64, STREAMS * ITEMS);
    joined(threads);

    let (mut receivers, threads) = fed();
    let two = (receivers.remove(0), receivers.remove(0)).merge();
    let (two, rest) = futures::join!(two.count(), merge(receivers).count());
    assert_eq!((two + rest) as u64, STREAMS * ITEMS);
    joined(threads);

    let (mut receivers, threads) = fed();
    let pairs = zip(receivers.remove(0), receivers.remove(0)).all(async |(a, b)| a == b);
    let (pairs, _) = futures::join!(pairs, merge(receivers).count());
    assert!(pairs);
    joined(threads);

    let (sender, receiver) = mpsc::unbounded();
    let thread = thread::spawn(move || (0..ITEMS).for_each(|n| sender.unbounded_send(n).unwrap()));
    let items: Vec<_> = race([mpsc::unbounded().1, receiver]).collect().await;
    assert_eq!(items, (0..ITEMS).collect::<Vec<_>>());
    thread.join().expect("no panic");

    let (sender, receiver) = mpsc::unbounded();
    let thread = thread::spawn(move || (0..ITEMS).for_each(|n| sender.unbounded_send(n).unwrap()));
    let raced = (futures::stream::empty(), mpsc::channel(1).1, receiver).race();
    assert_eq!(raced.collect::<Vec<_>>().await, (0..ITEMS).collect::<Vec<_>>());
    thread.join().expect("no panic");
}

#[test]
fn under_every_executor() {
    support::on_every_executor(everything);
}
