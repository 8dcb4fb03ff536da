//! The stream of responses.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::queue::{Entry, Order, Queue};
use super::slots::{Slots, Started};
use super::{AsFinished, BUDGET, Call, DriveWith, ForEach, InFlight, InOrder, Parts};

/// Responses in the order of their requests. Made by [`Through::ordered`](super::Through::ordered).
pub type Ordered<St, Svc> = Calls<St, Svc, InOrder>;

/// Responses as their calls finish. Made by [`Through::unordered`](super::Through::unordered).
pub type Unordered<St, Svc> = Calls<St, Svc, AsFinished>;

/// A response or the service's error.
type Outcome<St, Svc> = Result<
    <Svc as Service<<St as Stream>::Item>>::Response,
    <Svc as Service<<St as Stream>::Item>>::Error,
>;

pin_project! {
    /// The responses of a service to a stream of requests: [`Ordered`] or [`Unordered`].
    ///
    /// `Item = Result<Response, Error>`. An error of a call is an item, and the stream goes on. When
    /// the service fails to become ready it is of no more use: that error comes after the responses
    /// that were to come before it, then those still in flight, and then the stream ends. The source is
    /// not asked again, so nothing of it is lost: [`into_parts`](Self::into_parts) has it.
    ///
    /// The service's readiness is held while the source has nothing to offer, unless
    /// [`release_idle`](super::Through::release_idle) was asked for.
    #[must_use = "streams do nothing unless polled"]
    pub struct Calls<St, Svc, O>
    where
        St: Stream,
        Svc: Service<St::Item>,
        O: Order,
    {
        #[pin]
        source: St,
        service: Svc,
        slots: Slots<Svc::Future>,
        queue: O::Queue<Outcome<St, Svc>>,
        limit: usize,
        // How the readiness that nobody uses is given back.
        release: Option<fn(&Svc) -> Svc>,
        // Nothing more is taken from the source.
        done: bool,
    }
}

impl<St, Svc, O> Calls<St, Svc, O>
where
    St: Stream,
    Svc: Service<St::Item>,
    O: Order,
{
    pub(super) fn new(
        source: St,
        service: Svc,
        limit: usize,
        release: Option<fn(&Svc) -> Svc>,
    ) -> Self {
        let (slots, queue) = (Slots::new(), O::Queue::default());
        Calls { source, service, slots, queue, limit, release, done: false }
    }

    /// How many calls are in flight.
    pub fn in_flight(&self) -> usize {
        self.slots.in_flight()
    }

    /// How many responses are there and were not taken yet.
    pub fn finished(&self) -> usize {
        self.queue.len(self.in_flight()) - self.in_flight()
    }

    /// The source.
    pub fn source(&self) -> &St {
        &self.source
    }

    /// The service.
    pub fn service(&self) -> &Svc {
        &self.service
    }

    /// Takes it apart: the source, the service, and every call that was begun and whose response was
    /// not delivered. Those of [`Ordered`] are in the order of their requests; of [`Unordered`] the
    /// finished ones come first.
    ///
    /// ```
    /// use std::{convert::Infallible, num::NonZeroUsize};
    /// use futures::{FutureExt, StreamExt, stream};
    /// use ziggurat_patterns::StreamLayerExt;
    ///
    /// let slow = tower::service_fn(|n: u32| async move {
    ///     futures::pending!(); // once
    ///     Ok::<_, Infallible>(n)
    /// });
    /// let requests = stream::iter(1..=9);
    /// let mut calls = requests.through(slow).concurrency(NonZeroUsize::new(2).unwrap()).ordered();
    /// assert!(calls.next().now_or_never().is_none());
    ///
    /// let parts = calls.into_parts();
    /// let rest: Vec<u32> = futures::executor::block_on(parts.source.collect());
    /// assert_eq!(rest, [3, 4, 5, 6, 7, 8, 9]);
    /// let answers = futures::executor::block_on(futures::future::join_all(parts.calls));
    /// assert_eq!(answers, [Ok(1), Ok(2)]);
    /// ```
    pub fn into_parts(self) -> Parts<St, Svc, Svc::Future> {
        let mut futures: Vec<_> = self.slots.into_futures().into_iter().map(Some).collect();
        let mut calls = Vec::with_capacity(futures.len());
        for entry in self.queue.into_entries() {
            calls.push(match entry {
                Entry::Finished(output) => Call::Finished(Some(output)),
                Entry::InFlight(slot) => {
                    let future = futures[slot].take().expect("each slot has one entry");
                    Call::InFlight(InFlight(future))
                }
            });
        }
        // Those that the queue did not know of.
        let rest = futures.into_iter().flatten().filter(|future| future.is_some());
        calls.extend(rest.map(|future| Call::InFlight(InFlight(future))));
        Parts { source: self.source, service: self.service, calls }
    }

    /// Handles every response with a future of its own, one after the other, and drives the calls while
    /// that waits.
    ///
    /// Other than `StreamExt::for_each` of futures, which leaves the calls alone meanwhile. See
    /// [the module](super) for who drives what.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the work on the current response and all calls in flight. To be able
    /// to stop in between, loop over [`drive_with`](Self::drive_with).
    ///
    /// ```
    /// use std::{convert::Infallible, num::NonZeroUsize, time::Duration};
    /// use futures::stream;
    /// use ziggurat_patterns::{StreamLayerExt, time::{TestClock, Timer}};
    ///
    /// let clock = &TestClock::new();
    /// let second = Duration::from_secs(1);
    /// let slow = tower::service_fn(|n: u32| async move {
    ///     clock.sleep(second).await;
    ///     clock.sleep(second).await; // begins only if it is polled
    ///     Ok::<_, Infallible>(n)
    /// });
    /// let one = NonZeroUsize::MIN;
    /// let calls = stream::iter(0..10).through(slow).concurrency(one).ordered();
    /// clock.block_on(calls.for_each(|_response| clock.sleep(2 * second)));
    /// // One call, then nine times a call beside the work on the one before it, then the last work.
    /// assert_eq!(clock.elapsed(), 22 * second);
    /// ```
    pub fn for_each<F, W>(self, work: F) -> ForEach<Self, F, W>
    where
        F: FnMut(Outcome<St, Svc>) -> W,
        W: Future<Output = ()>,
    {
        ForEach::new(self, work)
    }

    /// `future`, with the calls being driven while it waits. Responses that finish stay here.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops `future`; the calls stay as they are.
    ///
    /// ```
    /// use std::{convert::Infallible, num::NonZeroUsize, pin::pin, time::Duration};
    /// use futures::{StreamExt, stream};
    /// use ziggurat_patterns::{StreamLayerExt, time::{TestClock, Timer}};
    ///
    /// let clock = TestClock::new();
    /// let second = Duration::from_secs(1);
    /// let slow = tower::service_fn(|n: u32| {
    ///     let sleep = clock.sleep(second);
    ///     async move { sleep.await; Ok::<_, Infallible>(n) }
    /// });
    /// let two = NonZeroUsize::new(2).unwrap();
    /// let mut calls = pin!(stream::iter(0..2).through(slow).concurrency(two).ordered());
    /// clock.block_on(calls.as_mut().drive_with(clock.sleep(second * 5)));
    /// assert_eq!(calls.finished(), 2);
    /// ```
    pub fn drive_with<F: Future>(self: Pin<&mut Self>, future: F) -> DriveWith<'_, Self, F> {
        DriveWith::new(self, future)
    }

    /// Polls the calls that were woken and begins new ones, but takes no response. What there is to
    /// wait for wakes the task of `cx`.
    pub fn poll_drive(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        // Whether the end was reached is for `poll_next` to say.
        let _ = self.poll_any(cx, false);
    }

    /// Takes calls from the source until the limit. `Some` is a response that goes straight out.
    #[inline]
    fn fill(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        budget: &mut usize,
        limit: usize,
        straight: bool,
    ) -> Option<Outcome<St, Svc>> {
        let mut this = self.project();
        while !*this.done && *budget > 0 && this.queue.len(this.slots.in_flight()) < limit {
            match this.service.poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    *this.done = true;
                    this.queue.push(Err(error));
                    break;
                }
                Poll::Pending => break,
            }
            let request = match this.source.as_mut().poll_next(cx) {
                Poll::Ready(Some(request)) => request,
                Poll::Ready(None) => {
                    *this.done = true;
                    break;
                }
                Poll::Pending => {
                    if let Some(clone) = this.release {
                        *this.service = clone(this.service);
                    }
                    break;
                }
            };
            *budget -= 1;
            let call = this.service.call(request);
            match this.slots.start(call, |output| this.queue.push(output)) {
                Started::Ready(output) if straight && this.queue.is_next() => return Some(output),
                Started::Ready(output) => this.queue.push(output),
                Started::InFlight(slot) => this.queue.started(slot),
            }
        }
        None
    }

    /// Polls whatever can make progress. `Ready` only if `deliver`.
    #[inline]
    fn poll_any(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        deliver: bool,
    ) -> Poll<Option<Outcome<St, Svc>>> {
        let mut budget = BUDGET;
        let this = self.as_mut().project();
        this.slots.collect();
        while budget > 0 {
            let Some(slot) = this.slots.next_woken() else { break };
            budget -= 1;
            this.slots.poll(slot, |output| this.queue.finished(slot, output));
        }
        // The place of what goes out is taken again before it goes, so that the calls are `limit` while
        // the consumer works. It is still in the queue: what fills may panic.
        let goes = deliver && this.queue.has_next();
        let limit = this.limit.saturating_add(usize::from(goes));
        let straight = self.as_mut().fill(cx, &mut budget, limit, deliver && !goes);
        let this = self.project();
        if deliver {
            let output = straight.or_else(|| this.queue.pop());
            if output.is_some() {
                return Poll::Ready(output);
            }
            if *this.done && this.queue.len(this.slots.in_flight()) == 0 {
                return Poll::Ready(None);
            }
        }
        // Calls that woke themselves get their next turn after everybody else's.
        if this.slots.collect_or_register(cx) || budget == 0 {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<St, Svc, O> Stream for Calls<St, Svc, O>
where
    St: Stream,
    Svc: Service<St::Item>,
    O: Order,
{
    type Item = Result<Svc::Response, Svc::Error>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_any(cx, true)
    }

    /// The lower bound does not count on the source: the service may fail before all of it is called.
    /// The upper one has room for that error.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let begun = self.queue.len(self.in_flight());
        if self.done {
            return (begun, Some(begun));
        }
        let upper = self.source.size_hint().1.and_then(|upper| upper.checked_add(begun + 1));
        (begun, upper)
    }
}

impl<St, Svc, O> FusedStream for Calls<St, Svc, O>
where
    St: Stream,
    Svc: Service<St::Item>,
    O: Order,
{
    fn is_terminated(&self) -> bool {
        self.done && self.queue.len(self.in_flight()) == 0
    }
}

impl<St, Svc, O> fmt::Debug for Calls<St, Svc, O>
where
    St: Stream + fmt::Debug,
    Svc: Service<St::Item> + fmt::Debug,
    O: Order,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls")
            .field("source", &self.source)
            .field("service", &self.service)
            .field("in_flight", &self.in_flight())
            .field("finished", &self.finished())
            .finish_non_exhaustive()
    }
}
