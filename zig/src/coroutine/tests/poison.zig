//! Coroutines that panic: alone, with others in every kind of wait, and where that is not contained.
//!
//! The panic handler is called as the compiler's checks do: a test program has one of its own. What the checks
//! themselves say is for tests with a library that Rust has built.

const std = @import("std");
const Io = std.Io;
const abi = @import("../../abi.zig");
const heap = @import("../../heap.zig");
const panic = @import("../../panic.zig").panicHandler;
const poison = @import("../poison.zig");
const reaper = @import("../reaper.zig");
const script = @import("script.zig");
const testing = @import("../../testing.zig");
const Buffer = @import("../../buffer.zig").Buffer;
const FunctionSink = @import("../../function_sink.zig").FunctionSink;
const FunctionSource = @import("../../function_source.zig").FunctionSource;
const Capture = @import("fatal.zig").Capture;
const In = @import("../../in.zig").In;
const Out = @import("../../out.zig").Out;
const Running = @import("../../testing_host.zig").Running;
const TestHost = @import("../../testing_host.zig").TestHost;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectEqualStrings = std.testing.expectEqualStrings;
const pause = script.pause;

pub fn poisoned(host: *TestHost, pool: ?*testing.TestPool) abi.OpenOptions {
    var how = host.options(pool);
    how.flags |= abi.option_poison;
    return how;
}

pub fn expectPanic(comptime Made: type, handle: abi.RawHandle, message: []const u8) !void {
    var record: abi.ErrorRecord = undefined;
    Made.vtable.last_error(handle.state.?, &record);
    try expectEqualStrings(message, record.message.get());
}

/// The host has nothing of a task's any more, although nobody has dropped it.
fn expectNothingHeld(host: *TestHost) !void {
    try expectEqual(0, host.timers.items.len);
    try expectEqual(0, host.descriptors.items.len);
}

test "what was sent before comes first, then the panic, and nothing else is touched" {
    const functions = struct {
        var defers: u32 = 0;
        fn run(io: Io, out: *Out(u64), which: u32) !void {
            defer defers += 1;
            for (0..20) |i| {
                try out.send(i);
                if (which == 7 and i == 4) panic("at four", null);
                try pause(io, 1);
            }
        }
    };
    const Made = FunctionSource("panics", functions.run);
    for ([_]usize{ 1, 3, 64 }) |batch| {
        functions.defers = 0;
        var host: TestHost = .{};
        defer host.deinit();
        var all: [12]Running(Made, u64) = undefined;
        for (&all, 0..) |*running, i| {
            const which: u32 = @intCast(i);
            try running.open(&host, poisoned(&host, null), &.{&which});
        }
        for (&all, 0..) |*running, i| {
            var items: std.ArrayList(u64) = .empty;
            defer items.deinit(std.testing.allocator);
            const status = try running.collect(&items, batch);
            for (items.items, 0..) |item, n| try expectEqual(n, item);
            try expectEqual(if (i == 7) abi.status.panicked else abi.status.done, status);
            try expectEqual(@as(usize, if (i == 7) 5 else 20), items.items.len);
            if (i == 7) {
                try expectPanic(Made, running.handle, "at four");
                // It is over: a further poll says so, and runs nothing.
                var out: [1]u64 = undefined;
                try expectEqual(.{ 0, abi.status.panicked }, running.poll(&out));
                running.cancel();
            }
        }
        for (&all, 0..) |*running, i| if (i != 7) running.close();
        try expectNothingHeld(&host);
        all[7].close();
        try expectEqual(all.len - 1, functions.defers);
    }
}

test "a panic on the way to the poll that a slice was filled for" {
    const functions = struct {
        fn run(_: Io, out: *Out(u64)) !void {
            try out.send(1);
            // As far as an overflow in `pauseFull` would have come.
            @import("../current.zig").get().?.slots.full = true;
            panic("on the way", null);
        }
    };
    const Made = FunctionSource("on_the_way", functions.run);
    var host: TestHost = .{};
    defer host.deinit();
    var running: Running(Made, u64) = undefined;
    try running.open(&host, poisoned(&host, null), &.{});
    var out: [2]u64 = undefined;
    try expectEqual(.{ 1, abi.status.ready }, running.poll(&out));
    try expectEqual(.{ 0, abi.status.panicked }, running.poll(&out));
    try expectPanic(Made, running.handle, "on the way");
    running.close();
}

/// A sibling in every kind of wait, while another fiber, or the function itself, panics.
const siblings = struct {
    var defers: u32 = 0;
    var event: Io.Event = .unset;
    const kinds = 9;

    fn run(io: Io, out: *Out(u64), kind: u32, child_panics: u32) !void {
        defer defers += 1;
        var group: Io.Group = .init;
        try group.concurrent(io, wait, .{ io, out, kind });
        if (child_panics != 0) try group.concurrent(io, panicLate, .{io}) else try panicLate(io);
        try group.await(io);
    }

    fn panicLate(io: Io) Io.Cancelable!void {
        try pause(io, 5);
        panic("late", null);
    }

    fn wait(io: Io, out: *Out(u64), kind: u32) Io.Cancelable!void {
        defer defers += 1;
        waitFor(io, out, kind) catch return error.Canceled;
    }

    fn waitFor(io: Io, out: *Out(u64), kind: u32) !void {
        switch (kind) {
            0 => while (true) try out.send(0),
            1 => try pause(io, 1_000_000_000),
            2 => try event.wait(io),
            3 => {
                var own: Io.Event = .unset;
                own.waitUncancelable(io);
            },
            4 => {
                var future = try io.concurrent(sleeps, .{io});
                try future.await(io);
            },
            5 => {
                var group: Io.Group = .init;
                for (0..3) |_| group.async(io, sleeps, .{io});
                try group.await(io);
            },
            6 => {
                const address: Io.net.IpAddress = .{ .ip4 = .loopback(0) };
                var server = try address.listen(io, .{});
                _ = try server.accept(io);
            },
            7 => {
                // A wait for a word and for a time.
                try event.waitTimeout(io, .{ .duration = .{ .raw = .fromSeconds(1_000_000), .clock = .awake } });
            },
            8 => {
                // Ready all the time.
                while (true) try io.checkCancel();
            },
            else => unreachable,
        }
    }

    fn sleeps(io: Io) Io.Cancelable!void {
        defer defers += 1;
        try pause(io, 1_000_000_000);
    }
};

test "a panic of any fiber ends all of its task's, whatever they wait for" {
    const Made = FunctionSource("siblings", siblings.run);
    for (0..siblings.kinds) |kind_index| for ([_]u32{ 0, 1 }) |child_panics| for ([_]bool{ true, false }) |dropped| {
        siblings.defers = 0;
        siblings.event = .unset;
        var host: TestHost = .{};
        defer host.deinit();
        const kind: u32 = @intCast(kind_index);
        var running: Running(Made, u64) = undefined;
        try running.open(&host, poisoned(&host, null), &.{ &kind, &child_panics });
        var out: [2]u64 = undefined;
        while (true) {
            _, const status = running.poll(&out);
            if (status == abi.status.panicked) break;
            try expect(status == abi.status.ready or status == abi.status.pending);
            // Some are always ready, so that nothing else makes time pass.
            if (host.timers.items.len > 0) host.jump();
        }
        try expectPanic(Made, running.handle, "late");
        try expectNothingHeld(&host);
        // Nobody is in the table any more: this wakes none of those that are gone.
        siblings.event.set(.{ .userdata = null, .vtable = &@import("../io.zig").vtable });
        if (dropped) running.drop() else running.close();
        try expectEqual(0, siblings.defers);
    };
}

test "a wake that a fiber has got and does not live to see is the next one's" {
    const shared = struct {
        var word: u32 = 0;
        fn waits(io: Io) Io.Cancelable!void {
            try io.futexWait(u32, &word, 0);
        }
        fn doomed(io: Io, out: *Out(u64)) !void {
            var group: Io.Group = .init;
            try group.concurrent(io, waits, .{io});
            // The other one runs in between.
            try out.send(1);
            try out.send(2);
            // The poll that goes on here finds the other fiber woken, too.
            panic("too late for the wake", null);
        }
        fn survivor(io: Io, out: *Out(u64)) !void {
            try io.futexWait(u32, &word, 0);
            try out.send(3);
        }
    };
    const Doomed = FunctionSource("doomed", shared.doomed);
    const Survivor = FunctionSource("survivor", shared.survivor);
    var host: TestHost = .{};
    defer host.deinit();
    var doomed: Running(Doomed, u64) = undefined;
    try doomed.open(&host, poisoned(&host, null), &.{});
    var survivor: Running(Survivor, u64) = undefined;
    try survivor.open(&host, poisoned(&host, null), &.{});
    var out: [1]u64 = undefined;
    // Its fiber is the first in the queue.
    for (0..2) |_| try expectEqual(.{ 1, abi.status.ready }, doomed.poll(&out));
    try expectEqual(.{ 0, abi.status.pending }, survivor.poll(&out));
    @import("../futex.zig").wake(&shared.word, 1);
    const wakes = survivor.waker.wakes.load(.seq_cst);
    try expectEqual(.{ 0, abi.status.panicked }, doomed.poll(&out));
    try expectEqual(wakes + 1, survivor.waker.wakes.load(.seq_cst));
    try expectEqual(.{ 1, abi.status.ready }, survivor.next(&out));
    try expectEqual(.{ 0, abi.status.done }, survivor.next(&out));
    doomed.close();
    survivor.close();
}

test "an offloaded call that is under way keeps its memory" {
    const functions = struct {
        fn reads(io: Io, path: []const u8) void {
            // Its argument, its buffers, the call itself: all of it is there when the thread comes to it.
            var buffer: [64]u8 = undefined;
            _ = Io.Dir.cwd().readFile(io, path, &buffer) catch {};
        }
        fn run(io: Io, out: *Out(u64), path: []const u8) !void {
            var group: Io.Group = .init;
            try group.concurrent(io, reads, .{ io, path });
            try out.send(1);
            panic("while a file is opened", null);
        }
    };
    const Made = FunctionSource("offloads", functions.run);
    var memory: std.testing.FailingAllocator = .init(std.testing.allocator, .{});
    heap.replacement = memory.allocator();
    defer heap.replacement = null;
    var host: TestHost = .{};
    defer host.deinit();
    host.gate.store(.closed, .release);
    var running: Running(Made, u64) = undefined;
    const path: abi.Slice = .of("/etc/hostname");
    try running.open(&host, poisoned(&host, null), &.{&path});
    var out: [1]u64 = undefined;
    try expectEqual(.{ 1, abi.status.ready }, running.next(&out));
    // The file is about to be opened, on another thread.
    try expectEqual(.{ 0, abi.status.panicked }, running.next(&out));
    try expectEqual(1, host.jobs.load(.acquire));
    Made.vtable.release(running.handle.state.?);
    // The job has the last reference.
    try expect(memory.deallocations < memory.allocations);
    host.gate.store(.open, .release);
    while (host.jobs.load(.acquire) > 0) std.Thread.yield() catch {};
    try expectEqual(memory.allocations, memory.deallocations);
}

test "an orphan that panics does not take the reaper down" {
    const functions = struct {
        fn atOnce(_: Io, out: *Out(u64)) !void {
            defer panic("in a defer", null);
            while (true) try out.send(1);
        }
        fn later(io: Io, out: *Out(u64)) !void {
            defer {
                pause(io, 10) catch {};
                panic("in a defer that waits", null);
            }
            while (true) try out.send(1);
        }
    };
    inline for (.{ functions.atOnce, functions.later }) |function| for ([_]bool{ false, true }) |refuse| {
        const Made = FunctionSource("orphan", function);
        var host: TestHost = .{ .refuse_drive = refuse };
        defer host.deinit();
        var running: Running(Made, u64) = undefined;
        try running.open(&host, poisoned(&host, null), &.{});
        var out: [1]u64 = undefined;
        _ = running.poll(&out);
        var said: [400]u8 = undefined;
        const capture: Capture = try .begin();
        Made.vtable.cancel(running.handle.state.?);
        Made.vtable.release(running.handle.state.?);
        if (refuse) {
            if (function == functions.later) {
                while (host.timerWaits() == 0) std.Thread.yield() catch {};
                host.jump();
            }
            while (reaper.count() > 0) std.Thread.yield() catch {};
        } else host.reap();
        const text = capture.end(&said);
        try expect(std.mem.startsWith(u8, text, "ziggurat: panic in the Zig function `orphan` (stream 0x"));
        try expect(std.mem.indexOf(u8, text, "), which was dropped: in a defer") != null);
        try expectEqual(0, reaper.count());
        running.waker.waitUnreferenced();
    };
}

test "a sink that panics says so to whoever sends or closes, and gives back what it was sent" {
    const functions = struct {
        fn numbers(_: Io, in: *In(u32), limit: u32) !u64 {
            var sum: u64 = 0;
            while (try in.next()) |item| {
                sum += item;
                if (sum >= limit) panic("too much", null);
            }
            panic("at the end", null);
        }
        fn bytes(_: Io, in: *In([]const u8)) !void {
            _ = try in.next();
            const reader = try in.reader();
            _ = reader.takeByte() catch return error.Canceled;
            panic("with one in hand", null);
        }
    };
    const Sum = FunctionSink("numbers", functions.numbers);
    for ([_]u32{ 3, 1000 }) |limit| {
        var host: TestHost = .{};
        defer host.deinit();
        var waker: testing.TestWaker = .{};
        const cx = waker.context();
        const handle = try testing.open(Sum, poisoned(&host, null), &.{&limit});
        const items = [_]u32{ 1, 1, 1, 1, 1 };
        var n: usize = 0;
        const status = Sum.vtable.send_batch(handle.state.?, &cx, &items, items.len, &n);
        var result: u64 = undefined;
        if (limit == 3) {
            // What was not taken is still the sender's.
            try expectEqual(.{ 3, abi.status.panicked }, .{ n, status });
        } else try expectEqual(.{ 5, abi.status.ready }, .{ n, status });
        try expectEqual(abi.status.panicked, Sum.vtable.poll_close(handle.state.?, &cx, &result));
        try expectPanic(Sum, handle, if (limit == 3) "too much" else "at the end");
        Sum.vtable.release(handle.state.?);
        waker.waitUnreferenced();
    }
    const Bytes = FunctionSink("bytes", functions.bytes);
    var host: TestHost = .{};
    defer host.deinit();
    var waker: testing.TestWaker = .{};
    const cx = waker.context();
    const handle = try testing.open(Bytes, poisoned(&host, null), &.{});
    var items: [4]Buffer = undefined;
    for (&items) |*item| item.* = .{ .raw = .{
        .ptr = @constCast("ab"),
        .len = 2,
        .cap = 2,
        .@"align" = 1,
        .release = &Counted.release,
        .ctx = null,
    } };
    var n: usize = 0;
    const status = Bytes.vtable.send_batch(handle.state.?, &cx, &items, items.len, &n);
    try expectEqual(.{ 2, abi.status.panicked }, .{ n, status });
    for (items[n..]) |item| item.deinit();
    Bytes.vtable.release(handle.state.?);
    try expectEqual(items.len, Counted.released);
    waker.waitUnreferenced();
}

const Counted = struct {
    var released: usize = 0;
    fn release(_: ?*anyopaque, _: ?[*]u8, _: usize, _: usize) callconv(.c) void {
        released += 1;
    }
};

test "a source of bytes gives its blocks back, and what waited for one is forgotten" {
    const functions = struct {
        fn run(io: Io, out: *Out([]const u8), how: u32) !void {
            if (how == 1) {
                var group: Io.Group = .init;
                try group.concurrent(io, sends, .{out});
                try pause(io, 1);
                panic("while a child waits for a block", null);
            }
            try out.send("first");
            try out.writer().writeAll("unsent");
            panic("with a block in work", null);
        }
        fn sends(out: *Out([]const u8)) Io.Cancelable!void {
            while (true) out.send("as large as a block is") catch return error.Canceled;
        }
    };
    const Made = FunctionSource("bytes", functions.run);
    for ([_]u32{ 0, 1 }) |how| {
        var host: TestHost = .{};
        defer host.deinit();
        var pool: testing.TestPool = undefined;
        try pool.init(2, 24);
        defer pool.deinit();
        var running: Running(Made, Buffer) = undefined;
        try running.open(&host, poisoned(&host, &pool), &.{&how});
        var kept: [8]Buffer = undefined;
        var n: usize = 0;
        while (true) {
            const got, const status = running.next(kept[n..]);
            n += got;
            if (status == abi.status.panicked) break;
            try expectEqual(abi.status.ready, status);
        }
        try expectEqual(@as(usize, if (how == 0) 1 else 2), n);
        try expectEqual(null, pool.waiter);
        running.close();
        for (kept[0..n]) |item| item.deinit();
        pool.waitUnreferenced();
    }
}

test "a long message is cut" {
    const long: [2000]u8 = @splat('x');
    const Made = FunctionSource("long", struct {
        fn run(_: Io, _: *Out(u64)) !void {
            panic(&long, null);
        }
    }.run);
    var host: TestHost = .{};
    defer host.deinit();
    var running: Running(Made, u64) = undefined;
    try running.open(&host, poisoned(&host, null), &.{});
    var out: [1]u64 = undefined;
    try expectEqual(.{ 0, abi.status.panicked }, running.next(&out));
    try expectPanic(Made, running.handle, long[0..poison.max_message]);
    running.close();
}

test "where it cannot be kept, the promise is not made" {
    const Made = FunctionSource("refused", struct {
        fn run(_: Io, _: *Out(u64)) !void {}
    }.run);
    const Machine = @import("../../poll_source.zig").PollSource("machine", struct {
        pub const Item = u64;
        pub fn init() @This() {
            return .{};
        }
        pub fn poll(_: *@This(), _: *@import("../../poll_source.zig").Context, _: []u64) @import("../../poll_source.zig").Poll {
            return .{ .done = 0 };
        }
    });
    var host: TestHost = .{};
    defer host.deinit();
    var on_thread = poisoned(&host, null);
    on_thread.flags |= abi.option_thread;
    var without_host = poisoned(&host, null);
    without_host.host = null;
    inline for (.{ Made, Made, Machine }, .{ on_thread, without_host, poisoned(&host, null) }) |M, how| {
        var handle: abi.RawHandle = undefined;
        var record: abi.ErrorRecord = undefined;
        try expectEqual(abi.status.failed, M.open(&how, &.{}, 0, &handle, &record));
        try expectEqualStrings("PoisonUnsupported", record.name.get());
    }
}
