//! The one thread that finishes orphans: a small executor for all of them.
//!
//! It starts with the first orphan. It polls an orphan when that was woken, and otherwise sleeps.
//! It stays as long as there is an orphan, so that a wake never has to start a thread, and a little
//! longer. When the process exits, whatever is unfinished ends with it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use super::Orphan;

/// How long the thread waits for another orphan when there is none.
const LINGER: Duration = Duration::from_millis(500);

static REAPER: Reaper = Reaper {
    state: Mutex::new(State { woken: VecDeque::new(), adopted: 0, running: false }),
    changed: Condvar::new(),
};

struct Reaper {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// To be polled. An orphan is here once at the most: its waker goes off once per poll.
    woken: VecDeque<Arc<Task>>,
    /// Orphans that have not ended.
    adopted: usize,
    /// There is a thread.
    running: bool,
}

/// An orphan with its place in the queue. While it waits, its waker, which it holds itself, keeps it.
struct Task {
    /// Locked by the thread only; `None` when it has ended.
    orphan: Mutex<Option<Orphan>>,
}

impl Reaper {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that there is a thread. The lock is held, so that there are never two.
    fn start(&'static self, state: &mut State) -> bool {
        if !state.running {
            let thread = thread::Builder::new().name("ziggurat-reaper".into());
            state.running = thread.spawn(|| self.run()).is_ok();
        }
        state.running
    }

    fn push(&self, mut state: MutexGuard<'_, State>, task: Arc<Task>) {
        state.woken.push_back(task);
        drop(state);
        self.changed.notify_one();
    }

    fn run(&self) {
        while let Some(task) = self.next() {
            let waker = Waker::from(Arc::clone(&task));
            let mut slot = task.orphan.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(orphan) = &mut *slot else { continue };
            if Pin::new(orphan).poll(&mut Context::from_waker(&waker)) == Poll::Ready(()) {
                let ended = slot.take();
                drop(slot);
                drop(ended);
                self.lock().adopted -= 1;
            }
        }
    }

    /// What is to be polled next; `None` when there is nothing to do any more.
    fn next(&self) -> Option<Arc<Task>> {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.woken.pop_front() {
                return Some(task);
            }
            if state.adopted > 0 {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (guard, waited) =
                self.changed.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if waited.timed_out() && state.woken.is_empty() {
                state.running = false;
                return None;
            }
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        REAPER.push(REAPER.lock(), self);
    }
}

/// Drives an orphan to its end, or gives it back when no thread can be started.
pub(super) fn adopt(orphan: Orphan) -> Result<(), Orphan> {
    let mut state = REAPER.lock();
    if !REAPER.start(&mut state) {
        return Err(orphan);
    }
    state.adopted += 1;
    REAPER.push(state, Arc::new(Task { orphan: Mutex::new(Some(orphan)) }));
    Ok(())
}

/// As [`adopt`], for an orphan that nobody takes back: when no thread can be started, it waits for
/// one that comes later.
pub(super) fn rescue(orphan: Orphan) {
    let mut state = REAPER.lock();
    REAPER.start(&mut state);
    state.adopted += 1;
    REAPER.push(state, Arc::new(Task { orphan: Mutex::new(Some(orphan)) }));
}
