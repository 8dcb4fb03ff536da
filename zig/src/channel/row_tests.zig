//! Tests of both ends over a row of rings, with a maker of channels that is not Rust.

const std = @import("std");
const Io = std.Io;
const layout = @import("layout.zig");
const ends = @import("ends.zig");
const heap = @import("../heap.zig");
const Buffer = @import("../buffer.zig").Buffer;
const Receiver = ends.Receiver;
const Sender = ends.Sender;
const TestChannel = @import("testing.zig").TestChannel;
const consume = @import("tests.zig").consume;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectError = std.testing.expectError;
const io = std.testing.io;

test "there is always room, and items are received in order, across the rings" {
    for ([_]u64{ 1, 2, 64 }) |first| {
        const channel: *TestChannel = try .create(u32, .row, first, 0);
        defer channel.deinit();
        var s: Sender(u32) = try .fromAbi(&channel.header);
        var r: Receiver(u32) = try .fromAbi(&channel.header);
        try expectEqual(std.math.maxInt(usize), s.capacity());
        try expectError(error.Empty, r.tryRecv());
        var sent: u32 = 0;
        var received: u32 = 0;
        for (0..8) |round| {
            for (0..100) |_| {
                if (round % 2 == 0) try s.send(io, sent) else try s.trySend(sent);
                sent += 1;
            }
            var items: [150]u32 = undefined;
            for (&items, sent..) |*item, number| item.* = @intCast(number);
            try expectEqual(150, try s.sendMany(io, &items));
            sent += 150;
            try expectEqual(sent - received, s.len());
            for (0..120) |_| {
                try expectEqual(received, try r.recv(io));
                received += 1;
            }
            var out: [70]u32 = undefined;
            const n = try r.recvMany(io, &out);
            try expect(n > 0);
            for (out[0..n], received..) |item, number| try expectEqual(number, item);
            received += @intCast(n);
            try expectEqual(sent - received, r.len());
        }
        s.close();
        try expect(r.isClosed() and s.isClosed());
        try expectError(error.Closed, s.send(io, 1));
        try expectError(error.Closed, s.sendMany(io, &.{ 1, 2 }));
        while (received < sent) : (received += 1) try expectEqual(received, try r.tryRecv());
        try expectError(error.Closed, r.tryRecv());
        try expectError(error.Closed, r.recv(io));
        try expectEqual(.none, r.fault());
        s.deinit();
        r.deinit();
    }
}

test "an end asks for each ring once" {
    const channel: *TestChannel = try .create(u64, .row, 1, 0);
    defer channel.deinit();
    var s: Sender(u64) = try .fromAbi(&channel.header);
    var r: Receiver(u64) = try .fromAbi(&channel.header);
    for (0..1000) |i| try s.trySend(i);
    // 1 + 2 + 4 + … + 512.
    try expectEqual(10, channel.asked);
    for (0..1000) |i| try expectEqual(i, try r.tryRecv());
    try expectEqual(20, channel.asked);
    for (0..10_000) |i| {
        try s.trySend(i);
        try expectEqual(i, try r.tryRecv());
    }
    try expectEqual(20, channel.asked);
    // A clone, and an end that is taken over, know of none.
    var twin = try s.clone();
    s.deinit();
    try twin.trySend(7);
    try expectEqual(21, channel.asked);
    var moved = twin.take();
    try expectError(error.Closed, twin.trySend(1));
    try moved.trySend(8);
    try expectEqual(21, channel.asked);
    try expectEqual(7, try r.tryRecv());
    var later: Receiver(u64) = try .fromAbi(r.toAbi());
    try expectEqual(8, try later.tryRecv());
    try expectEqual(22, channel.asked);
    moved.deinit();
    try expectError(error.Closed, later.recv(io));
    later.deinit();
}

fn recvOne(r: *Receiver(u32)) !u32 {
    return r.recv(io);
}

test "a parked receiver is woken by an item in whichever ring, and by a close" {
    const channel: *TestChannel = try .create(u32, .row, 1, 0);
    defer channel.deinit();
    var s: Sender(u32) = try .fromAbi(&channel.header);
    var r: Receiver(u32) = try .fromAbi(&channel.header);
    for (0..5) |i| {
        // The receiver parks at a ring's end in which nothing is left.
        var receiving = try io.concurrent(recvOne, .{&r});
        channel.awaitWaiting(.receivers, 1);
        try expectEqual(2, try s.sendMany(io, &.{ @intCast(i), 100 }));
        try expectEqual(i, try receiving.await(io));
        try expectEqual(100, try r.recv(io));
    }
    for (0..50) |_| {
        var receiving = try io.concurrent(recvOne, .{&r});
        channel.awaitWaiting(.receivers, 1);
        try expectError(error.Canceled, receiving.cancel(io));
    }
    for (0..200) |i| {
        var first = try io.concurrent(recvOne, .{&r});
        channel.awaitWaiting(.receivers, 1);
        var second = try io.concurrent(recvOne, .{&r});
        channel.awaitWaiting(.receivers, 2);
        try s.send(io, @intCast(i));
        if (first.cancel(io)) |item| {
            try expectEqual(i, item);
            try expectError(error.Canceled, second.cancel(io));
        } else |_| try expectEqual(i, try second.await(io));
    }
    var receiving = try io.concurrent(recvOne, .{&r});
    channel.awaitWaiting(.receivers, 1);
    s.deinit();
    try expectError(error.Closed, receiving.await(io));
    r.deinit();
}

fn produce(s: *Sender(u64), mark: u64, count: u64, batch: usize) !void {
    var items: [16]u64 = undefined;
    var next: u64 = 0;
    while (next < count) {
        const n: usize = @intCast(@min(1 + next % batch, count - next));
        for (items[0..n], next..) |*item, i| item.* = mark << 32 | i;
        if (n == 1) try s.send(io, items[0]) else try expectEqual(n, try s.sendMany(io, items[0..n]));
        next += n;
    }
}

test "threads on both sides of a row: everything arrives, once, each sender's items in order" {
    const each = 20_000;
    for ([_]u64{ 1, 64 }) |first| for ([_]usize{ 1, 16 }) |batch| {
        const channel: *TestChannel = try .create(u64, .row, first, 0);
        defer channel.deinit();
        var s: Sender(u64) = try .fromAbi(&channel.header);
        var r: Receiver(u64) = try .fromAbi(&channel.header);
        var producers: [3]Io.Future(@typeInfo(@TypeOf(produce)).@"fn".return_type.?) = undefined;
        var consumers: [3]Io.Future(@typeInfo(@TypeOf(consume)).@"fn".return_type.?) = undefined;
        for (&producers, 0..) |*producer, i| producer.* = try io.concurrent(produce, .{ &s, i, each, batch });
        for (&consumers) |*consumer| consumer.* = try io.concurrent(consume, .{ &r, batch });
        for (&producers) |*producer| try producer.await(io);
        s.deinit();
        var received: u64 = 0;
        for (&consumers) |*consumer| received += try consumer.await(io);
        try expectEqual(3 * each, received);
        try expectEqual(.none, channel.header.fault);
        r.deinit();
    };
}

test "without memory to wait with, a receiver of a row looks again" {
    heap.replacement = std.testing.failing_allocator;
    defer heap.replacement = null;
    const channel: *TestChannel = try .create(u32, .row, 1, 0);
    defer channel.deinit();
    var s: Sender(u32) = try .fromAbi(&channel.header);
    var r: Receiver(u32) = try .fromAbi(&channel.header);
    var receiving = try io.concurrent(recvOne, .{&r});
    try s.send(io, 1);
    try expectEqual(1, try receiving.await(io));
    receiving = try io.concurrent(recvOne, .{&r});
    try expectError(error.Canceled, receiving.cancel(io));
    s.deinit();
    r.deinit();
}

test "buffers lie in a row as they are, and one that cannot be closes the channel" {
    const channel: *TestChannel = try .create([]const u8, .row, 1, 0);
    defer channel.deinit();
    var s: Sender([]const u8) = try .fromAbi(&channel.header);
    var r: Receiver(Buffer) = try .fromAbi(&channel.header);
    const bytes = "here";
    for (0..5) |_| try s.send(io, .initStatic(bytes));
    for (0..5) |_| try expectEqual(bytes, (try r.recv(io)).slice().ptr[0..4]);
    var broken: Buffer = .initStatic(bytes);
    broken.raw.len = 100;
    try expectEqual(3, try s.sendMany(io, &.{ .initStatic("a"), broken, .initStatic("b") }));
    try expectEqual('a', (try r.recv(io)).slice()[0]);
    try expectEqual('b', (try r.recv(io)).slice()[0]);
    try expectError(error.Closed, r.recv(io));
    try expectEqual(.item, r.fault());
    s.deinit();
    r.deinit();
}
