//! The buffer pool as the other side uses it.

use std::ffi::c_void;
use std::ptr;

use ziggurat_core::{Buffer, BufferPool, RawBuffer};

use crate::abi::{ERROR, PENDING, PoolHandle, PoolVTable, READY, WakerHandle};
use crate::testing::Task;
use crate::{HostPool, HostWaker};

/// One who takes blocks: a ticket, and the functions.
struct Taker {
    pool: *const PoolHandle,
    ticket: *mut c_void,
}

impl Taker {
    fn new(host: &HostPool) -> Self {
        let pool = host.as_raw();
        // SAFETY: the host is alive; the reference is given back by `drop`.
        unsafe { (*(*pool).vtable).retain.unwrap()(pool) };
        Taker { pool, ticket: ptr::null_mut() }
    }

    fn table(&self) -> &PoolVTable {
        // SAFETY: our reference keeps the pool alive.
        unsafe { &*(*self.pool).vtable }
    }

    fn acquire(&mut self, waker: *const WakerHandle) -> (i32, Option<Buffer>) {
        let mut out = RawBuffer::EMPTY;
        let acquire = self.table().acquire.unwrap();
        // SAFETY: everything is alive and writable, and the ticket is ours alone.
        let status = unsafe { acquire(self.pool, waker, &raw mut self.ticket, &raw mut out) };
        // SAFETY: with `READY` the block in `out` is ours.
        let block = (status == READY).then(|| unsafe { Buffer::from_raw(out) }.unwrap());
        (status, block)
    }

    fn share(&self, buffer: &RawBuffer) {
        // SAFETY: not yet released.
        unsafe { self.table().share.unwrap()(buffer) }
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        // SAFETY: the ticket is ours, as is one reference.
        unsafe {
            self.table().drop_ticket.unwrap()(self.ticket);
            (self.table().release.unwrap())(self.pool);
        }
    }
}

fn host(blocks: usize) -> HostPool {
    HostPool::new(BufferPool::builder(64).blocks(blocks).build().unwrap())
}

fn registered(task: &std::sync::Arc<Task>) -> HostWaker {
    let mut waker = HostWaker::new();
    waker.register(&mut std::task::Context::from_waker(&task.waker()));
    waker
}

#[test]
fn a_taker_waits_for_a_block_and_is_woken() {
    let (host, task) = (host(1), Task::new());
    let waker = registered(&task);
    let mut taker = Taker::new(&host);
    // SAFETY: the pool's handle is alive.
    assert_eq!(unsafe { (*taker.pool).block_size }, 64);
    let (status, first) = taker.acquire(waker.handle());
    assert_eq!((status, first.as_ref().map(|b| b.alignment())), (READY, Some(64)));
    assert_eq!(taker.acquire(waker.handle()).0, PENDING);
    assert_eq!(taker.acquire(waker.handle()).0, PENDING);
    assert_eq!(task.wakes(), 0);
    drop(first);
    assert_eq!(task.wakes(), 1);
    let (status, second) = taker.acquire(waker.handle());
    assert_eq!(status, READY);
    drop((taker, host, second));
    assert_eq!(waker.references(), 1, "the pool keeps no waker");
}

#[test]
fn a_ticket_is_used_again_and_again() {
    let (host, task) = (host(1), Task::new());
    let waker = registered(&task);
    let mut taker = Taker::new(&host);
    let mut block = taker.acquire(waker.handle()).1;
    let mut tickets = Vec::new();
    for _ in 0..3 {
        assert!(block.is_some());
        assert_eq!(taker.acquire(waker.handle()).0, PENDING);
        tickets.push(taker.ticket);
        drop(block.take());
        block = taker.acquire(waker.handle()).1;
    }
    assert!(tickets.iter().all(|&ticket| ticket == tickets[0] && !ticket.is_null()));
    drop((taker, block));
    assert_eq!(waker.references(), 1);
}

#[test]
fn a_taker_that_gives_up_leaves_nothing_behind() {
    let (host, task) = (host(1), Task::new());
    let waker = registered(&task);
    let mut holder = Taker::new(&host);
    let block = holder.acquire(waker.handle()).1;
    let mut gone = Taker::new(&host);
    assert_eq!(gone.acquire(waker.handle()).0, PENDING);
    drop(gone);
    assert_eq!(waker.references(), 1);
    drop(block);
    assert_eq!(task.wakes(), 0);
    assert!(host.pool().try_acquire().is_some());
}

#[test]
fn blocks_outlive_the_pool_and_its_takers() {
    let host = host(2);
    let waker = registered(&Task::new());
    let mut taker = Taker::new(&host);
    drop(host);
    let block = taker.acquire(waker.handle()).1;
    drop(taker);
    drop(block);
}

#[test]
fn without_a_waker_it_only_asks() {
    let (host, task) = (host(1), Task::new());
    let waker = registered(&task);
    let mut taker = Taker::new(&host);
    let (status, block) = taker.acquire(ptr::null());
    assert_eq!(status, READY, "no waker is needed where there is no wait");
    assert_eq!(taker.acquire(ptr::null()).0, PENDING);
    assert!(taker.ticket.is_null(), "nobody waits");
    let toothless = WakerHandle { vtable: ptr::null() };
    assert_eq!(taker.acquire(&raw const toothless).0, ERROR);
    assert_eq!(taker.acquire(waker.handle()).0, PENDING);
    drop(block);
    assert_eq!(taker.acquire(waker.handle()).0, READY);
}

#[test]
fn a_shared_block_returns_with_its_last_owner() {
    let host = host(1);
    let waker = registered(&Task::new());
    let mut taker = Taker::new(&host);
    let raw = taker.acquire(waker.handle()).1.unwrap().into_raw();
    taker.share(&raw);
    // SAFETY: two owners, two buffers.
    let owners = unsafe { [Buffer::from_raw(raw).unwrap(), Buffer::from_raw(raw).unwrap()] };
    let [first, second] = owners;
    drop(first);
    assert!(host.pool().try_acquire().is_none());
    drop(second);
    assert!(host.pool().try_acquire().is_some());
    // A buffer of anybody else's is left alone.
    taker.share(&RawBuffer::EMPTY);
}
