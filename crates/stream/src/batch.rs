//! What one crossing delivered, kept until it is taken.

use std::task::{Context, Poll};

use ziggurat_zig_ffi::{OpenError, Progress, RawSource, Unready, ZigError};

/// A source with room for one crossing's items.
///
/// The room is initialised once, when it is made, so that a count that claims more than was written
/// finds old or zero bytes there, never uninitialised ones.
pub(crate) struct Batches<W> {
    source: RawSource,
    items: Box<[W]>,
    start: usize,
    end: usize,
    after: After,
    /// Items that may still be handed out before this yields to the executor once. 0 as well when there
    /// is nothing more to come.
    budget: usize,
    full_budget: usize,
}

/// What a crossing leaves. Small, and so in a register: an error is taken afterwards.
enum Filled {
    Items,
    Pending,
    End,
    Error,
}

/// What comes after the items.
enum After {
    More,
    Error(ZigError),
    End,
}

/// Memory for `batch` items, or a typed error for a batch size that is impossible.
pub(crate) fn reserve<W>(batch: usize) -> Result<Vec<W>, OpenError> {
    if batch == 0 {
        return Err(OpenError::Zero("batch"));
    }
    let mut items = Vec::new();
    items.try_reserve_exact(batch).map_err(|_| OpenError::BatchTooLarge { items: batch })?;
    Ok(items)
}

impl<W: Copy> Batches<W> {
    /// `source`'s items are of type `W`.
    ///
    /// # Safety
    ///
    /// Any bit pattern that the source may write is a `W`.
    pub(crate) unsafe fn new(
        source: RawSource,
        empty: W,
        batch: usize,
        budget: usize,
    ) -> Result<Self, OpenError> {
        let mut items = reserve(batch)?;
        items.resize(batch, empty);
        let items = items.into_boxed_slice();
        let after = After::More;
        Ok(Batches { source, items, start: 0, end: 0, after, budget, full_budget: budget })
    }

    /// Items that are here already.
    #[inline]
    pub(crate) fn buffered(&self) -> &[W] {
        &self.items[self.start..self.end]
    }

    /// Takes the next item that is here already.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<W> {
        if self.start == self.end {
            return None;
        }
        debug_assert!(self.end <= self.items.len());
        // SAFETY: `start < end`, and `end` is a count that `RawSource::poll_batch` has checked against
        // the length of `items`.
        let item = unsafe { *self.items.get_unchecked(self.start) };
        self.start += 1;
        Some(item)
    }

    /// As `pop`, and leaves `empty` in its place.
    #[inline]
    pub(crate) fn replace_next(&mut self, empty: W) -> Option<W> {
        if self.start == self.end {
            return None;
        }
        let item = std::mem::replace(&mut self.items[self.start], empty);
        self.start += 1;
        Some(item)
    }

    /// Takes all the items that are here already.
    #[inline]
    pub(crate) fn pop_all(&mut self) -> &[W] {
        let items = &self.items[self.start..self.end];
        self.start = self.end;
        items
    }

    /// Waits for items: `true` when there are some, `false` at the end.
    #[inline]
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ZigError>> {
        if self.start < self.end {
            return Poll::Ready(Ok(true));
        }
        match self.cross(cx) {
            Filled::Items => Poll::Ready(Ok(true)),
            Filled::Pending => Poll::Pending,
            Filled::End => Poll::Ready(Ok(false)),
            Filled::Error => Poll::Ready(Err(self.take_error())),
        }
    }

    fn cross(&mut self, cx: &mut Context<'_>) -> Filled {
        if self.budget == 0 {
            return self.out_of_budget(cx);
        }
        let (out, cap) = (self.items.as_mut_ptr().cast(), self.items.len());
        // SAFETY: `items` has room for `cap` items of the source's type (`new`).
        match unsafe { self.source.poll_items(cx, out, cap) } {
            Ok(n) => {
                (self.start, self.end) = (0, n);
                self.budget = self.budget.saturating_sub(n);
                Filled::Items
            }
            Err(unready) => self.settle(unready),
        }
    }

    #[cold]
    fn out_of_budget(&mut self, cx: &mut Context<'_>) -> Filled {
        match self.after {
            After::More => {
                // A source that is always ready must not starve the executor's other tasks.
                self.budget = self.full_budget;
                cx.waker().wake_by_ref();
                Filled::Pending
            }
            After::End => Filled::End,
            After::Error(_) => Filled::Error,
        }
    }

    #[cold]
    fn settle(&mut self, unready: Unready) -> Filled {
        let (n, progress) = self.source.settle(unready, self.items.len());
        (self.start, self.end) = (0, n);
        self.budget = self.budget.saturating_sub(n);
        match progress {
            Progress::Ready => {}
            Progress::Pending if n == 0 => self.budget = self.full_budget,
            // With items it is no reason to wait yet.
            Progress::Pending => {}
            Progress::Ended(error) => {
                self.after = error.map_or(After::End, After::Error);
                self.budget = 0;
            }
        }
        match &self.after {
            _ if n > 0 => Filled::Items,
            After::More => Filled::Pending,
            After::End => Filled::End,
            After::Error(_) => Filled::Error,
        }
    }

    #[cold]
    fn take_error(&mut self) -> ZigError {
        match std::mem::replace(&mut self.after, After::End) {
            After::Error(error) => error,
            After::More | After::End => unreachable!("asked for only when there is one"),
        }
    }

    /// Whether the end has been reported, or would be by the next poll.
    pub(crate) fn is_terminated(&self) -> bool {
        self.start == self.end && matches!(self.after, After::End)
    }

    /// As `Stream::size_hint`, an error counting as an item.
    pub(crate) fn size_hint(&self) -> (usize, Option<usize>) {
        let here = self.end - self.start;
        match self.after {
            After::More => (here, None),
            After::Error(_) => (here + 1, Some(here + 1)),
            After::End => (here, Some(here)),
        }
    }

    /// Asks the other side to end.
    pub(crate) fn cancel(&self) {
        self.source.cancel();
    }

    /// Nobody waits for a wake until the next poll.
    pub(crate) fn forget_waker(&mut self) {
        self.source.forget_waker();
    }

    /// Ends the stream from this side; what is here already is dropped.
    pub(crate) fn abort(&mut self) {
        self.source.cancel();
        self.start = self.end;
        self.after = After::End;
        self.budget = 0;
    }
}
