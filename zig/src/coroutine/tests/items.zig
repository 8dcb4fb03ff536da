//! Items and bytes of functions that run as coroutines, through the tables that Rust uses.

const std = @import("std");
const Io = std.Io;
const abi = @import("../../abi.zig");
const testing = @import("../../testing.zig");
const Buffer = @import("../../buffer.zig").Buffer;
const FunctionSink = @import("../../function_sink.zig").FunctionSink;
const FunctionSource = @import("../../function_source.zig").FunctionSource;
const In = @import("../../in.zig").In;
const Out = @import("../../out.zig").Out;
const Running = @import("../../testing_host.zig").Running;
const TestHost = @import("../../testing_host.zig").TestHost;
const gpa = std.testing.allocator;
const expectEqual = std.testing.expectEqual;

const functions = struct {
    var ended: usize = 0;

    fn count(_: Io, out: *Out(u64), end: u64) !void {
        defer ended += 1;
        for (0..@intCast(end)) |i| try out.send(i);
        if (end == 13) return out.fail(error.Unlucky, "{d}", .{end});
    }

    fn countBySlices(_: Io, out: *Out(u64), end: u64) !void {
        var slice: [10]u64 = undefined;
        var next: u64 = 0;
        while (next < end) {
            const n: usize = @intCast(@min(slice.len, end - next));
            for (slice[0..n], next..) |*item, number| item.* = number;
            try out.sendMany(slice[0..n]);
            next += n;
        }
    }

    fn nothingAtFirst(io: Io, out: *Out(u64)) !void {
        try out.sendMany(&.{});
        try io.sleep(.fromMilliseconds(1), .awake);
        try out.sendMany(&.{});
        try out.send(5);
    }

    fn ticks(io: Io, out: *Out(i64), count_: u32) !void {
        for (0..count_) |_| {
            try io.sleep(.fromMilliseconds(250), .awake);
            try out.send(@intCast(Io.Clock.awake.now(io).nanoseconds));
        }
    }

    fn text(_: Io, out: *Out([]const u8), words: u64) !void {
        for (0..@intCast(words)) |i| try out.writer().print("{d} ", .{i});
        try out.send("end");
    }

    fn sum(io: Io, in: *In(u32), limit: u32) !u64 {
        var total: u64 = 0;
        while (try in.next()) |item| {
            total += item;
            if (item % 7 == 0) try io.sleep(.fromMilliseconds(1), .awake);
            if (total >= limit) return total;
        }
        return total;
    }

    fn hold(io: Io, _: *In([]const u8)) !void {
        try io.sleep(.fromSeconds(1_000_000), .awake);
    }

    fn length(_: Io, in: *In([]const u8)) !u64 {
        const reader = try in.reader();
        var total: u64 = 0;
        while (true) {
            const got = reader.peekGreedy(1) catch |err| switch (err) {
                error.EndOfStream => return total,
                else => |e| return e,
            };
            total += got.len;
            reader.toss(got.len);
        }
    }
};

test "items come in order, whatever the batch, then the end or the error" {
    const Counter = FunctionSource("count", functions.count);
    var host: TestHost = .{};
    defer host.deinit();
    for ([_]usize{ 1, 3, 64 }) |batch| for ([_]u64{ 0, 1, 13, 64, 1000 }) |end| {
        var running: Running(Counter, u64) = undefined;
        try running.open(&host, host.options(null), &.{&end});
        var items: std.ArrayList(u64) = .empty;
        defer items.deinit(gpa);
        const status = try running.collect(&items, batch);
        try expectEqual(if (end == 13) abi.status.failed else abi.status.done, status);
        try expectEqual(end, items.items.len);
        for (items.items, 0..) |item, i| try expectEqual(i, item);
        // A poll per full batch and one for the rest, so that none was for nothing.
        try std.testing.expect(running.polls <= end / batch + 2);
        if (end == 13) {
            var record: abi.ErrorRecord = undefined;
            Counter.vtable.last_error(running.handle.state.?, &record);
            try std.testing.expectEqualStrings("Unlucky", record.name.get());
            try std.testing.expectEqualStrings("13", record.message.get());
        }
        running.close();
    };
}

test "many items are sent at once, across polls" {
    const Counter = FunctionSource("count", functions.countBySlices);
    var host: TestHost = .{};
    defer host.deinit();
    for ([_]usize{ 1, 3, 10, 64 }) |batch| {
        const end: u64 = 1003;
        var running: Running(Counter, u64) = undefined;
        try running.open(&host, host.options(null), &.{&end});
        var items: std.ArrayList(u64) = .empty;
        defer items.deinit(gpa);
        try expectEqual(abi.status.done, try running.collect(&items, batch));
        try expectEqual(end, items.items.len);
        for (items.items, 0..) |item, i| try expectEqual(i, item);
        running.close();
    }
}

test "nothing that is sent is nothing that is delivered" {
    const Nothing = FunctionSource("nothing", functions.nothingAtFirst);
    var host: TestHost = .{};
    defer host.deinit();
    var running: Running(Nothing, u64) = undefined;
    try running.open(&host, host.options(null), &.{});
    var out: [1]u64 = undefined;
    try expectEqual(.{ 0, abi.status.pending }, running.poll(&out));
    try expectEqual(1, host.timerWaits());
    try expectEqual(.{ 1, abi.status.ready }, running.next(&out));
    running.drop();
}

test "an item never waits for the next one" {
    const Ticks = FunctionSource("ticks", functions.ticks);
    var host: TestHost = .{};
    defer host.deinit();
    const count: u32 = 5;
    var running: Running(Ticks, i64) = undefined;
    try running.open(&host, host.options(null), &.{&count});
    var out: [8]i64 = undefined;
    for (1..count + 1) |tick| {
        const n, const status = running.next(&out);
        try expectEqual(.{ 1, abi.status.ready }, .{ n, status });
        // The poll in which it was made.
        try expectEqual(host.time, out[0]);
        try expectEqual(1_000 + @as(i64, @intCast(tick)) * 250_000_000, out[0]);
    }
    try expectEqual(.{ 0, abi.status.done }, running.next(&out));
    running.close();
}

test "nothing runs before the first poll, and a cancelled function never" {
    const Counter = FunctionSource("count", functions.count);
    var host: TestHost = .{};
    defer host.deinit();
    const end: u64 = 5;
    const before = functions.ended;
    var running: Running(Counter, u64) = undefined;
    try running.open(&host, host.options(null), &.{&end});
    running.drop();
    try running.open(&host, host.options(null), &.{&end});
    running.cancel();
    var out: [8]u64 = undefined;
    try expectEqual(.{ 0, abi.status.canceled }, running.next(&out));
    running.close();
    try expectEqual(before, functions.ended);
}

test "a cancelled function ends at its next send, and its defers run" {
    const Counter = FunctionSource("count", functions.count);
    var host: TestHost = .{};
    defer host.deinit();
    const end: u64 = 1 << 40;
    for (0..6) |polls| for ([_]bool{ true, false }) |dropped| {
        var running: Running(Counter, u64) = undefined;
        try running.open(&host, host.options(null), &.{&end});
        var out: [3]u64 = undefined;
        for (0..polls) |_| try expectEqual(.{ out.len, abi.status.ready }, running.next(&out));
        const before = functions.ended;
        if (dropped) running.drop() else {
            running.cancel();
            running.cancel();
            try expectEqual(.{ 0, abi.status.canceled }, running.next(&out));
            running.close();
        }
        try expectEqual(before + @intFromBool(polls > 0), functions.ended);
    };
}

test "bytes go through a pool that is smaller than they are, lent or its own" {
    const Text = FunctionSource("text", functions.text);
    for ([_]u32{ 0, abi.option_spill }) |flags| for ([_]usize{ 1, 3, 64 }) |batch| {
        var pool: testing.TestPool = undefined;
        try pool.init(3, 64);
        defer pool.deinit();
        var host: TestHost = .{};
        defer host.deinit();
        const words: u64 = 500;
        var options = host.options(&pool);
        options.flags = flags;
        var running: Running(Text, Buffer) = undefined;
        try running.open(&host, options, &.{&words});
        var received: std.ArrayList(u8) = .empty;
        defer received.deinit(gpa);
        var out: [64]Buffer = undefined;
        var kept: std.ArrayList(Buffer) = .empty;
        defer kept.deinit(gpa);
        while (true) {
            const n, const status = running.next(out[0..batch]);
            for (out[0..n]) |item| {
                try received.appendSlice(gpa, item.slice());
                // A consumer that keeps everything is served from the heap, if the pool is the stream's own.
                if (flags == 0) item.deinit() else try kept.append(gpa, item);
            }
            if (status == abi.status.done) break;
        }
        for (kept.items) |item| item.deinit();
        running.close();
        pool.waitUnreferenced();
        var expected: std.ArrayList(u8) = .empty;
        defer expected.deinit(gpa);
        for (0..@intCast(words)) |i| try expected.print(gpa, "{d} ", .{i});
        try expected.appendSlice(gpa, "end");
        try std.testing.expectEqualStrings(expected.items, received.items);
    };
}

/// Sends all of `items` to a sink and closes it, as an executor does.
fn sendAll(
    comptime Made: type,
    host: *TestHost,
    handle: abi.RawHandle,
    items: anytype,
    result: anytype,
) !struct { usize, i32 } {
    var waker: testing.TestWaker = .{};
    defer waker.waitUnreferenced();
    const cx = waker.context();
    var sent: usize = 0;
    while (sent < items.len) {
        const seen = waker.wakes.load(.seq_cst);
        var n: usize = 0;
        const status = Made.vtable.send_batch(handle.state.?, &cx, items[sent..].ptr, @min(items.len - sent, 10), &n);
        sent += n;
        if (status == abi.status.ready) continue;
        if (status != abi.status.pending) break;
        host.wait(&waker, seen);
    }
    defer {
        Made.vtable.release(handle.state.?);
        host.reap();
    }
    while (true) {
        const seen = waker.wakes.load(.seq_cst);
        const status = Made.vtable.poll_close(handle.state.?, &cx, result);
        if (status != abi.status.pending) return .{ sent, status };
        host.wait(&waker, seen);
    }
}

test "a sink takes in order, waits when it is busy, and returns its result" {
    const Sum = FunctionSink("sum", functions.sum);
    var host: TestHost = .{};
    defer host.deinit();
    // Up to its end, and with a function that has had enough before.
    for ([_]u32{ 1 << 30, 40 }) |limit| {
        var options = host.options(null);
        options.capacity = 3;
        const handle = try testing.open(Sum, options, &.{&limit});
        var items: [100]u32 = undefined;
        for (&items, 0..) |*item, i| item.* = @intCast(i);
        var result: u64 = 0;
        const sent, const status = try sendAll(Sum, &host, handle, &items, &result);
        try expectEqual(abi.status.done, status);
        // What was not taken is still the sender's, but for what the sink had queued.
        try expectEqual(limit != 40, sent == 100);
        try expectEqual(@as(u64, if (limit == 40) 45 else 4950), result);
    }
}

test "a sink that takes nothing queues its capacity, and drops that when it is dropped" {
    const Hold = FunctionSink("hold", functions.hold);
    var pool: testing.TestPool = undefined;
    try pool.init(4, 10);
    defer pool.deinit();
    var host: TestHost = .{};
    defer host.deinit();
    var waker: testing.TestWaker = .{};
    const cx = waker.context();
    var options = host.options(null);
    options.capacity = 2;
    const handle = try testing.open(Hold, options, &.{});
    var items: [4]Buffer = undefined;
    for (&items) |*item| item.* = try blockOf(&pool, 5);
    var n: usize = 0;
    try expectEqual(abi.status.ready, Hold.vtable.send_batch(handle.state.?, &cx, &items, 1, &n));
    try expectEqual(abi.status.pending, Hold.vtable.send_batch(handle.state.?, &cx, items[1..].ptr, 3, &n));
    try expectEqual(1, n);
    for (items[2..]) |item| item.deinit();
    Hold.vtable.cancel(handle.state.?);
    Hold.vtable.release(handle.state.?);
    waker.waitUnreferenced();
}

fn blockOf(pool: *testing.TestPool, len: usize) !Buffer {
    var ticket: ?*anyopaque = null;
    var raw: abi.RawBuffer = undefined;
    try expectEqual(abi.status.ready, pool.handle.vtable.acquire(&pool.handle, null, &ticket, &raw));
    raw.len = len;
    return .{ .raw = raw };
}

test "a sink of bytes reads them in one piece, and gives them back" {
    const Length = FunctionSink("length", functions.length);
    var pool: testing.TestPool = undefined;
    try pool.init(8, 100);
    defer pool.deinit();
    var host: TestHost = .{};
    defer host.deinit();
    const handle = try testing.open(Length, host.options(null), &.{});
    var items: [8]Buffer = undefined;
    for (&items) |*item| item.* = try blockOf(&pool, 77);
    var result: u64 = 0;
    try expectEqual(.{ 8, abi.status.done }, try sendAll(Length, &host, handle, &items, &result));
    try expectEqual(8 * 77, result);
}

test "without a host, or when asked for, the function has a thread" {
    const Counter = FunctionSource("count", functions.count);
    var host: TestHost = .{};
    defer host.deinit();
    var options = host.options(null);
    options.flags = abi.option_thread;
    const end: u64 = 10;
    var waker: testing.TestWaker = .{};
    const handle = try testing.open(Counter, options, &.{&end});
    try expectEqual(1, host.references.load(.monotonic));
    var out: [64]u64 = undefined;
    var n: usize = 0;
    while (true) {
        const got, const status = testing.next(u64, handle, &waker, &out);
        n += got;
        if (status == abi.status.done) break;
    }
    try expectEqual(10, n);
    Counter.vtable.release(handle.state.?);
    waker.waitUnreferenced();
}
