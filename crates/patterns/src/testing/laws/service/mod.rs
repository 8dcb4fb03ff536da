//! The laws of service layers: what they are, and what a layer says about itself.

use std::fmt;

use tower_service::Service;

use super::report::Report;
use super::{Fault, Token, Tokens};
use crate::testing::MockService;
use crate::time::TestClock;

mod rules;
mod scenes;

use rules::Case;

/// What a layer gets from [`service`]: a service that answers with the token that it was sent.
pub type Inner = MockService<Token, Token, Fault>;

/// The laws for a layer over a service.
///
/// `make` puts the layer on its service; it is called anew for each run. Nothing is checked before
/// [`check`](ServiceLaws::check).
pub fn service<S, F>(name: &str, make: F) -> ServiceLaws<S, F>
where
    F: Fn(Inner, &TestClock) -> S,
    S: Service<Token>,
{
    ServiceLaws {
        name: name.to_owned(),
        make,
        clone: None,
        fault: None,
        recovers: false,
        refuses: false,
    }
}

/// The laws for a service layer, and what is known about the layer. Made by [`service`].
///
/// * Construction arms no timer, polls nothing and needs no runtime.
/// * The inner service is called only after `Ready(Ok(()))` of the same clone. Nothing panics.
/// * Every `Pending`, of `poll_ready` and of the response, is followed by a wake.
/// * An answer comes through; so do errors of `poll_ready` and of the call. For what takes long, an
///   error of the layer's own may come.
/// * A drop at any time cancels the call, and leaves neither tokens nor timers behind.
/// * Readiness that is not used is given back, and so is that of a call that is cancelled.
/// * Readiness lasts until the call: to ask for it again takes nothing more.
/// * One poll calls a service that fails at once at most 128 times.
/// * Clones are independent ([`clones`](Self::clones)).
///
/// ```
/// use tower::limit::ConcurrencyLimit;
/// use ziggurat_patterns::testing::laws;
///
/// laws::service("concurrency limit", |inner, _clock| ConcurrencyLimit::new(inner, 1))
///     .faults(|error| Some(*error))
///     .clones()
///     .check();
/// ```
#[must_use = "nothing is checked before `check`"]
pub struct ServiceLaws<S: Service<Token>, F> {
    name: String,
    make: F,
    clone: Option<fn(&S) -> S>,
    fault: Option<FindFault<S::Error>>,
    recovers: bool,
    refuses: bool,
}

type FindFault<E> = Box<dyn Fn(&E) -> Option<Fault>>;

impl<S: Service<Token>, F> ServiceLaws<S, F> {
    /// Checks the laws of clones too. Every layer whose service is `Clone` should want this.
    pub fn clones(mut self) -> Self
    where
        S: Clone,
    {
        self.clone = Some(S::clone);
        self
    }

    /// How to find the inner service's error in the layer's. With this, errors are checked to be the
    /// same; else only that there is one.
    pub fn faults(mut self, fault: impl Fn(&S::Error) -> Option<Fault> + 'static) -> Self {
        self.fault = Some(Box::new(fault));
        self
    }

    /// The layer may refuse calls with an error of its own, as one that sheds load does.
    pub fn refuses(mut self) -> Self {
        self.refuses = true;
        self
    }

    /// The layer may turn errors of the inner service into answers, or into errors of its own.
    pub fn recovers(mut self) -> Self {
        self.recovers = true;
        self
    }
}

impl<S, F> ServiceLaws<S, F>
where
    S: Service<Token>,
    F: Fn(Inner, &TestClock) -> S,
{
    /// Checks all laws.
    ///
    /// # Panics
    ///
    /// When the layer breaks one, with a line for each that it breaks.
    #[track_caller]
    pub fn check(self)
    where
        S::Response: Tokens,
    {
        self.check_with(Tokens::ids);
    }

    /// As [`check`](Self::check), for responses that do not implement [`Tokens`]: `ids` finds the numbers of
    /// the tokens in one.
    ///
    /// # Panics
    ///
    /// When the layer breaks a law, with a line for each that it breaks.
    #[track_caller]
    pub fn check_with(self, ids: impl Fn(&S::Response) -> Vec<u64>) {
        let mut report = Report::new(&self.name);
        for scene in scenes::SCENES {
            Case::new(&self, scene, &ids).check(&mut report);
        }
        Case::new(&self, &scenes::SCENES[0], &ids).check_own_scenes(&mut report);
        report.finish();
    }
}

impl<S: Service<Token>, F> fmt::Debug for ServiceLaws<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceLaws").field("name", &self.name).finish_non_exhaustive()
    }
}
