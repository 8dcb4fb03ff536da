//! A sink whose answers are written down beforehand.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::fmt;
use std::sync::{Arc, Mutex};

use super::state::{Calls, During, HeldWaker, Phase, State};
use crate::abi::{self, ErrorRecord, Header, PollContext, RawHandle, SinkVTable, TypeDesc};
use crate::{Plain, RawSink};
use ziggurat_core::{Buffer, RawBuffer};

/// What a sink answers when it is offered items.
pub struct Taking {
    most: usize,
    claim: Option<usize>,
    status: i32,
    during: Option<During>,
}

impl Taking {
    /// Takes up to `most` items, and answers `status`.
    pub fn new(most: usize, status: i32) -> Self {
        Taking { most, claim: None, status, during: None }
    }

    /// Takes all.
    pub fn all() -> Self {
        Self::new(usize::MAX, abi::READY)
    }

    /// Takes up to `most` items, and says to wait.
    pub fn pending(most: usize) -> Self {
        Self::new(most, abi::PENDING)
    }

    /// Takes up to `most` items, and has ended.
    pub fn done(most: usize) -> Self {
        Self::new(most, abi::DONE)
    }

    /// Claims to have taken `n` items, whatever was taken.
    pub fn claiming(mut self, n: usize) -> Self {
        self.claim = Some(n);
        self
    }

    /// Does something before it returns.
    pub fn during(mut self, f: impl FnOnce(&HeldWaker) + Send + 'static) -> Self {
        self.during = Some(Box::new(f));
        self
    }
}

impl fmt::Debug for Taking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taking")
            .field("most", &self.most)
            .field("claim", &self.claim)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What a sink answers when it is closed.
#[derive(Debug)]
pub struct Closing<R> {
    status: i32,
    result: Option<R>,
}

impl<R> Closing<R> {
    /// No result, and `status`.
    pub fn new(status: i32) -> Self {
        Closing { status, result: None }
    }

    /// Still at work.
    pub fn pending() -> Self {
        Self::new(abi::PENDING)
    }

    /// The function returned this.
    pub fn done(result: R) -> Self {
        Closing { status: abi::DONE, result: Some(result) }
    }
}

/// A sink with a script for what it is offered, and one for its closing. When the first is over it
/// takes everything; when the second is over it returns without writing a result. Clones are the same
/// sink.
#[derive(Debug)]
pub struct FakeSink<W, R = ()> {
    inner: Arc<Inner<W, R>>,
}

#[derive(Debug)]
struct Inner<W, R> {
    state: State,
    table: SinkVTable,
    takings: Mutex<VecDeque<Taking>>,
    closings: Mutex<VecDeque<Closing<R>>>,
    received: Mutex<Vec<W>>,
    returns: Mutex<VecDeque<(Vec<W>, usize)>>,
}

// SAFETY: the items are plain, or descriptors of buffers, which may be sent; the rest is constant or
// behind locks.
unsafe impl<W, R> Send for Inner<W, R> {}
// SAFETY: as above.
unsafe impl<W, R> Sync for Inner<W, R> {}

impl<W, R> Clone for FakeSink<W, R> {
    fn clone(&self) -> Self {
        FakeSink { inner: self.inner.clone() }
    }
}

impl<T: Plain, R: Plain> FakeSink<T, R> {
    /// A sink of plain items.
    pub fn new(
        takings: impl IntoIterator<Item = Taking>,
        closings: impl IntoIterator<Item = Closing<R>>,
    ) -> Self {
        Self::of(TypeDesc::of::<T>(), takings, closings)
    }
}

impl<R: Plain> FakeSink<RawBuffer, R> {
    /// A sink of byte chunks.
    pub fn bytes(
        takings: impl IntoIterator<Item = Taking>,
        closings: impl IntoIterator<Item = Closing<R>>,
    ) -> Self {
        Self::of(TypeDesc::BYTES, takings, closings)
    }

    /// The chunks that it has taken since it was asked last. Dropping them releases them.
    pub fn take_buffers(&self) -> Vec<Buffer> {
        let raw = std::mem::take(&mut *self.inner.received.lock().unwrap());
        // SAFETY: a sender gave these buffers to us, and each is taken from the list once.
        raw.into_iter().map(|raw| unsafe { Buffer::from_raw(raw) }.expect("a buffer")).collect()
    }
}

impl FakeSink<(), RawBuffer> {
    /// A sink without items, whose result is bytes: a future.
    pub fn returning_bytes(closings: impl IntoIterator<Item = Closing<RawBuffer>>) -> Self {
        Self::with(TypeDesc::of::<()>(), TypeDesc::BYTES, [], closings)
    }
}

impl<W: Copy, R: Plain> FakeSink<W, R> {
    fn of(
        item: TypeDesc,
        takings: impl IntoIterator<Item = Taking>,
        closings: impl IntoIterator<Item = Closing<R>>,
    ) -> Self {
        Self::with(item, TypeDesc::of::<R>(), takings, closings)
    }
}

impl<W: Copy, R: Copy> FakeSink<W, R> {
    fn with(
        item: TypeDesc,
        result: TypeDesc,
        takings: impl IntoIterator<Item = Taking>,
        closings: impl IntoIterator<Item = Closing<R>>,
    ) -> Self {
        let table = SinkVTable {
            header: Header::of::<SinkVTable>(),
            item,
            result,
            retain: Some(retain::<W, R>),
            release: Some(release::<W, R>),
            send_batch: Some(send_batch::<W, R>),
            poll_close: Some(poll_close::<W, R>),
            cancel: Some(cancel::<W, R>),
            last_error: Some(last_error::<W, R>),
            take_back: Some(take_back::<W, R>),
        };
        let inner = Inner {
            state: State::new(),
            table,
            takings: Mutex::new(takings.into_iter().collect()),
            closings: Mutex::new(closings.into_iter().collect()),
            received: Mutex::new(Vec::new()),
            returns: Mutex::default(),
        };
        FakeSink { inner: Arc::new(inner) }
    }

    /// What `last_error` says; it fills in nothing unless this was called.
    pub fn describing(self, record: ErrorRecord) -> Self {
        *self.inner.state.record.lock().unwrap() = Some(record);
        self
    }

    /// What it gives back after its end, call by call: as many of the items as there is room for, and how
    /// many it claims to have given. After that there is nothing.
    pub fn returning(self, returns: impl IntoIterator<Item = (Vec<W>, usize)>) -> Self {
        *self.inner.returns.lock().unwrap() = returns.into_iter().collect();
        self
    }

    /// The table, to be copied and spoiled.
    pub fn table(&self) -> &SinkVTable {
        &self.inner.table
    }

    /// A handle with a reference of its own.
    pub fn handle(&self) -> RawHandle {
        self.inner.state.add_reference();
        RawHandle {
            vtable: (&raw const self.inner.table).cast(),
            state: Arc::into_raw(self.inner.clone()).cast_mut().cast(),
        }
    }

    /// The sink that a Rust caller sees.
    pub fn open(&self) -> RawSink {
        let (item, result) = (self.inner.table.item, self.inner.table.result);
        // SAFETY: whatever the script claims, the functions below read no more than they are offered,
        // and do not unwind.
        unsafe { RawSink::from_raw(self.handle(), item, result) }.expect("a good table")
    }

    /// The items that it has taken.
    pub fn received(&self) -> Vec<W> {
        self.inner.received.lock().unwrap().clone()
    }

    /// The waker of the last poll.
    pub fn waker(&self) -> Option<HeldWaker> {
        self.inner.state.waker()
    }

    /// How often each function was called.
    pub fn calls(&self) -> Calls {
        self.inner.state.calls()
    }

    /// # Panics
    ///
    /// Panics unless every handle was released, once, and no rule was broken by a caller.
    #[track_caller]
    pub fn assert_released(&self) {
        self.inner.state.assert_released();
    }
}

/// # Safety
///
/// `state` is that of a live handle.
unsafe fn inner<'a, W, R>(state: *mut c_void) -> &'a Inner<W, R> {
    // SAFETY: alive, says the caller.
    unsafe { &*state.cast::<Inner<W, R>>() }
}

unsafe extern "C" fn retain<W, R>(state: *mut c_void) {
    // SAFETY: a live handle's state.
    unsafe {
        inner::<W, R>(state).state.retained();
        Arc::increment_strong_count(state.cast::<Inner<W, R>>());
    }
}

unsafe extern "C" fn release<W, R>(state: *mut c_void) {
    // SAFETY: a live handle's state; the reference is dropped only if there is one.
    unsafe {
        if inner::<W, R>(state).state.released() {
            Arc::decrement_strong_count(state.cast::<Inner<W, R>>());
        }
    }
}

unsafe extern "C" fn cancel<W, R>(state: *mut c_void) {
    // SAFETY: a live handle's state.
    unsafe { inner::<W, R>(state) }.state.canceled();
}

unsafe extern "C" fn last_error<W, R>(state: *mut c_void, out: *mut ErrorRecord) {
    // SAFETY: a live handle's state.
    unsafe { inner::<W, R>(state) }.state.describe(out);
}

unsafe extern "C" fn take_back<W: Copy, R>(
    state: *mut c_void,
    out: *mut c_void,
    cap: usize,
) -> usize {
    // SAFETY: a live handle's state.
    let inner = unsafe { inner::<W, R>(state) };
    let Some((items, claim)) = inner.returns.lock().unwrap().pop_front() else { return 0 };
    for (i, item) in items.into_iter().take(cap).enumerate() {
        // SAFETY: the caller has room for `cap` items.
        unsafe { out.cast::<W>().add(i).write(item) };
    }
    claim
}

unsafe extern "C" fn send_batch<W: Copy, R>(
    state: *mut c_void,
    cx: *const PollContext,
    items: *const c_void,
    count: usize,
    n: *mut usize,
) -> i32 {
    // SAFETY: a live handle's state.
    let inner = unsafe { inner::<W, R>(state) };
    // SAFETY: the caller's context.
    unsafe { inner.state.enter(cx, |calls| calls.crossings += 1) };
    let taking = inner.takings.lock().unwrap().pop_front().unwrap_or_else(Taking::all);
    let taken = taking.most.min(count);
    for i in 0..taken {
        // SAFETY: the caller offers `count` items.
        let item = unsafe { items.cast::<W>().add(i).read() };
        inner.received.lock().unwrap().push(item);
    }
    let claim = taking.claim.unwrap_or(taken);
    // SAFETY: the caller's count.
    unsafe { n.write(claim) };
    inner.state.set_phase(match taking.status {
        _ if claim > count => Phase::Broken,
        abi::READY if claim < count => Phase::Broken,
        // After `DONE` it may still be closed.
        abi::READY | abi::PENDING | abi::DONE => Phase::Live,
        abi::ERROR..=abi::PANICKED => Phase::Ended,
        _ => Phase::Broken,
    });
    if let (Some(during), Some(waker)) = (taking.during, inner.state.waker()) {
        during(&waker);
    }
    inner.state.leave();
    taking.status
}

unsafe extern "C" fn poll_close<W, R: Copy>(
    state: *mut c_void,
    cx: *const PollContext,
    result: *mut c_void,
) -> i32 {
    // SAFETY: a live handle's state.
    let inner = unsafe { inner::<W, R>(state) };
    // SAFETY: the caller's context.
    unsafe { inner.state.enter(cx, |calls| calls.closes += 1) };
    let closing = inner.closings.lock().unwrap().pop_front();
    let closing = closing.unwrap_or_else(|| Closing::new(abi::DONE));
    if let Some(value) = closing.result {
        // SAFETY: the caller's room for a result.
        unsafe { result.cast::<R>().write(value) };
    }
    inner.state.set_phase(match closing.status {
        abi::PENDING => Phase::Live,
        abi::DONE..=abi::PANICKED => Phase::Ended,
        _ => Phase::Broken,
    });
    inner.state.leave();
    closing.status
}
