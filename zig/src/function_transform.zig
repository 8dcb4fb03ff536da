//! A transform that is a function: `fn (io: std.Io, in: *In(T), out: *Out(U), args…) !void`.
//!
//! It is a sink and a source over one state: the host gets a handle for each.

const std = @import("std");
const Io = std.Io;
const abi = @import("abi.zig");
const shape = @import("shape.zig");
const types = @import("types.zig");
const Opening = @import("opening.zig").Opening;
const State = @import("state.zig").State;

pub fn FunctionTransform(comptime name: []const u8, comptime function: anytype) type {
    return struct {
        const Self = @This();
        pub const Shape = shape.Shape(.transform, name, function);
        const Taken = Shape.Ports[0].Item;
        const Given = Shape.Ports[1].Item;
        const WireIn = types.Wire(Taken);
        const WireOut = types.Wire(Given);
        const Its = State(Self, name, WireIn, WireOut);
        const bytes_in = types.isBytes(Taken);
        const bytes_out = types.isBytes(Given);

        /// What goes in.
        pub const item_desc = types.desc(Taken);
        /// What comes out.
        pub const result_desc = types.desc(Given);
        pub const param_descs = shape.describeParams(Shape.Params);
        pub const kind = abi.export_kind.transform;

        state: Its,
        in: Shape.Ports[0],
        out: Shape.Ports[1],
        params: Shape.Params,

        const opening = Opening(Self);
        pub const open = opening.open;
        pub const deinit = opening.deinit;

        pub fn holdsEnd(_: *const Self) bool {
            return false;
        }

        pub fn check(options: *const abi.OpenOptions) !void {
            if (bytes_out and options.pool == null) return error.PoolMissing;
        }

        pub fn connect(self: *Self) void {
            const s = &self.state;
            self.in = .{ .exchange = &s.in, .failure = &s.failure };
            self.out = if (bytes_out)
                .{ .exchange = &s.out, .failure = &s.failure, .pool = &s.pool.? }
            else
                .{ .exchange = &s.out, .failure = &s.failure };
            s.out.connect(&self.out.slots);
        }

        pub fn letGo(self: *Self) void {
            shape.dropEnds(Shape.Params, &self.params);
        }

        pub fn dropPorts(self: *Self) void {
            if (bytes_in) self.in.deinit();
            if (bytes_out) self.out.deinit();
        }

        pub fn run(state: *Its, io: Io) void {
            const self: *Self = @alignCast(@fieldParentPtr("state", state));
            if (self.transform(io)) |_| {
                state.outcome = abi.status.done;
            } else |err| state.fail(err);
            if (bytes_out) self.out.deinit();
            if (bytes_in) state.keepUnread(&self.in);
            state.finish();
        }

        fn transform(self: *Self, io: Io) anyerror!void {
            const returned = Shape.call(io, .{ &self.in, &self.out }, &self.params);
            // What was written is delivered, also before an error.
            const flushed = if (bytes_out) self.out.flush() else {};
            returned catch |err| return self.behind(err);
            return flushed;
        }

        /// What is behind an error of the reader's or the writer's.
        fn behind(self: *const Self, err: anyerror) anyerror {
            if (bytes_in and err == error.ReadFailed) return self.in.err orelse err;
            if (bytes_out and err == error.WriteFailed) return self.out.err orelse err;
            return err;
        }

        pub const vtable: abi.TransformVTable = .{
            .header = .of(abi.TransformVTable),
            .sink = &sink_vtable,
            .source = &source_vtable,
        };

        pub const sink_vtable: abi.SinkVTable = .{
            .header = .of(abi.SinkVTable),
            .item = item_desc,
            .result = types.desc(void),
            .retain = &Its.retainC,
            .release = &Its.releaseC,
            .send_batch = &Its.sendBatchC,
            .poll_close = &pollClose,
            .cancel = &Its.cancelC,
            .last_error = &Its.lastErrorC,
            .take_back = &Its.takeBackC,
        };

        pub const source_vtable: abi.SourceVTable = .{
            .header = .of(abi.SourceVTable),
            .item = result_desc,
            .retain = &Its.retainC,
            .release = &Its.releaseC,
            .poll_batch = &pollBatch,
            .cancel = &Its.cancelC,
            .last_error = &Its.lastErrorC,
        };

        fn pollClose(ptr: *anyopaque, cx: *const abi.PollContext, _: *anyopaque) callconv(.c) i32 {
            return Its.of(ptr).pollClose(cx);
        }

        fn pollBatch(
            ptr: *anyopaque,
            cx: *const abi.PollContext,
            out: *anyopaque,
            cap: usize,
            n: *usize,
        ) callconv(.c) i32 {
            const self: *Self = @ptrCast(@alignCast(ptr));
            const items = @as([*]WireOut, @ptrCast(@alignCast(out)))[0..cap];
            return self.state.pollBatch(&self.out.slots, cx, items, n);
        }
    };
}
