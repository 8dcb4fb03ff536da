//! Tests of both ends over both kinds of ring, with a maker of channels that is not Rust.

const std = @import("std");
const Io = std.Io;
const layout = @import("layout.zig");
const ends = @import("ends.zig");
const heap = @import("../heap.zig");
const Buffer = @import("../buffer.zig").Buffer;
const Receiver = ends.Receiver;
const Sender = ends.Sender;
const TestChannel = @import("testing.zig").TestChannel;
const Kind = @import("testing.zig").Kind;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectError = std.testing.expectError;
const io = std.testing.io;

const kinds = [_]Kind{ .many, .one };

test "items are received in order, room is exact, and what is left after a close is still there" {
    for (kinds) |kind| for ([_]u64{ 1, 2, 3, 5, 8 }) |capacity| {
        const channel: *TestChannel = try .create(u32, kind, capacity, 0);
        defer channel.deinit();
        var s: Sender(u32) = try .fromAbi(&channel.header);
        var r: Receiver(u32) = try .fromAbi(&channel.header);
        defer r.deinit();
        var next: u32 = 0;
        for (0..3 * @as(usize, @intCast(capacity))) |_| {
            for (0..@intCast(capacity)) |i| try s.trySend(@intCast(next + i));
            try expectError(error.Full, s.trySend(9));
            try expectEqual(capacity, s.len());
            try expectEqual(next, try r.tryRecv());
            try s.send(io, next + @as(u32, @intCast(capacity)));
            var out: [16]u32 = undefined;
            var n: usize = 0;
            while (n < capacity) n += try r.recvMany(io, out[n..]);
            for (out[0..n], next + 1..) |item, expected| try expectEqual(expected, item);
            next += @as(u32, @intCast(capacity)) + 1;
            try expectError(error.Empty, r.tryRecv());
        }
        try s.send(io, 7);
        s.close();
        try expect(r.isClosed());
        try expectError(error.Closed, s.send(io, 8));
        try expectEqual(7, try r.recv(io));
        try expectError(error.Closed, r.recv(io));
        try expectError(error.Closed, r.tryRecv());
        s.deinit();
    };
}

test "positions come back to 0" {
    const laps = [_]struct { u64, u64 }{ .{ 4, (1 << 46) - 1 }, .{ 3, (1 << 47) / 3 - 1 }, .{ 1, (1 << 48) - 2 } };
    for (laps) |lap| {
        const channel: *TestChannel = try .create(u64, .many, lap[0], lap[1]);
        defer channel.deinit();
        var s: Sender(u64) = try .fromAbi(&channel.header);
        var r: Receiver(u64) = try .fromAbi(&channel.header);
        for (0..@intCast(5 * lap[0])) |i| {
            try s.trySend(i);
            try expectEqual(1, r.len());
            try expectEqual(i, try r.tryRecv());
            try expectError(error.Empty, r.tryRecv());
        }
        var items: [8]u64 = undefined;
        try expectEqual(lap[0], try s.trySendMany(&items));
        try expectError(error.Full, s.trySendMany(&items));
        s.deinit();
        r.deinit();
    }
}

test "batches report what they have moved" {
    for (kinds) |kind| {
        const channel: *TestChannel = try .create(u32, kind, 5, 0);
        defer channel.deinit();
        var s: Sender(u32) = try .fromAbi(&channel.header);
        defer s.deinit();
        var r: Receiver(u32) = try .fromAbi(&channel.header);
        try expectEqual(0, try s.sendMany(io, &.{}));
        try expectEqual(0, try r.recvMany(io, &.{}));
        try expectEqual(3, try s.sendMany(io, &.{ 0, 1, 2 }));
        try expectEqual(2, try s.trySendMany(&.{ 3, 4, 5, 6 }));
        var out: [8]u32 = undefined;
        try expectEqual(2, try r.recvMany(io, out[0..2]));
        // Over the end of the array.
        try expectEqual(2, try s.trySendMany(&.{ 5, 6 }));
        try expectEqual(5, try r.recvMany(io, &out));
        try expectEqual([5]u32{ 2, 3, 4, 5, 6 }, out[0..5].*);
        // Those that found room count, though the channel is closed while the others wait for it.
        var future = try io.concurrent(sendAll, .{ &s, &[_]u32{ 0, 1, 2, 3, 4, 5, 6 } });
        channel.awaitWaiting(.senders, 1);
        r.close();
        try expectEqual(5, try future.await(io));
        try expectError(error.Closed, s.sendMany(io, &.{1}));
        try expectEqual(5, try r.recvMany(io, &out));
        try expectError(error.Closed, r.recvMany(io, &out));
        r.deinit();
    }
}

fn sendAll(s: *Sender(u32), items: []const u32) !usize {
    return s.sendMany(io, items);
}

fn recvOne(r: *Receiver(u32)) !u32 {
    return r.recv(io);
}

fn sendOne(s: *Sender(u32), item: u32) !void {
    return s.send(io, item);
}

test "a waiter is woken by an item, by room, and by a close" {
    for (kinds) |kind| {
        const channel: *TestChannel = try .create(u32, kind, 1, 0);
        defer channel.deinit();
        var s: Sender(u32) = try .fromAbi(&channel.header);
        var r: Receiver(u32) = try .fromAbi(&channel.header);
        var receiving = try io.concurrent(recvOne, .{&r});
        channel.awaitWaiting(.receivers, 1);
        try s.send(io, 1);
        try expectEqual(1, try receiving.await(io));
        try s.send(io, 2);
        var sending = try io.concurrent(sendOne, .{ &s, 3 });
        channel.awaitWaiting(.senders, 1);
        try expectEqual(2, try r.recv(io));
        try sending.await(io);
        try expectEqual(3, try r.recv(io));
        receiving = try io.concurrent(recvOne, .{&r});
        channel.awaitWaiting(.receivers, 1);
        s.deinit();
        try expectError(error.Closed, receiving.await(io));
        r.deinit();
    }
}

test "a canceled wait loses nothing, and its unused wake goes to the next one" {
    for (kinds) |kind| {
        const channel: *TestChannel = try .create(u32, kind, 2, 0);
        defer channel.deinit();
        var s: Sender(u32) = try .fromAbi(&channel.header);
        var r: Receiver(u32) = try .fromAbi(&channel.header);
        for (0..50) |_| {
            var receiving = try io.concurrent(recvOne, .{&r});
            channel.awaitWaiting(.receivers, 1);
            try expectError(error.Canceled, receiving.cancel(io));
            try expectEqual(0, channel.waiting(.receivers));
        }
        // Partial progress first: two of four are in.
        var sending = try io.concurrent(sendAll, .{ &s, &[_]u32{ 0, 1, 2, 3 } });
        channel.awaitWaiting(.senders, 1);
        try expectEqual(2, try sending.cancel(io));
        // A wake and a cancelation race; the item is received by somebody, whoever is faster.
        var out: [4]u32 = undefined;
        try expectEqual(2, try r.recvMany(io, &out));
        for (0..200) |i| {
            var receiving = try io.concurrent(recvOne, .{&r});
            channel.awaitWaiting(.receivers, 1);
            try s.send(io, @intCast(i));
            if (receiving.cancel(io)) |item| {
                try expectEqual(i, item);
            } else |err| {
                try expectEqual(error.Canceled, err);
                try expectEqual(i, try r.tryRecv());
            }
        }
        s.deinit();
        r.deinit();
    }
}

fn sendAllAndMore(s: *Sender(u32), items: []const u32) !usize {
    const n = try s.sendMany(io, items);
    try expectError(error.Canceled, s.sendMany(io, items[n..]));
    return n;
}

test "a cancelation after partial progress is not forgotten" {
    for (kinds) |kind| {
        const channel: *TestChannel = try .create(u32, kind, 2, 0);
        defer channel.deinit();
        var s: Sender(u32) = try .fromAbi(&channel.header);
        var r: Receiver(u32) = try .fromAbi(&channel.header);
        var sending = try io.concurrent(sendAllAndMore, .{ &s, &[_]u32{ 0, 1, 2, 3 } });
        channel.awaitWaiting(.senders, 1);
        try expectEqual(2, try sending.cancel(io));
        try expectEqual(2, s.len());
        s.deinit();
        r.deinit();
    }
}

/// An `Io` in which a wait is canceled just when it is woken.
const Canceling = struct {
    var channel: *TestChannel = undefined;
    const table: Io.VTable = table: {
        var vtable = Io.Threaded.global_single_threaded.io().vtable.*;
        vtable.futexWait = &wakeAndCancel;
        break :table vtable;
    };

    fn wakeAndCancel(_: ?*anyopaque, _: *const u32, _: u32, _: Io.Timeout) Io.Cancelable!void {
        var s: Sender(u32) = Sender(u32).fromAbi(&channel.header) catch unreachable;
        s.trySend(7) catch unreachable;
        return error.Canceled;
    }
};

test "a wake that a canceled wait was given goes to the next one" {
    const channel: *TestChannel = try .create(u32, .many, 2, 0);
    defer channel.deinit();
    var s: Sender(u32) = try .fromAbi(&channel.header);
    var r: Receiver(u32) = try .fromAbi(&channel.header);
    Canceling.channel = channel;
    const canceling: Io = .{ .userdata = io.userdata, .vtable = &Canceling.table };
    try expectError(error.Canceled, r.recv(canceling));
    try expectEqual(1, channel.passed_on);
    try expectEqual(7, try r.tryRecv());
    s.deinit();
    r.deinit();
}

test "two wait, one of them is woken and gives up, and the other one gets the item" {
    const channel: *TestChannel = try .create(u32, .many, 2, 0);
    defer channel.deinit();
    var s: Sender(u32) = try .fromAbi(&channel.header);
    var r: Receiver(u32) = try .fromAbi(&channel.header);
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
    s.deinit();
    r.deinit();
}

test "ends are counted, moved, and gone after that" {
    const channel: *TestChannel = try .create(u32, .many, 4, 0);
    defer channel.deinit();
    var s: Sender(u32) = try .fromAbi(&channel.header);
    var r: Receiver(u32) = try .fromAbi(&channel.header);
    var twin = try s.clone();
    try expectEqual(2, channel.ends[1]);
    s.deinit();
    s.deinit();
    try expect(!channel.isClosed());
    var moved = twin.take();
    try expectError(error.Closed, twin.trySend(1));
    twin.deinit();
    try moved.trySend(1);
    moved.deinit();
    try expect(channel.isClosed());
    try expectEqual(1, try r.recv(io));
    r.deinit();

    const one: *TestChannel = try .create(u32, .one, 4, 0);
    defer one.deinit();
    s = try .fromAbi(&one.header);
    r = try .fromAbi(&one.header);
    try expectError(error.OneToOne, s.clone());
    try expectError(error.OneToOne, r.clone());
    // An end that is taken over goes on where the last owner was.
    try s.trySend(1);
    try s.trySend(2);
    try expectEqual(1, try r.tryRecv());
    var later: Sender(u32) = try .fromAbi(s.toAbi());
    var later_r: Receiver(u32) = try .fromAbi(r.toAbi());
    try later.trySend(3);
    later.deinit();
    var last: Receiver(u32) = try .fromAbi(later_r.toAbi());
    try expectEqual(2, try last.recv(io));
    try expectEqual(3, try last.recv(io));
    try expectError(error.Closed, last.recv(io));
    last.deinit();
}

test "a sender that is closed on takes back what was refused" {
    const channel: *TestChannel = try .create(u32, .one, 4, 0);
    defer channel.deinit();
    var s: Sender(u32) = try .fromAbi(&channel.header);
    var r: Receiver(u32) = try .fromAbi(&channel.header);
    try s.trySend(1);
    r.close();
    try expectError(error.Closed, s.trySend(2));
    try expectError(error.Closed, s.trySendMany(&.{ 2, 3 }));
    try expectEqual(1, channel.header.tail / layout.one);
    try expectEqual(1, try r.recv(io));
    try expectError(error.Closed, r.recv(io));
    s.deinit();
    r.deinit();
}

test "a sender that has closed writes nothing more, which the receiver might take" {
    const channel: *TestChannel = try .create(u32, .one, 4, 0);
    defer channel.deinit();
    var s: Sender(u32) = try .fromAbi(&channel.header);
    var r: Receiver(u32) = try .fromAbi(&channel.header);
    try s.trySend(1);
    const slots: [*]u32 = @ptrCast(@alignCast(channel.header.slots.?));
    slots[1] = 77;
    s.close();
    try expectError(error.Closed, s.trySend(2));
    try expectError(error.Closed, s.trySendMany(&.{ 2, 3 }));
    try expectEqual(77, slots[1]);
    try expectEqual(1, try r.recv(io));
    try expectError(error.Closed, r.recv(io));
    s.deinit();
    r.deinit();
}

fn produce(s: *Sender(u64), mark: u64, count: u64, batch: usize) !void {
    var random: std.Random.DefaultPrng = .init(mark);
    var items: [16]u64 = undefined;
    var next: u64 = 0;
    while (next < count) {
        const n: usize = @intCast(@min(1 + random.random().uintLessThan(usize, batch), count - next));
        for (items[0..n], next..) |*item, i| item.* = mark << 32 | i;
        if (n == 1) try s.send(io, items[0]) else try expectEqual(n, try s.sendMany(io, items[0..n]));
        next += n;
    }
}

/// Whether each sender's items came in order; how many.
pub fn consume(r: *Receiver(u64), batch: usize) !u64 {
    var next: [8]u64 = @splat(0);
    var items: [16]u64 = undefined;
    var received: u64 = 0;
    while (true) {
        const n = r.recvMany(io, items[0..batch]) catch |err| return if (err == error.Closed) received else err;
        for (items[0..n]) |item| {
            const expected = &next[@intCast(item >> 32)];
            try expect((item & 0xffff_ffff) >= expected.*);
            expected.* = (item & 0xffff_ffff) + 1;
        }
        received += n;
    }
}

test "threads on both sides: everything arrives, once, each sender's items in order" {
    const each = 20_000;
    for ([_]u64{ 1, 3, 64 }) |capacity| for ([_]usize{ 1, 16 }) |batch| for (kinds) |kind| {
        const threads: usize = if (kind == .many) 3 else 1;
        const channel: *TestChannel = try .create(u64, kind, capacity, 0);
        defer channel.deinit();
        var s: Sender(u64) = try .fromAbi(&channel.header);
        var r: Receiver(u64) = try .fromAbi(&channel.header);
        var producers: [3]Io.Future(@typeInfo(@TypeOf(produce)).@"fn".return_type.?) = undefined;
        var consumers: [3]Io.Future(@typeInfo(@TypeOf(consume)).@"fn".return_type.?) = undefined;
        for (0..threads) |i| producers[i] = try io.concurrent(produce, .{ &s, i, each, batch });
        for (0..threads) |i| consumers[i] = try io.concurrent(consume, .{ &r, batch });
        for (producers[0..threads]) |*producer| try producer.await(io);
        s.deinit();
        var received: u64 = 0;
        for (consumers[0..threads]) |*consumer| received += try consumer.await(io);
        try expectEqual(threads * each, received);
        try expectEqual(.none, channel.header.fault);
        r.deinit();
    };
}

fn sendFromThread(s: *Sender(u64), failed: *bool) void {
    for (0..1000) |i| s.send(io, i) catch {
        failed.* = true;
    };
}

test "a thread that nobody's Io has started may wait as well" {
    for (kinds) |kind| {
        const channel: *TestChannel = try .create(u64, kind, 2, 0);
        defer channel.deinit();
        var s: Sender(u64) = try .fromAbi(&channel.header);
        var r: Receiver(u64) = try .fromAbi(&channel.header);
        var failed = false;
        const thread = try std.Thread.spawn(.{}, sendFromThread, .{ &s, &failed });
        channel.awaitWaiting(.senders, 1);
        for (0..1000) |i| try expectEqual(i, try r.recv(io));
        thread.join();
        try expect(!failed);
        s.deinit();
        r.deinit();
    }
}

test "without memory to wait with, a wait looks again, and can be canceled" {
    heap.replacement = std.testing.failing_allocator;
    defer heap.replacement = null;
    for (kinds) |kind| {
        const channel: *TestChannel = try .create(u32, kind, 1, 0);
        defer channel.deinit();
        var s: Sender(u32) = try .fromAbi(&channel.header);
        var r: Receiver(u32) = try .fromAbi(&channel.header);
        var receiving = try io.concurrent(recvOne, .{&r});
        try s.send(io, 1);
        try expectEqual(1, try receiving.await(io));
        try s.send(io, 2);
        // There is no room until the other one is received.
        var sending = try io.concurrent(sendOne, .{ &s, 3 });
        try expectEqual(2, try r.recv(io));
        try sending.await(io);
        try expectEqual(3, try r.recv(io));
        receiving = try io.concurrent(recvOne, .{&r});
        try expectError(error.Canceled, receiving.cancel(io));
        s.deinit();
        r.deinit();
    }
}

var released: std.atomic.Value(u32) = .init(0);

fn countRelease(_: ?*anyopaque, _: ?[*]u8, _: usize, _: usize) callconv(.c) void {
    _ = released.fetchAdd(1, .monotonic);
}

fn counted(bytes: []const u8) Buffer {
    var buffer: Buffer = .initStatic(bytes);
    buffer.raw.release = &countRelease;
    return buffer;
}

test "buffers are handed over as they are, and one that cannot be closes the channel" {
    for (kinds) |kind| {
        released.raw = 0;
        const channel: *TestChannel = try .create([]const u8, kind, 4, 0);
        defer channel.deinit();
        var s: Sender([]const u8) = try .fromAbi(&channel.header);
        var r: Receiver(Buffer) = try .fromAbi(&channel.header);
        const bytes = "here";
        try s.send(io, counted(bytes));
        const received = try r.recv(io);
        try expectEqual(bytes, received.slice().ptr[0..4]);
        received.deinit();
        var broken = counted(bytes);
        broken.raw.len = 100;
        var misaligned = counted(bytes);
        misaligned.raw.@"align" = 3;
        try expectEqual(4, try s.sendMany(io, &.{ broken, counted("a"), misaligned, counted("b") }));
        var out: [4]Buffer = undefined;
        try expectEqual(2, try r.recvMany(io, &out));
        for (out[0..2]) |buffer| buffer.deinit();
        try expectError(error.Closed, s.send(io, counted("c")));
        try expectEqual(.item, r.fault());
        try expectError(error.Closed, r.recv(io));
        try expectEqual(3, released.raw);
        s.deinit();
        r.deinit();
    }
}
