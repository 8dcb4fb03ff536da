//! The laws of stream layers: what they are, and what a layer says about itself.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;

use futures_core::FusedStream;

use super::report::Report;
use super::scripts::{Input, PLANS};
use super::{Fault, Source, Token, Tokens, TrySource, TryToken};
use crate::testing::ScriptedStream;
use crate::time::TestClock;

mod rules;

use rules::Case;

/// The laws for a layer over a stream of [`Token`]s.
///
/// `make` puts the layer on its source; it is called anew for each run. Nothing is checked before
/// [`check`](StreamLaws::check).
pub fn stream<S, F>(
    name: &str,
    make: F,
) -> StreamLaws<Token, S, impl Fn(Vec<Source>, &TestClock) -> S>
where
    F: Fn(Source, &TestClock) -> S,
    S: FusedStream,
{
    streams(name, 1, move |sources: Vec<Source>, clock: &TestClock| make(only(sources), clock))
}

/// The laws for a layer over a stream of `Result<`[`Token`]`, `[`Fault`]`>`: as [`stream`], with errors
/// among the items.
pub fn try_stream<S, F>(
    name: &str,
    make: F,
) -> StreamLaws<TryToken, S, impl Fn(Vec<TrySource>, &TestClock) -> S>
where
    F: Fn(TrySource, &TestClock) -> S,
    S: FusedStream,
{
    try_streams(name, 1, move |sources: Vec<TrySource>, clock: &TestClock| {
        make(only(sources), clock)
    })
}

/// The laws for what makes one stream of `count` streams of [`Token`]s, as a merge does.
///
/// The sources have different scripts. The order is kept if that of each source is.
///
/// ```
/// use futures::stream::select;
/// use ziggurat_patterns::testing::laws;
///
/// laws::streams("select", 2, |mut sources, _clock| {
///     let (b, a) = (sources.pop(), sources.pop());
///     select(a.unwrap(), b.unwrap())
/// })
/// .check();
/// ```
pub fn streams<S, F>(name: &str, count: usize, make: F) -> StreamLaws<Token, S, F>
where
    F: Fn(Vec<Source>, &TestClock) -> S,
    S: FusedStream,
{
    StreamLaws::new(name, count, make)
}

/// As [`streams`], over streams of `Result<`[`Token`]`, `[`Fault`]`>`.
pub fn try_streams<S, F>(name: &str, count: usize, make: F) -> StreamLaws<TryToken, S, F>
where
    F: Fn(Vec<TrySource>, &TestClock) -> S,
    S: FusedStream,
{
    StreamLaws::new(name, count, make)
}

fn only<T>(sources: Vec<T>) -> T {
    sources.into_iter().next().expect("one source")
}

/// The laws for a stream layer, and what is known about the layer. Made by [`stream`], [`try_stream`],
/// [`streams`] and [`try_streams`].
///
/// * Construction arms no timer, polls nothing and needs no runtime.
/// * The source is not polled after it has returned `None`. Nothing panics.
/// * After `None` comes `None`, and [`FusedStream::is_terminated`] says so.
/// * `size_hint` is true before every poll, and promises nothing after `None`.
/// * One poll polls a source that is always ready, with items, one item or errors, at most 128 times
///   ([`bound`](Self::bound)).
/// * Every `Pending` is followed by a wake, of the waker of the last poll, unless the source stalls.
/// * A poll without a wake changes nothing.
/// * A drop at any time leaves neither items nor timers behind.
/// * All items come out, once and in order; with [`conserves`](Self::conserves) that is so after each
///   poll, with [`faults`](Self::faults) for errors too. [`unordered`](Self::unordered) and
///   [`lossy`](Self::lossy) layers say so.
///
/// ```should_panic
/// use futures::StreamExt;
/// use ziggurat_patterns::testing::laws;
///
/// // Drops every other item, and did not say so.
/// laws::stream("half", |source, _| {
///     source.filter(|token| std::future::ready(token.id() % 2 == 0))
/// })
/// .check();
/// ```
#[must_use = "nothing is checked before `check`"]
pub struct StreamLaws<I, S: FusedStream, F> {
    name: String,
    count: usize,
    make: F,
    bound: usize,
    ordered: bool,
    lossy: bool,
    faults: Option<FindFaults<S::Item>>,
    held: Option<Held<S>>,
    source: PhantomData<fn(I)>,
}

type FindFaults<T> = Box<dyn Fn(&T) -> Vec<Fault>>;

/// Takes a stream apart, for the items that it holds.
type Held<S> = Box<dyn Fn(Pin<Box<S>>) -> Vec<Token>>;

impl<I, S: FusedStream, F> StreamLaws<I, S, F> {
    fn new(name: &str, count: usize, make: F) -> Self {
        StreamLaws {
            name: name.to_owned(),
            count,
            make,
            bound: 128,
            ordered: true,
            lossy: false,
            faults: None,
            held: None,
            source: PhantomData,
        }
    }

    /// Allows one poll to poll the source so many times.
    pub fn bound(mut self, polls: usize) -> Self {
        self.bound = polls;
        self
    }

    /// The layer may change the order of items.
    pub fn unordered(mut self) -> Self {
        self.ordered = false;
        self
    }

    /// The layer drops items by its policy. Those that come out are still checked for order and doubles.
    pub fn lossy(mut self) -> Self {
        self.lossy = true;
        self
    }

    /// How to find the source's errors in an item of the layer. With this, all of them come out, in their
    /// order.
    pub fn faults<R>(mut self, faults: impl Fn(&S::Item) -> R + 'static) -> Self
    where
        R: IntoIterator<Item = Fault>,
    {
        self.faults = Some(Box::new(move |item| faults(item).into_iter().collect()));
        self
    }

    /// How to get back the items that the layer holds, as from `into_parts`, the oldest first. With this,
    /// those delivered and those held are compared with those that the source gave, after every poll.
    pub fn conserves(mut self, held: impl Fn(S) -> Vec<Token> + 'static) -> Self
    where
        S: Unpin + 'static,
    {
        self.held = Some(Box::new(move |stream| held(*Pin::into_inner(stream))));
        self
    }
}

impl<I, S, F> StreamLaws<I, S, F>
where
    I: Input,
    S: FusedStream,
    F: Fn(Vec<ScriptedStream<I>>, &TestClock) -> S,
{
    /// Checks all laws.
    ///
    /// # Panics
    ///
    /// When the layer breaks one, with a line for each that it breaks.
    #[track_caller]
    pub fn check(self)
    where
        S::Item: Tokens,
    {
        self.check_with(Tokens::ids);
    }

    /// As [`check`](Self::check), for items that do not implement [`Tokens`]: `ids` finds the numbers of the
    /// tokens in one.
    ///
    /// # Panics
    ///
    /// When the layer breaks a law, with a line for each that it breaks.
    #[track_caller]
    pub fn check_with(self, ids: impl Fn(&S::Item) -> Vec<u64>) {
        let mut report = Report::new(&self.name);
        let fit = PLANS.iter().enumerate().filter(|(_, plan)| plan.fits::<I>());
        for (position, _) in fit {
            Case::new(&self, position, &ids).check(&mut report);
        }
        for (name, kind) in rules::Endless::ALL {
            report.run(name, rules::COOPERATION, || rules::cooperation(&self, kind));
        }
        report.finish();
    }
}

impl<I, S: FusedStream, F> fmt::Debug for StreamLaws<I, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamLaws").field("name", &self.name).finish_non_exhaustive()
    }
}
