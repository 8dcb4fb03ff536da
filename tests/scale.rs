//! Many coroutines at once, and more than the system has room for.
#![cfg(target_os = "linux")]

mod support;

use std::io;
use std::process::Command;

use futures::executor::block_on;
use futures::stream::select_all;
use futures::{FutureExt, StreamExt, TryStreamExt};
use support::resident_kib;
use ziggurat::ZigError;
use ziggurat::core::time::TestClock;
use ziggurat::stream::host::{DefaultHost, HostRef};
use ziggurat_tests_zig as zig;

/// Runs `count` coroutines at once, each of which sleeps and delivers in turn, in virtual time. Returns
/// how much memory they have while all are there, in KiB.
fn run_at_once(count: u64) -> u64 {
    const ROUNDS: u64 = 3;
    let clock = TestClock::new();
    let host = HostRef::new(DefaultHost::with_timer(clock.clone()));
    let before = resident_kib();
    let open = |i| zig::naps(i * ROUNDS, ROUNDS).host(host.clone()).batch(1).open().unwrap();
    let mut all = select_all((0..count).map(open));
    let (mut items, mut sum, mut resident) = (0, 0, 0);
    clock.block_on(async {
        while let Some(number) = all.try_next().await.unwrap() {
            items += 1;
            sum += number;
            if items == count {
                // None has ended, and most have run.
                assert_eq!(all.len() as u64, count);
                resident = resident_kib() - before;
            }
        }
    });
    let total = count * ROUNDS;
    assert_eq!((items, sum), (total, total * (total - 1) / 2));
    println!("{count} coroutines: {resident} KiB, {:.1} KiB each", resident as f64 / count as f64);
    resident
}

#[test]
fn ten_thousand_run_at_once() {
    run_at_once(10_000);
}

/// Seconds, and some 600 MiB.
#[test]
#[ignore = "takes much memory; part of the deep checks"]
fn a_hundred_thousand_run_at_once() {
    let resident = run_at_once(100_000);
    assert!(resident <= 1 << 20, "{resident} KiB");
}

/// What a coroutine says that gets no stack.
fn expect_no_stack(error: ZigError) {
    let ZigError::Failed(failure) = &error else { panic!("{error}") };
    assert!(failure.is_runtime());
    assert_eq!(failure.name(), "StackUnavailable");
    assert_eq!(failure.message(), Some("the system has no stack for `naps`"));
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::OutOfMemory);
}

/// In a process of its own, whose address space is limited.
#[test]
fn where_there_is_no_room_for_more_one_more_is_an_error_and_the_others_go_on() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim_of_a_limit", "--include-ignored", "--nocapture"])
        .env("ZIGGURAT_LIMIT", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("reached the limit"), "{output:?}");
}

#[test]
#[ignore = "run by the test above"]
fn victim_of_a_limit() {
    if std::env::var_os("ZIGGURAT_LIMIT").is_none() {
        return;
    }
    // What the runtime starts once is there before.
    let start = || zig::naps(5, 2).stack_size(16 << 20).open().unwrap();
    assert_eq!(block_on(start().count()), 2);
    let used = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = used.split(' ').next().unwrap().parse().unwrap();
    let limit = pages * 4096 + (200 << 20);
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: a limit of this process, which is this test's own.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);

    for _ in 0..3 {
        let mut streams = Vec::new();
        let error = loop {
            let mut stream = start();
            match stream.next().now_or_never() {
                // It sleeps, or has slept already.
                None | Some(Some(Ok(5))) => streams.push(stream),
                Some(Some(Err(error))) => break error,
                other => panic!("{other:?}"),
            }
        };
        expect_no_stack(error);
        println!("reached the limit with {} coroutines", streams.len());
        assert!((4..=13).contains(&streams.len()), "200 MiB for stacks of 16");
        // A function that would run beside its own does without a stack, or says so.
        for stream in streams {
            let left: Vec<_> = block_on(stream.try_collect()).unwrap();
            assert!(left == [5, 6] || left == [6]);
        }
    }
}
