//! Driving calls while the consumer works.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::queue::Order;
use super::{BUDGET, Calls};

pin_project! {
    /// The future of [`Calls::for_each`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ForEach<C, F, W> {
        #[pin]
        calls: C,
        make: F,
        #[pin]
        work: Option<W>,
    }
}

impl<C, F, W> ForEach<C, F, W> {
    pub(super) fn new(calls: C, make: F) -> Self {
        ForEach { calls, make, work: None }
    }
}

impl<St, Svc, O, F, W> Future for ForEach<Calls<St, Svc, O>, F, W>
where
    St: Stream,
    Svc: Service<St::Item>,
    O: Order,
    F: FnMut(Result<Svc::Response, Svc::Error>) -> W,
    W: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        for _ in 0..BUDGET {
            if let Some(work) = this.work.as_mut().as_pin_mut() {
                if work.poll(cx).is_pending() {
                    this.calls.poll_drive(cx);
                    return Poll::Pending;
                }
                this.work.set(None);
            }
            match this.calls.as_mut().poll_next(cx) {
                Poll::Ready(Some(response)) => this.work.set(Some((this.make)(response))),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C: fmt::Debug, F, W> fmt::Debug for ForEach<C, F, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForEach").field("calls", &self.calls).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Calls::drive_with`].
    #[must_use = "futures do nothing unless polled"]
    pub struct DriveWith<'a, C, F> {
        calls: Pin<&'a mut C>,
        #[pin]
        future: F,
    }
}

impl<'a, C, F> DriveWith<'a, C, F> {
    pub(super) fn new(calls: Pin<&'a mut C>, future: F) -> Self {
        DriveWith { calls, future }
    }
}

impl<St, Svc, O, F> Future for DriveWith<'_, Calls<St, Svc, O>, F>
where
    St: Stream,
    Svc: Service<St::Item>,
    O: Order,
    F: Future,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let result = this.future.poll(cx);
        if result.is_pending() {
            this.calls.as_mut().poll_drive(cx);
        }
        result
    }
}

impl<C: fmt::Debug, F> fmt::Debug for DriveWith<'_, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriveWith").field("calls", &self.calls).finish_non_exhaustive()
    }
}
