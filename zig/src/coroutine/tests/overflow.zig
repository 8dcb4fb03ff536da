//! Coroutines whose stacks overflow, where that is contained.

const std = @import("std");
const Io = std.Io;
const abi = @import("../../abi.zig");
const current = @import("../current.zig");
const FunctionSource = @import("../../function_source.zig").FunctionSource;
const Out = @import("../../out.zig").Out;
const Running = @import("../../testing_host.zig").Running;
const TestHost = @import("../../testing_host.zig").TestHost;
const expectEqual = std.testing.expectEqual;
const expectPanic = @import("poison.zig").expectPanic;
const poisoned = @import("poison.zig").poisoned;

pub const deep = struct {
    pub fn down(depth: u64) u64 {
        var frame: [256]u8 = undefined;
        for (&frame, 0..) |*byte, i| byte.* = @truncate(depth +% i);
        std.mem.doNotOptimizeAway(&frame);
        return if (depth == 0) frame[0] else down(depth - 1) +% frame[@intCast(depth % frame.len)];
    }

    fn run(io: Io, out: *Out(u64), depth: u64, in_child: u32) !void {
        try out.send(1);
        if (in_child == 0) return out.send(down(depth));
        var future = try io.concurrent(down, .{depth});
        try out.send(future.await(io));
    }

    const Made = FunctionSource("deep", run);

    fn check(host: *TestHost, in_child: u32) !void {
        var out: [1]u64 = undefined;
        // What there is room for is no overflow.
        for ([_]u64{ 10, 1 << 40 }) |depth| {
            var running: Running(Made, u64) = undefined;
            try running.open(host, poisoned(host, null), &.{ &depth, &in_child });
            try expectEqual(.{ 1, abi.status.ready }, running.next(&out));
            if (depth == 10) {
                try expectEqual(.{ 1, abi.status.ready }, running.next(&out));
                try expectEqual(.{ 0, abi.status.done }, running.next(&out));
            } else {
                try expectEqual(.{ 0, abi.status.panicked }, running.next(&out));
                try expectPanic(Made, running.handle, "stack overflow");
            }
            running.close();
        }
    }
};

test "a stack overflow ends its coroutine, on this thread and on one that has no stack for signals" {
    var host: TestHost = .{};
    defer host.deinit();
    for ([_]u32{ 0, 1 }) |in_child| {
        try deep.check(&host, in_child);
        const Other = struct {
            fn run(h: *TestHost, child: u32, result: *anyerror!void) void {
                result.* = deep.check(h, child);
            }
        };
        var result: anyerror!void = error.NotRun;
        const thread: std.Thread = try .spawn(.{}, Other.run, .{ &host, in_child, &result });
        thread.join();
        try result;
    }
}

test "no overflow leaves a lock of the runtime's behind, wherever it comes" {
    const functions = struct {
        var word: u32 = 0;
        var others_word: u32 = 0;

        /// Down to where `left` bytes of stack are left; then everything that takes the table's locks.
        fn down(io: Io, left: usize) void {
            var frame: [64]u8 = undefined;
            std.mem.doNotOptimizeAway(&frame);
            const stack = current.get().?.running.?.stack.usable();
            if (@intFromPtr(&frame) - @intFromPtr(stack.ptr) > left) down(io, left) else {
                io.futexWake(u32, &others_word, 1);
                io.futexWait(u32, &word, 1) catch {};
                var future = io.async(one, .{});
                _ = future.await(io);
            }
            std.mem.doNotOptimizeAway(&frame);
        }
        fn one() u64 {
            return 1;
        }
        fn doomed(io: Io, out: *Out(u64), left: u64) !void {
            down(io, @intCast(left));
            try out.send(left);
        }
        fn other(io: Io, out: *Out(u64)) !void {
            while (true) {
                try io.futexWait(u32, &others_word, 0);
                try out.send(1);
            }
        }
    };
    const Doomed = FunctionSource("doomed", functions.doomed);
    const Other = FunctionSource("other", functions.other);
    var host: TestHost = .{};
    defer host.deinit();
    var other: Running(Other, u64) = undefined;
    try other.open(&host, host.options(null), &.{});
    var out: [1]u64 = undefined;
    try expectEqual(.{ 0, abi.status.pending }, other.poll(&out));
    var how = poisoned(&host, null);
    how.stack_size = 32 * 1024;
    var left: u64 = 0;
    while (left < 4096) : (left += 16) {
        var doomed: Running(Doomed, u64) = undefined;
        try doomed.open(&host, how, &.{&left});
        const n, const status = doomed.next(&out);
        if (n == 0) {
            try expectEqual(abi.status.panicked, status);
            try expectPanic(Doomed, doomed.handle, "stack overflow");
        }
        doomed.close();
        // Whoever was woken hears of it, whatever became of the one that woke it.
        if (other.waker.wakes.swap(0, .seq_cst) > 0) {
            try expectEqual(.{ 1, abi.status.ready }, other.next(&out));
        }
        try expectEqual(.{ 0, abi.status.pending }, other.poll(&out));
        @import("../futex.zig").wake(&functions.others_word, 1);
        try expectEqual(.{ 1, abi.status.ready }, other.next(&out));
        try expectEqual(.{ 0, abi.status.pending }, other.poll(&out));
        other.waker.wakes.store(0, .seq_cst);
    }
    other.drop();
}

test "no overflow leaves a lock of std's behind that all coroutines share" {
    const functions = struct {
        fn down(io: Io, left: usize) void {
            var frame: [64]u8 = undefined;
            std.mem.doNotOptimizeAway(&frame);
            const stack = current.get().?.running.?.stack.usable();
            if (@intFromPtr(&frame) - @intFromPtr(stack.ptr) > left) down(io, left) else io.random(&frame);
            std.mem.doNotOptimizeAway(&frame);
        }
        fn run(io: Io, out: *Out(u64), left: u64) !void {
            down(io, @intCast(left));
            try out.send(left);
        }
    };
    const Made = FunctionSource("random", functions.run);
    const base = @import("../base.zig");
    const threaded: *Io.Threaded = @ptrCast(@alignCast(base.io().userdata));
    var host: TestHost = .{};
    defer host.deinit();
    var how = poisoned(&host, null);
    how.stack_size = 32 * 1024;
    var left: u64 = 0;
    while (left < 8192) : (left += 64) {
        var running: Running(Made, u64) = undefined;
        try running.open(&host, how, &.{&left});
        var out: [1]u64 = undefined;
        _ = running.next(&out);
        running.close();
        try std.testing.expect(threaded.mutex.tryLock());
        threaded.mutex.unlock(base.io());
    }
}

test "an overflow in the runtime's own sections is one before they begin" {
    const functions = struct {
        /// Wakes and waits at every depth, so that some of it happens with hardly any stack left.
        fn down(io: Io, word: *u32, depth: u64) u64 {
            io.futexWake(u32, word, 1);
            io.futexWait(u32, word, 1) catch {};
            var future = io.async(one, .{});
            const n = future.await(io);
            return if (depth == 0) n else n + down(io, word, depth - 1);
        }
        fn one() u64 {
            return 1;
        }
        fn run(io: Io, out: *Out(u64)) !void {
            var word: u32 = 0;
            try out.send(down(io, &word, 1 << 40));
        }
    };
    const Made = FunctionSource("down", functions.run);
    var host: TestHost = .{};
    defer host.deinit();
    var how = poisoned(&host, null);
    // Each turn begins at another depth, so that the end of the stack comes at other places.
    for (0..8) |_| {
        how.stack_size = 32 * 1024;
        var running: Running(Made, u64) = undefined;
        try running.open(&host, how, &.{});
        var out: [1]u64 = undefined;
        try expectEqual(.{ 0, abi.status.panicked }, running.next(&out));
        try expectPanic(Made, running.handle, "stack overflow");
        running.close();
    }
}
