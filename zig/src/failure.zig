//! How a function ended, kept until the other side has read it.

const std = @import("std");
const gpa = @import("heap.zig").gpa;
const abi = @import("abi.zig");

/// The error that a function returned, with what it said about it.
pub const Failure = struct {
    domain: u32 = abi.domain.function,
    err: ?anyerror = null,
    /// From `gpa`, or empty.
    message: []u8 = &.{},

    pub fn deinit(f: *Failure) void {
        gpa.free(f.message);
        f.* = undefined;
    }

    /// Remembers a message for the error that the function is about to return.
    pub fn say(f: *Failure, comptime fmt: []const u8, args: anytype) void {
        // Without memory the error still has its name.
        const message = std.fmt.allocPrint(gpa, fmt, args) catch return;
        const old = f.message;
        f.message = message;
        gpa.free(old);
    }

    pub fn record(f: *const Failure, function: []const u8) abi.ErrorRecord {
        return .{
            .domain = f.domain,
            .code = if (f.err) |err| @intFromError(err) else 0,
            .name = if (f.err) |err| .of(@errorName(err)) else .empty,
            .message = .of(f.message),
            .function = .of(function),
        };
    }

    /// A record with static texts, for an `open` that failed.
    pub fn static(domain: u32, err: anyerror, message: []const u8) abi.ErrorRecord {
        return .{
            .domain = domain,
            .code = @intFromError(err),
            .name = .of(@errorName(err)),
            .message = .of(message),
            .function = .empty,
        };
    }
};

test Failure {
    var failure: Failure = .{};
    defer failure.deinit();
    failure.say("first {d}", .{1});
    failure.say("cannot open {s}", .{"a.txt"});
    failure.err = error.FileNotFound;
    const record = failure.record("lines");
    try std.testing.expectEqualStrings("FileNotFound", record.name.get());
    try std.testing.expectEqualStrings("cannot open a.txt", record.message.get());
    try std.testing.expectEqualStrings("lines", record.function.get());
}
