//! The C layout of everything that crosses the border, and nothing else.
//!
//! Fixed-width integers and pointers only: no enum, no `bool`, no struct by value. Every table starts
//! with a `Header` and only ever grows at its end. `crates/zig-ffi/src/abi.rs` says the same in Rust;
//! `layout` is compared with its twin when a library is opened. The meaning of each field is
//! described there, once.

const std = @import("std");

pub const abi_major: u16 = 1;
pub const abi_minor: u16 = 0;

pub const status = struct {
    pub const ready: i32 = 0;
    pub const pending: i32 = 1;
    pub const done: i32 = 2;
    pub const failed: i32 = 3;
    pub const canceled: i32 = 4;
    pub const panicked: i32 = 5;
};

pub const kind = struct {
    pub const void_: u32 = 0;
    pub const int: u32 = 1;
    pub const uint: u32 = 2;
    pub const float: u32 = 3;
    pub const struct_: u32 = 4;
    pub const bytes: u32 = 5;
    pub const sender: u32 = 6;
    pub const receiver: u32 = 7;
};

/// Where an end's kind has the kind of the item.
pub const item_shift = 8;

pub const export_kind = struct {
    pub const source: u32 = 1;
    pub const sink: u32 = 2;
    pub const transform: u32 = 3;
    pub const future: u32 = 4;
};

pub const domain = struct {
    pub const function: u32 = 0;
    pub const runtime: u32 = 1;
};

/// `OpenOptions.flags`.
pub const option_spill: u32 = 1;
pub const option_thread: u32 = 2;
pub const option_poison: u32 = 4;

/// `HostVTable.now`.
pub const clock = struct {
    pub const real: u32 = 0;
    pub const awake: u32 = 1;
    pub const boot: u32 = 2;
};

/// `HostVTable.poll_fd`.
pub const interest = struct {
    pub const readable: u32 = 1;
    pub const writable: u32 = 2;
};

pub const Header = extern struct {
    struct_size: u32,
    abi_major: u16,
    abi_minor: u16,
    features: u64,

    pub fn of(comptime T: type) Header {
        return .{
            .struct_size = @sizeOf(T),
            .abi_major = abi_major,
            .abi_minor = abi_minor,
            .features = 0,
        };
    }
};

pub const TypeDesc = extern struct {
    kind: u32,
    @"align": u32,
    size: u64,

    pub fn eql(a: TypeDesc, b: TypeDesc) bool {
        return a.kind == b.kind and a.@"align" == b.@"align" and a.size == b.size;
    }
};

pub const Slice = extern struct {
    ptr: ?[*]const u8,
    len: usize,

    pub const empty: Slice = .{ .ptr = null, .len = 0 };

    pub fn of(bytes: []const u8) Slice {
        return .{ .ptr = bytes.ptr, .len = bytes.len };
    }

    pub fn get(s: Slice) []const u8 {
        return if (s.ptr) |ptr| ptr[0..s.len] else &.{};
    }
};

pub const ErrorRecord = extern struct {
    domain: u32,
    code: i32,
    name: Slice,
    message: Slice,
    function: Slice,
};

pub const WakerHandle = extern struct {
    vtable: *const WakerVTable,
};

pub const WakerVTable = extern struct {
    header: Header,
    retain: *const fn (*const WakerHandle) callconv(.c) void,
    release: *const fn (*const WakerHandle) callconv(.c) void,
    wake: *const fn (*const WakerHandle) callconv(.c) void,
};

pub const PollContext = extern struct {
    struct_size: u32,
    reserved: u32,
    waker: *const WakerHandle,
};

pub const ReleaseFn = fn (ctx: ?*anyopaque, ptr: ?[*]u8, cap: usize, alignment: usize) callconv(.c) void;

pub const RawBuffer = extern struct {
    ptr: ?[*]u8,
    len: usize,
    cap: usize,
    @"align": usize,
    release: ?*const ReleaseFn,
    ctx: ?*anyopaque,
};

pub const PoolHandle = extern struct {
    vtable: *const PoolVTable,
    block_size: usize,
};

pub const PoolVTable = extern struct {
    header: Header,
    retain: *const fn (*const PoolHandle) callconv(.c) void,
    release: *const fn (*const PoolHandle) callconv(.c) void,
    acquire: *const fn (
        *const PoolHandle,
        waker: ?*const WakerHandle,
        ticket: *?*anyopaque,
        out: *RawBuffer,
    ) callconv(.c) i32,
    drop_ticket: *const fn (ticket: ?*anyopaque) callconv(.c) void,
    share: *const fn (*const RawBuffer) callconv(.c) void,
};

pub const HostHandle = extern struct {
    vtable: *const HostVTable,
};

pub const JobFn = fn (ctx: ?*anyopaque) callconv(.c) void;
pub const DriveFn = fn (state: ?*anyopaque, cx: *const PollContext) callconv(.c) i32;

pub const HostVTable = extern struct {
    header: Header,
    retain: *const fn (*const HostHandle) callconv(.c) void,
    release: *const fn (*const HostHandle) callconv(.c) void,
    now: *const fn (*const HostHandle, clock: u32) callconv(.c) i64,
    poll_timer: *const fn (
        *const HostHandle,
        ticket: *?*anyopaque,
        at: i64,
        waker: *const WakerHandle,
    ) callconv(.c) i32,
    drop_timer: *const fn (ticket: ?*anyopaque) callconv(.c) void,
    poll_fd: *const fn (
        *const HostHandle,
        ticket: *?*anyopaque,
        fd: i32,
        interest: u32,
        waker: *const WakerHandle,
    ) callconv(.c) i32,
    drop_fd: *const fn (ticket: ?*anyopaque) callconv(.c) void,
    offload: *const fn (*const HostHandle, job: *const JobFn, ctx: ?*anyopaque) callconv(.c) i32,
    drive: *const fn (*const HostHandle, poll: *const DriveFn, state: ?*anyopaque) callconv(.c) i32,
};

pub const RawHandle = extern struct {
    vtable: ?*const anyopaque,
    state: ?*anyopaque,
};

pub const SourceVTable = extern struct {
    header: Header,
    item: TypeDesc,
    retain: *const fn (state: *anyopaque) callconv(.c) void,
    release: *const fn (state: *anyopaque) callconv(.c) void,
    poll_batch: *const fn (
        state: *anyopaque,
        cx: *const PollContext,
        out: *anyopaque,
        cap: usize,
        n: *usize,
    ) callconv(.c) i32,
    cancel: *const fn (state: *anyopaque) callconv(.c) void,
    last_error: *const fn (state: *anyopaque, out: *ErrorRecord) callconv(.c) void,
};

pub const SinkVTable = extern struct {
    header: Header,
    item: TypeDesc,
    result: TypeDesc,
    retain: *const fn (state: *anyopaque) callconv(.c) void,
    release: *const fn (state: *anyopaque) callconv(.c) void,
    send_batch: *const fn (
        state: *anyopaque,
        cx: *const PollContext,
        items: *const anyopaque,
        count: usize,
        n: *usize,
    ) callconv(.c) i32,
    poll_close: *const fn (
        state: *anyopaque,
        cx: *const PollContext,
        result: *anyopaque,
    ) callconv(.c) i32,
    cancel: *const fn (state: *anyopaque) callconv(.c) void,
    last_error: *const fn (state: *anyopaque, out: *ErrorRecord) callconv(.c) void,
    take_back: ?*const fn (state: *anyopaque, out: *anyopaque, cap: usize) callconv(.c) usize,
};

pub const TransformVTable = extern struct {
    header: Header,
    sink: *const SinkVTable,
    source: *const SourceVTable,
};

pub const OpenOptions = extern struct {
    struct_size: u32,
    flags: u32,
    capacity: u64,
    stack_size: u64,
    pool: ?*const PoolHandle,
    host: ?*const HostHandle,
};

pub const Arg = extern struct {
    ty: TypeDesc,
    value: *const anyopaque,
};

pub const OpenFn = fn (
    options: *const OpenOptions,
    args: [*]const Arg,
    arg_count: usize,
    out: *RawHandle,
    err: *ErrorRecord,
) callconv(.c) i32;

pub const Export = extern struct {
    name: Slice,
    kind: u32,
    arg_count: u32,
    args: [*]const TypeDesc,
    item: TypeDesc,
    result: TypeDesc,
    open: *const OpenFn,
};

pub const Exports = extern struct {
    header: Header,
    count: usize,
    entries: [*]const Export,
    layout_count: usize,
    layout: [*]const u32,
};

/// Alignments and field offsets of the structs above, and the sizes of those that never grow, in the
/// order of `abi.rs`. What a later minor version adds to a table goes to the end.
pub const layout = layoutOf(.{
    .{ Header, .fixed },      .{ TypeDesc, .fixed },    .{ Slice, .fixed },       .{ ErrorRecord, .fixed },
    .{ WakerHandle, .fixed }, .{ WakerVTable, .grows }, .{ PollContext, .grows }, .{ RawBuffer, .fixed },
    .{ PoolHandle, .fixed },  .{ PoolVTable, .grows },  .{ RawHandle, .fixed },   .{ SourceVTable, .grows },
    .{ SinkVTable, .grows },  .{ OpenOptions, .grows }, .{ Arg, .fixed },         .{ Export, .fixed },
    .{ Exports, .grows },     .{ HostHandle, .fixed },  .{ HostVTable, .grows },  .{ TransformVTable, .grows },
});

fn layoutLen(comptime structs: anytype) usize {
    var n: usize = 0;
    for (structs) |s| n += 1 + @typeInfo(s[0]).@"struct".field_names.len + @intFromBool(s[1] == .fixed);
    return n;
}

fn layoutOf(comptime structs: anytype) [layoutLen(structs)]u32 {
    var table: [layoutLen(structs)]u32 = undefined;
    var i: usize = 0;
    for (structs) |s| {
        table[i] = @alignOf(s[0]);
        i += 1;
        for (@typeInfo(s[0]).@"struct".field_names) |field| {
            table[i] = @offsetOf(s[0], field);
            i += 1;
        }
        if (s[1] == .fixed) {
            table[i] = @sizeOf(s[0]);
            i += 1;
        }
    }
    return table;
}

comptime {
    if (@sizeOf(usize) == 8) {
        std.debug.assert(@sizeOf(ErrorRecord) == 56);
        std.debug.assert(@sizeOf(RawBuffer) == 48);
        std.debug.assert(@sizeOf(PoolVTable) == 56);
        std.debug.assert(@sizeOf(SourceVTable) == 72);
        std.debug.assert(@sizeOf(SinkVTable) == 104);
        std.debug.assert(@sizeOf(TransformVTable) == 32);
        std.debug.assert(@sizeOf(OpenOptions) == 40);
        std.debug.assert(@sizeOf(Export) == 72);
        std.debug.assert(@sizeOf(Exports) == 48);
        std.debug.assert(@sizeOf(HostVTable) == 88);
    }
}
