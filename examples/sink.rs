//! Zig functions that consume: what they return is what closing the sink yields.
//!
//! ```text
//! cargo run --release --example sink
//! ```

use std::fs;
use std::path::Path;

use futures::executor::block_on;
use futures::{SinkExt, StreamExt, stream};
use ziggurat::ZigError;
use ziggurat_examples_zig::{chunks, count_lines, first_at_least, mean, store};

/// Items are gathered and cross together; `close` hands over the rest and waits for the result.
async fn mean_of_numbers() -> anyhow::Result<()> {
    let mut mean = mean().open()?;
    for value in 1..=1000 {
        mean.feed(f64::from(value)).await?;
    }
    let result = mean.close().await?;
    assert_eq!(result, 500.5);
    println!("mean: {result}");
    Ok(())
}

/// Bytes from one Zig function to another: `forward` knows nothing of Zig, and nothing is copied.
async fn copy_a_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut store = store(to).open()?;
    chunks(from).open()?.forward(&mut store).await?;
    // `forward` has closed the sink; the result waits.
    let bytes = store.take_result().expect("a closed sink has a result");
    assert_eq!(fs::read(to)?, fs::read(from)?);
    println!("store: {bytes} bytes");

    let mut counter = count_lines().open()?;
    chunks(to).open()?.forward(&mut counter).await?;
    let lines = counter.take_result().expect("a closed sink has a result");
    assert_eq!(lines, 10_000);
    println!("count_lines: {lines} lines");
    Ok(())
}

/// A function may return before it has seen everything. Nothing is lost: what it did not take is
/// still in the sink.
async fn an_early_return() -> anyhow::Result<()> {
    let mut first = first_at_least(100.0).open()?;
    let mut squares = (0..).map(|n| f64::from(n * n));
    let refused = loop {
        let square = squares.next().expect("endless");
        if let Err(error) = first.send(square).await {
            break error;
        }
    };
    assert_eq!(refused, ZigError::Closed);
    let position = first.close().await?;
    assert_eq!(position, 10);
    println!("first_at_least: item {position}");
    Ok(())
}

/// An error that the function returns reaches the sender.
async fn an_error() -> anyhow::Result<()> {
    let mut first = first_at_least(1e9).open()?;
    first.send_all(&mut stream::iter([1.0, 2.0]).map(Ok)).await?;
    let error = first.close().await.expect_err("two is not enough");
    assert_eq!(error.name(), Some("NotFound"));
    println!("an error: {error}");
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (from, to) = (folder.path().join("from.txt"), folder.path().join("to.txt"));
    fs::write(&from, "the quick brown fox\n".repeat(10_000))?;
    block_on(async {
        mean_of_numbers().await?;
        copy_a_file(&from, &to).await?;
        an_early_return().await?;
        an_error().await
    })
}
