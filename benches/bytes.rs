//! What a byte costs: streaming a cached file and counting its newlines.
//!
//! The limit: a `read` loop of the standard library on one thread, which copies each byte once, out of
//! the page cache. `BYTES_FILE` names another file than the generated one of 1 GiB.

mod support;

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use futures::executor::block_on;
use futures::{StreamExt, TryStreamExt};
use support::{Unit, case, compare};
use ziggurat::BufferPool;
use ziggurat_examples_zig::chunks;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

fn newlines(bytes: &[u8]) -> u64 {
    bytecount::count(bytes, b'\n') as u64
}

fn std_read(path: &Path, chunk: usize) -> u64 {
    let mut file = File::open(path).expect("it opens");
    let mut buffer = vec![0; chunk];
    let mut lines = 0;
    loop {
        match file.read(&mut buffer).expect("it reads") {
            0 => return lines,
            n => lines += newlines(&buffer[..n]),
        }
    }
}

fn zig_bytes(path: &Path, block: usize, on_thread: bool) -> u64 {
    block_on(async {
        let builder = chunks(path).block_size(block);
        let builder = if on_thread { builder.on_thread() } else { builder };
        let mut chunks = builder.open().expect("it opens");
        let mut lines = 0;
        while let Some(chunk) = chunks.try_next().await.expect("it reads") {
            lines += newlines(&chunk);
        }
        lines
    })
}

fn zig_buffers(path: &Path, block: usize) -> u64 {
    block_on(async {
        let mut chunks = chunks(path).block_size(block).open().expect("it opens").into_buffers();
        let mut lines = 0;
        while let Some(chunk) = chunks.try_next().await.expect("it reads") {
            lines += newlines(&chunk);
        }
        lines
    })
}

fn tokio_fs(runtime: &tokio::runtime::Runtime, path: &Path, chunk: usize) -> u64 {
    runtime.block_on(async {
        let file = tokio::fs::File::open(path).await.expect("it opens");
        let mut chunks = tokio_util::io::ReaderStream::with_capacity(file, chunk);
        let mut lines = 0;
        while let Some(chunk) = chunks.next().await {
            lines += newlines(&chunk.expect("it reads"));
        }
        lines
    })
}

fn wc(path: &Path) -> u64 {
    let output = Command::new("wc").arg("-l").arg(path).output().expect("wc runs");
    let text = String::from_utf8(output.stdout).expect("a number");
    text.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

/// Peak resident memory of this process, in KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn test_file(folder: &Path) -> PathBuf {
    if let Some(path) = std::env::var_os("BYTES_FILE") {
        return path.into();
    }
    let path = folder.join("bench.txt");
    let mut block = Vec::with_capacity(MIB);
    while block.len() < MIB {
        writeln!(block, "{:-<1$}", block.len(), 20 + block.len() % 60).expect("memory");
    }
    block.truncate(MIB);
    let mut file = File::create(&path).expect("a file");
    (0..1024).for_each(|_| file.write_all(&block).expect("space"));
    path
}

/// What a chunk costs whose consumer reads only its head: the price of owning it.
fn compare_chunks() {
    const CHUNKS: u64 = 2000;
    let pool = BufferPool::builder(64 * KIB).blocks(8).build().expect("a pool");
    warm_up(&pool);
    let payload = vec![7_u8; 64 * KIB];
    let head = |chunk: &[u8]| black_box(chunk[0]);
    compare(
        "chunks of 64 KiB of which the consumer reads the first byte",
        Unit::Nanoseconds,
        25,
        vec![
            case("a Vec copied from the producer's buffer", || {
                (0..CHUNKS).for_each(|_| {
                    head(&black_box(&payload).to_vec());
                });
                CHUNKS
            }),
            case("a pool's block as Bytes", || {
                (0..CHUNKS).for_each(|_| {
                    let mut block = pool.try_acquire().expect("a block");
                    // SAFETY: the block's bytes were written before, when the pool was warmed up.
                    unsafe { block.advance(64 * KIB) };
                    head(&Bytes::from(block.freeze()));
                });
                CHUNKS
            }),
            case("a pool's block as Buffer", || {
                (0..CHUNKS).for_each(|_| {
                    let mut block = pool.try_acquire().expect("a block");
                    // SAFETY: as above.
                    unsafe { block.advance(64 * KIB) };
                    head(&block.freeze());
                });
                CHUNKS
            }),
        ],
    );
}

/// Writes every block of a pool once.
fn warm_up(pool: &BufferPool) {
    let blocks: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
    blocks.into_iter().for_each(|mut block| {
        block.put_slice(&vec![7; 64 * KIB]);
    });
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let arguments: Vec<String> = std::env::args().collect();
    // A child process of the memory comparison: one run, then its peak memory.
    if let [_, mode, path] = &arguments[..] {
        let path = Path::new(path);
        match mode.as_str() {
            "std" => std_read(path, 64 * KIB),
            "zig" => zig_bytes(path, 64 * KIB, false),
            "thread" => zig_bytes(path, 64 * KIB, true),
            "tokio" => tokio_fs(&runtime, path, 64 * KIB),
            _ => return,
        };
        println!("{}", peak_memory());
        return;
    }

    let folder = tempfile::tempdir().expect("a folder");
    let path = test_file(folder.path());
    let path = path.as_path();
    let size = path.metadata().expect("its size").len();
    let expected = std_read(path, MIB);
    let checked = |lines: u64| {
        assert_eq!(lines, expected);
        size
    };
    compare(
        "newlines of a cached file",
        Unit::Throughput,
        9,
        vec![
            case("std read loop, 64 KiB", || checked(std_read(path, 64 * KIB))),
            case("std read loop, 1 MiB", || checked(std_read(path, MIB))),
            case("ZigByteStream, 64 KiB", || checked(zig_bytes(path, 64 * KIB, false))),
            case("ZigByteStream on a thread, 64 KiB", || checked(zig_bytes(path, 64 * KIB, true))),
            case("ZigByteStream as buffers, 64 KiB", || checked(zig_buffers(path, 64 * KIB))),
            case("ZigByteStream, 1 MiB", || checked(zig_bytes(path, MIB, false))),
            case("ZigByteStream on a thread, 1 MiB", || checked(zig_bytes(path, MIB, true))),
            case("tokio::fs + ReaderStream, 64 KiB", || {
                checked(tokio_fs(&runtime, path, 64 * KIB))
            }),
            case("tokio::fs + ReaderStream, 1 MiB", || checked(tokio_fs(&runtime, path, MIB))),
            case("wc -l", || checked(wc(path))),
        ],
    );

    compare_chunks();

    println!("\npeak memory of one run at 64 KiB");
    let this = std::env::current_exe().expect("this program");
    for mode in ["std", "zig", "thread", "tokio"] {
        let output = Command::new(&this).arg(mode).arg(path).output().expect("it runs");
        println!("  {mode:6} {:>8} KiB", String::from_utf8_lossy(&output.stdout).trim());
    }
}
