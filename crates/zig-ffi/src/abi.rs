//! The C layout of everything that crosses the border, and nothing else.
//!
//! Fixed-width integers and pointers only: no enum, no `bool`, no struct by value. A status is an
//! `i32` that the receiver validates. Every table starts with a [`Header`] and only ever grows at
//! its end, so that a newer table is readable by an older reader. `zig/src/abi.zig` says the same
//! in Zig; [`LAYOUT`] is compared with its twin when a library is opened.

use std::ffi::c_void;
use std::mem::offset_of;

use ziggurat_core::RawBuffer;

mod host;

pub use host::{
    CLOCK_AWAKE, CLOCK_BOOT, CLOCK_REAL, HostHandle, HostVTable, INTEREST_READABLE,
    INTEREST_WRITABLE,
};

/// Tables of another major version are refused.
pub const ABI_MAJOR: u16 = 1;
/// Counts the additions at the tables' ends.
pub const ABI_MINOR: u16 = 0;

/// Status: items were moved, and more may follow at once.
pub const READY: i32 = 0;
/// Status: nothing more right now; the waker of this poll will be woken.
pub const PENDING: i32 = 1;
/// Status (terminal): the end.
pub const DONE: i32 = 2;
/// Status (terminal): the end, by an error that `last_error` describes.
pub const ERROR: i32 = 3;
/// Status (terminal): the end, because it was cancelled.
pub const CANCELLED: i32 = 4;
/// Status (terminal): the end, by a panic that `last_error` describes.
pub const PANICKED: i32 = 5;

/// [`TypeDesc::kind`]: no value.
pub const KIND_VOID: u32 = 0;
/// [`TypeDesc::kind`]: a signed integer.
pub const KIND_INT: u32 = 1;
/// [`TypeDesc::kind`]: an unsigned integer.
pub const KIND_UINT: u32 = 2;
/// [`TypeDesc::kind`]: an IEEE 754 float.
pub const KIND_FLOAT: u32 = 3;
/// [`TypeDesc::kind`]: a struct or array with a C layout.
pub const KIND_STRUCT: u32 = 4;
/// [`TypeDesc::kind`]: a run of bytes: a [`RawBuffer`] as an item, a [`Slice`] as an argument.
pub const KIND_BYTES: u32 = 5;
/// [`TypeDesc::kind`], in its lower byte: the sending end of a channel. The item's kind is in the
/// bits from [`ITEM_SHIFT`] on; `align` and `size` are the item's. What crosses is a pointer to the
/// channel's header, and with it the end.
pub const KIND_SENDER: u32 = 6;
/// As [`KIND_SENDER`]: the receiving end.
pub const KIND_RECEIVER: u32 = 7;
/// Where an end's [`TypeDesc::kind`] has the kind of the item.
pub const ITEM_SHIFT: u32 = 8;

/// [`Export::kind`]: opens a [`SourceVTable`].
pub const EXPORT_SOURCE: u32 = 1;
/// [`Export::kind`]: opens a [`SinkVTable`].
pub const EXPORT_SINK: u32 = 2;
/// [`Export::kind`]: opens a [`TransformVTable`]. `item` is what goes in, `result` what comes out.
pub const EXPORT_TRANSFORM: u32 = 3;
/// [`Export::kind`]: opens a [`SinkVTable`] that is sent nothing: closing it runs the function.
pub const EXPORT_FUTURE: u32 = 4;

/// [`ErrorRecord::domain`]: an error that the user's Zig function returned.
pub const DOMAIN_FUNCTION: u32 = 0;
/// [`ErrorRecord::domain`]: the Zig half of Ziggurat could not run the function.
pub const DOMAIN_RUNTIME: u32 = 1;

/// [`OpenOptions::flags`]: the pool bounds what is under way, not what the consumer keeps. When the
/// consumer has taken everything, keeps every block and wants more, blocks come from the heap.
pub const OPTION_SPILL: u32 = 1;
/// [`OpenOptions::flags`]: the function runs on a thread of its own although there is a host.
pub const OPTION_THREAD: u32 = 2;
/// [`OpenOptions::flags`]: a panic, or a stack overflow, of the function ends the stream or sink with
/// [`PANICKED`], and the process lives. For coroutines only: where the function would run otherwise, as
/// with [`OPTION_THREAD`], without a host or as a state machine, `open` fails with an error of the name
/// `PoisonUnsupported`.
pub const OPTION_POISON: u32 = 4;

/// The head of every table.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// Bytes in the whole table.
    pub struct_size: u32,
    /// [`ABI_MAJOR`] of the side that made the table.
    pub abi_major: u16,
    /// [`ABI_MINOR`] of the side that made the table.
    pub abi_minor: u16,
    /// Reserved for feature bits; 0.
    pub features: u64,
}

impl Header {
    /// The header of a table of type `T` made by this crate.
    pub const fn of<T>() -> Header {
        Header {
            struct_size: size_of::<T>() as u32,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            features: 0,
        }
    }
}

/// What an item, an argument or a result is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeDesc {
    /// One of the `KIND_` constants.
    pub kind: u32,
    /// In bytes.
    pub align: u32,
    /// In bytes.
    pub size: u64,
}

/// A borrowed run of bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    /// The first byte; ignored when `len` is 0.
    pub ptr: *const u8,
    /// In bytes.
    pub len: usize,
}

/// A description of an error, borrowed from whoever filled it in.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ErrorRecord {
    /// One of the `DOMAIN_` constants.
    pub domain: u32,
    /// A number within the domain. Zig's error numbers are not stable from build to build.
    pub code: i32,
    /// Zig's `@errorName`, UTF-8.
    pub name: Slice,
    /// A message for people, or empty; UTF-8. For a panic, what was said.
    pub message: Slice,
    /// The Zig function that ended, or empty; UTF-8.
    pub function: Slice,
}

/// A waker that the other side implements. Its address is its identity.
#[repr(C)]
#[derive(Debug)]
pub struct WakerHandle {
    /// How to use it.
    pub vtable: *const WakerVTable,
}

/// Operations of a [`WakerHandle`]. Each may be called from any thread.
#[repr(C)]
#[derive(Debug)]
pub struct WakerVTable {
    /// The table's size and version.
    pub header: Header,
    /// Adds a reference.
    pub retain: Option<unsafe extern "C" fn(waker: *const WakerHandle)>,
    /// Drops a reference.
    pub release: Option<unsafe extern "C" fn(waker: *const WakerHandle)>,
    /// Makes the task be polled again. Never polls, never unwinds.
    pub wake: Option<unsafe extern "C" fn(waker: *const WakerHandle)>,
}

/// What a poll brings along. Borrowed for the poll.
#[repr(C)]
#[derive(Debug)]
pub struct PollContext {
    /// Bytes in this struct.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Woken when a pending operation can go on. Borrowed: retain it to keep it.
    pub waker: *const WakerHandle,
}

/// A buffer pool that the host lends. Its address is its identity.
#[repr(C)]
#[derive(Debug)]
pub struct PoolHandle {
    /// How to use it.
    pub vtable: *const PoolVTable,
    /// Bytes in each block.
    pub block_size: usize,
}

/// Operations of a [`PoolHandle`]. Each may be called from any thread.
#[repr(C)]
#[derive(Debug)]
pub struct PoolVTable {
    /// The table's size and version.
    pub header: Header,
    /// Adds a reference.
    pub retain: Option<unsafe extern "C" fn(pool: *const PoolHandle)>,
    /// Drops a reference.
    pub release: Option<unsafe extern "C" fn(pool: *const PoolHandle)>,
    /// Takes a block: `READY` and the block in `out`, or `PENDING`, and `waker` is woken when it is
    /// worth asking again. `*ticket` starts as null, is kept from call to call, and ends with
    /// `drop_ticket`; the pool may hold a reference to the waker until then. One caller at a time
    /// per ticket. With a null `waker` it only asks: `PENDING` then leaves nothing behind.
    pub acquire: Option<
        unsafe extern "C" fn(
            pool: *const PoolHandle,
            waker: *const WakerHandle,
            ticket: *mut *mut c_void,
            out: *mut RawBuffer,
        ) -> i32,
    >,
    /// Ends a ticket; a null one too.
    pub drop_ticket: Option<unsafe extern "C" fn(ticket: *mut c_void)>,
    /// Adds an owner to the block behind `buffer`, which must not have been released yet. Each
    /// owner releases once.
    pub share: Option<unsafe extern "C" fn(buffer: *const RawBuffer)>,
}

/// An opened stream or sink: a table and the state that it works on.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RawHandle {
    /// A [`SourceVTable`], [`SinkVTable`] or [`TransformVTable`], as the [`Export`] says.
    pub vtable: *const c_void,
    /// Passed to every operation. The handle owns one reference to it.
    pub state: *mut c_void,
}

/// A stream that the other side produces.
///
/// `poll_batch` has one caller at a time; `cancel`, `retain` and `release` may be called from any
/// thread at any time.
#[repr(C)]
#[derive(Debug)]
pub struct SourceVTable {
    /// The table's size and version.
    pub header: Header,
    /// What the items are.
    pub item: TypeDesc,
    /// Adds a reference to the state.
    pub retain: Option<unsafe extern "C" fn(state: *mut c_void)>,
    /// Drops a reference to the state. Never blocks, never joins a thread.
    pub release: Option<unsafe extern "C" fn(state: *mut c_void)>,
    /// Moves up to `cap` items to `out` and says in `n` how many. Items count whatever the status
    /// is. `READY` comes with at least one item.
    pub poll_batch: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            cx: *const PollContext,
            out: *mut c_void,
            cap: usize,
            n: *mut usize,
        ) -> i32,
    >,
    /// Asks the other side to end. Idempotent, never blocks.
    pub cancel: Option<unsafe extern "C" fn(state: *mut c_void)>,
    /// After `ERROR` or `PANICKED`: what happened, valid until the state is released.
    pub last_error: Option<unsafe extern "C" fn(state: *mut c_void, out: *mut ErrorRecord)>,
}

/// A sink that the other side consumes.
///
/// `send_batch` and `poll_close` have one caller at a time; the rest as for [`SourceVTable`].
#[repr(C)]
#[derive(Debug)]
pub struct SinkVTable {
    /// The table's size and version.
    pub header: Header,
    /// What the items are.
    pub item: TypeDesc,
    /// What the function returns.
    pub result: TypeDesc,
    /// Adds a reference to the state.
    pub retain: Option<unsafe extern "C" fn(state: *mut c_void)>,
    /// Drops a reference to the state. Never blocks, never joins a thread.
    pub release: Option<unsafe extern "C" fn(state: *mut c_void)>,
    /// Takes up to `count` items and says in `n` how many it took: they are the other side's now.
    /// `READY`: all. `PENDING`: wait for the waker, then offer the rest again. Terminal: the
    /// function has ended and takes no more.
    ///
    /// With a `count` of 0 it asks whether the function wants items, and gives it a turn to run.
    /// `READY`: a coroutine waits for one, or there is room for one on the way to a thread.
    /// `PENDING`: the waker is woken when that may have changed.
    pub send_batch: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            cx: *const PollContext,
            items: *const c_void,
            count: usize,
            n: *mut usize,
        ) -> i32,
    >,
    /// Ends the input and waits for the function. `DONE`: its result is in `result`; an end of a
    /// channel is a pointer to the header there, and the caller's from then on.
    pub poll_close: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            cx: *const PollContext,
            result: *mut c_void,
        ) -> i32,
    >,
    /// Asks the other side to end. Idempotent, never blocks.
    pub cancel: Option<unsafe extern "C" fn(state: *mut c_void)>,
    /// After `ERROR` or `PANICKED`: what happened, valid until the state is released.
    pub last_error: Option<unsafe extern "C" fn(state: *mut c_void, out: *mut ErrorRecord)>,
    /// After the function has ended: moves up to `cap` items that were taken and that it has not
    /// consumed to `out`, in order, and returns how many; the caller owns them then. 0: there are
    /// no more. A run of bytes that was consumed in part comes back as a copy of the rest. Null:
    /// nothing comes back.
    pub take_back:
        Option<unsafe extern "C" fn(state: *mut c_void, out: *mut c_void, cap: usize) -> usize>,
}

/// A sink and a source over one function, which takes what the one is sent and gives what the other
/// delivers.
///
/// Both tables' functions get the handle's state. The handle owns two references to it, one for
/// each half: they may be on different threads, each with its waker. To cancel either is to cancel
/// the function. The sink has no result; its `poll_close` ends the input and waits for the
/// function.
#[repr(C)]
#[derive(Debug)]
pub struct TransformVTable {
    /// The table's size and version.
    pub header: Header,
    /// What goes in.
    pub sink: *const SinkVTable,
    /// What comes out.
    pub source: *const SourceVTable,
}

/// How to open a stream or sink. Zero means the default everywhere.
#[repr(C)]
#[derive(Debug)]
pub struct OpenOptions {
    /// Bytes in this struct.
    pub struct_size: u32,
    /// `OPTION_` bits.
    pub flags: u32,
    /// Items that may be under way between the two sides.
    pub capacity: u64,
    /// Bytes of stack for the function.
    pub stack_size: u64,
    /// Where byte streams take their blocks from. Borrowed: retain it to keep it. Null for streams
    /// that carry no bytes.
    pub pool: *const PoolHandle,
    /// What a coroutine waits by. Borrowed: retain it to keep it. Null: there is none, and
    /// functions run on threads of their own.
    pub host: *const HostHandle,
}

/// One argument of an opened function, borrowed for the call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    /// What it is.
    pub ty: TypeDesc,
    /// The value; for [`KIND_BYTES`] a [`Slice`]; for an end of a channel a pointer to the header.
    pub value: *const c_void,
}

/// One stream or sink that a library offers. Everything in it lives as long as the library.
#[repr(C)]
#[derive(Debug)]
pub struct Export {
    /// UTF-8.
    pub name: Slice,
    /// One of the `EXPORT_` constants.
    pub kind: u32,
    /// Entries in `args`.
    pub arg_count: u32,
    /// What the arguments are.
    pub args: *const TypeDesc,
    /// What the items are.
    pub item: TypeDesc,
    /// What the function returns (of sinks), or what comes out (of transforms).
    pub result: TypeDesc,
    /// Makes a handle: `READY`, or `ERROR` with a description that lives as long as the library.
    /// With `READY` the ends of channels among the arguments are the other side's; otherwise they
    /// are not.
    pub open: Option<
        unsafe extern "C" fn(
            options: *const OpenOptions,
            args: *const Arg,
            arg_count: usize,
            out: *mut RawHandle,
            error: *mut ErrorRecord,
        ) -> i32,
    >,
}

/// All that a library offers. Everything in it lives as long as the library.
#[repr(C)]
#[derive(Debug)]
pub struct Exports {
    /// The table's size and version.
    pub header: Header,
    /// Entries in `entries`.
    pub count: usize,
    /// The streams and sinks.
    pub entries: *const Export,
    /// Entries in `layout`.
    pub layout_count: usize,
    /// The other side's [`LAYOUT`].
    pub layout: *const u32,
}

macro_rules! layout {
    ($($ty:ident { $($field:ident),* $(,)? } $([$size:ident])?)*) => {
        /// Alignments and field offsets of the structs above, and the sizes of those that never
        /// grow. What a later minor version adds to a table goes to the end of this list, so that
        /// lists of both are alike as far as the shorter one goes.
        ///
        /// The Zig half computes the same list from its own declarations;
        /// [`Library::open`](crate::Library::open) compares them.
        pub const LAYOUT: &[u32] = &[$(
            align_of::<$ty>() as u32,
            $(offset_of!($ty, $field) as u32,)*
            $($size::<$ty>() as u32,)?
        )*];

        /// What the entries of [`LAYOUT`] are, for a message when they differ.
        pub const LAYOUT_NAMES: &[&str] = &[$(
            concat!(stringify!($ty), " (alignment)"),
            $(concat!(stringify!($ty), ".", stringify!($field)),)*
            $(concat!(stringify!($ty), " (", stringify!($size), ")"),)?
        )*];
    };
}

layout! {
    Header { struct_size, abi_major, abi_minor, features } [size_of]
    TypeDesc { kind, align, size } [size_of]
    Slice { ptr, len } [size_of]
    ErrorRecord { domain, code, name, message, function } [size_of]
    WakerHandle { vtable } [size_of]
    WakerVTable { header, retain, release, wake }
    PollContext { struct_size, reserved, waker }
    RawBuffer { ptr, len, cap, align, release, ctx } [size_of]
    PoolHandle { vtable, block_size } [size_of]
    PoolVTable { header, retain, release, acquire, drop_ticket, share }
    RawHandle { vtable, state } [size_of]
    SourceVTable { header, item, retain, release, poll_batch, cancel, last_error }
    SinkVTable {
        header, item, result, retain, release, send_batch, poll_close, cancel, last_error, take_back
    }
    OpenOptions { struct_size, flags, capacity, stack_size, pool, host }
    Arg { ty, value } [size_of]
    Export { name, kind, arg_count, args, item, result, open } [size_of]
    Exports { header, count, entries, layout_count, layout }
    HostHandle { vtable } [size_of]
    HostVTable {
        header, retain, release, now, poll_timer, drop_timer, poll_fd, drop_fd, offload, drive
    }
    TransformVTable { header, sink, source }
}

/// The layout on a 64-bit machine, spelled out: a change here is a change of the ABI.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Header>() == 16);
    assert!(size_of::<TypeDesc>() == 16);
    assert!(size_of::<Slice>() == 16);
    assert!(size_of::<ErrorRecord>() == 56);
    assert!(size_of::<WakerVTable>() == 40);
    assert!(size_of::<PollContext>() == 16);
    assert!(size_of::<RawBuffer>() == 48);
    assert!(size_of::<PoolVTable>() == 56);
    assert!(size_of::<RawHandle>() == 16);
    assert!(size_of::<SourceVTable>() == 72);
    assert!(size_of::<SinkVTable>() == 104);
    assert!(size_of::<TransformVTable>() == 32);
    assert!(size_of::<OpenOptions>() == 40);
    assert!(size_of::<Arg>() == 24);
    assert!(size_of::<Export>() == 72);
    assert!(size_of::<Exports>() == 48);
    assert!(size_of::<HostHandle>() == 8);
    assert!(size_of::<HostVTable>() == 88);
};
