//! `io.async` and what stands on futexes, between fibers of one task.

const std = @import("std");
const Io = std.Io;
const abi = @import("../../abi.zig");
const script = @import("script.zig");
const Running = @import("../../testing_host.zig").Running;
const TestHost = @import("../../testing_host.zig").TestHost;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const pause = script.pause;

fn double(io: Io, n: u64) Io.Cancelable!u64 {
    try pause(io, @intCast(n));
    return 2 * n;
}

test "futures run at the same time, and are awaited in any order" {
    try expectEqual(60, try script.result(struct {
        fn run(io: Io) !u64 {
            const before = Io.Clock.awake.now(io);
            var slow = try io.concurrent(double, .{ io, 20 });
            var fast = io.async(double, .{ io, 10 });
            const total = try slow.await(io) + try fast.await(io);
            // Virtual time: at the same time, and not one after the other.
            try expectEqual(20, before.untilNow(io, .awake).toMilliseconds());
            return total;
        }
    }.run));
}

test "an argument and a result of any alignment, and no stack for one that is too large" {
    const Wide = struct { bytes: [100]u8 align(64), n: u64 };
    try expectEqual(7, try script.result(struct {
        fn wide(argument: Wide) Wide {
            var copy = argument;
            std.debug.assert(@intFromPtr(&copy) % 64 == 0);
            copy.n += 1;
            return copy;
        }
        fn huge(_: *const anyopaque, _: *anyopaque) void {
            unreachable;
        }
        const large: [1024 * 1024]u8 = @splat(9);
        fn run(io: Io) !u64 {
            var future = try io.concurrent(wide, .{.{ .bytes = @splat(3), .n = 6 }});
            const returned = future.await(io);
            try expectEqual(3, returned.bytes[99]);
            const refused = io.vtable.concurrent(io.userdata, 0, .@"1", &large, .@"1", &huge);
            try std.testing.expectError(error.ConcurrencyUnavailable, refused);
            return returned.n;
        }
    }.run));
}

test "a queue, a mutex, a condition and an event between fibers" {
    try expectEqual(3 * 4950, try script.result(struct {
        const Shared = struct {
            queue: Io.Queue(u64),
            mutex: Io.Mutex = .init,
            condition: Io.Condition = .init,
            total: u64 = 0,
            producers: u64 = 3,
            start: Io.Event = .unset,
        };
        fn produce(io: Io, shared: *Shared) !void {
            try shared.start.wait(io);
            for (0..100) |i| {
                if (i % 10 == 3) try pause(io, 1);
                shared.queue.putOne(io, i) catch return error.Canceled;
            }
            try shared.mutex.lock(io);
            defer shared.mutex.unlock(io);
            shared.producers -= 1;
            shared.condition.signal(io);
        }
        fn consume(io: Io, shared: *Shared) !void {
            while (true) {
                const item = shared.queue.getOne(io) catch return;
                try shared.mutex.lock(io);
                defer shared.mutex.unlock(io);
                if (item % 13 == 0) try pause(io, 1);
                shared.total += item;
            }
        }
        fn run(io: Io) !u64 {
            var buffer: [4]u64 = undefined;
            var shared: Shared = .{ .queue = .init(&buffer) };
            var group: Io.Group = .init;
            defer group.cancel(io);
            for (0..3) |_| group.async(io, produce, .{ io, &shared });
            for (0..2) |_| try group.concurrent(io, consume, .{ io, &shared });
            shared.start.set(io);
            {
                try shared.mutex.lock(io);
                defer shared.mutex.unlock(io);
                while (shared.producers > 0) try shared.condition.wait(io, &shared.mutex);
            }
            shared.queue.close(io);
            try group.await(io);
            return shared.total;
        }
    }.run));
}

test "select: the first one, and the others cancelled" {
    try expectEqual(10, try script.result(struct {
        const Answer = union(enum) { a: Io.Cancelable!u64, b: Io.Cancelable!u64 };
        fn run(io: Io) !u64 {
            var buffer: [2]Answer = undefined;
            var select: Io.Select(Answer) = .init(io, &buffer);
            defer select.cancelDiscard();
            try select.concurrent(.a, double, .{ io, 1_000_000 });
            try select.concurrent(.b, double, .{ io, 5 });
            const answer = try select.await();
            return try answer.b;
        }
    }.run));
}

test "a timeout of a futex" {
    try expectEqual(1, try script.result(struct {
        fn run(io: Io) !u64 {
            const before = Io.Clock.awake.now(io);
            var word: u32 = 5;
            try io.futexWaitTimeout(u32, &word, 5, .{ .duration = .{ .raw = .fromMilliseconds(30), .clock = .real } });
            try expectEqual(30, before.untilNow(io, .awake).toMilliseconds());
            // A word that has changed already: at once.
            try io.futexWait(u32, &word, 6);
            const deadline = Io.Clock.Timestamp.now(io, .real).addDuration(.{ .raw = .fromSeconds(1), .clock = .real });
            try deadline.wait(io);
            try expectEqual(1030, before.untilNow(io, .awake).toMilliseconds());
            return 1;
        }
    }.run));
}

test "a cancelation is said once, at the next cancelation point" {
    try expectEqual(7, try script.result(struct {
        var log: u64 = 0;
        fn child(io: Io) error{Canceled}!void {
            pause(io, 1_000_000) catch {
                log |= 1;
            };
            // Said: from here on it runs undisturbed.
            try pause(io, 1);
            log |= 2;
            io.recancel();
            pause(io, 1) catch {
                log |= 4;
                return error.Canceled;
            };
        }
        fn run(io: Io) !u64 {
            log = 0;
            var future = try io.concurrent(child, .{io});
            try pause(io, 1);
            try std.testing.expectError(error.Canceled, future.cancel(io));
            return log;
        }
    }.run));
}

test "a protected section is not cancelled, and what comes after it is" {
    try expectEqual(3, try script.result(struct {
        fn child(io: Io) u64 {
            var log: u64 = 0;
            {
                const old = io.swapCancelProtection(.blocked);
                defer _ = io.swapCancelProtection(old);
                pause(io, 50) catch unreachable;
                io.checkCancel() catch unreachable;
                log |= 1;
            }
            io.checkCancel() catch {
                log |= 2;
            };
            return log;
        }
        fn run(io: Io) !u64 {
            var future = try io.concurrent(child, .{io});
            try pause(io, 1);
            return future.cancel(io);
        }
    }.run));
}

test "a cancelation goes on to who is awaited, and comes back if that one doesn't notice" {
    try expectEqual(0b111, try script.result(struct {
        fn sleeper(io: Io) Io.Cancelable!void {
            return pause(io, 1_000_000);
        }
        fn deaf(io: Io) void {
            const old = io.swapCancelProtection(.blocked);
            defer _ = io.swapCancelProtection(old);
            pause(io, 10) catch unreachable;
        }
        fn awaits(io: Io) u64 {
            var log: u64 = 0;
            var noticed = io.concurrent(sleeper, .{io}) catch unreachable;
            noticed.await(io) catch {
                log |= 1;
            };
            // It was the sleeper's to notice.
            io.checkCancel() catch unreachable;
            return log;
        }
        fn awaitsDeaf(io: Io) u64 {
            var unnoticed = io.concurrent(deaf, .{io}) catch unreachable;
            unnoticed.await(io);
            io.checkCancel() catch return 2;
            return 0;
        }
        fn awaitsGroup(io: Io) u64 {
            var group: Io.Group = .init;
            for (0..3) |_| group.async(io, sleeper, .{io});
            group.await(io) catch return 4;
            return 0;
        }
        fn run(io: Io) !u64 {
            var a = try io.concurrent(awaits, .{io});
            var b = try io.concurrent(awaitsDeaf, .{io});
            var c = try io.concurrent(awaitsGroup, .{io});
            try pause(io, 1);
            return a.cancel(io) | b.cancel(io) | c.cancel(io);
        }
    }.run));
}

test "what a function forgets to await is cancelled, and waited for" {
    const forgotten = struct {
        var ended: u64 = 0;
        fn sleeper(io: Io) Io.Cancelable!void {
            defer ended += 1;
            return pause(io, 1_000_000);
        }
        fn quick() void {
            ended += 1;
        }
        fn run(io: Io) !u64 {
            _ = try io.concurrent(sleeper, .{io});
            _ = try io.concurrent(quick, .{});
            try pause(io, 1);
            _ = try io.concurrent(sleeper, .{io});
            return 5;
        }
    };
    try expectEqual(5, try script.result(forgotten.run));
    try expectEqual(3, forgotten.ended);
}

test "a loop that never waits gives the executor its thread back" {
    const busy = struct {
        fn run(io: Io) !u64 {
            for (0..1000) |_| try io.checkCancel();
            return 1;
        }
    };
    var host: TestHost = .{};
    defer host.deinit();
    var running: Running(script.Script(busy.run), u64) = undefined;
    try script.start(busy.run, &host, &running);
    var out: [1]u64 = undefined;
    var polls: usize = 0;
    while (true) : (polls += 1) {
        const seen = running.waker.wakes.load(.seq_cst);
        const n, const status = running.poll(&out);
        if (n > 0) break;
        try expectEqual(abi.status.pending, status);
        // It has asked for its next poll.
        try expect(running.waker.wakes.load(.seq_cst) > seen);
    }
    try expect(polls >= 5);
    running.drop();
}

test "a busy stream lets its other fibers' timers fire" {
    const busy = struct {
        const Out = @import("../../out.zig").Out;
        fn ring(io: Io, rung: *bool) Io.Cancelable!void {
            try pause(io, 1);
            rung.* = true;
        }
        fn run(io: Io, out: *Out(u64)) !void {
            var rung = false;
            var bell = try io.concurrent(ring, .{ io, &rung });
            defer bell.cancel(io) catch {};
            var i: u64 = 0;
            while (!rung) : (i += 1) try out.send(i);
        }
    };
    const Busy = @import("../../function_source.zig").FunctionSource("busy", busy.run);
    var host: TestHost = .{};
    defer host.deinit();
    var running: Running(Busy, u64) = undefined;
    try running.open(&host, host.options(null), &.{});
    var out: [4]u64 = undefined;
    for (0..100) |_| {
        _, const status = running.poll(&out);
        if (status == abi.status.done) break;
        host.time += 1_000_000;
    } else return error.Starved;
    running.close();
}
