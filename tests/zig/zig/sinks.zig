//! More functions that take, for the integration tests.

const std = @import("std");
const zg = @import("ziggurat");
const Io = std.Io;
const mark = @import("slots.zig").mark;

/// Sleeps over each item, and has then seen to it.
pub fn drowsy(io: Io, in: *zg.In(u64), slot: u32) !void {
    mark(slot, "started");
    defer mark(slot, "deferred");
    while (try in.next()) |_| {
        try io.sleep(.fromMilliseconds(1), .awake);
        mark(slot, "sent");
    }
}
