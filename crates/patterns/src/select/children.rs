//! The streams that `Merge` and `MergeMap` poll, in places that are numbered from 0.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::policy::{Policy, State};
use crate::wake_set::{Bits, WakeSet};

/// How often one poll polls children that have no item. Then the task is woken and others get their turn.
const POLLS: usize = 128;

/// Places for streams, each with something that names it.
pub(super) struct Children<N, S, P: Policy> {
    places: Vec<Option<(N, S)>>,
    /// Places that were left. Those beyond `places` are free too.
    free: Bits,
    len: usize,
    wakes: WakeSet,
    policy: P::State,
}

impl<N, S, P: Policy> Children<N, S, P> {
    pub(super) fn with_capacity(capacity: usize, policy: P) -> Self {
        Children {
            places: Vec::with_capacity(capacity),
            free: Bits::new(capacity),
            len: 0,
            wakes: WakeSet::new(capacity),
            policy: policy.into_state(),
        }
    }

    /// The same children, with the default share each.
    pub(super) fn with_policy<Q: Policy>(self, policy: Q) -> Children<N, S, Q> {
        let Children { places, free, len, wakes, .. } = self;
        let mut policy = policy.into_state();
        for (child, _) in places.iter().enumerate().filter(|(_, place)| place.is_some()) {
            policy.admit(child, Q::Share::default());
        }
        Children { places, free, len, wakes, policy }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn capacity(&self) -> usize {
        self.places.capacity()
    }

    /// Puts a child into the first free place.
    pub(super) fn insert(&mut self, name: N, stream: S, share: P::Share) -> usize {
        let child = self.free.first().unwrap_or(self.places.len());
        if child == self.wakes.capacity() {
            self.wakes.grow((2 * child).max(4));
            self.free.grow(self.wakes.capacity());
        }
        if child == self.places.len() {
            self.places.push(Some((name, stream)));
        } else {
            self.free.remove(child);
            self.places[child] = Some((name, stream));
        }
        self.len += 1;
        self.policy.admit(child, share);
        self.wakes.ready.insert(child);
        child
    }

    pub(super) fn remove(&mut self, child: usize) -> Option<(N, S)> {
        let gone = self.places.get_mut(child)?.take()?;
        self.len -= 1;
        self.free.insert(child);
        self.wakes.ready.remove(child);
        Some(gone)
    }

    /// A child has ended. Out of line, to keep what `ended` does off the path of the items.
    #[inline(never)]
    fn end(&mut self, child: usize, ended: &mut impl FnMut(N)) {
        if let Some((name, stream)) = self.remove(child) {
            ended(name);
            drop(stream);
        }
    }

    pub(super) fn clear(&mut self) {
        // Out of our hands before any of them is dropped.
        let gone: Vec<_> = (0..self.places.len()).map(|child| self.remove(child)).collect();
        drop(gone);
    }

    pub(super) fn set_share(&mut self, child: usize, share: P::Share) {
        self.policy.admit(child, share);
    }

    pub(super) fn get(&self, child: usize) -> Option<&(N, S)> {
        self.places.get(child)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, child: usize) -> Option<&mut (N, S)> {
        self.places.get_mut(child)?.as_mut()
    }

    /// The children in the order of their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(N, S)> {
        self.places.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut (N, S)> {
        self.places.iter_mut().flatten()
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (N, S)> {
        self.places.into_iter().flatten()
    }
}

impl<N, S: Stream + Unpin, P: Policy> Children<N, S, P> {
    /// The next item, of which `each` makes what is returned; it also gets the name and the place of the
    /// child. `None` when there are no children. `ended` gets the names of those that have ended, which
    /// are removed.
    #[inline]
    pub(super) fn poll_next<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut ended: impl FnMut(N),
        each: impl FnOnce(&N, usize, S::Item) -> T,
    ) -> Poll<Option<T>> {
        // Most often nobody was woken, and who is next has an item. Apart from the rest, that needs few
        // registers.
        if self.wakes.has_news() {
            self.wakes.collect();
            return self.poll_some(cx, &mut 0, ended, each);
        }
        let child = self.policy.pick_near(&self.wakes.ready);
        let Some(child) = child else { return self.poll_some(cx, &mut 0, ended, each) };
        let Some(Some((name, stream))) = self.places.get_mut(child) else {
            return self.poll_some(cx, &mut 0, ended, each);
        };
        let waker = self.wakes.waker(child);
        match Pin::new(stream).poll_next(&mut Context::from_waker(&waker)) {
            Poll::Ready(Some(item)) => {
                self.policy.delivered(child);
                return Poll::Ready(Some(each(name, child, item)));
            }
            Poll::Ready(None) => self.end(child, &mut ended),
            Poll::Pending => self.wakes.ready.remove(child),
        }
        self.poll_some(cx, &mut 1, ended, each)
    }

    /// As `poll_next`, after so many polls that found nothing, in this poll of the whole. Who was woken
    /// has been collected, once: who is woken from then on is polled after those who are ready now,
    /// even if it woke itself.
    #[inline(never)]
    fn poll_some<T>(
        &mut self,
        cx: &mut Context<'_>,
        polls: &mut usize,
        mut ended: impl FnMut(N),
        each: impl FnOnce(&N, usize, S::Item) -> T,
    ) -> Poll<Option<T>> {
        loop {
            let Some(child) = self.policy.pick(&self.wakes.ready) else {
                if self.len == 0 {
                    return Poll::Ready(None);
                }
                self.wakes.collect_or_register(cx);
                if self.wakes.ready.is_empty() {
                    return Poll::Pending;
                }
                continue;
            };
            // A waker that outlived its child may have named a place that is empty.
            let place = self.places.get_mut(child);
            let Some(Some((name, stream))) = place else {
                self.wakes.ready.remove(child);
                continue;
            };
            let waker = self.wakes.waker(child);
            let mut child_cx = Context::from_waker(&waker);
            match Pin::new(stream).poll_next(&mut child_cx) {
                // It stays ready: there may be more where that came from.
                Poll::Ready(Some(item)) => {
                    self.policy.delivered(child);
                    return Poll::Ready(Some(each(name, child, item)));
                }
                Poll::Ready(None) => self.end(child, &mut ended),
                Poll::Pending => self.wakes.ready.remove(child),
            }
            *polls += 1;
            if *polls == POLLS {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Polls until there are `limit` items, or there is nothing more now, or it has polled children for
    /// as often as one poll may. Returns how many `each` got, and whether that last reason ended it.
    #[inline]
    pub(super) fn poll_many(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
        mut ended: impl FnMut(N),
        mut each: impl FnMut(&N, S::Item),
    ) -> Poll<(usize, bool)> {
        let (mut polls, mut count) = (0, 0);
        while count < limit && polls < POLLS {
            self.wakes.collect();
            match self.poll_some(cx, &mut polls, &mut ended, |name, _, item| each(name, item)) {
                Poll::Ready(Some(())) => {}
                Poll::Pending if count == 0 => return Poll::Pending,
                Poll::Pending if polls == POLLS => break,
                Poll::Ready(None) | Poll::Pending => return Poll::Ready((count, false)),
            }
            (polls, count) = (polls + 1, count + 1);
        }
        Poll::Ready((count, count < limit))
    }

    /// The sum of all, which takes a look at each.
    pub(super) fn size_hint(&self) -> (usize, Option<usize>) {
        self.iter().map(|(_, stream)| stream.size_hint()).fold((0, Some(0)), add_hints)
    }
}

/// The hint of two streams together.
pub(super) fn add_hints(
    a: (usize, Option<usize>),
    b: (usize, Option<usize>),
) -> (usize, Option<usize>) {
    (a.0.saturating_add(b.0), a.1.zip(b.1).and_then(|(a, b)| a.checked_add(b)))
}
