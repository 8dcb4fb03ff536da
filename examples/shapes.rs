//! The four shapes of a Zig function, as coroutines and on threads, on four runtimes.
//!
//! `lines` is a source, `gunzip` a transform, `store` a sink, `fetch` a future. Nothing in them knows
//! how they are run. What they come to is compared with what `wc`, `gunzip`, `sha256sum` and `curl`
//! say, as far as those are installed.
//!
//! ```text
//! cargo run --release --example shapes
//! ```

use std::fs;
use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::Context;
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use ziggurat::ThroughZigExt;
use ziggurat_examples_zig::{chunks, fetch, gunzip, lines, store};

/// What the functions are given.
#[derive(Clone)]
struct Input {
    folder: PathBuf,
    text: PathBuf,
    gzip: PathBuf,
    url: String,
}

/// What they come to.
#[derive(Debug, PartialEq, Eq)]
struct Output {
    lines: u64,
    unpacked_sha256: String,
    stored_sha256: String,
    stored_bytes: u64,
    fetched_sha256: String,
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// `.on_thread()` is all the difference between the two ways.
macro_rules! open {
    ($function:expr, $on_thread:expr) => {
        if $on_thread { $function.on_thread().open() } else { $function.open() }
    };
}

async fn all_four(input: Input, on_thread: bool) -> anyhow::Result<Output> {
    let lines = open!(lines(&input.text), on_thread)?;
    let lines = lines.try_fold(0, |n, _line: Bytes| async move { Ok(n + 1) }).await?;

    let packed = chunks(&input.gzip).open()?;
    let mut unpacked = packed.try_through_zig(open!(gunzip(), on_thread)?);
    let mut hash = Sha256::new();
    while let Some(bytes) = unpacked.try_next().await? {
        hash.update(&bytes);
    }

    let copy = input.folder.join("copy");
    let mut store = open!(store(&copy), on_thread)?;
    chunks(&input.text).open()?.forward(&mut store).await?;
    let stored_bytes = store.take_result().context("`forward` has closed the sink")?;

    let fetched = open!(fetch(&input.url), on_thread)?.await?;

    Ok(Output {
        lines,
        unpacked_sha256: format!("{:x}", hash.finalize()),
        stored_sha256: sha256(fs::read(&copy)?),
        stored_bytes,
        fetched_sha256: sha256(fetched),
    })
}

/// The first word that a shell's command says; nothing if one of its programs is missing.
fn shell(command: &str, argument: &Path) -> Option<String> {
    let output = Command::new("sh").args(["-c", command, "sh"]).arg(argument).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let word = said.split_whitespace().next()?.to_owned();
    output.status.success().then_some(word)
}

/// What the programs that do the same say, or, without them, Rust.
fn expected(input: &Input) -> anyhow::Result<Output> {
    let text = fs::read(&input.text)?;
    let or_rust = |program: &str, said: Option<String>, rust: String| {
        println!("{program}: {}", said.as_deref().unwrap_or("not installed"));
        said.unwrap_or(rust)
    };
    let newlines = text.iter().filter(|byte| **byte == b'\n').count();
    let lines = or_rust("wc -l", shell("wc -l <\"$1\"", &input.text), newlines.to_string());
    let unpacked = or_rust(
        "gunzip -c | sha256sum",
        shell("gunzip -t \"$1\" && gunzip -c \"$1\" | sha256sum", &input.gzip),
        sha256(&text),
    );
    let fetched = or_rust(
        "curl | sha256sum",
        shell(
            "curl --version >&2 && curl -sS --noproxy '*' \"$1\" | sha256sum",
            input.url.as_ref(),
        ),
        sha256(&text),
    );
    Ok(Output {
        lines: lines.parse()?,
        unpacked_sha256: unpacked,
        stored_sha256: sha256(&text),
        stored_bytes: text.len() as u64,
        fetched_sha256: fetched,
    })
}

/// Serves `body` for as long as the program runs.
fn serve(body: Vec<u8>) -> anyhow::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}/", listener.local_addr()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = Bytes::from(body);
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, Router::new().route("/", get(|| async { body }))).await
        })
    });
    Ok(url)
}

fn prepare(folder: &Path) -> anyhow::Result<Input> {
    let (text, gzip) = (folder.join("text"), folder.join("text.gz"));
    let lines: String = (0..200_000_u64).map(|i| format!("{i} {:x}\n", i * i * i)).collect();
    fs::write(&text, &lines)?;
    let packed = Command::new("gzip").arg("-c").arg(&text).output();
    match packed {
        Ok(packed) if packed.status.success() => fs::write(&gzip, packed.stdout)?,
        _ => anyhow::bail!("this example needs `gzip`"),
    }
    let url = serve(lines.into_bytes())?;
    Ok(Input { folder: folder.to_owned(), text, gzip, url })
}

fn on_each_runtime<F: Future<Output = anyhow::Result<Output>>>(
    run: impl Fn() -> F,
) -> anyhow::Result<[(&'static str, Output); 4]> {
    let tokio = tokio::runtime::Runtime::new()?;
    Ok([
        ("block_on", futures::executor::block_on(run())?),
        ("smol", smol::block_on(run())?),
        ("async-std", async_std::task::block_on(run())?),
        ("tokio", tokio.block_on(run())?),
    ])
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let input = prepare(folder.path())?;
    let expected = expected(&input)?;
    for on_thread in [false, true] {
        for (runtime, output) in on_each_runtime(|| all_four(input.clone(), on_thread))? {
            let how = if on_thread { "on threads" } else { "as coroutines" };
            assert_eq!(output, expected, "{runtime}, {how}");
            println!("lines, gunzip, store, fetch {how} on {runtime}: the same");
        }
    }
    Ok(())
}
