//! This crate's channels beside the others, in one process, interleaved: throughput per workload and
//! executor, the cost of a pair on one thread, the round trip, and batches.
//!
//! `cargo bench -p ziggurat-channel --bench channels` runs what the documentation's claims are about;
//! `-- all` runs the whole matrix, and `-- mpmc` the comparisons of it whose title has the word. `ITEMS`
//! sets how many items a round moves, `ROUNDS` how many rounds there are.

#[path = "../../../benches/support/mod.rs"]
mod support;

mod peers;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use futures_lite::future::block_on;
use peers::*;
use support::{Case, Unit, case, compare};

type Task = Pin<Box<dyn Future<Output = u64> + Send>>;

/// What runs the ends.
enum Executor {
    /// A thread with a bare `block_on` for each end.
    Threads,
    /// Two workers.
    Tokio(tokio::runtime::Runtime),
    /// Two threads.
    Smol(Arc<smol::Executor<'static>>, #[allow(dead_code)] async_channel::Sender<()>),
}

impl Executor {
    fn tokio() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        Executor::Tokio(runtime.expect("a runtime"))
    }

    fn smol() -> Self {
        let executor = Arc::new(smol::Executor::new());
        let (stop, stopped) = async_channel::bounded::<()>(1);
        for _ in 0..2 {
            let (executor, stopped) = (executor.clone(), stopped.clone());
            thread::spawn(move || block_on(executor.run(stopped.recv())));
        }
        Executor::Smol(executor, stop)
    }

    /// Runs all and adds up what they return.
    fn run(&self, tasks: Vec<Task>) -> u64 {
        match self {
            Executor::Threads => {
                let threads: Vec<_> =
                    tasks.into_iter().map(|t| thread::spawn(move || block_on(t))).collect();
                threads.into_iter().map(|t| t.join().expect("no panic")).sum()
            }
            Executor::Tokio(runtime) => {
                let tasks: Vec<_> = tasks.into_iter().map(|t| runtime.spawn(t)).collect();
                let sum = async move {
                    let mut sum = 0;
                    for task in tasks {
                        sum += task.await.expect("no panic");
                    }
                    sum
                };
                runtime.block_on(sum)
            }
            Executor::Smol(executor, _) => {
                let tasks: Vec<_> = tasks.into_iter().map(|t| executor.spawn(t)).collect();
                block_on(async move {
                    let mut sum = 0;
                    for task in tasks {
                        sum += task.await;
                    }
                    sum
                })
            }
        }
    }
}

/// How the items are moved.
#[derive(Clone, Copy)]
struct Load {
    senders: u64,
    receivers: u64,
    capacity: Option<usize>,
    /// Items at once.
    batch: usize,
    items: u64,
}

async fn produce<T: Item, P: Peer<T>>(mut tx: P::Tx, load: Load) -> u64 {
    let items = load.items / load.senders;
    if load.batch == 1 {
        for i in 0..items {
            P::send(&mut tx, T::of(i)).await;
        }
    } else {
        let mut batch = Vec::with_capacity(load.batch);
        for i in 0..items / load.batch as u64 {
            batch.clear();
            batch.extend((0..load.batch as u64).map(|j| T::of(i * load.batch as u64 + j)));
            P::send_many(&mut tx, &batch).await;
        }
    }
    0
}

async fn consume<T: Item, P: Peer<T>>(mut rx: P::Rx, load: Load) -> u64 {
    let mut sum = 0;
    if load.batch == 1 {
        while let Some(item) = P::recv(&mut rx).await.item() {
            sum += item.number();
        }
    } else {
        let mut batch = Vec::with_capacity(load.batch);
        loop {
            batch.clear();
            P::recv_many(&mut rx, &mut batch, load.batch).await;
            if batch.is_empty() {
                break;
            }
            sum += batch.iter().map(Item::number).sum::<u64>();
        }
    }
    sum
}

/// Moves the items once, and checks their sum.
fn transfer<T: Item, P: Peer<T>>(executor: &Executor, load: Load) -> u64 {
    let (tx, rx) = P::make(load.capacity).expect("the peer has this kind");
    let mut tasks: Vec<Task> = Vec::new();
    for _ in 1..load.receivers {
        let rx = P::more_rx(&rx).expect("many receivers");
        tasks.push(Box::pin(consume::<T, P>(rx, load)));
    }
    tasks.push(Box::pin(consume::<T, P>(rx, load)));
    for _ in 1..load.senders {
        let tx = P::more_tx(&tx).expect("many senders");
        tasks.push(Box::pin(produce::<T, P>(tx, load)));
    }
    tasks.push(Box::pin(produce::<T, P>(tx, load)));
    let each = load.items / load.senders;
    assert_eq!(executor.run(tasks), each * (each - 1) / 2 * load.senders);
    load.items
}

/// A pair of operations on one thread.
fn pairs<T: Item, P: Peer<T>>() -> u64 {
    const PAIRS: u64 = 200_000;
    let (mut tx, mut rx) = P::make(Some(128)).expect("a bounded channel");
    for i in 0..PAIRS {
        assert!(P::try_send(&mut tx, T::of(i)));
        assert!(P::try_recv(&mut rx).is_some());
    }
    PAIRS
}

/// There and back again.
fn round_trips<P: Peer<u64>>(executor: &Executor) -> u64 {
    const TRIPS: u64 = 5_000;
    let (mut there, mut here) = P::make(Some(1)).or_else(|| P::make(None)).expect("a channel");
    let (mut back, mut home) = P::make(Some(1)).or_else(|| P::make(None)).expect("a channel");
    executor.run(vec![
        Box::pin(async move {
            for i in 0..TRIPS {
                P::send(&mut there, i).await;
                assert_eq!(P::recv(&mut home).await.item(), Some(i));
            }
            0
        }),
        Box::pin(async move {
            while let Some(i) = P::recv(&mut here).await.item() {
                P::send(&mut back, i).await;
            }
            0
        }),
    ]);
    TRIPS
}

macro_rules! cases {
    ($run:expr; $($name:literal $peer:ty),* $(,)?) => {{
        let mut cases: Vec<Case<'_>> = Vec::new();
        $(cases.push(case($name, { type P = $peer; $run }));)*
        cases
    }};
}

/// Whether the command line asks for this comparison; `key`: whether it is run if nothing is asked for.
fn wanted(title: &str, key: bool) -> bool {
    let mut words = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).peekable();
    if words.peek().is_none() {
        return key;
    }
    words.any(|word| word == "all" || title.contains(&word))
}

/// Compares all that can do one load.
fn loads<T: Item>(executor: &Executor, name: &str, item: &str, load: Load) {
    const ROUNDS: usize = 5;
    let slots = load.capacity.map_or("unbounded".to_owned(), |n| format!("{n} slots"));
    let batch = if load.batch > 1 { format!(", batches of {}", load.batch) } else { String::new() };
    let shape = match (load.senders, load.receivers) {
        (1, 1) => "spsc",
        (_, 1) => "mpsc 4x1",
        _ => "mpmc 4x4",
    };
    let title = format!("{shape}, {slots}, {item}{batch}, {name}");
    // Only u64 through bounded rings, of which the batches only through small ones.
    let key = item == "u64"
        && load.capacity.is_some_and(|n| load.batch == 1 || n == 128)
        && (load.senders, load.receivers) != (4, 1);
    if !wanted(&title, key) {
        return;
    }
    let mut cases = match (shape, load.capacity) {
        ("spsc", Some(_)) => cases![
            move || transfer::<T, P>(executor, load);
            "ziggurat spsc" OursSpsc, "ziggurat" Ours, "async-channel" AsyncChannel,
            "flume" Flume, "kanal" Kanal, "crossfire" CrossfireSpsc, "tokio" Tokio,
            "thingbuf" Thingbuf, "futures" Futures,
        ],
        ("mpsc 4x1", Some(_)) => cases![
            move || transfer::<T, P>(executor, load);
            "ziggurat" Ours, "async-channel" AsyncChannel, "flume" Flume, "kanal" Kanal,
            "crossfire" CrossfireMpsc, "tokio" Tokio, "thingbuf" Thingbuf, "futures" Futures,
        ],
        ("mpmc 4x4", Some(_)) => cases![
            move || transfer::<T, P>(executor, load);
            "ziggurat" Ours, "async-channel" AsyncChannel, "flume" Flume, "kanal" Kanal,
            "crossfire" CrossfireMpmc,
        ],
        ("mpmc 4x4", None) => cases![
            move || transfer::<T, P>(executor, load);
            "ziggurat" Ours, "async-channel" AsyncChannel, "flume" Flume, "kanal" Kanal,
            "crossfire" CrossfireUnbounded,
        ],
        _ => cases![
            move || transfer::<T, P>(executor, load);
            "ziggurat" Ours, "async-channel" AsyncChannel, "flume" Flume, "kanal" Kanal,
            "crossfire" CrossfireUnbounded, "tokio" TokioUnbounded, "futures" FuturesUnbounded,
        ],
    };
    // These block or spin: only where each end has a thread of its own.
    if matches!(executor, Executor::Threads) {
        cases.extend(cases![move || transfer::<T, P>(executor, load); "crossbeam" Crossbeam]);
        if shape == "spsc" && load.capacity.is_some() {
            cases.extend(cases![move || transfer::<T, P>(executor, load);
                "rtrb" Rtrb, "ziggurat spsc, spinning" OursSpinning,
            ]);
        }
    }
    compare(&title, Unit::Nanoseconds, ROUNDS, cases);
}

fn main() {
    let (threads, tokio, smol) = (Executor::Threads, Executor::tokio(), Executor::smol());
    let executors = [("threads", &threads), ("tokio", &tokio), ("smol", &smol)];
    let items = std::env::var("ITEMS").ok().and_then(|n| n.parse().ok()).unwrap_or(64 * 1024);

    let pair = "pair, one thread, u64";
    if wanted(pair, true) {
        let cases = cases![
            pairs::<u64, P>;
            "ziggurat" Ours, "ziggurat spsc" OursSpsc, "async-channel" AsyncChannel,
            "flume" Flume, "kanal" Kanal, "crossfire" CrossfireMpmc, "tokio" Tokio,
            "thingbuf" Thingbuf, "futures" Futures, "crossbeam" Crossbeam, "rtrb" Rtrb,
        ];
        compare(pair, Unit::Nanoseconds, 9, cases);
    }
    for (name, executor) in executors {
        for (senders, receivers) in [(1, 1), (4, 1), (4, 4)] {
            for capacity in [Some(128), Some(1024), None] {
                for batch in [1, 64] {
                    let load = Load { senders, receivers, capacity, batch, items };
                    loads::<u64>(executor, name, "u64", load);
                    loads::<[u64; 4]>(executor, name, "32 bytes", load);
                }
            }
        }
        let title = format!("ping-pong, {name}");
        if wanted(&title, true) {
            let cases = cases![
                move || round_trips::<P>(executor);
                "ziggurat spsc" OursSpsc, "ziggurat" Ours, "async-channel" AsyncChannel,
                "flume" Flume, "kanal" Kanal, "crossfire" CrossfireSpsc, "tokio" Tokio,
            ];
            compare(&title, Unit::Nanoseconds, 3, cases);
        }
    }
}
