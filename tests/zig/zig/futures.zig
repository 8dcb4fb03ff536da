//! Functions that return, for the integration tests.

const std = @import("std");
const zg = @import("ziggurat");
const Io = std.Io;
const mark = @import("slots.zig").mark;

pub fn added(io: Io, a: u64, b: u64, slot: u32) !u64 {
    mark(slot, "started");
    defer mark(slot, "deferred");
    errdefer mark(slot, "canceled");
    // By two tasks, each of which waits.
    var half = try io.concurrent(later, .{ io, a });
    defer _ = half.cancel(io) catch {};
    const other = try later(io, b);
    return other + try half.await(io);
}

fn later(io: Io, value: u64) Io.Cancelable!u64 {
    try io.sleep(.fromMicroseconds(50), .awake);
    return value;
}

pub fn napped(io: Io, slot: u32) !void {
    mark(slot, "started");
    defer mark(slot, "deferred");
    errdefer mark(slot, "canceled");
    try io.sleep(.fromSeconds(3600), .awake);
}

/// `count` bytes.
pub fn filled(io: Io, count: u64, byte: u8) ![]u8 {
    const bytes = try zg.allocator.alloc(u8, count);
    errdefer zg.allocator.free(bytes);
    try io.sleep(.fromMicroseconds(50), .awake);
    @memset(bytes, byte);
    return bytes;
}

/// Its message is the error's, too.
pub fn failing(_: Io, message: []const u8) !u64 {
    std.debug.assert(message.len > 0);
    return error.OnPurpose;
}

/// The end that it was passed.
pub fn passed(_: Io, end: *zg.Receiver(u64)) zg.Receiver(u64) {
    return end.take();
}
