//! Which Zig types may cross the border, and what they look like there.

const std = @import("std");
const abi = @import("abi.zig");
const ends = @import("channel/ends.zig");
const Buffer = @import("buffer.zig").Buffer;

/// The description of `T`; a compile error says why when `T` cannot cross.
pub fn desc(comptime T: type) abi.TypeDesc {
    if (comptime isBytes(T)) return .{
        .kind = abi.kind.bytes,
        .@"align" = @alignOf(abi.RawBuffer),
        .size = @sizeOf(abi.RawBuffer),
    };
    if (comptime ends.isEnd(T)) return ends.desc(T);
    if (T == void) return .{ .kind = abi.kind.void_, .@"align" = 1, .size = 0 };
    comptime assertPlain(T, @typeName(T));
    return .{
        .kind = switch (@typeInfo(T)) {
            .int => |int| if (int.signedness == .signed) abi.kind.int else abi.kind.uint,
            .float => abi.kind.float,
            else => abi.kind.struct_,
        },
        .@"align" = @alignOf(T),
        .size = @sizeOf(T),
    };
}

/// Whether items of type `T` are runs of bytes, which cross as owned buffers.
pub fn isBytes(comptime T: type) bool {
    return T == []const u8 or T == Buffer;
}

/// What an item of type `T` is while it is under way.
pub fn Wire(comptime T: type) type {
    return if (isBytes(T)) Buffer else T;
}

/// Plain: any bit pattern is a value, so that nothing the other side writes is undefined behaviour.
fn assertPlain(comptime T: type, comptime whole: []const u8) void {
    switch (@typeInfo(T)) {
        .int => |int| switch (int.bits) {
            8, 16, 32, 64, 128 => return,
            else => refuse(whole, "an integer must have 8, 16, 32, 64 or 128 bits"),
        },
        .float => |float| switch (float.bits) {
            32, 64 => return,
            else => refuse(whole, "a float must have 32 or 64 bits"),
        },
        .array => |array| assertPlain(array.child, whole),
        .@"struct" => |info| {
            if (info.layout != .@"extern") refuse(whole, "a struct must be `extern`");
            for (info.field_types) |Field| assertPlain(Field, whole);
        },
        else => refuse(whole, "`" ++ @typeName(T) ++ "` is not an integer, a float, an array or an `extern struct` of those"),
    }
}

fn refuse(comptime whole: []const u8, comptime reason: []const u8) noreturn {
    @compileError("ziggurat: `" ++ whole ++ "` cannot cross the border to Rust: " ++ reason ++
        " (runs of bytes are `[]const u8`)");
}

test desc {
    const Sample = extern struct { at: u64, value: f32, tag: [4]u8 };
    try std.testing.expectEqual(abi.TypeDesc{ .kind = abi.kind.uint, .@"align" = 8, .size = 8 }, desc(usize));
    try std.testing.expectEqual(abi.TypeDesc{ .kind = abi.kind.int, .@"align" = 2, .size = 2 }, desc(i16));
    try std.testing.expectEqual(abi.TypeDesc{ .kind = abi.kind.struct_, .@"align" = 8, .size = 16 }, desc(Sample));
    try std.testing.expectEqual(abi.kind.bytes, desc([]const u8).kind);
    try std.testing.expectEqual(abi.kind.void_, desc(void).kind);
}
