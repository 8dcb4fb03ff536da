//! Ending a Zig function from Rust: by dropping its stream, and by asking.
//!
//! ```text
//! cargo run --release --example cancellation
//! ```
//!
//! `heartbeat` sends a number and sleeps, for ever. Its `defer` writes a file.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::executor::block_on;
use futures::{StreamExt, TryStreamExt};
use ziggurat::ZigError;
use ziggurat_examples_zig::heartbeat;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// Dropping does not wait for the function; it ends soon after.
fn wait_for(path: &Path) -> anyhow::Result<Duration> {
    let start = Instant::now();
    while !fs::read_to_string(path).is_ok_and(|text| text == "bye\n") {
        ensure!(start.elapsed() < Duration::from_secs(10), "no goodbye");
        thread::sleep(Duration::from_millis(1));
    }
    Ok(start.elapsed())
}

/// The function is about to sleep for an hour. The drop interrupts that, and its `defer` runs.
fn by_dropping(goodbye: &Path) -> anyhow::Result<()> {
    let mut beats = heartbeat(HOUR_MS, goodbye).open()?;
    let first = block_on(beats.try_next())?;
    assert_eq!(first, Some(0));
    assert!(!goodbye.exists());
    drop(beats);
    let waited = wait_for(goodbye)?;
    println!("by dropping: `defer` ran within {} ms", waited.as_millis().max(1));
    Ok(())
}

/// A combinator that is done with the stream drops it, too.
fn by_taking_enough(goodbye: &Path) -> anyhow::Result<()> {
    let beats = heartbeat(1, goodbye).open()?;
    let three: Vec<u64> = block_on(beats.take(3).try_collect())?;
    assert_eq!(three, [0, 1, 2]);
    wait_for(goodbye)?;
    println!("by taking enough: {three:?}");
    Ok(())
}

/// `cancel` asks for the same and waits until the function has ended.
fn by_waiting(goodbye: &Path) -> anyhow::Result<()> {
    let mut beats = heartbeat(HOUR_MS, goodbye).open()?;
    block_on(async {
        assert_eq!(beats.try_next().await?, Some(0));
        assert_eq!(beats.cancel().await, Err(ZigError::Canceled));
        assert_eq!(fs::read_to_string(goodbye)?, "bye\n");
        println!("by waiting: `defer` has run");
        Ok(())
    })
}

/// `request_cancel` keeps the stream: it delivers what is under way, then says that
/// it was cancelled, then nothing more. By then the function has ended.
fn by_asking(goodbye: &Path) -> anyhow::Result<()> {
    let mut beats = heartbeat(HOUR_MS, goodbye).open()?;
    block_on(async {
        assert_eq!(beats.try_next().await?, Some(0));
        beats.request_cancel();
        beats.request_cancel(); // Once more changes nothing.
        assert_eq!(beats.next().await, Some(Err(ZigError::Canceled)));
        assert_eq!(beats.next().await, None);
        assert_eq!(fs::read_to_string(goodbye)?, "bye\n");
        println!("by asking: {}", ZigError::Canceled);
        Ok(())
    })
}

/// A stream that was never polled has started nothing.
fn before_the_start(goodbye: &Path) -> anyhow::Result<()> {
    drop(heartbeat(1, goodbye).open()?);
    assert!(!goodbye.exists());
    println!("before the start: nothing ran");
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    by_dropping(&path("dropped"))?;
    by_taking_enough(&path("taken"))?;
    by_waiting(&path("waited"))?;
    by_asking(&path("asked"))?;
    before_the_start(&path("unstarted"))
}
