//! Items of a type of your own, from Zig: one by one, in batches, and through combinators.
//!
//! ```text
//! cargo run --release --example typed_stream
//! ```

use futures::TryStreamExt;
use futures::executor::block_on;
use futures::future;
use ziggurat::ZigError;
use ziggurat_examples_zig::{Sample, counter, sine};

/// A stream of `Result`s, as any other.
async fn one_by_one() -> anyhow::Result<()> {
    // Four samples of one period: 0, 1, 0, -1.
    let mut samples = sine(4, 4.0, 1.0).open()?;
    let mut values = Vec::new();
    while let Some(Sample { at_ns, value }) = samples.try_next().await? {
        assert_eq!(at_ns, values.len() as u64 * 250_000_000);
        values.push(value);
    }
    let expected = [0.0, 1.0, 0.0, -1.0];
    assert!(values.iter().zip(expected).all(|(v, e)| (v - e).abs() < 1e-9));
    println!("one by one: {values:.3?}");
    Ok(())
}

/// What crossed the border together, as a slice where it lies: no poll and no copy per item.
async fn in_batches() -> anyhow::Result<()> {
    let mut numbers = counter(1_000_000).batch(1024).open()?;
    let (mut sum, mut batches) = (0, 0);
    while let Some(batch) = numbers.next_batch().await {
        sum += batch?.iter().sum::<u64>();
        batches += 1;
    }
    assert_eq!(sum, 999_999 * 1_000_000 / 2);
    assert_eq!(batches, 1_000_000_u64.div_ceil(1024));
    println!("in batches: {sum} in {batches} batches");
    Ok(())
}

/// The combinators of the `futures` crate, on any executor.
async fn combinators() -> anyhow::Result<()> {
    let (sum, count) = sine(48_000, 48_000.0, 440.0)
        .open()?
        .map_ok(|sample| sample.value)
        .try_filter(|value| future::ready(*value > 0.0))
        .try_fold((0.0, 0), |(sum, count), value| future::ok((sum + value * value, count + 1)))
        .await?;
    // The root mean square of half a sine wave is 1/√2.
    let rms = (sum / f64::from(count)).sqrt();
    assert!((rms - std::f64::consts::FRAC_1_SQRT_2).abs() < 1e-3);
    println!("combinators: rms {rms:.4} of {count} positive samples");
    Ok(())
}

/// Those of tokio-stream, under tokio.
async fn tokio_combinators() -> anyhow::Result<()> {
    use tokio_stream::StreamExt;

    let even: Vec<u64> = counter(1_000)
        .open()?
        .filter(|number| number.as_ref().is_ok_and(|n| n % 2 == 0))
        .take(5)
        .collect::<Result<_, ZigError>>()
        .await?;
    assert_eq!(even, [0, 2, 4, 6, 8]);
    println!("tokio-stream: {even:?}");
    Ok(())
}

/// A Zig error ends the stream, with its name and what the function said about it.
async fn an_error() -> anyhow::Result<()> {
    use futures::StreamExt;

    let mut samples = sine(10, 0.0, 1.0).open()?;
    let error = samples.next().await.expect("an item").expect_err("0 Hz is no rate");
    assert_eq!(error.name(), Some("InvalidRate"));
    assert_eq!(error.to_string(), "a rate of 0 Hz: InvalidRate");
    assert!(samples.next().await.is_none());
    println!("an error: {error}");
    Ok(())
}

fn main() -> anyhow::Result<()> {
    block_on(async {
        one_by_one().await?;
        in_batches().await?;
        combinators().await?;
        an_error().await
    })?;
    tokio::runtime::Runtime::new()?.block_on(tokio_combinators())
}
