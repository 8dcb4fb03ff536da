//! A source that is a function: `fn (io: std.Io, out: *Out(T), args…) !void`.

const std = @import("std");
const Io = std.Io;
const abi = @import("abi.zig");
const types = @import("types.zig");
const shape = @import("shape.zig");
const Opening = @import("opening.zig").Opening;
const State = @import("state.zig").State;

pub fn FunctionSource(comptime name: []const u8, comptime function: anytype) type {
    return struct {
        const Self = @This();
        pub const Shape = shape.Shape(.source, name, function);
        const Item = Shape.Ports[0].Item;
        const Wire = types.Wire(Item);
        const Its = State(Self, name, void, Wire);
        const bytes = types.isBytes(Item);

        pub const item_desc = types.desc(Item);
        pub const result_desc = types.desc(void);
        pub const param_descs = shape.describeParams(Shape.Params);
        pub const kind = abi.export_kind.source;

        state: Its,
        out: Shape.Ports[0],
        params: Shape.Params,

        const opening = Opening(Self);
        pub const open = opening.open;
        pub const deinit = opening.deinit;

        pub fn holdsEnd(_: *const Self) bool {
            return false;
        }

        pub fn check(options: *const abi.OpenOptions) !void {
            if (bytes and options.pool == null) return error.PoolMissing;
        }

        pub fn connect(self: *Self) void {
            const s = &self.state;
            self.out = if (bytes)
                .{ .exchange = &s.out, .failure = &s.failure, .pool = &s.pool.? }
            else
                .{ .exchange = &s.out, .failure = &s.failure };
            s.out.connect(&self.out.slots);
        }

        pub fn letGo(self: *Self) void {
            shape.dropEnds(Shape.Params, &self.params);
        }

        pub fn dropPorts(self: *Self) void {
            if (bytes) self.out.deinit();
        }

        pub fn run(state: *Its, io: Io) void {
            const self: *Self = @alignCast(@fieldParentPtr("state", state));
            if (self.produce(io)) |_| {
                state.outcome = abi.status.done;
            } else |err| state.fail(err);
            if (bytes) self.out.deinit();
            state.finish();
        }

        fn produce(self: *Self, io: Io) anyerror!void {
            const returned = Shape.call(io, .{&self.out}, &self.params);
            if (!bytes) return returned;
            // What was written is delivered, also before an error.
            const flushed = self.out.flush();
            returned catch |err| return if (err == error.WriteFailed) self.out.err orelse err else err;
            return flushed;
        }

        pub const vtable: abi.SourceVTable = .{
            .header = .of(abi.SourceVTable),
            .item = item_desc,
            .retain = &Its.retainC,
            .release = &Its.releaseC,
            .poll_batch = &pollBatch,
            .cancel = &Its.cancelC,
            .last_error = &Its.lastErrorC,
        };

        fn pollBatch(
            ptr: *anyopaque,
            cx: *const abi.PollContext,
            out: *anyopaque,
            cap: usize,
            n: *usize,
        ) callconv(.c) i32 {
            const self: *Self = @ptrCast(@alignCast(ptr));
            const items = @as([*]Wire, @ptrCast(@alignCast(out)))[0..cap];
            return self.state.pollBatch(&self.out.slots, cx, items, n);
        }
    };
}

const testing = @import("testing.zig");
const Buffer = @import("buffer.zig").Buffer;

const fixtures = struct {
    const Out = @import("out.zig").Out;
    var canceled: std.atomic.Value(u32) = .init(0);

    fn count(_: Io, out: *Out(u64), end: u64) !void {
        errdefer _ = canceled.fetchAdd(1, .seq_cst);
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

    fn text(_: Io, out: *Out([]const u8), words: u64) !void {
        for (0..@intCast(words)) |i| try out.writer().print("{d} ", .{i});
        try out.send("end");
    }
};

test "a source delivers in order, then ends, or fails with its message" {
    const Counter = FunctionSource("count", fixtures.count);
    for ([_]u64{ 0, 1, 1000, 13 }) |end| {
        var waker: testing.TestWaker = .{};
        const handle = try testing.open(Counter, testing.options(3, null), &.{&end});
        var expected: u64 = 0;
        var items: [4]u64 = undefined;
        const status = while (true) {
            const n, const status = testing.next(u64, handle, &waker, &items);
            for (items[0..n]) |item| {
                try std.testing.expectEqual(expected, item);
                expected += 1;
            }
            if (status != abi.status.ready and status != abi.status.pending) break status;
        };
        try std.testing.expectEqual(end, expected);
        try std.testing.expectEqual(if (end == 13) abi.status.failed else abi.status.done, status);
        if (end == 13) {
            var record: abi.ErrorRecord = undefined;
            Counter.vtable.last_error(handle.state.?, &record);
            try std.testing.expectEqualStrings("Unlucky", record.name.get());
            try std.testing.expectEqualStrings("13", record.message.get());
            try std.testing.expectEqualStrings("count", record.function.get());
        }
        Counter.vtable.release(handle.state.?);
        waker.waitUnreferenced();
    }
}

test "many are handed over in order, also more than there is room for" {
    const Counter = FunctionSource("count", fixtures.countBySlices);
    for ([_]u64{ 1, 3, 10, 64 }) |capacity| {
        var waker: testing.TestWaker = .{};
        const end: u64 = 1003;
        const handle = try testing.open(Counter, testing.options(capacity, null), &.{&end});
        var expected: u64 = 0;
        var items: [4]u64 = undefined;
        const status = while (true) {
            const n, const status = testing.next(u64, handle, &waker, &items);
            for (items[0..n]) |item| {
                try std.testing.expectEqual(expected, item);
                expected += 1;
            }
            if (status != abi.status.ready and status != abi.status.pending) break status;
        };
        try std.testing.expectEqual(end, expected);
        try std.testing.expectEqual(abi.status.done, status);
        Counter.vtable.release(handle.state.?);
        waker.waitUnreferenced();
    }
}

test "cancel is idempotent and ends the function" {
    const Counter = FunctionSource("count", fixtures.count);
    const end: u64 = 1 << 40;
    for (0..50) |turn| {
        var waker: testing.TestWaker = .{};
        const before = fixtures.canceled.load(.seq_cst);
        const handle = try testing.open(Counter, testing.options(1 + turn % 3, null), &.{&end});
        var items: [4]u64 = undefined;
        for (0..turn % 5) |_| _ = testing.next(u64, handle, &waker, &items);
        const started = waker.references.load(.seq_cst) > 1 or turn % 5 > 0;
        Counter.vtable.cancel(handle.state.?);
        Counter.vtable.cancel(handle.state.?);
        Counter.vtable.release(handle.state.?);
        waker.waitUnreferenced();
        while (started and fixtures.canceled.load(.seq_cst) == before) std.Thread.yield() catch {};
    }
}

test "bytes go through a pool that is smaller than they are, lent or its own" {
    for ([_]u32{ 0, abi.option_spill }) |flags| try bytesThroughPool(flags);
}

fn bytesThroughPool(flags: u32) !void {
    const Text = FunctionSource("text", fixtures.text);
    var pool: testing.TestPool = undefined;
    try pool.init(3, 64);
    defer pool.deinit();
    var waker: testing.TestWaker = .{};
    const words: u64 = 500;
    var options = testing.options(4, &pool);
    options.flags = flags;
    const handle = try testing.open(Text, options, &.{&words});
    var received: std.ArrayList(u8) = .empty;
    defer received.deinit(std.testing.allocator);
    var items: [3]Buffer = undefined;
    while (true) {
        const n, const status = testing.next(Buffer, handle, &waker, &items);
        for (items[0..n]) |item| {
            try received.appendSlice(std.testing.allocator, item.slice());
            item.deinit();
        }
        if (status == abi.status.done) break;
    }
    Text.vtable.release(handle.state.?);
    pool.waitUnreferenced();
    waker.waitUnreferenced();
    var expected: std.ArrayList(u8) = .empty;
    defer expected.deinit(std.testing.allocator);
    for (0..@intCast(words)) |i| try expected.print(std.testing.allocator, "{d} ", .{i});
    try expected.appendSlice(std.testing.allocator, "end");
    try std.testing.expectEqualStrings(expected.items, received.items);
}
