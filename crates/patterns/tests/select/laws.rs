//! Each selection of streams and services, put through the laws of layers.

use std::num::NonZeroU32;

use futures::future::Either;
use futures::stream::{self, StreamExt};
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::select::{Biased, FirstOk, Policy, Priority, Random, RoundRobin, Weighted};
use ziggurat_patterns::service::{Fallback, Steer};
use ziggurat_patterns::stream::{
    CombineTuple, Merge, MergeMap, MergeTuple, RaceTuple, ZipTuple, merge, race, zip,
};
use ziggurat_patterns::testing::Token;
use ziggurat_patterns::testing::laws::{self, Source};

/// The source among others that end at once or after a while.
fn among_others<P: Policy + Copy + 'static>(name: &str, policy: P) {
    type Child = Either<Source, Either<stream::Empty<Token>, stream::BoxStream<'static, Token>>>;
    let make = move |source, policy| {
        let slow_end = stream::empty().chain(stream::once(yields()).filter_map(async |()| None));
        let others = [Either::Left(stream::empty()), Either::Right(slow_end.boxed())];
        let mut streams: Vec<Child> = others.into_iter().map(Either::Right).collect();
        streams.insert(1, Either::Left(source));
        merge(streams).with_policy(policy)
    };
    laws::stream(name, move |source, _| make(source, policy))
        .conserves(|merge: Merge<Child, P>| {
            drop(merge.into_inner());
            Vec::new()
        })
        .check();
}

/// `Pending` once, with a wake.
async fn yields() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

#[test]
fn merge_with_each_policy() {
    among_others("merge, round robin", RoundRobin);
    among_others("merge, biased", Biased);
    among_others("merge, weighted", Weighted);
    among_others("merge, priority", Priority::new(NonZeroU32::MIN));
    among_others("merge, random", Random::new(1));
}

#[test]
fn merge_map() {
    laws::stream("merge map", |source, _| MergeMap::from_iter([("key", source)]))
        .conserves(|map: MergeMap<_, _>| {
            drop(map.into_inner());
            Vec::new()
        })
        .check_with(|(_, token)| vec![token.id()]);
}

#[test]
fn merges_of_tuples() {
    laws::stream("first of 2", |source, _| (source, stream::empty()).merge()).check();
    laws::stream("last of 2, biased", |source, _| (stream::empty(), source).merge_biased()).check();
    laws::stream("merge_with", |source, _| source.merge_with(stream::empty())).check();
    laws::stream("middle of 8", |source, _| {
        let empty = stream::empty;
        let slow_end = stream::once(yields()).filter_map(async |()| None);
        (empty(), empty(), slow_end, source, empty(), empty(), empty(), empty()).merge()
    })
    .check();
}

#[test]
fn races() {
    laws::stream("race", |source, _| race([source])).check();
    laws::stream("race, keeping losers", |source, _| {
        race([stream::empty().boxed(), source.boxed(), stream::empty().boxed()]).keep_losers()
    })
    .check();
}

#[test]
fn races_of_tuples() {
    laws::stream("race of 2", |source, _| (source, stream::empty()).race()).check();
    laws::stream("race of 3, keeping losers", |source, _| {
        let slow_end = stream::once(yields()).filter_map(async |()| None);
        (slow_end, source, stream::empty()).race().keep_losers()
    })
    .check();
}

#[test]
fn zips() {
    laws::stream("zip, source first", |source, _| zip(source, stream::repeat(())))
        .conserves(|zip| {
            let (_, (held, _)) = zip.into_parts();
            Vec::from_iter(held)
        })
        .check_with(|(token, ())| vec![token.id()]);
    laws::stream("zip, source last", |source, _| zip(stream::repeat(()), source))
        .conserves(|zip| {
            let (_, (_, held)) = zip.into_parts();
            Vec::from_iter(held)
        })
        .check_with(|((), token)| vec![token.id()]);
    laws::stream("zip of 3 with a slow one", |source, clock| {
        let times = ziggurat_patterns::testing::Script::new(clock);
        let times = (0..2000)
            .fold(times, |script, n| if n % 3 == 0 { script.pending() } else { script }.item(n));
        (stream::repeat(()), source, times.build().0).zip()
    })
    .conserves(|zip| {
        let (_, (_, held, _)) = zip.into_parts();
        Vec::from_iter(held)
    })
    .check_with(|((), token, _)| vec![token.id()]);
}

#[test]
fn combinations() {
    laws::stream("combine latest, source first", |source, _| {
        (source, stream::iter([()])).combine_latest()
    })
    .check_with(|(token, ())| vec![token.id()]);
    laws::stream("combine latest, source last", |source, _| {
        (stream::iter([()]), stream::once(yields()), source).combine_latest()
    })
    .check_with(|((), (), token)| vec![token.id()]);
}

#[test]
fn switches() {
    laws::stream("switch, one inner stream", |source, _| stream::iter([source]).switch()).check();
    laws::stream("switch, a stream per item", |source, _| {
        source.map(|token| stream::iter([token])).switch()
    })
    .lossy()
    .check();
}

#[test]
fn services() {
    laws::service("steer", |inner, _| Steer::new([inner], |_: &Token, _: &[_]| 0))
        .faults(|error| error.clone().into_inner())
        .clones()
        .check();
    laws::service("fallback", |inner, _| Fallback::new([inner]).unwrap())
        .faults(|error| error.errors.first().copied())
        .clones()
        .check();
    laws::service("first ok", |inner, _| FirstOk::new([inner]).unwrap())
        .faults(|error| error.errors.first().copied())
        .clones()
        .check();
}
