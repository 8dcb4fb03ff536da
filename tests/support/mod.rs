//! What the integration tests share: the executors, and waiting for the other side without a clock.

#![allow(dead_code)] // each test binary uses a part of it

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures::Stream;

use ziggurat_tests_zig::{Slot, slot};

/// The executors that every suite runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executor {
    BlockOn,
    Smol,
    AsyncStd,
    TokioCurrent,
    TokioMulti,
}

impl Executor {
    pub const ALL: [Executor; 5] = [
        Executor::BlockOn,
        Executor::Smol,
        Executor::AsyncStd,
        Executor::TokioCurrent,
        Executor::TokioMulti,
    ];

    /// Runs a future as this executor's users would: spawned where it has tasks.
    pub fn run<F>(self, future: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match self {
            Executor::BlockOn => futures::executor::block_on(future),
            Executor::Smol => smol::block_on(smol::spawn(future)),
            Executor::AsyncStd => async_std::task::block_on(async_std::task::spawn(future)),
            Executor::TokioCurrent => {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("tokio");
                runtime.block_on(async { tokio::spawn(future).await.expect("no panic") })
            }
            Executor::TokioMulti => {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .build()
                    .expect("tokio");
                runtime.block_on(async { tokio::spawn(future).await.expect("no panic") })
            }
        }
    }
}

/// Runs one test body under each executor, as a test of its own.
#[macro_export]
macro_rules! on_every_executor {
    ($(async fn $name:ident($executor:ident: Executor) $body:block)*) => {$(
        mod $name {
            use super::*;
            async fn body($executor: Executor) $body
            #[test]
            fn block_on() { Executor::BlockOn.run(body(Executor::BlockOn)) }
            #[test]
            fn smol() { Executor::Smol.run(body(Executor::Smol)) }
            #[test]
            fn async_std() { Executor::AsyncStd.run(body(Executor::AsyncStd)) }
            #[test]
            fn tokio_current_thread() { Executor::TokioCurrent.run(body(Executor::TokioCurrent)) }
            #[test]
            fn tokio_multi_thread() { Executor::TokioMulti.run(body(Executor::TokioMulti)) }
        }
    )*};
}

/// A counting slot for a test under an executor: each has one of its own.
pub fn slot_for(test: u32, executor: Executor) -> u32 {
    test * Executor::ALL.len() as u32 + executor as u32
}

/// Waits until a slot looks as it should. The limit only ends a test that has failed.
pub fn wait_for_slot(number: u32, what: &str, done: impl Fn(Slot) -> bool) -> Slot {
    wait_for(what, || Some(slot(number)).filter(|s| done(*s)))
}

/// Waits until `check` has an answer, giving way to other threads meanwhile.
pub fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = check() {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        thread::yield_now();
    }
}

/// Unparks the thread that drives a task.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// All items of a stream that is polled by another thread each time.
pub fn wandering<S: Stream<Item: Send> + Send + Unpin>(mut stream: S) -> Vec<S::Item> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut items = Vec::new();
    loop {
        let poll = || Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker));
        match thread::scope(|scope| scope.spawn(poll).join().expect("no panic")) {
            Poll::Ready(Some(item)) => items.push(item),
            Poll::Ready(None) => return items,
            Poll::Pending => thread::park(),
        }
    }
}

/// Threads of this process.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Open descriptors of this process.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Resident memory of this process, in KiB.
pub fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
