//! Tasks on several threads, and a task on several threads in turn.

const std = @import("std");
const Io = std.Io;
const abi = @import("../../abi.zig");
const current = @import("../current.zig");
const heap = @import("../../heap.zig");
const script = @import("script.zig");
const testing = @import("../../testing.zig");
const Buffer = @import("../../buffer.zig").Buffer;
const Parker = @import("../../channel/parker.zig").Parker;
const Running = @import("../../testing_host.zig").Running;
const TestHost = @import("../../testing_host.zig").TestHost;
const expectEqual = std.testing.expectEqual;
const pause = script.pause;

/// Drives a task from a thread of its own.
fn drive(comptime function: fn (Io) anyerror!u64, host: *TestHost, sum: *std.atomic.Value(u64)) void {
    const Made = script.Script(function);
    var waker: testing.TestWaker = .{};
    const handle = testing.open(Made, host.options(null), &.{}) catch unreachable;
    var out: [1]u64 = undefined;
    while (true) {
        const n, const status = testing.next(u64, handle, &waker, &out);
        if (n > 0) _ = sum.fetchAdd(out[0], .monotonic);
        if (status == abi.status.done) break;
        if (status != abi.status.ready) unreachable;
    }
    Made.vtable.release(handle.state.?);
    waker.waitUnreferenced();
}

test "tasks on several threads share a queue and a mutex, and no wake is lost" {
    const shared = struct {
        var buffer: [3]u64 = undefined;
        var queue: Io.Queue(u64) = undefined;
        var mutex: Io.Mutex = .init;
        var producers: u32 = 0;
        var seen: u64 = 0;
        fn run(io: Io) !u64 {
            try mutex.lock(io);
            const number = producers;
            producers += 1;
            mutex.unlock(io);
            if (number % 2 == 1) {
                for (0..5000) |i| queue.putOne(io, i) catch return error.Canceled;
                return 0;
            }
            var total: u64 = 0;
            for (0..5000) |_| {
                total += queue.getOne(io) catch return error.Canceled;
                try mutex.lock(io);
                seen += 1;
                mutex.unlock(io);
            }
            return total;
        }
    };
    for (0..5) |_| {
        shared.queue = .init(&shared.buffer);
        shared.producers = 0;
        shared.seen = 0;
        var host: TestHost = .{};
        defer host.deinit();
        var sum: std.atomic.Value(u64) = .init(0);
        var threads: [4]std.Thread = undefined;
        for (&threads) |*thread| thread.* = try .spawn(.{}, drive, .{ shared.run, &host, &sum });
        for (threads) |thread| thread.join();
        try expectEqual(2 * 4999 * 2500, sum.raw);
        try expectEqual(10_000, shared.seen);
    }
}

test "a wake of a task that ends, and is freed, meanwhile" {
    // One task wakes the other one's last wait, over and over: the waker's own reference is all that keeps
    // the task's memory while it is still in there.
    const pair = struct {
        var event: Io.Event = .unset;
        fn waits(io: Io) !u64 {
            try event.wait(io);
            return 1;
        }
        fn waiter(host: *TestHost, sum: *std.atomic.Value(u64)) void {
            drive(waits, host, sum);
        }
    };
    var host: TestHost = .{};
    defer host.deinit();
    var sum: std.atomic.Value(u64) = .init(0);
    const turns = 500;
    for (0..turns) |_| {
        pair.event = .unset;
        var threads: [2]std.Thread = undefined;
        for (&threads) |*thread| thread.* = try .spawn(.{}, pair.waiter, .{ &host, &sum });
        std.Thread.yield() catch {};
        // From a thread that polls nothing.
        pair.event.set(.{ .userdata = null, .vtable = &@import("../io.zig").vtable });
        for (threads) |thread| thread.join();
    }
    try expectEqual(2 * turns, sum.raw);
}

/// Is in the middle of a wake until it is told to go on.
const SlowWaker = struct {
    handle: abi.WakerHandle = .{ .vtable = &vtable },
    stage: std.atomic.Value(enum(u32) { idle, armed, inside, leave }) = .init(.idle),

    const vtable: abi.WakerVTable = .{
        .header = .of(abi.WakerVTable),
        .retain = &nothing,
        .release = &nothing,
        .wake = &wake,
    };

    fn nothing(_: *const abi.WakerHandle) callconv(.c) void {}

    fn wake(handle: *const abi.WakerHandle) callconv(.c) void {
        const w: *SlowWaker = @alignCast(@constCast(@fieldParentPtr("handle", handle)));
        if (w.stage.cmpxchgStrong(.armed, .inside, .seq_cst, .seq_cst) != null) return;
        while (w.stage.load(.seq_cst) != .leave) std.Thread.yield() catch {};
    }
};

test "whoever wakes a task keeps it until it is done with it" {
    const waits = struct {
        var word: u32 = 0;
        fn run(io: Io) !u64 {
            try io.futexWait(u32, &word, 0);
            return 1;
        }
        fn wake() void {
            @import("../futex.zig").wake(&word, 1);
        }
    };
    const Made = script.Script(waits.run);
    var memory: std.testing.FailingAllocator = .init(std.testing.allocator, .{});
    heap.replacement = memory.allocator();
    defer heap.replacement = null;
    var host: TestHost = .{};
    defer host.deinit();
    var waker: SlowWaker = .{};
    const cx: abi.PollContext = .{ .struct_size = @sizeOf(abi.PollContext), .reserved = 0, .waker = &waker.handle };
    const handle = try testing.open(Made, host.options(null), &.{});
    var out: [1]u64 = undefined;
    var n: usize = 0;
    try expectEqual(abi.status.pending, Made.vtable.poll_batch(handle.state.?, &cx, &out, 1, &n));
    waker.stage.store(.armed, .seq_cst);
    const thread: std.Thread = try .spawn(.{}, waits.wake, .{});
    while (waker.stage.load(.seq_cst) != .inside) std.Thread.yield() catch {};
    // The task runs to its end, and everybody else lets go of it, while the other thread is in the wake.
    while (Made.vtable.poll_batch(handle.state.?, &cx, &out, 1, &n) != abi.status.done) {}
    Made.vtable.release(handle.state.?);
    try expectEqual(memory.allocations, memory.deallocations + 1);
    waker.stage.store(.leave, .seq_cst);
    thread.join();
    try expectEqual(memory.allocations, memory.deallocations);
}

/// Drops what it wakes, as that of an executor does which is no more.
const DroppingWaker = struct {
    handle: abi.WakerHandle = .{ .vtable = &vtable },
    references: std.atomic.Value(u32) = .init(1),
    table: *const abi.SourceVTable,
    dropped: ?abi.RawHandle = null,

    const vtable: abi.WakerVTable = .{
        .header = .of(abi.WakerVTable),
        .retain = &retain,
        .release = &release,
        .wake = &wake,
    };

    fn of(handle: *const abi.WakerHandle) *DroppingWaker {
        return @alignCast(@constCast(@fieldParentPtr("handle", handle)));
    }

    fn retain(handle: *const abi.WakerHandle) callconv(.c) void {
        _ = of(handle).references.fetchAdd(1, .monotonic);
    }

    fn release(handle: *const abi.WakerHandle) callconv(.c) void {
        _ = of(handle).references.fetchSub(1, .acq_rel);
    }

    fn wake(handle: *const abi.WakerHandle) callconv(.c) void {
        const w = of(handle);
        const its = w.dropped orelse return;
        w.dropped = null;
        w.table.cancel(its.state.?);
        w.table.release(its.state.?);
        // Whoever called still holds it.
        std.debug.assert(w.references.load(.acquire) > 1);
    }
};

test "a waker may drop what it wakes" {
    const functions = struct {
        var word: u32 = 0;
        var parker: *const abi.WakerHandle = undefined;
        var ended: u32 = 0;

        fn byWord(io: Io) !u64 {
            defer ended += 1;
            try io.futexWait(u32, &word, 0);
            // What is left of it is done by nobody's waker.
            try pause(io, 1);
            return 1;
        }

        fn wakeByWord() void {
            @import("../futex.zig").wake(&word, 1);
        }

        /// As on a channel.
        fn byParker(io: Io) !u64 {
            defer ended += 1;
            const p: *Parker = try .create(io);
            defer p.destroy();
            parker = &p.handle;
            parker.vtable.retain(parker);
            p.arm();
            try p.sleep();
            return 1;
        }

        fn wakeByParker() void {
            parker.vtable.wake(parker);
            parker.vtable.release(parker);
        }
    };
    try dropByWake(functions.byWord, functions.wakeByWord);
    try dropByWake(functions.byParker, functions.wakeByParker);
    try expectEqual(2, functions.ended);
}

fn dropByWake(comptime function: fn (Io) anyerror!u64, wake: *const fn () void) !void {
    const Made = script.Script(function);
    var host: TestHost = .{};
    defer host.deinit();
    var waker: DroppingWaker = .{ .table = &Made.vtable };
    const cx: abi.PollContext = .{ .struct_size = @sizeOf(abi.PollContext), .reserved = 0, .waker = &waker.handle };
    const handle = try testing.open(Made, host.options(null), &.{});
    var out: [1]u64 = undefined;
    var n: usize = 0;
    try expectEqual(abi.status.pending, Made.vtable.poll_batch(handle.state.?, &cx, &out, 1, &n));
    waker.dropped = handle;
    wake();
    host.reap();
    try expectEqual(1, waker.references.raw);
}

/// What other threads do while a poll is about to wait.
const amid = struct {
    var handle: abi.RawHandle = undefined;
    var block: abi.RawBuffer = undefined;

    fn sleeps(io: Io) !u64 {
        try pause(io, 1_000_000);
        return 1;
    }
    const Sleeps = script.Script(sleeps);

    fn cancel() void {
        Sleeps.vtable.cancel(handle.state.?);
    }

    fn takes(io: Io, out: *@import("../../out.zig").Out([]const u8)) !void {
        var sleeping = try io.concurrent(sleeps, .{io});
        defer _ = sleeping.cancel(io) catch {};
        try out.send("a block");
    }
    const Takes = @import("../../function_source.zig").FunctionSource("takes", takes);

    fn giveBack() void {
        (Buffer{ .raw = block }).deinit();
    }
};

test "a cancelation amid a poll is not missed" {
    var host: TestHost = .{};
    defer host.deinit();
    var running: Running(amid.Sleeps, u64) = undefined;
    try running.open(&host, host.options(null), &.{});
    amid.handle = running.handle;
    host.meanwhile = &amid.cancel;
    var out: [1]u64 = undefined;
    try expectEqual(.{ 0, abi.status.canceled }, running.poll(&out));
    running.close();
}

test "a block that comes home amid a poll is not missed" {
    var host: TestHost = .{};
    defer host.deinit();
    var pool: testing.TestPool = undefined;
    try pool.init(1, 64);
    defer pool.deinit();
    var ticket: ?*anyopaque = null;
    try expectEqual(abi.status.ready, pool.handle.vtable.acquire(&pool.handle, null, &ticket, &amid.block));
    var running: Running(amid.Takes, Buffer) = undefined;
    try running.open(&host, host.options(&pool), &.{});
    host.meanwhile = &amid.giveBack;
    var out: [1]Buffer = undefined;
    try expectEqual(.{ 1, abi.status.ready }, running.poll(&out));
    out[0].deinit();
    try expectEqual(.{ 0, abi.status.done }, running.next(&out));
    running.close();
    pool.waitUnreferenced();
}

test "a storm of wakes from several threads loses none" {
    const storm = struct {
        const tasks = 6;
        const wakers = 3;
        const each = 3000;
        var permits: [tasks]u32 = @splat(0);
        var next: std.atomic.Value(u32) = .init(0);

        /// Takes what there is, and waits for more.
        fn run(io: Io) !u64 {
            const word = &permits[next.fetchAdd(1, .monotonic)];
            var got: u64 = 0;
            while (got < wakers * each) {
                const now = @atomicRmw(u32, word, .Xchg, 0, .seq_cst);
                if (now == 0) try io.futexWait(u32, word, 0);
                got += now;
            }
            return got;
        }

        /// Wakes everybody over and over, and also those who have gone.
        fn wake() void {
            for (0..each) |i| for (&permits) |*word| {
                _ = @atomicRmw(u32, word, .Add, 1, .seq_cst);
                @import("../futex.zig").wake(word, if (i % 2 == 0) 1 else std.math.maxInt(u32));
            };
        }
    };
    storm.permits = @splat(0);
    storm.next.store(0, .monotonic);
    var host: TestHost = .{};
    defer host.deinit();
    var sum: std.atomic.Value(u64) = .init(0);
    var pollers: [storm.tasks]std.Thread = undefined;
    for (&pollers) |*thread| thread.* = try .spawn(.{}, drive, .{ storm.run, &host, &sum });
    var wakers: [storm.wakers]std.Thread = undefined;
    for (&wakers) |*thread| thread.* = try .spawn(.{}, storm.wake, .{});
    for (wakers) |thread| thread.join();
    for (pollers) |thread| thread.join();
    try expectEqual(storm.tasks * storm.wakers * storm.each, sum.raw);
}

test "a task goes on on whatever thread polls it" {
    const wanders = struct {
        const Out = @import("../../out.zig").Out;
        fn run(io: Io, out: *Out(u64), turns: u32) !void {
            var word: u32 = 0;
            for (0..turns) |i| {
                // An address of the thread before, kept in a register across `send`, would say otherwise.
                if (@as(?*anyopaque, current.get()) != io.userdata) return error.StaleThread;
                try out.send(i);
                if (@as(?*anyopaque, current.get()) != io.userdata) return error.StaleThread;
                io.futexWake(u32, &word, 1);
                if (i % 3 == 0) try pause(io, 1);
            }
        }
    };
    const Made = @import("../../function_source.zig").FunctionSource("wanders", wanders.run);
    var host: TestHost = .{};
    defer host.deinit();
    const turns: u32 = 200;
    var running: Running(Made, u64) = undefined;
    try running.open(&host, host.options(null), &.{&turns});
    const Step = struct {
        fn step(r: *Running(Made, u64), expected: u64, status: *i32) void {
            var out: [1]u64 = undefined;
            const n, status.* = r.next(&out);
            if (n == 1) std.debug.assert(out[0] == expected);
        }
    };
    var i: u64 = 0;
    while (true) : (i += 1) {
        var status: i32 = undefined;
        const thread: std.Thread = try .spawn(.{}, Step.step, .{ &running, i, &status });
        thread.join();
        if (status == abi.status.done) break;
    }
    try expectEqual(turns, i);
    running.close();
}
