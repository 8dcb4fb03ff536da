//! Keys that panic: nothing else is lost, and nothing goes where it does not belong.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};
use std::thread;

use futures::stream::FusedStream;
use futures::{StreamExt, stream};
use ziggurat_patterns::StreamLayerExt;
use ziggurat_patterns::group_by::{GroupByLayer, OnDrop, WhenFull};
use ziggurat_patterns::stream::MergeMap;

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

/// A key that panics when the fuse has burnt down: in its `clone`, `hash`, `eq` or `drop`.
#[derive(Debug)]
struct Touchy(u32);

thread_local! {
    static FUSE: Cell<Option<u32>> = const { Cell::new(None) };
}

fn burn() {
    let Some(left) = FUSE.get() else { return };
    FUSE.set(left.checked_sub(1));
    assert!(left > 0 || thread::panicking(), "boom");
}

impl Clone for Touchy {
    fn clone(&self) -> Self {
        burn();
        Touchy(self.0)
    }
}

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        burn();
        self.0.hash(state);
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        burn();
        self.0 == other.0
    }
}

impl Eq for Touchy {}

impl Drop for Touchy {
    fn drop(&mut self) {
        burn();
    }
}

/// Whatever a key does, one item is lost with it at most, and no group gets an item of another one.
#[test]
fn a_key_that_panics_loses_one_item_and_no_slot() {
    for when_full in [WhenFull::Error, WhenFull::EvictIdle] {
        for fuse in 0.. {
            FUSE.set(Some(fuse));
            let (items, panics) = keyed_run(when_full);
            if FUSE.take().is_some() {
                assert!(fuse > 200, "{fuse}");
                assert_eq!(items, (0..60).collect::<Vec<_>>());
                break;
            }
            assert!(panics <= 1);
            let lost = (0..60).filter(|item| !items.contains(item)).count();
            assert!(lost <= 1 && items.len() + lost == 60, "{fuse}: {items:?}");
        }
    }
}

/// All items, of groups some of which are dropped early, sorted; and how many panics there were.
fn keyed_run(when_full: WhenFull) -> (Vec<u32>, u32) {
    let layer = GroupByLayer::new(|item: &u32| Touchy(item * item % 7), n(2), n(3));
    let layer = layer.when_full(when_full).on_drop(OnDrop::Reopen);
    let mut groups = stream::iter(0..60_u32).layer(layer);
    let (mut open, mut items, mut panics) = (Vec::new(), Vec::new(), 0);
    let mut cx = Context::from_waker(Waker::noop());
    for round in 0.. {
        assert!(round < 1000, "it never ends");
        let step = catch_unwind(AssertUnwindSafe(|| match groups.poll_next_unpin(&mut cx) {
            Poll::Ready(Some(Ok((key, group)))) => open.push((key.0, group)),
            Poll::Ready(Some(Err(error))) => {
                let (_key, item) = error.into_parts();
                items.push(item);
            }
            Poll::Ready(None) | Poll::Pending => {}
        }));
        panics += u32::from(step.is_err());
        let mut kept = Vec::new();
        for (index, (key, mut group)) in std::mem::take(&mut open).into_iter().enumerate() {
            let step = catch_unwind(AssertUnwindSafe(|| group.poll_next_unpin(&mut cx)));
            match step {
                Ok(Poll::Ready(Some(item))) => {
                    assert_eq!(item * item % 7, key, "an item of another group");
                    items.push(item);
                    // Some go with items in them, as long as the source has more.
                    if (round + index) % 5 > 0 || items.len() > 40 {
                        kept.push((key, group));
                    }
                }
                Ok(Poll::Pending) if round % 3 > 0 || items.len() > 40 => kept.push((key, group)),
                Ok(_) => {}
                Err(_) => {
                    panics += 1;
                    kept.push((key, group));
                }
            }
        }
        open = kept;
        if groups.is_terminated() && open.is_empty() {
            break;
        }
    }
    panics += u32::from(catch_unwind(AssertUnwindSafe(|| drop(groups))).is_err());
    items.sort_unstable();
    (items, panics)
}

#[test]
fn a_key_of_a_merge_does_not_name_another_ones_stream() {
    for fuse in 0..200 {
        let key = Touchy;
        let mut map = MergeMap::new();
        map.insert(key(0), stream::iter(vec![0]).left_stream());
        map.insert(key(1), stream::pending().right_stream());
        FUSE.set(Some(fuse));
        let mut cx = Context::from_waker(Waker::noop());
        // The first ends; its key may be left behind.
        for _ in 0..3 {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(map.poll_next_unpin(&mut cx))));
        }
        // Another one takes its place, and is not taken for it.
        let third =
            AssertUnwindSafe(|| drop(map.insert(key(2), stream::iter(vec![2]).left_stream())));
        let _ = catch_unwind(third);
        FUSE.set(None);
        assert!(map.get(&key(0)).is_none() && map.remove(&key(0)).is_none());
        assert!(map.insert(key(0), stream::iter(vec![0]).left_stream()).is_none());
        let mut items = Vec::new();
        while let Poll::Ready(Some((key, item))) = map.poll_next_unpin(&mut cx) {
            assert_eq!(key.0, item);
            items.push(item);
        }
        assert!(items.contains(&0));
        assert!(map.contains_key(&key(1)));
    }
}
