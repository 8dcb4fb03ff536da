//! tokio's time, as a value.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::{Sleep, Timer};

/// A timer over [`tokio::time`]. It obeys `tokio::time::pause` and `advance`.
///
/// Making it, and making its sleeps, works anywhere. A sleep that is polled outside a tokio runtime
/// with time enabled panics, as tokio's own do.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioTimer;

impl Timer for TokioTimer {
    type Sleep = TokioSleep;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, deadline: Instant) -> TokioSleep {
        TokioSleep { deadline, sleep: None, done: false }
    }
}

/// The sleep of [`TokioTimer`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct TokioSleep {
    deadline: Instant,
    /// Made by the first poll: tokio's constructor wants a runtime around it.
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    done: bool,
}

impl Future for TokioSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.done {
            let deadline = this.deadline.into();
            let sleep =
                this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            ready!(sleep.as_mut().poll(cx));
            this.done = true;
        }
        Poll::Ready(())
    }
}

impl Sleep for TokioSleep {
    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let this = self.get_mut();
        this.deadline = deadline;
        this.done = false;
        if let Some(sleep) = &mut this.sleep {
            sleep.as_mut().reset(deadline.into());
        }
    }
}
