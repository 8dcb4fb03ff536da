//! What a mock service remembers, and what a test reads of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The part that does not depend on what is answered, so that a probe has one type parameter.
pub(super) struct Log<Request> {
    state: Mutex<State<Request>>,
}

pub(super) struct State<Request> {
    pub(super) requests: Vec<Request>,
    pub(super) poll_readies: usize,
    pub(super) calls: usize,
    pub(super) in_flight: usize,
    pub(super) max_in_flight: usize,
    pub(super) completed: usize,
    pub(super) cancelled: usize,
    pub(super) reserved: usize,
    pub(super) capacity: usize,
    pub(super) next_id: u64,
    pub(super) waiting: BTreeMap<u64, Waker>,
}

impl<Request> Log<Request> {
    pub(super) fn new() -> Self {
        let state = State {
            requests: Vec::new(),
            poll_readies: 0,
            calls: 0,
            in_flight: 0,
            max_in_flight: 0,
            completed: 0,
            cancelled: 0,
            reserved: 0,
            capacity: usize::MAX,
            next_id: 0,
            waiting: BTreeMap::new(),
        };
        Log { state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<Request>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key for a clone.
    pub(super) fn next_id(&self) -> u64 {
        let mut state = self.state();
        state.next_id += 1;
        state.next_id
    }

    /// Takes a place, or waits for one as `id`.
    pub(super) fn reserve(&self, id: u64, waker: &Waker) -> bool {
        // Wakers are cloned and dropped without the lock: both call out.
        let waker = waker.clone();
        let mut state = self.state();
        let free = state.reserved + state.in_flight < state.capacity;
        let old = if free { state.waiting.remove(&id) } else { state.waiting.insert(id, waker) };
        state.reserved += usize::from(free);
        drop(state);
        drop(old);
        free
    }

    /// Waits for a place no longer.
    pub(super) fn forget(&self, id: u64) {
        let old = self.state().waiting.remove(&id);
        drop(old);
    }

    /// Changes the state so that a place may be free, and tells those who wait for one.
    pub(super) fn release(&self, change: impl FnOnce(&mut State<Request>)) {
        let mut state = self.state();
        change(&mut state);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }
}

/// What happened to a [`MockService`](super::MockService) and its clones. Clones look at the same service.
///
/// ```
/// use ziggurat_patterns::{testing::MockService, time::TestClock};
///
/// let service = MockService::<u32, _, _>::echo(&TestClock::new());
/// assert_eq!(service.probe().calls(), 0);
/// ```
pub struct ServiceProbe<Request> {
    log: Arc<Log<Request>>,
}

impl<Request> ServiceProbe<Request> {
    pub(super) fn new(log: &Arc<Log<Request>>) -> Self {
        ServiceProbe { log: Arc::clone(log) }
    }

    /// How often any clone's `poll_ready` was called.
    pub fn poll_readies(&self) -> usize {
        self.log.state().poll_readies
    }

    /// How many clones are ready and not yet called.
    pub fn reserved(&self) -> usize {
        self.log.state().reserved
    }

    /// How many calls were made.
    pub fn calls(&self) -> usize {
        self.log.state().calls
    }

    /// How many calls have neither completed nor been dropped.
    pub fn in_flight(&self) -> usize {
        self.log.state().in_flight
    }

    /// The most calls that were in flight together.
    pub fn max_in_flight(&self) -> usize {
        self.log.state().max_in_flight
    }

    /// How many calls have completed.
    pub fn completed(&self) -> usize {
        self.log.state().completed
    }

    /// How many response futures were dropped before they had completed.
    pub fn cancelled(&self) -> usize {
        self.log.state().cancelled
    }

    /// The requests of all calls, in their order.
    pub fn requests(&self) -> Vec<Request>
    where
        Request: Clone,
    {
        self.log.state().requests.clone()
    }

    /// The requests of all calls since the last `take_requests`, which are forgotten with this.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.log.state().requests)
    }
}

impl<Request> Clone for ServiceProbe<Request> {
    fn clone(&self) -> Self {
        ServiceProbe { log: Arc::clone(&self.log) }
    }
}

impl<Request> fmt::Debug for ServiceProbe<Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.log.state();
        f.debug_struct("ServiceProbe")
            .field("calls", &state.calls)
            .field("in_flight", &state.in_flight)
            .field("completed", &state.completed)
            .field("cancelled", &state.cancelled)
            .finish_non_exhaustive()
    }
}
