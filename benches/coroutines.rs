//! What Zig functions cost that run as coroutines: an item, a stream, and one that waits; beside what
//! Rust has for the same.
//!
//! The limit of an item that is polled singly: a call into C, twice, as there is a switch each way. Of
//! one in a batch: a copy of eight bytes.

mod support;
#[path = "support/workload.rs"]
mod workload;

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use corosensei::{Coroutine, CoroutineResult};
use futures::executor::block_on;
use futures::{Stream, StreamExt, stream};
use support::{Unit, case, compare};
use workload::{ITEMS, next_item, sum_by_call, sum_by_item, sum_by_slice};
use ziggurat::{OpenError, ZigError};
use ziggurat_examples_zig::{counter, numbers, numbers_by_slices};

/// The same as a stream.
struct Direct {
    next: extern "C" fn(&mut u64, &mut u64) -> i32,
    state: u64,
}

impl Stream for Direct {
    type Item = Result<u64, ZigError>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (next, mut item) = (self.next, 0);
        match next(&mut self.state, &mut item) {
            0 => Poll::Ready(Some(Ok(item))),
            _ => Poll::Ready(None),
        }
    }
}

fn direct() -> Direct {
    Direct { next: black_box(next_item), state: 0 }
}

fn unfold(items: u64) -> impl Stream<Item = Result<u64, ZigError>> {
    stream::unfold(0, move |i| async move { (i < items).then_some((Ok(i), i + 1)) })
}

fn async_stream(items: u64) -> impl Stream<Item = Result<u64, ZigError>> {
    async_stream::stream! {
        for i in 0..items {
            yield Ok(i);
        }
    }
}

fn genawaiter(items: u64) -> impl Stream<Item = Result<u64, ZigError>> {
    genawaiter::sync::Gen::new(move |co| async move {
        for i in 0..items {
            co.yield_(Ok(i)).await;
        }
    })
}

/// A stackful coroutine of Rust's, resumed in a loop: no stream, no waker.
fn corosensei(items: u64) -> u64 {
    let mut coroutine = Coroutine::new(move |yielder, ()| {
        for i in 0..items {
            yielder.suspend(i);
        }
    });
    let mut sum = 0_u64;
    while let CoroutineResult::Yield(item) = coroutine.resume(()) {
        sum = sum.wrapping_add(black_box(item));
    }
    black_box(sum);
    items
}

fn items() {
    let one = |batch| numbers(ITEMS).batch(batch).open().expect("it opens");
    let slices = |batch| numbers_by_slices(ITEMS).batch(batch).open().expect("it opens");
    let thread = |batch| numbers(ITEMS).batch(batch).on_thread().open().expect("it opens");
    compare(
        "u64 items, per item; a Zig function as a coroutine",
        Unit::Nanoseconds,
        15,
        vec![
            case("direct C call", sum_by_call),
            case("direct C call per poll of a stream", || sum_by_item(direct())),
            case("futures stream::unfold", || sum_by_item(unfold(ITEMS))),
            case("async_stream::stream!", || sum_by_item(async_stream(ITEMS))),
            case("genawaiter::sync::Gen", || sum_by_item(genawaiter(ITEMS))),
            case("corosensei::Coroutine, no stream", || corosensei(ITEMS)),
            case("coroutine, batch 1", || sum_by_item(one(1))),
            case("coroutine, batch 64", || sum_by_item(one(64))),
            case("coroutine, batch 1024", || sum_by_item(one(1024))),
            case("coroutine, batch 64, as slices", || sum_by_slice(one(64))),
            case("coroutine, sendMany of 64, batch 1024, as slices", || sum_by_slice(slices(1024))),
            case("on a thread, batch 64", || sum_by_item(thread(64))),
        ],
    );
}

fn first_item_of_each<S: Stream<Item = Result<u64, ZigError>>>(
    streams: u64,
    open: impl Fn() -> Result<S, OpenError>,
) -> u64 {
    for _ in 0..streams {
        let mut stream = pin!(open().expect("it opens"));
        black_box(block_on(stream.next()).expect("an item").expect("no error"));
    }
    streams
}

fn streams() {
    compare(
        "streams of one item, from opening to drop, per stream",
        Unit::Nanoseconds,
        15,
        vec![
            case("coroutine", || first_item_of_each(1000, || numbers(1).open())),
            case("coroutine, batch 1", || first_item_of_each(1000, || numbers(1).batch(1).open())),
            case("coroutine, cancelled after its first item", || {
                first_item_of_each(1000, || numbers(ITEMS).batch(1).open())
            }),
            case("state machine", || first_item_of_each(1000, || counter(1).open())),
            case("async_stream::stream!", || first_item_of_each(1000, || Ok(async_stream(1)))),
            case("genawaiter::sync::Gen", || first_item_of_each(1000, || Ok(genawaiter(1)))),
            case("corosensei::Coroutine, no stream", || {
                (0..20).for_each(|_| _ = corosensei(1));
                20
            }),
            case("on a thread", || first_item_of_each(20, || numbers(1).on_thread().open())),
        ],
    );
}

/// Resident memory of this process, in bytes.
fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    // SAFETY: it only asks.
    let page_size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages.split(' ').nth(1)?.parse::<usize>().ok()? * usize::try_from(page_size).ok()?)
}

fn memory() {
    const STREAMS: usize = 100_000;
    let before = resident();
    let mut waiting = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        let mut stream = numbers(ITEMS).batch(1).open().expect("it opens");
        block_on(stream.next()).expect("an item").expect("no error");
        waiting.push(stream);
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        let bytes = after.saturating_sub(before);
        println!("\n{STREAMS} coroutines that wait, each after its first item");
        println!("  {} MiB resident, {} bytes each", bytes >> 20, bytes / STREAMS);
    }
}

fn main() {
    items();
    streams();
    if std::env::var_os("CASES").is_none() {
        memory();
    }
}
