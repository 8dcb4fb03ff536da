//! The slot for one task's waker: an `AtomicWaker` that knows whether its waker is in place.
//!
//! The algorithm is that of `futures::task::AtomicWaker`, with one bit more: [`SET`] tells an empty slot
//! from a full one, so that a task whose waker is still in place sees so with a single load. A flag
//! beside an `AtomicWaker` cannot know that: a registration that meets a wake half-way hands its waker
//! over, or never stores it, and only the slot's own state says so.

use std::task::Waker;

use crate::sync::{AtomicU8, Ordering, UnsafeCell};

/// State: a waker is in the slot. Without a bit below, nobody is inside.
const SET: u8 = 1;
/// State: the task is putting its waker in.
const REGISTERING: u8 = 2;
/// State: somebody is taking the waker out.
const WAKING: u8 = 4;

pub(crate) struct WakerSlot {
    state: AtomicU8,
    /// Touched by the registering task while the state is `REGISTERING`, and by the one taker that set
    /// `WAKING` when nobody was inside.
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: the state gives access to the slot to one thread at a time, and wakers are `Send`.
unsafe impl Send for WakerSlot {}
// SAFETY: as above.
unsafe impl Sync for WakerSlot {}

impl WakerSlot {
    pub(crate) fn new(waker: Option<Waker>) -> Self {
        let state = if waker.is_some() { SET } else { 0 };
        WakerSlot { state: AtomicU8::new(state), waker: UnsafeCell::new(waker) }
    }

    /// Whether the waker that was registered last is in place and nobody is taking it: then any wake
    /// from now on takes it.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        // Relaxed: an answer that is out of date does no harm. The wake that has emptied the slot since
        // goes on to wake this very waker, and the poll that follows sees so.
        self.state.load(Ordering::Relaxed) == SET
    }

    /// Puts a waker in. One caller at a time. When a wake comes in between, the waker is woken at once
    /// and does not stay.
    pub(crate) fn register(&self, waker: Waker) {
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            if seen & WAKING != 0 {
                // Whose waker is being taken is unknown (the stream may have moved to another task),
                // so that this one is woken as well, and registers when it is polled again.
                return waker.wake();
            }
            // Acquire: pairs with the taker's swap, and with all wakes that left their work to it.
            let entered = self.state.compare_exchange_weak(
                seen,
                REGISTERING,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match entered {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        // SAFETY: the state is `REGISTERING` by our own doing, so that nobody else is inside.
        let old = self.waker.with_mut(|slot| unsafe { (*slot).replace(waker) });
        // Release: whoever takes the waker sees it whole.
        let left =
            self.state.compare_exchange(REGISTERING, SET, Ordering::Release, Ordering::Relaxed);
        if left.is_err() {
            // A wake came in between, and left to us to do it.
            // SAFETY: as above; `WAKING` beside `REGISTERING` gives access to nobody.
            let waker = self.waker.with_mut(|slot| unsafe { (*slot).take() });
            // AcqRel: what came before that wake is visible to the task that we wake.
            self.state.swap(0, Ordering::AcqRel);
            waker.into_iter().for_each(Waker::wake);
        }
        // Dropped last: it may be the last of its task, whose drop may do anything.
        drop(old);
    }

    /// Takes the waker out. `None`: there is none, or somebody else wakes it.
    pub(crate) fn take(&self) -> Option<Waker> {
        // Acquire: the waker is seen whole. Release: whoever registers next sees what came before us.
        let seen = self.state.fetch_or(WAKING, Ordering::AcqRel);
        if seen & (REGISTERING | WAKING) != 0 {
            return None;
        }
        // SAFETY: nobody was inside, and `WAKING` keeps everybody else out.
        let waker = self.waker.with_mut(|slot| unsafe { (*slot).take() });
        // A swap and no store: it goes on with the release sequence of those that came meanwhile and
        // left, so that whoever registers next sees what came before them, too.
        self.state.swap(0, Ordering::AcqRel);
        waker
    }
}
