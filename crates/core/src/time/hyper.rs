//! Adapters between this crate's timers and hyper's.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::rt;

use super::{Sleep, Timer};

/// A [`hyper::rt::Timer`] as a [`Timer`].
#[derive(Debug, Clone)]
pub struct FromHyper<H>(H);

impl<H: rt::Timer + Clone + Send + Sync + 'static> FromHyper<H> {
    /// Adapts `timer`.
    pub fn new(timer: H) -> Self {
        FromHyper(timer)
    }
}

impl<H: rt::Timer + Clone + Send + Sync + 'static> Timer for FromHyper<H> {
    type Sleep = FromHyperSleep<H>;

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep_until(&self, deadline: Instant) -> FromHyperSleep<H> {
        FromHyperSleep { timer: self.0.clone(), deadline, sleep: None, waker: None, done: false }
    }
}

/// The sleep of [`FromHyper`].
#[must_use = "futures do nothing unless polled"]
pub struct FromHyperSleep<H> {
    timer: H,
    deadline: Instant,
    /// Made by the first poll: hyper's timer may want its runtime around it.
    sleep: Option<Pin<Box<dyn rt::Sleep>>>,
    /// Who polled it last, unless it has completed since.
    waker: Option<Waker>,
    done: bool,
}

// The parts that are pinned are behind pointers.
impl<H> Unpin for FromHyperSleep<H> {}

impl<H: rt::Timer> Future for FromHyperSleep<H> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.done {
            let (timer, deadline) = (&this.timer, this.deadline);
            let sleep = this.sleep.get_or_insert_with(|| timer.sleep_until(deadline));
            if sleep.as_mut().poll(cx).is_pending() {
                match &mut this.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            }
            this.waker = None;
            this.done = true;
        }
        Poll::Ready(())
    }
}

impl<H: rt::Timer + Send> Sleep for FromHyperSleep<H> {
    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let this = self.get_mut();
        this.deadline = deadline;
        this.done = false;
        let Some(sleep) = &mut this.sleep else { return };
        this.timer.reset(sleep, deadline);
        // hyper's timers may put a new sleep in its place, which nobody has polled: it would wake nobody.
        let Some(waker) = &this.waker else { return };
        if sleep.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
            this.done = true;
            this.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

impl<H> fmt::Debug for FromHyperSleep<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromHyperSleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// A [`Timer`] as a [`hyper::rt::Timer`].
#[derive(Debug, Clone)]
pub struct ToHyper<T>(T);

impl<T: Timer<Sleep: Sync + 'static>> ToHyper<T> {
    /// Adapts `timer`.
    pub fn new(timer: T) -> Self {
        ToHyper(timer)
    }
}

impl<T: Timer<Sleep: Sync + 'static>> rt::Timer for ToHyper<T> {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(ToHyperSleep { sleep: Box::pin(self.0.sleep(duration)) })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(ToHyperSleep { sleep: Box::pin(self.0.sleep_until(deadline)) })
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<ToHyperSleep<T::Sleep>>() {
            Some(ours) => ours.get_mut().sleep.as_mut().reset(deadline),
            None => *sleep = rt::Timer::sleep_until(self, deadline),
        }
    }
}

/// The sleep of [`ToHyper`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ToHyperSleep<S> {
    sleep: Pin<Box<S>>,
}

impl<S: Future<Output = ()>> Future for ToHyperSleep<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}

impl<S: Sleep + Sync> rt::Sleep for ToHyperSleep<S> {}
