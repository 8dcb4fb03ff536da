//! The handle, the signal, and what waits for them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use ziggurat_core::time::{Alarm, DefaultTimer, Timer};

use super::state::{ABORTED, BEGUN, DRAINED, State, Watch};
use super::{DrainError, Refused};

/// Shuts down. Clones are handles to the same shutdown.
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::{shutdown::Shutdown, time::TestClock};
///
/// let clock = TestClock::new();
/// let shutdown = Shutdown::new().with_timer(clock.clone());
/// let work = shutdown.signal().enter().unwrap();
/// let drained = clock.block_on(shutdown.drain(Duration::from_secs(5)));
/// assert_eq!(drained.unwrap_err().left, 1);
/// shutdown.abort();
/// drop(work);
/// assert!(clock.block_on(shutdown.drain(Duration::from_secs(5))).is_ok());
/// ```
#[derive(Clone)]
pub struct Shutdown<T = DefaultTimer> {
    state: Arc<State>,
    timer: T,
}

impl Shutdown {
    /// A shutdown that has not begun.
    pub fn new() -> Self {
        Shutdown { state: Arc::new(State::new()), timer: DefaultTimer }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Shutdown<T> {
    /// Drains by another timer. It is the same shutdown.
    pub fn with_timer<U: Timer>(self, timer: U) -> Shutdown<U> {
        Shutdown { state: self.state, timer }
    }

    /// What layers and tasks are given.
    pub fn signal(&self) -> Signal {
        Signal { state: Arc::clone(&self.state) }
    }

    /// From now on nothing new is taken on. Can't be undone.
    pub fn begin(&self) {
        self.state.set(BEGUN);
    }

    /// Begins, and ends what is under way.
    pub fn abort(&self) {
        self.state.set(ABORTED);
    }

    /// Whether it has begun.
    pub fn is_begun(&self) -> bool {
        self.state.has(BEGUN)
    }

    /// How much is under way.
    pub fn in_flight(&self) -> usize {
        in_flight(&self.state)
    }
}

fn in_flight(state: &State) -> usize {
    usize::try_from(state.in_flight()).unwrap_or(usize::MAX)
}

impl<T: Timer> Shutdown<T> {
    /// Begins, and waits until nothing is under way; for no longer than `limit`, from the first poll.
    ///
    /// # Errors
    ///
    /// How much is still under way then. It goes on, unless it is [aborted](Self::abort).
    ///
    /// # Cancel safety
    ///
    /// The shutdown has begun nevertheless. Another drain waits for what is left.
    pub fn drain(&self, limit: Duration) -> Drain<T> {
        self.begin();
        let watch = Watch::new(Arc::clone(&self.state), DRAINED);
        Drain { watch, alarm: Alarm::new(self.timer.clone()), limit }
    }
}

impl<T> fmt::Debug for Shutdown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("begun", &self.is_begun())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// Tells whether the shutdown has begun, and counts what is under way. Clones are of the same shutdown.
///
/// ```
/// use ziggurat_patterns::shutdown::Shutdown;
///
/// let shutdown = Shutdown::new();
/// let signal = shutdown.signal();
/// let work = signal.enter().unwrap();
/// shutdown.begin();
/// assert!(signal.enter().is_err());
/// assert_eq!(shutdown.in_flight(), 1);
/// drop(work);
/// assert_eq!(shutdown.in_flight(), 0);
/// ```
#[derive(Clone)]
pub struct Signal {
    state: Arc<State>,
}

impl Signal {
    /// Counts something as under way, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// If the shutdown has begun.
    #[inline]
    pub fn enter(&self) -> Result<InFlight, Refused> {
        self.state.enter()?;
        Ok(InFlight { state: Arc::clone(&self.state) })
    }

    /// Whether the shutdown has begun.
    #[inline]
    pub fn is_begun(&self) -> bool {
        self.state.has(BEGUN)
    }

    /// Whether what is under way is to end.
    #[inline]
    pub fn is_aborted(&self) -> bool {
        self.state.has(ABORTED)
    }

    /// Waits until the shutdown begins.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the signal stays.
    pub fn begun(&self) -> Signalled {
        Signalled { watch: self.watch(BEGUN), bits: BEGUN }
    }

    /// Waits until what is under way is to end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the signal stays.
    pub fn aborted(&self) -> Signalled {
        Signalled { watch: self.watch(ABORTED), bits: ABORTED }
    }

    pub(super) fn watch(&self, events: u64) -> Watch {
        Watch::new(Arc::clone(&self.state), events)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("begun", &self.is_begun())
            .field("aborted", &self.is_aborted())
            .finish_non_exhaustive()
    }
}

/// Something that is under way. Dropping it says that it is over. From [`Signal::enter`].
#[must_use = "what is dropped is not under way any more"]
pub struct InFlight {
    state: Arc<State>,
}

impl Drop for InFlight {
    #[inline]
    fn drop(&mut self) {
        self.state.exit();
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").finish_non_exhaustive()
    }
}

/// The future of [`Signal::begun`] and [`Signal::aborted`].
#[derive(Debug, Clone)]
#[must_use = "futures do nothing unless polled"]
pub struct Signalled {
    watch: Watch,
    bits: u64,
}

impl Future for Signalled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let bits = self.bits;
        if !self.watch.has(bits) {
            self.watch.register(cx.waker());
            if !self.watch.has(bits) {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

pin_project! {
    /// The future of [`Shutdown::drain`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Drain<T: Timer = DefaultTimer> {
        watch: Watch,
        #[pin]
        alarm: Alarm<T>,
        limit: Duration,
    }
}

impl<T: Timer> Future for Drain<T> {
    type Output = Result<(), DrainError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.watch.state().in_flight() == 0 {
            return Poll::Ready(Ok(()));
        }
        this.watch.register(cx.waker());
        let left = in_flight(this.watch.state());
        if left == 0 {
            return Poll::Ready(Ok(()));
        }
        if !this.alarm.is_set() {
            this.alarm.as_mut().set_after(*this.limit);
        }
        this.alarm.poll(cx).map(|()| Err(DrainError { left }))
    }
}

impl<T: Timer> fmt::Debug for Drain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("limit", &self.limit).finish_non_exhaustive()
    }
}
