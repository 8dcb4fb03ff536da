//! Windows of so many items.

use std::fmt;
use std::mem;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use tower_layer::Layer;

use crate::buffer::POLLS;

/// Wraps streams in [`Window`].
///
/// ```
/// use std::num::NonZeroUsize;
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{StreamLayerExt, stream::WindowLayer};
///
/// # futures::executor::block_on(async {
/// let pairs = WindowLayer::new(NonZeroUsize::new(2).unwrap()).emit_partial(false);
/// let mut windows = stream::iter(1..=3).layer(pairs);
/// assert_eq!(windows.next().await, Some(vec![1, 2]));
/// assert_eq!(windows.next().await, None);
/// assert_eq!(windows.into_parts().1, [3]);
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct WindowLayer {
    size: NonZeroUsize,
    partial: bool,
}

/// More items than this are not reserved in advance.
const RESERVED: usize = 4096;

impl WindowLayer {
    /// Windows of `size` items.
    pub fn new(size: NonZeroUsize) -> Self {
        WindowLayer { size, partial: true }
    }

    /// Whether the items that are left at the end come as a smaller window. They do by default.
    pub fn emit_partial(mut self, emit: bool) -> Self {
        self.partial = emit;
        self
    }
}

impl<S: Stream> Layer<S> for WindowLayer {
    type Service = Window<S>;

    fn layer(&self, inner: S) -> Window<S> {
        Window { inner, layer: *self, items: Vec::new(), done: false }
    }
}

pin_project! {
    /// A stream of windows of so many items. Made by [`WindowLayer`].
    ///
    /// A poll takes at most 128 items from the source before it lets others run. For limits of weight and
    /// time, and for memory that is used again, see [`batch`](crate::batch).
    #[must_use = "streams do nothing unless polled"]
    pub struct Window<S: Stream> {
        #[pin]
        inner: S,
        layer: WindowLayer,
        items: Vec<S::Item>,
        done: bool,
    }
}

impl<S: Stream> Window<S> {
    /// The stream inside, and the items of the window that is not full.
    pub fn into_parts(self) -> (S, Vec<S::Item>) {
        (self.inner, self.items)
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Stream> Stream for Window<S> {
    type Item = Vec<S::Item>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        let mut this = self.project();
        if *this.done {
            return Poll::Ready(None);
        }
        let size = this.layer.size.get();
        for _ in 0..POLLS {
            match this.inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if this.items.capacity() == 0 {
                        *this.items = Vec::with_capacity(size.min(RESERVED));
                    }
                    this.items.push(item);
                    if this.items.len() >= size {
                        return Poll::Ready(Some(mem::take(this.items)));
                    }
                }
                Poll::Ready(None) => {
                    *this.done = true;
                    let last = this.layer.partial && !this.items.is_empty();
                    return Poll::Ready(last.then(|| mem::take(this.items)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done {
            return (0, Some(0));
        }
        let (size, held) = (self.layer.size.get(), self.items.len());
        let windows = |items: usize| match self.layer.partial {
            true => items.div_ceil(size),
            false => items / size,
        };
        let (lower, upper) = self.inner.size_hint();
        let upper = upper.and_then(|upper| upper.checked_add(held));
        (windows(lower.saturating_add(held)), upper.map(windows))
    }
}

impl<S: Stream> FusedStream for Window<S> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<S: Stream + fmt::Debug> fmt::Debug for Window<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .field("len", &self.items.len())
            .finish_non_exhaustive()
    }
}
