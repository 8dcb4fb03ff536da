//! An owned run of bytes that crosses the border without being copied.

const std = @import("std");
const abi = @import("abi.zig");
const gpa = @import("heap.zig").gpa;
const onThreadStack = @import("coroutine/current.zig").onThreadStack;
const assert = std.debug.assert;

/// Owned bytes with the callback that gives them back. Whoever holds one either hands it on or calls
/// `deinit`, once.
pub const Buffer = extern struct {
    raw: abi.RawBuffer,

    /// No bytes; needs no release.
    pub const empty: Buffer = .{ .raw = .{
        .ptr = null,
        .len = 0,
        .cap = 0,
        .@"align" = 1,
        .release = null,
        .ctx = null,
    } };

    /// Bytes that live forever.
    pub fn initStatic(bytes: []const u8) Buffer {
        return .{ .raw = .{
            .ptr = @constCast(bytes.ptr),
            .len = bytes.len,
            .cap = bytes.len,
            .@"align" = 1,
            .release = null,
            .ctx = null,
        } };
    }

    /// A copy of `bytes`.
    pub fn initCopy(bytes: []const u8) error{OutOfMemory}!Buffer {
        var buffer = initOwned(try gpa.dupe(u8, bytes));
        buffer.raw.release = &freeCopy;
        return buffer;
    }

    /// Takes over memory that came from `std.heap.c_allocator`.
    pub fn initOwned(bytes: []u8) Buffer {
        return .{ .raw = .{
            .ptr = bytes.ptr,
            .len = bytes.len,
            .cap = bytes.len,
            .@"align" = 1,
            .release = &freeOwned,
            .ctx = null,
        } };
    }

    /// Gives the bytes back to whoever made them.
    pub fn deinit(buffer: Buffer) void {
        if (buffer.raw.release != null) onThreadStack(buffer.raw, release);
    }

    fn release(raw: abi.RawBuffer) void {
        raw.release.?(raw.ctx, raw.ptr, raw.cap, raw.@"align");
    }

    /// The bytes. Valid until `deinit`, or until the buffer is handed on.
    pub fn slice(buffer: Buffer) []const u8 {
        return if (buffer.raw.ptr) |ptr| ptr[0..buffer.raw.len] else &.{};
    }

    /// Whether the description is one that an owned run of bytes can have: what can be checked about one
    /// that came from outside.
    pub fn isPossible(buffer: Buffer) bool {
        const raw = buffer.raw;
        const address = @intFromPtr(raw.ptr);
        return @popCount(raw.@"align") == 1 and raw.len <= raw.cap and raw.cap <= std.math.maxInt(isize) and
            (raw.ptr != null or raw.cap == 0) and address & (raw.@"align" - 1) == 0 and
            address <= std.math.maxInt(usize) - raw.cap;
    }

    fn freeCopy(_: ?*anyopaque, ptr: ?[*]u8, cap: usize, _: usize) callconv(.c) void {
        gpa.free(ptr.?[0..cap]);
    }

    fn freeOwned(_: ?*anyopaque, ptr: ?[*]u8, cap: usize, _: usize) callconv(.c) void {
        std.heap.c_allocator.free(ptr.?[0..cap]);
    }
};

comptime {
    assert(@sizeOf(Buffer) == @sizeOf(abi.RawBuffer));
}

test Buffer {
    const buffer: Buffer = try .initCopy("bytes");
    defer buffer.deinit();
    try std.testing.expectEqualStrings("bytes", buffer.slice());
    try std.testing.expectEqualStrings("", Buffer.empty.slice());
    Buffer.initStatic("forever").deinit();
}
