//! A sink that is a function: `fn (io: std.Io, in: *In(T), args…) !R`.

const std = @import("std");
const Io = std.Io;
const abi = @import("abi.zig");
const shape = @import("shape.zig");
const types = @import("types.zig");
const Failure = @import("failure.zig").Failure;
const State = @import("state.zig").State;

pub fn FunctionSink(comptime name: []const u8, comptime function: anytype) type {
    return struct {
        const Self = @This();
        pub const Shape = shape.Shape(.sink, name, function);
        const Item = Shape.Item;
        const Wire = types.Wire(Item);
        const bytes = types.isBytes(Item);

        pub const item_desc = types.desc(Item);
        pub const result_desc = types.desc(Shape.Result);
        pub const param_descs = shape.describeParams(Shape.Params);
        pub const kind = abi.export_kind.sink;

        state: State(Self, name, Wire),
        in: Shape.Port,
        params: Shape.Params,
        result: Shape.Result,

        pub fn open(
            options: *const abi.OpenOptions,
            args: [*]const abi.Arg,
            arg_count: usize,
            handle: *abi.RawHandle,
            err: *abi.ErrorRecord,
        ) callconv(.c) i32 {
            const self = create(options, args[0..arg_count]) catch |e| {
                err.* = Failure.static(abi.domain.runtime, e, "");
                return abi.status.failed;
            };
            handle.* = .{ .vtable = &vtable, .state = self };
            return abi.status.ready;
        }

        fn create(options: *const abi.OpenOptions, args: []const abi.Arg) !*Self {
            const gpa = std.heap.c_allocator;
            const self = try gpa.create(Self);
            errdefer gpa.destroy(self);
            self.params = try shape.readParams(Shape.Params, gpa, args);
            errdefer shape.freeParams(Shape.Params, gpa, self.params);
            try self.state.init(options, &run);
            self.in = .{ .handoff = &self.state.handoff, .failure = &self.state.failure };
            return self;
        }

        pub fn deinit(self: *Self) void {
            const gpa = std.heap.c_allocator;
            shape.freeParams(Shape.Params, gpa, self.params);
            gpa.destroy(self);
        }

        fn run(state: *State(Self, name, Wire), io: Io) void {
            const self: *Self = @alignCast(@fieldParentPtr("state", state));
            if (Shape.call(io, &self.in, self.params)) |value| {
                self.result = value;
                state.outcome = abi.status.done;
            } else |err| {
                state.fail(if (bytes and err == error.ReadFailed) self.in.err orelse err else err);
            }
            if (bytes) self.in.deinit();
            state.handoff.finish();
        }

        pub const vtable: abi.SinkVTable = .{
            .header = .of(abi.SinkVTable),
            .item = item_desc,
            .result = result_desc,
            .retain = &State(Self, name, Wire).retainC,
            .release = &State(Self, name, Wire).releaseC,
            .send_batch = &sendBatch,
            .poll_close = &pollClose,
            .cancel = &State(Self, name, Wire).cancelC,
            .last_error = &State(Self, name, Wire).lastErrorC,
        };

        fn sendBatch(
            ptr: *anyopaque,
            cx: *const abi.PollContext,
            items: *const anyopaque,
            count: usize,
            n: *usize,
        ) callconv(.c) i32 {
            const state = State(Self, name, Wire).of(ptr);
            if (!state.startOnce()) return abi.status.failed;
            n.* = state.handoff.pollSend(cx, @as([*]const Wire, @ptrCast(@alignCast(items)))[0..count]);
            if (n.* == count) return abi.status.ready;
            return if (state.handoff.refused.load(.seq_cst)) state.outcome else abi.status.pending;
        }

        fn pollClose(
            ptr: *anyopaque,
            cx: *const abi.PollContext,
            out: *anyopaque,
        ) callconv(.c) i32 {
            const state = State(Self, name, Wire).of(ptr);
            if (!state.startOnce()) return abi.status.failed;
            state.handoff.end();
            if (!state.handoff.pollFinished(cx)) return abi.status.pending;
            if (state.outcome == abi.status.done and Shape.Result != void) {
                const self: *Self = @alignCast(@fieldParentPtr("state", state));
                @as(*Shape.Result, @ptrCast(@alignCast(out))).* = self.result;
            }
            return state.outcome;
        }
    };
}
