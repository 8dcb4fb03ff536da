//! A peer that writes into the shared memory what no honest end writes.

const std = @import("std");
const Io = std.Io;
const zg = @import("ziggurat");

const one: u64 = 1 << 16;

/// Breaks a many-to-many ring of at least two items, or a one-to-one ring, in one of several ways.
pub fn breakRing(_: Io, _: *zg.In(u8), into: *zg.Sender(u64), how: u8) void {
    const h = into.header;
    switch (how) {
        // More items than there is room for.
        0 => _ = @atomicRmw(u64, &h.tail, .Add, 1000 * one, .seq_cst),
        // Items that nobody wrote.
        1 => {
            _ = @atomicRmw(u64, &h.tail, .Add, one, .seq_cst);
            @atomicStore(u64, stampOf(h, 0), 400 * one | 1, .seq_cst);
        },
        2 => @atomicStore(u64, stampOf(h, 0), std.math.maxInt(u64), .seq_cst),
        // A slot that was claimed, published, and never written.
        3 => {
            const tail = @atomicRmw(u64, &h.tail, .Add, one, .seq_cst);
            @atomicStore(u64, stampOf(h, 0), tail | 1, .seq_cst);
        },
        // A slot that was claimed and never published.
        4 => _ = @atomicRmw(u64, &h.tail, .Add, one, .seq_cst),
        // A receiver from the future.
        5 => _ = @atomicRmw(u64, &h.head, .Add, 99 * one, .seq_cst),
        // Parked words that mean nothing, and a fault of its own.
        6 => {
            @atomicStore(u32, &h.receivers, 0xffff_fff9, .seq_cst);
            @atomicStore(u32, &h.senders, 0xffff_fff9, .seq_cst);
        },
        else => h.call("close", .{@fromBackingInt(how)}),
    }
}

fn stampOf(h: anytype, index: usize) *u64 {
    return @ptrCast(@alignCast(h.slots.?[index * @as(usize, @intCast(h.stride)) ..]));
}

/// Sends buffers that cannot be, and one that can.
pub fn breakBuffers(io: Io, _: *zg.In(u8), into: *zg.Sender(zg.Buffer)) !void {
    var long: zg.Buffer = .initStatic("four");
    long.raw.len = 5;
    var crooked: zg.Buffer = .initStatic("four");
    crooked.raw.@"align" = 3;
    var nowhere: zg.Buffer = .initStatic("four");
    nowhere.raw.ptr = null;
    _ = try into.sendMany(io, &.{ long, .initStatic("good"), crooked, nowhere });
}
