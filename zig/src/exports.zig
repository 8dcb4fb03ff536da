//! How a user's file says what it offers to Rust.

const std = @import("std");
const abi = @import("abi.zig");
const FunctionFuture = @import("function_future.zig").FunctionFuture;
const FunctionSink = @import("function_sink.zig").FunctionSink;
const FunctionSource = @import("function_source.zig").FunctionSource;
const FunctionTransform = @import("function_transform.zig").FunctionTransform;
const PollSource = @import("poll_source.zig").PollSource;

/// A stream for Rust: a function `fn (io: std.Io, out: *Out(T), args…) !void`, or a struct with a
/// `poll` (see `Poll`).
pub fn source(comptime target: anytype) type {
    return struct {
        fn Make(comptime name: []const u8) type {
            return if (@TypeOf(target) == type) PollSource(name, target) else FunctionSource(name, target);
        }
    };
}

/// A sink for Rust: a function `fn (io: std.Io, in: *In(T), args…) !R`.
pub fn sink(comptime target: anytype) type {
    return struct {
        fn Make(comptime name: []const u8) type {
            return FunctionSink(name, target);
        }
    };
}

/// A transform for Rust: a function `fn (io: std.Io, in: *In(T), out: *Out(U), args…) !void`.
pub fn transform(comptime target: anytype) type {
    return struct {
        fn Make(comptime name: []const u8) type {
            return FunctionTransform(name, target);
        }
    };
}

/// A future for Rust: a function `fn (io: std.Io, args…) !R`. An `R` of `[]u8` comes from `ziggurat.allocator`;
/// it is freed there, when the last of the `Bytes` that it becomes in Rust is dropped.
pub fn future(comptime target: anytype) type {
    return struct {
        fn Make(comptime name: []const u8) type {
            return FunctionFuture(name, target);
        }
    };
}

/// What a root file offers, by name:
///
/// ```zig
/// pub const exports = ziggurat.exports(.{
///     .lines = ziggurat.source(lines),
///     .store = ziggurat.sink(store),
/// });
/// ```
pub fn exports(comptime list: anytype) type {
    return struct {
        const entries = entries: {
            const names = @typeInfo(@TypeOf(list)).@"struct".field_names;
            var array: [names.len]abi.Export = undefined;
            for (&array, names) |*entry, name| {
                const Made = @field(list, name).Make(name);
                entry.* = .{
                    .name = .of(name),
                    .kind = Made.kind,
                    .arg_count = Made.param_descs.len,
                    .args = &Made.param_descs,
                    .item = Made.item_desc,
                    .result = Made.result_desc,
                    .open = &Made.open,
                };
            }
            break :entries array;
        };

        const table: abi.Exports = .{
            .header = .of(abi.Exports),
            .count = entries.len,
            .entries = &entries,
            .layout_count = abi.layout.len,
            .layout = &abi.layout,
        };

        fn get() callconv(.c) *const abi.Exports {
            return &table;
        }
    };
}

/// Exports the one symbol that Rust links to. The generated root file calls it.
pub fn exportLibrary(comptime user: type, comptime symbol: []const u8) void {
    if (!@hasDecl(user, "exports")) @compileError("ziggurat: " ++ @typeName(user) ++
        " offers nothing to Rust; it needs a line `pub const exports = ziggurat.exports(.{ … });`");
    @export(&user.exports.get, .{ .name = symbol });
}
