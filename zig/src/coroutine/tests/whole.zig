//! A function that waits in every way there is, dropped at each of its polls, without memory or stacks at each place
//! where it asks for some, and over a system whose calls fail: it ends, says how, and leaves nothing.

const std = @import("std");
const Io = std.Io;
const net = Io.net;
const abi = @import("../../abi.zig");
const faults = @import("faults.zig");
const heap = @import("../../heap.zig");
const reaper = @import("../reaper.zig");
const script = @import("script.zig");
const stacks = @import("../stack.zig");
const testing = @import("../../testing.zig");
const types = @import("../../types.zig");
const Buffer = @import("../../buffer.zig").Buffer;
const FunctionSink = @import("../../function_sink.zig").FunctionSink;
const FunctionSource = @import("../../function_source.zig").FunctionSource;
const In = @import("../../in.zig").In;
const Out = @import("../../out.zig").Out;
const Running = @import("../../testing_host.zig").Running;
const TestHost = @import("../../testing_host.zig").TestHost;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const pause = script.pause;

/// Functions that began, less those that ended, their `defer`s included.
var inside: isize = 0;

const everything = struct {
    const echoed = 3000;

    fn run(io: Io, out: *Out([]const u8), path: []const u8) !void {
        inside += 1;
        defer inside -= 1;
        // A time.
        try pause(io, 1);
        try futexes(io);
        try groups(io, out);
        try sockets(io, out);
        // A thread of the host's.
        var buffer: [200]u8 = undefined;
        try out.send(try Io.Dir.cwd().readFile(io, path, &buffer));
        const file = try Io.Dir.cwd().openFile(io, path, .{});
        defer file.close(io);
        var reader = file.reader(io, &.{});
        _ = reader.interface.streamRemaining(out.writer()) catch |err| return reader.err orelse err;
        // More than the pool has: a block, and the reader.
        for (0..20) |_| try out.send("twenty times");
    }

    fn futexes(io: Io) !void {
        var event: Io.Event = .unset;
        var setter = try io.concurrent(setLater, .{ io, &event });
        defer setter.cancel(io) catch {};
        try event.wait(io);
        try setter.await(io);
    }

    fn setLater(io: Io, event: *Io.Event) Io.Cancelable!void {
        inside += 1;
        defer inside -= 1;
        try pause(io, 1);
        event.set(io);
    }

    fn groups(io: Io, out: *Out([]const u8)) !void {
        var group: Io.Group = .init;
        defer group.cancel(io);
        for (0..3) |i| group.async(io, member, .{ io, i });
        var future = io.async(member, .{ io, 5 });
        defer future.cancel(io) catch {};
        try out.send("waiting");
        try group.await(io);
        try future.await(io);
    }

    fn member(io: Io, ms: usize) Io.Cancelable!void {
        inside += 1;
        defer inside -= 1;
        try pause(io, @intCast(ms));
    }

    fn sockets(io: Io, out: *Out([]const u8)) !void {
        const address: net.IpAddress = .{ .ip4 = .loopback(0) };
        var server = try address.listen(io, .{});
        defer server.deinit(io);
        var group: Io.Group = .init;
        defer group.cancel(io);
        var failure: ?anyerror = null;
        try group.concurrent(io, serve, .{ io, &server, &failure });
        const stream = try server.socket.address.connect(io, .{ .mode = .stream });
        defer stream.close(io);
        var buffer: [512]u8 = undefined;
        var reader = stream.reader(io, &buffer);
        for (0..echoed / 300) |_| {
            const bytes = reader.interface.take(300) catch {
                if (failure) |err| return err;
                return reader.err orelse error.ShortOfBytes;
            };
            try out.send(bytes);
        }
        try group.await(io);
        if (failure) |err| return err;
    }

    /// Sends in small pieces.
    fn serve(io: Io, server: *net.Server, failure: *?anyerror) Io.Cancelable!void {
        inside += 1;
        defer inside -= 1;
        serveOne(io, server) catch |err| {
            if (err == error.Canceled) return error.Canceled;
            failure.* = err;
        };
    }

    fn serveOne(io: Io, server: *net.Server) !void {
        const stream = try server.accept(io);
        defer stream.close(io);
        var buffer: [100]u8 = undefined;
        var writer = stream.writer(io, &buffer);
        for (0..echoed) |i| writer.interface.writeByte(@truncate(i)) catch return writer.err.?;
        writer.interface.flush() catch return writer.err.?;
        try pause(io, 1);
        stream.shutdown(io, .both) catch {};
    }

    const Made = FunctionSource("everything", run);
};

/// A file of this test's own, a few lines long.
const Fixture = struct {
    dir: std.testing.TmpDir,
    path: []u8,

    const text = "a few words, " ++ "and a few more, " ++ "of a file that is read";

    fn init() !Fixture {
        const dir = std.testing.tmpDir(.{});
        try dir.dir.writeFile(std.testing.io, .{ .sub_path = "file", .data = text });
        const sub = &dir.sub_path;
        return .{ .dir = dir, .path = try std.fmt.allocPrint(std.testing.allocator, ".zig-cache/tmp/{s}/file", .{sub}) };
    }

    fn deinit(f: *Fixture) void {
        std.testing.allocator.free(f.path);
        f.dir.cleanup();
    }
};

/// One function that runs, over a host and a pool that know what was not given back.
const Run = struct {
    host: TestHost = .{},
    pool: testing.TestPool = undefined,
    running: Running(everything.Made, Buffer) = undefined,
    bytes: usize = 0,
    /// How many stacks there were.
    stacks_before: usize = 0,

    fn open(run: *Run, path: []const u8) !void {
        inside = 0;
        run.stacks_before = stacks.test_supply.left.load(.monotonic);
        try run.pool.init(3, 400);
        const how = run.host.options(&run.pool);
        const slice: abi.Slice = .of(path);
        const args = [_]abi.Arg{.{ .ty = types.desc([]const u8), .value = &slice }};
        var record: abi.ErrorRecord = undefined;
        run.running = .{ .host = &run.host, .handle = undefined };
        if (everything.Made.open(&how, &args, 1, &run.running.handle, &record) == abi.status.ready) return;
        try std.testing.expectEqualStrings("OutOfMemory", record.name.get());
        run.pool.waitUnreferenced();
        run.pool.deinit();
        run.host.deinit();
        return error.NotOpened;
    }

    /// One poll, as an executor does. The status.
    fn step(run: *Run) i32 {
        var out: [2]Buffer = undefined;
        const seen = run.running.waker.wakes.load(.seq_cst);
        const n, const status = run.running.poll(&out);
        for (out[0..n]) |item| {
            run.bytes += item.raw.len;
            item.deinit();
        }
        if (status == abi.status.pending and n == 0) run.host.wait(&run.running.waker, seen);
        return status;
    }

    fn finish(run: *Run) i32 {
        while (true) {
            const status = run.step();
            if (status != abi.status.ready and status != abi.status.pending) return status;
        }
    }

    fn errorName(run: *Run) []const u8 {
        var record: abi.ErrorRecord = undefined;
        everything.Made.vtable.last_error(run.running.handle.state.?, &record);
        return record.name.get();
    }

    fn deinit(run: *Run, dropped: bool) !void {
        if (dropped) run.running.drop() else run.running.close();
        while (reaper.count() > 0) run.host.reap();
        run.pool.waitUnreferenced();
        run.pool.deinit();
        // No ticket, no job, no reference.
        run.host.deinit();
        try expectEqual(0, inside);
        // The last job lets go of the task before it is counted as done.
        try expectEqual(run.stacks_before, stacks.test_supply.left.load(.monotonic));
    }
};

const all_bytes = everything.echoed + 2 * Fixture.text.len + "waiting".len + 20 * "twenty times".len;

test "dropped at each of its polls, a function undoes everything" {
    var fixture: Fixture = try .init();
    defer fixture.deinit();
    var polls: usize = 0;
    while (true) : (polls += 1) {
        var run: Run = .{};
        try run.open(fixture.path);
        const ended = for (0..polls) |_| {
            const status = run.step();
            if (status == abi.status.done) break true;
            try expect(status == abi.status.ready or status == abi.status.pending);
        } else false;
        try run.deinit(true);
        if (ended) break;
    }
    try expect(polls > 20);
}

test "without memory from any point on, a function fails with an error of that name, or does without" {
    var fixture: Fixture = try .init();
    defer fixture.deinit();
    var failed: usize = 0;
    var fail_index: usize = 0;
    while (true) : (fail_index += 1) {
        var failing: std.testing.FailingAllocator = .init(std.testing.allocator, .{ .fail_index = fail_index });
        heap.replacement = failing.allocator();
        defer heap.replacement = null;
        var run: Run = .{};
        run.open(fixture.path) catch |err| {
            try expectEqual(error.NotOpened, err);
            continue;
        };
        const status = run.finish();
        if (status == abi.status.failed) {
            failed += 1;
            try expect(isShortage(run.errorName()));
        } else {
            try expectEqual(abi.status.done, status);
            try expectEqual(all_bytes, run.bytes);
        }
        try run.deinit(false);
        if (!failing.has_induced_failure) break;
    }
    try expect(fail_index > 3);
}

test "without stacks from any point on, a function fails with an error of that name, or does without" {
    var fixture: Fixture = try .init();
    defer fixture.deinit();
    defer stacks.test_supply.left.store(@TypeOf(stacks.test_supply).plenty, .monotonic);
    var outcomes: [2]usize = @splat(0);
    for (0..9) |available| {
        stacks.test_supply.left.store(available, .monotonic);
        var run: Run = .{};
        try run.open(fixture.path);
        const status = run.finish();
        if (status == abi.status.failed) {
            try expect(isShortage(run.errorName()));
            outcomes[0] += 1;
        } else {
            try expectEqual(abi.status.done, status);
            try expectEqual(all_bytes, run.bytes);
            outcomes[1] += 1;
        }
        try run.deinit(false);
    }
    // One for the function, one for each that has to run beside it; the others can do without.
    try expect(outcomes[0] >= 2 and outcomes[1] >= 2);
}

fn isShortage(name: []const u8) bool {
    const names = [_][]const u8{ "OutOfMemory", "SystemResources", "StackUnavailable", "ConcurrencyUnavailable" };
    for (names) |one| if (std.mem.eql(u8, one, name)) return true;
    std.debug.print("failed with {s}\n", .{name});
    return false;
}

test "a system that interrupts, moves little, and says too often that it is ready, changes nothing" {
    var fixture: Fixture = try .init();
    defer fixture.deinit();
    for (0..20) |seed| {
        var plan: faults.Plan = .init(seed);
        faults.plan = &plan;
        defer faults.plan = null;
        var run: Run = .{};
        run.host.fickle = .init(seed);
        try run.open(fixture.path);
        try expectEqual(abi.status.done, run.finish());
        try expectEqual(all_bytes, run.bytes);
        try run.deinit(false);
        try expect(plan.interrupted > 0 and plan.shortened > 0);
    }
}

test "a connection that is reset is an error of that name, wherever it is" {
    var fixture: Fixture = try .init();
    defer fixture.deinit();
    var bytes: usize = 0;
    while (bytes < 2 * everything.echoed) : (bytes += 271) for ([_]bool{ false, true }) |dropped| {
        var plan: faults.Plan = .init(bytes);
        plan.bytes_until_reset = bytes;
        faults.plan = &plan;
        defer faults.plan = null;
        var run: Run = .{};
        try run.open(fixture.path);
        while (true) {
            const status = run.step();
            if (dropped and plan.resets > 0) break;
            if (status == abi.status.ready or status == abi.status.pending) continue;
            try expectEqual(abi.status.failed, status);
            try std.testing.expectEqualStrings("ConnectionResetByPeer", run.errorName());
            break;
        }
        try run.deinit(dropped);
        try expect(plan.resets > 0);
    };
}

/// The other direction: what waits for input, and fails half-way.
const consumer = struct {
    fn run(io: Io, in: *In([]const u8), limit: u64) !u64 {
        inside += 1;
        defer inside -= 1;
        var total: u64 = 0;
        while (try in.next()) |bytes| {
            total += bytes.len;
            if (total >= limit) return total;
            try pause(io, 1);
        }
        const reader = try in.reader();
        reader.fillMore() catch {};
        return total;
    }
    const Made = FunctionSink("consumer", run);
};

test "a sink is dropped at each poll, and does without memory from any point on" {
    const text = "some bytes";
    var fail_index: usize = 0;
    var whole: usize = 0;
    while (fail_index < 12) : (fail_index += 1) for (0..8) |polls| {
        var failing: std.testing.FailingAllocator = .init(std.testing.allocator, .{ .fail_index = fail_index });
        var host: TestHost = .{};
        defer host.deinit();
        var waker: testing.TestWaker = .{};
        const cx = waker.context();
        inside = 0;
        heap.replacement = failing.allocator();
        defer heap.replacement = null;
        const limit: u64 = 1000;
        const args = [_]abi.Arg{.{ .ty = types.desc(u64), .value = &limit }};
        var handle: abi.RawHandle = undefined;
        var record: abi.ErrorRecord = undefined;
        if (consumer.Made.open(&host.options(null), &args, 1, &handle, &record) != abi.status.ready) {
            try std.testing.expectEqualStrings("OutOfMemory", record.name.get());
            continue;
        }
        var items: [3]Buffer = @splat(.initStatic(text));
        var sent: usize = 0;
        for (0..polls) |_| {
            const seen = waker.wakes.load(.seq_cst);
            var result: u64 = 0;
            var n: usize = 0;
            const status = if (sent < items.len)
                consumer.Made.vtable.send_batch(handle.state.?, &cx, items[sent..].ptr, items.len - sent, &n)
            else
                consumer.Made.vtable.poll_close(handle.state.?, &cx, &result);
            sent += n;
            if (status == abi.status.pending) host.wait(&waker, seen);
            if (status == abi.status.failed) {
                consumer.Made.vtable.last_error(handle.state.?, &record);
                try expect(isShortage(record.name.get()));
            }
            if (status == abi.status.done) {
                try expectEqual(items.len * text.len, result);
                whole += 1;
            }
            if (status != abi.status.ready and status != abi.status.pending) break;
        }
        consumer.Made.vtable.cancel(handle.state.?);
        consumer.Made.vtable.release(handle.state.?);
        while (reaper.count() > 0) host.reap();
        waker.waitUnreferenced();
        try expectEqual(0, inside);
    };
    try expect(whole > 0);
}

test "bytes of which no copy can be made are not lost" {
    const functions = struct {
        fn run(_: Io, in: *In([]const u8)) !u64 {
            const reader = try in.reader();
            if (try reader.takeByte() != 's') return error.Wrong;
            heap.replacement = std.testing.failing_allocator;
            const first = in.nextBuffer();
            heap.replacement = null;
            if (first != error.OutOfMemory) return error.Copied;
            const buffer = (try in.nextBuffer()).?;
            defer buffer.deinit();
            if (!std.mem.eql(u8, buffer.slice(), "ome bytes")) return error.Lost;
            return 1;
        }
    };
    const Made = FunctionSink("copies", functions.run);
    var host: TestHost = .{};
    defer host.deinit();
    var waker: testing.TestWaker = .{};
    const cx = waker.context();
    const handle = try testing.open(Made, host.options(null), &.{});
    const items = [_]Buffer{.initStatic("some bytes")};
    var n: usize = 0;
    _ = Made.vtable.send_batch(handle.state.?, &cx, &items, 1, &n);
    var result: u64 = 0;
    try expectEqual(abi.status.done, Made.vtable.poll_close(handle.state.?, &cx, &result));
    try expectEqual(1, result);
    Made.vtable.release(handle.state.?);
    waker.waitUnreferenced();
}
