//! Both sides' waiting lists, and what they have learned about waiting; and a future's wait for one of
//! them.

use std::task::{Context, Poll, Waker};

use crate::fence;
use crate::home::Home;
use crate::layout::{Header, KIND_SPSC, ONE};
use crate::patience::{BATCH, BATCH_SPSC, Experience, LONGEST_BATCH, Patience, Turn};
use crate::ring::Miss;
use crate::sync::{AtomicU32, AtomicU64, Backoff, Ordering};
use crate::wait::{Key, Publisher, WaitList};

/// How often a task is polled again because of somebody who is in the middle of an operation, before it
/// parks all the same. A few microseconds each.
const BUSY_TURNS: u32 = 32;

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Receivers,
    Senders,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Receivers => Side::Senders,
            Side::Senders => Side::Receivers,
        }
    }
}

/// Those of both sides who are parked. All that is done with it needs the header that it belongs to.
pub(crate) struct Waiters {
    receivers: WaitList,
    senders: WaitList,
    /// Where those are who publish what the receivers, and the senders, wait for.
    homes: [Home; 2],
    /// Of the receivers, and of the senders.
    looks: [Experience; 2],
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Waiters {
            receivers: WaitList::new(),
            senders: WaitList::new(),
            homes: [Home::new(), Home::new()],
            looks: [Experience::new(), Experience::new()],
        }
    }

    /// The home of whoever publishes what this side waits for, in a one-to-one ring.
    pub(crate) fn home(&self, side: Side) -> &Home {
        &self.homes[side as usize]
    }

    /// Whether one of this side found nothing on this thread when it waited last. A guess: it tells where
    /// it pays to [settle](crate::home::Settled::settle).
    pub(crate) fn are_here(&self, side: Side) -> bool {
        self.looks[side as usize].is_here()
    }

    fn list<'a>(&'a self, header: &'a Header, side: Side) -> (&'a WaitList, &'a AtomicU32) {
        match side {
            Side::Receivers => (&self.receivers, &header.receivers.word),
            Side::Senders => (&self.senders, &header.senders.word),
        }
    }

    /// Wakes up to `count`. See [`WaitList::wake`].
    #[cold]
    #[inline(never)]
    pub(crate) fn wake(&self, header: &Header, side: Side, count: usize) {
        self.looks[side as usize].wakes();
        let (list, word) = self.list(header, side);
        list.wake(word, count);
    }

    /// See [`WaitList::park`].
    pub(crate) fn park(
        &self,
        header: &Header,
        side: Side,
        key: &mut Option<Key>,
        waker: &Waker,
        commits: bool,
    ) -> bool {
        self.looks[side as usize].parks(&self.looks[side.other() as usize]);
        let (list, word) = self.list(header, side);
        let publisher = (header.kind == KIND_SPSC).then(|| {
            // Relaxed: for an estimate.
            let word = match side {
                Side::Receivers => header.receivers_line.head.load(Ordering::Relaxed),
                Side::Senders => header.senders_line.tail.load(Ordering::Relaxed),
            };
            Publisher { passed: word / ONE, home: self.home(side) }
        });
        list.park(word, key, waker, commits, publisher)
    }

    /// See [`WaitList::is_woken`].
    fn is_woken(&self, header: &Header, side: Side, key: Key) -> bool {
        let woken = self.list(header, side).0.is_woken(key);
        if woken {
            self.looks[side as usize].runs();
        }
        woken
    }

    /// Ends a wait. `used`: a wake that came was for what the waiter has done, or there is nothing more
    /// to wait for; otherwise it is passed on.
    pub(crate) fn unpark(&self, header: &Header, side: Side, key: &mut Option<Key>, used: bool) {
        if let Some(key) = key.take() {
            let (list, word) = self.list(header, side);
            if list.unpark(word, key) && !used {
                self.wake(header, side, 1);
            }
        }
    }

    /// Spends a turn of a wait that is not parked yet.
    fn look_on(
        &self,
        header: &Header,
        patience: &mut Patience,
        cx: &Context<'_>,
        batches: &mut u32,
        side: Side,
        other: &AtomicU64,
    ) -> Turn {
        let experience = (&self.looks[side as usize], &self.looks[side.other() as usize]);
        let shortest = if header.kind == KIND_SPSC { BATCH_SPSC } else { BATCH };
        let batch = (header.capacity / 16).clamp(shortest.into(), LONGEST_BATCH) as u32;
        // Relaxed: it is looked at for a change only.
        patience.turn(cx, batches, batch, experience, || other.load(Ordering::Relaxed))
    }
}

/// A wait of one future for one side of a channel.
#[derive(Debug, Default)]
pub(crate) struct Wait {
    key: Option<Key>,
    patience: Patience,
    /// It may never be polled again, and so does not commit to use a wake.
    passive: bool,
    /// How often it had to be polled again because of [`Miss::Busy`].
    busy: u32,
}

/// What has a header and its waiters.
pub(crate) trait Place {
    fn place(&self) -> (&Header, &Waiters);

    /// What the other side writes for every item.
    fn progress(&self, side: Side) -> &AtomicU64 {
        self.place().0.progress(side)
    }
}

impl Wait {
    /// The wait of a stream or a sink.
    pub(crate) fn passive() -> Self {
        Wait { passive: true, ..Wait::default() }
    }

    /// Repeats `attempt` until it is neither [`Miss::Blocked`] nor [`Miss::Busy`], or the task is parked.
    #[inline(always)]
    pub(crate) fn poll<P: Place, R>(
        &mut self,
        cx: &mut Context<'_>,
        place: &mut P,
        side: Side,
        mut attempt: impl FnMut(&mut P) -> Result<R, Miss>,
    ) -> Poll<Result<R, Miss>> {
        // Before the attempt: a wake that comes after it is about something else, and is passed on.
        let woken = self.key.is_some_and(|key| {
            let (header, waiters) = place.place();
            waiters.is_woken(header, side, key)
        });
        match attempt(place) {
            Err(miss @ (Miss::Blocked | Miss::Busy)) => {
                self.poll_slow(cx, place, side, miss, &mut attempt)
            }
            done => {
                self.end(place, side, woken);
                Poll::Ready(done)
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn poll_slow<P: Place, R>(
        &mut self,
        cx: &mut Context<'_>,
        place: &mut P,
        side: Side,
        mut miss: Miss,
        attempt: &mut dyn FnMut(&mut P) -> Result<R, Miss>,
    ) -> Poll<Result<R, Miss>> {
        let mut batches = 0;
        while self.key.is_none() {
            let (header, waiters) = place.place();
            let other = place.progress(side);
            match waiters.look_on(header, &mut self.patience, cx, &mut batches, side, other) {
                Turn::Park => break,
                Turn::Yield => return Poll::Pending,
                Turn::Again => match attempt(place) {
                    Err(Miss::Blocked | Miss::Busy) => {}
                    done => return Poll::Ready(done),
                },
            }
        }
        // Registered before the last look, so that whatever comes after that look wakes the task.
        let (header, waiters) = place.place();
        let mut look = waiters.park(header, side, &mut self.key, cx.waker(), !self.passive);
        let mut backoff = Backoff::new();
        loop {
            if look {
                match attempt(place) {
                    Err(again @ (Miss::Blocked | Miss::Busy)) => miss = again,
                    done => {
                        // The wake that made it look again is used up; another one was for the next
                        // waiter.
                        self.end(place, side, false);
                        return Poll::Ready(done);
                    }
                }
            }
            if miss == Miss::Blocked {
                return Poll::Pending;
            }
            // The other one has claimed the slot before the look, and may not see who is parked. See
            // "Parked words" in `layout`.
            look = true;
            backoff.snooze();
            if backoff.is_patient() {
                continue;
            }
            if self.busy == BUSY_TURNS && fence::is_asymmetric() {
                self.busy = 0;
                fence::heavy();
                return match attempt(place) {
                    Err(Miss::Blocked | Miss::Busy) => Poll::Pending,
                    done => {
                        self.end(place, side, false);
                        Poll::Ready(done)
                    }
                };
            }
            self.busy = BUSY_TURNS.min(self.busy + 1);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
    }

    /// Whether it is in the waiting list, or was and has been woken.
    #[inline(always)]
    pub(crate) fn is_parked(&self) -> bool {
        self.key.is_some()
    }

    /// Leaves the waiting list. `used`: a wake that came is not passed on.
    #[inline(always)]
    pub(crate) fn end(&mut self, place: &impl Place, side: Side, used: bool) {
        if self.key.is_some() {
            let (header, waiters) = place.place();
            waiters.unpark(header, side, &mut self.key, used);
        }
    }
}
