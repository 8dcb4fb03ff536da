//! The timer that needs no executor: async-io's, driven by a thread of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::{Sleep, Timer};

/// A timer that works under any executor or none.
///
/// Its sleeps are [`async_io::Timer`]s. The thread that drives them starts when the first sleep is
/// polled, and is shared by everything in the process that uses async-io.
#[derive(Debug, Clone, Copy, Default)]
pub struct DefaultTimer;

impl Timer for DefaultTimer {
    type Sleep = DefaultSleep;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, deadline: Instant) -> DefaultSleep {
        DefaultSleep { timer: async_io::Timer::at(deadline), done: false }
    }

    /// Read from the processor's own counter, where it has one that is fit for that. The first call in
    /// a process calibrates it, which takes about a millisecond.
    #[inline]
    fn nanos(&self) -> u64 {
        static CLOCK: OnceLock<(quanta::Clock, u64)> = OnceLock::new();
        let (clock, origin) = CLOCK.get_or_init(|| {
            let clock = quanta::Clock::new();
            let origin = clock.raw();
            (clock, origin)
        });
        clock.delta_as_nanos(*origin, clock.raw())
    }
}

/// The sleep of [`DefaultTimer`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct DefaultSleep {
    timer: async_io::Timer,
    done: bool,
}

impl Future for DefaultSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.done {
            ready!(Pin::new(&mut self.timer).poll(cx));
            // async-io's would never complete a second time.
            self.done = true;
        }
        Poll::Ready(())
    }
}

impl Sleep for DefaultSleep {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.timer.set_at(deadline);
        self.done = false;
    }
}
