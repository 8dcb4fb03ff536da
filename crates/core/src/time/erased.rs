//! Any timer behind one type.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use super::{Sleep, Timer};

/// A [`Timer`] that is chosen at run time: one type, whatever is behind it. A sleep costs an allocation.
///
/// ```
/// use ziggurat_core::time::{DefaultTimer, ErasedTimer, TestClock};
///
/// let testing = true;
/// let timer = if testing {
///     ErasedTimer::new(TestClock::new())
/// } else {
///     ErasedTimer::new(DefaultTimer)
/// };
/// # let _ = timer;
/// ```
#[derive(Clone)]
pub struct ErasedTimer {
    timer: Arc<dyn DynTimer>,
}

/// `Timer`, as far as it can be called through a pointer.
trait DynTimer: Send + Sync {
    fn now(&self) -> Instant;
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>>;
    fn nanos(&self) -> u64;
}

impl<T: Timer<Sleep: 'static>> DynTimer for T {
    fn now(&self) -> Instant {
        Timer::now(self)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Timer::sleep_until(self, deadline))
    }

    fn nanos(&self) -> u64 {
        Timer::nanos(self)
    }
}

impl ErasedTimer {
    /// Erases the type of `timer`.
    pub fn new<T: Timer<Sleep: 'static>>(timer: T) -> Self {
        ErasedTimer { timer: Arc::new(timer) }
    }
}

impl Timer for ErasedTimer {
    type Sleep = ErasedSleep;

    fn now(&self) -> Instant {
        self.timer.now()
    }

    fn sleep_until(&self, deadline: Instant) -> ErasedSleep {
        ErasedSleep { sleep: Mutex::new(self.timer.sleep_until(deadline)) }
    }

    fn nanos(&self) -> u64 {
        self.timer.nanos()
    }
}

impl fmt::Debug for ErasedTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErasedTimer").finish_non_exhaustive()
    }
}

/// The sleep of [`ErasedTimer`].
#[must_use = "futures do nothing unless polled"]
pub struct ErasedSleep {
    /// Never locked: it makes this `Sync`, whatever the sleep is, and so all that holds one.
    sleep: Mutex<Pin<Box<dyn Sleep>>>,
}

impl ErasedSleep {
    fn sleep(&mut self) -> Pin<&mut dyn Sleep> {
        self.sleep.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut()
    }
}

impl Future for ErasedSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep().poll(cx)
    }
}

impl Sleep for ErasedSleep {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.sleep().reset(deadline);
    }
}

impl fmt::Debug for ErasedSleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErasedSleep").finish_non_exhaustive()
    }
}
