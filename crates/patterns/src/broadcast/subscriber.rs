//! The handle and the consumers.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::{FusedStream, Stream};

use super::policy::{Backpressure, LagPolicy, OnFull};
use super::ring::{Ring, Take};
use super::wait_list::WaitList;
use crate::sync::{Mutex, MutexGuard, lock};

/// Two streams of the items of one. The slower one holds the other up when it is `capacity` items
/// behind.
///
/// For more consumers, consumers that come later, or another policy see [`Broadcast`].
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{FutureExt, StreamExt, stream};
/// use ziggurat_patterns::broadcast::tee;
///
/// let (mut left, mut right) = tee(stream::iter(1..), NonZeroUsize::new(2).unwrap());
/// assert_eq!(left.next().now_or_never(), Some(Some(1)));
/// assert_eq!(left.next().now_or_never(), Some(Some(2)));
/// assert_eq!(left.next().now_or_never(), None); // two items ahead
/// assert_eq!(right.next().now_or_never(), Some(Some(1)));
/// assert_eq!(left.next().now_or_never(), Some(Some(3)));
/// ```
pub fn tee<St: Stream>(
    source: St,
    capacity: NonZeroUsize,
) -> (Subscriber<St, Backpressure>, Subscriber<St, Backpressure>) {
    let broadcast = Broadcast::new(source, capacity);
    (broadcast.subscribe(), broadcast.subscribe())
}

/// What all handles and consumers share.
struct Core<St: Stream> {
    state: Mutex<State<St>>,
    waits: Arc<WaitList>,
    /// The source's: it wakes all that wait.
    waker: Waker,
}

struct State<St: Stream> {
    ring: Ring<St::Item>,
    /// Taken out by whoever polls it, so that it is not polled under the lock. Boxed to be moved
    /// pinned.
    source: Option<Pin<Box<St>>>,
}

impl<St: Stream> Core<St> {
    fn state(&self) -> MutexGuard<'_, State<St>> {
        lock(&self.state)
    }
}

/// A stream for several consumers: makes [`Subscriber`]s. Clones are handles to the same stream.
///
/// The handle itself takes no items and holds nobody up. Without a subscriber nothing is polled.
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{FutureExt, StreamExt, stream};
/// use ziggurat_patterns::broadcast::{Broadcast, DropOldest, Lagged};
///
/// let one = NonZeroUsize::MIN;
/// let broadcast = Broadcast::with_policy(stream::iter(1..), one, DropOldest);
/// let (mut quick, mut slow) = (broadcast.subscribe(), broadcast.subscribe());
/// for n in 1..=3 {
///     assert_eq!(quick.next().now_or_never(), Some(Some(Ok(n))));
/// }
/// assert_eq!(slow.next().now_or_never(), Some(Some(Err(Lagged { missed: 2 }))));
/// assert_eq!(slow.next().now_or_never(), Some(Some(Ok(3))));
/// ```
pub struct Broadcast<St: Stream, P = Backpressure> {
    core: Arc<Core<St>>,
    policy: PhantomData<fn() -> P>,
}

impl<St: Stream> Broadcast<St> {
    /// Over `source`, with a ring of `capacity` items, and [`Backpressure`].
    pub fn new(source: St, capacity: NonZeroUsize) -> Self {
        Broadcast::with_policy(source, capacity, Backpressure)
    }
}

impl<St: Stream, P: LagPolicy> Broadcast<St, P> {
    /// As [`new`](Broadcast::new), with another policy for those who lag behind.
    pub fn with_policy(source: St, capacity: NonZeroUsize, _policy: P) -> Self {
        let waits = Arc::new(WaitList::default());
        let waker = Waker::from(Arc::clone(&waits));
        let state = State { ring: Ring::new(capacity.get()), source: Some(Box::pin(source)) };
        let core = Arc::new(Core { state: Mutex::new(state), waits, waker });
        Broadcast { core, policy: PhantomData }
    }

    /// A consumer that gets what comes from now on.
    pub fn subscribe(&self) -> Subscriber<St, P> {
        Subscriber::new(Arc::clone(&self.core))
    }

    /// The source, if this is the last handle and there are no consumers; else the handle.
    ///
    /// # Errors
    ///
    /// The handle itself, when there are others.
    pub fn into_inner(self) -> Result<Pin<Box<St>>, Self> {
        let core =
            Arc::try_unwrap(self.core).map_err(|core| Broadcast { core, policy: PhantomData })?;
        let state = core.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(state.source.expect("nobody is left to have taken it"))
    }
}

impl<St: Stream, P> Clone for Broadcast<St, P> {
    fn clone(&self) -> Self {
        Broadcast { core: Arc::clone(&self.core), policy: PhantomData }
    }
}

impl<St: Stream, P> fmt::Debug for Broadcast<St, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").finish_non_exhaustive()
    }
}

/// The parts of a broadcast whose last consumer is taken apart.
#[non_exhaustive]
pub struct BroadcastParts<St: Stream> {
    /// The source.
    pub source: Pin<Box<St>>,
    /// The items that the consumer had not taken yet.
    pub items: Vec<St::Item>,
}

impl<St: Stream> fmt::Debug for BroadcastParts<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastParts").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

/// A consumer of a [`Broadcast`]: a stream of all its items from the time on when it was made.
///
/// # Cancel safety
///
/// Dropping it drops what it has not taken. The others go on: it holds them up no longer, and whoever
/// waits is woken, as this may have been the one to poll the source.
#[must_use = "streams do nothing unless polled"]
pub struct Subscriber<St: Stream, P = Backpressure> {
    /// `None` once it was taken apart.
    core: Option<Arc<Core<St>>>,
    id: usize,
    done: bool,
    policy: PhantomData<fn() -> P>,
}

/// The source is in a box of its own.
impl<St: Stream, P> Unpin for Subscriber<St, P> {}

impl<St: Stream, P> Subscriber<St, P> {
    fn new(core: Arc<Core<St>>) -> Self {
        let id = core.state().ring.join();
        Subscriber { core: Some(core), id, done: false, policy: PhantomData }
    }

    fn core(&self) -> &Arc<Core<St>> {
        self.core.as_ref().expect("there until it is taken apart")
    }

    /// Another consumer, which gets what comes from now on: not what this one has yet to take.
    pub fn subscribe(&self) -> Self {
        Subscriber::new(Arc::clone(self.core()))
    }

    /// The source and the items not taken yet, if this is the last consumer and there is no handle.
    ///
    /// # Errors
    ///
    /// The consumer itself, when there are others.
    pub fn into_parts(mut self) -> Result<BroadcastParts<St>, Self>
    where
        St::Item: Clone,
    {
        let core = self.core.take().expect("there until it is taken apart");
        let core = match Arc::try_unwrap(core) {
            Ok(core) => core,
            Err(core) => {
                self.core = Some(core);
                return Err(self);
            }
        };
        let state = core.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let source = state.source.expect("nobody is left to have taken it");
        let items = state.ring.into_waiting(self.id).into_iter().map(Arc::unwrap_or_clone);
        Ok(BroadcastParts { source, items: items.collect() })
    }
}

/// Puts the source back, whatever happens.
struct Turn<'a, St: Stream> {
    core: &'a Core<St>,
    source: Option<Pin<Box<St>>>,
}

impl<St: Stream> Turn<'_, St> {
    fn give_back(&mut self) -> MutexGuard<'_, State<St>> {
        let mut state = self.core.state();
        state.source = self.source.take();
        state
    }
}

impl<St: Stream> Drop for Turn<'_, St> {
    fn drop(&mut self) {
        if self.source.is_some() {
            // The source has panicked. The others are to find out for themselves.
            drop(self.give_back());
            self.core.waits.wake_all();
        }
    }
}

impl<St: Stream, P: LagPolicy> Subscriber<St, P>
where
    St::Item: Clone,
{
    /// Polls the source, for everybody. Ready when there is something new in the ring.
    fn poll_source(core: &Core<St>, id: usize, source: Pin<Box<St>>, waker: &Waker) -> Poll<()> {
        let mut turn = Turn { core, source: Some(source) };
        // Before the poll, so that its wake finds us.
        core.waits.begin(id, waker);
        let mut cx = Context::from_waker(&core.waker);
        let source = turn.source.as_mut().expect("just put there");
        let item = match source.as_mut().poll_next(&mut cx) {
            // Others may have seen it taken, and gone to sleep after the wake.
            Poll::Pending => {
                drop(turn.give_back());
                if core.waits.was_woken() {
                    core.waits.wake_all();
                }
                return Poll::Pending;
            }
            Poll::Ready(item) => item.map(Arc::new),
        };
        let mut state = turn.give_back();
        let dropped = match item {
            Some(item) => state.ring.push(item, P::ON_FULL),
            None => {
                state.ring.finish();
                Vec::new()
            }
        };
        drop(state);
        // Before the drop: that is the user's, and may panic.
        core.waits.wake_except(id);
        drop(dropped);
        Poll::Ready(())
    }
}

impl<St: Stream, P: LagPolicy> Stream for Subscriber<St, P>
where
    St::Item: Clone,
{
    type Item = P::Item<St::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        let (core, id) = (this.core.as_ref().expect("there until it is taken apart"), this.id);
        let mut registered = false;
        loop {
            let mut state = core.state();
            let source = match state.ring.take(id, P::ON_FULL) {
                Take::Item(item, made_room) => {
                    drop(state);
                    if made_room && P::ON_FULL == OnFull::Wait {
                        core.waits.wake_except(id);
                    }
                    return Poll::Ready(Some(P::item(Arc::unwrap_or_clone(item))));
                }
                Take::Lagged(lagged) => return Poll::Ready(P::lagged(lagged)),
                Take::End => {
                    drop(state);
                    this.done = true;
                    core.waits.remove(id);
                    return Poll::Ready(None);
                }
                Take::Full => None,
                // None: somebody polls it at this moment, on another thread, and will wake us.
                Take::Empty => state.source.take(),
            };
            drop(state);
            match source {
                Some(source) => {
                    if Self::poll_source(core, id, source, cx.waker()).is_pending() {
                        return Poll::Pending;
                    }
                }
                None if registered => return Poll::Pending,
                // Outside the lock, and then we look again.
                None => core.waits.register(id, cx.waker()),
            }
            registered = true;
        }
    }

    /// What is in the ring for this consumer; the source itself may be in use elsewhere.
    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done {
            return (0, Some(0));
        }
        let (waiting, all) = self.core().state().ring.waiting(self.id);
        match P::ON_FULL {
            OnFull::Wait => (waiting, all.then_some(waiting)),
            // It may miss all but the last of them.
            _ => (waiting.min(1), all.then_some(waiting)),
        }
    }
}

impl<St: Stream, P: LagPolicy> FusedStream for Subscriber<St, P>
where
    St::Item: Clone,
{
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<St: Stream, P> Drop for Subscriber<St, P> {
    fn drop(&mut self) {
        let Some(core) = &self.core else { return };
        // First: once it has left, its number is another one's.
        core.waits.remove(self.id);
        let mut state = core.state();
        let dropped = state.ring.leave(self.id);
        let over = state.ring.ended();
        drop(state);
        // There may be room now; and this may have been the one whose turn it was. Before the drop: that
        // is the user's, and may panic.
        if !over {
            core.waits.wake_all();
        }
        drop(dropped);
    }
}

impl<St: Stream, P> fmt::Debug for Subscriber<St, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("id", &self.id)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}
