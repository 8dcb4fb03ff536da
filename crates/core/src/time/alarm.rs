//! A deadline that costs nothing until something waits for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::{Sleep, Timer};

pin_project! {
    /// A deadline that can be moved, with the sleep that waits for it.
    ///
    /// Setting and clearing are a store each. The sleep is made by the first [`poll`](Self::poll) that
    /// has to wait, and reused from then on. A deadline that moves later leaves the sleep alone: when
    /// that completes too early, it is set anew. So a stream whose idle timeout moves with every item
    /// touches the timer about once per period of the timeout, not once per item.
    ///
    /// ```
    /// use std::{future::poll_fn, pin::pin, time::Duration};
    /// use ziggurat_core::time::{Alarm, TestClock};
    ///
    /// let clock = TestClock::new();
    /// let mut alarm = pin!(Alarm::new(clock.clone()));
    /// alarm.as_mut().set_after(Duration::from_secs(5));
    /// assert_eq!(clock.armed(), 0); // nothing waits yet
    /// clock.block_on(poll_fn(|cx| alarm.as_mut().poll(cx)));
    /// assert_eq!(clock.elapsed(), Duration::from_secs(5));
    /// ```
    pub struct Alarm<T: Timer> {
        timer: T,
        deadline: Option<Instant>,
        // What `sleep` is set to.
        armed: Option<Instant>,
        #[pin]
        sleep: Option<T::Sleep>,
    }
}

impl<T: Timer> Alarm<T> {
    /// An alarm that is not set.
    pub fn new(timer: T) -> Self {
        Alarm { timer, deadline: None, armed: None, sleep: None }
    }

    /// The timer that it goes by.
    pub fn timer(&self) -> &T {
        &self.timer
    }

    /// When it goes off, if it is set.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.deadline.is_some()
    }

    /// Sets it to an instant.
    pub fn set(self: Pin<&mut Self>, deadline: Instant) {
        *self.project().deadline = Some(deadline);
    }

    /// Sets it to `duration` from now.
    pub fn set_after(self: Pin<&mut Self>, duration: Duration) {
        let deadline = self.timer.deadline(duration);
        self.set(deadline);
    }

    /// Unsets it. A wake that is under way may still come.
    pub fn clear(self: Pin<&mut Self>) {
        *self.project().deadline = None;
    }

    /// Completes when the deadline has passed, and unsets the alarm; pending while it is not set.
    pub fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(deadline) = *this.deadline else { return Poll::Pending };
        loop {
            match *this.armed {
                // Early enough: it goes off now, or is looked at again then.
                Some(armed) if armed <= deadline => {}
                _ => Self::arm(this.timer, this.sleep.as_mut(), this.armed, deadline),
            }
            let sleep = this.sleep.as_mut().as_pin_mut().expect("armed");
            ready!(sleep.poll(cx));
            let armed = this.armed.take().expect("armed");
            if armed >= deadline {
                *this.deadline = None;
                return Poll::Ready(());
            }
        }
    }

    fn arm(
        timer: &T,
        mut sleep: Pin<&mut Option<T::Sleep>>,
        armed: &mut Option<Instant>,
        deadline: Instant,
    ) {
        match sleep.as_mut().as_pin_mut() {
            Some(sleep) => sleep.reset(deadline),
            None => sleep.set(Some(timer.sleep_until(deadline))),
        }
        *armed = Some(deadline);
    }
}

impl<T: Timer> fmt::Debug for Alarm<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
