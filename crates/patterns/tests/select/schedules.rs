//! Random lives of merges: whatever happens, each item comes once and in order, and no wake is missing.

use std::num::NonZeroU32;
use std::task::Poll;

use futures::channel::mpsc;
use proptest::prelude::*;
use ziggurat_patterns::select::{Biased, Policy, Priority, Random, RoundRobin, Weighted};
use ziggurat_patterns::stream::{Merge, MergeMap, StreamId};

use crate::support::{Task, spawn};

/// An item: the number of its stream, and its own.
type Item = (usize, u32);
type Receiver = mpsc::UnboundedReceiver<Item>;

#[derive(Debug, Clone)]
enum Act {
    Insert,
    /// So many items into a stream.
    Send(prop::sample::Index, u32),
    Close(prop::sample::Index),
    Remove(prop::sample::Index),
    /// At most so many polls.
    Poll(u8),
    Many(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        2 => Just(Act::Insert),
        6 => (index(), 1_u32..4).prop_map(|(stream, items)| Act::Send(stream, items)),
        1 => index().prop_map(Act::Close),
        1 => index().prop_map(Act::Remove),
        4 => (1_u8..20).prop_map(Act::Poll),
        1 => (0_u8..20).prop_map(Act::Many),
    ]
}

/// What a merge with keys and one without have in common.
trait Subject {
    type Key: Copy;
    fn insert(&mut self, number: usize, stream: Receiver) -> Self::Key;
    fn take(&mut self, key: Self::Key) -> Option<Receiver>;
    fn poll(&mut self) -> Poll<Option<Item>>;
    fn many(&mut self, limit: usize) -> Poll<Vec<Item>>;
    fn woken(&self) -> bool;
}

impl<P: Policy> Subject for Task<Merge<Receiver, P>> {
    type Key = StreamId;

    fn insert(&mut self, _: usize, stream: Receiver) -> StreamId {
        self.push(stream)
    }

    fn take(&mut self, key: StreamId) -> Option<Receiver> {
        self.remove(key)
    }

    fn poll(&mut self) -> Poll<Option<Item>> {
        Task::poll(self)
    }

    fn many(&mut self, limit: usize) -> Poll<Vec<Item>> {
        let mut items = Vec::new();
        let result = self.with(|merged, cx| merged.poll_next_many(cx, &mut items, limit));
        result.map(|count| {
            assert_eq!(count, items.len());
            items
        })
    }

    fn woken(&self) -> bool {
        self.is_woken()
    }
}

impl<P: Policy> Subject for Task<MergeMap<usize, Receiver, P>> {
    type Key = usize;

    fn insert(&mut self, number: usize, stream: Receiver) -> usize {
        assert!(MergeMap::insert(self, number, stream).is_none());
        number
    }

    fn take(&mut self, key: usize) -> Option<Receiver> {
        let there = self.contains_key(&key);
        let stream = self.remove(&key);
        assert_eq!(stream.is_some(), there);
        stream
    }

    fn poll(&mut self) -> Poll<Option<Item>> {
        Task::poll(self).map(|item| item.map(unkey))
    }

    fn many(&mut self, limit: usize) -> Poll<Vec<Item>> {
        let mut items = Vec::new();
        let result = self.with(|map, cx| map.poll_next_many(cx, &mut items, limit));
        result.map(|_| items.into_iter().map(unkey).collect())
    }

    fn woken(&self) -> bool {
        self.is_woken()
    }
}

fn unkey((key, item): (usize, Item)) -> Item {
    assert_eq!(key, item.0);
    item
}

struct Model<K> {
    /// Of each stream ever: its sender while it is open, its key, and how many items were sent and came.
    streams: Vec<(Option<mpsc::UnboundedSender<Item>>, K, u32, u32)>,
    /// If the last poll was `Pending`, how many streams there had been until then.
    waits: Option<usize>,
}

impl<K: Copy> Model<K> {
    fn came(&mut self, (stream, number): Item) {
        let (_, _, sent, came) = &mut self.streams[stream];
        assert_eq!(number, *came, "out of order");
        *came += 1;
        assert!(*came <= *sent);
    }

    /// Something happened to a stream that is in the merge. If it was added after the last poll,
    /// nobody is told.
    fn expect_wake(&self, stream: usize, subject: &impl Subject) {
        let told = self.waits.is_some_and(|known| stream < known);
        assert!(!told || subject.woken(), "a wake is missing");
    }
}

fn live<S: Subject>(mut subject: S, acts: Vec<Act>) {
    let mut model = Model { streams: Vec::new(), waits: None };
    let mut removed = Vec::new();
    for act in acts {
        let count = model.streams.len();
        match act {
            Act::Insert => {
                let (sender, receiver) = mpsc::unbounded();
                let key = subject.insert(count, receiver);
                model.streams.push((Some(sender), key, 0, 0));
            }
            Act::Send(index, items) if count > 0 => {
                let stream = index.index(count);
                let (Some(sender), _, sent, _) = &mut model.streams[stream] else { continue };
                for _ in 0..items {
                    sender.unbounded_send((stream, *sent)).unwrap();
                    *sent += 1;
                }
                if !removed.contains(&stream) {
                    model.expect_wake(stream, &subject);
                }
            }
            Act::Close(index) if count > 0 => {
                let stream = index.index(count);
                if model.streams[stream].0.take().is_some() && !removed.contains(&stream) {
                    model.expect_wake(stream, &subject);
                }
            }
            Act::Remove(index) if count > 0 => {
                let stream = index.index(count);
                if let Some(mut receiver) = subject.take(model.streams[stream].1) {
                    assert!(!removed.contains(&stream));
                    removed.push(stream);
                    // What it still has is in it.
                    while let Ok(item) = receiver.try_recv() {
                        model.came(item);
                    }
                    // Nobody reads the rest.
                    model.streams[stream].0 = None;
                }
            }
            Act::Poll(polls) => {
                for _ in 0..polls {
                    let result = subject.poll();
                    model.waits = result.is_pending().then_some(model.streams.len());
                    match result {
                        Poll::Ready(Some(item)) => model.came(item),
                        _ => break,
                    }
                }
            }
            Act::Many(limit) => {
                let result = subject.many(limit.into());
                model.waits = result.is_pending().then_some(model.streams.len());
                if let Poll::Ready(items) = result {
                    assert!(items.len() <= limit.into());
                    items.into_iter().for_each(|item| model.came(item));
                }
            }
            Act::Send(..) | Act::Close(_) | Act::Remove(_) => {}
        }
    }
    finish(subject, model);
}

/// All streams are closed, and all that was sent comes.
fn finish<S: Subject>(mut subject: S, mut model: Model<S::Key>) {
    model.streams.iter_mut().for_each(|stream| stream.0 = None);
    loop {
        match subject.poll() {
            Poll::Ready(Some(item)) => model.came(item),
            Poll::Ready(None) => break,
            Poll::Pending => assert!(subject.woken(), "it neither ends nor wakes"),
        }
    }
    for (number, (_, _, sent, came)) in model.streams.iter().enumerate() {
        assert_eq!(sent, came, "stream {number}");
    }
}

fn both<P: Policy>(policy: impl Fn() -> P, acts: &[Act]) {
    live(spawn(Merge::new().with_policy(policy())), acts.to_vec());
    live(spawn(MergeMap::new().with_policy(policy())), acts.to_vec());
}

proptest! {
    #[test]
    fn nothing_is_lost_doubled_or_out_of_order(acts in prop::collection::vec(act(), 0..200)) {
        both(|| RoundRobin, &acts);
        both(|| Biased, &acts);
        both(|| Weighted, &acts);
        both(|| Priority::new(NonZeroU32::new(2).unwrap()), &acts);
        both(|| Random::new(5), &acts);
    }
}
