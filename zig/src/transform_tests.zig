//! Transforms through the tables that Rust uses: two halves, each polled only when it was woken, so that a wake that
//! is lost is a test that ends.

const std = @import("std");
const Io = std.Io;
const abi = @import("abi.zig");
const testing = @import("testing.zig");
const Buffer = @import("buffer.zig").Buffer;
const FunctionTransform = @import("function_transform.zig").FunctionTransform;
const In = @import("in.zig").In;
const Out = @import("out.zig").Out;
const TestHost = @import("testing_host.zig").TestHost;
const coroutines = @import("coroutine/switch.zig").supported;
const gpa = std.testing.allocator;
const expectEqual = std.testing.expectEqual;

const functions = struct {
    var ended: std.atomic.Value(u32) = .init(0);

    /// Twice each item, waiting now and then.
    fn twice(io: Io, in: *In(u32), out: *Out(u64)) !void {
        defer _ = ended.fetchAdd(1, .seq_cst);
        while (try in.next()) |item| {
            if (item % 7 == 0) try io.sleep(.fromMilliseconds(1), .awake);
            try out.send(2 * @as(u64, item));
        }
    }

    /// Each item as often as it says.
    fn repeat(_: Io, in: *In(u32), out: *Out(u64)) !void {
        while (try in.next()) |item| for (0..item) |_| try out.send(item);
    }

    /// Every hundredth.
    fn sieve(_: Io, in: *In(u32), out: *Out(u64)) !void {
        var items: [16]u32 = undefined;
        while (true) {
            const some = try in.nextMany(&items);
            if (some.len == 0) return;
            for (some) |item| if (item % 100 == 0) try out.send(item);
        }
    }

    /// One task receives and another one sends, so that both wait at once.
    fn relay(io: Io, in: *In(u32), out: *Out(u64)) !void {
        var memory: [4]u32 = undefined;
        var queue: Io.Queue(u32) = .init(&memory);
        var receiving = try io.concurrent(receiveInto, .{ io, in, &queue });
        defer receiving.cancel(io) catch {};
        while (queue.getOne(io)) |item| try out.send(item) else |err| if (err == error.Canceled) return err;
        try receiving.await(io);
    }

    fn receiveInto(io: Io, in: *In(u32), queue: *Io.Queue(u32)) !void {
        defer queue.close(io);
        while (try in.next()) |item| try queue.putOne(io, item);
    }

    fn few(_: Io, in: *In(u32), out: *Out(u64), count: u32) !void {
        for (0..count) |_| try out.send(try in.next() orelse return);
        if (count == 13) return in.fail(error.Unlucky, "after {d}", .{count});
    }

    /// Lines of numbers, and what is after the empty one is not its own.
    fn numbers(_: Io, in: *In([]const u8), out: *Out([]const u8)) !void {
        const reader = try in.reader();
        while (try reader.takeDelimiter('\n')) |line| {
            if (line.len == 0) return;
            try out.writer().print("<{d}>", .{try std.fmt.parseInt(u32, line, 10)});
        }
    }
};

const Kind = enum { coroutine, thread };
const kinds: []const Kind = if (coroutines) &.{ .coroutine, .thread } else &.{.thread};

/// A transform with its two halves, and an executor for each.
fn Pair(comptime Made: type, comptime Wire: type, comptime Unwire: type) type {
    return struct {
        const Self = @This();
        const sink = Made.sink_vtable;
        const source = Made.source_vtable;

        host: *TestHost,
        state: *anyopaque,
        sink_waker: testing.TestWaker = .{},
        source_waker: testing.TestWaker = .{},
        /// What the halves saw of their wakers, when they were last polled.
        seen: [2]?u32 = .{ null, null },

        fn open(
            self: *Self,
            host: *TestHost,
            kind: Kind,
            capacity: u64,
            pool: ?*testing.TestPool,
            values: []const *const anyopaque,
        ) !void {
            var options = host.options(pool);
            options.capacity = capacity;
            if (kind == .thread) options.flags |= abi.option_thread;
            const handle = try testing.open(Made, options, values);
            const table: *const abi.TransformVTable = @ptrCast(@alignCast(handle.vtable.?));
            try expectEqual(&Made.sink_vtable, table.sink);
            self.* = .{ .host = host, .state = handle.state.? };
        }

        fn close(self: *Self) void {
            sink.release(self.state);
            source.release(self.state);
            self.host.reap();
            self.sink_waker.waitUnreferenced();
            self.source_waker.waitUnreferenced();
        }

        fn send(self: *Self, items: []const Wire) struct { usize, i32 } {
            self.seen[0] = self.sink_waker.wakes.load(.seq_cst);
            const cx = self.sink_waker.context();
            var n: usize = 0;
            const status = sink.send_batch(self.state, &cx, items.ptr, items.len, &n);
            return .{ n, status };
        }

        fn finish(self: *Self) i32 {
            self.seen[0] = self.sink_waker.wakes.load(.seq_cst);
            const cx = self.sink_waker.context();
            var nothing: u8 = 0;
            return sink.poll_close(self.state, &cx, &nothing);
        }

        fn receive(self: *Self, out: []Unwire) struct { usize, i32 } {
            self.seen[1] = self.source_waker.wakes.load(.seq_cst);
            const cx = self.source_waker.context();
            var n: usize = 0;
            const status = source.poll_batch(self.state, &cx, out.ptr, out.len, &n);
            return .{ n, status };
        }

        /// Until one of the halves that wait was woken. A deadlock ends here, by a timer that there is not.
        fn wait(self: *Self, waiting: [2]bool) void {
            while (true) {
                const wakes = [2]u32{ self.sink_waker.wakes.load(.seq_cst), self.source_waker.wakes.load(.seq_cst) };
                for (wakes, self.seen, waiting) |now, seen, waits| if (waits and now != seen.?) return;
                if (self.host.timerWaits() > 0) self.host.jump() else std.Thread.yield() catch {};
            }
        }

        /// Moves `items` through, `batch` at a time to each half, which is polled when it was woken. Returns how the
        /// source ended.
        fn run(self: *Self, items: []const Wire, received: *std.ArrayList(Unwire), batch: usize) !i32 {
            var sent: usize = 0;
            var out: [64]Unwire = undefined;
            var waiting: [2]bool = .{ false, false };
            var sink_ended = false;
            while (true) {
                if (!sink_ended and (!waiting[0] or self.sink_waker.wakes.load(.seq_cst) != self.seen[0].?)) {
                    if (sent < items.len) {
                        const n, const status = self.send(items[sent..][0..@min(batch, items.len - sent)]);
                        sent += n;
                        waiting[0] = status == abi.status.pending;
                        if (status > abi.status.pending) sink_ended = true;
                    } else {
                        const status = self.finish();
                        waiting[0] = true;
                        if (status != abi.status.pending) sink_ended = true;
                    }
                }
                if (!waiting[1] or self.source_waker.wakes.load(.seq_cst) != self.seen[1].?) {
                    const n, const status = self.receive(out[0..batch]);
                    try received.appendSlice(gpa, out[0..n]);
                    waiting[1] = status == abi.status.pending;
                    if (status > abi.status.pending) return status;
                }
                if ((waiting[0] or sink_ended) and waiting[1]) self.wait(.{ waiting[0] and !sink_ended, true });
            }
        }
    };
}

fn counting(comptime n: usize) [n]u32 {
    var items: [n]u32 = undefined;
    for (&items, 0..) |*item, i| item.* = @intCast(i);
    return items;
}

test "what goes in comes out, whoever polls first, however much fits" {
    const items = counting(500);
    inline for (.{ functions.twice, functions.relay, functions.sieve }, 0..) |function, which| {
        const Made = FunctionTransform("moves", function);
        for (kinds) |kind| for ([_]u64{ 1, 3, 64 }) |capacity| for ([_]usize{ 1, 5, 64 }) |batch| {
            var host: TestHost = .{};
            defer host.deinit();
            var pair: Pair(Made, u32, u64) = undefined;
            try pair.open(&host, kind, capacity, null, &.{});
            var received: std.ArrayList(u64) = .empty;
            defer received.deinit(gpa);
            try expectEqual(abi.status.done, try pair.run(&items, &received, batch));
            pair.close();
            try expectEqual(if (which == 2) 5 else items.len, received.items.len);
            for (received.items, 0..) |item, i| try expectEqual(i * ([_]u64{ 2, 1, 100 })[which], item);
        };
    }
}

test "much may come of little, and no half is ahead by more than the capacity" {
    const Repeat = FunctionTransform("repeat", functions.repeat);
    const items = [_]u32{ 1000, 1, 2000 };
    for (kinds) |kind| {
        var host: TestHost = .{};
        defer host.deinit();
        var pair: Pair(Repeat, u32, u64) = undefined;
        try pair.open(&host, kind, 2, null, &.{});
        var received: std.ArrayList(u64) = .empty;
        defer received.deinit(gpa);
        try expectEqual(abi.status.done, try pair.run(&items, &received, 8));
        pair.close();
        try expectEqual(3001, received.items.len);

        // Nobody reads: what is sent is in the function, and queued.
        try pair.open(&host, kind, 2, null, &.{});
        var sent: usize = 0;
        while (sent < 100) {
            const n, const status = pair.send(&.{5});
            sent += n;
            if (status == abi.status.pending) {
                if (kind == .coroutine) break;
                // A thread fills its output by itself, and then its input.
                if (sent >= 3) break;
                pair.wait(.{ true, false });
            }
        }
        try std.testing.expect(sent <= 4);
        Repeat.sink_vtable.cancel(pair.state);
        pair.close();
    }
}

test "the halves are polled by two threads" {
    const Twice = FunctionTransform("twice", functions.relay);
    const Its = Pair(Twice, u32, u64);
    const items = counting(5_000);
    const Sender = struct {
        fn sendAll(pair: *Its, all: []const u32) void {
            var sent: usize = 0;
            while (sent < all.len) {
                const n, const status = pair.send(all[sent..][0..@min(all.len - sent, 7)]);
                sent += n;
                if (status == abi.status.pending) pair.sink_waker.wait(pair.seen[0].?);
            }
            while (pair.finish() == abi.status.pending) pair.sink_waker.wait(pair.seen[0].?);
        }
    };
    for (kinds) |kind| {
        var host: TestHost = .{};
        defer host.deinit();
        var pair: Its = undefined;
        try pair.open(&host, kind, 3, null, &.{});
        const thread: std.Thread = try .spawn(.{}, Sender.sendAll, .{ &pair, &items });
        var expected: u64 = 0;
        var out: [5]u64 = undefined;
        while (true) {
            const n, const status = pair.receive(&out);
            for (out[0..n]) |item| {
                try expectEqual(expected, item);
                expected += 1;
            }
            if (status > abi.status.pending) break;
            if (status == abi.status.pending) pair.source_waker.wait(pair.seen[1].?);
        }
        thread.join();
        try expectEqual(items.len, expected);
        pair.close();
    }
}

test "a function that has had enough, or fails, gives back what it has not taken" {
    const Few = FunctionTransform("few", functions.few);
    const items = counting(100);
    for (kinds) |kind| for ([_]u32{ 0, 5, 13 }) |count| {
        var host: TestHost = .{};
        defer host.deinit();
        var pair: Pair(Few, u32, u64) = undefined;
        try pair.open(&host, kind, 8, null, &.{&count});
        // All that fits, before anything is read.
        var sent: usize = 0;
        while (sent < items.len) {
            const n, const status = pair.send(items[sent..]);
            sent += n;
            if (status != abi.status.ready) break;
        }
        var out: [64]u64 = undefined;
        var got: usize = 0;
        const status = while (true) {
            const n, const status = pair.receive(out[got..]);
            got += n;
            if (status > abi.status.pending) break status;
            if (status == abi.status.pending) pair.wait(.{ true, true });
            sent += pair.send(items[sent..])[0];
        };
        try expectEqual(if (count == 13) abi.status.failed else abi.status.done, status);
        // One half may be told before the other.
        while (pair.finish() == abi.status.pending) pair.wait(.{ true, false });
        try expectEqual(status, pair.finish());
        try expectEqual(count, got);
        var back: [100]u32 = undefined;
        var n: usize = 0;
        while (true) {
            const taken = Few.sink_vtable.take_back.?(pair.state, &back[n], 3);
            if (taken == 0) break;
            n += taken;
        }
        try expectEqual(sent, got + n);
        for (back[0..n], got..) |item, i| try expectEqual(i, item);
        if (count == 13) {
            var record: abi.ErrorRecord = undefined;
            Few.source_vtable.last_error(pair.state, &record);
            try std.testing.expectEqualStrings("Unlucky", record.name.get());
            try std.testing.expectEqualStrings("after 13", record.message.get());
            try std.testing.expectEqualStrings("few", record.function.get());
        }
        pair.close();
    };
}

test "bytes in and bytes out, and what was received and not read is given back" {
    const Numbers = FunctionTransform("numbers", functions.numbers);
    for (kinds) |kind| {
        var host: TestHost = .{};
        defer host.deinit();
        var pool: testing.TestPool = undefined;
        try pool.init(2, 16);
        defer pool.deinit();
        var pair: Pair(Numbers, Buffer, Buffer) = undefined;
        try pair.open(&host, kind, 4, &pool, &.{});
        const texts = [_][]const u8{ "1\n22", "\n333\n4444\n5\n", "\nand more", " that is", " not its own" };
        var items: [texts.len]Buffer = undefined;
        for (&items, texts) |*item, text| item.* = try .initCopy(text);
        var sent: usize = 0;
        var text: std.ArrayList(u8) = .empty;
        defer text.deinit(gpa);
        while (true) {
            if (sent < items.len) sent += pair.send(items[sent..])[0];
            var out: [2]Buffer = undefined;
            const n, const status = pair.receive(&out);
            for (out[0..n]) |buffer| {
                try text.appendSlice(gpa, buffer.slice());
                buffer.deinit();
            }
            if (status > abi.status.pending) break;
            if (status == abi.status.pending) pair.wait(.{ sent < items.len, true });
        }
        try std.testing.expectEqualStrings("<1><22><333><4444><5>", text.items);
        text.clearRetainingCapacity();
        var back: [8]Buffer = undefined;
        var n = Numbers.sink_vtable.take_back.?(pair.state, &back, 1);
        n += Numbers.sink_vtable.take_back.?(pair.state, &back[n], 7);
        for (back[0..n]) |buffer| {
            try text.appendSlice(gpa, buffer.slice());
            buffer.deinit();
        }
        for (items[sent..]) |buffer| {
            try text.appendSlice(gpa, buffer.slice());
            buffer.deinit();
        }
        try std.testing.expectEqualStrings("and more that is not its own", text.items);
        pair.close();
        pool.waitUnreferenced();
    }
}

test "either half cancels, and nothing is left" {
    const Twice = FunctionTransform("twice", functions.twice);
    for (kinds) |kind| for (0..2) |half| for (0..6) |polls| {
        var host: TestHost = .{};
        defer host.deinit();
        var pair: Pair(Twice, u32, u64) = undefined;
        try pair.open(&host, kind, 2, null, &.{});
        const before = functions.ended.load(.seq_cst);
        var out: [1]u64 = undefined;
        for (0..polls) |i| if (i % 2 == 0) {
            _ = pair.send(&.{ 1, 2 });
        } else {
            _ = pair.receive(&out);
        };
        if (half == 0) Twice.sink_vtable.cancel(pair.state) else Twice.source_vtable.cancel(pair.state);
        // The other one is told.
        const status = while (true) {
            const status = if (half == 0) pair.receive(&out)[1] else pair.finish();
            if (status > abi.status.pending) break status;
            if (status == abi.status.pending) pair.wait(.{ half == 1, half == 0 });
        };
        try expectEqual(abi.status.canceled, status);
        pair.close();
        const started: u32 = @intFromBool(polls > 0);
        while (functions.ended.load(.seq_cst) != before + started) std.Thread.yield() catch {};
    };
}
