//! Polls a stream as an executor does, as one that wakes for nothing does, and with changing wakers.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::FusedStream;

use super::report::{Broken, note_poll};
use super::scripts::Played;
use crate::testing::WakeProbe;
use crate::time::TestClock;

pub(super) const WAKE: &str = "every `Pending` is followed by a wake";
pub(super) const WAKER: &str = "the waker of the last poll is the one that is woken";

/// How many polls a layer gets after its source has stalled: it may have timers of its own for ever.
const POLLS_AFTER_STALL: usize = 2048;

/// More than any layer needs for any script.
const MAX_POLLS: usize = 200_000;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mode {
    /// One waker; polled when it is woken.
    Plain,
    /// Polled once more before it is woken.
    Spurious,
    /// As `Spurious`, with a new waker for each poll.
    Wakers,
}

#[derive(Debug)]
pub(super) enum Event<T> {
    Item(T),
    Pending,
    End,
    /// Its source has stalled, and it will not go on.
    Stalled,
    /// Its source has stalled, and it goes on for ever, with timers of its own.
    Cut,
}

/// A stream under test, with the world that it lives in.
pub(super) struct Drive<S> {
    pub stream: Pin<Box<S>>,
    pub clock: TestClock,
    pub sources: Vec<Played>,
    mode: Mode,
    wakes: WakeProbe,
    old_wakes: Vec<WakeProbe>,
    pub polls: usize,
    polls_after_stall: usize,
    /// The last poll was pending, and what it waits for has not been awaited.
    waits: bool,
    /// It has been polled once too often in this pause.
    spurious: bool,
}

impl<S: FusedStream> Drive<S> {
    pub(super) fn new(stream: S, clock: TestClock, sources: Vec<Played>, mode: Mode) -> Self {
        Drive {
            stream: Box::pin(stream),
            clock,
            sources,
            mode,
            wakes: WakeProbe::new(),
            old_wakes: Vec::new(),
            polls: 0,
            polls_after_stall: 0,
            waits: false,
            spurious: false,
        }
    }

    /// Waits for what the last poll asked for, and polls once.
    pub(super) fn next(&mut self) -> Result<Event<S::Item>, Broken> {
        if self.waits {
            let woken = self.wakes.take();
            if !woken && self.mode != Mode::Plain && !self.spurious {
                self.spurious = true;
            } else if !woken && !self.wait()? {
                return Ok(Event::Stalled);
            } else {
                self.spurious = false;
            }
        }
        if self.stalled() {
            self.polls_after_stall += 1;
            if self.polls_after_stall > POLLS_AFTER_STALL {
                return Ok(Event::Cut);
            }
        }
        self.poll()
    }

    /// Polls once, at once.
    pub(super) fn poll(&mut self) -> Result<Event<S::Item>, Broken> {
        self.polls += 1;
        note_poll(self.polls);
        if self.polls > MAX_POLLS {
            let what = format!("it went on for {MAX_POLLS} polls");
            return Err(Broken { law: "the stream ends after its source has ended", what });
        }
        if self.mode == Mode::Wakers {
            self.old_wakes.push(std::mem::take(&mut self.wakes));
            // The last one tells whether a wake went astray.
            self.old_wakes.drain(..self.old_wakes.len() - 1);
            self.old_wakes[0].take();
        }
        self.wakes.take();
        let waker = self.wakes.waker();
        let result = self.stream.as_mut().poll_next(&mut Context::from_waker(&waker));
        self.waits = result.is_pending();
        Ok(match result {
            Poll::Ready(Some(item)) => Event::Item(item),
            Poll::Ready(None) => Event::End,
            Poll::Pending => Event::Pending,
        })
    }

    /// Whether there is a source from which nothing will come any more, though it has not ended.
    fn stalled(&self) -> bool {
        self.sources.iter().any(|source| source.probe.stalled())
    }

    /// Lets time pass until the waker is woken. `false` when it may wait for ever.
    fn wait(&mut self) -> Result<bool, Broken> {
        while self.clock.advance_to_next().is_some() {
            if self.wakes.take() {
                return Ok(true);
            }
        }
        if self.old_wakes.iter().any(WakeProbe::take) {
            let what = "an earlier waker was woken in its place".to_owned();
            return Err(Broken { law: WAKER, what });
        }
        if self.stalled() {
            return Ok(false);
        }
        let what = "it returned `Pending`, and there is neither a wake nor a timer".to_owned();
        Err(Broken { law: WAKE, what })
    }
}
