//! The first of many streams that has an item.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};

use super::children::add_hints;
use super::merge::Merge;
use super::policy::Biased;

/// The stream that is first with an item; the others are dropped then.
///
/// If several are ready at once, the first in order wins. A stream that ends without an item is out of
/// the race; when all have, the race ends without one.
///
/// For streams of different types there is [`RaceTuple`](super::RaceTuple).
///
/// ```
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::stream::race;
///
/// let mirrors = [stream::empty().boxed(), stream::pending().boxed(), stream::iter([1, 2]).boxed()];
/// let items: Vec<_> = futures::executor::block_on(race(mirrors).collect());
/// assert_eq!(items, [1, 2]);
/// ```
pub fn race<I: IntoIterator<Item: Stream>>(streams: I) -> Race<I::Item> {
    let others = streams.into_iter().collect::<Merge<_>>().with_policy(Biased);
    Race { winner: None, others, first: None, keeps: false, done: false }
}

/// The stream that is first with an item. Made by [`race`].
///
/// The streams have to be `Unpin`, as for [`Merge`]. No item is held here, but the first one when a
/// loser's drop has panicked: it comes with the next poll.
#[must_use = "streams do nothing unless polled"]
pub struct Race<S: Stream> {
    winner: Option<S>,
    others: Merge<S, Biased>,
    first: Option<S::Item>,
    keeps: bool,
    done: bool,
}

/// Streams are moved only if they are `Unpin`, and never pinned otherwise.
impl<S: Stream> Unpin for Race<S> {}

impl<S: Stream> Race<S> {
    /// Keeps the losers, for [`into_parts`](Self::into_parts). They are not polled any more.
    pub fn keep_losers(mut self) -> Self {
        self.keeps = true;
        self
    }

    /// The winner, if there is one that has not ended.
    pub fn winner(&self) -> Option<&S> {
        self.winner.as_ref()
    }

    /// The winner and the others: those that are still in the race before there is a winner, and the
    /// losers that were kept after that.
    pub fn into_parts(self) -> (Option<S>, Vec<S>) {
        (self.winner, self.others.into_inner())
    }
}

impl<S: Stream + Unpin> Stream for Race<S> {
    type Item = S::Item;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if let Some(winner) = &mut self.winner {
            let item = ready!(Pin::new(winner).poll_next(cx));
            if item.is_none() {
                self.done = true;
                self.winner = None;
            }
            return Poll::Ready(item);
        }
        let Some((id, item)) = ready!(self.others.poll_next_entry(cx)) else {
            self.done = true;
            return Poll::Ready(None);
        };
        self.winner = self.others.remove(id);
        if self.keeps {
            return Poll::Ready(Some(item));
        }
        // The losers' drops may panic.
        self.first = Some(item);
        let losers = mem::replace(&mut self.others, Merge::new().with_policy(Biased));
        drop(losers);
        Poll::Ready(self.first.take())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done {
            return (0, Some(0));
        }
        if let Some(winner) = &self.winner {
            let first = usize::from(self.first.is_some());
            return add_hints(winner.size_hint(), (first, Some(first)));
        }
        // A stream that is empty loses to one that is not: only if all have items is there a minimum.
        let hints = || self.others.iter().map(Stream::size_hint);
        let lower = hints().map(|(lower, _)| lower).min().unwrap_or(0);
        let upper = hints().map(|(_, upper)| upper).reduce(|a, b| Some(a?.max(b?)));
        (lower, upper.unwrap_or(Some(0)))
    }
}

impl<S: Stream + Unpin> FusedStream for Race<S> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: Stream + fmt::Debug> fmt::Debug for Race<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Race")
            .field("winner", &self.winner)
            .field("others", &self.others)
            .finish_non_exhaustive()
    }
}
