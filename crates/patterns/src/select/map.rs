//! Many streams as one, each with a key.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use super::children::Children;
use super::policy::{Policy, RoundRobin};

/// Any number of streams of one type as one stream, each under a key that comes with its items.
///
/// As [`Merge`](super::Merge), which says what it costs, when it ends and which streams it takes. Keys
/// are found by their hash; each is stored twice and cloned once per item.
///
/// The stream ends when no stream is left, and goes on when another one is inserted. That one of several
/// has ended is seen from [`contains_key`](Self::contains_key) alone.
///
/// ```
/// use futures::{StreamExt, executor::block_on, stream};
/// use ziggurat_patterns::stream::MergeMap;
///
/// let mut map = MergeMap::new();
/// map.insert("odd", stream::iter([1, 3]));
/// map.insert("even", stream::iter([2, 4]));
/// let items: Vec<_> = block_on(map.by_ref().collect());
/// assert_eq!(items, [("odd", 1), ("even", 2), ("odd", 3), ("even", 4)]);
/// assert!(map.is_empty());
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct MergeMap<K, S, P: Policy = RoundRobin> {
    children: Children<K, S, P>,
    places: HashMap<K, usize>,
}

/// Streams are moved only if they are `Unpin`, and never pinned otherwise.
impl<K, S, P: Policy> Unpin for MergeMap<K, S, P> {}

impl<K, S> MergeMap<K, S> {
    /// Of no streams.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// Of no streams, with room for some.
    pub fn with_capacity(capacity: usize) -> Self {
        MergeMap {
            children: Children::with_capacity(capacity, RoundRobin),
            places: HashMap::with_capacity(capacity),
        }
    }
}

impl<K, S> Default for MergeMap<K, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, S, P: Policy> MergeMap<K, S, P> {
    /// The same streams with another policy. Each has the default share of it.
    pub fn with_policy<Q: Policy>(self, policy: Q) -> MergeMap<K, S, Q> {
        MergeMap { children: self.children.with_policy(policy), places: self.places }
    }

    /// How many streams there are that have not ended.
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// Whether there are no streams.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For how many streams there is room.
    pub fn capacity(&self) -> usize {
        self.children.capacity()
    }

    /// Drops all streams.
    pub fn clear(&mut self) {
        // Out of our hands before any of them is dropped.
        let places: Vec<_> = self.places.drain().collect();
        self.children.clear();
        drop(places);
    }

    /// The keys and their streams.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &S)> {
        self.children.iter().map(|(key, stream)| (key, stream))
    }

    /// The keys and their streams.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut S)> {
        self.children.iter_mut().map(|(key, stream)| (&*key, stream))
    }

    /// The keys of the streams that have not ended.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.children.iter().map(|(key, _)| key)
    }

    /// The streams.
    pub fn values(&self) -> impl Iterator<Item = &S> {
        self.children.iter().map(|(_, stream)| stream)
    }

    /// The streams.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.children.iter_mut().map(|(_, stream)| stream)
    }

    /// The keys and streams that have not ended. No item is held here.
    pub fn into_inner(self) -> Vec<(K, S)> {
        self.children.into_iter().collect()
    }
}

impl<K: Hash + Eq, S, P: Policy> MergeMap<K, S, P> {
    /// Adds a stream with the policy's default share. One that had the key is replaced and returned.
    pub fn insert(&mut self, key: K, stream: S) -> Option<S>
    where
        K: Clone,
    {
        self.insert_with(key, stream, P::Share::default())
    }

    /// As [`insert`](Self::insert), with the stream's share in terms of the policy.
    pub fn insert_with(&mut self, key: K, stream: S, share: P::Share) -> Option<S>
    where
        K: Clone,
    {
        let name = key.clone();
        let old = self.remove(&key);
        let place = self.children.insert(name, stream, share);
        self.places.insert(key, place);
        old
    }

    /// Takes a stream out. `None` if there is none with the key, or it has ended.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<S>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let place = self.place(key);
        self.places.remove(key);
        self.children.remove(place?).map(|(_, stream)| stream)
    }

    /// Where the stream with the key is. A key that panicked when its stream ended may have been left
    /// behind: by now the place may be another one's.
    fn place<Q>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let place = *self.places.get(key)?;
        let (name, _) = self.children.get(place)?;
        (name.borrow() == key).then_some(place)
    }

    /// Gives a stream another share. `false` if there is none with the key.
    pub fn set_share<Q>(&mut self, key: &Q, share: P::Share) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let place = self.place(key);
        place.inspect(|&place| self.children.set_share(place, share)).is_some()
    }

    /// The stream with the key.
    pub fn get<Q>(&self, key: &Q) -> Option<&S>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.children.get(self.place(key)?).map(|(_, stream)| stream)
    }

    /// The stream with the key.
    pub fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut S>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.children.get_mut(self.place(key)?).map(|(_, stream)| stream)
    }

    /// Whether there is a stream with the key that has not ended.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.place(key).is_some()
    }
}

impl<K: Hash + Eq + Clone, S: Stream + Unpin, P: Policy> MergeMap<K, S, P> {
    /// Up to `limit` items, which are added to `buffer` in the order that single polls would have given.
    ///
    /// `Pending` if there is none now; `Ready` of how many there were otherwise, and of 0 if no stream is
    /// left or `limit` is 0. One poll takes no more than 128 items.
    pub fn poll_next_many(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<(K, S::Item)>,
        limit: usize,
    ) -> Poll<usize> {
        self.poll_some(cx, buffer, limit).map(|(count, _)| count)
    }

    /// As `poll_next_many`; also whether there may be more at once.
    fn poll_some(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<(K, S::Item)>,
        limit: usize,
    ) -> Poll<(usize, bool)> {
        let places = &mut self.places;
        self.children.poll_many(
            cx,
            limit,
            |key| _ = places.remove(&key),
            |key, item| buffer.push((key.clone(), item)),
        )
    }

    /// The next items, up to `limit` of them, which are added to `buffer`; returns how many. 0 if no
    /// stream is left or `limit` is 0. Every 128 items other tasks get their turn.
    ///
    /// # Cancel safety
    ///
    /// What was received is in `buffer`: nothing is lost when the future is dropped.
    pub fn next_many<'a>(
        &'a mut self,
        buffer: &'a mut Vec<(K, S::Item)>,
        limit: usize,
    ) -> NextManyEntries<'a, K, S, P> {
        NextManyEntries { map: self, buffer, limit, taken: 0 }
    }
}

impl<K: Hash + Eq + Clone, S: Stream + Unpin, P: Policy> Stream for MergeMap<K, S, P> {
    type Item = (K, S::Item);

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let MergeMap { children, places } = &mut *self;
        let ended = |key| _ = places.remove(&key);
        children.poll_next(cx, ended, |key, _, item| (key.clone(), item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.children.size_hint()
    }
}

impl<K: Hash + Eq + Clone, S: Stream + Unpin, P: Policy> FusedStream for MergeMap<K, S, P> {
    fn is_terminated(&self) -> bool {
        self.is_empty()
    }
}

impl<K: Hash + Eq + Clone, S> FromIterator<(K, S)> for MergeMap<K, S> {
    fn from_iter<I: IntoIterator<Item = (K, S)>>(streams: I) -> Self {
        let streams = streams.into_iter();
        let mut map = Self::with_capacity(streams.size_hint().0);
        map.extend(streams);
        map
    }
}

impl<K: Hash + Eq + Clone, S, P: Policy> Extend<(K, S)> for MergeMap<K, S, P> {
    fn extend<I: IntoIterator<Item = (K, S)>>(&mut self, streams: I) {
        for (key, stream) in streams {
            self.insert(key, stream);
        }
    }
}

impl<K: fmt::Debug, S: fmt::Debug, P: Policy> fmt::Debug for MergeMap<K, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The future of [`MergeMap::next_many`].
#[must_use = "futures do nothing unless polled"]
pub struct NextManyEntries<'a, K, S: Stream, P: Policy = RoundRobin> {
    map: &'a mut MergeMap<K, S, P>,
    buffer: &'a mut Vec<(K, S::Item)>,
    limit: usize,
    taken: usize,
}

impl<K: Hash + Eq + Clone, S: Stream + Unpin, P: Policy> Future for NextManyEntries<'_, K, S, P> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let this = self.get_mut();
        let left = this.limit - this.taken;
        match this.map.poll_some(cx, this.buffer, left) {
            Poll::Ready((taken, more)) => {
                this.taken += taken;
                if !more {
                    return Poll::Ready(std::mem::take(&mut this.taken));
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            // The items of the polls before this one do not wait for more.
            Poll::Pending if this.taken > 0 => Poll::Ready(std::mem::take(&mut this.taken)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<K, S: Stream, P: Policy> fmt::Debug for NextManyEntries<'_, K, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextManyEntries").field("limit", &self.limit).finish_non_exhaustive()
    }
}
