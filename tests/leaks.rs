//! Streams that come and go leave nothing behind: no thread, no descriptor, no memory.
//!
//! One test, because it counts what belongs to the whole process.
#![cfg(target_os = "linux")]

mod support;

use futures::executor::block_on;
use futures::{FutureExt, SinkExt, StreamExt};
use support::{descriptors, resident_kib, threads, wait_for};
use ziggurat::channel::bounded;
use ziggurat_tests_zig as zig;

/// Runs `work` with warm caches, and checks that the process is afterwards as it was before.
fn leaves_nothing(what: &str, allowed_kib: u64, warm_up: u64, times: u64, work: impl Fn(u64)) {
    (0..warm_up).for_each(&work);
    wait_for("threads have ended", || (threads() == 1 + harness_threads()).then_some(()));
    let (fds, memory) = (descriptors(), resident_kib());
    (0..times).for_each(&work);
    wait_for("threads have ended", || (threads() == 1 + harness_threads()).then_some(()));
    assert_eq!(descriptors(), fds, "{what}: descriptors");
    let grown = resident_kib().saturating_sub(memory);
    assert!(grown <= allowed_kib, "{what}: {grown} KiB more after {times} runs");
    println!("{what}: {times} runs, {grown} KiB more");
}

/// The test harness runs the test on a thread beside the main one.
fn harness_threads() -> usize {
    1
}

#[test]
fn streams_that_come_and_go_leave_nothing() {
    // Less than a byte per stream: growth of a leak would be hundreds of bytes each.
    leaves_nothing("state machines", 900, 1000, 1_000_000, |i| {
        let mut stream = zig::machine(4, 100).batch(2).open().unwrap();
        if i % 2 == 0 {
            assert_eq!(block_on(stream.next()).unwrap().unwrap(), 0);
        }
    });
    let turns = if cfg!(debug_assertions) { 4_000 } else { 20_000 };
    leaves_nothing("functions run to their end", 1000, 200, turns, |_| {
        let stream = zig::numbers(3, 101).open().unwrap();
        assert_eq!(block_on(stream.count()), 3);
    });
    leaves_nothing("functions on threads, run to their end", 1000, 200, turns, |_| {
        let stream = zig::numbers(3, 101).on_thread().open().unwrap();
        assert_eq!(block_on(stream.count()), 3);
    });
    leaves_nothing(
        "functions on threads, dropped in `send` or a sleep",
        1000,
        200,
        turns / 4,
        |i| {
            if i % 2 == 0 {
                let mut stream =
                    zig::numbers(u64::MAX, 102).capacity(2).batch(1).on_thread().open().unwrap();
                assert_eq!(block_on(stream.next()).unwrap().unwrap(), 0);
            } else {
                let mut stream = zig::sleeper(103).on_thread().open().unwrap();
                assert_eq!(block_on(stream.next()).unwrap().unwrap(), 1);
            }
        },
    );
    leaves_nothing("functions dropped in `send`", 1000, 200, turns, |_| {
        let mut stream = zig::numbers(u64::MAX, 102).capacity(2).batch(1).open().unwrap();
        assert_eq!(block_on(stream.next()).unwrap().unwrap(), 0);
    });
    leaves_nothing("functions dropped in a sleep", 1000, 200, turns / 4, |_| {
        let mut stream = zig::sleeper(103).open().unwrap();
        assert_eq!(block_on(stream.next()).unwrap().unwrap(), 1);
    });
    leaves_nothing("byte streams dropped half-way", 1000, 100, turns / 4, |_| {
        let mut stream = zig::pattern(100, 4096).block_size(4096).open().unwrap();
        assert_eq!(block_on(stream.next()).unwrap().unwrap().len(), 4096);
    });
    leaves_nothing("channels to Zig, whose ends are dropped half-way", 1000, 100, turns / 4, |i| {
        let (s, r) = bounded(2);
        let mut sum = zig::channels::sum_of(r, 1 + i % 2).open().unwrap();
        let mut closing = Box::pin(sum.close());
        for _ in 0..i % 5 {
            assert!(closing.as_mut().now_or_never().is_none());
            s.try_send(1).unwrap();
        }
        drop(closing);
        // One or the other first, or both are done.
        match i % 3 {
            0 => drop((sum, s)),
            1 => drop((s, sum)),
            _ => {
                drop(s);
                assert_eq!(block_on(sum.close()).unwrap().count, i % 5);
            }
        }
    });
    leaves_nothing(
        "channels from Zig, whose ends are dropped half-way",
        1000,
        100,
        turns / 4,
        |i| {
            let (s, r) = bounded(2);
            let mut buffers = zig::channels::make_buffers(s, 10, 1000).open().unwrap();
            let mut closing = Box::pin(buffers.close());
            for _ in 0..i % 5 {
                assert!(closing.as_mut().now_or_never().is_none());
                drop(r.try_recv());
            }
            drop(closing);
            if i % 2 == 0 { drop((r, buffers)) } else { drop((buffers, r)) }
        },
    );
    leaves_nothing("sinks closed and sinks dropped", 1000, 100, turns / 4, |i| {
        let mut sink = zig::sum(104).open().unwrap();
        block_on(sink.send(i)).unwrap();
        if i % 2 == 0 {
            assert_eq!(block_on(sink.close()).unwrap(), i);
        }
    });
}

/// As above, for as many coroutines as there are state machines there. Minutes.
#[test]
#[ignore = "takes minutes; part of the deep checks"]
fn a_million_functions_leave_nothing() {
    leaves_nothing("functions run to their end", 4000, 1000, 1_000_000, |_| {
        let stream = zig::numbers(3, 105).open().unwrap();
        assert_eq!(block_on(stream.count()), 3);
    });
    leaves_nothing("functions dropped in `send`, or before they run", 4000, 1000, 1_000_000, |i| {
        let mut stream = zig::numbers(u64::MAX, 105).capacity(2).batch(1).open().unwrap();
        if i % 4 != 0 {
            assert_eq!(block_on(stream.next()).unwrap().unwrap(), 0);
        }
    });
    leaves_nothing("functions dropped in a sleep", 4000, 1000, 1_000_000, |_| {
        let mut stream = zig::sleeper(106).open().unwrap();
        assert_eq!(block_on(stream.next()).unwrap().unwrap(), 1);
    });
}
