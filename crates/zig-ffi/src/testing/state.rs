//! What fake sources and sinks share: references, counts, the waker, and the rules.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::abi::{ErrorRecord, PollContext, WakerHandle};

/// How often each function was called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// `poll_batch` or `send_batch`.
    pub crossings: usize,
    /// `poll_close`.
    pub closes: usize,
    /// `cancel`.
    pub cancels: usize,
    /// `last_error`.
    pub descriptions: usize,
    /// `retain`.
    pub retains: usize,
    /// `release`.
    pub releases: usize,
}

/// What a script does while it is being polled.
pub(super) type During = Box<dyn FnOnce(&HeldWaker) + Send>;

/// How a state's life goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Anything may be called.
    Live,
    /// A rule was broken by the script: it may be cancelled, and not polled.
    Broken,
    /// It has ended: it may only be released.
    Ended,
}

#[derive(Debug)]
pub(super) struct State {
    calls: Mutex<Calls>,
    /// References that handles hold.
    references: AtomicUsize,
    phase: Mutex<Phase>,
    polling: AtomicBool,
    /// The waker of the last poll, kept as a Zig task keeps it.
    waker: Mutex<Option<HeldWaker>>,
    /// The addresses that polls brought along as their wakers.
    wakers_seen: Mutex<HashSet<usize>>,
    pub(super) record: Mutex<Option<ErrorRecord>>,
    offences: Mutex<Vec<&'static str>>,
}

// SAFETY: the texts of `record` are static; the rest is behind locks or atomic.
unsafe impl Send for State {}
// SAFETY: as above.
unsafe impl Sync for State {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl State {
    pub(super) fn new() -> Self {
        State {
            calls: Mutex::default(),
            references: AtomicUsize::new(0),
            phase: Mutex::new(Phase::Live),
            polling: AtomicBool::new(false),
            waker: Mutex::default(),
            wakers_seen: Mutex::default(),
            record: Mutex::default(),
            offences: Mutex::default(),
        }
    }

    pub(super) fn calls(&self) -> Calls {
        *lock(&self.calls)
    }

    pub(super) fn waker(&self) -> Option<HeldWaker> {
        lock(&self.waker).clone()
    }

    pub(super) fn offend(&self, offence: &'static str) {
        lock(&self.offences).push(offence);
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }

    pub(super) fn add_reference(&self) {
        self.references.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a call of a function that the state's owner may make while it has a reference.
    fn count(&self, count: impl FnOnce(&mut Calls)) {
        count(&mut lock(&self.calls));
        if self.references.load(Ordering::SeqCst) == 0 {
            self.offend("called without a reference");
        }
    }

    pub(super) fn retained(&self) {
        self.count(|calls| calls.retains += 1);
        self.add_reference();
    }

    /// Whether there was a reference to drop.
    pub(super) fn released(&self) -> bool {
        self.count(|calls| calls.releases += 1);
        if self.references.load(Ordering::SeqCst) == 0 {
            return false;
        }
        if self.references.fetch_sub(1, Ordering::SeqCst) == 1 {
            drop(lock(&self.waker).take());
        }
        true
    }

    pub(super) fn canceled(&self) {
        self.count(|calls| calls.cancels += 1);
        if *lock(&self.phase) == Phase::Ended {
            self.offend("cancelled after the end");
        }
    }

    pub(super) fn describe(&self, out: *mut ErrorRecord) {
        self.count(|calls| calls.descriptions += 1);
        if let Some(record) = *lock(&self.record) {
            // SAFETY: the caller's record, valid for writing.
            unsafe { out.write(record) }
        }
    }

    /// A poll begins.
    ///
    /// # Safety
    ///
    /// `cx` is the caller's context.
    pub(super) unsafe fn enter(&self, cx: *const PollContext, count: impl FnOnce(&mut Calls)) {
        self.count(count);
        if self.polling.swap(true, Ordering::SeqCst) {
            self.offend("polled by two at once");
        }
        if *lock(&self.phase) != Phase::Live {
            self.offend("polled after the end");
        }
        // SAFETY: the caller's context.
        let cx = unsafe { &*cx };
        if cx.struct_size != size_of::<PollContext>() as u32 || cx.waker.is_null() {
            return self.offend("polled with a bad context");
        }
        lock(&self.wakers_seen).insert(cx.waker.addr());
        // SAFETY: a live handle, borrowed for the poll.
        let old = lock(&self.waker).replace(unsafe { HeldWaker::retain(cx.waker) });
        drop(old);
    }

    pub(super) fn leave(&self) {
        self.polling.store(false, Ordering::SeqCst);
    }

    #[track_caller]
    pub(super) fn assert_released(&self) {
        let offences = lock(&self.offences);
        assert!(offences.is_empty(), "{offences:?}");
        assert_eq!(self.references.load(Ordering::SeqCst), 0, "a reference is left");
        assert!(lock(&self.wakers_seen).len() <= 1, "one waker handle per stream");
    }
}

/// A reference to the host's waker, as the other side keeps it.
#[derive(Debug)]
pub struct HeldWaker(*const WakerHandle);

// SAFETY: the functions of a waker may be called from any thread.
unsafe impl Send for HeldWaker {}
// SAFETY: as above.
unsafe impl Sync for HeldWaker {}

impl HeldWaker {
    /// # Safety
    ///
    /// `handle` is a live waker with a complete table.
    pub(crate) unsafe fn retain(handle: *const WakerHandle) -> Self {
        // SAFETY: alive, says the caller.
        unsafe { (*(*handle).vtable).retain.unwrap()(handle) };
        HeldWaker(handle)
    }

    /// Wakes the task that polled last.
    pub fn wake(&self) {
        // SAFETY: our reference keeps it alive.
        unsafe { (*(*self.0).vtable).wake.unwrap()(self.0) }
    }
}

impl Clone for HeldWaker {
    fn clone(&self) -> Self {
        // SAFETY: our reference keeps it alive.
        unsafe { HeldWaker::retain(self.0) }
    }
}

impl Drop for HeldWaker {
    fn drop(&mut self) {
        // SAFETY: our reference, given up here.
        unsafe { (*(*self.0).vtable).release.unwrap()(self.0) }
    }
}
