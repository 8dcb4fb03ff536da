//! One function of `std.Io` as a coroutine, run to its end by a test.

const std = @import("std");
const Io = std.Io;
const abi = @import("../../abi.zig");
const FunctionSource = @import("../../function_source.zig").FunctionSource;
const Out = @import("../../out.zig").Out;
const Running = @import("../../testing_host.zig").Running;
const TestHost = @import("../../testing_host.zig").TestHost;

/// `function` as a source of its result.
pub fn Script(comptime function: fn (Io) anyerror!u64) type {
    return FunctionSource("script", struct {
        fn run(io: Io, out: *Out(u64)) !void {
            try out.send(try function(io));
        }
    }.run);
}

pub fn start(comptime function: fn (Io) anyerror!u64, host: *TestHost, running: *Running(Script(function), u64)) !void {
    try running.open(host, host.options(null), &.{});
}

/// What `function` returns when it is run by `host`.
pub fn resultOn(host: *TestHost, comptime function: fn (Io) anyerror!u64) !u64 {
    var running: Running(Script(function), u64) = undefined;
    try start(function, host, &running);
    defer running.close();
    var items: std.ArrayList(u64) = .empty;
    defer items.deinit(std.testing.allocator);
    const status = try running.collect(&items, 4);
    if (status == abi.status.failed) {
        var record: abi.ErrorRecord = undefined;
        Script(function).vtable.last_error(running.handle.state.?, &record);
        std.debug.print("script failed: {s}\n", .{record.name.get()});
    }
    try std.testing.expectEqual(abi.status.done, status);
    try std.testing.expectEqual(1, items.items.len);
    return items.items[0];
}

pub fn result(comptime function: fn (Io) anyerror!u64) !u64 {
    var host: TestHost = .{};
    defer host.deinit();
    return resultOn(&host, function);
}

pub fn pause(io: Io, ms: i64) Io.Cancelable!void {
    return io.sleep(.fromMilliseconds(ms), .awake);
}
