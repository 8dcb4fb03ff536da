//! What a Zig library offers, looked up by name and checked by type.

use std::mem::MaybeUninit;
use std::ptr;

use smallvec::SmallVec;
use ziggurat_core::BufferPool;

use crate::abi::{
    self, Arg, ErrorRecord, Export, Exports, LAYOUT, LAYOUT_NAMES, OpenOptions, RawHandle, Slice,
    TypeDesc,
};
use crate::end::RawEnd;
use crate::error::{OpenError, ProtocolError};
use crate::host::HostRef;
use crate::plain::Plain;
use crate::pool::HostPool;
use crate::source::checked_table;
use crate::{RawSink, RawSource, transform};

/// As many arguments need no memory of their own, if they are small.
const FEW: usize = 4;

/// Arguments of a Zig function, in order. Values are copied in; an end of a channel is the function's
/// when it has been opened, and until then, or if that fails, it is kept here.
///
/// ```
/// let mut args = ziggurat_zig_ffi::Args::new();
/// args.push_bytes(b"/etc/hosts");
/// args.push(42_u64);
/// assert_eq!(args.len(), 2);
/// ```
///
/// A few small ones need no memory of their own.
#[derive(Debug, Default)]
pub struct Args {
    /// Type, and where the value starts in `values` (bytes: how long it is as well).
    entries: SmallVec<[(TypeDesc, usize, usize); FEW]>,
    /// The values, each at a multiple of 16 bytes; before bytes, room for their [`Slice`]. A struct's
    /// padding stays uninitialised.
    values: SmallVec<[MaybeUninit<u128>; FEW]>,
    /// The ends of channels, each of which `values` has a pointer for.
    ends: Vec<RawEnd>,
}

impl Args {
    /// No arguments.
    pub const fn new() -> Self {
        Args { entries: SmallVec::new_const(), values: SmallVec::new_const(), ends: Vec::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a plain value, for a Zig parameter of the same type.
    ///
    /// # Panics
    ///
    /// Panics when `T` is aligned to more than 16 bytes.
    pub fn push<T: Plain>(&mut self, value: T) {
        assert!(align_of::<T>() <= align_of::<u128>(), "arguments are aligned to 16 bytes at most");
        let start = self.values.len();
        if size_of::<T>() <= size_of::<u128>() {
            let mut slot = MaybeUninit::<u128>::zeroed();
            // SAFETY: there is room for the value, which is aligned to no more than the slot is.
            unsafe { slot.as_mut_ptr().cast::<T>().write(value) };
            self.values.push(slot);
        } else {
            // SAFETY: the value is readable for its size; its padding, if any, is only copied.
            unsafe { self.store(ptr::from_ref(&value).cast(), size_of::<T>()) };
        }
        self.entries.push((TypeDesc::of::<T>(), start, size_of::<T>()));
    }

    /// Adds bytes, for a Zig parameter of type `[]const u8`.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        let start = self.values.len();
        self.values.push(MaybeUninit::zeroed());
        // SAFETY: a slice is readable for its length.
        unsafe { self.store(bytes.as_ptr(), bytes.len()) };
        self.entries.push((TypeDesc::BYTES, start, bytes.len()));
    }

    /// Adds an end of a channel, for a Zig parameter of type `*ziggurat.Sender(T)` or
    /// `*ziggurat.Receiver(T)`.
    pub fn push_end(&mut self, end: RawEnd) {
        let pointer = end.as_ptr();
        let len = size_of_val(&pointer);
        let start = self.values.len();
        // SAFETY: the pointer is readable for its size.
        unsafe { self.store(ptr::from_ref(&pointer).cast(), len) };
        self.entries.push((end.ty(), start, len));
        self.ends.push(end);
    }

    /// # Safety
    ///
    /// `from` must be valid for reading `len` bytes.
    unsafe fn store(&mut self, from: *const u8, len: usize) {
        let start = self.values.len();
        self.values.resize(start + len.div_ceil(size_of::<u128>()), MaybeUninit::zeroed());
        // SAFETY: just made room for `len` bytes; the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(from, self.values.as_mut_ptr().add(start).cast(), len) };
    }

    /// Calls `f` with the C view.
    fn with_raw<R>(&mut self, f: impl FnOnce(&[Arg]) -> R) -> R {
        const { assert!(size_of::<Slice>() <= size_of::<u128>()) };
        let base = self.values.as_mut_ptr();
        let view = |&(ty, start, len): &(TypeDesc, usize, usize)| {
            // SAFETY: `start` was the length of `values` when the value was stored, so it is in bounds.
            let at = unsafe { base.add(start) };
            if ty.kind == abi::KIND_BYTES {
                // SAFETY: `push_bytes` has left room here, aligned to more than a `Slice` is. The
                // bytes begin behind it, or there are none and `values` may end.
                unsafe { at.cast::<Slice>().write(Slice { ptr: at.add(1).cast(), len }) };
            }
            Arg { ty, value: at.cast_const().cast() }
        };
        if self.entries.len() > FEW {
            return f(&self.entries.iter().map(view).collect::<Vec<_>>());
        }
        let mut raw = [Arg { ty: TypeDesc::BYTES, value: ptr::null() }; FEW];
        for (arg, entry) in raw.iter_mut().zip(&self.entries) {
            *arg = view(entry);
        }
        f(&raw[..self.entries.len()])
    }
}

/// How to open a stream or sink.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Items that may be under way between the two sides; `None` for the other side's default.
    pub capacity: Option<usize>,
    /// Bytes of stack for the function; `None` for the other side's default.
    pub stack_size: Option<usize>,
    /// Where a byte stream takes its blocks from.
    pub pool: Option<BufferPool>,
    /// See [`abi::OPTION_SPILL`].
    pub spill: bool,
    /// What a coroutine waits by. Without one, functions run on threads of their own.
    pub host: Option<HostRef>,
    /// See [`abi::OPTION_THREAD`].
    pub thread: bool,
    /// What a panic of the function does.
    pub on_panic: PanicPolicy,
}

/// What a panic of a Zig function does: a failed safety check, `@panic`, `unreachable`, a stack overflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PanicPolicy {
    /// The process says which function and stream it was, and aborts.
    #[default]
    Abort,
    /// The stream or sink ends with [`ZigError::Panicked`](crate::ZigError::Panicked), and the process
    /// lives. For functions that run as coroutines; others are not opened
    /// ([`OpenError::PoisonUnsupported`]).
    ///
    /// Zig does not unwind, so what the function had in hand is lost: its `defer`s do not run, its
    /// stacks and whatever memory it had are leaked, descriptors that it opened stay open, and a lock
    /// that it held is held for ever. Others that share such a lock, or a queue that lies on its stack,
    /// wait in vain. What Ziggurat holds for it is given back: timers, waits, its arguments, ends of
    /// channels and buffers. Calls that it had under way on other threads run to their end.
    ///
    /// A panic still aborts the process where containing it would be a guess: outside of the function's
    /// own stack, in the middle of what tasks share, or by an overflow inside a C library's function.
    /// Builds without safety checks (Zig's fast and small modes) have no failed checks to contain.
    Poison,
}

impl Options {
    fn flags(&self) -> u32 {
        let spill = if self.spill { abi::OPTION_SPILL } else { 0 };
        let thread = if self.thread { abi::OPTION_THREAD } else { 0 };
        let poison = if self.on_panic == PanicPolicy::Poison { abi::OPTION_POISON } else { 0 };
        spill | thread | poison
    }
}

/// The streams and sinks that a Zig library offers. It is a pointer to a static table.
#[derive(Debug, Clone, Copy)]
pub struct Library {
    exports: &'static Exports,
}

// SAFETY: the table and everything behind it is constant for the rest of the program (`open`), and
// its functions may be called from any thread.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl Library {
    /// Checks a table of exports: its version, its size, and that both languages agree about the
    /// layout of every struct.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says which of these did not hold.
    ///
    /// # Safety
    ///
    /// `exports` must be null or point to an [`Exports`] (at least its header, and as many bytes as
    /// that says), which with everything it points to is readable for the rest of the program, and
    /// whose functions keep their contracts.
    pub unsafe fn open(exports: *const Exports) -> Result<Library, OpenError> {
        // SAFETY: passed on.
        let exports = unsafe { checked_table(exports, "table of exports") }?;
        if exports.entries.is_null() && exports.count > 0 {
            return Err(OpenError::Null("list of exports"));
        }
        if !exports.entries.is_aligned() {
            return Err(OpenError::Misaligned("list of exports"));
        }
        if exports.layout.is_null() {
            return Err(OpenError::Null("layout"));
        }
        if !exports.layout.is_aligned() {
            return Err(OpenError::Misaligned("layout"));
        }
        // A newer library's list is longer, an older one's shorter only by what a later minor version
        // has added: this is the first version, so there is no shorter one.
        let count = exports.layout_count.min(LAYOUT.len());
        // SAFETY: not null, aligned, and readable for as long as it says.
        let theirs = unsafe { std::slice::from_raw_parts(exports.layout, count) };
        for (i, (&ours, &field)) in LAYOUT.iter().zip(LAYOUT_NAMES).enumerate() {
            let theirs = theirs.get(i).copied().unwrap_or(0);
            if ours != theirs {
                return Err(OpenError::Layout { field, ours, theirs });
            }
        }
        Ok(Library { exports })
    }

    /// The names of all that there is.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries().iter().map(name_of)
    }

    fn entries(&self) -> &'static [Export] {
        if self.exports.count == 0 {
            return &[];
        }
        // SAFETY: checked to be aligned and not null; readable for the rest of the program (`open`).
        unsafe { std::slice::from_raw_parts(self.exports.entries, self.exports.count) }
    }

    fn find(&self, name: &str, kind: u32) -> Result<&'static Export, OpenError> {
        let wanted = |e: &&Export| e.kind == kind && name_bytes(e) == name.as_bytes();
        self.entries().iter().find(wanted).ok_or_else(|| {
            let list: Vec<_> = self.names().collect();
            OpenError::UnknownExport {
                kind: match kind {
                    abi::EXPORT_SINK => "sink",
                    abi::EXPORT_TRANSFORM => "transform",
                    abi::EXPORT_FUTURE => "future",
                    _ => "stream",
                },
                name: name.into(),
                available: list.join(", ").into(),
            }
        })
    }

    /// Opens a stream.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: there is none of that name, an argument or the items are of another type, or
    /// the other side could not make its state. Ends of channels stay in `args` then; otherwise they are
    /// the function's, and gone from `args`.
    pub fn source(
        &self,
        name: &str,
        args: &mut Args,
        options: &Options,
        item: TypeDesc,
    ) -> Result<RawSource, OpenError> {
        let export = self.find(name, abi::EXPORT_SOURCE)?;
        if export.item != item {
            return Err(OpenError::ItemType { expected: item, found: export.item });
        }
        let handle = open(export, args, options)?;
        // SAFETY: the library's functions keep their contracts (`open`).
        unsafe { RawSource::from_raw(handle, item) }
    }

    /// Opens a sink.
    ///
    /// # Errors
    ///
    /// As for [`source`](Self::source), and when the result is of another type.
    pub fn sink(
        &self,
        name: &str,
        args: &mut Args,
        options: &Options,
        item: TypeDesc,
        result: TypeDesc,
    ) -> Result<RawSink, OpenError> {
        let export = self.find(name, abi::EXPORT_SINK)?;
        self.open_sink(export, args, options, item, result)
    }

    fn open_sink(
        &self,
        export: &'static Export,
        args: &mut Args,
        options: &Options,
        item: TypeDesc,
        result: TypeDesc,
    ) -> Result<RawSink, OpenError> {
        if export.item != item {
            return Err(OpenError::ItemType { expected: item, found: export.item });
        }
        if export.result != result {
            return Err(OpenError::ResultType { expected: result, found: export.result });
        }
        let handle = open(export, args, options)?;
        // SAFETY: the library's functions keep their contracts (`open`).
        unsafe { RawSink::from_raw(handle, item, result) }
    }

    /// Opens a future: a sink that is sent nothing, and that is closed to run the function.
    ///
    /// # Errors
    ///
    /// As for [`sink`](Self::sink).
    pub fn future(
        &self,
        name: &str,
        args: &mut Args,
        options: &Options,
        result: TypeDesc,
    ) -> Result<RawSink, OpenError> {
        let export = self.find(name, abi::EXPORT_FUTURE)?;
        self.open_sink(export, args, options, TypeDesc::of::<()>(), result)
    }

    /// Opens a transform: what takes its input, and what delivers its output.
    ///
    /// # Errors
    ///
    /// As for [`source`](Self::source), for what goes in and for what comes out.
    pub fn transform(
        &self,
        name: &str,
        args: &mut Args,
        options: &Options,
        input: TypeDesc,
        output: TypeDesc,
    ) -> Result<(RawSink, RawSource), OpenError> {
        let export = self.find(name, abi::EXPORT_TRANSFORM)?;
        if export.item != input {
            return Err(OpenError::InputType { expected: input, found: export.item });
        }
        if export.result != output {
            return Err(OpenError::ItemType { expected: output, found: export.result });
        }
        let handle = open(export, args, options)?;
        // SAFETY: the library's functions keep their contracts (`open`).
        unsafe { transform::halves(handle, input, output) }
    }
}

fn name_of(export: &'static Export) -> &'static str {
    std::str::from_utf8(name_bytes(export)).unwrap_or("")
}

fn name_bytes(export: &Export) -> &'static [u8] {
    let Slice { ptr, len } = export.name;
    if ptr.is_null() {
        return &[];
    }
    // SAFETY: readable for the rest of the program (`Library::open`).
    unsafe { std::slice::from_raw_parts(ptr, len) }
}

fn open(
    export: &'static Export,
    args: &mut Args,
    options: &Options,
) -> Result<RawHandle, OpenError> {
    let open = export.open.ok_or(OpenError::Null("`open` function"))?;
    if options.capacity == Some(0) {
        return Err(OpenError::Zero("capacity"));
    }
    let poison = options.on_panic == PanicPolicy::Poison;
    if poison && options.thread {
        return Err(OpenError::PoisonUnsupported { name: name_of(export).into() });
    }
    check_args(export, args)?;
    let pool = options.pool.clone().map(HostPool::new);
    let raw_options = OpenOptions {
        struct_size: size_of::<OpenOptions>() as u32,
        flags: options.flags(),
        capacity: options.capacity.unwrap_or(0) as u64,
        stack_size: options.stack_size.unwrap_or(0) as u64,
        pool: pool.as_ref().map_or(ptr::null(), HostPool::as_raw),
        host: options.host.as_ref().map_or(ptr::null(), HostRef::as_raw),
    };
    let mut handle = RawHandle { vtable: ptr::null(), state: ptr::null_mut() };
    let mut error = ErrorRecord::EMPTY;
    let status = args.with_raw(|args| {
        // SAFETY: everything is borrowed for the call; the argument list was checked above.
        unsafe {
            open(&raw const raw_options, args.as_ptr(), args.len(), &raw mut handle, &raw mut error)
        }
    });
    match status {
        abi::READY => {
            if !args.ends.is_empty() {
                // They are the function's now.
                args.ends.drain(..).for_each(|end| _ = end.into_ptr());
                args.entries.retain(|(ty, ..)| !ty.is_end());
            }
            Ok(handle)
        }
        // SAFETY: the record's texts live as long as the library.
        abi::ERROR => Err(match unsafe { error.to_failure() } {
            failure if poison && failure.is_runtime() && failure.name() == "PoisonUnsupported" => {
                OpenError::PoisonUnsupported { name: name_of(export).into() }
            }
            failure => OpenError::Failed(failure),
        }),
        unknown => Err(ProtocolError::UnknownStatus(unknown).into()),
    }
}

fn check_args(export: &'static Export, args: &Args) -> Result<(), OpenError> {
    let expected: &[TypeDesc] = match export.arg_count as usize {
        0 => &[],
        _ if export.args.is_null() => return Err(OpenError::Null("list of argument types")),
        _ if !export.args.is_aligned() => {
            return Err(OpenError::Misaligned("list of argument types"));
        }
        // SAFETY: not null, aligned, and readable for the rest of the program (`Library::open`).
        n => unsafe { std::slice::from_raw_parts(export.args, n) },
    };
    if expected.len() != args.len() {
        return Err(OpenError::ArgCount {
            name: name_of(export).into(),
            expected: expected.len(),
            found: args.len(),
        });
    }
    for (index, (&expected, &(found, ..))) in expected.iter().zip(&args.entries).enumerate() {
        if expected != found {
            return Err(OpenError::ArgType {
                name: name_of(export).into(),
                index,
                expected,
                found,
            });
        }
    }
    Ok(())
}
