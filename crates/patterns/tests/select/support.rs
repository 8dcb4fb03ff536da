//! A task around a stream, and streams that misbehave in one way.

use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::Stream;
use ziggurat_patterns::testing::WakeProbe;

/// A stream with a task that it wakes.
pub struct Task<S> {
    pub stream: S,
    wakes: WakeProbe,
    /// How many wakes there had been before the last poll.
    seen: usize,
}

pub fn spawn<S>(stream: S) -> Task<S> {
    Task { stream, wakes: WakeProbe::new(), seen: 0 }
}

impl<S> Task<S> {
    pub fn with<T>(&mut self, poll: impl FnOnce(&mut S, &mut Context<'_>) -> T) -> T {
        self.seen = self.wakes.count();
        let waker = self.wakes.waker();
        poll(&mut self.stream, &mut Context::from_waker(&waker))
    }

    /// Whether it was woken since the last poll.
    pub fn is_woken(&self) -> bool {
        self.wakes.count() > self.seen
    }
}

impl<S: Stream + Unpin> Task<S> {
    pub fn poll(&mut self) -> Poll<Option<S::Item>> {
        self.with(|stream, cx| Pin::new(stream).poll_next(cx))
    }

    /// All items that there are now, and whether it has ended.
    pub fn drain(&mut self) -> (Vec<S::Item>, bool) {
        let mut items = Vec::new();
        loop {
            match self.poll() {
                Poll::Ready(Some(item)) => items.push(item),
                Poll::Ready(None) => return (items, true),
                Poll::Pending if self.is_woken() => {}
                Poll::Pending => return (items, false),
            }
        }
    }
}

impl<S> Deref for Task<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.stream
    }
}

impl<S> DerefMut for Task<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

/// Claims to have as many items as can be counted.
pub struct Monster;

impl Stream for Monster {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<()>> {
        panic!("only its hint is of use")
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, Some(usize::MAX))
    }
}

/// Wakes its task in each poll, and never has an item.
pub struct Restless(pub Arc<AtomicUsize>);

impl Stream for Restless {
    type Item = u64;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u64>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Counts how often the stream inside is polled, all together.
pub struct Counted<S>(pub S, pub Arc<AtomicUsize>);

impl<S: Stream + Unpin> Stream for Counted<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_next(cx)
    }
}
