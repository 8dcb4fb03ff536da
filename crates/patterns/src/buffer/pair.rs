//! A buffer in two halves: a future that fills it, and a stream that empties it.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

use super::queue::Queue;
use super::{Overflow, POLLS, Policy};
use crate::sync::{Mutex, MutexGuard, lock};

/// Puts a buffer behind `source`, so that it runs in a task of its own: the [`Driver`] polls it, and the
/// [`Receiver`] gets the items.
///
/// The caller spawns the driver on any executor, or joins it with the consumer. Neither half keeps the
/// other waiting: when the receiver is dropped, the driver completes with the items that it did not take;
/// when the driver is dropped, the receiver gets what is in the buffer, and then `None`.
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::buffer::{Overflow, pair};
///
/// let room = NonZeroUsize::new(8).unwrap();
/// let (driver, items) = pair(stream::iter(0..1000), room, Overflow::Backpressure);
/// let worker = std::thread::spawn(|| futures::executor::block_on(driver));
/// let sum: u32 = futures::executor::block_on(items.fold(0, |sum, n| async move { sum + n }));
/// assert_eq!(sum, 499_500);
/// assert!(worker.join().unwrap().is_empty());
/// ```
pub fn pair<S: Stream, P: Policy>(
    source: S,
    capacity: NonZeroUsize,
    policy: P,
) -> (Driver<S>, Receiver<S::Item, P>) {
    let state = State {
        queue: Queue::new(capacity, policy.rule()),
        driver: None,
        receiver: None,
        filling: true,
        emptying: true,
        complete: false,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state) });
    let filler = Filler { shared: Arc::clone(&shared) };
    (Driver { source, filler, done: false }, Receiver { shared, policy, done: false })
}

struct Shared<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    queue: Queue<T>,
    /// Whoever waits. A waker is taken by the other side, which wakes it when it holds no lock.
    driver: Option<Waker>,
    receiver: Option<Waker>,
    /// The driver may still add items.
    filling: bool,
    /// The receiver is there.
    emptying: bool,
    /// The source has ended.
    complete: bool,
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }

    /// Takes what `change` takes out of the state, and wakes it.
    fn wake(&self, change: impl FnOnce(&mut State<T>) -> Option<Waker>) {
        let waker = change(&mut self.state());
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Ends the filling when it is dropped.
struct Filler<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Drop for Filler<T> {
    fn drop(&mut self) {
        self.shared.wake(|state| {
            state.filling = false;
            state.receiver.take()
        });
    }
}

pin_project! {
    /// The half of [`pair`] that polls the source.
    ///
    /// It completes when the source has ended, or when the receiver was dropped, with the items that
    /// are left over then, the oldest first: none in the first case, as the receiver still has those.
    /// It polls the source at most 128 times before it lets others run, and only while the policy has a
    /// use for the item: it holds none itself.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it ends the receiver after the items that are in the buffer. Items that the source
    /// has not given stay with the source, which is [`into_inner`](Self::into_inner).
    #[must_use = "futures do nothing unless polled"]
    pub struct Driver<S: Stream> {
        #[pin]
        source: S,
        filler: Filler<S::Item>,
        done: bool,
    }
}

impl<S: Stream> Driver<S> {
    /// The source. The receiver gets what is in the buffer, and then `None`.
    pub fn into_inner(self) -> S {
        self.source
    }

    /// The source.
    pub fn get_ref(&self) -> &S {
        &self.source
    }
}

/// What the driver does next.
enum Next<T> {
    /// It asks for an item.
    Poll,
    /// It waits for room.
    Wait,
    /// The receiver is gone, and left these.
    Over(VecDeque<T>),
}

impl<T> State<T> {
    fn next(&mut self) -> Next<T> {
        if !self.emptying {
            Next::Over(self.queue.take_items())
        } else if self.queue.wants() {
            Next::Poll
        } else {
            Next::Wait
        }
    }
}

impl<T> Filler<T> {
    fn next(&self) -> Next<T> {
        self.shared.state().next()
    }

    /// Adds an item, and wakes a receiver that waits for one.
    fn push(&self, item: T) -> Next<T> {
        let mut state = self.shared.state();
        // Nobody is there to be served by a policy when the receiver is gone.
        let victim = if state.emptying {
            state.queue.push(item)
        } else {
            state.queue.force(item);
            None
        };
        let (next, waker) = (state.next(), state.receiver.take());
        drop(state);
        // Before the drop: that is the user's, and may panic.
        waker.into_iter().for_each(Waker::wake);
        drop(victim);
        next
    }

    /// Waits for the receiver, unless it has acted since `next`. Then this is what to do.
    fn wait(&self, room: bool, cx: &mut Context<'_>) -> Option<Next<T>> {
        let waker = cx.waker().clone();
        let mut state = self.shared.state();
        match state.next() {
            Next::Poll if room => return Some(Next::Poll),
            Next::Over(items) => return Some(Next::Over(items)),
            Next::Poll | Next::Wait => {}
        }
        let old = state.driver.replace(waker);
        drop(state);
        drop(old);
        None
    }
}

impl<S: Stream> Future for Driver<S> {
    type Output = VecDeque<S::Item>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if *this.done {
            return Poll::Ready(VecDeque::new());
        }
        let mut next = this.filler.next();
        for _ in 0..POLLS {
            if let Next::Wait = next {
                match this.filler.wait(true, cx) {
                    Some(other) => next = other,
                    None => return Poll::Pending,
                }
            }
            if let Next::Over(items) = next {
                *this.done = true;
                return Poll::Ready(items);
            }
            next = match this.source.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => this.filler.push(item),
                Poll::Ready(None) => {
                    *this.done = true;
                    this.filler.shared.wake(|state| {
                        (state.filling, state.complete) = (false, true);
                        state.receiver.take()
                    });
                    // A receiver that is gone has left its items to this side.
                    return Poll::Ready(match this.filler.next() {
                        Next::Over(items) => items,
                        _ => VecDeque::new(),
                    });
                }
                Poll::Pending => match this.filler.wait(false, cx) {
                    Some(other) => other,
                    None => return Poll::Pending,
                },
            };
        }
        // The last step may have brought what is left: it is not in the buffer any more.
        if let Next::Over(items) = next {
            *this.done = true;
            return Poll::Ready(items);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: Stream + fmt::Debug> fmt::Debug for Driver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("source", &self.source)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

/// The half of [`pair`] that gets the items. It ends when the source has ended, or the driver was
/// dropped.
///
/// Under [`Reject`](crate::buffer::Reject) its items are `Result<T, BufferError<T>>`. A driver that waits
/// for room is woken when half of the buffer is free.
///
/// # Cancel safety
///
/// Dropped, it leaves what is in the buffer to the driver, which completes with that. When the driver
/// is no more, the items go with the receiver, unless [`into_items`](Self::into_items) takes them.
#[must_use = "streams do nothing unless polled"]
pub struct Receiver<T, P = Overflow> {
    shared: Arc<Shared<T>>,
    policy: P,
    done: bool,
}

/// Items are moved, never pinned.
impl<T, P> Unpin for Receiver<T, P> {}

impl<T, P> Receiver<T, P> {
    /// How many items are in the buffer.
    pub fn len(&self) -> usize {
        self.shared.state().queue.len()
    }

    /// Whether none is in the buffer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items the policy has dropped.
    pub fn dropped(&self) -> u64 {
        self.shared.state().queue.dropped()
    }

    /// Whether the source has ended by itself. `false` after the stream has ended means that the driver
    /// was dropped before.
    pub fn is_complete(&self) -> bool {
        self.shared.state().complete
    }

    /// Ends the driver, and takes the items that are in the buffer, the oldest first.
    pub fn into_items(self) -> VecDeque<T> {
        let mut state = self.shared.state();
        // In one step with the taking: what comes from here on is left to the driver, even if it ends
        // before this receiver is dropped.
        state.emptying = false;
        state.queue.take_items()
    }
}

impl<T, P: Policy> Receiver<T, P> {
    /// Takes an item, and wakes a driver that waits for the room. `None` within is the end.
    #[inline]
    fn try_next(&mut self) -> Poll<Option<P::Item<T>>> {
        let mut state = self.shared.state();
        let Some((item, overflow)) = state.queue.pop() else {
            if state.filling {
                return Poll::Pending;
            }
            drop(state);
            self.done = true;
            return Poll::Ready(None);
        };
        let waker = if state.driver.is_some() && state.queue.wants_much() {
            state.driver.take()
        } else {
            None
        };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Ready(Some(P::item(item, overflow)))
    }
}

impl<T, P: Policy> Stream for Receiver<T, P> {
    type Item = P::Item<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        if let Poll::Ready(item) = self.try_next() {
            return Poll::Ready(item);
        }
        // Cloned when no lock is held, as it calls out.
        let waker = cx.waker().clone();
        let mut state = self.shared.state();
        if state.queue.is_empty() && state.filling {
            let old = state.receiver.replace(waker);
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        drop(state);
        self.try_next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done {
            return (0, Some(0));
        }
        let state = self.shared.state();
        let held = state.queue.len();
        (held, (!state.filling).then_some(held))
    }
}

impl<T, P: Policy> FusedStream for Receiver<T, P> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<T, P> Drop for Receiver<T, P> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.emptying = false;
        let waker = state.driver.take();
        // Without a driver nobody is left to take these; they are dropped with the last half.
        let items = if state.filling { VecDeque::new() } else { state.queue.take_items() };
        drop(state);
        // Before the drop: that is the user's, and may panic.
        waker.into_iter().for_each(Waker::wake);
        drop(items);
    }
}

impl<T, P: fmt::Debug> fmt::Debug for Receiver<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("Receiver")
            .field("policy", &self.policy)
            .field("len", &state.queue.len())
            .field("dropped", &state.queue.dropped())
            .field("filling", &state.filling)
            .finish_non_exhaustive()
    }
}
