//! Two streams of one.

use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use super::core::Core;
use super::policy::Config;
use super::{Group, GroupByParts, OnDrop, Overflow, WhenFull};

/// Parts a stream in two: the items for which `predicate` is true, and the others.
///
/// Each half has room for `capacity` items that the other one finds. When it is full the source is
/// held: who awaits one half only waits for ever then. A half that is not wanted is to be dropped; its
/// items are dropped with it, those to come too.
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{StreamExt, future, stream};
/// use ziggurat_patterns::group_by::partition;
///
/// # futures::executor::block_on(async {
/// let numbers = stream::iter(1..=5);
/// let (even, odd) = partition(numbers, |n| n % 2 == 0, NonZeroUsize::new(8).unwrap());
/// let (even, odd): (Vec<_>, Vec<_>) = future::join(even.collect(), odd.collect()).await;
/// assert_eq!((even, odd), (vec![2, 4], vec![1, 3, 5]));
/// # });
/// ```
pub fn partition<St, F>(
    source: St,
    predicate: F,
    capacity: NonZeroUsize,
) -> (Half<St, F>, Half<St, F>)
where
    St: Stream,
    F: FnMut(&St::Item) -> bool,
{
    let config = Config {
        capacity: capacity.get(),
        max_groups: 2,
        total: usize::MAX,
        overflow: Overflow::Backpressure,
        when_full: WhenFull::Error,
        on_drop: OnDrop::Discard,
    };
    let core = Core::new(source, predicate, config);
    let half = |key| {
        let slot = core.preset(key);
        Half { group: Group::of(std::sync::Arc::clone(&core), slot) }
    };
    (half(true), half(false))
}

/// One half of a stream. Made by [`partition`].
#[must_use = "a half that is not polled holds up the other one, once it is full"]
pub struct Half<St: Stream, F> {
    group: Group<St, bool, F>,
}

impl<St: Stream, F> Half<St, F> {
    /// How many items it holds.
    pub fn len(&self) -> usize {
        self.group.len()
    }

    /// The source, and the items that this half has not taken, if the other half was dropped.
    ///
    /// # Errors
    ///
    /// The half itself, when the other one is still there.
    pub fn into_parts(self) -> Result<GroupByParts<St>, Self> {
        self.group.into_parts().map_err(|group| Half { group })
    }

    /// Whether it holds no items.
    pub fn is_empty(&self) -> bool {
        self.group.is_empty()
    }
}

impl<St, F> Stream for Half<St, F>
where
    St: Stream,
    F: FnMut(&St::Item) -> bool,
{
    type Item = St::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        Pin::new(&mut self.group).poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.group.size_hint()
    }
}

impl<St, F> FusedStream for Half<St, F>
where
    St: Stream,
    F: FnMut(&St::Item) -> bool,
{
    fn is_terminated(&self) -> bool {
        self.group.is_terminated()
    }
}

impl<St: Stream, F> fmt::Debug for Half<St, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Half").field("held", &self.len()).finish_non_exhaustive()
    }
}
