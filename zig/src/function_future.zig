//! A future that is a function: `fn (io: std.Io, args…) !R`.
//!
//! For the host it is a sink without items: to close it is to run it.

const std = @import("std");
const Io = std.Io;
const abi = @import("abi.zig");
const shape = @import("shape.zig");
const types = @import("types.zig");
const Opening = @import("opening.zig").Opening;
const Returned = @import("returned.zig").Returned;
const State = @import("state.zig").State;

pub fn FunctionFuture(comptime name: []const u8, comptime function: anytype) type {
    return struct {
        const Self = @This();
        pub const Shape = shape.Shape(.future, name, function);
        // Nothing is ever sent; what is waited for is the end.
        const Its = State(Self, name, u8, void);

        pub const item_desc = types.desc(void);
        pub const result_desc = Returned(Shape.Result).desc;
        pub const param_descs = shape.describeParams(Shape.Params);
        pub const kind = abi.export_kind.future;

        state: Its,
        params: Shape.Params,
        result: Returned(Shape.Result),

        const opening = Opening(Self);
        pub const open = opening.open;

        pub fn deinit(self: *Self) void {
            self.result.deinit();
            opening.deinit(self);
        }

        /// A result that nobody asked for.
        pub fn holdsEnd(self: *const Self) bool {
            return self.result.isHeld();
        }

        pub fn check(_: *const abi.OpenOptions) !void {}

        pub fn connect(self: *Self) void {
            self.result = .{};
        }

        pub fn letGo(self: *Self) void {
            shape.dropEnds(Shape.Params, &self.params);
        }

        pub fn dropPorts(_: *Self) void {}

        pub fn run(state: *Its, io: Io) void {
            const self: *Self = @alignCast(@fieldParentPtr("state", state));
            if (Shape.call(io, .{}, &self.params)) |value| {
                self.result.put(value);
                state.outcome = abi.status.done;
            } else |err| state.fail(err);
            state.finish();
        }

        pub const vtable: abi.SinkVTable = .{
            .header = .of(abi.SinkVTable),
            .item = item_desc,
            .result = result_desc,
            .retain = &Its.retainC,
            .release = &Its.releaseC,
            .send_batch = &sendBatch,
            .poll_close = &pollClose,
            .cancel = &Its.cancelC,
            .last_error = &Its.lastErrorC,
            .take_back = null,
        };

        /// Takes nothing, and runs the function.
        fn sendBatch(
            ptr: *anyopaque,
            cx: *const abi.PollContext,
            _: *const anyopaque,
            _: usize,
            n: *usize,
        ) callconv(.c) i32 {
            return Its.of(ptr).sendBatch(cx, &.{}, n);
        }

        fn pollClose(ptr: *anyopaque, cx: *const abi.PollContext, out: *anyopaque) callconv(.c) i32 {
            const state = Its.of(ptr);
            const status = state.pollClose(cx);
            const self: *Self = @alignCast(@fieldParentPtr("state", state));
            if (status == abi.status.done) self.result.take(out);
            return status;
        }
    };
}

const testing = @import("testing.zig");
const Buffer = @import("buffer.zig").Buffer;
const TestHost = @import("testing_host.zig").TestHost;
const gpa = std.heap.c_allocator;

const functions = struct {
    var ended: std.atomic.Value(u32) = .init(0);

    fn add(io: Io, a: u64, b: u64) !u64 {
        defer _ = ended.fetchAdd(1, .seq_cst);
        if (a == 13) return error.Unlucky;
        try io.sleep(.fromMilliseconds(1), .awake);
        return a + b;
    }

    fn nothing(io: Io) !void {
        try io.sleep(.fromMilliseconds(1), .awake);
    }

    fn shout(io: Io, text: []const u8) ![]u8 {
        try io.sleep(.fromMilliseconds(1), .awake);
        return std.ascii.allocUpperString(gpa, text);
    }

    fn static(_: Io) Buffer {
        return .initStatic("for ever");
    }
};

/// Runs a future to its end, as an executor does, and says how it ended.
fn run(host: *TestHost, handle: abi.RawHandle, out: *anyopaque) i32 {
    const vtable: *const abi.SinkVTable = @ptrCast(@alignCast(handle.vtable.?));
    var waker: testing.TestWaker = .{};
    defer waker.waitUnreferenced();
    defer vtable.release(handle.state.?);
    const cx = waker.context();
    while (true) {
        const seen = waker.wakes.load(.seq_cst);
        const status = vtable.poll_close(handle.state.?, &cx, out);
        if (status != abi.status.pending) return status;
        host.wait(&waker, seen);
    }
}

test "a future returns what its function does, by either runner" {
    const Add = FunctionFuture("add", functions.add);
    for ([_]u32{ 0, abi.option_thread }) |flags| {
        var host: TestHost = .{};
        defer host.deinit();
        var options = host.options(null);
        options.flags = flags;
        const numbers = [_]u64{ 2, 3, 13 };
        var sum: u64 = 0;
        const good = try testing.open(Add, options, &.{ &numbers[0], &numbers[1] });
        try std.testing.expectEqual(abi.status.done, run(&host, good, &sum));
        try std.testing.expectEqual(5, sum);
        const bad = try testing.open(Add, options, &.{ &numbers[2], &numbers[1] });
        try std.testing.expectEqual(abi.status.failed, run(&host, bad, &sum));

        const handle = try testing.open(FunctionFuture("nothing", functions.nothing), options, &.{});
        var nothing: u8 = 7;
        try std.testing.expectEqual(abi.status.done, run(&host, handle, &nothing));
        try std.testing.expectEqual(7, nothing);
    }
}

test "bytes that a future returns are the host's, or are freed if it does not ask" {
    const Shout = FunctionFuture("shout", functions.shout);
    for ([_]u32{ 0, abi.option_thread }) |flags| {
        var host: TestHost = .{};
        defer host.deinit();
        var options = host.options(null);
        options.flags = flags;
        const text: abi.Slice = .of("some text");
        var bytes: Buffer = .empty;
        const handle = try testing.open(Shout, options, &.{&text});
        try std.testing.expectEqual(abi.status.done, run(&host, handle, &bytes));
        try std.testing.expectEqualStrings("SOME TEXT", bytes.slice());
        bytes.deinit();

        // It returns, and nobody asks for what: `send_batch` runs it as well.
        var waker: testing.TestWaker = .{};
        const cx = waker.context();
        const unasked = try testing.open(Shout, options, &.{&text});
        while (true) {
            const seen = waker.wakes.load(.seq_cst);
            var n: usize = 0;
            const status = Shout.vtable.send_batch(unasked.state.?, &cx, &n, 1, &n);
            try std.testing.expectEqual(0, n);
            if (status == abi.status.done) break;
            if (flags == 0) host.wait(&waker, seen) else std.Thread.yield() catch {};
        }
        Shout.vtable.release(unasked.state.?);
        waker.waitUnreferenced();

        const static = try testing.open(FunctionFuture("static", functions.static), options, &.{});
        try std.testing.expectEqual(abi.status.done, run(&host, static, &bytes));
        try std.testing.expectEqualStrings("for ever", bytes.slice());
    }
}

test "a future that is dropped is cancelled" {
    const Add = FunctionFuture("add", functions.add);
    const a: u64 = 1;
    for ([_]u32{ 0, abi.option_thread }) |flags| for (0..3) |polls| {
        var host: TestHost = .{};
        defer host.deinit();
        var options = host.options(null);
        options.flags = flags;
        var waker: testing.TestWaker = .{};
        const cx = waker.context();
        const before = functions.ended.load(.seq_cst);
        const handle = try testing.open(Add, options, &.{ &a, &a });
        var sum: u64 = 0;
        for (0..polls) |_| _ = Add.vtable.poll_close(handle.state.?, &cx, &sum);
        Add.vtable.cancel(handle.state.?);
        Add.vtable.release(handle.state.?);
        host.reap();
        waker.waitUnreferenced();
        const ran = @intFromBool(polls > 0);
        while (functions.ended.load(.seq_cst) != before + ran) std.Thread.yield() catch {};
    };
}
