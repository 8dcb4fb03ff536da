//! The raw handle of a sink: owned, checked once, validated at every crossing.

use std::ffi::c_void;
use std::fmt;
use std::task::Context;

use crate::abi::{self, PollContext, RawHandle, SinkVTable, TypeDesc};
use crate::error::{OpenError, ProtocolError, ZigError};
use crate::source::{Owned, Progress, checked_table};

/// The raw handle of a sink that the other side consumes.
///
/// It owns one reference to the other side's state. Dropping it before the function has ended cancels
/// the function, and never blocks.
pub struct RawSink {
    owned: Owned,
    send_batch: unsafe extern "C" fn(
        *mut c_void,
        *const PollContext,
        *const c_void,
        usize,
        *mut usize,
    ) -> i32,
    poll_close: unsafe extern "C" fn(*mut c_void, *const PollContext, *mut c_void) -> i32,
    take_back: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> usize>,
    item: TypeDesc,
    result: TypeDesc,
    /// The function has ended and takes no more; how it ended is still to be asked by `poll_close`.
    refused: bool,
}

// SAFETY: as for `RawSource`.
unsafe impl Send for RawSink {}
// SAFETY: as for `RawSource`.
unsafe impl Sync for RawSink {}

impl RawSink {
    /// Takes ownership of a handle, after checking its table.
    ///
    /// On an error the state's reference is not released: a table that is not understood is not
    /// called.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the table is null, too short, of another major ABI version, lacks a
    /// function, or its item or result types are other than `item` and `result`.
    ///
    /// # Safety
    ///
    /// As for [`RawSource::from_raw`](crate::RawSource::from_raw), with a [`SinkVTable`].
    pub unsafe fn from_raw(
        handle: RawHandle,
        item: TypeDesc,
        result: TypeDesc,
    ) -> Result<Self, OpenError> {
        // SAFETY: passed on.
        let table: &SinkVTable = unsafe { checked_table(handle.vtable.cast(), "sink's table") }?;
        let send_batch = table.send_batch.ok_or(OpenError::Null("`send_batch` function"))?;
        let poll_close = table.poll_close.ok_or(OpenError::Null("`poll_close` function"))?;
        if table.item != item {
            return Err(OpenError::ItemType { expected: item, found: table.item });
        }
        if table.result != result {
            return Err(OpenError::ResultType { expected: result, found: table.result });
        }
        let owned = Owned::new(handle.state, table.release, table.cancel, table.last_error)?;
        let take_back = table.take_back;
        Ok(RawSink { owned, send_batch, poll_close, take_back, item, result, refused: false })
    }

    /// What the items are.
    pub fn item(&self) -> TypeDesc {
        self.item
    }

    /// What the function returns.
    pub fn result(&self) -> TypeDesc {
        self.result
    }

    /// Whether the other side takes no more items.
    pub fn refused(&self) -> bool {
        self.refused || self.owned.ended
    }

    /// Offers `count` items, and returns how many were taken and what then. Taken items belong to the
    /// other side.
    ///
    /// `Ended(None)` means that the function has returned before it took everything: its result is to
    /// be had from [`poll_close`](Self::poll_close).
    ///
    /// # Safety
    ///
    /// `items` must be valid for reading `count` items of the type that [`item`](Self::item)
    /// describes; ownership of those that were taken passes to the other side.
    #[inline]
    pub unsafe fn send_batch(
        &mut self,
        cx: &mut Context<'_>,
        items: *const c_void,
        count: usize,
    ) -> (usize, Progress) {
        if self.refused() {
            return (0, Progress::Ended(None));
        }
        let context = self.owned.context(cx);
        let mut n = 0;
        // SAFETY: the state is alive, `items` has `count` items, and `&mut self` makes us the only
        // sender.
        let status = unsafe {
            (self.send_batch)(self.owned.state, &raw const context, items, count, &raw mut n)
        };
        if n > count {
            // Whatever it took, it took no more than all. An item that was taken must not be used
            // here again, so that all count as taken.
            let breach = ProtocolError::TooManyItems { items: n, cap: count };
            return (count, self.owned.breach(breach));
        }
        match status {
            abi::READY if n < count => {
                let breach = ProtocolError::ShortReady { taken: n, offered: count };
                (n, self.owned.breach(breach))
            }
            abi::READY => (n, Progress::Ready),
            abi::PENDING => (n, Progress::Pending),
            abi::DONE => {
                self.refused = true;
                (n, Progress::Ended(None))
            }
            terminal => (n, self.owned.terminal(terminal)),
        }
    }

    /// Ends the input and waits for the function. `Ended(None)`: its result was written to `result`.
    ///
    /// # Safety
    ///
    /// `result` must be valid for writing a value of the type that [`result`](Self::result) describes, or
    /// a pointer if that is an end of a channel.
    pub unsafe fn poll_close(&mut self, cx: &mut Context<'_>, result: *mut c_void) -> Progress {
        if self.owned.ended {
            return Progress::Ended(Some(ZigError::Closed));
        }
        let context = self.owned.context(cx);
        // SAFETY: the state is alive, `result` is writable, and `&mut self` makes us the only one.
        let status = unsafe { (self.poll_close)(self.owned.state, &raw const context, result) };
        match status {
            abi::PENDING => Progress::Pending,
            // There is no "ready" for a close.
            abi::READY => self.owned.breach(ProtocolError::UnknownStatus(status)),
            terminal => self.owned.terminal(terminal),
        }
    }

    /// Whether the function wants items (`Ready`); it gets a turn to run. Otherwise as
    /// [`send_batch`](Self::send_batch).
    pub fn poll_wanted(&mut self, cx: &mut Context<'_>) -> Progress {
        // SAFETY: no items; the pointer is not null, and aligned for all of them.
        unsafe { self.send_batch(cx, std::ptr::without_provenance(4096), 0) }.1
    }

    /// Once the function has ended: moves up to `cap` items that it was given and has not consumed to
    /// `out`, and returns how many. Before the end, and after a breach of the protocol, there are none.
    ///
    /// # Safety
    ///
    /// `out` must be valid for writing `cap` items of the type that [`item`](Self::item) describes. The
    /// caller owns those that were moved.
    pub unsafe fn take_back(&mut self, out: *mut c_void, cap: usize) -> usize {
        let Some(take_back) = self.take_back.filter(|_| self.refused() && !self.owned.broken)
        else {
            return 0;
        };
        // SAFETY: the state is alive and its function has ended; `out` has room for `cap` items.
        let n = unsafe { take_back(self.owned.state, out, cap) };
        if n > cap {
            self.owned.broken = true;
            return 0;
        }
        n
    }

    /// Asks the other side to end, unless it has. Idempotent, never blocks.
    pub fn cancel(&self) {
        self.owned.cancel();
    }
}

impl fmt::Debug for RawSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSink")
            .field("item", &self.item)
            .field("result", &self.result)
            .field("state", &self.owned.state)
            .field("ended", &self.owned.ended)
            .finish_non_exhaustive()
    }
}
