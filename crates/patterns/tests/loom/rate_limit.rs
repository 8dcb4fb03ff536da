//! Model checks of the rate limit's word and queue.

use std::future::poll_fn;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Poll, Waker};

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ziggurat_patterns::model::{Bucket, Turn};
use ziggurat_patterns::rate_limit::Quota;

use super::model;

/// A second for a cell, and one cell at once.
fn bucket() -> Arc<Bucket> {
    Arc::new(Bucket::new(Quota::per_second(NonZeroU32::MIN)))
}

const CELL: u64 = 1_000_000_000;

/// Waits for a cell while time stands still: there is one only when somebody gives one back.
fn wait_for_cell(bucket: &Bucket) {
    wait_for_cells(bucket, CELL);
}

fn wait_for_cells(bucket: &Bucket, cost: u64) {
    let mut ticket = None;
    block_on(poll_fn(|cx| {
        if ticket.is_none() && bucket.try_take(cost, 0).is_ok() {
            return Poll::Ready(());
        }
        match bucket.poll_turn(&mut ticket, cost, 0, cx.waker()) {
            Turn::Taken => Poll::Ready(()),
            Turn::Wait(_) | Turn::Behind => Poll::Pending,
        }
    }));
}

#[test]
fn rate_limit_models() {
    model("a cell is given back while two wait for it", 2, || {
        let bucket = bucket();
        bucket.try_take(CELL, 0).unwrap();
        let inside = Arc::new(AtomicUsize::new(0));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let (bucket, inside) = (bucket.clone(), inside.clone());
                thread::spawn(move || {
                    wait_for_cell(&bucket);
                    // One cell, so never two of them.
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    bucket.give_back(CELL, 0, 0);
                })
            })
            .collect();
        bucket.give_back(CELL, 0, 0);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        bucket.try_take(CELL, 0).unwrap();
    });
    model("two cells are given back at once to two who wait", 2, || {
        let two = NonZeroU32::new(2).unwrap();
        let bucket = Arc::new(Bucket::new(Quota::per_second(two)));
        bucket.try_take(CELL, 0).unwrap();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let bucket = bucket.clone();
                thread::spawn(move || wait_for_cells(&bucket, CELL / 2))
            })
            .collect();
        bucket.give_back(CELL, 0, 0);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
    model("the head is dropped while a cell comes", 2, || {
        let bucket = bucket();
        bucket.try_take(CELL, 0).unwrap();
        let mut head = None;
        let turn = bucket.poll_turn(&mut head, CELL, 0, Waker::noop());
        assert!(matches!(turn, Turn::Wait(_)));
        let waiter = thread::spawn({
            let bucket = bucket.clone();
            move || wait_for_cell(&bucket)
        });
        let giver = thread::spawn({
            let bucket = bucket.clone();
            move || bucket.give_back(CELL, 0, 0)
        });
        bucket.leave(head.unwrap());
        waiter.join().unwrap();
        giver.join().unwrap();
    });
}
