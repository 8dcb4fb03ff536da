//! Functions that take and give, for the integration tests.

const std = @import("std");
const zg = @import("ziggurat");
const Io = std.Io;
const mark = @import("slots.zig").mark;

/// Twice each item; every `nap`th after a sleep, unless that is 0.
pub fn doubled(io: Io, in: *zg.In(u64), out: *zg.Out(u64), nap: u64, slot: u32) !void {
    mark(slot, "started");
    defer mark(slot, "deferred");
    errdefer mark(slot, "canceled");
    while (try in.next()) |item| {
        if (nap > 0 and item % nap == 0) try io.sleep(.fromMicroseconds(50), .awake);
        try out.send(2 * item);
        mark(slot, "sent");
    }
}

/// Each item as often as it says.
pub fn repeated(_: Io, in: *zg.In(u32), out: *zg.Out(u64)) !void {
    while (try in.next()) |item| for (0..item) |_| try out.send(item);
}

/// Those that are multiples of `every`.
pub fn sieved(_: Io, in: *zg.In(u64), out: *zg.Out(u64), every: u64) !void {
    var items: [16]u64 = undefined;
    while (true) {
        const some = try in.nextMany(&items);
        if (some.len == 0) return;
        for (some) |item| if (item % every == 0) try out.send(item);
    }
}

/// One task receives and another one sends, with a queue in between, so that both may wait at once.
pub fn relayed(io: Io, in: *zg.In(u64), out: *zg.Out(u64), slot: u32) !void {
    defer mark(slot, "deferred");
    var memory: [4]u64 = undefined;
    var queue: Io.Queue(u64) = .init(&memory);
    var receiving = try io.concurrent(receiveInto, .{ io, in, &queue });
    defer receiving.cancel(io) catch {};
    while (queue.getOne(io)) |item| try out.send(item) else |err| if (err == error.Canceled) return err;
    try receiving.await(io);
}

fn receiveInto(io: Io, in: *zg.In(u64), queue: *Io.Queue(u64)) !void {
    defer queue.close(io);
    while (try in.next()) |item| try queue.putOne(io, item);
}

/// The first `count` items.
pub fn firstOf(_: Io, in: *zg.In(u64), out: *zg.Out(u64), count: u64) !void {
    for (0..count) |_| try out.send(try in.next() orelse return);
}

/// `after` items, then an error.
pub fn breaks(_: Io, in: *zg.In(u64), out: *zg.Out(u64), after: u64, message: []const u8) !void {
    for (0..after) |_| try out.send(try in.next() orelse return);
    return out.fail(error.OnPurpose, "{s} after {d}", .{ message, after });
}

/// Takes and gives nothing until it is cancelled.
pub fn held(io: Io, in: *zg.In(u64), out: *zg.Out(u64), slot: u32) !void {
    _ = .{ in, out };
    mark(slot, "started");
    defer mark(slot, "deferred");
    try io.sleep(.fromSeconds(3600), .awake);
}

/// Letters in upper case, chunk by chunk.
pub fn shouted(_: Io, in: *zg.In([]const u8), out: *zg.Out([]const u8)) !void {
    while (try in.next()) |chunk| {
        for (chunk) |byte| try out.writer().writeByte(std.ascii.toUpper(byte));
        try out.flush();
    }
}

/// How long each line is.
pub fn lineLengths(_: Io, in: *zg.In([]const u8), out: *zg.Out(u32)) !void {
    const reader = try in.reader();
    while (try reader.takeDelimiter('\n')) |line| try out.send(@intCast(line.len));
}

/// A line per number.
pub fn rendered(_: Io, in: *zg.In(u64), out: *zg.Out([]const u8)) !void {
    while (try in.next()) |item| try out.writer().print("{d}\n", .{item});
}

/// Lines up to an empty one; the rest is not its own.
pub fn header(_: Io, in: *zg.In([]const u8), out: *zg.Out([]const u8)) !void {
    const reader = try in.reader();
    while (try reader.takeDelimiter('\n')) |line| {
        if (line.len == 0) return;
        try out.send(line);
    }
}
