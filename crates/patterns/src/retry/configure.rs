//! How a stream is configured that is made again.

use std::num::NonZeroU64;
use std::time::Duration;

use ziggurat_core::time::{DefaultTimer, Timer};

use super::limits::{Limit, Limits, Series};
use super::restart::{Progress, Restart, RestartParts, Setup, State};
use super::{AnyError, Budget, ErrorPolicy, Hinted, MakeBackoff, MakeStream, Positioned, When};

impl<M: MakeStream, B: MakeBackoff> Restart<M, B> {
    /// A stream that is made by a [`MakeStream`] of your own.
    pub fn from_maker(make: M, backoff: B) -> Self {
        let setup = Setup {
            backoff,
            policy: AnyError,
            timer: DefaultTimer,
            limits: Limits::default(),
            progress: Progress::Items(NonZeroU64::MIN),
            on_end: false,
        };
        Restart { state: State::Idle, make, items: 0, since: None, series: Series::new(), setup }
    }
}

impl<M: MakeStream, B: MakeBackoff, Q, T: Timer> Restart<M, B, Q, T> {
    /// Waits by this backoff. As with every change of a part that has a type, attempts are counted anew.
    pub fn backoff<C: MakeBackoff>(self, backoff: C) -> Restart<M, C, Q, T> {
        self.map(|_, policy, timer| (backoff, policy, timer))
    }

    /// Retries only after errors for which `predicate` holds. The others are passed on.
    pub fn when<F>(self, predicate: F) -> Restart<M, B, When<F>, T>
    where
        F: FnMut(&M::Error) -> bool,
    {
        self.policy(When(predicate))
    }

    /// Retries only after the errors that `policy` decides to.
    pub fn policy<R: ErrorPolicy<M::Error>>(self, policy: R) -> Restart<M, B, R, T> {
        self.map(|backoff, _, timer| (backoff, policy, timer))
    }

    /// `hint` finds how long an error wants us to wait, in place of the backoff's delay. A backoff that
    /// ends still ends the retries.
    pub fn hint<F>(self, hint: F) -> Restart<M, B, Hinted<Q, F>, T>
    where
        F: FnMut(&M::Error) -> Option<Duration>,
    {
        self.map(|backoff, policy, timer| (backoff, Hinted::new(policy, hint), timer))
    }

    /// Uses another timer.
    pub fn with_timer<U: Timer>(self, timer: U) -> Restart<M, B, Q, U> {
        self.map(|backoff, policy, _| (backoff, policy, timer))
    }

    /// At most so many retries since the last progress. It is 3 if nothing is said.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.setup.limits.set_max_retries(retries);
        self
    }

    /// As many retries as the other limits allow.
    pub fn unlimited_retries(self) -> Self {
        self.max_retries(u32::MAX)
    }

    /// No retry starts later than `limit` after the first failure since the last progress.
    pub fn max_elapsed(mut self, limit: Duration) -> Self {
        self.setup.limits.set_max_elapsed(limit);
        self
    }

    /// Each progress deposits in `budget`, and each retry is made only if it can withdraw from it.
    pub fn budget(mut self, budget: impl Budget + 'static) -> Self {
        self.setup.limits.set_budget(budget);
        self
    }

    /// So many items of one stream are progress.
    pub fn reset_after_items(mut self, items: NonZeroU64) -> Self {
        self.setup.progress = Progress::Items(items);
        self
    }

    /// A stream that has failed no earlier than `time` after it was made has made progress. The clock is
    /// read when a stream is made and when it fails.
    pub fn reset_after(mut self, time: Duration) -> Self {
        self.setup.progress = Progress::Time(time);
        self
    }

    /// A stream that ends is made again, as one that fails. When a limit is reached, that is the end.
    pub fn restart_on_end(mut self) -> Self {
        self.setup.on_end = true;
        self
    }

    /// What it was made of. A wait or an attempt to make a stream that is under way is dropped.
    pub fn into_parts(self) -> RestartParts<M, M::Stream> {
        let stream = match self.state {
            State::Streaming { stream } => Some(stream),
            _ => None,
        };
        RestartParts { maker: self.make, stream }
    }

    /// How many retries there were since the last progress.
    pub fn retries(&self) -> u32 {
        self.series.retries
    }

    /// Changes the parts that have types. Everything else stays; a wait becomes an attempt at once.
    fn map<C: MakeBackoff, R, U: Timer>(
        self,
        change: impl FnOnce(B, Q, T) -> (C, R, U),
    ) -> Restart<M, C, R, U> {
        let Setup { backoff, policy, timer, limits, progress, on_end } = self.setup;
        let (backoff, policy, timer) = change(backoff, policy, timer);
        let state = match self.state {
            State::Idle | State::Waiting { .. } => State::Idle,
            State::Making { future } => State::Making { future },
            State::Streaming { stream } => State::Streaming { stream },
            State::Done => State::Done,
        };
        let setup = Setup { backoff, policy, timer, limits, progress, on_end };
        let (make, items, since) = (self.make, self.items, self.since);
        Restart { state, make, items, since, series: Series::new(), setup }
    }
}

impl<P, F, A, B, Q, T> Restart<Positioned<P, F, A>, B, Q, T>
where
    Positioned<P, F, A>: MakeStream,
    B: MakeBackoff,
    T: Timer,
{
    /// The position after the last item that was handed out.
    pub fn position(&self) -> &P {
        &self.make.position
    }
}
