//! How a function becomes a handle, whatever it is: its arguments are copied and its state is made. Nothing
//! runs yet.

const std = @import("std");
const gpa = @import("heap.zig").gpa;
const abi = @import("abi.zig");
const shape = @import("shape.zig");
const Failure = @import("failure.zig").Failure;

/// What `Self` takes as its `open` and `deinit`. `Self` has
///
/// - fields `state` (its `State`) and `params`;
/// - `check`, which refuses options that it cannot work with;
/// - `run`, the function's body, for wherever it runs;
/// - `connect`, which sets up the rest once the state is in place;
/// - `vtable`.
pub fn Opening(comptime Self: type) type {
    return struct {
        const Params = @FieldType(Self, "params");

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
            handle.* = .{ .vtable = &Self.vtable, .state = self };
            return abi.status.ready;
        }

        fn create(options: *const abi.OpenOptions, args: []const abi.Arg) !*Self {
            if (options.struct_size < @sizeOf(abi.OpenOptions)) return error.OptionsTooShort;
            try Self.check(options);
            const self = try gpa.create(Self);
            errdefer gpa.destroy(self);
            self.params = try shape.readParams(Params, gpa, args);
            errdefer shape.freeParams(Params, gpa, self.params);
            try self.state.init(options, &Self.run);
            self.connect();
            return self;
        }

        /// Called by the state, when it is gone.
        pub fn deinit(self: *Self) void {
            shape.freeParams(Params, gpa, self.params);
            // Of a function that never ran.
            shape.dropEnds(Params, &self.params);
            gpa.destroy(self);
        }
    };
}

const testing = @import("testing.zig");
const heap = @import("heap.zig");
const types = @import("types.zig");
const TestHost = @import("testing_host.zig").TestHost;
const In = @import("in.zig").In;
const Out = @import("out.zig").Out;
const Io = std.Io;

const shapes = struct {
    fn source(_: Io, _: *Out([]const u8), _: []const u8, _: []const u8) !void {}
    fn sink(_: Io, _: *In([]const u8), _: []const u8, _: []const u8) !u64 {
        return 1;
    }
    fn transform(_: Io, _: *In([]const u8), _: *Out([]const u8), _: []const u8, _: []const u8) !void {}
    fn numbers(_: Io, _: *In(u64), _: *Out(u64), _: []const u8, _: []const u8) !void {}
    fn future(_: Io, _: []const u8, text: []const u8) ![]u8 {
        return std.heap.c_allocator.dupe(u8, text);
    }

    const all = .{
        @import("function_source.zig").FunctionSource("source", source),
        @import("function_sink.zig").FunctionSink("sink", sink),
        @import("function_transform.zig").FunctionTransform("transform", transform),
        @import("function_transform.zig").FunctionTransform("numbers", numbers),
        @import("function_future.zig").FunctionFuture("future", future),
    };
};

/// As Rust lets go of a handle, which of a transform is two.
fn releaseAll(comptime Made: type, handle: abi.RawHandle) void {
    if (@TypeOf(Made.vtable) != abi.TransformVTable) return Made.vtable.release(handle.state.?);
    Made.vtable.sink.release(handle.state.?);
    Made.vtable.source.release(handle.state.?);
}

test "without memory for it, nothing is opened and nothing is kept, whatever it is and however it runs" {
    const text: abi.Slice = .of("some text");
    const args = [_]abi.Arg{
        .{ .ty = types.desc([]const u8), .value = &text },
        .{ .ty = types.desc([]const u8), .value = &text },
    };
    var host: TestHost = .{};
    defer host.deinit();
    var pool: testing.TestPool = undefined;
    try pool.init(2, 64);
    defer pool.deinit();
    inline for (shapes.all) |Made| for ([_]u32{ 0, abi.option_thread }) |flags| {
        var options = host.options(&pool);
        options.flags = flags;
        var fail_index: usize = 0;
        while (true) : (fail_index += 1) {
            var failing: std.testing.FailingAllocator = .init(std.testing.allocator, .{ .fail_index = fail_index });
            heap.replacement = failing.allocator();
            defer heap.replacement = null;
            var handle: abi.RawHandle = undefined;
            var record: abi.ErrorRecord = undefined;
            const status = Made.open(&options, &args, args.len, &handle, &record);
            if (status == abi.status.ready) releaseAll(Made, handle) else {
                try std.testing.expectEqual(abi.status.failed, status);
                try std.testing.expectEqualStrings("OutOfMemory", record.name.get());
            }
            try std.testing.expectEqual(1, host.references.raw);
            try std.testing.expectEqual(1, pool.references.raw);
            if (status == abi.status.ready) break;
        }
        // The state and the arguments, and on a thread what is kept apart.
        try std.testing.expect(fail_index >= 3);
    };
}
