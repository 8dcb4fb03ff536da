//! The stream of groups, and the groups.

use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};

use super::core::Core;
use super::policy::Config;
use super::state::{GROUPS, Take};
use super::{BUDGET, GroupError};

/// A stream of the groups of a stream: `Result<(K, `[`Group`]`), `[`GroupError`]`>`. Made by
/// [`GroupByLayer`](super::GroupByLayer).
///
/// An error is an item that had no group to go to; the stream goes on. It ends with the source. See
/// [the module](super) for the bounds, and for the trap in them.
///
/// # Cancel safety
///
/// Dropping it drops what no group was opened for yet, and ends the groups when they have taken what
/// was put by for them.
#[must_use = "streams do nothing unless polled"]
pub struct GroupBy<St: Stream, K, F> {
    /// `None` once it was taken apart.
    core: Option<Arc<Core<St, K, F>>>,
    done: bool,
}

/// The source is in a box of its own.
impl<St: Stream, K, F> Unpin for GroupBy<St, K, F> {}

/// The parts of a [`GroupBy`] without groups, or of the only [`Half`](super::Half).
#[non_exhaustive]
pub struct GroupByParts<St: Stream> {
    /// The source.
    pub source: Pin<Box<St>>,
    /// The items that no group has got: those of one key in their order.
    pub items: Vec<St::Item>,
}

impl<St: Stream> GroupByParts<St> {
    fn new<K, F>(core: Core<St, K, F>) -> Self {
        let shared = core.into_shared();
        let state = shared.state;
        let mut items: Vec<_> = state.queues.into_iter().flat_map(|queue| queue.items).collect();
        items.extend(state.stuck.map(|(_, item)| item));
        items.extend(state.failed.map(|error| error.into_parts().1));
        let engine = shared.engine.expect("nobody is left to have taken it");
        GroupByParts { source: engine.source, items }
    }
}

impl<St: Stream> fmt::Debug for GroupByParts<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupByParts").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

impl<St: Stream, K, F> GroupBy<St, K, F> {
    pub(super) fn new(source: St, key: F, config: Config) -> Self {
        GroupBy { core: Some(Core::new(source, key, config)), done: false }
    }

    fn core(&self) -> &Arc<Core<St, K, F>> {
        self.core.as_ref().expect("there until it is taken apart")
    }

    /// How many items were dropped because their group had been: only with
    /// [`OnDrop::Discard`](super::OnDrop::Discard), or after the end.
    pub fn discarded(&self) -> u64 {
        self.core().lock().state.discarded
    }

    /// The source, and what no group has got, if there are no groups.
    ///
    /// # Errors
    ///
    /// The stream itself, when there are groups.
    pub fn into_parts(mut self) -> Result<GroupByParts<St>, Self> {
        let core = self.core.take().expect("there until it is taken apart");
        Arc::try_unwrap(core).map(GroupByParts::new).map_err(|core| {
            self.core = Some(core);
            self
        })
    }
}

impl<St, K, F> Stream for GroupBy<St, K, F>
where
    St: Stream,
    K: Hash + Eq + Clone,
    F: FnMut(&St::Item) -> K,
{
    type Item = Result<(K, Group<St, K, F>), GroupError<K, St::Item>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        let core = this.core.as_ref().expect("there until it is taken apart");
        let mut registered = false;
        // Not more than so many items for groups that there are.
        for _ in 0..BUDGET {
            let mut shared = core.lock();
            if let Some((key, slot)) = shared.state.announced.pop_front() {
                drop(shared);
                let group = Group::of(Arc::clone(core), slot);
                return Poll::Ready(Some(Ok((key, group))));
            }
            if let Some(error) = shared.state.failed.take() {
                drop(shared);
                core.waits.wake_except(GROUPS);
                return Poll::Ready(Some(Err(error)));
            }
            if shared.state.ended && !shared.state.has_chores() {
                this.done = true;
                return Poll::Ready(None);
            }
            ready!(core.poll(GROUPS, cx, shared, &mut registered));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done {
            return (0, Some(0));
        }
        let shared = self.core().lock();
        let known = shared.state.announced.len() + usize::from(shared.state.failed.is_some());
        (known, None)
    }
}

impl<St, K, F> FusedStream for GroupBy<St, K, F>
where
    St: Stream,
    K: Hash + Eq + Clone,
    F: FnMut(&St::Item) -> K,
{
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<St: Stream, K, F> Drop for GroupBy<St, K, F> {
    fn drop(&mut self) {
        let Some(core) = &self.core else { return };
        core.waits.remove(GROUPS);
        let mut shared = core.lock();
        let state = &mut shared.state;
        state.closed = true;
        let announced = std::mem::take(&mut state.announced);
        let failed = state.failed.take();
        let lost: Vec<_> = announced.iter().map(|(_, slot)| state.leave(*slot)).collect();
        // Nothing is taken from it any more.
        let engine = shared.engine.take();
        drop(shared);
        // Before the drop: that is the user's, and may panic.
        core.waits.wake_all();
        drop((announced, failed, lost, engine));
    }
}

impl<St: Stream, K, F> fmt::Debug for GroupBy<St, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBy").field("done", &self.done).finish_non_exhaustive()
    }
}

/// The items of one key: a stream that [`GroupBy`] hands out.
///
/// # Cancel safety
///
/// What it has not taken when it is dropped goes where [`OnDrop`](super::OnDrop) says.
#[must_use = "a group that is not polled holds up the others, once it is full"]
pub struct Group<St: Stream, K, F> {
    /// `None` once it was taken apart.
    core: Option<Arc<Core<St, K, F>>>,
    slot: usize,
    done: bool,
}

/// The source is in a box of its own.
impl<St: Stream, K, F> Unpin for Group<St, K, F> {}

impl<St: Stream, K, F> Group<St, K, F> {
    pub(super) fn of(core: Arc<Core<St, K, F>>, slot: usize) -> Self {
        Group { core: Some(core), slot, done: false }
    }

    fn core(&self) -> &Arc<Core<St, K, F>> {
        self.core.as_ref().expect("there until it is taken apart")
    }

    /// What is shared, if it is no longer.
    pub(super) fn into_parts(mut self) -> Result<GroupByParts<St>, Self> {
        let core = self.core.take().expect("there until it is taken apart");
        Arc::try_unwrap(core).map(GroupByParts::new).map_err(|core| {
            self.core = Some(core);
            self
        })
    }

    /// How many items it holds.
    pub fn len(&self) -> usize {
        self.core().lock().state.queues[self.slot].items.len()
    }

    /// Whether it holds no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<St, K, F> Stream for Group<St, K, F>
where
    St: Stream,
    K: Hash + Eq + Clone,
    F: FnMut(&St::Item) -> K,
{
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        let core = this.core.as_ref().expect("there until it is taken apart");
        let id = this.slot + 1;
        let mut registered = false;
        // Not more than so many items for other groups.
        for _ in 0..BUDGET {
            let mut shared = core.lock();
            match shared.state.take(this.slot) {
                Take::Item(item, resumed) => {
                    drop(shared);
                    if resumed {
                        core.waits.wake_except(id);
                    }
                    return Poll::Ready(Some(item));
                }
                Take::End => {
                    drop(shared);
                    this.done = true;
                    core.waits.remove(id);
                    return Poll::Ready(None);
                }
                Take::Empty => ready!(core.poll(id, cx, shared, &mut registered)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done {
            return (0, Some(0));
        }
        (self.len(), None)
    }
}

impl<St, K, F> FusedStream for Group<St, K, F>
where
    St: Stream,
    K: Hash + Eq + Clone,
    F: FnMut(&St::Item) -> K,
{
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<St: Stream, K, F> Drop for Group<St, K, F> {
    fn drop(&mut self) {
        let Some(core) = &self.core else { return };
        // First: once it has left, its number is another one's.
        core.waits.remove(self.slot + 1);
        let mut shared = core.lock();
        let dropped = shared.state.leave(self.slot);
        drop(shared);
        // The source may go on; and this may have been the one whose turn it was. Before the drop: that
        // is the user's, and may panic.
        core.waits.wake_all();
        drop(dropped);
    }
}

impl<St: Stream, K, F> fmt::Debug for Group<St, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("done", &self.done).finish_non_exhaustive()
    }
}
