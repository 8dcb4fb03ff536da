//! Zig functions that hold ends of channels, for `tests/channels.rs` and its bench.
//!
//! Most are sinks of nothing in particular: closing one runs the function and waits for its result.

const std = @import("std");
const Io = std.Io;
const zg = @import("ziggurat");
const hostile = @import("hostile.zig");
const throughput = @import("throughput.zig");

const In = zg.In(u8);

pub const exports = zg.exports(.{
    .count_into = zg.sink(countInto),
    .sum_of = zg.sink(sumOf),
    .relay = zg.sink(relay),
    .pool = zg.sink(pool),
    .give_back_receiver = zg.sink(giveBackReceiver),
    .give_back_sender = zg.sink(giveBackSender),
    .gives_nothing_back = zg.sink(givesNothingBack),
    .make_buffers = zg.sink(makeBuffers),
    .take_buffers = zg.sink(takeBuffers),
    .pass_buffers = zg.sink(passBuffers),
    .live_buffers = zg.source(liveBuffers),
    .from_both = zg.source(fromBoth),
    .offsets = zg.source(offsets),
    .send_numbers = zg.sink(throughput.sendNumbers),
    .add_numbers = zg.sink(throughput.addNumbers),
    .call_per_item = zg.sink(throughput.callPerItem),
    .ask_per_item = zg.sink(throughput.askPerItem),
    .break_ring = zg.sink(hostile.breakRing),
    .break_buffers = zg.sink(hostile.breakBuffers),
});

/// Sends 0 up to `count`, marked with `mark` in the upper bits, singly or `batch` at a time. Returns how
/// many were sent.
fn countInto(io: Io, _: *In, into: *zg.Sender(u64), count: u64, mark: u64, batch: u64) !u64 {
    var sent: u64 = 0;
    if (batch <= 1) {
        while (sent < count) : (sent += 1) {
            into.send(io, mark << 48 | sent) catch |err| return if (err == error.Closed) sent else err;
        }
        return sent;
    }
    var items: [1024]u64 = undefined;
    while (sent < count) {
        const n: usize = @intCast(@min(batch, count - sent, items.len));
        for (items[0..n], sent..) |*item, i| item.* = mark << 48 | i;
        sent += into.sendMany(io, items[0..n]) catch |err| return if (err == error.Closed) sent else err;
    }
    return sent;
}

const Sum = extern struct {
    sum: u64 = 0,
    count: u64 = 0,
    disorder: u64 = 0,

    fn add(s: *Sum, other: Sum) void {
        s.sum +%= other.sum;
        s.count += other.count;
        s.disorder += other.disorder;
    }
};

/// Receives all there is, singly or `batch` at a time. Of up to 64 marks each is expected to count up.
fn sumOf(io: Io, _: *In, from: *zg.Receiver(u64), batch: u64) !Sum {
    return sumAll(io, from, batch);
}

fn sumAll(io: Io, from: *zg.Receiver(u64), batch: u64) Io.Cancelable!Sum {
    var result: Sum = .{};
    var next: [64]u64 = @splat(0);
    var items: [1024]u64 = undefined;
    while (true) {
        const n = if (batch <= 1) one: {
            items[0] = from.recv(io) catch |err| return if (err == error.Closed) result else error.Canceled;
            break :one 1;
        } else from.recvMany(io, items[0..@intCast(@min(batch, items.len))]) catch |err|
            return if (err == error.Closed) result else error.Canceled;
        for (items[0..n]) |item| {
            const number = item & ((1 << 48) - 1);
            const expected = &next[@intCast((item >> 48) % next.len)];
            if (number < expected.*) result.disorder += 1;
            expected.* = number + 1;
            result.sum +%= number;
        }
        result.count += n;
    }
}

/// Passes everything on.
fn relay(io: Io, _: *In, from: *zg.Receiver(u64), into: *zg.Sender(u64)) !u64 {
    var items: [16]u64 = undefined;
    var count: u64 = 0;
    while (true) {
        const n = from.recvMany(io, &items) catch |err| return if (err == error.Closed) count else err;
        const sent = into.sendMany(io, items[0..n]) catch |err| return if (err == error.Closed) count else err;
        count += sent;
    }
}

/// So many senders and receivers of one channel, each with an end and a task of its own.
fn pool(io: Io, _: *In, into: *zg.Sender(u64), from: *zg.Receiver(u64), tasks: u64, each: u64) !Sum {
    const Senders = Io.Future(Io.Cancelable!void);
    const Receivers = Io.Future(Io.Cancelable!Sum);
    var senders: [16]Senders = undefined;
    var receivers: [16]Receivers = undefined;
    const n: usize = @intCast(@min(tasks, senders.len));
    for (senders[0..n], 0..) |*task, i| task.* = try io.concurrent(sendOwn, .{ io, try into.clone(), each, i });
    for (receivers[0..n], 0..) |*task, i| {
        task.* = try io.concurrent(sumOwn, .{ io, try from.clone(), 1 + i % 2 * 63 });
    }
    for (senders[0..n]) |*task| try task.await(io);
    // The last sender: those who receive see the end.
    into.deinit();
    var result: Sum = .{};
    for (receivers[0..n]) |*task| result.add(try task.await(io));
    return result;
}

fn sendOwn(io: Io, end: zg.Sender(u64), count: u64, mark: u64) Io.Cancelable!void {
    var into = end;
    defer into.deinit();
    for (0..@intCast(count)) |i| into.send(io, mark << 48 | i) catch |err| switch (err) {
        error.Canceled => return error.Canceled,
        error.Closed => return,
    };
}

fn sumOwn(io: Io, end: zg.Receiver(u64), batch: u64) Io.Cancelable!Sum {
    var from = end;
    defer from.deinit();
    return sumAll(io, &from, batch);
}

/// Receives `count` items, and gives the end back.
fn giveBackReceiver(io: Io, _: *In, from: *zg.Receiver(u64), count: u64) !zg.Receiver(u64) {
    for (0..@intCast(count)) |_| _ = try from.recv(io);
    return from.take();
}

/// Sends `count` items, and gives the end back.
fn giveBackSender(io: Io, _: *In, into: *zg.Sender(u64), count: u64) !zg.Sender(u64) {
    for (0..@intCast(count)) |i| try into.send(io, i);
    return into.take();
}

/// Gives back what is gone.
fn givesNothingBack(_: Io, _: *In, from: *zg.Receiver(u64)) zg.Receiver(u64) {
    var moved = from.take();
    moved.deinit();
    return from.take();
}

var live: std.atomic.Value(u64) = .init(0);

fn releaseCounted(_: ?*anyopaque, ptr: ?[*]u8, cap: usize, _: usize) callconv(.c) void {
    std.heap.c_allocator.free(ptr.?[0..cap]);
    _ = live.fetchSub(1, .seq_cst);
}

/// Buffers that Zig has made and not got back.
fn liveBuffers(_: Io, out: *zg.Out(u64)) !void {
    try out.send(live.load(.seq_cst));
}

/// Sends `count` buffers of `size` bytes, each of which begins with its own address. Returns how many.
fn makeBuffers(io: Io, _: *In, into: *zg.Sender(zg.Buffer), count: u64, size: u64) !u64 {
    for (0..@intCast(count)) |i| {
        const bytes = try std.heap.c_allocator.alloc(u8, @max(8, @as(usize, @intCast(size))));
        std.mem.writeInt(u64, bytes[0..8], @intFromPtr(bytes.ptr), .little);
        var buffer: zg.Buffer = .initOwned(bytes);
        buffer.raw.release = &releaseCounted;
        _ = live.fetchAdd(1, .seq_cst);
        into.send(io, buffer) catch |err| {
            buffer.deinit();
            return if (err == error.Closed) i else err;
        };
    }
    return count;
}

/// Receives all buffers; returns the sum of their addresses.
fn takeBuffers(io: Io, _: *In, from: *zg.Receiver([]const u8)) !u64 {
    var sum: u64 = 0;
    while (true) {
        const buffer = from.recv(io) catch |err| return if (err == error.Closed) sum else err;
        sum +%= @intFromPtr(buffer.slice().ptr);
        buffer.deinit();
    }
}

/// Passes all buffers on; returns how many. What it holds when nobody wants it any more is released here.
fn passBuffers(io: Io, _: *In, from: *zg.Receiver(zg.Buffer), into: *zg.Sender(zg.Buffer)) !u64 {
    var items: [8]zg.Buffer = undefined;
    var count: u64 = 0;
    while (true) {
        const n = from.recvMany(io, &items) catch |err| return if (err == error.Closed) count else err;
        var sent: usize = 0;
        errdefer for (items[sent..n]) |buffer| buffer.deinit();
        while (sent < n) sent += into.sendMany(io, items[sent..n]) catch |err| {
            if (err != error.Closed) return err;
            for (items[sent..n]) |buffer| buffer.deinit();
            return count + sent;
        };
        count += n;
    }
}

/// A source that takes from a channel as well: passes on what it receives.
fn fromBoth(io: Io, out: *zg.Out(u64), from: *zg.Receiver(u64)) !void {
    while (true) {
        const item = from.recv(io) catch |err| return if (err == error.Closed) {} else err;
        try out.send(item);
    }
}

/// The offsets of the header's fields.
fn offsets(_: Io, out: *zg.Out(u64)) !void {
    try out.sendMany(&zg.channel_offsets);
}
