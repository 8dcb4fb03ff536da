//! What a stream of responses is made of.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The parts of [`Calls`](super::Calls).
#[non_exhaustive]
pub struct Parts<St, Svc, F: Future> {
    /// The source, from which nothing was taken beside what is in `calls`.
    pub source: St,
    /// The service. It may be ready.
    pub service: Svc,
    /// The calls that were begun and not delivered.
    pub calls: Vec<Call<F>>,
}

impl<St: fmt::Debug, Svc: fmt::Debug, F: Future> fmt::Debug for Parts<St, Svc, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("source", &self.source)
            .field("service", &self.service)
            .field("calls", &self.calls)
            .finish()
    }
}

/// A call that was begun. It is a future of its outcome either way.
#[must_use = "futures do nothing unless polled"]
pub enum Call<F: Future> {
    /// It has finished with this, which is `None` once it was taken.
    Finished(Option<F::Output>),
    /// It goes on when it is polled.
    InFlight(InFlight<F>),
}

impl<F: Future> Call<F> {
    /// Whether it has finished.
    pub fn is_finished(&self) -> bool {
        matches!(self, Call::Finished(_))
    }
}

/// Neither is pinned: the future in flight is in a box.
impl<F: Future> Unpin for Call<F> {}

impl<F: Future> Future for Call<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.get_mut() {
            Call::Finished(output) => {
                Poll::Ready(output.take().expect("not polled after completion"))
            }
            Call::InFlight(future) => Pin::new(future).poll(cx),
        }
    }
}

impl<F: Future> fmt::Debug for Call<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_finished() { "Finished" } else { "InFlight" })
    }
}

/// A service's future, in the place where it was first polled.
#[must_use = "futures do nothing unless polled"]
pub struct InFlight<F>(pub(super) Pin<Box<Option<F>>>);

impl<F: Future> Future for InFlight<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().as_pin_mut().expect("it is in flight").poll(cx)
    }
}

impl<F> fmt::Debug for InFlight<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").finish_non_exhaustive()
    }
}
