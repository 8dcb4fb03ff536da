//! Many items, random batches, both directions: each arrives once, and each sender's in order.

use std::thread;

use futures::executor::block_on;
use futures::future::join_all;
use ziggurat::channel::{Receiver, Sender, bounded, growable_with_capacity, spsc};
use ziggurat_tests_zig::channels::{self as zig, Sum};

const MARK: u32 = 48;
const NUMBER: u64 = (1 << MARK) - 1;

/// Random numbers that are the same for the same seed.
struct Random(u64);

impl Random {
    /// From 1 to `most`. (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.)
    fn up_to(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        1 + (z ^ (z >> 31)) % most
    }
}

/// From the environment, or from the addresses that this process happens to have.
fn seed() -> u64 {
    let chosen = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = chosen.unwrap_or_else(|| std::ptr::from_ref(&chosen).addr() as u64);
    println!("SEED={seed}");
    seed
}

/// What a receiver in Rust has seen, as Zig counts it.
struct Seen {
    sum: Sum,
    next: [u64; 64],
}

impl Seen {
    fn new() -> Self {
        Seen { sum: Sum { sum: 0, count: 0, disorder: 0 }, next: [0; 64] }
    }

    fn add(&mut self, item: u64) {
        let (mark, number) = ((item >> MARK) as usize, item & NUMBER);
        let next = &mut self.next[mark];
        self.sum.disorder += u64::from(number < *next);
        *next = number + 1;
        self.sum.sum = self.sum.sum.wrapping_add(number);
        self.sum.count += 1;
    }
}

/// All numbers below `count`, from `senders` senders.
fn expected(senders: u64, count: u64) -> Sum {
    let each = (u128::from(count) * u128::from(count.saturating_sub(1)) / 2) as u64;
    Sum { sum: senders.wrapping_mul(each), count: senders * count, disorder: 0 }
}

/// One sender and one receiver, in both directions in turn.
fn one_to_one(items: u64, round: u64, random: &mut Random) {
    let mut left = items;
    while left > 0 {
        let count = left.min(round);
        left -= count;
        let (capacity, batch) = (random.up_to(2048) as usize, random.up_to(1024));
        let (s, mut r) = spsc::bounded(capacity);
        let mut producer = zig::spsc::count_into(s, count, 0, batch).on_thread().open().unwrap();
        let receiver = thread::spawn(move || {
            let (mut seen, mut items) = (Seen::new(), Vec::new());
            block_on(async {
                while r.recv_many(&mut items, 256).await.is_ok() {
                    items.drain(..).for_each(|item| seen.add(item));
                }
            });
            seen.sum
        });
        assert_eq!(block_on(producer.close()), Ok(count));
        assert_eq!(receiver.join().unwrap(), expected(1, count), "{capacity}, {batch}");

        let (mut s, r) = spsc::bounded(capacity);
        let mut consumer = zig::spsc::sum_of(r, batch).on_thread().open().unwrap();
        let mut random = Random(random.up_to(u64::MAX - 1));
        let sender = thread::spawn(move || {
            block_on(async {
                let mut numbers = [0; 256];
                let mut next = 0;
                while next < count {
                    let batch = random.up_to(256).min(count - next) as usize;
                    numbers.iter_mut().zip(next..).for_each(|(number, i)| *number = i);
                    let mut rest = &numbers[..batch];
                    while !rest.is_empty() {
                        match s.try_send_slice(rest).unwrap() {
                            0 => s.ready().await.unwrap(),
                            sent => rest = &rest[sent..],
                        }
                    }
                    next += batch as u64;
                }
            });
        });
        assert_eq!(block_on(consumer.close()), Ok(expected(1, count)), "{capacity}, {batch}");
        sender.join().unwrap();
    }
}

async fn send_some(s: Sender<u64>, mark: u64, count: u64, mut random: Random) {
    let mut items = std::collections::VecDeque::new();
    let mut next = 0;
    while next < count {
        let batch = random.up_to(64).min(count - next);
        items.extend((next..next + batch).map(|i| mark << MARK | i));
        match batch {
            1 => s.send(items.pop_front().unwrap()).await.unwrap(),
            _ => _ = s.send_many(&mut items).await.unwrap(),
        }
        next += batch;
    }
}

async fn receive_some(r: Receiver<u64>, mut random: Random) -> Sum {
    let (mut seen, mut items) = (Seen::new(), Vec::new());
    loop {
        match random.up_to(64) {
            1 => match r.recv().await {
                Ok(item) => seen.add(item),
                Err(_) => return seen.sum,
            },
            most => match r.recv_many(&mut items, most as usize).await {
                Ok(_) => items.drain(..).for_each(|item| seen.add(item)),
                Err(_) => return seen.sum,
            },
        }
    }
}

type Make = fn(usize) -> (Sender<u64>, Receiver<u64>);

/// Two senders and two receivers in each language, on one channel.
fn many_to_many(make: Make, items: u64, round: u64, random: &mut Random) {
    let mut left = items;
    while left > 0 {
        let count = left.min(round).div_ceil(4);
        left = left.saturating_sub(4 * count);
        let capacity = random.up_to(1024) as usize;
        let (s, r) = make(capacity);
        let mut functions: Vec<_> = (0..2)
            .map(|mark| {
                zig::count_into(s.clone(), count, mark, random.up_to(64))
                    .on_thread()
                    .open()
                    .unwrap()
            })
            .collect();
        let mut sums: Vec<_> = (0..2)
            .map(|_| zig::sum_of(r.clone(), random.up_to(64)).on_thread().open().unwrap())
            .collect();
        let mut fork = || Random(random.up_to(u64::MAX - 1));
        let senders: Vec<_> = (2..4)
            .map(|mark| (s.clone(), mark, fork()))
            .map(|(s, mark, random)| {
                thread::spawn(move || block_on(send_some(s, mark, count, random)))
            })
            .collect();
        let receivers: Vec<_> = (0..2)
            .map(|_| (r.clone(), fork()))
            .map(|(r, random)| thread::spawn(move || block_on(receive_some(r, random))))
            .collect();
        drop((s, r));
        let sent = join_all(functions.iter_mut().map(|function| function.close()));
        let received = join_all(sums.iter_mut().map(|sum| sum.close()));
        let (sent, received) = block_on(async { futures::join!(sent, received) });
        assert!(sent.into_iter().all(|sent| sent == Ok(count)));
        let mut total: Vec<Sum> = received.into_iter().map(Result::unwrap).collect();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        total.extend(receivers.into_iter().map(|receiver| receiver.join().unwrap()));
        let total = total.into_iter().fold(Seen::new().sum, |a, b| Sum {
            sum: a.sum.wrapping_add(b.sum),
            count: a.count + b.count,
            disorder: a.disorder + b.disorder,
        });
        assert_eq!(total, expected(4, count), "{capacity}");
    }
}

#[test]
fn everything_arrives_once_and_in_order() {
    let mut random = Random(seed());
    one_to_one(400_000, 50_000, &mut random);
    many_to_many(bounded, 200_000, 50_000, &mut random);
    many_to_many(growable_with_capacity, 200_000, 50_000, &mut random);
}

/// A thousand million items and more.
#[test]
#[ignore = "takes some minutes"]
fn a_thousand_million_items_arrive_once_and_in_order() {
    let mut random = Random(seed());
    // Twice as many: this is per direction.
    one_to_one(450_000_000, 50_000_000, &mut random);
    many_to_many(bounded, 120_000_000, 10_000_000, &mut random);
}

/// Through rings that grow: of a round all items may be under way at once.
#[test]
#[ignore = "takes a minute"]
fn many_items_without_a_bound_arrive_once_and_in_order() {
    let mut random = Random(seed());
    many_to_many(growable_with_capacity, 400_000_000, 1_000_000, &mut random);
}
