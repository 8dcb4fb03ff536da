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
