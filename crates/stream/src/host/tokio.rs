//! tokio's reactor, time and threads, as a host.

use std::fmt;
use std::future::Future;
#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

#[cfg(unix)]
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use ziggurat_core::time::{DefaultSleep, DefaultTimer, Sleep, Timer, TokioSleep, TokioTimer};
#[cfg(unix)]
use ziggurat_zig_ffi::host::Interest;
use ziggurat_zig_ffi::host::{Clock, Host, Job, Orphan};

#[cfg(unix)]
use super::Descriptor;
use super::clock;

/// A host over one tokio runtime, which should have its time and I/O enabled.
///
/// Coroutines may be polled inside that runtime or anywhere else. Time is the runtime's, also when
/// it is paused. Orphans are tasks of the runtime, so that they go on while it runs.
///
/// When the runtime is shut down, or lacks time or I/O, what is left without goes on as with
/// [`DefaultHost`](super::DefaultHost). tokio says so by a panic in some cases: it is caught, and
/// its message is printed once. (With `panic = "abort"` it ends the process.)
#[derive(Clone)]
pub struct TokioHost {
    handle: Handle,
    lost: Arc<Lost>,
}

/// What the runtime has turned out not to serve. All is relaxed: whoever does not know yet finds
/// out by itself.
#[derive(Debug, Default)]
struct Lost {
    time: AtomicBool,
    io: AtomicBool,
}

/// There is no tokio runtime around the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no tokio runtime here")]
#[non_exhaustive]
pub struct NoRuntime;

impl TokioHost {
    /// The host of the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// [`NoRuntime`] outside a runtime.
    pub fn current() -> Result<Self, NoRuntime> {
        Handle::try_current().map(Self::new).map_err(|_| NoRuntime)
    }

    /// The host of a runtime.
    pub fn new(handle: Handle) -> Self {
        TokioHost { handle, lost: Arc::default() }
    }

    /// What `f` says inside the runtime; `None` if tokio panics because the runtime does not serve.
    fn within<R>(&self, lost: &AtomicBool, f: impl FnOnce() -> R) -> Option<R> {
        if lost.load(Ordering::Relaxed) {
            return None;
        }
        let _inside = self.handle.enter();
        let done = catch_unwind(AssertUnwindSafe(f)).ok();
        if done.is_none() {
            lost.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Whether the runtime is known to be shut down.
    #[cfg(test)]
    pub(crate) fn is_gone(&self) -> bool {
        self.lost.time.load(Ordering::Relaxed) && self.lost.io.load(Ordering::Relaxed)
    }

    fn instant(&self) -> Instant {
        let _inside = self.handle.enter();
        tokio::time::Instant::now().into_std()
    }
}

impl From<Handle> for TokioHost {
    fn from(handle: Handle) -> Self {
        TokioHost::new(handle)
    }
}

impl fmt::Debug for TokioHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioHost").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// A timer of a [`TokioHost`].
#[derive(Debug)]
pub struct TokioWait {
    at: i64,
    /// It was polled since it was set.
    armed: bool,
    sleep: Either<TokioSleep, DefaultSleep>,
}

/// A descriptor of a [`TokioHost`].
#[cfg(unix)]
#[derive(Debug)]
pub struct TokioDescriptor(Either<AsyncFd<Arc<OwnedFd>>, Descriptor<Arc<OwnedFd>>>);

#[derive(Debug)]
enum Either<T, N> {
    Tokio(T),
    /// What goes on without the runtime.
    Neutral(N),
}

impl Host for TokioHost {
    type Timer = TokioWait;
    #[cfg(unix)]
    type Descriptor = TokioDescriptor;

    fn now(&self, clock: Clock) -> i64 {
        let now = self.instant();
        match clock {
            Clock::Awake => clock::of_instant(now),
            // As far ahead as tokio's time is: not at all, unless it was paused.
            _ => clock::system(clock).saturating_add(clock::between(Instant::now(), now)),
        }
    }

    fn timer(&self, at: i64) -> TokioWait {
        let sleep = Either::Tokio(TokioTimer.sleep_until(clock::to_instant(at)));
        TokioWait { at, armed: false, sleep }
    }

    fn reset_timer(&self, mut timer: Pin<&mut TokioWait>, at: i64) {
        let deadline = clock::to_instant(at);
        (timer.at, timer.armed) = (at, false);
        match &mut timer.sleep {
            Either::Tokio(sleep) => {
                // A sleep that cannot be set any more is replaced by its next poll.
                self.within(&self.lost.time, || Pin::new(sleep).reset(deadline));
            }
            Either::Neutral(sleep) => Pin::new(sleep).reset(deadline),
        }
    }

    fn poll_timer(&self, mut timer: Pin<&mut TokioWait>, cx: &mut Context<'_>) -> Poll<()> {
        // tokio would round up to the next millisecond, and wait for its driver to come round.
        if !timer.armed && self.now(Clock::Awake) >= timer.at {
            return Poll::Ready(());
        }
        timer.armed = true;
        if let Either::Tokio(sleep) = &mut timer.sleep {
            if let Some(poll) = self.within(&self.lost.time, || Pin::new(sleep).poll(cx)) {
                return poll;
            }
            let at = clock::to_instant(timer.at);
            timer.sleep = Either::Neutral(DefaultTimer.sleep_until(at));
        }
        match &mut timer.sleep {
            Either::Neutral(sleep) => Pin::new(sleep).poll(cx),
            Either::Tokio(_) => Poll::Pending,
        }
    }

    #[cfg(unix)]
    fn register(&self, fd: OwnedFd) -> io::Result<TokioDescriptor> {
        let fd = Arc::new(fd);
        // What replaces `new` in newer versions is for descriptors that are not owned.
        #[allow(deprecated)]
        match self.within(&self.lost.io, || AsyncFd::new(Arc::clone(&fd))) {
            Some(Ok(registered)) => return Ok(TokioDescriptor(Either::Tokio(registered))),
            // The system's own answer; tokio's, that it is shut down, has no number.
            Some(Err(error)) if error.raw_os_error().is_some() => return Err(error),
            _ => self.lost.io.store(true, Ordering::Relaxed),
        }
        Ok(TokioDescriptor(Either::Neutral(Descriptor::new(fd)?)))
    }

    #[cfg(unix)]
    fn poll_ready(
        &self,
        descriptor: &mut TokioDescriptor,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if let Either::Tokio(registered) = &descriptor.0 {
            let poll = match interest {
                _ if self.lost.io.load(Ordering::Relaxed) => {
                    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
                }
                Interest::Readable => registered.poll_read_ready(cx),
                Interest::Writable => registered.poll_write_ready(cx),
            };
            match poll {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(mut seen)) => {
                    // Before the operation is tried: what comes from now on is kept for the next poll.
                    seen.clear_ready();
                    return Poll::Ready(Ok(()));
                }
                // The runtime has been shut down.
                Poll::Ready(Err(_)) => self.lost.io.store(true, Ordering::Relaxed),
            }
            let fd = Arc::clone(registered.get_ref());
            descriptor.0 = Either::Neutral(Descriptor::new(fd)?);
        }
        match &mut descriptor.0 {
            Either::Neutral(descriptor) => descriptor.poll_ready(interest, cx),
            Either::Tokio(_) => Poll::Pending,
        }
    }

    /// A runtime that is shut down drops the job, which then runs on a thread of its own.
    fn offload(&self, job: Job) -> Result<(), Job> {
        drop(self.handle.spawn_blocking(move || job.run()));
        Ok(())
    }

    fn drive(&self, orphan: Orphan) -> Result<(), Orphan> {
        let lost = Arc::clone(&self.lost);
        drop(self.handle.spawn(Driven { orphan, ended: false, lost }));
        Ok(())
    }
}

/// An orphan as a task of the runtime. A runtime that is shut down drops it, and so says that it is gone;
/// the orphan goes on elsewhere.
struct Driven {
    orphan: Orphan,
    ended: bool,
    lost: Arc<Lost>,
}

impl Future for Driven {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let poll = Pin::new(&mut self.orphan).poll(cx);
        self.ended = poll.is_ready();
        poll
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        if !self.ended {
            self.lost.time.store(true, Ordering::Relaxed);
            self.lost.io.store(true, Ordering::Relaxed);
        }
    }
}
