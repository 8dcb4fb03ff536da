//! A byte stream in its steady state allocates no payload, on either side.
//!
//! This program defines the C library's allocation functions itself and counts what passes through
//! them: Rust's allocator and Zig's both end there.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::executor::block_on;
use futures::{StreamExt, TryStreamExt};

static CALLS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

fn count(size: usize) {
    CALLS.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(size, Ordering::Relaxed);
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(old: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    count(size);
    // SAFETY: what `malloc` is.
    unsafe { __libc_malloc(size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(items: usize, size: usize) -> *mut c_void {
    count(items.saturating_mul(size));
    // SAFETY: what `calloc` is.
    unsafe { __libc_calloc(items, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
    count(size);
    // SAFETY: what `realloc` is.
    unsafe { __libc_realloc(old, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> i32 {
    count(size);
    // SAFETY: what `posix_memalign` is, but for its check of the alignment.
    unsafe { *out = __libc_memalign(align, size) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    count(size);
    // SAFETY: what `aligned_alloc` is.
    unsafe { __libc_memalign(align, size) }
}

const CHUNK: u64 = 64 * 1024;
const CHUNKS: usize = 10_000;

/// Allocations and bytes per chunk, once the stream is under way.
fn per_chunk(run: impl FnOnce(&dyn Fn())) -> (f64, f64) {
    let start = std::cell::Cell::new((0, 0));
    run(&|| start.set((CALLS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed))));
    let (calls, bytes) = start.get();
    let calls = CALLS.load(Ordering::Relaxed) - calls;
    let bytes = BYTES.load(Ordering::Relaxed) - bytes;
    (calls as f64 / CHUNKS as f64, bytes as f64 / CHUNKS as f64)
}

/// One test, because it counts what the whole process does.
#[test]
fn no_payload_is_allocated_per_chunk() {
    let open = || ziggurat_tests_zig::pattern(CHUNKS as u64 + 100, CHUNK).open().unwrap();

    let (calls, bytes) = per_chunk(|started| {
        let mut stream = open().into_buffers();
        block_on(async {
            for i in 0..CHUNKS + 100 {
                if i == 100 {
                    started();
                }
                assert_eq!(stream.try_next().await.unwrap().unwrap().len() as u64, CHUNK);
            }
        });
    });
    println!("as Buffer: {calls} allocations, {bytes} bytes per chunk of {CHUNK}");
    // A few small ones in all, when one side waits for the other for the first time.
    assert!(calls * CHUNKS as f64 <= 10.0 && bytes * CHUNKS as f64 <= 4096.0);

    let (calls, bytes) = per_chunk(|started| {
        let mut stream = open();
        block_on(async {
            for i in 0..CHUNKS + 100 {
                if i == 100 {
                    started();
                }
                assert_eq!(stream.next().await.unwrap().unwrap().len() as u64, CHUNK);
            }
        });
    });
    println!("as Bytes: {calls} allocations, {bytes} bytes per chunk of {CHUNK}");
    // `Bytes::from_owner`'s own small block.
    assert!(calls <= 1.01 && bytes <= 128.0);
}
