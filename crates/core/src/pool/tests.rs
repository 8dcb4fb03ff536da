//! The pool: its blocks, its limits, and who waits.

use std::num::NonZeroUsize;

use bytes::Bytes;
use futures::FutureExt;
use futures::executor::block_on;
use futures::future::join;

use super::*;
use crate::Buffer;

fn pool(blocks: usize) -> BufferPool {
    BufferPool::builder(128).blocks(blocks).build().unwrap()
}

#[test]
fn hands_out_aligned_distinct_blocks_and_no_more_than_it_has() {
    let pool = BufferPool::builder(100).blocks(5).align(256).build().unwrap();
    let mut blocks: Vec<_> = (0..5).map(|_| pool.try_acquire().unwrap()).collect();
    assert!(pool.try_acquire().is_none());
    for (i, block) in blocks.iter_mut().enumerate() {
        assert_eq!((block.capacity(), block.len()), (100, 0));
        assert_eq!(block.put_slice(&[i as u8; 300]), 100);
    }
    let mut starts: Vec<_> = blocks.iter().map(|b| b.as_ptr().addr()).collect();
    starts.sort_unstable();
    assert!(starts.iter().all(|a| a % 256 == 0));
    assert!(starts.windows(2).all(|w| w[1] - w[0] >= 100));
    assert!(blocks.iter().enumerate().all(|(i, b)| b.iter().all(|&x| x == i as u8)));
    drop(blocks.pop());
    assert!(pool.try_acquire().is_some());
}

#[test]
fn a_block_returns_with_the_last_bytes_over_it() {
    let pool = pool(1);
    let mut block = pool.try_acquire().unwrap();
    block.put_slice(b"hello world");
    let bytes = Bytes::from(block.freeze());
    let tail = bytes.slice(6..);
    drop(bytes);
    assert!(pool.try_acquire().is_none());
    assert_eq!(&tail[..], b"world");
    drop(tail);
    assert!(pool.try_acquire().is_some());
}

#[test]
fn shared_parts_of_a_block_return_it_together() {
    let pool = pool(1);
    let mut block = pool.try_acquire().unwrap();
    block.put_slice(b"onetwo");
    let raw = block.into_raw();
    // SAFETY: not released yet.
    assert!(unsafe { BufferPool::share(&raw) });
    let part = |at: usize| {
        // SAFETY: two owners were counted, and each releases once; the parts are initialised.
        unsafe {
            Buffer::from_raw(RawBuffer { ptr: raw.ptr.add(at), len: 3, cap: 3, align: 1, ..raw })
        }
    };
    let (one, two) = (part(0).unwrap(), part(3).unwrap());
    assert_eq!((&*one, &*two), (&b"one"[..], &b"two"[..]));
    drop(one);
    assert!(pool.try_acquire().is_none());
    drop(two);
    assert!(pool.try_acquire().is_some());
    // SAFETY: not of a pool at all.
    assert!(!unsafe { BufferPool::share(&RawBuffer::EMPTY) });
}

#[test]
fn blocks_outlive_the_pool() {
    let (first, second) = {
        let pool = pool(3);
        let _home_before_the_pool_goes = pool.try_acquire().unwrap();
        (pool.try_acquire().unwrap(), pool.try_acquire().unwrap())
    };
    assert_eq!(first.capacity(), 128);
    std::thread::spawn(move || drop(first)).join().unwrap();
    drop(second);
}

#[test]
fn exhaustion_waits_and_a_dropped_waiter_loses_nothing() {
    let pool = pool(1);
    let block = pool.try_acquire().unwrap();
    let (mut first, mut second) = (pool.acquire(), pool.acquire());
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    let (_, got) = block_on(join(async { drop(block) }, second));
    assert_eq!(got.capacity(), 128);
}

#[test]
fn threads_share_few_blocks() {
    let pool = pool(2);
    let work = |seed: u8| {
        let pool = pool.clone();
        move || {
            for i in 0..2_000_u32 {
                let mut block = block_on(pool.acquire());
                let mark = seed ^ i as u8;
                block.put_slice(&[mark; 128]);
                let bytes = Bytes::from(block.freeze());
                assert!(bytes.iter().all(|&b| b == mark));
            }
        }
    };
    let threads: Vec<_> = (0..4).map(|i| std::thread::spawn(work(i * 64))).collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(pool.blocks(), 2);
}

#[test]
fn grows_by_doubling_up_to_its_limit() {
    let limit = NonZeroUsize::new(11).unwrap();
    let pool = BufferPool::builder(8).blocks(3).growth(Growth::UpTo(limit)).build().unwrap();
    let mut blocks: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
    assert_eq!((blocks.len(), pool.blocks()), (11, 11));
    blocks.iter_mut().for_each(|b| assert_eq!(b.put_slice(&[1; 9]), 8));
    let mut starts: Vec<_> = blocks.iter().map(|b| b.as_ptr().addr()).collect();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 11);
    drop(blocks);
    assert_eq!(std::iter::from_fn(|| pool.try_acquire()).take(11).count(), 11);

    let pool = BufferPool::builder(8).blocks(1).growth(Growth::Unbounded).build().unwrap();
    let blocks: Vec<_> = (0..1000).map(|_| pool.try_acquire().unwrap()).collect();
    assert_eq!(blocks.len(), 1000);
    assert_eq!(pool.blocks(), 1024);
}

#[test]
fn impossible_configurations_are_typed_errors() {
    let limit = NonZeroUsize::new(1).unwrap();
    let b = BufferPool::builder;
    assert_eq!(b(0).build().unwrap_err(), PoolError::ZeroBlockSize);
    assert_eq!(b(8).blocks(0).build().unwrap_err(), PoolError::ZeroBlocks);
    assert_eq!(b(8).align(3).build().unwrap_err(), PoolError::Align { align: 3 });
    assert_eq!(
        b(8).blocks(2).growth(Growth::UpTo(limit)).build().unwrap_err(),
        PoolError::LimitBelowBlocks { blocks: 2, limit: 1 }
    );
    assert_eq!(
        b(usize::MAX / 4).blocks(8).build().unwrap_err(),
        PoolError::TooLarge { blocks: 8, block_size: usize::MAX / 4 }
    );
}
