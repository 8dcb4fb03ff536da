//! What a function returns, kept until the host has asked for it.

const std = @import("std");
const abi = @import("abi.zig");
const ends = @import("channel/ends.zig");
const types = @import("types.zig");
const Buffer = @import("buffer.zig").Buffer;
const Header = @import("channel/layout.zig").Header;

/// A result is nothing, plain, an end of a channel, or a run of bytes: `[]u8` from `ziggurat.allocator`, or a
/// `Buffer`. Ends and bytes are the host's once it has asked for them, and are dropped here if it never does.
pub fn Returned(comptime R: type) type {
    if (R == []const u8) @compileError("ziggurat: `[]const u8` cannot be a result: whose is it?" ++
        " Return `[]u8` from `ziggurat.allocator`, which is freed there, or a `ziggurat.Buffer`");
    return struct {
        const Self = @This();
        const Kept = if (R == []u8) Buffer else R;
        /// Whether somebody has to drop it.
        const owned = Kept == Buffer or ends.isEnd(Kept);

        pub const desc = types.desc(Kept);

        value: Kept = undefined,
        /// There is one that nobody has taken.
        here: bool = false,

        pub fn put(r: *Self, value: R) void {
            r.value = if (R == []u8) .initOwned(value) else value;
            r.here = true;
        }

        /// Passes it to the host.
        pub fn take(r: *Self, out: *anyopaque) void {
            if (comptime ends.isEnd(Kept)) {
                @as(*?*Header, @ptrCast(@alignCast(out))).* = r.value.toAbi();
            } else if (Kept != void) {
                @as(*Kept, @ptrCast(@alignCast(out))).* = r.value;
            }
            if (owned) r.here = false;
        }

        /// Whether there is something that is to be dropped.
        pub fn isHeld(r: *const Self) bool {
            return owned and r.here;
        }

        pub fn deinit(r: *Self) void {
            if (owned) if (r.here) r.value.deinit();
            r.* = undefined;
        }
    };
}
