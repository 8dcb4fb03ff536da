//! What the handles, the calls and the worker of a service's buffer share.

use std::collections::VecDeque;
use std::mem;
use std::num::NonZeroUsize;
use std::task::{Context, Poll, Waker};

use super::ServiceError;
use crate::sync::{Mutex, MutexGuard, lock};

/// The state behind one lock. Nothing that is not ours runs while it is held: wakers, requests and
/// responses are taken out first, and woken or dropped after it.
pub(super) struct Requests<Request, F, E> {
    state: Mutex<State<Request, F, E>>,
}

struct State<Request, F, E> {
    /// Of calls. They are reused, so that a call allocates only when there are more than ever before.
    slots: Vec<Slot<Request, F>>,
    free: Vec<usize>,
    /// Slots whose requests wait for the worker, the oldest first.
    queue: VecDeque<usize>,
    bound: usize,
    /// Handles that are ready and have not called.
    reserved: usize,
    /// Handles that wait for room, in the order in which they came: their numbers grow. A waker that is
    /// gone has been woken.
    waiting: VecDeque<(u64, Option<Waker>)>,
    next_id: u64,
    handles: usize,
    worker: Option<Waker>,
    /// The worker waits for its service, and not for requests.
    stuck: bool,
    end: Option<End<E>>,
}

/// Why no request is taken any more.
pub(super) enum End<E> {
    Failed(ServiceError<E>),
    Closed,
}

impl<E> Clone for End<E> {
    fn clone(&self) -> Self {
        match self {
            End::Failed(error) => End::Failed(error.clone()),
            End::Closed => End::Closed,
        }
    }
}

/// A call, from its request to its response. It belongs to the caller's future until that frees it.
enum Slot<Request, F> {
    Free,
    /// In the queue.
    Queued(Request, Option<Waker>),
    /// The worker makes the call at this moment.
    Taken(Option<Waker>),
    /// The caller went away at that moment. The worker frees it.
    Abandoned,
    Answered(F),
    /// The end came first.
    Ended,
}

/// What the worker finds.
pub(super) enum Work {
    /// A request.
    Some,
    /// None, but there may be some.
    Wait,
    /// None, for ever.
    Over,
}

impl<Request, F, E> State<Request, F, E> {
    fn room(&self) -> usize {
        self.bound.saturating_sub(self.queue.len() + self.reserved)
    }

    /// Who has just got room: a handle has it when there is some for all that wait before it too. The
    /// others were woken when the room became theirs.
    fn wake_waiting(&mut self) -> Option<Waker> {
        let last = self.room().min(self.waiting.len()).checked_sub(1)?;
        self.waiting[last].1.take()
    }

    fn position(&self, id: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&id, |(id, _)| *id).ok()
    }

    fn insert(&mut self, slot: Slot<Request, F>) -> usize {
        match self.free.pop() {
            Some(index) => {
                self.slots[index] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        }
    }

    fn release(&mut self, index: usize) -> Slot<Request, F> {
        self.free.push(index);
        mem::replace(&mut self.slots[index], Slot::Free)
    }

    fn work(&self) -> Work {
        match (&self.end, self.queue.is_empty(), self.handles) {
            (Some(_), ..) | (None, true, 0) => Work::Over,
            (None, true, _) => Work::Wait,
            (None, false, _) => Work::Some,
        }
    }

    /// The worker, if it has nothing more to wait for.
    fn wake_last(&mut self) -> Option<Waker> {
        if self.handles == 0 && self.queue.is_empty() { self.worker.take() } else { None }
    }
}

impl<Request, F, E> Requests<Request, F, E> {
    /// With one handle.
    pub(super) fn new(bound: NonZeroUsize) -> Self {
        let state = State {
            slots: Vec::new(),
            free: Vec::new(),
            queue: VecDeque::new(),
            bound: bound.get(),
            reserved: 0,
            waiting: VecDeque::new(),
            next_id: 0,
            handles: 1,
            worker: None,
            stuck: false,
            end: None,
        };
        Requests { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<Request, F, E>> {
        lock(&self.state)
    }

    // What handles do.

    pub(super) fn add_handle(&self) {
        self.state().handles += 1;
    }

    /// Gives back what a handle has: its place among those that wait, or its readiness.
    pub(super) fn drop_handle(&self, waiting: Option<u64>, ready: bool) {
        let mut state = self.state();
        let position = waiting.and_then(|id| state.position(id));
        let old = position.and_then(|position| state.waiting.remove(position));
        state.reserved -= usize::from(ready);
        state.handles -= 1;
        let wakers = [state.wake_waiting(), state.wake_last()];
        drop(state);
        drop(old);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    pub(super) fn end(&self) -> Option<End<E>> {
        self.state().end.clone()
    }

    /// Reserves room for a request, in the order of those that wait for it.
    pub(super) fn poll_reserve(
        &self,
        waiting: &mut Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), End<E>>> {
        if let Poll::Ready(result) = self.state().try_reserve(waiting) {
            return Poll::Ready(result);
        }
        // Cloned when no lock is held, as it calls out.
        let waker = cx.waker().clone();
        let mut state = self.state();
        if let Poll::Ready(result) = state.try_reserve(waiting) {
            return Poll::Ready(result);
        }
        let old = match waiting.and_then(|id| state.position(id)) {
            Some(position) => state.waiting[position].1.replace(waker),
            None => {
                state.next_id += 1;
                let id = state.next_id;
                state.waiting.push_back((id, Some(waker)));
                *waiting = Some(id);
                None
            }
        };
        drop(state);
        drop(old);
        Poll::Pending
    }

    /// Adds a request for which there is a reservation. Returns the number of its slot.
    pub(super) fn call(&self, request: Request) -> Result<usize, End<E>> {
        let mut state = self.state();
        state.reserved -= 1;
        if let Some(end) = state.end.clone() {
            drop(state);
            drop(request);
            return Err(end);
        }
        let index = state.insert(Slot::Queued(request, None));
        state.queue.push_back(index);
        let waker = if state.stuck { None } else { state.worker.take() };
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Ok(index)
    }

    // What calls do.

    /// The response of a call, which frees its slot.
    pub(super) fn poll_response(
        &self,
        index: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F, End<E>>> {
        let mut state = self.state();
        if let Some(waker) = state.slots[index].waker() {
            if waker.as_ref().is_some_and(|old| old.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            drop(state);
            let waker = cx.waker().clone();
            state = self.state();
            if let Some(old) = state.slots[index].waker() {
                let old = old.replace(waker);
                drop(state);
                drop(old);
                return Poll::Pending;
            }
        }
        let slot = state.release(index);
        Poll::Ready(match slot {
            Slot::Answered(response) => Ok(response),
            _ => Err(state.end.clone().unwrap_or(End::Closed)),
        })
    }

    /// Takes a call back that nobody waits for any more. A request in the queue makes room at once; its
    /// place there is looked for, one by one.
    pub(super) fn cancel(&self, index: usize) {
        let mut state = self.state();
        if let Slot::Taken(waker) = &mut state.slots[index] {
            let waker = waker.take();
            state.slots[index] = Slot::Abandoned;
            drop(state);
            drop(waker);
            return;
        }
        if let Slot::Queued(..) = state.slots[index] {
            let position = state.queue.iter().position(|queued| *queued == index);
            position.and_then(|position| state.queue.remove(position));
        }
        let slot = state.release(index);
        let wakers = [state.wake_waiting(), state.wake_last()];
        drop(state);
        // Before the drop: that is the user's, and may panic.
        wakers.into_iter().flatten().for_each(Waker::wake);
        drop(slot);
    }

    // What the worker does.

    pub(super) fn work(&self) -> Work {
        self.state().work()
    }

    /// Leaves the waker of the worker, unless there is work now. If it is stuck there is work, which it
    /// cannot do.
    pub(super) fn wait(&self, stuck: bool, cx: &mut Context<'_>) -> Work {
        let waker = cx.waker().clone();
        let mut state = self.state();
        let work = state.work();
        let mut old = Some(waker);
        if matches!((&work, stuck), (Work::Wait, _) | (Work::Some, true)) {
            // Requests wake a worker that was stuck and has none left.
            state.stuck = matches!(work, Work::Some);
            old = mem::replace(&mut state.worker, old);
        }
        drop(state);
        drop(old);
        work
    }

    /// The oldest request that has not been cancelled.
    pub(super) fn take(&self) -> Option<(usize, Request)> {
        let mut state = self.state();
        let index = state.queue.pop_front()?;
        let slot = mem::replace(&mut state.slots[index], Slot::Taken(None));
        let Slot::Queued(request, waker) = slot else {
            unreachable!("only these are in the queue")
        };
        state.slots[index] = Slot::Taken(waker);
        let waker = state.wake_waiting();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Some((index, request))
    }

    /// Answers the request that was taken.
    pub(super) fn answer(&self, index: usize, response: F) -> Work {
        let mut state = self.state();
        let work = state.work();
        let slot = mem::replace(&mut state.slots[index], Slot::Answered(response));
        let (waker, unwanted) = match slot {
            Slot::Taken(waker) => (waker, None),
            _ => (None, Some(state.release(index))),
        };
        drop(state);
        // Before the drop: that is the user's, and may panic.
        waker.into_iter().for_each(Waker::wake);
        drop(unwanted);
        work
    }

    /// Takes no more requests, and tells everybody. The first end stands.
    pub(super) fn close(&self, end: End<E>) {
        let mut state = self.state();
        if state.end.is_some() {
            return;
        }
        state.end = Some(end);
        state.queue.clear();
        let mut wakers: Vec<Waker> = Vec::new();
        let mut requests = Vec::new();
        for index in 0..state.slots.len() {
            match mem::replace(&mut state.slots[index], Slot::Free) {
                Slot::Queued(request, waker) => {
                    requests.push(request);
                    wakers.extend(waker);
                    state.slots[index] = Slot::Ended;
                }
                Slot::Taken(waker) => {
                    wakers.extend(waker);
                    state.slots[index] = Slot::Ended;
                }
                Slot::Abandoned => state.free.push(index),
                other => state.slots[index] = other,
            }
        }
        wakers.extend(state.waiting.drain(..).filter_map(|(_, waker)| waker));
        let worker = state.worker.take();
        drop(state);
        // Before the drop: that is the user's, and may panic.
        wakers.into_iter().for_each(Waker::wake);
        drop((requests, worker));
    }
}

impl<Request, F, E> State<Request, F, E> {
    fn try_reserve(&mut self, waiting: &mut Option<u64>) -> Poll<Result<(), End<E>>> {
        if let Some(end) = &self.end {
            *waiting = None;
            return Poll::Ready(Err(end.clone()));
        }
        let place = waiting.and_then(|id| self.position(id));
        if self.room() <= place.unwrap_or(self.waiting.len()) {
            return Poll::Pending;
        }
        // Its waker was taken to wake it, or is that of the task that polls now.
        place.and_then(|place| self.waiting.remove(place));
        *waiting = None;
        self.reserved += 1;
        Poll::Ready(Ok(()))
    }
}

impl<Request, F> Slot<Request, F> {
    /// Where the waker of a call goes that has no response yet.
    fn waker(&mut self) -> Option<&mut Option<Waker>> {
        match self {
            Slot::Queued(_, waker) | Slot::Taken(waker) => Some(waker),
            _ => None,
        }
    }
}
