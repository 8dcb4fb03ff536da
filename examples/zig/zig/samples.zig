//! Typed streams.

const std = @import("std");
const ziggurat = @import("ziggurat");

/// One measurement. Its twin in Rust has the same fields.
pub const Sample = extern struct {
    at_ns: u64,
    value: f64,
};

/// A sine wave of `count` samples, `rate_hz` of them per second.
pub fn sine(_: std.Io, out: *ziggurat.Out(Sample), count: u64, rate_hz: f64, frequency_hz: f64) !void {
    if (!(rate_hz > 0)) return out.fail(error.InvalidRate, "a rate of {d} Hz", .{rate_hz});
    var i: u64 = 0;
    while (i < count) : (i += 1) {
        const seconds = @as(f64, @floatFromInt(i)) / rate_hz;
        try out.send(.{
            .at_ns = @trunc(seconds * std.time.ns_per_s),
            .value = @sin(std.math.tau * frequency_hz * seconds),
        });
    }
}

/// The mean of what it is sent.
pub fn mean(_: std.Io, in: *ziggurat.In(f64)) !f64 {
    var sum: f64 = 0;
    var count: f64 = 0;
    while (try in.next()) |value| {
        sum += value;
        count += 1;
    }
    return if (count > 0) sum / count else error.Empty;
}

/// The position of the first item that is at least `limit`. It returns then, without the rest.
pub fn firstAtLeast(_: std.Io, in: *ziggurat.In(f64), limit: f64) !u64 {
    var position: u64 = 0;
    while (try in.next()) |value| : (position += 1) if (value >= limit) return position;
    return in.fail(error.NotFound, "no item is at least {d}", .{limit});
}

/// 0, 1, 2, … every `period_ms`, for ever. Says so when it is over.
pub fn heartbeat(io: std.Io, out: *ziggurat.Out(u64), period_ms: u64, goodbye: []const u8) !void {
    // The end is not an error here: `defer` runs when Rust drops the stream.
    defer std.Io.Dir.cwd().writeFile(io, .{ .sub_path = goodbye, .data = "bye\n" }) catch {};
    var beat: u64 = 0;
    while (true) : (beat += 1) {
        try out.send(beat);
        try io.sleep(.fromMilliseconds(@intCast(period_ms)), .awake);
    }
}

/// 0, 1, 2, … up to `end`.
pub fn numbers(_: std.Io, out: *ziggurat.Out(u64), end: u64) !void {
    var i: u64 = 0;
    while (i < end) : (i += 1) try out.send(i);
}

/// 0, 1, 2, … up to `end`, handed over 64 at once.
pub fn numbersBySlices(_: std.Io, out: *ziggurat.Out(u64), end: u64) !void {
    var slice: [64]u64 = undefined;
    var next: u64 = 0;
    while (next < end) {
        const n: usize = @intCast(@min(slice.len, end - next));
        for (slice[0..n], 0..) |*item, i| item.* = next + i;
        try out.sendMany(slice[0..n]);
        next += n;
    }
}

/// 0, 1, 2, … up to `end`, as a state machine without a thread or stack of its own.
pub const Counter = struct {
    pub const Item = u64;

    next: u64 = 0,
    end: u64,

    pub fn init(end: u64) Counter {
        return .{ .end = end };
    }

    pub fn poll(self: *Counter, _: *ziggurat.Context, out: []u64) ziggurat.Poll {
        const n = @min(out.len, self.end - self.next);
        for (out[0..@intCast(n)], 0..) |*item, i| item.* = self.next + i;
        self.next += n;
        return if (self.next == self.end) .{ .done = @intCast(n) } else .{ .ready = @intCast(n) };
    }
};
