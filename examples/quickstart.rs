//! Streams a file through two Zig stages on the runtime of your choice.
//!
//! Zig reads the file in chunks; a second Zig stage counts the lines of what it is sent; Rust hashes
//! the bytes. No stage copies the payload. Without a file it makes one of 256 MiB.
//!
//! ```text
//! cargo run --release --example quickstart -- [FILE] [--runtime tokio|smol|async-std|block-on]
//! ```

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use futures::{SinkExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sha2::{Digest, Sha256};
use ziggurat::ZigError;
use ziggurat_examples_zig::{chunks, count_lines};

/// Stream a file through two Zig stages: lines, bytes, SHA-256 and throughput.
#[derive(Parser)]
struct Options {
    /// The file; a generated text of 256 MiB if none is given.
    file: Option<PathBuf>,
    /// What polls the streams.
    #[arg(long, value_enum, default_value_t = Runtime::BlockOn)]
    runtime: Runtime,
}

#[derive(Clone, Copy, ValueEnum)]
enum Runtime {
    Tokio,
    Smol,
    AsyncStd,
    BlockOn,
}

struct Report {
    lines: u64,
    bytes: u64,
    sha256: String,
}

async fn run(path: &Path, progress: &ProgressBar) -> anyhow::Result<Report> {
    let mut chunks = chunks(path).open()?;
    let mut counter = count_lines().open()?;
    let mut sha256 = Sha256::new();
    let mut bytes = 0;
    while let Some(chunk) = chunks.try_next().await? {
        counter.feed(chunk.clone()).await?;
        sha256.update(&chunk);
        bytes += chunk.len() as u64;
        progress.set_position(bytes);
    }
    let lines = counter.close().await?;
    Ok(Report { lines, bytes, sha256: format!("{:x}", sha256.finalize()) })
}

impl Runtime {
    fn block_on<F: Future>(self, future: F) -> io::Result<F::Output> {
        Ok(match self {
            Runtime::Tokio => tokio::runtime::Runtime::new()?.block_on(future),
            Runtime::Smol => smol::block_on(future),
            Runtime::AsyncStd => async_std::task::block_on(future),
            Runtime::BlockOn => futures::executor::block_on(future),
        })
    }
}

/// Lines of all lengths, the same every time.
fn generate(path: &Path, size: u64) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut state) = (0, 0x2545_f491_4f6c_dd1d_u64);
    while written < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let line = format!("{state:020} {:.*}\n", (state % 80) as usize, "-".repeat(80));
        let line = &line[..line.len().min((size - written) as usize)];
        file.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    file.flush()
}

fn progress_bar(path: &Path) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let size = path.metadata().map_or(0, |m| m.len());
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec}");
    ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr_with_hz(10))
        .with_style(style.expect("a valid template"))
}

fn main_with(options: &Options) -> anyhow::Result<()> {
    let generated = tempfile::tempdir()?;
    let path = match &options.file {
        Some(path) => path.clone(),
        None => {
            let path = generated.path().join("generated.txt");
            generate(&path, 256 * 1024 * 1024)?;
            path
        }
    };
    let progress = progress_bar(&path);
    let start = Instant::now();
    let report = options.runtime.block_on(run(&path, &progress))??;
    let seconds = start.elapsed().as_secs_f64();
    progress.finish_and_clear();
    println!(
        "lines={} bytes={} sha256={} seconds={seconds:.3} GB/s={:.2}",
        report.lines,
        report.bytes,
        report.sha256,
        report.bytes as f64 / seconds / 1e9,
    );
    Ok(())
}

fn main() -> ExitCode {
    match main_with(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A Zig error says its name and, as its message, the path.
            match error.downcast_ref::<ZigError>() {
                Some(error) => eprintln!("quickstart: {error}"),
                None => eprintln!("quickstart: {error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}
