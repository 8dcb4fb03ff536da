//! What cancelled coroutines still have to do.

use super::*;
use crate::host::orphans;
use std::sync::{Mutex, MutexGuard, PoisonError};
use ziggurat_core::time::TestClock;
use ziggurat_zig_ffi::abi::{CANCELLED, CLOCK_AWAKE};
use ziggurat_zig_ffi::testing::TimerUser;

/// Orphans are counted per process: whoever counts them is alone.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    wait_for("orphans of others", || orphans() == 0);
    guard
}

/// A coroutine's `defer` that says goodbye: it sleeps, writes to a socket, and waits for the answer.
struct Goodbye {
    user: HostUser,
    timer: TimerUser,
    waiting: Waiting,
    pause: i64,
    step: u8,
    at: i64,
}

impl Goodbye {
    fn new(host: &HostRef, socket: &Arc<UnixStream>, pause: i64) -> Self {
        let user = HostUser::new(host);
        let waiting = Waiting::new(host, socket);
        Goodbye { timer: user.timer(), user, waiting, pause, step: 0, at: 0 }
    }

    fn poll(&mut self, waker: Lent<'_>) -> i32 {
        if self.step == 0 {
            self.at = self.user.now(CLOCK_AWAKE) + self.pause;
            self.step = 1;
        }
        if self.step == 1 {
            match self.timer.poll(self.at, waker) {
                READY => self.step = 2,
                other => return other,
            }
        }
        if self.step == 2 {
            let write = self.waiting.until_done(INTEREST_WRITABLE, waker, |mut s| s.write(b"bye"));
            let Some(written) = write else { return PENDING };
            assert_eq!(written.unwrap(), 3);
            self.step = 3;
        }
        let mut answer = [0; 8];
        let read = self.waiting.until_done(INTEREST_READABLE, waker, |mut s| s.read(&mut answer));
        let Some(read) = read else { return PENDING };
        assert_eq!(&answer[..read.unwrap()], b"bye");
        CANCELLED
    }
}

/// A stream that never has anything, and whose end takes its time.
fn lingering(host: &HostRef, socket: &Arc<UnixStream>, pause: i64) -> ZigStream<u8> {
    struct Body {
        user: HostUser,
        goodbye: Option<Goodbye>,
    }
    impl Drop for Body {
        fn drop(&mut self) {
            let mut goodbye = self.goodbye.take().unwrap();
            assert_eq!(self.user.drive(move |waker| goodbye.poll(waker)), READY);
        }
    }
    let goodbye = Some(Goodbye::new(host, socket, pause));
    let body = Body { user: HostUser::new(host), goodbye };
    stream(move |_, _| {
        let _ = &body;
        PENDING
    })
}

/// Reads from a socket that waits, in small steps.
fn answer(far: &UnixStream) {
    let mut got = [0; 3];
    wait_for("no goodbye", || match (&mut &*far).read(&mut got) {
        Ok(n) => {
            assert_eq!(&got[..n], b"bye");
            true
        }
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::WouldBlock);
            false
        }
    });
    (&mut &*far).write_all(b"bye").unwrap();
}

const MILLISECOND: i64 = 1_000_000;

#[test]
fn an_orphan_is_finished_in_the_background() {
    let _alone = alone();
    with_each_host(|host| {
        let (near, far) = pair();
        let near = Arc::new(near);
        let mut stream = lingering(&host, &near, MILLISECOND);
        assert!(super::super::poll_once(&mut stream.next()).is_pending());
        assert_eq!(orphans(), 0);
        drop(stream);
        assert_eq!(orphans(), 1);
        drop(near);
        answer(&far);
        wait_for("the orphan does not end", || orphans() == 0);
        // Its descriptors are closed, and so is the socket.
        wait_for("a descriptor is left", || matches!((&mut &far).read(&mut [0]), Ok(0)));
    });
}

#[test]
fn many_orphans_are_finished_by_one_thread() {
    let _alone = alone();
    let host = HostRef::new(DefaultHost::new());
    let mut far_ends = Vec::new();
    for i in 0..100 {
        let (near, far) = pair();
        drop(lingering(&host, &Arc::new(near), i * MILLISECOND / 10));
        far_ends.push(far);
    }
    assert_eq!(orphans(), 100, "they all wait for an answer");
    let reapers = std::fs::read_dir("/proc/self/task").into_iter().flatten().filter(|task| {
        let name = task.as_ref().unwrap().path().join("comm");
        std::fs::read_to_string(name).is_ok_and(|name| name.trim() == "ziggurat-reaper")
    });
    let reapers = reapers.count();
    assert!(reapers <= 1, "{reapers} threads");
    far_ends.iter().for_each(answer);
    wait_for("an orphan does not end", || orphans() == 0);
}

#[test]
fn orphans_under_each_executor() {
    let _alone = alone();
    everywhere(|host| {
        Box::pin(async move {
            let (near, far) = pair();
            let (near, far) = (Arc::new(near), Arc::new(far));
            drop(lingering(&host, &near, MILLISECOND));
            drop(near);
            let mut read = bytes(&host, &far);
            for expected in b"bye" {
                assert_eq!(read.next().await, Some(Ok(*expected)));
            }
            all(writes(&host, &far, b"bye".to_vec())).await;
            // The end of the orphan closes its socket.
            assert_eq!(read.next().await, None);
        })
    });
    wait_for("an orphan does not end", || orphans() == 0);
}

#[test]
fn an_orphan_sleeps_in_virtual_time() {
    let _alone = alone();
    let clock = TestClock::new();
    let host = HostRef::new(DefaultHost::with_timer(clock.clone()));
    let (near, far) = pair();
    drop(lingering(&host, &Arc::new(near), 3_600_000 * MILLISECOND));
    wait_for("no timer", || clock.armed() == 1);
    assert_eq!(orphans(), 1);
    clock.advance(Duration::from_secs(3600));
    answer(&far);
    wait_for("the orphan does not end", || orphans() == 0);
}

#[test]
fn a_runtime_that_goes_leaves_its_orphans_to_others() {
    let _alone = alone();
    let runtime = single();
    let tokio_host = TokioHost::new(runtime.handle().clone());
    let host = HostRef::new(tokio_host.clone());
    let mut far_ends = Vec::new();
    let mut waiting = Vec::new();
    runtime.block_on(async {
        for i in 0..10 {
            let (near, far) = pair();
            // Some sleep, some wait for their sockets, and some have not been polled.
            let pause = if i % 2 == 0 { 0 } else { 20 * MILLISECOND };
            waiting.push(lingering(&host, &Arc::new(near), pause));
            far_ends.push(far);
        }
        waiting.truncate(8);
        wait_for("orphans", || orphans() == 2);
        waiting.truncate(4);
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    });
    drop(waiting);
    assert_eq!((orphans(), tokio_host.is_gone()), (10, false));
    drop(runtime);
    assert!(tokio_host.is_gone(), "before anything asks a runtime that would panic");
    far_ends.iter().for_each(answer);
    wait_for("an orphan does not end", || orphans() == 0);
    // And those that come after it.
    let (near, far) = pair();
    drop(lingering(&host, &Arc::new(near), MILLISECOND));
    answer(&far);
    wait_for("the orphan does not end", || orphans() == 0);
}
