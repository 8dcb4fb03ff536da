//! The layer, and what is done at each bound.

use std::fmt;
use std::num::NonZeroUsize;

use futures_core::Stream;
use tower_layer::Layer;

use super::GroupBy;

/// What happens to an item whose group is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It is held, and with it the source, until there is room.
    #[default]
    Backpressure,
    /// It comes out of the stream of groups as [`GroupError::Overflow`](super::GroupError::Overflow).
    Error,
}

/// What happens when there is another key than there may be groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// The item comes out of the stream of groups as
    /// [`GroupError::TooManyGroups`](super::GroupError::TooManyGroups).
    #[default]
    Error,
    /// The group that got its last item the longest ago, of those that hold none, ends; its key may
    /// open a new one later. If all of them hold items, as `Error`.
    EvictIdle,
}

/// What happens to the items of a group that was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnDrop {
    /// They go into a new group with the same key, as does what comes later. Those of a group that is
    /// dropped after the source has ended are dropped with it.
    #[default]
    Reopen,
    /// They are dropped, and so is all that comes for that key; [`GroupBy::discarded`] counts it. Such
    /// a key is remembered, and counts as a group.
    Discard,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Config {
    pub(super) capacity: usize,
    pub(super) max_groups: usize,
    pub(super) total: usize,
    pub(super) overflow: Overflow,
    pub(super) when_full: WhenFull,
    pub(super) on_drop: OnDrop,
}

/// Wraps streams in [`GroupBy`].
///
/// ```
/// use std::num::NonZeroUsize;
/// use ziggurat_patterns::group_by::{GroupByLayer, WhenFull};
///
/// let room = NonZeroUsize::new(16).unwrap();
/// let layer = GroupByLayer::new(|word: &String| word.len(), room, room)
///     .total(NonZeroUsize::new(64).unwrap())
///     .when_full(WhenFull::EvictIdle);
/// ```
#[derive(Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct GroupByLayer<F> {
    key: F,
    config: Config,
}

impl<F> GroupByLayer<F> {
    /// Groups by `key`, with room for `capacity` items in each of at most `max_groups` groups.
    pub fn new(key: F, capacity: NonZeroUsize, max_groups: NonZeroUsize) -> Self {
        let config = Config {
            capacity: capacity.get(),
            max_groups: max_groups.get(),
            total: usize::MAX,
            overflow: Overflow::default(),
            when_full: WhenFull::default(),
            on_drop: OnDrop::default(),
        };
        GroupByLayer { key, config }
    }

    /// How many items all groups hold together, at most. By default as many as there is room for in
    /// them.
    pub fn total(mut self, items: NonZeroUsize) -> Self {
        self.config.total = items.get();
        self
    }

    /// What happens to an item whose group is full.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.config.overflow = overflow;
        self
    }

    /// What happens to an item that would need another group.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.config.when_full = when_full;
        self
    }

    /// What happens to the items of a group that was dropped.
    pub fn on_drop(mut self, on_drop: OnDrop) -> Self {
        self.config.on_drop = on_drop;
        self
    }
}

impl<St, K, F> Layer<St> for GroupByLayer<F>
where
    St: Stream,
    F: FnMut(&St::Item) -> K + Clone,
{
    type Service = GroupBy<St, K, F>;

    fn layer(&self, inner: St) -> GroupBy<St, K, F> {
        GroupBy::new(inner, self.key.clone(), self.config)
    }
}

impl<F> fmt::Debug for GroupByLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupByLayer").field("config", &self.config).finish_non_exhaustive()
    }
}
