//! The stream behind restarts and resumption.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::{FusedStream, Stream, TryStream};
use pin_project_lite::pin_project;
use ziggurat_core::time::{DefaultTimer, Timer};

use super::limits::{Limit, Limits, Series};
use super::{
    AnyError, Backoff, Decision, ErrorPolicy, GaveUp, MakeBackoff, MakeStream, RetryError,
};

/// How many steps one poll takes from a failure to a stream that works.
const STEPS_PER_POLL: u32 = 64;

#[derive(Debug, Clone)]
pub(super) struct Setup<B, Q, T> {
    pub(super) backoff: B,
    pub(super) policy: Q,
    pub(super) timer: T,
    pub(super) limits: Limits,
    pub(super) progress: Progress,
    pub(super) on_end: bool,
}

/// What it takes for a stream to count as working again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Progress {
    Items(NonZeroU64),
    Time(Duration),
}

pin_project! {
    /// A stream that is made again when it fails. Made by
    /// [`restart_with_backoff`](crate::stream::restart_with_backoff) and its kin.
    ///
    /// `Item = Result<T, RetryError<E>>` over streams of `Result<T, E>`. The stream is made by the
    /// first poll. One that has failed is dropped before the wait for the next.
    ///
    /// * An error that is to be retried is not seen, unless a limit is reached: then it is the last item.
    /// * An error that is not to be retried is passed on, and the stream goes on as the one inside does.
    ///   If the stream could not even be made, it ends after the error.
    /// * The end of the stream inside is the end, unless [`restart_on_end`](Self::restart_on_end) is set.
    ///
    /// Attempts are counted from the last progress. That is one item, unless
    /// [`reset_after_items`](Self::reset_after_items) or [`reset_after`](Self::reset_after) say
    /// otherwise: a source that connects well and breaks at once is a broken one.
    ///
    /// # Cancel safety
    ///
    /// Nothing is held here: an item is handed out by the poll that gets it. Dropping a future of `next`
    /// loses nothing.
    #[must_use = "streams do nothing unless polled"]
    pub struct Restart<M: MakeStream, B: MakeBackoff = Backoff, Q = AnyError, T: Timer = DefaultTimer>
    {
        #[pin]
        pub(super) state: State<M::Future, M::Stream, T::Sleep>,
        pub(super) make: M,
        // Items of the present stream, and when it was made, if that matters.
        pub(super) items: u64,
        pub(super) since: Option<Instant>,
        pub(super) series: Series<B::Delays, Limits>,
        pub(super) setup: Setup<B, Q, T>,
    }
}

pin_project! {
    #[project = StateProj]
    pub(super) enum State<Future, Stream, Sleep> {
        Idle,
        Making { #[pin] future: Future },
        Streaming { #[pin] stream: Stream },
        Waiting { #[pin] sleep: Sleep },
        Done,
    }
}

/// What a [`Restart`] was made of.
#[derive(Debug)]
#[non_exhaustive]
pub struct RestartParts<M, S> {
    /// What makes the stream; it knows the position, if there is one.
    pub maker: M,
    /// The stream, if there is one at the moment.
    pub stream: Option<S>,
}

type Item<M> = Result<<M as MakeStream>::Ok, RetryError<<M as MakeStream>::Error>>;

impl<M, B, Q, T> Restart<M, B, Q, T>
where
    M: MakeStream,
    B: MakeBackoff,
    Q: ErrorPolicy<M::Error>,
    T: Timer,
{
    /// Gets from no stream to one that can be polled (`None`), or to what there is to say about it.
    /// `steps` is how many steps may be taken.
    #[cold]
    #[inline(never)]
    fn poll_make(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        steps: &mut u32,
    ) -> Poll<Option<Option<Item<M>>>> {
        while *steps > 0 {
            *steps -= 1;
            let mut this = self.as_mut().project();
            match this.state.as_mut().project() {
                StateProj::Idle => {
                    let future = this.make.make();
                    this.state.set(State::Making { future });
                }
                StateProj::Making { future } => match ready!(future.poll(cx)) {
                    Ok(stream) => {
                        *this.items = 0;
                        let timed = matches!(this.setup.progress, Progress::Time(_));
                        *this.since = timed.then(|| this.setup.timer.now());
                        this.state.set(State::Streaming { stream });
                        return Poll::Ready(None);
                    }
                    Err(error) => {
                        if let Some(item) = self.as_mut().failed(error) {
                            return Poll::Ready(Some(Some(item)));
                        }
                    }
                },
                StateProj::Waiting { sleep } => {
                    ready!(sleep.poll(cx));
                    this.state.set(State::Idle);
                }
                StateProj::Streaming { .. } => return Poll::Ready(None),
                StateProj::Done => return Poll::Ready(Some(None)),
            }
        }
        // Streams that fail at once, with no delays: others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The item to pass on, if there is to be one.
    #[cold]
    #[inline(never)]
    fn failed(mut self: Pin<&mut Self>, error: M::Error) -> Option<Item<M>> {
        let decision = self.as_mut().project().setup.policy.decide(&error);
        let hint = match decision {
            Decision::Stop => {
                let this = self.project();
                let attempts = this.series.retries.saturating_add(1);
                let elapsed = this.series.elapsed(&this.setup.timer);
                let mut state = this.state;
                if let StateProj::Making { .. } = state.as_mut().project() {
                    state.set(State::Done);
                }
                return Some(Err(RetryError::new(GaveUp::NotRetryable, attempts, elapsed, error)));
            }
            Decision::Retry => None,
            Decision::RetryAfter(delay) => Some(delay),
        };
        let reason = self.as_mut().retry(hint)?;
        let this = self.project();
        let attempts = this.series.retries.saturating_add(1);
        let elapsed = this.series.elapsed(&this.setup.timer);
        Some(Err(RetryError::new(reason, attempts, elapsed, error)))
    }

    /// Drops the stream and waits for the next, or is done, for a reason.
    fn retry(mut self: Pin<&mut Self>, hint: Option<Duration>) -> Option<GaveUp> {
        let mut this = self.as_mut().project();
        if let (Progress::Time(time), Some(since)) = (this.setup.progress, this.since.take()) {
            if this.setup.timer.now().saturating_duration_since(since) >= time {
                self.as_mut().progressed();
                this = self.as_mut().project();
            }
        }
        // Gone before anything else happens: it may hold a connection.
        this.state.set(State::Done);
        let Setup { backoff, limits, timer, .. } = this.setup;
        match this.series.retry(limits, backoff, hint, timer) {
            Ok(delay) if delay.is_zero() => this.state.set(State::Idle),
            Ok(delay) => this.state.set(State::Waiting { sleep: timer.sleep(delay) }),
            Err(reason) => return Some(reason),
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn progressed(self: Pin<&mut Self>) {
        let this = self.project();
        *this.series = Series::new();
        if let Some(budget) = this.setup.limits.budget() {
            budget.deposit();
        }
    }
}

impl<M, B, Q, T> Stream for Restart<M, B, Q, T>
where
    M: MakeStream,
    B: MakeBackoff,
    Q: ErrorPolicy<M::Error>,
    T: Timer,
{
    type Item = Item<M>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut steps = STEPS_PER_POLL;
        loop {
            let this = self.as_mut().project();
            let StateProj::Streaming { stream } = this.state.project() else {
                match ready!(self.as_mut().poll_make(cx, &mut steps)) {
                    None => continue,
                    Some(item) => return Poll::Ready(item),
                }
            };
            match ready!(stream.try_poll_next(cx)) {
                Some(Ok(item)) => {
                    this.make.delivered(&item);
                    *this.items += 1;
                    if let Progress::Items(items) = this.setup.progress {
                        if *this.items == items.get() {
                            self.progressed();
                        }
                    }
                    return Poll::Ready(Some(Ok(item)));
                }
                Some(Err(error)) => {
                    if let Some(item) = self.as_mut().failed(error) {
                        return Poll::Ready(Some(item));
                    }
                }
                None if this.setup.on_end => {
                    if self.as_mut().retry(None).is_some() {
                        return Poll::Ready(None);
                    }
                }
                None => {
                    self.project().state.set(State::Done);
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A stream may fail before it gives what it promised, and another may give any number.
        match &self.state {
            State::Done => (0, Some(0)),
            _ => (0, None),
        }
    }
}

impl<M, B, Q, T> FusedStream for Restart<M, B, Q, T>
where
    M: MakeStream,
    B: MakeBackoff,
    Q: ErrorPolicy<M::Error>,
    T: Timer,
{
    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Done)
    }
}

impl<M: MakeStream, B: MakeBackoff, Q, T: Timer> fmt::Debug for Restart<M, B, Q, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restart").field("retries", &self.series.retries).finish_non_exhaustive()
    }
}
