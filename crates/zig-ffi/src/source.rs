//! The raw handle of a stream: owned, checked once, validated at every crossing.

use std::ffi::c_void;
use std::fmt;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::task::Context;

use crate::abi::{
    self, ABI_MAJOR, ErrorRecord, Header, PollContext, RawHandle, SourceVTable, TypeDesc,
};
use crate::error::{OpenError, ProtocolError, ZigError};
use crate::waker::HostWaker;

/// How a crossing left the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Call again at any time.
    Ready,
    /// Call again after a wake.
    Pending,
    /// It has ended: `None` when it ended well. It is not called again.
    Ended(Option<ZigError>),
}

/// What both kinds of handles share: the state, its reference, and the waker.
pub(crate) struct Owned {
    pub(crate) state: *mut c_void,
    release: unsafe extern "C" fn(*mut c_void),
    cancel: unsafe extern "C" fn(*mut c_void),
    last_error: unsafe extern "C" fn(*mut c_void, *mut ErrorRecord),
    waker: HostWaker,
    pub(crate) ended: bool,
    /// It broke a rule: nothing that it says is believed.
    pub(crate) broken: bool,
}

impl Owned {
    pub(crate) fn new(
        state: *mut c_void,
        release: Option<unsafe extern "C" fn(*mut c_void)>,
        cancel: Option<unsafe extern "C" fn(*mut c_void)>,
        last_error: Option<unsafe extern "C" fn(*mut c_void, *mut ErrorRecord)>,
    ) -> Result<Self, OpenError> {
        Ok(Owned {
            state,
            release: release.ok_or(OpenError::Null("`release` function"))?,
            cancel: cancel.ok_or(OpenError::Null("`cancel` function"))?,
            last_error: last_error.ok_or(OpenError::Null("`last_error` function"))?,
            waker: HostWaker::new(),
            ended: false,
            broken: false,
        })
    }

    #[inline]
    pub(crate) fn context(&mut self, cx: &mut Context<'_>) -> PollContext {
        self.waker.register(cx)
    }

    pub(crate) fn forget_waker(&self) {
        self.waker.forget();
    }

    /// The meaning of a status that is neither `READY` nor `PENDING`.
    #[cold]
    pub(crate) fn terminal(&mut self, status: i32) -> Progress {
        let end = match status {
            abi::DONE => None,
            abi::CANCELLED => Some(ZigError::Canceled),
            abi::ERROR => Some(ZigError::Failed(self.describe(|record| {
                // SAFETY: `last_error` filled in texts that live until the state is released.
                unsafe { record.to_failure() }
            }))),
            abi::PANICKED => Some(ZigError::Panicked(self.describe(|record| {
                // SAFETY: as above.
                unsafe { record.to_panic() }
            }))),
            unknown => return self.breach(ProtocolError::UnknownStatus(unknown)),
        };
        self.ended = true;
        Progress::Ended(end)
    }

    fn describe<E>(&self, copy: impl FnOnce(&ErrorRecord) -> E) -> E {
        let mut record = ErrorRecord::EMPTY;
        // SAFETY: the state is alive, and the record is ours.
        unsafe { (self.last_error)(self.state, &raw mut record) };
        copy(&record)
    }

    /// The other side broke a rule: cancel it, and never call it again.
    #[cold]
    pub(crate) fn breach(&mut self, error: ProtocolError) -> Progress {
        self.cancel();
        self.ended = true;
        self.broken = true;
        Progress::Ended(Some(ZigError::Protocol(error)))
    }

    pub(crate) fn cancel(&self) {
        if !self.ended {
            // SAFETY: the state is alive, and `cancel` may be called at any time from any thread.
            unsafe { (self.cancel)(self.state) }
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.cancel();
        // SAFETY: the handle owns one reference, and this is its end.
        unsafe { (self.release)(self.state) }
    }
}

/// Checks a table's header before anything behind it is read.
///
/// # Safety
///
/// `table` is null or points to a readable header, behind which `struct_size` bytes are readable.
pub(crate) unsafe fn checked_table<'a, T>(
    table: *const T,
    name: &'static str,
) -> Result<&'a T, OpenError> {
    let header = NonNull::new(table.cast_mut()).ok_or(OpenError::Null(name))?.cast::<Header>();
    // SAFETY: readable, says the caller.
    let header = unsafe { header.read_unaligned() };
    if header.abi_major != ABI_MAJOR {
        return Err(OpenError::AbiVersion {
            found_major: header.abi_major,
            found_minor: header.abi_minor,
        });
    }
    let needed = size_of::<T>() as u32;
    if header.struct_size < needed {
        return Err(OpenError::TableSize { table: name, found: header.struct_size, needed });
    }
    if !table.is_aligned() {
        return Err(OpenError::Misaligned(name));
    }
    // SAFETY: not null, aligned, and at least as long as `T`; of our major version, so that its
    // fields are what `T` says. (Any bit pattern is valid in them: integers and nullable pointers.)
    Ok(unsafe { &*table })
}

/// What a crossing left that was not only `Ready`, as it was said and not yet checked.
#[derive(Debug)]
pub struct Unready {
    items: usize,
    /// `None`: there was no crossing, since the other side has ended.
    status: Option<i32>,
}

/// The raw handle of a stream that the other side produces.
///
/// It owns one reference to the other side's state. Dropping it cancels the stream if it has not
/// ended, and never blocks.
pub struct RawSource {
    owned: Owned,
    poll_batch: unsafe extern "C" fn(
        *mut c_void,
        *const PollContext,
        *mut c_void,
        usize,
        *mut usize,
    ) -> i32,
    item: TypeDesc,
}

// SAFETY: a handle is used by one owner at a time (`&mut self`), and the ABI demands that its
// functions work on whatever thread that owner is on.
unsafe impl Send for RawSource {}
// SAFETY: `&self` only reaches `cancel`, which may be called from any thread at any time.
unsafe impl Sync for RawSource {}

impl RawSource {
    /// Takes ownership of a handle, after checking its table.
    ///
    /// On an error the state's reference is not released: a table that is not understood is not
    /// called.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the table is null, too short, of another major ABI version, lacks a
    /// function, or carries items other than `item`.
    ///
    /// # Safety
    ///
    /// The table must be null or a readable [`SourceVTable`] (at least its header, and as many bytes
    /// as that says) for the life of the handle, and its functions must accept `handle.state` as
    /// [`SourceVTable`] describes: not unwind, write at most `cap` items and a count to `out` and `n`,
    /// and fill error records with readable texts.
    pub unsafe fn from_raw(handle: RawHandle, item: TypeDesc) -> Result<Self, OpenError> {
        // SAFETY: passed on.
        let table: &SourceVTable =
            unsafe { checked_table(handle.vtable.cast(), "stream's table") }?;
        let poll_batch = table.poll_batch.ok_or(OpenError::Null("`poll_batch` function"))?;
        if table.item != item {
            return Err(OpenError::ItemType { expected: item, found: table.item });
        }
        let owned = Owned::new(handle.state, table.release, table.cancel, table.last_error)?;
        Ok(RawSource { owned, poll_batch, item })
    }

    /// What the items are.
    pub fn item(&self) -> TypeDesc {
        self.item
    }

    /// Whether the other side has ended. It is not called again then.
    pub fn ended(&self) -> bool {
        self.owned.ended
    }

    /// Crosses the border once: moves up to `cap` items to `out`, and returns how many and what then.
    /// Items count whatever came after them. After the end it returns the end again, without an error.
    ///
    /// A count or status that cannot be is [`ZigError::Protocol`], and the other side is cancelled.
    ///
    /// # Safety
    ///
    /// `out` must be valid for writing `cap` items of the type that [`item`](Self::item) describes.
    #[inline]
    pub unsafe fn poll_batch(
        &mut self,
        cx: &mut Context<'_>,
        out: *mut c_void,
        cap: usize,
    ) -> (usize, Progress) {
        // SAFETY: passed on.
        match unsafe { self.poll_items(cx, out, cap) } {
            Ok(n) => (n, Progress::Ready),
            Err(unready) => self.settle(unready, cap),
        }
    }

    /// As [`poll_batch`](Self::poll_batch), which this makes with [`settle`](Self::settle): what comes with
    /// each crossing that is only `Ready`, and so for inlining. `Ok` is 1 to `cap` items.
    ///
    /// # Errors
    ///
    /// What [`settle`](Self::settle) makes of any other crossing, with the same `cap`.
    ///
    /// # Safety
    ///
    /// As for `poll_batch`.
    #[inline]
    pub unsafe fn poll_items(
        &mut self,
        cx: &mut Context<'_>,
        out: *mut c_void,
        cap: usize,
    ) -> Result<usize, Unready> {
        if self.owned.ended {
            return Err(Unready { items: 0, status: None });
        }
        let context = self.owned.context(cx);
        let mut n = 0;
        // SAFETY: the state is alive, `out` has room for `cap` items, and `&mut self` makes us the
        // only poller.
        let status = unsafe {
            (self.poll_batch)(self.owned.state, &raw const context, out, cap, &raw mut n)
        };
        if status == abi::READY && n != 0 && n <= cap {
            return Ok(n);
        }
        Err(Unready { items: n, status: Some(status) })
    }

    /// What it means that a crossing was not only `Ready`.
    #[cold]
    pub fn settle(&mut self, unready: Unready, cap: usize) -> (usize, Progress) {
        let Unready { items: n, status } = unready;
        let Some(status) = status else { return (0, Progress::Ended(None)) };
        if n > cap {
            return (0, self.owned.breach(ProtocolError::TooManyItems { items: n, cap }));
        }
        match status {
            abi::READY if n == 0 => (0, self.owned.breach(ProtocolError::EmptyReady)),
            abi::READY => (n, Progress::Ready),
            abi::PENDING => (n, Progress::Pending),
            terminal => (n, self.owned.terminal(terminal)),
        }
    }

    /// Nobody waits for a wake until the next poll: for a caller who is going to poll in any case.
    pub fn forget_waker(&mut self) {
        self.owned.forget_waker();
    }

    /// Asks the other side to end, unless it has. Idempotent, never blocks.
    pub fn cancel(&self) {
        self.owned.cancel();
    }
}

impl fmt::Debug for RawSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSource")
            .field("item", &self.item)
            .field("state", &self.owned.state)
            .field("ended", &self.owned.ended)
            .finish_non_exhaustive()
    }
}

const _: () = assert!(offset_of!(SourceVTable, header) == 0);
