//! A call of the other side that may block, to be made once.

use std::ffi::c_void;
use std::fmt;
use std::mem::ManuallyDrop;
use std::thread;

/// A call that may block. It runs once: where [`run`](Self::run) is called, or, if it is dropped, on a
/// thread of its own (or in place, if there can be none), since somebody waits for it.
#[must_use = "somebody waits for it"]
pub struct Job {
    call: unsafe extern "C" fn(*mut c_void),
    ctx: *mut c_void,
}

// SAFETY: the ABI says that the call may be made on any thread.
unsafe impl Send for Job {}
// SAFETY: nothing can be done with a `&Job`.
unsafe impl Sync for Job {}

impl Job {
    /// # Safety
    ///
    /// `call(ctx)` may be made once, on any thread.
    pub(super) unsafe fn new(call: unsafe extern "C" fn(*mut c_void), ctx: *mut c_void) -> Self {
        Job { call, ctx }
    }

    /// Makes the call.
    pub fn run(self) {
        let this = ManuallyDrop::new(self);
        // SAFETY: promised to `new`; it is the only call, because `self` is gone.
        unsafe { (this.call)(this.ctx) }
    }

    /// Whether it is this very call.
    pub(super) fn is(&self, call: unsafe extern "C" fn(*mut c_void), ctx: *mut c_void) -> bool {
        std::ptr::fn_addr_eq(self.call, call) && self.ctx == ctx
    }

    /// It will not run, which its owner is told.
    pub(super) fn disown(self) {
        std::mem::forget(self);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let this = Job { call: self.call, ctx: self.ctx };
        // Behind a pointer that both sides know: a closure that is not run must not drop the job.
        let job = Box::into_raw(Box::new(this));
        let address = job.expose_provenance();
        let own_thread = thread::Builder::new().name("ziggurat-job".into()).spawn(move || {
            // SAFETY: leaked above, and taken back once: here, or below when this never runs.
            let job =
                unsafe { Box::from_raw(std::ptr::with_exposed_provenance_mut::<Job>(address)) };
            job.run();
        });
        if own_thread.is_err() {
            // SAFETY: as above; there is no thread.
            unsafe { Box::from_raw(job) }.run();
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}
