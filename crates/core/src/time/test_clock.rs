//! Virtual time: a clock that moves when a test says so, or when nothing else can happen.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::{Sleep, Timer};

/// As far as time goes by [`TestClock::advance`]: what `nanos` can tell, and what instants can hold.
const LAST: Duration = Duration::from_nanos(u64::MAX);

/// A [`Timer`] in virtual time. Clones share the time.
///
/// Time stands still until it is moved: by [`advance`](Self::advance), or by
/// [`block_on`](Self::block_on) and [`auto`](Self::auto), which jump to the next deadline whenever the
/// future can do nothing else. So hours pass in microseconds, and twice the same in the same way.
///
/// ```
/// use std::time::Duration;
/// use ziggurat_core::time::{TestClock, Timer};
///
/// let clock = TestClock::new();
/// let timer = clock.clone();
/// clock.block_on(async {
///     for _ in 0..24 {
///         timer.sleep(Duration::from_secs(3600)).await;
///     }
/// });
/// assert_eq!(clock.elapsed(), Duration::from_secs(86_400));
/// ```
#[derive(Clone)]
pub struct TestClock {
    shared: Arc<Shared>,
}

struct Shared {
    start: Instant,
    state: Mutex<State>,
}

struct State {
    elapsed: Duration,
    next_id: u64,
    /// Sleeps that are waited for. The number keeps those of one instant apart and in order.
    armed: BTreeMap<(Duration, u64), Waker>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the start, for an instant that may lie before it.
    fn since_start(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start)
    }
}

/// A future waits for something other than this clock, and nothing else is there to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "deadlock at {elapsed:?} of virtual time: the future waits, and no timer of this clock is armed"
)]
pub struct Deadlock {
    /// When that was.
    pub elapsed: Duration,
}

impl TestClock {
    /// A clock that stands at 0.
    pub fn new() -> Self {
        let state = State { elapsed: Duration::ZERO, next_id: 0, armed: BTreeMap::new() };
        TestClock { shared: Arc::new(Shared { start: Instant::now(), state: Mutex::new(state) }) }
    }

    /// Virtual time since the clock was made.
    pub fn elapsed(&self) -> Duration {
        self.shared.state().elapsed
    }

    /// How many sleeps are waited for.
    pub fn armed(&self) -> usize {
        self.shared.state().armed.len()
    }

    /// When the next of the sleeps that are waited for ends, as time since the clock was made.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.shared.state().armed.keys().next().map(|(deadline, _)| *deadline)
    }

    /// Moves time on by `duration`. Sleeps that end on the way are woken in the order of their
    /// deadlines, each at its own time; tasks that they wake run later, when it is all over. A test that
    /// wants them to run in between advances in steps, or uses [`auto`](Self::auto).
    ///
    /// It goes no further than [`Timer::nanos`] can tell: there it stays, after 584 years.
    pub fn advance(&self, duration: Duration) {
        let now = self.elapsed();
        let target = now.saturating_add(duration).min(LAST).max(now);
        while self.next_deadline().is_some_and(|deadline| deadline <= target) {
            self.advance_to_next();
        }
        let mut state = self.shared.state();
        state.elapsed = state.elapsed.max(target);
    }

    /// Jumps to the next deadline and wakes whoever waits for it. Returns how far it jumped, or `None`
    /// when no sleep is waited for.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let mut state = self.shared.state();
        let deadline = state.armed.keys().next()?.0;
        let jump = deadline.saturating_sub(state.elapsed);
        state.elapsed = state.elapsed.max(deadline);
        let mut due = Vec::new();
        while let Some(entry) = state.armed.first_entry().filter(|e| e.key().0 <= deadline) {
            due.push(entry.remove());
        }
        // A waker may do anything, also come back here.
        drop(state);
        due.into_iter().for_each(Waker::wake);
        Some(jump)
    }

    /// Runs `future` to its end on this thread, jumping to the next deadline whenever it waits.
    ///
    /// Wakes from other threads are seen only if they come before the future is found idle: what waits
    /// for another thread is a deadlock here. Use [`auto`](Self::auto) under an executor for that.
    ///
    /// # Panics
    ///
    /// With [`Deadlock`]'s message, when the future waits and no sleep of this clock is armed.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self.try_block_on(future) {
            Ok(output) => output,
            Err(deadlock) => panic!("{deadlock}"),
        }
    }

    /// As [`block_on`](Self::block_on), with an error in place of the panic. The future is dropped then.
    ///
    /// # Errors
    ///
    /// [`Deadlock`], when the future waits and no sleep of this clock is armed.
    pub fn try_block_on<F: Future>(&self, future: F) -> Result<F::Output, Deadlock> {
        let mut future = pin!(future);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return Ok(output);
            }
            // A jump may wake somebody else, who then wakes this future.
            while !woken.take() {
                if self.advance_to_next().is_none() {
                    return Err(Deadlock { elapsed: self.elapsed() });
                }
            }
        }
    }

    /// `future`, under any executor: whenever it waits and nothing has woken it, time jumps to the next
    /// deadline.
    ///
    /// When several tasks share a clock, time jumps as soon as one of them is idle. To keep them
    /// together, make one future of them.
    pub fn auto<F: Future>(&self, future: F) -> Auto<F> {
        Auto { future, clock: self.clone(), woken: Arc::default() }
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("TestClock")
            .field("elapsed", &state.elapsed)
            .field("armed", &state.armed.len())
            .finish()
    }
}

impl Timer for TestClock {
    type Sleep = TestSleep;

    fn now(&self) -> Instant {
        self.shared.start + self.elapsed()
    }

    fn sleep_until(&self, deadline: Instant) -> TestSleep {
        let deadline = self.shared.since_start(deadline);
        TestSleep { clock: self.clone(), deadline, armed: None }
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The sleep of [`TestClock`].
#[must_use = "futures do nothing unless polled"]
pub struct TestSleep {
    clock: TestClock,
    deadline: Duration,
    /// The key of its entry, which may have gone off meanwhile.
    armed: Option<(Duration, u64)>,
}

impl TestSleep {
    /// Takes the entry back, with its waker.
    fn disarm(&mut self) -> Option<Waker> {
        let key = self.armed.take()?;
        self.clock.shared.state().armed.remove(&key)
    }
}

impl Future for TestSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Cloned before the lock is taken, and the old one dropped after it: both call out.
        let waker = cx.waker().clone();
        let mut state = this.clock.shared.state();
        if state.elapsed >= this.deadline {
            let old = this.armed.take().and_then(|key| state.armed.remove(&key));
            drop(state);
            drop(old);
            return Poll::Ready(());
        }
        // It keeps its place among those of the same instant.
        let key = *this.armed.get_or_insert_with(|| {
            state.next_id += 1;
            (this.deadline, state.next_id)
        });
        let old = state.armed.insert(key, waker);
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Sleep for TestSleep {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.deadline = self.clock.shared.since_start(deadline);
        let Some(waker) = self.disarm() else { return };
        let mut state = self.clock.shared.state();
        if state.elapsed >= self.deadline {
            drop(state);
            return waker.wake();
        }
        state.next_id += 1;
        let key = (self.deadline, state.next_id);
        state.armed.insert(key, waker);
        drop(state);
        self.armed = Some(key);
    }
}

impl Drop for TestSleep {
    fn drop(&mut self) {
        drop(self.disarm());
    }
}

impl fmt::Debug for TestSleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSleep")
            .field("deadline", &self.deadline)
            .field("armed", &self.armed.is_some())
            .finish_non_exhaustive()
    }
}

/// Remembers a wake and passes it on.
#[derive(Default)]
struct Woken {
    woken: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl Woken {
    fn take(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }

    fn set_outer(&self, waker: &Waker) {
        let mut outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner);
        let same = outer.as_ref().is_some_and(|old| old.will_wake(waker));
        let old = if same { None } else { outer.replace(waker.clone()) };
        drop(outer);
        drop(old);
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        let outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = outer {
            waker.wake();
        }
    }
}

pin_project! {
    /// The future of [`TestClock::auto`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Auto<F> {
        #[pin]
        future: F,
        clock: TestClock,
        woken: Arc<Woken>,
    }
}

impl<F: Future> Future for Auto<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        this.woken.set_outer(cx.waker());
        let waker = Waker::from(Arc::clone(this.woken));
        let mut inner = Context::from_waker(&waker);
        this.woken.take();
        if let Poll::Ready(output) = this.future.as_mut().poll(&mut inner) {
            return Poll::Ready(output);
        }
        // One jump per poll: what it wakes may be another task, whose turn is now.
        if !this.woken.woken.load(Ordering::Acquire) {
            this.clock.advance_to_next();
        }
        Poll::Pending
    }
}

impl<F> fmt::Debug for Auto<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auto").field("clock", &self.clock).finish_non_exhaustive()
    }
}
