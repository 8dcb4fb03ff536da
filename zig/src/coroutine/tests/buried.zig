//! What a coroutine that a panic has ended leaves elsewhere: a place among a channel's waiters, and wakes that are
//! on their way to it.

const std = @import("std");
const Io = std.Io;
const abi = @import("../../abi.zig");
const panic = @import("../../panic.zig").panicHandler;
const expectPanic = @import("poison.zig").expectPanic;
const poisoned = @import("poison.zig").poisoned;
const FunctionSource = @import("../../function_source.zig").FunctionSource;
const Out = @import("../../out.zig").Out;
const Receiver = @import("../../channel/ends.zig").Receiver;
const Running = @import("../../testing_host.zig").Running;
const Sender = @import("../../channel/ends.zig").Sender;
const TestChannel = @import("../../channel/testing.zig").TestChannel;
const TestHost = @import("../../testing_host.zig").TestHost;
const expectEqual = std.testing.expectEqual;

/// One fiber of each function waits for an item of a channel that is nobody's, so that its end is not dropped
/// with the function.
const waiters = struct {
    var receiver: *Receiver(u64) = undefined;

    fn waits(io: Io) Io.Cancelable!void {
        _ = receiver.recv(io) catch |err| return switch (err) {
            error.Canceled => error.Canceled,
            error.Closed => {},
        };
    }

    fn doomed(io: Io, out: *Out(u64)) !void {
        var group: Io.Group = .init;
        try group.concurrent(io, waits, .{io});
        // The other one runs in between.
        try out.send(1);
        try out.send(2);
        panic("beside one that waits for an item", null);
    }

    fn survivor(io: Io, out: *Out(u64)) !void {
        try out.send(try receiver.recv(io));
    }
};

test "a fiber that waits for a channel and is buried leaves its place, and passes its wake on" {
    const Doomed = FunctionSource("doomed", waiters.doomed);
    const Survivor = FunctionSource("survivor", waiters.survivor);
    for ([_]bool{ false, true }) |woken| {
        const channel: *TestChannel = try .create(u64, .many, 4, 0);
        defer channel.deinit();
        var sender: Sender(u64) = try .fromAbi(&channel.header);
        defer sender.deinit();
        var receiver: Receiver(u64) = try .fromAbi(&channel.header);
        defer receiver.deinit();
        waiters.receiver = &receiver;
        var host: TestHost = .{};
        defer host.deinit();
        var doomed: Running(Doomed, u64) = undefined;
        try doomed.open(&host, poisoned(&host, null), &.{});
        var survivor: Running(Survivor, u64) = undefined;
        try survivor.open(&host, poisoned(&host, null), &.{});
        var out: [1]u64 = undefined;
        // Its fiber is the first in the queue.
        for (0..2) |_| try expectEqual(.{ 1, abi.status.ready }, doomed.poll(&out));
        try expectEqual(1, channel.waiting(.receivers));
        try expectEqual(.{ 0, abi.status.pending }, survivor.poll(&out));
        try expectEqual(2, channel.waiting(.receivers));
        // The wake is the first one's, which does not live to see it.
        if (woken) try sender.trySend(7);
        try expectEqual(.{ 0, abi.status.panicked }, doomed.poll(&out));
        try expectPanic(Doomed, doomed.handle, "beside one that waits for an item");
        // No address on its stack is left there, and no wake has gone to nobody.
        try expectEqual(@as(usize, if (woken) 0 else 1), channel.waiting(.receivers));
        try expectEqual(@as(u32, @intFromBool(woken)), channel.passed_on);
        if (!woken) try sender.trySend(7);
        try expectEqual(.{ 1, abi.status.ready }, survivor.next(&out));
        try expectEqual(7, out[0]);
        doomed.close();
        survivor.close();
    }
}

test "a fiber that is brought while another one ends its task never runs again" {
    const functions = struct {
        var ran_on: bool = false;

        fn opens(io: Io) void {
            const file = Io.Dir.cwd().openFile(io, "/etc/hostname", .{});
            ran_on = true;
            if (file) |f| f.close(io) else |_| {}
        }

        fn run(io: Io, out: *Out(u64), host_address: usize) !void {
            const host: *TestHost = @ptrFromInt(host_address);
            var group: Io.Group = .init;
            try group.concurrent(io, opens, .{io});
            try out.send(1);
            // In this very poll the call comes to its end, and brings its fiber.
            host.gate.store(.open, .release);
            while (host.jobs.load(.acquire) > 0) std.Thread.yield() catch {};
            panic("with another one about to run", null);
        }
    };
    const Made = FunctionSource("brought", functions.run);
    functions.ran_on = false;
    var host: TestHost = .{};
    defer host.deinit();
    host.gate.store(.closed, .release);
    var running: Running(Made, u64) = undefined;
    const address: usize = @intFromPtr(&host);
    try running.open(&host, poisoned(&host, null), &.{&address});
    var out: [1]u64 = undefined;
    try expectEqual(.{ 1, abi.status.ready }, running.poll(&out));
    try expectEqual(.{ 0, abi.status.panicked }, running.poll(&out));
    try expectPanic(Made, running.handle, "with another one about to run");
    try expectEqual(false, functions.ran_on);
    running.close();
}
