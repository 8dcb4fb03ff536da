//! A source that is a function: `fn (io: std.Io, out: *Out(T), args…) !void`.

const std = @import("std");
const Io = std.Io;
const abi = @import("abi.zig");
const handoff = @import("handoff.zig");
const types = @import("types.zig");
const shape = @import("shape.zig");
const Failure = @import("failure.zig").Failure;
const PoolClient = @import("pool.zig").PoolClient;
const Runner = @import("runner.zig").Runner;
const State = @import("state.zig").State;

pub fn FunctionSource(comptime name: []const u8, comptime function: anytype) type {
    return struct {
        const Self = @This();
        pub const Shape = shape.Shape(.source, name, function);
        const Item = Shape.Item;
        const Wire = types.Wire(Item);
        const bytes = types.isBytes(Item);

        pub const item_desc = types.desc(Item);
        pub const result_desc = types.desc(void);
        pub const param_descs = shape.describeParams(Shape.Params);
        pub const kind = abi.export_kind.source;

        state: State(Self, name, Wire),
        out: Shape.Port,
        params: Shape.Params,

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
            if (bytes and options.pool == null) return error.PoolMissing;
            const self = try gpa.create(Self);
            errdefer gpa.destroy(self);
            self.params = try shape.readParams(Shape.Params, gpa, args);
            errdefer shape.freeParams(Shape.Params, gpa, self.params);
            try self.state.init(options, &run);
            const s = &self.state;
            self.out = if (bytes)
                .{ .handoff = &s.handoff, .failure = &s.failure, .pool = &s.pool.? }
            else
                .{ .handoff = &s.handoff, .failure = &s.failure };
            return self;
        }

        pub fn deinit(self: *Self) void {
            const gpa = std.heap.c_allocator;
            shape.freeParams(Shape.Params, gpa, self.params);
            gpa.destroy(self);
        }

        fn run(state: *State(Self, name, Wire), io: Io) void {
            const self: *Self = @alignCast(@fieldParentPtr("state", state));
            if (self.produce(io)) |_| {
                state.outcome = abi.status.done;
            } else |err| state.fail(err);
            if (bytes) self.out.deinit();
            state.handoff.finish();
        }

        fn produce(self: *Self, io: Io) anyerror!void {
            const returned = Shape.call(io, &self.out, self.params);
            if (!bytes) return returned;
            // What was written is delivered, also before an error.
            const flushed = self.out.flush();
            returned catch |err| return if (err == error.WriteFailed) self.out.err orelse err else err;
            return flushed;
        }

        pub const vtable: abi.SourceVTable = .{
            .header = .of(abi.SourceVTable),
            .item = item_desc,
            .retain = &State(Self, name, Wire).retainC,
            .release = &State(Self, name, Wire).releaseC,
            .poll_batch = &pollBatch,
            .cancel = &State(Self, name, Wire).cancelC,
            .last_error = &State(Self, name, Wire).lastErrorC,
        };

        fn pollBatch(
            ptr: *anyopaque,
            cx: *const abi.PollContext,
            out: *anyopaque,
            cap: usize,
            n: *usize,
        ) callconv(.c) i32 {
            const state = State(Self, name, Wire).of(ptr);
            if (!state.startOnce()) return abi.status.failed;
            const items = @as([*]Wire, @ptrCast(@alignCast(out)))[0..cap];
            n.* = state.handoff.pollReceive(cx, items) orelse return abi.status.pending;
            return if (n.* > 0) abi.status.ready else state.outcome;
        }
    };
}
