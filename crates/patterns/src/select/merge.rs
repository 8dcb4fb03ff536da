//! Many streams as one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use super::children::Children;
use super::policy::{Policy, RoundRobin};

/// All items of all `streams`, as they come, and each stream's in its order.
///
/// The streams take turns; [`Merge::with_policy`] sets another rule.
///
/// ```
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::stream::merge;
///
/// let merged = merge(["ab", "c", "d"].map(|text| stream::iter(text.chars())));
/// let items: String = futures::executor::block_on(merged.collect());
/// assert_eq!(items, "acdb");
/// ```
pub fn merge<I: IntoIterator>(streams: I) -> Merge<I::Item> {
    streams.into_iter().collect()
}

/// Any number of streams of one type as one stream, to which others can be added and from which they can
/// be removed at any time.
///
/// Each stream has a waker of its own, so only those that were woken are polled: an item costs no more
/// polls among ten thousand streams that are idle than among two. A stream that has ended is removed
/// and dropped at once. The merged stream holds no items.
///
/// The streams have to be `Unpin`: they move when there are more of them. Box those that are not, with
/// [`Box::pin`].
///
/// It ends with `None` when no stream is left, at once if there never was one. That is not for good:
/// after another [`push`](Self::push) there are items again, and until then `is_terminated` is true.
/// Pushing wakes nobody; the new stream is polled with the next poll of the whole.
///
/// A poll that finds no item goes on to the next stream that was woken, but polls no more than 128;
/// then it wakes its own task and returns `Pending`. So streams that wake themselves again and again
/// share the executor with others.
///
/// ```
/// use futures::{StreamExt, executor::block_on, stream};
/// use ziggurat_patterns::stream::Merge;
///
/// let mut merged = Merge::new();
/// merged.push(stream::repeat("tick"));
/// let tock = merged.push(stream::repeat("tock"));
/// assert_eq!(block_on(merged.by_ref().take(3).collect::<Vec<_>>()), ["tick", "tock", "tick"]);
/// assert!(merged.remove(tock).is_some());
/// assert_eq!(block_on(merged.take(2).collect::<Vec<_>>()), ["tick", "tick"]);
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct Merge<S, P: Policy = RoundRobin> {
    children: Children<u64, S, P>,
    pushed: u64,
}

/// Streams are moved only if they are `Unpin`, and never pinned otherwise.
impl<S, P: Policy> Unpin for Merge<S, P> {}

/// Names a stream in the [`Merge`] that it was pushed to, for as long as it is there. Never used twice by
/// one `Merge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    serial: u64,
    place: usize,
}

impl<S> Merge<S> {
    /// Of no streams.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// Of no streams, with room for some.
    pub fn with_capacity(capacity: usize) -> Self {
        Merge { children: Children::with_capacity(capacity, RoundRobin), pushed: 0 }
    }
}

impl<S> Default for Merge<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, P: Policy> Merge<S, P> {
    /// The same streams with another policy. Each has the default share of it.
    pub fn with_policy<Q: Policy>(self, policy: Q) -> Merge<S, Q> {
        Merge { children: self.children.with_policy(policy), pushed: self.pushed }
    }

    /// Adds a stream, with the policy's default share.
    pub fn push(&mut self, stream: S) -> StreamId {
        self.push_with(stream, P::Share::default())
    }

    /// Adds a stream, with its share in terms of the policy.
    pub fn push_with(&mut self, stream: S, share: P::Share) -> StreamId {
        let serial = self.pushed;
        self.pushed += 1;
        StreamId { serial, place: self.children.insert(serial, stream, share) }
    }

    /// Takes a stream out. `None` if it has ended or was taken out before.
    pub fn remove(&mut self, id: StreamId) -> Option<S> {
        self.get(id)?;
        self.children.remove(id.place).map(|(_, stream)| stream)
    }

    /// Gives a stream another share. `false` if it is no longer there.
    pub fn set_share(&mut self, id: StreamId, share: P::Share) -> bool {
        let found = self.contains(id);
        if found {
            self.children.set_share(id.place, share);
        }
        found
    }

    /// A stream that is there.
    pub fn get(&self, id: StreamId) -> Option<&S> {
        let (serial, stream) = self.children.get(id.place)?;
        (*serial == id.serial).then_some(stream)
    }

    /// A stream that is there.
    pub fn get_mut(&mut self, id: StreamId) -> Option<&mut S> {
        let (serial, stream) = self.children.get_mut(id.place)?;
        (*serial == id.serial).then_some(stream)
    }

    /// Whether a stream is still there.
    pub fn contains(&self, id: StreamId) -> bool {
        self.get(id).is_some()
    }

    /// How many streams there are that have not ended.
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// Whether there are no streams.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops all streams.
    pub fn clear(&mut self) {
        self.children.clear();
    }

    /// The streams.
    pub fn iter(&self) -> impl Iterator<Item = &S> {
        self.children.iter().map(|(_, stream)| stream)
    }

    /// The streams.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.children.iter_mut().map(|(_, stream)| stream)
    }

    /// The streams that have not ended. No item is held here.
    pub fn into_inner(self) -> Vec<S> {
        self.children.into_iter().map(|(_, stream)| stream).collect()
    }
}

impl<S: Stream + Unpin, P: Policy> Merge<S, P> {
    /// Up to `limit` items, which are added to `buffer` in the order that single polls would have given.
    ///
    /// `Pending` if there is none now; `Ready` of how many there were otherwise, and of 0 if no stream is
    /// left or `limit` is 0. One poll takes no more than 128 items.
    pub fn poll_next_many(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<S::Item>,
        limit: usize,
    ) -> Poll<usize> {
        self.poll_some(cx, buffer, limit).map(|(count, _)| count)
    }

    /// As `poll_next_many`; also whether there may be more at once.
    fn poll_some(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<S::Item>,
        limit: usize,
    ) -> Poll<(usize, bool)> {
        self.children.poll_many(cx, limit, drop, |_, item| buffer.push(item))
    }

    /// The next items, up to `limit` of them, which are added to `buffer`; returns how many. 0 if no
    /// stream is left or `limit` is 0. Every 128 items other tasks get their turn.
    ///
    /// # Cancel safety
    ///
    /// What was received is in `buffer`: nothing is lost when the future is dropped.
    pub fn next_many<'a>(
        &'a mut self,
        buffer: &'a mut Vec<S::Item>,
        limit: usize,
    ) -> NextMany<'a, S, P> {
        NextMany { merge: self, buffer, limit, taken: 0 }
    }

    /// The next item, with the name of the stream that it is from, which may have been removed by the
    /// time the name is used.
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<Option<(StreamId, S::Item)>> {
        self.children.poll_next(cx, drop, |&serial, place, item| (StreamId { serial, place }, item))
    }
}

impl<S: Stream + Unpin, P: Policy> Stream for Merge<S, P> {
    type Item = S::Item;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.children.poll_next(cx, drop, |_, _, item| item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.children.size_hint()
    }
}

impl<S: Stream + Unpin, P: Policy> FusedStream for Merge<S, P> {
    fn is_terminated(&self) -> bool {
        self.is_empty()
    }
}

impl<S> FromIterator<S> for Merge<S> {
    fn from_iter<I: IntoIterator<Item = S>>(streams: I) -> Self {
        let streams = streams.into_iter();
        let mut merge = Self::with_capacity(streams.size_hint().0);
        merge.extend(streams);
        merge
    }
}

impl<S, P: Policy> Extend<S> for Merge<S, P> {
    fn extend<I: IntoIterator<Item = S>>(&mut self, streams: I) {
        for stream in streams {
            self.push(stream);
        }
    }
}

impl<S: fmt::Debug, P: Policy> fmt::Debug for Merge<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The future of [`Merge::next_many`].
#[must_use = "futures do nothing unless polled"]
pub struct NextMany<'a, S: Stream, P: Policy = RoundRobin> {
    merge: &'a mut Merge<S, P>,
    buffer: &'a mut Vec<S::Item>,
    limit: usize,
    taken: usize,
}

impl<S: Stream + Unpin, P: Policy> Future for NextMany<'_, S, P> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let this = self.get_mut();
        let left = this.limit - this.taken;
        match this.merge.poll_some(cx, this.buffer, left) {
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

impl<S: Stream, P: Policy> fmt::Debug for NextMany<'_, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextMany").field("limit", &self.limit).finish_non_exhaustive()
    }
}
