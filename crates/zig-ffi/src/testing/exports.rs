//! Tables of exports, and what opening them gives.

use std::cell::RefCell;
use std::ptr;
use std::sync::Mutex;

use crate::abi::{
    self, Arg, ErrorRecord, Export, Exports, Header, LAYOUT, OpenOptions, RawHandle, Slice,
    TypeDesc,
};
use crate::host::HostRef;

/// What the next opening on this thread answers, and what the last one was asked.
#[derive(Debug, Default)]
pub struct Opened {
    /// The status, the handle and the description to answer with.
    answer: Option<(i32, RawHandle, ErrorRecord)>,
    /// Openings so far.
    pub count: usize,
    /// The options' capacity and stack size.
    pub sizes: (u64, u64),
    /// The options' flags.
    pub flags: u32,
    /// Whether a pool came along.
    pub pool: bool,
    /// The host that came along.
    pub host: Option<HostRef>,
    /// The arguments' types, and their bytes.
    pub args: Vec<(TypeDesc, Vec<u8>)>,
}

thread_local! {
    static OPENED: RefCell<Opened> = RefCell::default();
}

/// Prepares the answer of this thread's next opening.
pub fn when_opened(status: i32, handle: RawHandle, error: ErrorRecord) {
    OPENED.with_borrow_mut(|opened| opened.answer = Some((status, handle, error)));
}

impl Opened {
    /// What this thread's openings were since this was called last.
    pub fn take() -> Opened {
        OPENED.take()
    }
}

unsafe extern "C" fn open(
    options: *const OpenOptions,
    args: *const Arg,
    arg_count: usize,
    out: *mut RawHandle,
    error: *mut ErrorRecord,
) -> i32 {
    // SAFETY: the caller's options.
    let options = unsafe { &*options };
    let args = (0..arg_count).map(|i| {
        // SAFETY: the caller's `arg_count` arguments.
        let arg = unsafe { &*args.add(i) };
        let bytes = match arg.ty.kind {
            // SAFETY: the value of bytes is a slice.
            abi::KIND_BYTES => unsafe { *arg.value.cast::<Slice>() },
            _ => Slice { ptr: arg.value.cast(), len: arg.ty.size as usize },
        };
        // SAFETY: the value, of the size that its type says.
        (arg.ty, unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) }.to_vec())
    });
    OPENED.with_borrow_mut(|opened| {
        opened.count += 1;
        opened.sizes = (options.capacity, options.stack_size);
        opened.flags = options.flags;
        opened.pool = !options.pool.is_null();
        // SAFETY: the caller's host, alive for the call.
        opened.host = unsafe { HostRef::retained(options.host) };
        opened.args = args.collect();
        let Some((status, handle, record)) = opened.answer.take() else {
            return abi::ERROR;
        };
        // SAFETY: the caller's handle.
        unsafe { out.write(handle) };
        // SAFETY: the caller's record.
        unsafe { error.write(record) };
        status
    })
}

/// Text that lives forever.
pub const fn text(text: &'static [u8]) -> Slice {
    Slice { ptr: text.as_ptr(), len: text.len() }
}

/// A stream called `name`. Its item, arguments and so on may be changed before it is listed.
pub fn export(name: &'static str, item: TypeDesc, args: &'static [TypeDesc]) -> Export {
    Export {
        name: text(name.as_bytes()),
        kind: abi::EXPORT_SOURCE,
        arg_count: args.len() as u32,
        args: args.as_ptr(),
        item,
        result: TypeDesc::of::<()>(),
        open: Some(open),
    }
}

/// A sink called `name`, without arguments.
pub fn sink_export(name: &'static str, item: TypeDesc, result: TypeDesc) -> Export {
    Export { kind: abi::EXPORT_SINK, result, ..export(name, item, &[]) }
}

/// A list of exports that lives forever, with the layout that this crate has.
pub fn exports(list: Vec<Export>) -> Exports {
    struct Kept(#[expect(dead_code, reason = "kept only to be kept")] &'static [Export]);
    // SAFETY: the list is constant.
    unsafe impl Send for Kept {}
    // Reachable from here, so that a leak checker knows that it is meant to stay.
    static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

    let list: &'static [Export] = list.leak();
    KEPT.lock().unwrap().push(Kept(list));
    Exports {
        header: Header::of::<Exports>(),
        count: list.len(),
        entries: if list.is_empty() { ptr::null() } else { list.as_ptr() },
        layout_count: LAYOUT.len(),
        layout: LAYOUT.as_ptr(),
    }
}
