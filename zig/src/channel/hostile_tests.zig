//! Tests of what a peer may get wrong, and of headers that lie.

const std = @import("std");
const layout = @import("layout.zig");
const ends = @import("ends.zig");
const Bounded = @import("bounded.zig").Bounded;
const Receiver = ends.Receiver;
const Sender = ends.Sender;
const TestChannel = @import("testing.zig").TestChannel;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectError = std.testing.expectError;
const io = std.testing.io;

fn recvOne(r: *Receiver(u32)) !u32 {
    return r.recv(io);
}

fn stamp(channel: *TestChannel, index: usize) *u64 {
    return @ptrCast(@alignCast(channel.memory[index * channel.header.stride ..]));
}

test "positions and stamps that cannot have come about close the channel" {
    inline for (.{ "tail", "head" }) |word| {
        const channel: *TestChannel = try .create(u32, .one, 4, 0);
        defer channel.deinit();
        var s: Sender(u32) = try .fromAbi(&channel.header);
        var r: Receiver(u32) = try .fromAbi(&channel.header);
        for (0..3) |i| try s.trySend(@intCast(i));
        try expectEqual(0, try r.tryRecv());
        @field(channel.header, word) = 1000 * layout.one;
        if (comptime std.mem.eql(u8, word, "tail")) {
            // What was sound before is received.
            try expectEqual(1, try r.tryRecv());
            try expectEqual(2, try r.tryRecv());
            try expectError(error.Closed, r.tryRecv());
        } else {
            try s.trySend(3);
            try expectError(error.Closed, s.trySend(4));
        }
        try expectEqual(.position, channel.header.fault);
        try expect(channel.isClosed());
        s.deinit();
        r.deinit();
    }
    for ([_]layout.Fault{ .stamp, .position }, [_]u64{ 400 * layout.one + 1, 0 }) |fault, value| {
        const channel: *TestChannel = try .create(u32, .many, 4, 0);
        defer channel.deinit();
        var s: Sender(u32) = try .fromAbi(&channel.header);
        var r: Receiver(u32) = try .fromAbi(&channel.header);
        if (fault == .stamp) stamp(channel, 0).* = value else channel.header.tail = 1000 * layout.one;
        if (fault == .stamp) try expectError(error.Closed, s.trySend(1));
        try expectError(error.Closed, r.recv(io));
        try expectEqual(fault, r.fault());
        try expect(channel.isClosed());
        s.deinit();
        r.deinit();
    }
}

test "a slot that is never finished makes those who do not wait give up, and others can be canceled" {
    const channel: *TestChannel = try .create(u32, .many, 4, 0);
    defer channel.deinit();
    var s: Sender(u32) = try .fromAbi(&channel.header);
    var r: Receiver(u32) = try .fromAbi(&channel.header);
    // Claimed, and nothing more.
    channel.header.tail += layout.one;
    try s.trySend(1);
    try expectError(error.Empty, r.tryRecv());
    var receiving = try io.concurrent(recvOne, .{&r});
    channel.awaitWaiting(.receivers, 1);
    try expectError(error.Canceled, receiving.cancel(io));
    // Finished after all.
    receiving = try io.concurrent(recvOne, .{&r});
    channel.awaitWaiting(.receivers, 1);
    const slot: *Bounded(u32).Slot = @ptrCast(@alignCast(channel.memory.ptr));
    slot.value = 7;
    _ = layout.publish(&slot.stamp, layout.full, &channel.header.receivers);
    channel.header.wake(.receivers, 1);
    try expectEqual(7, try receiving.await(io));
    try expectEqual(1, try r.recv(io));
    s.deinit();
    r.deinit();
}

test "numbers of rings that are not there close the channel, and what was sound is received" {
    const Word = enum { tail, head };
    for ([_]u64{ 3, 39, 40, 64, 1 << 32, (1 << 48) - 1 }) |number| for ([_]Word{ .tail, .head }) |word| {
        const channel: *TestChannel = try .create(u32, .row, 1, 0);
        defer channel.deinit();
        var s: Sender(u32) = try .fromAbi(&channel.header);
        var r: Receiver(u32) = try .fromAbi(&channel.header);
        // One, two, and four of them: the next one would be ring 3.
        for (0..7) |i| try s.trySend(@intCast(i));
        switch (word) {
            .tail => {
                channel.header.tail = number * layout.one;
                try expectError(error.Closed, s.trySend(7));
                for (0..7) |i| try expectEqual(i, try r.tryRecv());
            },
            .head => channel.header.head = number * layout.one,
        }
        try expectError(error.Closed, r.tryRecv());
        try expectError(error.Closed, r.recv(io));
        try expectError(error.Closed, s.sendMany(io, &.{ 7, 8 }));
        try expectEqual(.position, r.fault());
        try expect(s.isClosed() and r.isClosed());
        // None was made for the asking.
        try expectEqual(null, channel.rings[3]);
        s.deinit();
        r.deinit();
    };
}

test "a receiver that is ahead of the senders, and senders that are sent back" {
    const channel: *TestChannel = try .create(u32, .row, 1, 0);
    defer channel.deinit();
    var s: Sender(u32) = try .fromAbi(&channel.header);
    var r: Receiver(u32) = try .fromAbi(&channel.header);
    for (0..7) |i| try s.trySend(@intCast(i));
    channel.header.tail = 0;
    for (7..9) |i| try s.trySend(@intCast(i));
    for (0..9) |i| try expectEqual(i, try r.tryRecv());
    try expectError(error.Empty, r.tryRecv());
    channel.header.tail = 0;
    try expectError(error.Closed, r.tryRecv());
    try expectEqual(.position, r.fault());
    s.deinit();
    r.deinit();
}

test "words of a ring in a row that jumped" {
    inline for (.{ "tail", "head" }) |word| {
        const channel: *TestChannel = try .create(u32, .row, 1, 0);
        defer channel.deinit();
        var s: Sender(u32) = try .fromAbi(&channel.header);
        var r: Receiver(u32) = try .fromAbi(&channel.header);
        for (0..3) |i| try s.trySend(@intCast(i));
        try expectEqual(0, try r.tryRecv());
        @field(channel.ringWords(1), word) += 1000 * layout.one;
        while (r.tryRecv()) |_| {} else |err| try expectEqual(error.Closed, err);
        try expect(r.fault() != .none and s.isClosed());
        s.deinit();
        r.deinit();
    }
    // A slot that a receiver has claimed and does not give back: the senders go on in the next ring.
    const channel: *TestChannel = try .create(u32, .row, 1, 0);
    defer channel.deinit();
    var s: Sender(u32) = try .fromAbi(&channel.header);
    var r: Receiver(u32) = try .fromAbi(&channel.header);
    try s.trySend(0);
    channel.ringWords(0).head += layout.one;
    for (1..4) |i| try s.trySend(@intCast(i));
    for (1..4) |i| try expectEqual(i, try r.tryRecv());
    try expectEqual(.none, r.fault());
    s.deinit();
    r.deinit();
}

test "headers of rows are looked at before they are believed" {
    const channel: *TestChannel = try .create(u32, .row, 4, 0);
    defer {
        channel.ends = .{ 0, 0 };
        channel.deinit();
    }
    const good = channel.header;
    inline for (.{
        .{ "capacity", 4 },
        .{ "wrap", layout.one },
        .{ "slots", channel.rings[0].?.ptr },
        .{ "mask", 4 },
        .{ "mask", 1 << 46 },
        .{ "mask", std.math.maxInt(u64) },
    }) |case| {
        channel.header = good;
        @field(channel.header, case[0]) = case[1];
        try expectError(error.ChannelCapacity, Receiver(u32).fromAbi(&channel.header));
    }
    channel.header = good;
    try expectError(error.ChannelItem, Receiver(u64).fromAbi(&channel.header));
}

test "headers are looked at before they are believed" {
    const channel: *TestChannel = try .create(u32, .many, 5, 0);
    defer {
        channel.ends = .{ 0, 0 };
        channel.deinit();
    }
    const good = channel.header;
    const End = Sender(u32);
    try expectError(error.ChannelNull, End.fromAbi(null));
    try expectError(error.ChannelMisaligned, End.fromAbi(@ptrFromInt(@intFromPtr(&channel.header) + 8)));
    var table = good.vtable.?.*;
    table.struct_size -= 1;
    inline for (.{
        .{ "magic", 1, error.NotAChannel },
        .{ "abi_major", 2, error.ChannelVersion },
        .{ "struct_size", 639, error.ChannelTable },
        .{ "vtable", null, error.ChannelTable },
        .{ "kind", layout.kind_unbounded, error.ChannelKind },
        .{ "kind", 77, error.ChannelKind },
        .{ "item_kind", 1, error.ChannelItem },
        .{ "item_align", 8, error.ChannelItem },
        .{ "item_size", 8, error.ChannelItem },
        .{ "stride", 24, error.ChannelItem },
        .{ "value", 12, error.ChannelItem },
        .{ "capacity", 0, error.ChannelCapacity },
        .{ "capacity", 6, error.ChannelCapacity },
        .{ "capacity", 1 << 60, error.ChannelCapacity },
        .{ "mask", 7, error.ChannelCapacity },
        .{ "wrap", 0, error.ChannelCapacity },
        .{ "wrap", 7 * layout.one, error.ChannelCapacity },
        .{ "slots", null, error.ChannelCapacity },
    }) |case| {
        channel.header = good;
        @field(channel.header, case[0]) = case[1];
        try expectError(case[2], End.fromAbi(&channel.header));
    }
    channel.header = good;
    channel.header.vtable = &table;
    try expectError(error.ChannelTable, End.fromAbi(&channel.header));
    channel.header = good;
    try expectError(error.ChannelItem, Sender(i32).fromAbi(&channel.header));
    var end: End = try .fromAbi(&channel.header);
    end = end.take();
}
