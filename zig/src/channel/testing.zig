//! A maker of channels for tests: what Rust does, without Rust. A mutex guards the waiting lists, and every
//! publication is strict.

const std = @import("std");
const abi = @import("../abi.zig");
const layout = @import("layout.zig");
const one_to_one = @import("one_to_one.zig");
const types = @import("../types.zig");
const Bounded = @import("bounded.zig").Bounded;
const Header = layout.Header;
const Side = layout.Side;
const gpa = std.testing.allocator;

/// `row`: the capacity is that of the first ring.
pub const Kind = enum { many, one, row };

/// A channel and what is known of its ends. It lives until the test's `deinit`, so that tests can look at it
/// when all ends are gone.
pub const TestChannel = struct {
    header: Header,
    /// The slots; none of a row.
    memory: []align(128) u8,
    rings: [layout.row_most]?[]align(128) u8 = @splat(null),
    /// Rings that somebody has asked for and was given.
    asked: u32 = 0,
    mutex: std.Io.Mutex = .init,
    waiters: [2]std.ArrayList(Waiter) = .{ .empty, .empty },
    next_ticket: u64 = 1,
    ends: [2]u32 = .{ 1, 1 },
    /// Wakes that were passed on because a waiter gave up.
    passed_on: u32 = 0,

    const Waiter = struct { ticket: u64, waker: *const abi.WakerHandle };

    const vtable: layout.VTable = .{
        .struct_size = @sizeOf(layout.VTable),
        .abi_major = layout.abi_major,
        .abi_minor = layout.abi_minor,
        .wake = &wake,
        .park = &park,
        .unpark = &unpark,
        .close = &close,
        .clone_end = &cloneEnd,
        .drop_end = &dropEnd,
        .ring = &ring,
    };

    /// A channel of `T`s that has moved `laps` times its capacity already. Its two ends are the caller's.
    pub fn create(comptime T: type, kind: Kind, capacity: u64, laps: u64) !*TestChannel {
        const W = types.Wire(T);
        const many = kind == .many;
        const slot = if (kind == .one) one_to_one.slotLayout(W) else Bounded(W).slot_layout;
        const power = std.math.isPowerOfTwo(capacity);
        const slots = if (many) capacity else std.math.ceilPowerOfTwoAssert(u64, capacity);
        const is_row = kind == .row;
        const start = laps * capacity *% layout.one;
        const channel = try gpa.create(TestChannel);
        errdefer gpa.destroy(channel);
        const memory = try gpa.alignedAlloc(u8, .of(Header), @intCast(if (is_row) 0 else slots * slot.stride));
        @memset(memory, 0);
        if (many) for (0..@intCast(slots)) |i| {
            const stamp: *u64 = @ptrCast(@alignCast(memory[i * slot.stride ..]));
            stamp.* = start +% i * layout.one;
        };
        const item = types.desc(T);
        channel.* = .{ .memory = memory, .header = .{
            .magic = layout.magic,
            .struct_size = @sizeOf(Header),
            .abi_major = layout.abi_major,
            .abi_minor = layout.abi_minor,
            .kind = switch (kind) {
                .many => layout.kind_bounded,
                .one => layout.kind_one_to_one,
                .row => layout.kind_growable,
            },
            .flags = 0,
            .capacity = if (is_row) 0 else capacity,
            .mask = if (many and !power) 0 else slots - 1,
            .wrap = if (many and !power) ((1 << 47) / capacity * capacity) * layout.one else 0,
            .slots = if (is_row) null else memory.ptr,
            .stride = slot.stride,
            .value = slot.value,
            .item_kind = item.kind,
            .item_align = item.@"align",
            .item_size = item.size,
            .vtable = &vtable,
            .fault = .none,
            .maker = null,
            .tail = start,
            .tail_ptr = null,
            .head = start,
            .head_ptr = null,
            .receivers = layout.strict,
            .senders = layout.strict,
            .last = layout.open,
        } };
        if (is_row) _ = channel.makeRing(0);
        return channel;
    }

    /// All ends are gone, and nobody waits.
    pub fn deinit(c: *TestChannel) void {
        for (c.ends, &c.waiters) |ends, *list| {
            std.debug.assert(ends == 0 and list.items.len == 0);
            list.deinit(gpa);
        }
        gpa.free(c.memory);
        for (c.rings) |memory| if (memory) |bytes| gpa.free(bytes);
        gpa.destroy(c);
    }

    pub fn isClosed(c: *TestChannel) bool {
        return if (c.header.kind == layout.kind_one_to_one)
            one_to_one.isClosed(&c.header)
        else
            @atomicLoad(u64, &c.header.tail, .seq_cst) & layout.closed != 0;
    }

    /// How many wait on a side.
    pub fn waiting(c: *TestChannel, side: Side) usize {
        c.lock();
        defer c.unlock();
        return c.waiters[@backingInt(side)].items.len;
    }

    /// Waits until that many wait on a side.
    pub fn awaitWaiting(c: *TestChannel, side: Side, count: usize) void {
        while (c.waiting(side) != count) std.Thread.yield() catch {};
    }

    fn of(header: *Header) *TestChannel {
        return @alignCast(@fieldParentPtr("header", header));
    }

    fn lock(c: *TestChannel) void {
        c.mutex.lockUncancelable(std.testing.io);
    }

    fn unlock(c: *TestChannel) void {
        c.mutex.unlock(std.testing.io);
    }

    fn wake(header: *Header, side: Side, count: u64) callconv(.c) void {
        const c = of(header);
        for (0..@intCast(count)) |_| {
            c.lock();
            const list = &c.waiters[@backingInt(side)];
            const waiter = if (list.items.len > 0) list.orderedRemove(0) else null;
            if (list.items.len == 0) _ = @atomicRmw(u32, header.word(side), .And, ~layout.parked, .seq_cst);
            c.unlock();
            const waker = (waiter orelse return).waker;
            waker.vtable.wake(waker);
            waker.vtable.release(waker);
        }
    }

    fn park(header: *Header, side: Side, ticket: *u64, waker: *const abi.WakerHandle) callconv(.c) void {
        const c = of(header);
        c.lock();
        defer c.unlock();
        const list = &c.waiters[@backingInt(side)];
        for (list.items) |waiter| if (waiter.ticket == ticket.*) return;
        const first = ticket.* == 0;
        ticket.* = c.next_ticket;
        c.next_ticket += 1;
        waker.vtable.retain(waker);
        list.insert(gpa, if (first) list.items.len else 0, .{ .ticket = ticket.*, .waker = waker }) catch unreachable;
        _ = @atomicRmw(u32, header.word(side), .Or, layout.parked, .seq_cst);
    }

    fn unpark(header: *Header, side: Side, ticket: *u64, used: u32) callconv(.c) void {
        const c = of(header);
        c.lock();
        const list = &c.waiters[@backingInt(side)];
        const index = for (list.items, 0..) |waiter, i| {
            if (waiter.ticket == ticket.*) break i;
        } else null;
        if (index) |i| {
            const waker = list.orderedRemove(i).waker;
            waker.vtable.release(waker);
        }
        if (list.items.len == 0) _ = @atomicRmw(u32, header.word(side), .And, ~layout.parked, .seq_cst);
        const pass_on = ticket.* != 0 and index == null and used == 0;
        if (pass_on) c.passed_on += 1;
        c.unlock();
        ticket.* = 0;
        if (pass_on) wake(header, side, 1);
    }

    fn close(header: *Header, fault: layout.Fault) callconv(.c) void {
        _ = @cmpxchgStrong(layout.Fault, &header.fault, .none, fault, .seq_cst, .seq_cst);
        if (header.kind != layout.kind_one_to_one) {
            const last = @atomicRmw(u64, &header.tail, .Or, layout.closed, .seq_cst) / layout.one;
            const c = of(header);
            c.lock();
            defer c.unlock();
            // All of them, if somebody has made the number up.
            const known = last < c.rings.len and c.rings[@intCast(last)] != null;
            const sealed = if (known) c.rings[@intCast(last)..][0..1] else &c.rings;
            for (sealed) |memory| if (memory) |bytes| {
                _ = @atomicRmw(u64, &wordsOf(bytes).tail, .Or, layout.closed, .seq_cst);
            };
        } else {
            _ = @atomicRmw(u32, &header.receivers, .Or, layout.ended, .seq_cst);
            const tail = @atomicLoad(u64, &header.tail, .seq_cst);
            _ = @cmpxchgStrong(u64, &header.last, layout.open, tail, .seq_cst, .seq_cst);
        }
        for ([_]Side{ .receivers, .senders }) |side| wake(header, side, 1 << 20);
    }

    fn wordsOf(memory: []align(128) u8) *layout.Words {
        return @ptrCast(memory.ptr);
    }

    /// The words of a ring that is there.
    pub fn ringWords(c: *TestChannel, number: usize) *layout.Words {
        return wordsOf(c.rings[number].?);
    }

    fn makeRing(c: *TestChannel, number: usize) *layout.Words {
        const h = &c.header;
        const slots = (h.mask + 1) << @intCast(number);
        const start = @sizeOf(layout.Words);
        const memory = gpa.alignedAlloc(u8, .of(Header), @intCast(start + slots * h.stride)) catch unreachable;
        @memset(memory, 0);
        for (0..@intCast(slots)) |i| {
            const stamp: *u64 = @ptrCast(@alignCast(memory[start + i * @as(usize, @intCast(h.stride)) ..]));
            stamp.* = i * layout.one;
        }
        c.rings[number] = memory;
        return wordsOf(memory);
    }

    fn ring(header: *Header, number: u64, make: u32) callconv(.c) ?*layout.Words {
        const c = of(header);
        c.lock();
        defer c.unlock();
        if (header.kind != layout.kind_growable or number >= layout.row_most) return null;
        const at: usize = @intCast(number);
        const next = make != 0 and at > 0 and c.rings[at - 1] != null;
        if (c.rings[at] == null and !next) return null;
        c.asked += 1;
        return if (c.rings[at]) |memory| wordsOf(memory) else c.makeRing(at);
    }

    fn cloneEnd(header: *Header, side: Side) callconv(.c) void {
        const c = of(header);
        c.lock();
        defer c.unlock();
        c.ends[@backingInt(side)] += 1;
    }

    fn dropEnd(header: *Header, side: Side) callconv(.c) void {
        const c = of(header);
        c.lock();
        const count = &c.ends[@backingInt(side)];
        count.* -= 1;
        const last = count.* == 0;
        c.unlock();
        if (last) close(header, .none);
    }
};
