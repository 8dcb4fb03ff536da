//! Where a publisher is: whoever parks on its thread needs no barrier.
//!
//! Two ends that take turns on one thread park every time that one of them has filled or emptied the
//! ring, and each time the [heavy barrier](crate::fence::heavy) would cost more than the turn. But what a
//! thread does itself it sees in order. So a publisher of a one-to-one ring says on which thread it is:
//!
//! * It *settles* when it wakes somebody who waited on its own thread, and sets a bit in the parked word,
//!   which it reads after each publication. While the bit is there it then sees on which thread it is. If
//!   it is on another one, or others wait elsewhere by then, it *leaves*: it stores "nowhere", passes a
//!   full fence, and reads the parked word again.
//! * Whoever parks sets `PARKED`, passes a full fence, and reads the home. If that is its own thread,
//!   the heavy barrier is left out.
//!
//! Why no wake is lost: a publication on the parker's own thread is before or after the parking in that
//! thread's order, and either is seen by the other. After a publication on another thread the publisher
//! leaves, unless it had left before. If the parker's fence is before that of leaving, in the one order
//! of such fences, the publisher sees `PARKED`. If it is behind, the parker sees the publication; and of
//! later ones it sees that the publisher has left (or where it has settled since), and passes the heavy
//! barrier.
//!
//! A home is a hint of where it pays not to call the system, and "nowhere" is always right: an end in
//! the other language is nowhere.

use std::cell::Cell;

use crate::layout::SETTLED;
use crate::sync::{AtomicU32, AtomicUsize, Ordering};

const NOWHERE: usize = 0;

/// A number that no other running thread has, and that is not 0.
///
/// Of a thread that takes the number over from one that has ended it is known that it started later.
#[cfg(not(ziggurat_loom))]
#[inline(always)]
pub(crate) fn this_thread() -> usize {
    thread_local!(static HERE: Cell<u8> = const { Cell::new(0) });
    HERE.try_with(|here| std::ptr::from_ref(here).addr()).unwrap_or(NOWHERE)
}

/// Loom's threads share one of the system's.
#[cfg(ziggurat_loom)]
pub(crate) fn this_thread() -> usize {
    loom::thread_local!(static HERE: Cell<Option<Box<u8>>> = Cell::new(Some(Box::new(0))));
    HERE.with(|here| {
        let place = here.take();
        let number = place.as_deref().map_or(NOWHERE, |place| std::ptr::from_ref(place).addr());
        here.set(place);
        number
    })
}

/// The home of a side's publisher, as those see it who wait for what it publishes.
pub(crate) struct Home(AtomicUsize);

/// What the publisher itself knows of it.
#[derive(Debug, Default)]
pub(crate) struct Settled(usize);

impl Home {
    pub(crate) fn new() -> Self {
        Home(AtomicUsize::new(NOWHERE))
    }

    /// Whether the publisher has settled on this thread. After the parker's fence.
    pub(crate) fn is_here(&self) -> bool {
        // SeqCst: see above.
        let home = self.0.load(Ordering::SeqCst);
        home != NOWHERE && home == this_thread()
    }
}

impl Settled {
    /// Whether it has settled on this thread.
    #[inline(always)]
    pub(crate) fn is_here(&self) -> bool {
        self.0 == this_thread()
    }

    /// The publisher is on this thread until it leaves.
    pub(crate) fn settle(&mut self, home: &Home, word: &AtomicU32) {
        if self.0 == NOWHERE {
            self.0 = this_thread();
            // SeqCst: as the parker's load.
            home.0.store(self.0, Ordering::SeqCst);
            // Relaxed: for the publisher's own eyes.
            word.fetch_or(SETTLED, Ordering::Relaxed);
        }
    }

    /// The publisher may be anywhere. Before it looks at the word again it has to pass a full fence.
    #[cold]
    #[inline(never)]
    pub(crate) fn leave(&mut self, home: &Home, word: &AtomicU32) {
        if self.0 != NOWHERE {
            self.0 = NOWHERE;
            word.fetch_and(!SETTLED, Ordering::Relaxed);
            // SeqCst: as above; with the fence that follows it pairs with the parker's fence.
            home.0.store(NOWHERE, Ordering::SeqCst);
        }
    }
}
