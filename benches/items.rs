//! What an item costs, by how it is polled: of state machines and of functions on threads. Coroutines
//! have a bench of their own.
//!
//! The limit: a direct C call per item; and, when items come in batches, a copy of eight bytes.

mod support;

use std::hint::black_box;

use futures::executor::block_on;
use futures::{Stream, StreamExt, stream};
use support::{Unit, case, compare};
use ziggurat::{ZigError, ZigStream};
use ziggurat_examples_zig::{counter, numbers, numbers_by_slices};

const ITEMS: u64 = 1 << 20;

/// The same consumer for all: only what it polls differs.
fn sum_by_item(mut stream: impl Stream<Item = Result<u64, ZigError>> + Unpin) -> u64 {
    block_on(async {
        let mut sum = 0_u64;
        while let Some(item) = stream.next().await {
            sum = sum.wrapping_add(black_box(item.expect("an item")));
        }
        black_box(sum);
    });
    ITEMS
}

fn iter() -> impl Stream<Item = Result<u64, ZigError>> + Unpin {
    stream::iter((0..ITEMS).map(Ok))
}

fn sum_by_slice(mut stream: ZigStream<u64>) -> u64 {
    block_on(async {
        let mut sum = 0_u64;
        while let Some(batch) = stream.next_batch().await {
            for &item in batch.expect("a batch") {
                sum = sum.wrapping_add(black_box(item));
            }
        }
        black_box(sum);
    });
    ITEMS
}

/// What a C library would offer: one call per item.
extern "C" fn next_item(state: &mut u64, out: &mut u64) -> i32 {
    if *state == ITEMS {
        return 2;
    }
    *out = *state;
    *state += 1;
    0
}

fn sum_by_call() -> u64 {
    let next: extern "C" fn(&mut u64, &mut u64) -> i32 = black_box(next_item);
    let (mut state, mut item, mut sum) = (0, 0, 0_u64);
    while next(&mut state, &mut item) == 0 {
        sum = sum.wrapping_add(black_box(item));
    }
    black_box(sum);
    ITEMS
}

fn main() {
    let machine = |batch| counter(ITEMS).batch(batch).open().expect("it opens");
    let thread = |batch| numbers(ITEMS).batch(batch).on_thread().open().expect("it opens");
    let slices =
        |batch| numbers_by_slices(ITEMS).batch(batch).on_thread().open().expect("it opens");
    compare(
        "u64 items, per item; a Zig state machine polled by Rust",
        Unit::Nanoseconds,
        25,
        vec![
            case("futures stream::iter", || sum_by_item(iter())),
            case("direct C call per item", sum_by_call),
            case("ZigStream batch 1", || sum_by_item(machine(1))),
            case("ZigStream batch 64", || sum_by_item(machine(64))),
            case("ZigStream batch 1024", || sum_by_item(machine(1024))),
            case("ZigStream batch 64, as slices", || sum_by_slice(machine(64))),
            case("ZigStream batch 1024, as slices", || sum_by_slice(machine(1024))),
        ],
    );
    compare(
        "u64 items, per item; a Zig function on a thread of its own",
        Unit::Nanoseconds,
        9,
        vec![
            case("futures stream::iter", || sum_by_item(iter())),
            case("ZigStream batch 1", || sum_by_item(thread(1))),
            case("ZigStream batch 64", || sum_by_item(thread(64))),
            case("ZigStream batch 1024", || sum_by_item(thread(1024))),
            case("ZigStream batch 1024, as slices", || sum_by_slice(thread(1024))),
            case("sendMany of 64, batch 64", || sum_by_item(slices(64))),
            case("sendMany of 64, batch 1024", || sum_by_item(slices(1024))),
            case("sendMany of 64, batch 1024, as slices", || sum_by_slice(slices(1024))),
        ],
    );
}
