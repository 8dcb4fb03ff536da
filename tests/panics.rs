//! A Zig panic says what and where, and aborts the process.
#![cfg(unix)]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use futures::executor::block_on;
use futures::{StreamExt, stream};
use ziggurat::ThroughZigExt;
use ziggurat::stream::TransformBuilder;

/// Runs one of the victims below in a process of its own, and returns what it wrote before it aborted.
fn last_words(victim: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", victim, "--include-ignored", "--nocapture"])
        .env("ZIGGURAT_PANIC", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.signal(), Some(6), "{text}");
    text
}

fn is_meant() -> bool {
    std::env::var_os("ZIGGURAT_PANIC").is_some()
}

#[test]
fn a_panic_names_the_function_and_aborts() {
    for victim in ["victim_as_coroutine", "victim_on_thread"] {
        let text = last_words(victim);
        assert!(text.contains("panic in the Zig function `panics` (stream 0x"), "{text}");
        assert!(text.contains("index out of bounds: index 3, len 3"), "{text}");
    }
}

#[test]
#[ignore = "run by the test above"]
fn victim_as_coroutine() {
    if is_meant() {
        let mut stream = ziggurat_tests_zig::panics(3).open().unwrap();
        let _ = block_on(stream.next());
        unreachable!("the process has aborted");
    }
}

#[test]
#[ignore = "run by the test above"]
fn victim_on_thread() {
    if is_meant() {
        let mut stream = ziggurat_tests_zig::panics(3).on_thread().open().unwrap();
        let _ = block_on(stream.next());
        unreachable!("the process has aborted");
    }
}

#[test]
fn a_panic_of_a_transform_names_its_function_too() {
    for victim in ["victim_between", "victim_between_on_thread"] {
        let text = last_words(victim);
        assert!(text.contains("panic in the Zig function `fails_between` (transform 0x"), "{text}");
        assert!(text.contains("at 3"), "{text}");
    }
}

fn dies_between(builder: TransformBuilder<u64, u64>) {
    let transform = builder.open().unwrap();
    let _ = block_on(stream::iter(0..10).through_zig(transform).collect::<Vec<_>>());
    unreachable!("the process has aborted");
}

#[test]
#[ignore = "run by the test above"]
fn victim_between() {
    if is_meant() {
        dies_between(ziggurat_tests_zig::panics::safe::fails_between(3));
    }
}

#[test]
#[ignore = "run by the test above"]
fn victim_between_on_thread() {
    if is_meant() {
        dies_between(ziggurat_tests_zig::panics::safe::fails_between(3).on_thread());
    }
}

/// On the thread of a test, and on a worker of tokio.
#[test]
#[cfg(target_os = "linux")]
fn a_stack_overflow_names_the_function_and_aborts() {
    for victim in ["victim_of_depth", "victim_of_depth_on_tokio"] {
        let text = last_words(victim);
        assert!(
            text.contains("stack overflow in the Zig function `overflows` (stream 0x"),
            "{text}"
        );
    }
}

#[test]
#[ignore = "run by the test above"]
fn victim_of_depth() {
    if is_meant() {
        // What there is room for is no overflow.
        let mut stream = ziggurat_tests_zig::overflows(100).open().unwrap();
        assert!(block_on(stream.next()).unwrap().is_ok());
        let mut stream = ziggurat_tests_zig::overflows(1 << 40).open().unwrap();
        let _ = block_on(stream.next());
        unreachable!("the process has aborted");
    }
}

#[test]
#[ignore = "run by the test above"]
fn victim_of_depth_on_tokio() {
    if is_meant() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let mut stream = ziggurat_tests_zig::overflows(1 << 40).open().unwrap();
        let task = runtime.spawn(async move { stream.next().await });
        let _ = runtime.block_on(task);
        unreachable!("the process has aborted");
    }
}

/// A fault that is nobody's overflow is whose it was before.
#[test]
#[cfg(target_os = "linux")]
fn other_faults_are_passed_on() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim_of_a_fault", "--include-ignored", "--nocapture"])
        .env("ZIGGURAT_PANIC", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(11), "{text}");
    assert!(!text.contains("overflow"), "{text}");
}

#[test]
#[ignore = "run by the test above"]
fn victim_of_a_fault() {
    if is_meant() {
        let mut stream = ziggurat_tests_zig::overflows(1).open().unwrap();
        assert!(block_on(stream.next()).unwrap().is_ok());
        // SAFETY: it is not; the process is to end.
        unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() };
        unreachable!("the process has ended");
    }
}
