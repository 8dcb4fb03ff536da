//! Channels between the languages: a Zig thread pool sends into one, tasks on two different executors
//! receive from it and send what they make of it into another, and a Zig function adds that up.
//!
//! Both languages work on the memory of the channel. Nothing is called for an item.
//!
//! ```text
//! cargo run --release --example channels
//! ```

use std::thread;

use futures::executor::block_on;
use ziggurat::channel::{Receiver, Sender, bounded};
use ziggurat_examples_zig::{Collatz, collatz, total};

const THREADS: u64 = 3;
const END: u64 = 100_000;

/// What the tasks make of a sequence.
fn weight(sequence: Collatz) -> u64 {
    sequence.number * sequence.steps
}

/// A task, on whatever executor. It ends with the last sender of `sequences`.
async fn work(sequences: Receiver<Collatz>, weights: Sender<u64>) -> u64 {
    let mut count = 0;
    while let Ok(sequence) = sequences.recv().await {
        weights.send(weight(sequence)).await.expect("Zig receives until the last sender is gone");
        count += 1;
    }
    count
}

fn main() -> anyhow::Result<()> {
    let (to_rust, sequences) = bounded(128);
    let (weights, to_zig) = bounded(128);
    // An end is moved into the function that it is an argument of, and dropped when that returns.
    let mut pool = collatz(to_rust, THREADS, END).on_thread().open()?;
    let mut adder = total(to_zig).on_thread().open()?;

    let (r, s) = (sequences.clone(), weights.clone());
    let on_tokio = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
        let tasks: Vec<_> = (0..2).map(|_| runtime.spawn(work(r.clone(), s.clone()))).collect();
        drop((r, s));
        runtime.block_on(async {
            let mut count = 0;
            for task in tasks {
                count += task.await?;
            }
            anyhow::Ok(count)
        })
    });
    let on_smol = smol::spawn(work(sequences, weights));

    // Closing runs the functions, on threads of their own, and waits for what they return.
    let (sent, total) = block_on(async { futures::join!(pool.close(), adder.close()) });
    let (sent, total) = (sent?, total?);
    let on_smol = block_on(on_smol);
    let on_tokio = on_tokio.join().expect("no panic")?;

    let expected: u64 =
        (1..END).map(|number| weight(Collatz { number, steps: steps(number) })).sum();
    assert_eq!((total.count, total.sum), (END - 1, expected));
    assert_eq!((sent, on_smol + on_tokio), (END - 1, END - 1));
    println!("{THREADS} Zig threads sent {sent} sequences");
    println!("tasks on tokio and on smol received {}", on_tokio + on_smol);
    println!("a Zig function received {} weights, in all {}", total.count, total.sum);
    Ok(())
}

/// How long a number's Collatz sequence is.
fn steps(number: u64) -> u64 {
    let next = |n: &u64| match n {
        1 => None,
        n if n % 2 == 0 => Some(n / 2),
        n => Some(3 * n + 1),
    };
    std::iter::successors(Some(number), next).count() as u64 - 1
}
