//! As lean as they can be, for the bench of channels: only what moves an item differs.

const std = @import("std");
const Io = std.Io;
const zg = @import("ziggurat");

const In = zg.In(u8);

/// Sends 0 up to `count`, singly or `batch` at a time.
pub fn sendNumbers(io: Io, _: *In, into: *zg.Sender(u64), count: u64, batch: u64) !void {
    if (batch == 1) {
        for (0..@intCast(count)) |i| try into.send(io, i);
        return;
    }
    var items: [64]u64 = undefined;
    var sent: u64 = 0;
    while (sent < count) {
        const n: usize = @intCast(@min(batch, count - sent, items.len));
        for (items[0..n], sent..) |*item, i| item.* = i;
        sent += try into.sendMany(io, items[0..n]);
    }
}

/// The sum of all numbers, received singly or up to `batch` at a time.
pub fn addNumbers(io: Io, _: *In, from: *zg.Receiver(u64), batch: u64) !u64 {
    var sum: u64 = 0;
    if (batch == 1) while (true) {
        sum +%= from.recv(io) catch |err| return if (err == error.Closed) sum else err;
    };
    var items: [64]u64 = undefined;
    while (true) {
        const n = from.recvMany(io, items[0..@intCast(@min(batch, items.len))]) catch |err|
            return if (err == error.Closed) sum else err;
        for (items[0..n]) |item| sum +%= item;
    }
}

/// What there would be without channels: a call per item into Rust, which says whether it had room.
pub fn callPerItem(_: Io, _: *In, callback: usize, context: usize, count: u64) void {
    const send: *const fn (?*anyopaque, u64) callconv(.c) u32 = @ptrFromInt(callback);
    for (0..@intCast(count)) |i| {
        var turns: u32 = 0;
        while (send(@ptrFromInt(context), i) == 0) : (turns += 1) rest(turns);
    }
}

/// As `callPerItem`, for receiving: 0 is an item, 1 is none, 2 is the end.
pub fn askPerItem(_: Io, _: *In, callback: usize, context: usize) u64 {
    const recv: *const fn (?*anyopaque, *u64) callconv(.c) u32 = @ptrFromInt(callback);
    var sum: u64 = 0;
    var item: u64 = 0;
    var turns: u32 = 0;
    while (true) switch (recv(@ptrFromInt(context), &item)) {
        0 => {
            sum +%= item;
            turns = 0;
        },
        1 => {
            rest(turns);
            turns += 1;
        },
        else => return sum,
    };
}

fn rest(turns: u32) void {
    if (turns < 64) std.atomic.spinLoopHint() else std.Thread.yield() catch {};
}
