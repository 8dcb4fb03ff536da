//! Hosts, asked as coroutines ask them, under each executor. What a coroutine does between its waits is a
//! closure here.

mod descriptors;
mod orphans;
mod timers;
mod tokio_host;
mod work;

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use futures::StreamExt;
use ziggurat_zig_ffi::HostWaker;
use ziggurat_zig_ffi::abi::{DONE, ERROR, INTEREST_READABLE, INTEREST_WRITABLE, PENDING, READY};
use ziggurat_zig_ffi::testing::{FdUser, HostUser, Lent, Task, coroutine};

use crate::ZigStream;
use crate::host::{DefaultHost, HostRef, TokioHost};

type Test = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a test under each executor, with each host that works there.
fn everywhere(test: impl Fn(HostRef) -> Test) {
    let neutral = || HostRef::new(DefaultHost::new());
    let tokio = || HostRef::new(TokioHost::current().expect("inside a runtime"));
    futures::executor::block_on(test(neutral()));
    smol::block_on(test(neutral()));
    async_std::task::block_on(test(neutral()));
    let current = single();
    current.block_on(test(neutral()));
    current.block_on(async { test(tokio()).await });
    let many = several();
    many.block_on(many.spawn(test(neutral()))).unwrap();
    many.block_on(async { tokio::spawn(test(tokio())).await.unwrap() });
    // A runtime beside another executor.
    futures::executor::block_on(test(TokioHost::new(many.handle().clone()).into()));
}

/// Runs a test with each host, both without a runtime around it.
fn with_each_host(test: impl Fn(HostRef)) {
    test(DefaultHost::new().into());
    let many = several();
    test(TokioHost::new(many.handle().clone()).into());
}

fn single() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn several() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Waits for what is about to happen on another thread. The limit only ends a test that has failed.
#[track_caller]
fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::yield_now();
    }
}

/// A task that nobody runs, with the waker that its coroutine sees.
struct Idle {
    task: Arc<Task>,
    waker: HostWaker,
}

impl Idle {
    fn new() -> Self {
        let mut idle = Idle { task: Task::new(), waker: HostWaker::new() };
        idle.register();
        idle
    }

    /// A poll begins.
    fn register(&mut self) -> Lent<'_> {
        let waker = self.task.waker();
        self.waker.register(&mut Context::from_waker(&waker));
        Lent::new(&self.waker)
    }

    /// Waits for a wake after the first `seen`.
    #[track_caller]
    fn wait(&self, seen: usize) {
        wait_for("no wake", || self.task.wakes() > seen);
    }

    /// Polls after each wake, until the answer is not `PENDING`.
    #[track_caller]
    fn run(&mut self, mut poll: impl FnMut(Lent<'_>) -> i32) -> i32 {
        loop {
            let seen = self.task.wakes();
            match poll(self.register()) {
                PENDING => self.wait(seen),
                other => return other,
            }
        }
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

/// A socket with its wait, which ends before the socket is closed.
struct Waiting {
    wait: FdUser,
    socket: Arc<UnixStream>,
}

impl Waiting {
    fn new(host: &HostRef, socket: &Arc<UnixStream>) -> Self {
        Waiting { wait: HostUser::new(host).fd(), socket: socket.clone() }
    }

    fn poll(&mut self, interest: u32, waker: Lent<'_>) -> i32 {
        self.wait.poll(self.socket.as_raw_fd(), interest, waker)
    }

    /// Tries `operation` as a coroutine does: until it says something, or there is something to wait for.
    fn until_done(
        &mut self,
        interest: u32,
        waker: Lent<'_>,
        mut operation: impl FnMut(&UnixStream) -> std::io::Result<usize>,
    ) -> Option<std::io::Result<usize>> {
        loop {
            match operation(&self.socket) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => match self.poll(interest, waker) {
                    READY => {}
                    PENDING => return None,
                    other => panic!("{other}"),
                },
                done => return Some(done),
            }
        }
    }
}

/// A stream over a coroutine.
fn stream<T: crate::Plain>(
    body: impl FnMut(Lent<'_>, &mut Vec<T>) -> i32 + Send + 'static,
) -> ZigStream<T> {
    ZigStream::from_source(coroutine(body), 64).unwrap()
}

/// All that is read from a socket, until it ends.
fn bytes(host: &HostRef, socket: &Arc<UnixStream>) -> ZigStream<u8> {
    let mut waiting = Waiting::new(host, socket);
    stream(move |waker, out| {
        let mut chunk = [0; 64];
        let read = waiting.until_done(INTEREST_READABLE, waker, |mut s| s.read(&mut chunk));
        match read {
            None => PENDING,
            Some(Ok(0)) => DONE,
            Some(Ok(n)) => {
                out.extend(&chunk[..n]);
                READY
            }
            Some(Err(_)) => ERROR,
        }
    })
}

/// Writes `data` to a socket, and says how much it wrote each time.
fn writes(host: &HostRef, socket: &Arc<UnixStream>, data: Vec<u8>) -> ZigStream<u64> {
    let mut waiting = Waiting::new(host, socket);
    let mut written = 0;
    stream(move |waker, out| {
        if written == data.len() {
            return DONE;
        }
        let write = waiting.until_done(INTEREST_WRITABLE, waker, |mut s| s.write(&data[written..]));
        match write {
            None => PENDING,
            Some(Ok(n)) => {
                written += n;
                out.push(n as u64);
                READY
            }
            Some(Err(_)) => ERROR,
        }
    })
}

async fn all<T: crate::Plain>(stream: ZigStream<T>) -> Vec<T> {
    stream.map(|item| item.expect("no error")).collect().await
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}
