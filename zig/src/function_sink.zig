//! A sink that is a function: `fn (io: std.Io, in: *In(T), args…) !R`.

const std = @import("std");
const Io = std.Io;
const abi = @import("abi.zig");
const shape = @import("shape.zig");
const types = @import("types.zig");
const Opening = @import("opening.zig").Opening;
const Returned = @import("returned.zig").Returned;
const State = @import("state.zig").State;

pub fn FunctionSink(comptime name: []const u8, comptime function: anytype) type {
    return struct {
        const Self = @This();
        pub const Shape = shape.Shape(.sink, name, function);
        const Item = Shape.Ports[0].Item;
        const Wire = types.Wire(Item);
        const Its = State(Self, name, Wire, void);
        const bytes = types.isBytes(Item);

        pub const item_desc = types.desc(Item);
        pub const result_desc = Returned(Shape.Result).desc;
        pub const param_descs = shape.describeParams(Shape.Params);
        pub const kind = abi.export_kind.sink;

        state: Its,
        in: Shape.Ports[0],
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
            self.in = .{ .exchange = &self.state.in, .failure = &self.state.failure };
        }

        pub fn letGo(self: *Self) void {
            shape.dropEnds(Shape.Params, &self.params);
        }

        pub fn dropPorts(self: *Self) void {
            if (bytes) self.in.deinit();
        }

        pub fn run(state: *Its, io: Io) void {
            const self: *Self = @alignCast(@fieldParentPtr("state", state));
            if (Shape.call(io, .{&self.in}, &self.params)) |value| {
                self.result.put(value);
                state.outcome = abi.status.done;
            } else |err| {
                state.fail(if (bytes and err == error.ReadFailed) self.in.err orelse err else err);
            }
            if (bytes) state.keepUnread(&self.in);
            state.finish();
        }

        pub const vtable: abi.SinkVTable = .{
            .header = .of(abi.SinkVTable),
            .item = item_desc,
            .result = result_desc,
            .retain = &Its.retainC,
            .release = &Its.releaseC,
            .send_batch = &Its.sendBatchC,
            .poll_close = &pollClose,
            .cancel = &Its.cancelC,
            .last_error = &Its.lastErrorC,
            .take_back = &Its.takeBackC,
        };

        fn pollClose(
            ptr: *anyopaque,
            cx: *const abi.PollContext,
            out: *anyopaque,
        ) callconv(.c) i32 {
            const state = Its.of(ptr);
            const status = state.pollClose(cx);
            const self: *Self = @alignCast(@fieldParentPtr("state", state));
            if (status == abi.status.done) self.result.take(out);
            return status;
        }
    };
}

const testing = @import("testing.zig");

const fixtures = struct {
    const In = @import("in.zig").In;

    fn sum(_: Io, in: *In(u32), limit: u32) !u64 {
        var total: u64 = 0;
        while (try in.next()) |item| {
            total += item;
            if (total >= limit) return total;
        }
        return total;
    }
};

test "a sink takes in order, waits when it is full, and returns its result" {
    const Sum = FunctionSink("sum", fixtures.sum);
    // Up to its end, and with a function that has had enough before.
    for ([_]u32{ 1 << 30, 40 }) |limit| {
        var waker: testing.TestWaker = .{};
        const cx = waker.context();
        const handle = try testing.open(Sum, testing.options(3, null), &.{&limit});
        const state = handle.state.?;
        var items: [100]u32 = undefined;
        for (&items, 0..) |*item, i| item.* = @intCast(i);
        var sent: usize = 0;
        while (sent < items.len) {
            const seen = waker.wakes.load(.seq_cst);
            var n: usize = 0;
            const status = Sum.vtable.send_batch(state, &cx, items[sent..].ptr, items.len - sent, &n);
            sent += n;
            if (status == abi.status.done) break;
            if (status == abi.status.pending) waker.wait(seen);
        }
        try std.testing.expectEqual(limit != 40, sent == items.len);
        var result: u64 = 0;
        while (true) {
            const seen = waker.wakes.load(.seq_cst);
            const status = Sum.vtable.poll_close(state, &cx, &result);
            if (status == abi.status.done) break;
            try std.testing.expectEqual(abi.status.pending, status);
            waker.wait(seen);
        }
        try std.testing.expectEqual(@as(u64, if (limit == 40) 45 else 4950), result);
        Sum.vtable.release(state);
        waker.waitUnreferenced();
    }
}
