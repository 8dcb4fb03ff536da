//! A source whose answers are written down beforehand.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::Context;

use super::state::{Calls, During, HeldWaker, Phase, State};
use crate::abi::{self, ErrorRecord, Header, PollContext, RawHandle, SourceVTable, TypeDesc};
use crate::{Plain, Progress, RawSource};
use ziggurat_core::RawBuffer;

/// What a source answers at one crossing.
pub struct Crossing<W> {
    items: Vec<W>,
    claim: Option<usize>,
    status: i32,
    during: Option<During>,
}

impl<W> Crossing<W> {
    /// No items, and `status`.
    pub fn new(status: i32) -> Self {
        Crossing { items: Vec::new(), claim: None, status, during: None }
    }

    /// Items, and more to come.
    pub fn ready(items: impl IntoIterator<Item = W>) -> Self {
        Self::new(abi::READY).items(items)
    }

    /// Nothing for now.
    pub fn pending() -> Self {
        Self::new(abi::PENDING)
    }

    /// The end.
    pub fn done() -> Self {
        Self::new(abi::DONE)
    }

    /// With these items. More than there is room for come over several crossings, `READY` until the
    /// last.
    pub fn items(mut self, items: impl IntoIterator<Item = W>) -> Self {
        self.items = items.into_iter().collect();
        self
    }

    /// Claims `n` items, whatever was written.
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

impl<W: fmt::Debug> fmt::Debug for Crossing<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crossing")
            .field("items", &self.items)
            .field("claim", &self.claim)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A source with a script. When that is over it is pending forever. Clones are the same source.
#[derive(Debug)]
pub struct FakeSource<W> {
    inner: Arc<Inner<W>>,
}

#[derive(Debug)]
struct Inner<W> {
    state: State,
    table: SourceVTable,
    script: Mutex<VecDeque<Crossing<W>>>,
}

// SAFETY: the script's items are plain, or descriptors of buffers, which may be sent; the rest is
// constant or behind locks.
unsafe impl<W> Send for Inner<W> {}
// SAFETY: as above.
unsafe impl<W> Sync for Inner<W> {}

impl<W> Clone for FakeSource<W> {
    fn clone(&self) -> Self {
        FakeSource { inner: self.inner.clone() }
    }
}

impl<T: Plain> FakeSource<T> {
    /// A source of plain items.
    pub fn new(script: impl IntoIterator<Item = Crossing<T>>) -> Self {
        Self::of(TypeDesc::of::<T>(), script)
    }

    /// Polls a source of this type with room for `cap` items.
    pub fn poll(
        &self,
        source: &mut RawSource,
        cx: &mut Context<'_>,
        cap: usize,
    ) -> (Vec<T>, Progress) {
        assert_eq!(source.item(), TypeDesc::of::<T>());
        let mut items = vec![T::zeroed(); cap];
        // SAFETY: room for `cap` items of the source's type.
        let (n, progress) = unsafe { source.poll_batch(cx, items.as_mut_ptr().cast(), cap) };
        items.truncate(n);
        (items, progress)
    }
}

impl FakeSource<RawBuffer> {
    /// A source of byte chunks.
    pub fn bytes(script: impl IntoIterator<Item = Crossing<RawBuffer>>) -> Self {
        Self::of(TypeDesc::BYTES, script)
    }
}

impl<W: Copy> FakeSource<W> {
    fn of(item: TypeDesc, script: impl IntoIterator<Item = Crossing<W>>) -> Self {
        let table = SourceVTable {
            header: Header::of::<SourceVTable>(),
            item,
            retain: Some(retain::<W>),
            release: Some(release::<W>),
            poll_batch: Some(poll_batch::<W>),
            cancel: Some(cancel::<W>),
            last_error: Some(last_error::<W>),
        };
        let script = Mutex::new(script.into_iter().collect());
        FakeSource { inner: Arc::new(Inner { state: State::new(), table, script }) }
    }

    /// What `last_error` says; it fills in nothing unless this was called.
    pub fn describing(self, record: ErrorRecord) -> Self {
        *self.inner.state.record.lock().unwrap() = Some(record);
        self
    }

    /// The table, to be copied and spoiled.
    pub fn table(&self) -> &SourceVTable {
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

    /// The source that a Rust caller sees.
    pub fn open(&self) -> RawSource {
        // SAFETY: whatever the script claims, the functions below write no more than `cap` items, and
        // do not unwind.
        unsafe { RawSource::from_raw(self.handle(), self.inner.table.item) }.expect("a good table")
    }

    /// Adds to the end of the script.
    pub fn push(&self, crossing: Crossing<W>) {
        self.inner.script.lock().unwrap().push_back(crossing);
    }

    /// The crossings that are left of the script, and the items in them.
    pub fn left(&self) -> (usize, usize) {
        let script = self.inner.script.lock().unwrap();
        (script.len(), script.iter().map(|crossing| crossing.items.len()).sum())
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
unsafe fn inner<'a, W>(state: *mut c_void) -> &'a Inner<W> {
    // SAFETY: alive, says the caller.
    unsafe { &*state.cast::<Inner<W>>() }
}

unsafe extern "C" fn retain<W>(state: *mut c_void) {
    // SAFETY: a live handle's state.
    unsafe {
        inner::<W>(state).state.retained();
        Arc::increment_strong_count(state.cast::<Inner<W>>());
    }
}

unsafe extern "C" fn release<W>(state: *mut c_void) {
    // SAFETY: a live handle's state; the reference is dropped only if there is one.
    unsafe {
        if inner::<W>(state).state.released() {
            Arc::decrement_strong_count(state.cast::<Inner<W>>());
        }
    }
}

unsafe extern "C" fn cancel<W>(state: *mut c_void) {
    // SAFETY: a live handle's state.
    unsafe { inner::<W>(state) }.state.canceled();
}

unsafe extern "C" fn last_error<W>(state: *mut c_void, out: *mut ErrorRecord) {
    // SAFETY: a live handle's state.
    unsafe { inner::<W>(state) }.state.describe(out);
}

unsafe extern "C" fn poll_batch<W: Copy>(
    state: *mut c_void,
    cx: *const PollContext,
    out: *mut c_void,
    cap: usize,
    n: *mut usize,
) -> i32 {
    // SAFETY: a live handle's state.
    let inner = unsafe { inner::<W>(state) };
    // SAFETY: the caller's context.
    unsafe { inner.state.enter(cx, |calls| calls.crossings += 1) };
    let mut script = inner.script.lock().unwrap();
    let mut crossing = script.pop_front().unwrap_or_else(Crossing::pending);
    if crossing.items.len() > cap && crossing.claim.is_none() {
        let rest = crossing.items.split_off(cap);
        let first = std::mem::replace(&mut crossing.items, rest);
        let later = std::mem::replace(&mut crossing, Crossing::ready(first));
        script.push_front(later);
    }
    drop(script);
    if !out.cast::<W>().is_aligned() {
        inner.state.offend("polled with misaligned room");
    }
    for (i, &item) in crossing.items.iter().take(cap).enumerate() {
        // SAFETY: the caller's room for `cap` items.
        unsafe { out.cast::<W>().add(i).write(item) };
    }
    let claim = crossing.claim.unwrap_or(crossing.items.len());
    // SAFETY: the caller's count.
    unsafe { n.write(claim) };
    inner.state.set_phase(match crossing.status {
        _ if claim > cap => Phase::Broken,
        abi::READY if claim == 0 => Phase::Broken,
        abi::READY | abi::PENDING => Phase::Live,
        abi::DONE..=abi::PANICKED => Phase::Ended,
        _ => Phase::Broken,
    });
    if let (Some(during), Some(waker)) = (crossing.during, inner.state.waker()) {
        during(&waker);
    }
    inner.state.leave();
    crossing.status
}
