//! The laws of sink layers: what they are, and what a layer says about itself.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;

use futures_sink::Sink;

use super::report::Report;
use super::{Fault, Token, Tokens};
use crate::testing::MockSink;
use crate::time::TestClock;

mod rules;

/// What a layer gets from [`sink`]: a sink of tokens, or of what holds them.
pub type Drain<I = Token> = MockSink<I>;

/// The laws for a layer over a sink of [`Token`]s.
///
/// `make` puts the layer on its sink; it is called anew for each run. Nothing is checked before
/// [`check`](SinkLaws::check).
pub fn sink<S, F>(name: &str, make: F) -> SinkLaws<Token, S, F>
where
    F: Fn(Drain, &TestClock) -> S,
    S: Sink<Token>,
{
    sink_of(name, make)
}

/// As [`sink`], for a layer whose inner sink takes something else: `sink_of::<Vec<Token>, _, _>(…)`.
pub fn sink_of<I, S, F>(name: &str, make: F) -> SinkLaws<I, S, F>
where
    I: Tokens,
    F: Fn(Drain<I>, &TestClock) -> S,
    S: Sink<Token>,
{
    let inner = PhantomData;
    let (lossy, refuses) = (false, false);
    SinkLaws { name: name.to_owned(), make, lossy, refuses, fault: None, held: None, inner }
}

/// The laws for a sink layer, and what is known about the layer. Made by [`sink`] and [`sink_of`].
///
/// * Construction arms no timer, polls nothing and needs no runtime.
/// * The inner sink is sent to only after `Ready(Ok(()))`, and not after it was closed. Nothing panics.
/// * Every `Pending` is followed by a wake.
/// * Items arrive once and in order: at the latest with a flush, and with a close. Both reach the inner
///   sink.
/// * Errors of the inner sink come through.
/// * A drop at any time leaves neither items nor timers behind.
/// * With [`conserves`](Self::conserves), no accepted item is lost.
/// * What is refused does not arrive ([`refuses`](Self::refuses)), and everything else does.
///
/// ```
/// use futures::SinkExt;
/// use ziggurat_patterns::testing::laws;
///
/// laws::sink("buffer", |sink, _clock| sink.buffer(4)).faults(|error| Some(*error)).check();
/// ```
#[must_use = "nothing is checked before `check`"]
pub struct SinkLaws<I, S: Sink<Token>, F> {
    name: String,
    make: F,
    lossy: bool,
    refuses: bool,
    fault: Option<FindFault<S::Error>>,
    held: Option<Held<S>>,
    inner: PhantomData<fn(I)>,
}

type FindFault<E> = Box<dyn Fn(&E) -> Option<Fault>>;
type Held<S> = Box<dyn Fn(Pin<Box<S>>) -> Vec<Token>>;

impl<I, S: Sink<Token>, F> SinkLaws<I, S, F> {
    /// The layer drops items by its policy. Those that arrive are still checked for order and doubles.
    pub fn lossy(mut self) -> Self {
        self.lossy = true;
        self
    }

    /// The layer may refuse items with an error of its own, as one that sheds load does: an error of
    /// `poll_ready` or `start_send` in which [`faults`](Self::faults) finds none of the inner sink's. The
    /// producer goes on with the next item then.
    pub fn refuses(mut self) -> Self {
        self.refuses = true;
        self
    }

    /// How to find the inner sink's error in the layer's. With this, errors are checked to be the same;
    /// else only that there is one.
    pub fn faults(mut self, fault: impl Fn(&S::Error) -> Option<Fault> + 'static) -> Self {
        self.fault = Some(Box::new(fault));
        self
    }

    /// How to get back the items that the layer holds, as from `into_parts`, the oldest first. With this,
    /// those arrived and those held are compared with those accepted, after every poll.
    pub fn conserves(mut self, held: impl Fn(S) -> Vec<Token> + 'static) -> Self
    where
        S: Unpin + 'static,
    {
        self.held = Some(Box::new(move |sink| held(*Pin::into_inner(sink))));
        self
    }
}

impl<I, S, F> SinkLaws<I, S, F>
where
    I: Tokens,
    S: Sink<Token>,
    F: Fn(Drain<I>, &TestClock) -> S,
{
    /// Checks all laws.
    ///
    /// # Panics
    ///
    /// When the layer breaks one, with a line for each that it breaks.
    #[track_caller]
    pub fn check(self) {
        let mut report = Report::new(&self.name);
        rules::check(&self, &mut report);
        report.finish();
    }
}

impl<I, S: Sink<Token>, F> fmt::Debug for SinkLaws<I, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkLaws").field("name", &self.name).finish_non_exhaustive()
    }
}
