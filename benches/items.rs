//! What an item costs, by how it is polled: of state machines and of functions on threads. Coroutines
//! have a bench of their own.
//!
//! The limit: a direct C call per item; and, when items come in batches, a copy of eight bytes.

mod support;
#[path = "support/workload.rs"]
mod workload;

use futures::{Stream, stream};
use support::{Unit, case, compare};
use workload::{ITEMS, sum_by_call, sum_by_item, sum_by_slice};
use ziggurat::ZigError;
use ziggurat_examples_zig::{counter, numbers, numbers_by_slices};

fn iter() -> impl Stream<Item = Result<u64, ZigError>> + Unpin {
    stream::iter((0..ITEMS).map(Ok))
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
