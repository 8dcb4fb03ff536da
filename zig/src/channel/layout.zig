//! The C layout of a channel, and what makes an end that came from the other side believable.
//!
//! `crates/channel/src/layout.rs` describes the memory and the protocol, byte by byte, once.

const std = @import("std");
const assert = std.debug.assert;
const abi = @import("../abi.zig");
const current = @import("../coroutine/current.zig");

/// `ZGCHAN`, and the layout's number.
pub const magic: u64 = 0x0001_4e41_4843_475a;
pub const abi_major: u16 = 1;
pub const abi_minor: u16 = 1;

pub const kind_bounded: u32 = 1;
pub const kind_unbounded: u32 = 2;
pub const kind_one_to_one: u32 = 3;
pub const kind_growable: u32 = 4;

/// Rings in a row at most.
pub const row_most = 40;

/// The distance between neighbouring positions in a position word.
pub const one: u64 = 1 << 16;
/// The position in a position word.
pub const position: u64 = ~(one - 1);
/// In `tail`: the channel is closed.
pub const closed: u64 = 1;
/// In `tail`: one reserved slot.
pub const reservation: u64 = 2;
/// In `tail`: the number of reserved slots, times `reservation`.
pub const reserved: u64 = (one - 1) & ~closed;
/// In a stamp: the slot holds an item.
pub const full: u64 = 1;

/// In a parked word: somebody is in the waiting list.
pub const parked: u32 = 1;
/// In a parked word: publishers use a full barrier.
pub const strict: u32 = 2;
/// In a parked word of a one-to-one ring: it is closed.
pub const ended: u32 = 4;

/// `last` of a one-to-one ring that is open.
pub const open: u64 = std.math.maxInt(u64);

/// Why a channel was closed by force.
pub const Fault = enum(u32) {
    none = 0,
    /// A position that would mean more items than there is room for.
    position = 1,
    /// A slot's stamp from the future, or from nowhere.
    stamp = 2,
    /// A buffer whose description is impossible.
    item = 3,
    _,
};

pub const Side = enum(u32) { receivers = 0, senders = 1 };

pub const Header = extern struct {
    magic: u64,
    struct_size: u32,
    abi_major: u16,
    abi_minor: u16,
    kind: u32,
    flags: u32,
    capacity: u64,
    mask: u64,
    wrap: u64,
    slots: ?[*]u8,
    stride: u64,
    value: u64,
    item_kind: u32,
    item_align: u32,
    item_size: u64,
    vtable: ?*const VTable,
    fault: Fault,
    maker: ?*const anyopaque,
    tail: u64 align(128),
    tail_ptr: ?*anyopaque,
    head: u64 align(128),
    head_ptr: ?*anyopaque,
    receivers: u32 align(128),
    senders: u32 align(128),
    last: u64,

    /// Calls a function of the table: not ours, and so on the thread's own stack. What it runs (wakers, the
    /// items' drops) may need any depth.
    pub fn call(h: *Header, comptime name: []const u8, args: ArgsOf(name)) void {
        const Call = struct { h: *Header, args: ArgsOf(name) };
        const c: Call = .{ .h = h, .args = args };
        current.onThreadStack(&c, struct {
            fn run(context: *const Call) void {
                // `accept` has looked at the table.
                @call(.auto, @field(context.h.vtable.?, name), .{context.h} ++ context.args);
            }
        }.run);
    }

    fn ArgsOf(comptime name: []const u8) type {
        const function = @typeInfo(@FieldType(VTable, name)).pointer.child;
        const param_types = @typeInfo(function).@"fn".param_types[1..];
        var list: [param_types.len]type = undefined;
        for (&list, param_types) |*slot, T| slot.* = T.?;
        return @Tuple(&list);
    }

    /// The words of a ring of a row, which stay where they are for as long as the channel. With `make` it may
    /// be the next one to come. Null: there is none.
    pub fn ring(h: *Header, number: u64, make: bool) ?*Words {
        const Call = struct { h: *Header, number: u64, make: bool, words: ?*Words = null };
        var c: Call = .{ .h = h, .number = number, .make = make };
        current.onThreadStack(&c, struct {
            fn run(context: *Call) void {
                const table = context.h.vtable.?;
                context.words = table.ring(context.h, context.number, @intFromBool(context.make));
            }
        }.run);
        return c.words;
    }

    /// The parked word of a side.
    pub fn word(h: *Header, side: Side) *u32 {
        return switch (side) {
            .receivers => &h.receivers,
            .senders => &h.senders,
        };
    }

    pub fn wake(h: *Header, side: Side, count: u64) void {
        @branchHint(.cold);
        h.call("wake", .{ side, count });
    }

    pub fn fail(h: *Header, fault: Fault) void {
        @branchHint(.cold);
        h.call("close", .{fault});
    }
};

pub const VTable = extern struct {
    struct_size: u32,
    abi_major: u16,
    abi_minor: u16,
    wake: *const fn (*Header, Side, count: u64) callconv(.c) void,
    park: *const fn (*Header, Side, ticket: *u64, waker: *const abi.WakerHandle) callconv(.c) void,
    unpark: *const fn (*Header, Side, ticket: *u64, used: u32) callconv(.c) void,
    close: *const fn (*Header, Fault) callconv(.c) void,
    clone_end: *const fn (*Header, Side) callconv(.c) void,
    drop_end: *const fn (*Header, Side) callconv(.c) void,
    ring: *const fn (*Header, number: u64, make: u32) callconv(.c) ?*Words,
};

/// What a ring of a row begins with. Its slots follow, aligned as they have to be.
pub const Words = extern struct { tail: u64 align(128), head: u64 align(128) };

comptime {
    if (@sizeOf(usize) == 8) {
        assert(@sizeOf(Header) == 640 and @alignOf(Header) == 128);
        assert(@sizeOf(VTable) == 64);
        assert(@sizeOf(Words) == 256 and @offsetOf(Words, "head") == 128);
    }
}

/// The offsets of the header's fields, for a test that compares them with the table in Rust.
pub const offsets: [25]u64 = offsets: {
    const names = @typeInfo(Header).@"struct".field_names;
    var list: [names.len]u64 = undefined;
    for (&list, names) |*offset, name| offset.* = @offsetOf(Header, name);
    break :offsets list;
};

/// Stores a position of a one-to-one ring, and returns the other side's parked word as it is afterwards.
pub inline fn publish(where: *u64, value: u64, peer: *u32) u32 {
    // Release: the item, or the emptiness, is there when the position says so.
    @atomicStore(u64, where, value, .release);
    // Keeps the compiler, and only it, from moving the load before the store: the parker's `membarrier`
    // does the rest.
    asm volatile ("" ::: .{ .memory = true });
    const word = @atomicLoad(u32, peer, .monotonic);
    return if (word == 0) 0 else lookStrictly(peer);
}

fn lookStrictly(peer: *u32) u32 {
    @branchHint(.cold);
    // Seq_cst, and a read-modify-write of the very word that the parker's is of: whichever comes first in
    // that word's own order, the other one sees what came before it.
    return @atomicRmw(u32, peer, .Or, 0, .seq_cst);
}

/// Waits a moment for another thread that is between two steps of its own: a few instructions, unless it
/// is not running.
pub const Backoff = struct {
    turns: u32 = 0,

    pub fn snooze(b: *Backoff) void {
        if (b.turns < 7) {
            for (0..@as(usize, 1) << @intCast(b.turns)) |_| std.atomic.spinLoopHint();
        } else std.Thread.yield() catch {};
        b.turns +|= 1;
    }
};

pub const AcceptError = error{
    /// The pointer is null.
    ChannelNull,
    /// The pointer is not aligned as a header is.
    ChannelMisaligned,
    /// There is no channel where it points.
    NotAChannel,
    /// The channel has the layout of another version.
    ChannelVersion,
    /// The header or its table is too short, or the table is missing.
    ChannelTable,
    /// The channel is of a kind that does not cross: one that is linked by addresses does not.
    ChannelKind,
    /// The capacity is impossible, or what belongs to it does not fit it.
    ChannelCapacity,
    /// The items are of another type, or lie otherwise.
    ChannelItem,
};

/// Where items lie in a slot, in bytes.
pub const SlotLayout = struct { stride: u64, value: u64, alignment: u64 };

/// Checks a header that came from the other side. `many` and `one_to_one` say how slots of the expected
/// item look.
pub fn accept(
    pointer: ?*anyopaque,
    item: abi.TypeDesc,
    many: SlotLayout,
    one_to_one: SlotLayout,
) AcceptError!*Header {
    const address = @intFromPtr(pointer orelse return error.ChannelNull);
    if (address % @alignOf(Header) != 0) return error.ChannelMisaligned;
    const h: *Header = @ptrCast(@alignCast(pointer.?));
    if (h.magic != magic) return error.NotAChannel;
    if (h.abi_major != abi_major) return error.ChannelVersion;
    if (h.struct_size < @sizeOf(Header)) return error.ChannelTable;
    const vtable = h.vtable orelse return error.ChannelTable;
    if (vtable.abi_major != abi_major) return error.ChannelVersion;
    if (vtable.struct_size < @sizeOf(VTable)) return error.ChannelTable;
    const slot = switch (h.kind) {
        kind_bounded, kind_growable => many,
        kind_one_to_one => one_to_one,
        else => return error.ChannelKind,
    };
    if (h.item_kind != item.kind or h.item_align != item.@"align" or h.item_size != item.size)
        return error.ChannelItem;
    if (h.stride != slot.stride or h.value != slot.value) return error.ChannelItem;
    try if (h.kind == kind_growable) checkRow(h) else checkCapacity(h, slot);
    return h;
}

/// The rings have numbers, and no address is here. `mask` is that of the first one.
fn checkRow(h: *const Header) error{ChannelCapacity}!void {
    if (h.capacity != 0 or h.wrap != 0 or h.slots != null) return error.ChannelCapacity;
    if (h.mask >= 1 << 46 or !std.math.isPowerOfTwo(h.mask + 1)) return error.ChannelCapacity;
}

fn checkCapacity(h: *const Header, slot: SlotLayout) error{ChannelCapacity}!void {
    if (h.capacity == 0 or h.capacity >= 1 << 47) return error.ChannelCapacity;
    const power = std.math.isPowerOfTwo(h.capacity);
    const slots = if (h.kind == kind_bounded) h.capacity else std.math.ceilPowerOfTwoAssert(u64, h.capacity);
    const mask = if (h.kind == kind_bounded and !power) 0 else slots - 1;
    if (h.mask != mask) return error.ChannelCapacity;
    const wraps = h.kind == kind_bounded and !power;
    if (wraps != (h.wrap != 0) or h.wrap % (h.capacity * one) != 0) return error.ChannelCapacity;
    const address = @intFromPtr(h.slots orelse return error.ChannelCapacity);
    if (address % slot.alignment != 0) return error.ChannelCapacity;
    const bytes = std.math.mul(u64, slots, h.stride) catch return error.ChannelCapacity;
    _ = std.math.add(u64, address, bytes) catch return error.ChannelCapacity;
}
