//! What a cancelled coroutine still has to do, as a future.

use std::ffi::c_void;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use super::reaper;
use crate::abi::{PENDING, PollContext};
use crate::waker::HostWaker;

/// How many there are.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Cancelled coroutines in this process that are still being finished in the background.
///
/// A coroutine becomes one of them when its handle is dropped while it has something to wait for: a
/// `defer` that uses the network, a child that takes its time. The number is for observation; it may have
/// changed by the time that it is read.
pub fn orphans() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// What a cancelled coroutine still has to do. It completes when the coroutine has ended.
///
/// Dropping it before does not end it: it is finished by the thread that finishes orphans
/// ([`Host::drive`](super::Host::drive)).
#[must_use = "futures do nothing unless polled"]
pub struct Orphan {
    poll: unsafe extern "C" fn(*mut c_void, *const PollContext) -> i32,
    state: *mut c_void,
    waker: HostWaker,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not polled yet.
    New,
    Polled,
    /// Never polled again: it has ended, or its owner has it back.
    Gone,
}

// SAFETY: the ABI says that it may be polled from any thread.
unsafe impl Send for Orphan {}
// SAFETY: nothing can be done with a `&Orphan`.
unsafe impl Sync for Orphan {}

impl Orphan {
    /// # Safety
    ///
    /// `poll(state, cx)` may be called from any thread, by one at a time, until it returns anything but
    /// `PENDING`.
    pub(super) unsafe fn new(
        poll: unsafe extern "C" fn(*mut c_void, *const PollContext) -> i32,
        state: *mut c_void,
    ) -> Self {
        // Relaxed, as the other accesses: it only counts.
        LIVE.fetch_add(1, Ordering::Relaxed);
        Orphan { poll, state, waker: HostWaker::new(), phase: Phase::New }
    }

    /// Whether it is the one of this state.
    pub(super) fn is(&self, state: *mut c_void) -> bool {
        self.state == state
    }

    /// Gives it back to its owner, unless it is too late for that: then it is driven to its end after
    /// all. Says whether it was given back.
    pub(super) fn disown(mut self) -> bool {
        let new = self.phase == Phase::New;
        if new {
            self.end();
        }
        new
    }

    fn end(&mut self) {
        self.phase = Phase::Gone;
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Future for Orphan {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.phase == Phase::Gone {
            return Poll::Ready(());
        }
        this.phase = Phase::Polled;
        let context = this.waker.register(cx);
        // SAFETY: promised to `new`; `&mut self` makes us the only caller, and it has not ended.
        if unsafe { (this.poll)(this.state, &raw const context) } == PENDING {
            return Poll::Pending;
        }
        this.end();
        Poll::Ready(())
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if self.phase == Phase::Gone {
            return;
        }
        let rest = Orphan {
            poll: self.poll,
            state: self.state,
            waker: std::mem::take(&mut self.waker),
            phase: self.phase,
        };
        reaper::rescue(rest);
    }
}

impl fmt::Debug for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orphan").field("phase", &self.phase).finish_non_exhaustive()
    }
}
