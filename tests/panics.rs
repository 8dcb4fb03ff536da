//! A Zig panic says what and where, and aborts the process.
#![cfg(unix)]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use futures::StreamExt;
use futures::executor::block_on;

/// Runs the one below in a process of its own.
#[test]
fn a_panic_names_the_function_and_aborts() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_victim", "--include-ignored", "--nocapture"])
        .env("ZIGGURAT_PANIC", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(6), "{text}");
    assert!(text.contains("panic in the Zig function `panics`"), "{text}");
    assert!(text.contains("index out of bounds: index 3, len 3"), "{text}");
}

#[test]
#[ignore = "run by the test above"]
fn the_victim() {
    if std::env::var_os("ZIGGURAT_PANIC").is_none() {
        return;
    }
    let mut stream = ziggurat_tests_zig::panics(3).open().unwrap();
    let _ = block_on(stream.next());
    unreachable!("the process has aborted");
}
