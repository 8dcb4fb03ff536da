//! The Zig half of Ziggurat (stub).
const std = @import("std");

pub fn panicHandler(message: []const u8, _: ?usize) noreturn {
    _ = message;
    std.process.abort();
}

pub fn exportLibrary(comptime user: type, comptime symbol: []const u8) void {
    _ = user;
    const Local = struct {
        fn exports() callconv(.c) ?*const anyopaque {
            return null;
        }
    };
    @export(&Local.exports, .{ .name = symbol });
}
