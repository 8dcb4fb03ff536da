//! A descriptor in async-io's reactor.
//!
//! async-io itself answers "ready" only for what was seen by a later turn of its reactor than the
//! one that was under way when the wait began: of all others it wakes the task, which asks again,
//! waits again, and is woken again. Here the wake is the answer. It may be about something older,
//! and then the operation says `EAGAIN`.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::{fmt, io};

use async_io::Async;
use atomic_waker::AtomicWaker;
use ziggurat_zig_ffi::host::Interest;

/// A descriptor of a [`DefaultHost`](super::DefaultHost).
pub struct Descriptor<F = OwnedFd> {
    io: Async<F>,
    readable: Direction,
    writable: Direction,
}

/// One direction. Its waker is the same for its whole life, so that the reactor is asked once per
/// wait, also when the task is polled for other reasons or moves to another executor.
#[derive(Default)]
struct Direction {
    /// Made by the first wait.
    signal: Option<(Arc<Signal>, Waker)>,
    /// The reactor has the waker, and has not used it as far as we know.
    asked: bool,
}

#[derive(Default)]
struct Signal {
    fired: AtomicBool,
    task: AtomicWaker,
}

impl Signal {
    fn take(&self) -> bool {
        // Acquire: what came before the wake is visible to the operation that follows.
        self.fired.load(Ordering::Relaxed) && self.fired.swap(false, Ordering::Acquire)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.fired.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: AsFd> Descriptor<F> {
    pub(super) fn new(fd: F) -> io::Result<Self> {
        // `Async::new` would make the coroutine's own descriptor non-blocking, too.
        let io = Async::new_nonblocking(fd)?;
        Ok(Descriptor { io, readable: Direction::default(), writable: Direction::default() })
    }

    pub(super) fn poll_ready(
        &mut self,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let direction = match interest {
            Interest::Readable => &mut self.readable,
            Interest::Writable => &mut self.writable,
        };
        let (signal, waker) = direction.signal.get_or_insert_with(|| {
            let signal = Arc::new(Signal::default());
            (Arc::clone(&signal), Waker::from(signal))
        });
        // Registered before it is checked: a wake from now on finds the task.
        signal.task.register(cx.waker());
        if signal.take() {
            direction.asked = false;
            return Poll::Ready(Ok(()));
        }
        if direction.asked {
            return Poll::Pending;
        }
        let cx = &mut Context::from_waker(waker);
        let mut ask = || match interest {
            Interest::Readable => self.io.poll_readable(cx),
            Interest::Writable => self.io.poll_writable(cx),
        };
        let mut asked = ask()?;
        if asked.is_ready() {
            // That is about the last wait, whose wake was its answer. What is ready now is reported
            // to this one: the system is asked for a state, not for a change.
            asked = ask()?;
        }
        direction.asked = asked.is_pending();
        asked.map(Ok)
    }
}

impl<F> fmt::Debug for Descriptor<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descriptor")
            .field("waits_to_read", &self.readable.asked)
            .field("waits_to_write", &self.writable.asked)
            .finish_non_exhaustive()
    }
}
