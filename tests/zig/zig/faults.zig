//! Sources that end their process.

const std = @import("std");
const zg = @import("ziggurat");

/// An index that is out of bounds, which a safe build notices.
pub fn panics(_: std.Io, out: *zg.Out(u64), index: u64) !void {
    const table = [_]u64{ 1, 2, 3 };
    try out.send(table[index]);
}

/// Recurses `depth` times, on a stack that is not endless.
pub fn overflows(_: std.Io, out: *zg.Out(u64), depth: u64) !void {
    try out.send(deeper(depth));
}

fn deeper(depth: u64) u64 {
    var frame: [1024]u8 = @splat(@truncate(depth));
    std.mem.doNotOptimizeAway(&frame);
    if (depth == 0) return 1;
    return deeper(depth - 1) +% frame[@intCast(depth % frame.len)];
}
