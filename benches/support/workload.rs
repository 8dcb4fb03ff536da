//! What the benches of items share: the consumers, and the C call that all is measured against.

use std::hint::black_box;
use std::pin::pin;

use futures::executor::block_on;
use futures::{Stream, StreamExt};
use ziggurat::{ZigError, ZigStream};

/// How many items each case moves.
pub const ITEMS: u64 = 1 << 20;

/// The same consumer for all: only what it polls differs.
pub fn sum_by_item(stream: impl Stream<Item = Result<u64, ZigError>>) -> u64 {
    block_on(async {
        let mut stream = pin!(stream);
        let mut sum = 0_u64;
        while let Some(item) = stream.next().await {
            sum = sum.wrapping_add(black_box(item.expect("an item")));
        }
        black_box(sum);
    });
    ITEMS
}

pub fn sum_by_slice(mut stream: ZigStream<u64>) -> u64 {
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
pub extern "C" fn next_item(state: &mut u64, out: &mut u64) -> i32 {
    if *state == ITEMS {
        return 2;
    }
    *out = *state;
    *state += 1;
    0
}

pub fn sum_by_call() -> u64 {
    let next: extern "C" fn(&mut u64, &mut u64) -> i32 = black_box(next_item);
    let (mut state, mut item, mut sum) = (0, 0, 0_u64);
    while next(&mut state, &mut item) == 0 {
        sum = sum.wrapping_add(black_box(item));
    }
    black_box(sum);
    ITEMS
}
