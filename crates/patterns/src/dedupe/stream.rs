//! The stream that leaves items out.

use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;

use super::{ByKey, Consecutive, Key, Memory, Recent, TryByKey, Whole, Within};

/// How many items one poll leaves out at most.
const BUDGET: usize = 128;

/// Wraps streams in [`Dedupe`]. The key is the whole item, unless it is said otherwise.
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{StreamLayerExt, stream::DedupeLayer};
///
/// # futures::executor::block_on(async {
/// let layer = DedupeLayer::recent(NonZeroUsize::new(2).unwrap()).by_key(|word: &&str| word.len());
/// let words = stream::iter(["a", "bb", "c", "ddd", "ee"]).layer(layer);
/// assert_eq!(words.collect::<Vec<_>>().await, ["a", "bb", "ddd", "ee"]);
/// # });
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct DedupeLayer<M, X = Whole> {
    memory: M,
    key: X,
}

impl<K> DedupeLayer<Consecutive<K>> {
    /// Leaves out what equals the item before it.
    pub fn consecutive() -> Self {
        DedupeLayer::with_memory(Consecutive::new())
    }
}

impl<K> DedupeLayer<Recent<K>> {
    /// Leaves out what equals one of the last `keys` different items.
    pub fn recent(keys: NonZeroUsize) -> Self {
        DedupeLayer::with_memory(Recent::new(keys))
    }
}

impl<K> DedupeLayer<Within<K>> {
    /// Leaves out what equals an item that was let through less than `ttl` ago. At most `keys` of them
    /// are remembered.
    pub fn within(ttl: Duration, keys: NonZeroUsize) -> Self {
        DedupeLayer::with_memory(Within::new(ttl, keys))
    }
}

impl<K, T, X> DedupeLayer<Within<K, T>, X> {
    /// Uses another timer.
    pub fn with_timer<U: crate::time::Timer>(self, timer: U) -> DedupeLayer<Within<K, U>, X> {
        DedupeLayer { memory: self.memory.with_timer(timer), key: self.key }
    }
}

impl<M> DedupeLayer<M> {
    /// With a memory of your own, which each stream gets a clone of.
    pub fn with_memory(memory: M) -> Self {
        DedupeLayer { memory, key: Whole }
    }

    /// Compares what `key` makes of each item.
    pub fn by_key<F>(self, key: F) -> DedupeLayer<M, ByKey<F>> {
        DedupeLayer { memory: self.memory, key: ByKey(key) }
    }

    /// Compares what `key` makes of each `Ok`. Errors pass, and are forgotten.
    pub fn try_by_key<F>(self, key: F) -> DedupeLayer<M, TryByKey<F>> {
        DedupeLayer { memory: self.memory, key: TryByKey(key) }
    }
}

impl<S, M: Clone, X: Clone> Layer<S> for DedupeLayer<M, X> {
    type Service = Dedupe<S, M, X>;

    fn layer(&self, inner: S) -> Dedupe<S, M, X> {
        let (memory, key) = (self.memory.clone(), self.key.clone());
        Dedupe { inner, memory, key, skipped: 0, done: false }
    }
}

pin_project! {
    /// A stream without the items that came before. Made by [`DedupeLayer`].
    ///
    /// One poll leaves out 128 items at most, and then yields to the other tasks.
    #[must_use = "streams do nothing unless polled"]
    pub struct Dedupe<S, M, X = Whole> {
        #[pin]
        inner: S,
        memory: M,
        key: X,
        skipped: u64,
        done: bool,
    }
}

impl<S, M, X> Dedupe<S, M, X> {
    /// How many items were left out.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The stream inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, M, X> Stream for Dedupe<S, M, X>
where
    S: Stream,
    X: Key<S::Item>,
    M: Memory<X::Key>,
{
    type Item = S::Item;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if *this.done {
            return Poll::Ready(None);
        }
        for _ in 0..BUDGET {
            let Some(item) = ready!(this.inner.as_mut().poll_next(cx)) else {
                *this.done = true;
                return Poll::Ready(None);
            };
            let passes = match this.key.key(&item) {
                Some(key) => this.memory.insert(key),
                None => true,
            };
            if passes {
                return Poll::Ready(Some(item));
            }
            *this.skipped += 1;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // All that comes may have come before.
        (0, if self.done { Some(0) } else { self.inner.size_hint().1 })
    }
}

impl<S, M, X> FusedStream for Dedupe<S, M, X>
where
    S: Stream,
    X: Key<S::Item>,
    M: Memory<X::Key>,
{
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: fmt::Debug, M, X> fmt::Debug for Dedupe<S, M, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedupe")
            .field("inner", &self.inner)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}
