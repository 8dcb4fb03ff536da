//! Streams and sinks against a scripted other side: no Zig, no executor.

mod bind;
mod byte_sink;
mod byte_stream;
#[cfg(all(unix, feature = "tokio"))]
mod host;
mod hostile;
mod hostile_buffers;
mod props;
mod reader;
mod sink;
mod sink_drops;
mod stream;
mod stream_drops;
mod traits;
mod transform;
mod writer;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use futures::stream::FusedStream;
use ziggurat_zig_ffi::testing::Task;

/// Polls a future once, for a task that nobody looks at.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&Task::new().waker()))
}

/// Polls a future until it is ready, wakes or not.
fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..10_000 {
        if let Poll::Ready(output) = poll_once(&mut future.as_mut()) {
            return output;
        }
    }
    panic!("never ready");
}

/// Polls a future up to `polls` times, and drops it.
fn abandon<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    (0..polls).find_map(|_| match poll_once(&mut future.as_mut()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// The next item, for a certain task.
fn next<S: Stream + Unpin>(stream: &mut S, task: &Arc<Task>) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(&task.waker()))
}

/// All the items. What the stream said beforehand about how many there will be must be true.
fn collect<S: FusedStream + Unpin>(mut stream: S) -> Vec<S::Item> {
    let (mut items, mut hints) = (Vec::new(), Vec::new());
    let task = Task::new();
    loop {
        hints.push((items.len(), stream.size_hint(), stream.is_terminated()));
        match next(&mut stream, &task) {
            Poll::Ready(Some(item)) => items.push(item),
            Poll::Ready(None) => break,
            Poll::Pending => assert!(!hints.last().unwrap().2, "pending after the end"),
        }
    }
    assert!(stream.is_terminated());
    assert_eq!(stream.size_hint(), (0, Some(0)));
    assert!(matches!(next(&mut stream, &task), Poll::Ready(None)), "fused");
    for (seen, (low, high), terminated) in hints {
        let left = items.len() - seen;
        assert!(low <= left, "{low} or more, of {left}");
        assert!(high.is_none_or(|high| left <= high), "{high:?} at the most, of {left}");
        assert!(!terminated || left == 0);
    }
    items
}
