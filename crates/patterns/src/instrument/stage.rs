//! A stage: its meter, its span, and its timer if it has one.

use std::fmt;
use std::task::Poll;

use ziggurat_core::time::Timer;

use super::{Meter, Observation};

/// What the three kinds of layers do around each poll.
#[derive(Clone)]
pub(super) struct Stage<T> {
    pub(super) meter: Meter,
    timer: Option<T>,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

/// How a stage is made. It is kept in the layer, which makes one per stream, service or sink.
#[derive(Clone)]
pub(super) struct Plan<T> {
    pub(super) name: &'static str,
    pub(super) meter: Meter,
    pub(super) timer: Option<T>,
    #[cfg(feature = "tracing")]
    pub(super) span: Option<tracing::Span>,
}

impl<T> Plan<T> {
    pub(super) fn new(name: &'static str) -> Self {
        Plan {
            name,
            meter: Meter::new(),
            timer: None,
            #[cfg(feature = "tracing")]
            span: None,
        }
    }

    pub(super) fn timed<U>(self, timer: U) -> Plan<U> {
        Plan {
            name: self.name,
            meter: self.meter,
            timer: Some(timer),
            #[cfg(feature = "tracing")]
            span: self.span,
        }
    }
}

impl<T: Clone> Plan<T> {
    pub(super) fn stage(&self) -> Stage<T> {
        Stage {
            meter: self.meter.clone(),
            timer: self.timer.clone(),
            #[cfg(feature = "tracing")]
            span: match &self.span {
                Some(span) => span.clone(),
                None => tracing::debug_span!("stage", stage = self.name),
            },
        }
    }
}

impl<T: Timer> Stage<T> {
    /// Runs a poll, inside the span and on the clock.
    #[inline]
    pub(super) fn run<R>(&self, poll: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tracing")]
        let _entered = self.span.enter();
        let Some(timer) = &self.timer else { return poll() };
        let start = timer.nanos();
        let result = poll();
        self.meter.busy(timer.nanos().saturating_sub(start));
        result
    }

    /// As `run`, and counts what is pending or failed.
    #[inline]
    pub(super) fn poll<R, E>(
        &self,
        poll: impl FnOnce() -> Poll<Result<R, E>>,
    ) -> Poll<Result<R, E>> {
        let result = self.run(poll);
        match &result {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(_)) => self.meter.error(),
            Poll::Pending => self.meter.pending(),
        }
        result
    }

    #[inline]
    pub(super) fn count(&self, seen: Observation) {
        self.meter.item();
        self.see(seen);
    }

    /// What an item counts for, before it is known whether it passes.
    #[inline]
    pub(super) fn see(&self, seen: Observation) {
        self.meter.bytes(seen.bytes);
        if seen.error {
            self.meter.error();
        }
    }

    /// It came to its end.
    #[cold]
    pub(super) fn end(&self) {
        self.meter.ended();
        #[cfg(feature = "tracing")]
        {
            let stats = self.meter.stats();
            let (items, errors, bytes) = (stats.items, stats.errors, stats.bytes);
            tracing::debug!(parent: &self.span, items, errors, bytes, "the stage has ended");
        }
    }
}

impl<T> fmt::Debug for Stage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("stats", &self.meter.stats()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Plan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("name", &self.name).finish_non_exhaustive()
    }
}
