//! A sink that collects, and can be made slow, full or broken while it is in use.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_sink::Sink;

use super::Fault;
use crate::time::{TestClock, TestSleep, Timer};

/// A sink that collects its items. Its [`SinkProbe`] reads them, and makes it slow, full or broken.
///
/// # Panics
///
/// When `start_send` comes without a preceding `Ready(Ok(()))` of `poll_ready`, or after the sink was
/// closed.
///
/// ```
/// use futures::SinkExt;
/// use std::time::Duration;
/// use ziggurat_patterns::{testing::MockSink, time::TestClock};
///
/// let clock = TestClock::new();
/// let (mut sink, probe) = MockSink::new(&clock);
/// probe.delay(Duration::from_secs(1));
/// clock.block_on(async { sink.send("a").await?; sink.send("b").await }).unwrap();
/// assert_eq!(probe.items(), ["a", "b"]);
/// assert_eq!(clock.elapsed(), Duration::from_secs(2));
/// ```
#[must_use = "sinks do nothing unless polled"]
pub struct MockSink<Item, Error = Fault> {
    clock: TestClock,
    shared: Arc<Shared<Item, Error>>,
    ready: bool,
    closed: bool,
    sleep: Option<TestSleep>,
    /// Something was sent since the last flush.
    dirty: bool,
    flush: Option<TestSleep>,
    close: Option<TestSleep>,
}

struct Shared<Item, Error> {
    state: Mutex<State<Item, Error>>,
}

struct State<Item, Error> {
    items: Vec<Item>,
    sent: usize,
    polls: usize,
    flushes: usize,
    closes: usize,
    dropped: bool,
    delay: Duration,
    flush_delay: Duration,
    blocked: bool,
    /// Who waits for `unblock`.
    waker: Option<Waker>,
    faults: VecDeque<Error>,
}

impl<Item, Error> Shared<Item, Error> {
    fn state(&self) -> MutexGuard<'_, State<Item, Error>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Item> MockSink<Item> {
    /// A sink that is always ready, and what looks at it and disturbs it.
    pub fn new(clock: &TestClock) -> (Self, SinkProbe<Item>) {
        MockSink::with_error(clock)
    }
}

impl<Item, Error> MockSink<Item, Error> {
    /// As [`new`](MockSink::new), with another type of error.
    pub fn with_error(clock: &TestClock) -> (Self, SinkProbe<Item, Error>) {
        let state = State {
            items: Vec::new(),
            sent: 0,
            polls: 0,
            flushes: 0,
            closes: 0,
            dropped: false,
            delay: Duration::ZERO,
            flush_delay: Duration::ZERO,
            blocked: false,
            waker: None,
            faults: VecDeque::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let probe = SinkProbe { shared: Arc::clone(&shared) };
        let clock = clock.clone();
        let (sleep, flush, close) = (None, None, None);
        let sink = MockSink {
            clock,
            shared,
            ready: false,
            closed: false,
            sleep,
            dirty: false,
            flush,
            close,
        };
        (sink, probe)
    }

    /// Counts an operation, which may be the one that is to fail.
    fn begin(&self) -> Result<(), Error> {
        let mut state = self.shared.state();
        state.polls += 1;
        state.faults.pop_front().map_or(Ok(()), Err)
    }
}

/// Waits once for `delay`; the next time it begins again.
fn poll_delay(
    clock: &TestClock,
    sleep: &mut Option<TestSleep>,
    delay: Duration,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if sleep.is_some() || !delay.is_zero() {
        let current = sleep.get_or_insert_with(|| clock.sleep(delay));
        ready!(Pin::new(current).poll(cx));
        *sleep = None;
    }
    Poll::Ready(())
}

/// Nothing in it is pinned.
impl<Item, Error> Unpin for MockSink<Item, Error> {}

impl<Item, Error> Sink<Item> for MockSink<Item, Error> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        this.begin()?;
        if this.ready {
            return Poll::Ready(Ok(()));
        }
        let mut state = this.shared.state();
        let delay = state.delay;
        if state.blocked {
            let old = state.waker.replace(cx.waker().clone());
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        drop(state);
        ready!(poll_delay(&this.clock, &mut this.sleep, delay, cx));
        this.ready = true;
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), Error> {
        let this = self.get_mut();
        assert!(!this.closed, "the mock sink was sent an item after it had been closed");
        let ready = std::mem::take(&mut this.ready);
        assert!(ready, "the mock sink was sent an item without `Ready` from `poll_ready`");
        this.begin()?;
        let mut state = this.shared.state();
        state.sent += 1;
        state.items.push(item);
        this.dirty = true;
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        this.begin()?;
        let delay = this.shared.state().flush_delay;
        if this.dirty {
            ready!(poll_delay(&this.clock, &mut this.flush, delay, cx));
            this.dirty = false;
        }
        this.shared.state().flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        this.begin()?;
        this.closed = true;
        let delay = this.shared.state().flush_delay;
        ready!(poll_delay(&this.clock, &mut this.close, delay, cx));
        this.shared.state().closes += 1;
        Poll::Ready(Ok(()))
    }
}

impl<Item, Error> Drop for MockSink<Item, Error> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.dropped = true;
        let waker = state.waker.take();
        drop(state);
        drop(waker);
    }
}

impl<Item, Error> fmt::Debug for MockSink<Item, Error> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockSink")
            .field("ready", &self.ready)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

/// What happened to a [`MockSink`], and the means to disturb it. Clones look at the same sink.
///
/// ```
/// use futures::SinkExt;
/// use ziggurat_patterns::testing::{Fault, MockSink};
/// use ziggurat_patterns::time::TestClock;
///
/// let clock = TestClock::new();
/// let (mut sink, probe) = MockSink::new(&clock);
/// probe.fail_next(Fault(1));
/// assert_eq!(clock.block_on(sink.send(1)), Err(Fault(1)));
/// probe.block();
/// assert!(clock.try_block_on(sink.send(2)).is_err()); // waits for ever
/// probe.unblock();
/// assert_eq!(clock.block_on(sink.send(3)), Ok(()));
/// assert_eq!(probe.items(), [3]);
/// ```
pub struct SinkProbe<Item, Error = Fault> {
    shared: Arc<Shared<Item, Error>>,
}

impl<Item, Error> SinkProbe<Item, Error> {
    /// Makes `poll_ready` be pending until [`unblock`](Self::unblock). A readiness that has been given
    /// stands.
    pub fn block(&self) {
        self.shared.state().blocked = true;
    }

    /// Ends [`block`](Self::block) and wakes who waits.
    pub fn unblock(&self) {
        let mut state = self.shared.state();
        state.blocked = false;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Makes each readiness take `duration` of virtual time, from the first poll that asks for it.
    pub fn delay(&self, duration: Duration) {
        self.shared.state().delay = duration;
    }

    /// Makes each close, and each flush that has something to flush, take `duration` of virtual time.
    pub fn flush_delay(&self, duration: Duration) {
        self.shared.state().flush_delay = duration;
    }

    /// Makes the next operation fail, whichever it is; several are taken in order. An item whose
    /// `start_send` fails is dropped.
    pub fn fail_next(&self, error: Error) {
        self.shared.state().faults.push_back(error);
    }

    /// The items that have arrived, and were not [taken](Self::take).
    pub fn items(&self) -> Vec<Item>
    where
        Item: Clone,
    {
        self.shared.state().items.clone()
    }

    /// The items that have arrived since the last `take`; they are the caller's now.
    pub fn take(&self) -> Vec<Item> {
        std::mem::take(&mut self.shared.state().items)
    }

    /// How many items have arrived, taken ones included.
    pub fn sent(&self) -> usize {
        self.shared.state().sent
    }

    /// How many operations there were, of all kinds.
    pub fn polls(&self) -> usize {
        self.shared.state().polls
    }

    /// How often a flush has completed.
    pub fn flushes(&self) -> usize {
        self.shared.state().flushes
    }

    /// How often a close has completed.
    pub fn closes(&self) -> usize {
        self.shared.state().closes
    }

    /// Whether the sink was dropped.
    pub fn dropped(&self) -> bool {
        self.shared.state().dropped
    }

    /// Whether somebody waits for [`unblock`](Self::unblock).
    pub fn waiting(&self) -> bool {
        self.shared.state().waker.is_some()
    }
}

impl<Item, Error> Clone for SinkProbe<Item, Error> {
    fn clone(&self) -> Self {
        SinkProbe { shared: Arc::clone(&self.shared) }
    }
}

impl<Item, Error> fmt::Debug for SinkProbe<Item, Error> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("SinkProbe")
            .field("sent", &state.sent)
            .field("flushes", &state.flushes)
            .field("closes", &state.closes)
            .field("blocked", &state.blocked)
            .finish_non_exhaustive()
    }
}
