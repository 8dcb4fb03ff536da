//! How coroutines end: cancelled at each kind of wait, dropped with something left to do, and where memory runs
//! out.

const std = @import("std");
const Io = std.Io;
const abi = @import("../../abi.zig");
const heap = @import("../../heap.zig");
const reaper = @import("../reaper.zig");
const script = @import("script.zig");
const testing = @import("../../testing.zig");
const types = @import("../../types.zig");
const Buffer = @import("../../buffer.zig").Buffer;
const FunctionSink = @import("../../function_sink.zig").FunctionSink;
const FunctionSource = @import("../../function_source.zig").FunctionSource;
const In = @import("../../in.zig").In;
const Out = @import("../../out.zig").Out;
const Running = @import("../../testing_host.zig").Running;
const TestHost = @import("../../testing_host.zig").TestHost;
const expectEqual = std.testing.expectEqual;
const pause = script.pause;

/// Every way to wait, one per number.
const waits = struct {
    var defers: u32 = 0;
    var canceled: u32 = 0;
    const kinds = 9;

    fn run(io: Io, out: *Out(u64), kind: u32) !void {
        waitFor(io, out, kind) catch |err| {
            if (err == error.Canceled) canceled += 1;
            return err;
        };
    }

    fn waitFor(io: Io, out: *Out(u64), kind: u32) !void {
        defer defers += 1;
        try out.send(kind);
        switch (kind) {
            0 => while (true) try out.send(0),
            1 => try pause(io, 1_000_000_000),
            2 => {
                var event: Io.Event = .unset;
                try event.wait(io);
            },
            3 => {
                var buffer: [1]u64 = undefined;
                var queue: Io.Queue(u64) = .init(&buffer);
                _ = queue.getOne(io) catch return error.Canceled;
            },
            4 => {
                var future = try io.concurrent(child, .{io});
                defer future.cancel(io) catch {};
                try future.await(io);
            },
            5 => {
                var group: Io.Group = .init;
                defer group.cancel(io);
                for (0..3) |_| group.async(io, child, .{io});
                try group.await(io);
            },
            6 => {
                // Nothing is written to it.
                const address: Io.net.IpAddress = .{ .ip4 = .loopback(0) };
                var server = try address.listen(io, .{});
                defer server.deinit(io);
                _ = try server.accept(io);
            },
            7 => {
                var mutex: Io.Mutex = .init;
                try mutex.lock(io);
                try mutex.lock(io);
            },
            8 => {
                // A child waits for the hand-off, the function for the child.
                var future = try io.concurrent(sends, .{out});
                defer future.cancel(io) catch {};
                try future.await(io);
            },
            else => unreachable,
        }
        return error.NotCanceled;
    }

    fn child(io: Io) Io.Cancelable!void {
        defer defers += 1;
        try pause(io, 1_000_000_000);
    }

    fn sends(out: *Out(u64)) Io.Cancelable!void {
        while (true) try out.send(1);
    }
};

test "a cancelation ends every wait, and everything is undone" {
    const Waits = FunctionSource("waits", waits.run);
    for (0..waits.kinds) |kind_index| for ([_]bool{ true, false }) |dropped| {
        var host: TestHost = .{};
        defer host.deinit();
        waits.defers = 0;
        waits.canceled = 0;
        const kind: u32 = @intCast(kind_index);
        var running: Running(Waits, u64) = undefined;
        try running.open(&host, host.options(null), &.{&kind});
        var out: [2]u64 = undefined;
        try std.testing.expect(running.poll(&out)[0] >= 1);
        if (kind != 0 and kind != 8) try expectEqual(.{ 0, abi.status.pending }, running.poll(&out));
        if (dropped) running.drop() else {
            running.cancel();
            while (true) {
                _, const status = running.next(&out);
                if (status == abi.status.canceled) break;
                try std.testing.expect(status == abi.status.ready);
            }
            running.close();
        }
        try expectEqual(1, waits.canceled);
        try expectEqual(@as(u32, switch (kind) {
            4 => 2,
            5 => 4,
            else => 1,
        }), waits.defers);
        try expectEqual(0, reaper.count());
    };
}

const slow_ending = struct {
    var log: u32 = 0;
    fn run(io: Io, out: *Out(u64)) !void {
        defer {
            // What still has to be awaited, after the cancelation was said.
            pause(io, 100) catch unreachable;
            log += 1;
        }
        errdefer log += 10;
        while (true) try out.send(1);
    }
};

test "what a dropped coroutine still has to await is done in the background" {
    const Slow = FunctionSource("slow", slow_ending.run);
    for ([_]bool{ false, true }) |refuse| {
        slow_ending.log = 0;
        var host: TestHost = .{ .refuse_drive = refuse };
        defer host.deinit();
        var running: Running(Slow, u64) = undefined;
        try running.open(&host, host.options(null), &.{});
        var out: [1]u64 = undefined;
        _ = running.poll(&out);
        Slow.vtable.cancel(running.handle.state.?);
        Slow.vtable.release(running.handle.state.?);
        // The drop ran it to its first wait, and did not wait.
        try expectEqual(10, slow_ending.log);
        try expectEqual(1, reaper.count());
        if (refuse) {
            // Without the host's help, on a thread that waits for the timer like anybody.
            while (host.timerWaits() == 0) std.Thread.yield() catch {};
            host.jump();
            while (reaper.count() > 0) std.Thread.yield() catch {};
        } else host.reap();
        try expectEqual(11, slow_ending.log);
        try expectEqual(0, reaper.count());
        running.waker.waitUnreferenced();
    }
}

test "a function that runs on although it is cancelled gets nothing, and nowhere" {
    const stubborn = struct {
        var refusals: u32 = 0;
        fn run(io: Io, out: *Out(u64)) !void {
            const old = io.swapCancelProtection(.blocked);
            defer _ = io.swapCancelProtection(old);
            while (refusals < 3) out.send(1) catch {
                refusals += 1;
            };
        }
    };
    const Stubborn = FunctionSource("stubborn", stubborn.run);
    var host: TestHost = .{};
    defer host.deinit();
    var running: Running(Stubborn, u64) = undefined;
    try running.open(&host, host.options(null), &.{});
    var out: [1]u64 = undefined;
    _ = running.poll(&out);
    running.drop();
    try expectEqual(3, stubborn.refusals);
}

test "memory that runs out is an error, wherever it does, and nothing is leaked" {
    const functions = struct {
        fn source(_: Io, out: *Out([]const u8), text: []const u8, more: []const u8) !void {
            try out.send(text);
            try out.writer().print("{s} {d}", .{ more, 5 });
            return out.fail(error.Over, "at {d}", .{1});
        }
        fn sink(_: Io, in: *In(u64), text: []const u8) !u64 {
            return (try in.next() orelse 0) + text.len;
        }
    };
    const Source = FunctionSource("source", functions.source);
    const Sink = FunctionSink("sink", functions.sink);
    const text: abi.Slice = .of("text");
    const args = [_]abi.Arg{
        .{ .ty = types.desc([]const u8), .value = &text },
        .{ .ty = types.desc([]const u8), .value = &text },
    };
    var host: TestHost = .{};
    defer host.deinit();
    var pool: testing.TestPool = undefined;
    try pool.init(2, 64);
    defer pool.deinit();
    var opened: usize = 0;
    for (0..12) |fail_index| {
        var failing: std.testing.FailingAllocator = .init(std.testing.allocator, .{ .fail_index = fail_index });
        heap.replacement = failing.allocator();
        defer heap.replacement = null;
        var handle: abi.RawHandle = undefined;
        var record: abi.ErrorRecord = undefined;
        const how = host.options(&pool);
        if (Source.open(&how, &args, 2, &handle, &record) == abi.status.ready) {
            opened += 1;
            var running: Running(Source, Buffer) = .{ .host = &host, .handle = handle };
            var out: [4]Buffer = undefined;
            while (true) {
                const n, const status = running.next(&out);
                for (out[0..n]) |item| item.deinit();
                if (status == abi.status.ready) continue;
                try expectEqual(abi.status.failed, status);
                break;
            }
            running.close();
        } else try std.testing.expectEqualStrings("OutOfMemory", record.name.get());
        if (Sink.open(&host.options(null), &args, 1, &handle, &record) != abi.status.ready) continue;
        var waker: testing.TestWaker = .{};
        const cx = waker.context();
        var n: usize = 0;
        var result: u64 = 0;
        const items = [_]u64{ 5, 6, 7 };
        _ = Sink.vtable.send_batch(handle.state.?, &cx, &items, 3, &n);
        try expectEqual(abi.status.done, Sink.vtable.poll_close(handle.state.?, &cx, &result));
        try expectEqual(9, result);
        Sink.vtable.release(handle.state.?);
        waker.waitUnreferenced();
    }
    try std.testing.expect(opened > 3 and opened < 12);
    pool.waitUnreferenced();
}

const leftovers = struct {
    /// Leaves a timer and a descriptor that it has waited for, and that it does not close.
    fn run(io: Io, out: *Out(u64), socket: i32) !void {
        const stream: Io.net.Stream = .{ .socket = .{ .handle = socket, .address = .{ .ip4 = .loopback(0) } } };
        var reading = try io.concurrent(read, .{ io, stream });
        var sleeping = try io.concurrent(sleep, .{io});
        try pause(io, 1);
        reading.cancel(io);
        sleeping.cancel(io);
        try out.send(1);
    }

    fn read(io: Io, stream: Io.net.Stream) void {
        var buffer: [1]u8 = undefined;
        var reader = stream.reader(io, &buffer);
        reader.interface.fillMore() catch {};
    }

    fn sleep(io: Io) void {
        pause(io, 1_000_000_000) catch {};
    }
};

test "a function that has ended waits for nothing, also before its handle goes" {
    const Leftovers = FunctionSource("leftovers", leftovers.run);
    var sockets: [2]i32 = undefined;
    const kind = std.os.linux.SOCK.STREAM | std.os.linux.SOCK.CLOEXEC;
    try expectEqual(0, std.os.linux.socketpair(std.os.linux.AF.UNIX, kind, 0, &sockets));
    defer for (sockets) |fd| {
        _ = std.os.linux.close(fd);
    };
    var host: TestHost = .{};
    defer host.deinit();
    var running: Running(Leftovers, u64) = undefined;
    try running.open(&host, host.options(null), &.{&sockets[0]});
    var items: std.ArrayList(u64) = .empty;
    defer items.deinit(std.testing.allocator);
    try expectEqual(abi.status.done, try running.collect(&items, 4));
    // A virtual clock would go on to where nobody waits, and an epoll has descriptors that nobody uses.
    try expectEqual(0, host.timerWaits());
    try expectEqual(0, host.descriptors.items.len);
    running.close();
}
