//! Who gets how much.

use std::num::NonZeroU32;

use futures::executor::block_on;
use futures::stream::{self, StreamExt};
use proptest::prelude::*;
use ziggurat_patterns::select::{
    Biased, Class, Policy, Priority, Random, RoundRobin, Weight, Weighted,
};
use ziggurat_patterns::stream::{Merge, MergeTuple};

use crate::support::spawn;

/// Which streams are ready: for each, a pattern of items and `Pending`s that repeats; all items for one
/// that is always ready. A `Pending` wakes at once.
#[derive(Debug, Clone)]
struct Pattern(Vec<bool>);

impl Pattern {
    fn always(&self) -> bool {
        self.0.iter().all(|&ready| ready)
    }

    fn stream(self, id: usize) -> stream::BoxStream<'static, usize> {
        let mut at = 0;
        stream::poll_fn(move |cx| {
            at = (at + 1) % self.0.len();
            if self.0[at] {
                return std::task::Poll::Ready(Some(id));
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .boxed()
    }
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        Just(Pattern(vec![true])),
        prop::collection::vec(any::<bool>(), 1..8)
            .prop_filter("has items", |pattern| pattern.contains(&true))
            .prop_map(Pattern),
    ]
}

/// The first `count` items, as the numbers of their streams.
fn order<P: Policy>(policy: P, streams: &[(Pattern, P::Share)], count: usize) -> Vec<usize> {
    let mut merged = Merge::new().with_policy(policy);
    for (id, (pattern, share)) in streams.iter().enumerate() {
        merged.push_with(pattern.clone().stream(id), *share);
    }
    let mut merged = spawn(merged);
    let mut items = Vec::new();
    while items.len() < count {
        if let std::task::Poll::Ready(Some(id)) = merged.poll() {
            items.push(id);
        } else {
            assert!(merged.is_woken());
        }
    }
    items
}

/// Where in `order` the items of stream `id` are.
fn positions(order: &[usize], is: impl Fn(usize) -> bool) -> Vec<usize> {
    (0..order.len()).filter(|&at| is(order[at])).collect()
}

proptest! {
    #[test]
    fn round_robin_is_fair(patterns in prop::collection::vec(pattern(), 1..100)) {
        let streams: Vec<_> = patterns.iter().map(|pattern| (pattern.clone(), ())).collect();
        let order = order(RoundRobin, &streams, 8 * patterns.len());
        for a in (0..patterns.len()).filter(|&a| patterns[a].always()) {
            for pair in positions(&order, |id| id == a).windows(2) {
                let between = &order[pair[0] + 1..pair[1]];
                for (b, pattern) in patterns.iter().enumerate().filter(|&(b, _)| b != a) {
                    let count = between.iter().filter(|&&id| id == b).count();
                    prop_assert!(count <= 1, "{b} came {count} times between two of {a}");
                    prop_assert!(count == 1 || !pattern.always(), "{b} was passed over");
                }
            }
        }
    }

    #[test]
    fn weighted_rounds_are_exact(weights in prop::collection::vec(1_u32..10, 1..70)) {
        let sum = weights.iter().sum::<u32>() as usize;
        let streams: Vec<_> = weights.iter().map(|&w| (Pattern(vec![true]), weight(w))).collect();
        for round in order(Weighted, &streams, 5 * sum).chunks(sum) {
            for (id, &weight) in weights.iter().enumerate() {
                prop_assert_eq!(positions(round, |other| other == id).len(), weight as usize);
            }
        }
    }

    #[test]
    fn weighted_shares_are_a_minimum(
        streams in prop::collection::vec((pattern(), 1_u32..10), 1..20),
    ) {
        let sum = streams.iter().map(|(_, weight)| weight).sum::<u32>() as usize;
        let shares: Vec<_> = streams.iter().map(|(p, w)| (p.clone(), weight(*w))).collect();
        let order = order(Weighted, &shares, 10 * sum);
        for (id, (_, weight)) in streams.iter().enumerate().filter(|(_, (p, _))| p.always()) {
            let count = positions(&order, |other| other == id).len();
            prop_assert!(count >= 10 * *weight as usize, "{id} came {count} times in 10 rounds");
        }
    }

    #[test]
    fn lower_classes_have_their_share(
        streams in prop::collection::vec((pattern(), 0_u8..5), 1..20),
        patience in 1_u32..10,
    ) {
        let shares: Vec<_> = streams.iter().map(|(p, class)| (p.clone(), Class(*class))).collect();
        let order = order(Priority::new(NonZeroU32::new(patience).unwrap()), &shares, 400);
        let mut classes: Vec<_> = streams.iter().map(|(_, class)| *class).collect();
        classes.sort_unstable();
        classes.dedup();
        let bound = patience as usize + classes.len() - 1;
        for class in classes {
            if !streams.iter().any(|(pattern, of)| *of == class && pattern.always()) {
                continue;
            }
            let mut last = None;
            for at in positions(&order, |id| streams[id].1 == class).into_iter().chain([order.len()]) {
                let gap = at - last.map_or(0, |last| last + 1);
                prop_assert!(gap <= bound, "class {class} waited for {gap} items of others");
                last = Some(at);
            }
        }
    }
}

fn weight(weight: u32) -> Weight {
    Weight::new(NonZeroU32::new(weight).unwrap())
}

/// So many streams that are always ready, with these shares.
fn ready<S: Copy>(shares: &[S]) -> Vec<(Pattern, S)> {
    shares.iter().map(|&share| (Pattern(vec![true]), share)).collect()
}

#[test]
fn biased_starves_those_that_come_later() {
    assert_eq!(order(Biased, &ready(&[(); 3]), 9), [0; 9]);
    let mut streams = ready(&[(); 3]);
    streams[0].0 = Pattern(vec![true, false]);
    let order = order(Biased, &streams, 100);
    assert!(!order.contains(&2) && order.contains(&0) && order.contains(&1));
}

#[test]
fn heavy_streams_do_not_come_in_one_piece() {
    let order = order(Weighted, &ready(&[weight(5), weight(3), weight(1)]), 18);
    assert_eq!(order, [0, 1, 2, 0, 1, 0, 1, 0, 0, 1, 2, 0, 1, 0, 1, 0, 0, 0]);
}

#[test]
fn urgent_classes_come_first_and_take_turns_within() {
    let classes = [Class(1), Class(0), Class(0), Class(1)];
    let order = order(Priority::new(NonZeroU32::new(4).unwrap()), &ready(&classes), 15);
    assert_eq!(order, [1, 2, 1, 2, 0, 1, 2, 1, 2, 3, 1, 2, 1, 2, 0]);
}

#[test]
fn chance_is_the_same_for_the_same_seed_and_for_all_streams() {
    // Two words of places, of which the second is nearly empty.
    let streams = ready(&[(); 70]);
    let items = 70 * 1000;
    let first = order(Random::new(3), &streams, items);
    assert_eq!(first, order(Random::new(3), &streams, items));
    assert_ne!(first, order(Random::new(4), &streams, items));
    for id in 0..70 {
        let count = positions(&first, |other| other == id).len();
        // A standard deviation is 31.
        assert!((850..1150).contains(&count), "{id} came {count} times of 1,000 on average");
    }
}

#[test]
fn tuples_take_turns_or_do_not() {
    let repeat = |c| stream::repeat(c);
    let take = |count| {
        move |merged: stream::BoxStream<'static, char>| {
            block_on(merged.take(count).collect::<String>())
        }
    };
    let three = || (repeat('a'), stream::iter("bb".chars()), repeat('c'));
    assert_eq!(take(9)(three().merge().boxed()), "abcabcaca");
    assert_eq!(take(5)(three().merge_biased().boxed()), "aaaaa");
    let all = (
        repeat('a'),
        repeat('b'),
        repeat('c'),
        repeat('d'),
        repeat('e'),
        repeat('f'),
        repeat('g'),
        repeat('h'),
    );
    assert_eq!(take(17)(all.merge().boxed()), "abcdefghabcdefgha");
    let late = (stream::empty(), stream::iter("b".chars()), repeat('c'));
    assert_eq!(take(3)(late.merge_biased().boxed()), "bcc");
}
