//! Memory that crosses the border, accounted for.

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ziggurat_core::RawBuffer;

/// Makes buffers and counts their releases. It must outlive them.
///
/// A buffer's memory is freed at its first release, so that a sanitizer sees a use after it.
#[derive(Debug, Default)]
pub struct Buffers {
    entries: Mutex<Vec<Arc<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    data: Mutex<Option<Box<[u8]>>>,
    releases: AtomicUsize,
}

impl Buffers {
    /// No buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer with a copy of `bytes`.
    pub fn lend(&self, bytes: &[u8]) -> RawBuffer {
        let mut data: Box<[u8]> = bytes.into();
        let (ptr, len) = (data.as_mut_ptr(), data.len());
        let entry = Arc::new(Entry { data: Mutex::new(Some(data)), releases: AtomicUsize::new(0) });
        let ctx = Arc::as_ptr(&entry).cast_mut().cast();
        self.entries.lock().unwrap().push(entry);
        RawBuffer { ptr, len, cap: len, align: 1, release: Some(release), ctx }
    }

    /// How often each buffer was released, in the order in which they were lent.
    pub fn releases(&self) -> Vec<usize> {
        let entries = self.entries.lock().unwrap();
        entries.iter().map(|entry| entry.releases.load(Ordering::SeqCst)).collect()
    }

    /// # Panics
    ///
    /// Panics unless every buffer was released exactly once.
    #[track_caller]
    pub fn assert_released(&self) {
        let releases = self.releases();
        assert!(releases.iter().all(|&n| n == 1), "released: {releases:?}");
    }
}

unsafe extern "C" fn release(ctx: *mut c_void, _: *mut u8, _: usize, _: usize) {
    // SAFETY: the entry of a `Buffers` that outlives its buffers, says its contract.
    let entry = unsafe { &*ctx.cast::<Entry>() };
    entry.releases.fetch_add(1, Ordering::SeqCst);
    drop(entry.data.lock().unwrap().take());
}
