//! What an item costs that crosses the border in a channel: a Zig function on its thread, and `block_on`
//! on ours.
//!
//! The peer is what there would be without a shared ring: one call per item, into async-channel's
//! `try_send` and `try_recv`. Ratios are of costs: 0.05x is twenty times as fast.

mod support;

use std::ffi::c_void;
use std::hint::black_box;

use futures::executor::block_on;
use support::{Unit, case, compare};
use ziggurat::channel::{bounded, growable, spsc};
use ziggurat_tests_zig::channels as zig;

const ITEMS: u64 = 1 << 20;
/// The sum of all items.
const SUM: u64 = ITEMS * (ITEMS - 1) / 2;
const BATCH: usize = 64;

/// # Safety
///
/// `sender` is an `async_channel::Sender<u64>`.
unsafe extern "C" fn try_send(sender: *const c_void, item: u64) -> u32 {
    // SAFETY: says the caller.
    let sender = unsafe { &*sender.cast::<async_channel::Sender<u64>>() };
    sender.try_send(item).is_ok().into()
}

/// # Safety
///
/// `receiver` is an `async_channel::Receiver<u64>`, and `item` is writable.
unsafe extern "C" fn try_recv(receiver: *const c_void, item: *mut u64) -> u32 {
    // SAFETY: says the caller.
    let receiver = unsafe { &*receiver.cast::<async_channel::Receiver<u64>>() };
    match receiver.try_recv() {
        Ok(received) => {
            // SAFETY: says the caller.
            unsafe { item.write(received) };
            0
        }
        Err(async_channel::TryRecvError::Empty) => 1,
        Err(async_channel::TryRecvError::Closed) => 2,
    }
}

/// The first poll of `close` starts the function; then this thread does its own half.
macro_rules! beside {
    ($function:expr, $half:expr) => {
        block_on(async {
            let mut function = $function.on_thread().open().expect("it opens");
            let mut closing = std::pin::pin!(function.close());
            assert!(futures::poll!(&mut closing).is_pending());
            let half = $half.await;
            (closing.await.expect("it returns"), half)
        })
    };
}

/// `None`: without a bound.
fn peer(capacity: Option<usize>) -> (async_channel::Sender<u64>, async_channel::Receiver<u64>) {
    capacity.map_or_else(async_channel::unbounded, async_channel::bounded)
}

fn callback_to_rust(capacity: Option<usize>) -> u64 {
    let (s, r) = peer(capacity);
    let (callback, context) = (try_send as *const c_void as usize, &raw const s as usize);
    let ((), sum) = beside!(zig::call_per_item(callback, context, ITEMS), async {
        let mut sum = 0_u64;
        for _ in 0..ITEMS {
            sum += black_box(r.recv().await.expect("open"));
        }
        sum
    });
    assert_eq!(sum, SUM);
    ITEMS
}

fn callback_to_zig(capacity: Option<usize>) -> u64 {
    let (s, r) = peer(capacity);
    let (callback, context) = (try_recv as *const c_void as usize, &raw const r as usize);
    let (sum, ()) = beside!(zig::ask_per_item(callback, context), async move {
        for i in 0..ITEMS {
            s.send(i).await.expect("open");
        }
    });
    assert_eq!(sum, SUM);
    ITEMS
}

macro_rules! kind {
    ($kind:ident, $bounded:expr, $zig:path, $send_batch:expr) => {
        #[allow(unused_mut)] // of one-to-one ends
        mod $kind {
            use super::*;
            use $zig as zig;

            pub fn to_rust(capacity: usize, batch: usize) -> u64 {
                let (s, mut r) = $bounded(capacity);
                let ((), sum) = beside!(zig::send_numbers(s, ITEMS, batch as u64), async {
                    let mut sum = 0_u64;
                    if batch == 1 {
                        while let Ok(item) = r.recv().await {
                            sum += black_box(item);
                        }
                        return sum;
                    }
                    let mut items = Vec::with_capacity(batch);
                    while r.recv_many(&mut items, batch).await.is_ok() {
                        sum += items.drain(..).map(black_box).sum::<u64>();
                    }
                    sum
                });
                assert_eq!(sum, SUM);
                ITEMS
            }

            pub fn to_zig(capacity: usize, batch: usize) -> u64 {
                let (mut s, r) = $bounded(capacity);
                let (sum, ()) = beside!(zig::add_numbers(r, batch as u64), async move {
                    if batch == 1 {
                        for i in 0..ITEMS {
                            s.send(i).await.expect("open");
                        }
                        return;
                    }
                    let send_batch = $send_batch;
                    let mut next = 0;
                    while next < ITEMS {
                        next = send_batch(&mut s, next, batch as u64).await;
                    }
                });
                assert_eq!(sum, SUM);
                ITEMS
            }
        }
    };
}

kind!(one, spsc::bounded, zig::spsc, async |s: &mut spsc::Sender<u64>, next, batch| {
    let mut items = [0_u64; BATCH];
    items.iter_mut().zip(next..).for_each(|(item, i)| *item = i);
    let mut rest = &items[..batch as usize];
    while !rest.is_empty() {
        match s.try_send_slice(rest).expect("open") {
            0 => s.ready().await.expect("open"),
            sent => rest = &rest[sent..],
        }
    }
    next + batch
});

kind!(row, |_| growable(), zig, async |s: &mut ziggurat::channel::Sender<u64>, next, batch| {
    let mut items: std::collections::VecDeque<u64> = (next..next + batch).collect();
    s.send_many(&mut items).await.expect("open");
    next + batch
});

kind!(many, bounded, zig, async |s: &mut ziggurat::channel::Sender<u64>, next, batch| {
    let mut items: std::collections::VecDeque<u64> = (next..next + batch).collect();
    s.send_many(&mut items).await.expect("open");
    next + batch
});

fn main() {
    for capacity in [128, 1024] {
        compare(
            &format!("Zig thread to block_on, u64, capacity {capacity}"),
            Unit::Nanoseconds,
            15,
            vec![
                case("callback per item into async-channel", || callback_to_rust(Some(capacity))),
                case("one-to-one, per item", || one::to_rust(capacity, 1)),
                case("one-to-one, batches of 64", || one::to_rust(capacity, BATCH)),
                case("many-to-many, per item", || many::to_rust(capacity, 1)),
                case("many-to-many, batches of 64", || many::to_rust(capacity, BATCH)),
            ],
        );
        compare(
            &format!("block_on to Zig thread, u64, capacity {capacity}"),
            Unit::Nanoseconds,
            15,
            vec![
                case("callback per item into async-channel", || callback_to_zig(Some(capacity))),
                case("one-to-one, per item", || one::to_zig(capacity, 1)),
                case("one-to-one, batches of 64", || one::to_zig(capacity, BATCH)),
                case("many-to-many, per item", || many::to_zig(capacity, 1)),
                case("many-to-many, batches of 64", || many::to_zig(capacity, BATCH)),
            ],
        );
    }
    for (title, callback, ours) in [
        (
            "Zig thread to block_on",
            callback_to_rust as fn(Option<usize>) -> u64,
            row::to_rust as fn(usize, usize) -> u64,
        ),
        ("block_on to Zig thread", callback_to_zig, row::to_zig),
    ] {
        compare(
            &format!("{title}, u64, without a bound"),
            Unit::Nanoseconds,
            15,
            vec![
                case("callback per item into async-channel", move || callback(None)),
                case("growable, per item", move || ours(0, 1)),
                case("growable, batches of 64", move || ours(0, BATCH)),
            ],
        );
    }
}
