//! Functions that panic, in every way there is. Built twice, with and without optimisation.

const std = @import("std");
const zg = @import("ziggurat");
const Io = std.Io;

pub const exports = zg.exports(.{
    .fails_check = zg.source(failsCheck),
    .one_of_many = zg.source(oneOfMany),
    .goes_deep = zg.source(goesDeep),
    .child_fails = zg.source(childFails),
    .fails_in_defer = zg.source(failsInDefer),
    .fails_at = zg.sink(failsAt),
    .fails_between = zg.transform(failsBetween),
    .fails_with_blocks = zg.source(failsWithBlocks),
    .fails_with_sender = zg.source(failsWithSender),
    .fails_beside_receiver = zg.source(failsBesideReceiver),
});

/// `count` items, then what the compiler or the library checks for, by number.
fn failsCheck(_: Io, out: *zg.Out(u64), check: u32, count: u64) !void {
    for (0..@intCast(count)) |i| try out.send(i);
    var zero: u64 = 0;
    std.mem.doNotOptimizeAway(&zero);
    try out.send(fail(check, zero));
}

/// `zero` is 0, and the compiler doesn't know.
fn fail(check: u32, zero: u64) u64 {
    var array = [_]u64{ 1, 2, 3 };
    std.mem.doNotOptimizeAway(&array);
    const slice: []u64 = &array;
    const byte: u8 = @truncate(zero);
    switch (check) {
        0 => @panic("said so"),
        1 => unreachable,
        2 => return slice[@intCast(zero + 3)],
        3 => return zero - 1,
        4 => return (if (zero == 1) zero else @as(?u64, null)).?,
        5 => return failing(zero) catch unreachable,
        6 => return @as(u8, @intCast(zero + 256)),
        7 => return 1 / zero,
        8 => {
            var tagged: union(enum) { a: u64, b: u32 } = .{ .a = zero };
            std.mem.doNotOptimizeAway(&tagged);
            return tagged.b;
        },
        9 => return @backingInt(@as(enum(u8) { one = 1 }, @fromBackingInt(byte))),
        10 => return @as(u48, 1) << @as(u6, @intCast(zero + 50)),
        11 => {
            const address = @intFromPtr(slice.ptr) + 1 + @as(usize, @intCast(zero));
            return @as(*u64, @ptrFromInt(address)).*;
        },
        12 => return slice[@intCast(zero + 2)..@intCast(zero + 1)].len,
        13 => return slice[0..2 :0].len + zero,
        14 => {
            var sum: u64 = 0;
            for (slice, slice[0..@intCast(zero + 2)]) |a, b| sum += a * b;
            return sum;
        },
        15 => {
            @memcpy(slice[0..2], slice[@intCast(zero + 1)..3]);
            return slice[0];
        },
        16 => std.debug.assert(zero == 1),
        17 => return @divExact(zero + 3, 2),
        18 => return @intFromPtr(@as(*u8, @ptrFromInt(@as(usize, @intCast(zero))))),
        19 => return @as(u64, @intFromFloat(@as(f64, -1.5) - @as(f64, @floatFromInt(zero)))),
        20 => std.debug.panic("formatted {d}", .{zero}),
        else => {},
    }
    return check;
}

fn failing(zero: u64) error{OnPurpose}!u64 {
    return if (zero == 0) error.OnPurpose else zero;
}

/// Ten items with a sleep between them; number `victim` panics after the fifth.
fn oneOfMany(io: Io, out: *zg.Out(u64), number: u64, victim: u64) !void {
    for (0..10) |i| {
        try out.send(number * 10 + i);
        if (number == victim and i == 4) std.debug.panic("number {d}", .{number});
        try io.sleep(.fromMicroseconds(200), .awake);
    }
}

/// Needs more stack the deeper it goes.
fn goesDeep(io: Io, out: *zg.Out(u64), depth: u64, in_child: u32) !void {
    try out.send(1);
    if (in_child == 0) return out.send(down(depth));
    var future = try io.concurrent(down, .{depth});
    try out.send(future.await(io));
}

fn down(depth: u64) u64 {
    // The second one begins below the guard, so that only a probe meets it.
    var frame: [200 * 1024]u8 = undefined;
    frame[@intCast(depth % frame.len)] = @truncate(depth);
    std.mem.doNotOptimizeAway(&frame);
    return if (depth == 0) 0 else down(depth - 1) +% frame[@intCast(depth % frame.len)];
}

/// A child panics while the function awaits it, and another one sleeps.
fn childFails(io: Io, out: *zg.Out(u64)) !void {
    var group: Io.Group = .init;
    try group.concurrent(io, sleeps, .{io});
    try group.concurrent(io, panics, .{io});
    try out.send(1);
    try group.await(io);
}

fn sleeps(io: Io) Io.Cancelable!void {
    try io.sleep(.fromSeconds(3600), .awake);
}

fn panics(io: Io) Io.Cancelable!void {
    try io.sleep(.fromMilliseconds(1), .awake);
    @panic("a child's");
}

/// Panics after it was cancelled, at once or after a wait.
fn failsInDefer(io: Io, out: *zg.Out(u64), waits: u32) !void {
    defer {
        if (waits != 0) io.sleep(.fromMilliseconds(1), .awake) catch {};
        @panic("in a defer");
    }
    while (true) try out.send(1);
}

fn failsAt(_: Io, in: *zg.In(u64), limit: u64) !u64 {
    while (try in.next()) |item| if (item == limit) @panic("the limit");
    @panic("the end");
}

/// Passes on what comes before `limit`.
fn failsBetween(_: Io, in: *zg.In(u64), out: *zg.Out(u64), limit: u64) !void {
    while (try in.next()) |item| {
        if (item == limit) std.debug.panic("at {d}", .{item});
        try out.send(item);
    }
}

fn failsWithBlocks(_: Io, out: *zg.Out([]const u8)) !void {
    try out.send("sent");
    try out.writer().writeAll("never sent");
    @panic("with a block");
}

fn failsWithSender(io: Io, out: *zg.Out(u64), sender: *zg.Sender(u64)) !void {
    try out.send(1);
    sender.send(io, 2) catch {};
    @panic("with a sender");
}

/// Panics while a child waits for an item of a channel.
fn failsBesideReceiver(io: Io, out: *zg.Out(u64), receiver: *zg.Receiver(u64)) !void {
    var group: Io.Group = .init;
    try group.concurrent(io, receives, .{ io, receiver });
    // The child runs in between.
    for (0..3) |i| try out.send(i);
    @panic("beside a receiver");
}

fn receives(io: Io, receiver: *zg.Receiver(u64)) Io.Cancelable!void {
    _ = receiver.recv(io) catch return error.Canceled;
}
