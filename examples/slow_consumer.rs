//! A download that is read slowly: memory stays bounded, and the executor's other tasks keep their time.
//!
//! Zig's own `std.http.Client` gets 100 MiB from a server on this machine, as a coroutine on a single-threaded
//! executor. The consumer dawdles over each chunk; beside it a ticker wants to run every 10 ms.
//!
//! ```text
//! cargo run --release --example slow_consumer
//! ```

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use ziggurat::ZigError;
use ziggurat::patterns::time::{DefaultTimer, Timer};
use ziggurat_examples_zig::download;

const SIZE: usize = 100 << 20;
const PERIOD: Duration = Duration::from_millis(10);
/// How long the consumer thinks about a chunk, which is at most 64 KiB.
const DAWDLE: Duration = Duration::from_millis(1);
/// The server is a thread of this process, and has one buffer of a mebibyte.
const ALLOWED_MIB: f64 = 16.0;

/// Answers one request with bytes that no two places have in common. Returns their hash.
fn serve() -> io::Result<(String, JoinHandle<io::Result<String>>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("http://{}/body", listener.local_addr()?);
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept()?;
        for line in BufReader::new(&client).lines() {
            if line?.is_empty() {
                break;
            }
        }
        write!(client, "HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n")?;
        let mut sha256 = Sha256::new();
        let (mut sent, mut state, mut chunk) = (0, 0x2545_f491_4f6c_dd1d_u64, vec![0; 1 << 20]);
        while sent < SIZE {
            for word in chunk.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes());
            }
            sha256.update(&chunk);
            client.write_all(&chunk)?;
            sent += chunk.len();
        }
        Ok(format!("{:x}", sha256.finalize()))
    });
    Ok((url, server))
}

/// The hash of the body, whose chunks are dropped one by one.
async fn consume(url: &str) -> Result<String, ZigError> {
    let mut body = download(url).open().expect("the Zig side fits");
    let mut sha256 = Sha256::new();
    while let Some(chunk) = body.try_next().await? {
        sha256.update(&chunk);
        let timer = DefaultTimer::default();
        timer.sleep_until(timer.now() + DAWDLE).await;
    }
    Ok(format!("{:x}", sha256.finalize()))
}

/// What a ticker has seen.
#[derive(Default)]
struct Ticks {
    /// How late each tick was.
    delays: Vec<Duration>,
    /// Resident memory at its highest, in KiB.
    peak_kib: u64,
}

async fn tick(ticks: Arc<Mutex<Ticks>>) {
    let timer = DefaultTimer::default();
    let mut due = timer.now();
    loop {
        due += PERIOD;
        timer.sleep_until(due).await;
        let late = timer.now() - due;
        let mut ticks = ticks.lock().expect("nobody panics");
        ticks.delays.push(late);
        ticks.peak_kib = ticks.peak_kib.max(resident_kib());
        // One that was missed is not made up for.
        due += PERIOD * (late.as_nanos() / PERIOD.as_nanos()) as u32;
    }
}

/// 0 where the system doesn't say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

async fn run(executor: &str, spawn: impl FnOnce(BoxFuture<'static, ()>)) -> anyhow::Result<()> {
    let (url, server) = serve()?;
    let ticks: Arc<Mutex<Ticks>> = Arc::default();
    spawn(Box::pin(tick(Arc::clone(&ticks))));
    let (before, start) = (resident_kib(), Instant::now());
    let hash = consume(&url).await?;
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(hash, server.join().expect("the server does not panic")?);

    let mut ticks = ticks.lock().expect("nobody panics");
    ticks.delays.sort();
    let late = |share: f64| ticks.delays[(share * (ticks.delays.len() - 1) as f64) as usize];
    let grown = ticks.peak_kib.saturating_sub(before) as f64 / 1024.0;
    println!(
        "{executor}: {} MiB in {seconds:.1} s; resident memory grew by at most {grown:.1} MiB; \
         {} ticks, late by {:.1?} (median), {:.1?} (99 %), {:.1?} (worst)",
        SIZE >> 20,
        ticks.delays.len(),
        late(0.5),
        late(0.99),
        late(1.0),
    );
    assert!(grown < ALLOWED_MIB, "a slow consumer costs memory: {grown} MiB");
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let tokio = tokio::runtime::Builder::new_current_thread().build()?;
    tokio.block_on(run("tokio, current thread", |ticker| drop(tokio.spawn(ticker))))?;
    let smol = smol::LocalExecutor::new();
    smol::block_on(smol.run(run("smol, one thread", |ticker| smol.spawn(ticker).detach())))
}
