//! A thread pool that hands its results over one by one, and a function that takes what others made of them.
//! A library of its own: channels are for 64-bit machines.

const std = @import("std");
const ziggurat = @import("ziggurat");

pub const exports = ziggurat.exports(.{
    .collatz = ziggurat.sink(collatz),
    .total = ziggurat.sink(total),
});

/// How long a number's Collatz sequence is. Its twin in Rust has the same fields.
const Collatz = extern struct { number: u64, steps: u64 };

/// The sequences of all numbers from 1 up to `end`, by `threads` tasks, in no particular order. Returns how
/// many there were.
fn collatz(
    io: std.Io,
    _: *ziggurat.In(u8),
    into: *ziggurat.Sender(Collatz),
    threads: u64,
    end: u64,
) !u64 {
    var next: std.atomic.Value(u64) = .init(1);
    var group: std.Io.Group = .init;
    defer group.cancel(io);
    // Each could have a `clone`, and outlive this function; these share an end, and do not.
    for (0..@intCast(threads)) |_| try group.concurrent(io, work, .{ io, into, &next, end });
    try group.await(io);
    return end - 1;
}

fn work(
    io: std.Io,
    into: *ziggurat.Sender(Collatz),
    next: *std.atomic.Value(u64),
    end: u64,
) std.Io.Cancelable!void {
    while (true) {
        const number = next.fetchAdd(1, .monotonic);
        if (number >= end) return;
        var n = number;
        var steps: u64 = 0;
        while (n != 1) : (steps += 1) n = if (n % 2 == 0) n / 2 else 3 * n + 1;
        into.send(io, .{ .number = number, .steps = steps }) catch |err| switch (err) {
            error.Closed => return,
            error.Canceled => return error.Canceled,
        };
    }
}

/// What was received: how many, and their sum.
const Total = extern struct { count: u64, sum: u64 };

/// Adds up all there is, a batch at a time.
fn total(io: std.Io, _: *ziggurat.In(u8), from: *ziggurat.Receiver(u64)) !Total {
    var result: Total = .{ .count = 0, .sum = 0 };
    var items: [64]u64 = undefined;
    while (true) {
        const n = from.recvMany(io, &items) catch |err| return if (err == error.Closed) result else err;
        for (items[0..n]) |item| result.sum += item;
        result.count += n;
    }
}
