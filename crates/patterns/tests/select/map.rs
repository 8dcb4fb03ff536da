//! The tests of tokio-stream's `StreamMap`, on `MergeMap`.

use std::future::poll_fn;
use std::task::Poll;

use futures::channel::mpsc;
use futures::executor::block_on;
use futures::stream::{self, BoxStream, FusedStream, Stream, StreamExt, iter, pending};
use ziggurat_patterns::stream::MergeMap;

use crate::support::{Monster, spawn};

fn ready<T>(item: T) -> Poll<Option<T>> {
    Poll::Ready(Some(item))
}

#[test]
fn empty() {
    let mut map = MergeMap::<&str, stream::Pending<()>>::new();
    assert_eq!(map.len(), 0);
    assert!(map.is_empty());
    assert!(block_on(map.next()).is_none());
    assert!(block_on(map.next()).is_none());
    assert!(map.is_terminated());
    assert!(map.remove("foo").is_none());
}

#[test]
fn single_entry() {
    let mut map = spawn(MergeMap::new());
    let (tx, rx) = mpsc::unbounded();
    assert_eq!(map.poll(), Poll::Ready(None));
    assert!(map.insert("foo", rx).is_none());
    assert!(!map.is_terminated());
    assert!(map.contains_key("foo"));
    assert!(!map.contains_key("bar"));
    assert_eq!(map.len(), 1);
    assert!(!map.is_empty());
    for n in 1..3 {
        assert!(map.poll().is_pending());
        tx.unbounded_send(n).unwrap();
        assert!(map.is_woken());
        assert_eq!(map.poll(), ready(("foo", n)));
    }
    assert!(map.poll().is_pending());
    drop(tx);
    assert!(map.is_woken());
    assert_eq!(map.poll(), Poll::Ready(None));
    assert!(!map.contains_key("foo"));
}

#[test]
fn multiple_entries() {
    let mut map = spawn(MergeMap::new());
    let (tx1, rx1) = mpsc::unbounded();
    let (tx2, rx2) = mpsc::unbounded();
    map.insert("foo", rx1);
    map.insert("bar", rx2);
    assert!(map.poll().is_pending());
    tx1.unbounded_send(1).unwrap();
    assert!(map.is_woken());
    assert_eq!(map.poll(), ready(("foo", 1)));
    assert!(map.poll().is_pending());
    tx2.unbounded_send(2).unwrap();
    assert!(map.is_woken());
    assert_eq!(map.poll(), ready(("bar", 2)));
    assert!(map.poll().is_pending());

    tx1.unbounded_send(3).unwrap();
    tx2.unbounded_send(4).unwrap();
    assert!(map.is_woken());
    let (mut items, ended) = map.drain();
    items.sort_unstable();
    assert_eq!((items, ended), (vec![("bar", 4), ("foo", 3)], false));

    drop(tx1);
    assert!(map.is_woken());
    assert!(map.poll().is_pending());
    drop(tx2);
    assert!(map.is_woken());
    assert_eq!(map.poll(), Poll::Ready(None));
}

#[test]
fn insert_remove() {
    let mut map = spawn(MergeMap::new());
    let (tx, rx) = mpsc::unbounded();
    assert_eq!(map.poll(), Poll::Ready(None));
    assert!(map.insert("foo", rx).is_none());
    let rx = map.remove("foo").unwrap();
    tx.unbounded_send(1).unwrap();
    assert!(!map.is_woken());
    assert_eq!(map.poll(), Poll::Ready(None));
    assert!(map.insert("bar", rx).is_none());
    assert_eq!(map.poll(), ready(("bar", 1)));
    assert!(map.remove("bar").is_some());
    assert_eq!(map.poll(), Poll::Ready(None));
    assert!(map.is_empty());
    assert_eq!(map.len(), 0);
}

#[test]
fn replace() {
    let mut map = spawn(MergeMap::new());
    let (tx1, rx1) = mpsc::unbounded();
    let (tx2, rx2) = mpsc::unbounded();
    assert!(map.insert("foo", rx1).is_none());
    assert!(map.poll().is_pending());
    let mut rx1 = map.insert("foo", rx2).unwrap();
    assert!(map.poll().is_pending());
    tx1.unbounded_send(1).unwrap();
    assert!(map.poll().is_pending());
    tx2.unbounded_send(2).unwrap();
    assert!(map.is_woken());
    assert_eq!(map.poll(), ready(("foo", 2)));
    assert_eq!(block_on(rx1.next()), Some(1));
}

#[test]
fn size_hints() {
    let mut map = MergeMap::new();
    map.insert("a", iter(vec![1]).boxed());
    map.insert("b", iter(vec![1, 2]).boxed());
    assert_eq!(map.size_hint(), (3, Some(3)));
    map.insert("c", iter(vec![1, 2, 3]).boxed());
    assert_eq!(map.len(), 3);
    assert_eq!(map.size_hint(), (6, Some(6)));
    map.insert("c", stream::unfold((), async |()| Some((1, ()))).boxed());
    assert_eq!(map.size_hint(), (3, None));

    let map = MergeMap::from_iter([("a", Monster), ("b", Monster)]);
    assert_eq!(map.size_hint(), (usize::MAX, None));
}

#[test]
fn capacity() {
    let map = MergeMap::<&str, stream::Pending<()>>::new();
    assert_eq!(map.capacity(), 0);
    assert!(map.keys().next().is_none());
    let map = MergeMap::<&str, stream::Pending<()>>::with_capacity(10);
    assert!(map.capacity() >= 10);
    assert!(map.keys().next().is_none());
}

#[test]
fn keys_and_values() {
    let streams = [("a", iter(vec![1])), ("b", iter(vec![1, 2])), ("c", iter(vec![1, 2, 3]))];
    let mut map = MergeMap::from_iter(streams);
    assert_eq!(map.keys().collect::<Vec<_>>(), [&"a", &"b", &"c"]);
    let hints = |map: &MergeMap<_, stream::Iter<_>>| {
        map.values().map(|stream| stream.size_hint().0).collect::<Vec<_>>()
    };
    assert_eq!(hints(&map), [1, 2, 3]);
    for stream in map.values_mut() {
        assert!(block_on(stream.next()).is_some());
    }
    assert_eq!(hints(&map), [0, 1, 2]);
    let hints: Vec<_> = map.iter().map(|(key, stream)| (*key, stream.size_hint().0)).collect();
    assert_eq!(hints, [("a", 0), ("b", 1), ("c", 2)]);
    assert_eq!(map.iter_mut().count(), 3);
    assert_eq!(map.get("b").unwrap().size_hint().0, 1);
    assert_eq!(block_on(map.get_mut("c").unwrap().next()), Some(2));
    let left: Vec<_> = map.into_inner().into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, ["a", "b", "c"]);
}

#[test]
fn clear() {
    let mut map = spawn(MergeMap::from_iter([("a", iter(vec![1])), ("b", iter(vec![1, 2]))]));
    assert!(matches!(map.poll(), Poll::Ready(Some(_))));
    map.clear();
    assert_eq!(map.poll(), Poll::Ready(None));
    assert!(map.is_empty() && !map.contains_key("a"));
}

#[test]
fn contains_key_borrow() {
    let map = MergeMap::from_iter([("foo".to_string(), pending::<()>())]);
    assert!(map.contains_key("foo"));
}

#[test]
fn one_ready_many_none() {
    let mut map = spawn(MergeMap::new());
    map.insert(0, stream::empty().boxed());
    map.insert(1, stream::empty().boxed());
    map.insert(2, iter(["hello"]).boxed());
    map.insert(3, pending().boxed());
    assert_eq!(map.poll(), ready((2, "hello")));
    assert!(!map.contains_key(&0));
}

type Numbers = BoxStream<'static, usize>;

fn numbers(lengths: &[usize]) -> MergeMap<usize, Numbers> {
    lengths.iter().map(|&length| iter(0..length).boxed()).enumerate().collect()
}

#[test]
fn next_many_of_nothing() {
    let mut map = MergeMap::<usize, Numbers>::new();
    assert_eq!(block_on(map.next_many(&mut vec![], 1)), 0);
    map.insert(0, pending().boxed());
    assert_eq!(block_on(map.next_many(&mut vec![], 0)), 0);
    assert_eq!(block_on(poll_fn(|cx| map.poll_next_many(cx, &mut vec![], 0))), 0);
    let mut map = spawn(map);
    assert!(map.with(|map, cx| map.poll_next_many(cx, &mut vec![], 1)).is_pending());
}

#[test]
fn next_many_gives_what_there_is_up_to_the_limit() {
    for (limit, count) in [(1, 1), (2, 2), (3, 2)] {
        let mut map = numbers(&[1, 1]);
        let mut buffer = vec![];
        assert_eq!(block_on(map.next_many(&mut buffer, limit)), count);
        assert_eq!(buffer, [(0, 0), (1, 0)][..count]);
    }
}

#[test]
fn next_many_loops_around() {
    let mut map = numbers(&[1, 2, 3]);
    let mut take = |limit| {
        let mut buffer = vec![];
        assert_eq!(block_on(map.next_many(&mut buffer, limit)), limit);
        buffer.into_iter().map(|(_, item)| item).collect::<Vec<_>>()
    };
    assert_eq!(take(3), [0, 0, 0]);
    assert_eq!(take(2), [1, 1]);
    assert_eq!(take(1), [2]);
}

/// What came before the first `Pending` is there, and the rest comes with a wake.
#[test]
fn next_many_stops_at_pending_and_is_woken() {
    let (tx, rx) = mpsc::unbounded();
    let mut map = spawn(MergeMap::from_iter([("a", rx)]));
    tx.unbounded_send(1).unwrap();
    let mut buffer = vec![];
    assert_eq!(map.with(|map, cx| map.poll_next_many(cx, &mut buffer, 9)), Poll::Ready(1));
    assert!(map.with(|map, cx| map.poll_next_many(cx, &mut buffer, 9)).is_pending());
    tx.unbounded_send(2).unwrap();
    assert!(map.is_woken());
    drop(tx);
    assert_eq!(map.with(|map, cx| map.poll_next_many(cx, &mut buffer, 9)), Poll::Ready(1));
    assert_eq!(buffer, [("a", 1), ("a", 2)]);
    assert!(map.is_empty());
}
