//! A source that is a hand-written state machine: a struct with a `poll`.

const std = @import("std");
const gpa = @import("heap.zig").gpa;
const abi = @import("abi.zig");
const shape = @import("shape.zig");
const types = @import("types.zig");
const Buffer = @import("buffer.zig").Buffer;
const Failure = @import("failure.zig").Failure;

/// What a state machine's `poll` returns. Items that were written to `out` count whatever follows.
pub const Poll = union(enum) {
    /// This many items (at least one) are in `out`, and more may follow at once.
    ready: usize,
    /// None for now. `cx.waker()` was kept, and will be woken.
    pending,
    /// This many last items are in `out`.
    done: usize,
    /// The end, by an error.
    failed: anyerror,
};

/// What a poll brings along.
pub const Context = struct {
    raw: *const abi.PollContext,
    failure: *Failure,

    /// Wakes the task that polls. Borrowed: `retain` it to keep it beyond this poll.
    pub fn waker(cx: *const Context) Waker {
        return .{ .handle = cx.raw.waker };
    }

    /// `return cx.fail(error.BadMagic, "{s} is not a PNG", .{path});`
    pub fn fail(cx: *Context, err: anyerror, comptime fmt: []const u8, args: anytype) Poll {
        cx.failure.say(fmt, args);
        return .{ .failed = err };
    }
};

/// Makes a task be polled again. A handle of the host's, reference-counted; any thread may use it.
pub const Waker = struct {
    handle: *const abi.WakerHandle,

    /// Adds a reference, for keeping the waker. `release` drops it.
    pub fn retain(w: Waker) Waker {
        w.handle.vtable.retain(w.handle);
        return w;
    }

    pub fn release(w: Waker) void {
        w.handle.vtable.release(w.handle);
    }

    /// Harmless when the task is gone.
    pub fn wake(w: Waker) void {
        w.handle.vtable.wake(w.handle);
    }

    pub fn eql(a: Waker, b: Waker) bool {
        return a.handle == b.handle;
    }
};

const want =
    \\
    \\    pub const Item = …;
    \\    pub fn init(args…) !Self              (or without `!`)
    \\    pub fn poll(self: *Self, cx: *ziggurat.Context, out: []Item) ziggurat.Poll
    \\    pub fn deinit(self: *Self) void       (may be missing)
    \\    pub fn cancel(self: *Self) void       (may be missing; any thread)
;

pub fn PollSource(comptime name: []const u8, comptime Machine: type) type {
    inline for (.{ "Item", "init", "poll" }) |decl| {
        if (!@hasDecl(Machine, decl)) @compileError("ziggurat: `" ++ name ++ "` (" ++ @typeName(Machine) ++
            ") cannot be a source: it has no `" ++ decl ++ "`\n    wanted:" ++ want);
    }
    const Wire = types.Wire(Machine.Item);
    const Poll_ = fn (*Machine, *Context, []Wire) Poll;
    if (@TypeOf(Machine.poll) != Poll_) @compileError("ziggurat: `" ++ name ++ "` cannot be a source: its `poll` is\n    " ++
        @typeName(@TypeOf(Machine.poll)) ++ "\n    where wanted:\n    " ++ @typeName(Poll_));

    return struct {
        const Self = @This();
        const init_info = @typeInfo(@TypeOf(Machine.init)).@"fn";
        const Params = shape.ParamsFrom(init_info.param_types);
        comptime {
            if (shape.hasEnds(Params)) @compileError("ziggurat: `" ++ name ++ "` (" ++ @typeName(Machine) ++
                ") cannot take an end of a channel: a state machine has no thread that could wait");
        }

        pub const item_desc = types.desc(Machine.Item);
        pub const result_desc = types.desc(void);
        pub const param_descs = shape.describeParams(Params);
        pub const kind = abi.export_kind.source;

        references: std.atomic.Value(u32) = .init(1),
        machine: Machine,
        failure: Failure = .{},
        params: Params,
        /// How it ended, once it has.
        outcome: ?i32 = null,

        pub fn open(
            options: *const abi.OpenOptions,
            args: [*]const abi.Arg,
            arg_count: usize,
            handle: *abi.RawHandle,
            err: *abi.ErrorRecord,
        ) callconv(.c) i32 {
            if (options.flags & abi.option_poison != 0) {
                // It runs on the poller's own stack, which cannot be left behind.
                err.* = Failure.static(abi.domain.runtime, error.PoisonUnsupported, "");
                return abi.status.failed;
            }
            const self = create(args[0..arg_count]) catch |e| {
                err.* = Failure.static(abi.domain.function, e, "");
                return abi.status.failed;
            };
            handle.* = .{ .vtable = &vtable, .state = self };
            return abi.status.ready;
        }

        fn create(args: []const abi.Arg) anyerror!*Self {
            const self = try gpa.create(Self);
            errdefer gpa.destroy(self);
            const copied = try shape.readParams(Params, gpa, args);
            errdefer shape.freeParams(Params, gpa, copied);
            const made = @call(.auto, Machine.init, copied);
            const machine: Machine = if (@typeInfo(@TypeOf(made)) == .error_union) try made else made;
            self.* = .{ .machine = machine, .params = copied };
            return self;
        }

        fn destroy(self: *Self) void {
            if (@hasDecl(Machine, "deinit")) self.machine.deinit();
            shape.freeParams(Params, gpa, self.params);
            self.failure.deinit();
            gpa.destroy(self);
        }

        pub const vtable: abi.SourceVTable = .{
            .header = .of(abi.SourceVTable),
            .item = item_desc,
            .retain = &retain,
            .release = &release,
            .poll_batch = &pollBatch,
            .cancel = &cancel,
            .last_error = &lastError,
        };

        fn of(ptr: *anyopaque) *Self {
            return @ptrCast(@alignCast(ptr));
        }

        fn retain(ptr: *anyopaque) callconv(.c) void {
            _ = of(ptr).references.fetchAdd(1, .monotonic);
        }

        fn release(ptr: *anyopaque) callconv(.c) void {
            const self = of(ptr);
            if (self.references.fetchSub(1, .acq_rel) == 1) self.destroy();
        }

        fn pollBatch(
            ptr: *anyopaque,
            cx: *const abi.PollContext,
            out: *anyopaque,
            cap: usize,
            n: *usize,
        ) callconv(.c) i32 {
            const self = of(ptr);
            n.* = 0;
            if (self.outcome) |outcome| return outcome;
            var context: Context = .{ .raw = cx, .failure = &self.failure };
            switch (self.machine.poll(&context, @as([*]Wire, @ptrCast(@alignCast(out)))[0..cap])) {
                .ready => |count| {
                    n.* = count;
                    return abi.status.ready;
                },
                .pending => return abi.status.pending,
                .done => |count| {
                    n.* = count;
                    self.outcome = abi.status.done;
                },
                .failed => |err| {
                    self.failure.err = err;
                    self.outcome = if (err == error.Canceled) abi.status.canceled else abi.status.failed;
                },
            }
            return self.outcome.?;
        }

        fn cancel(ptr: *anyopaque) callconv(.c) void {
            if (@hasDecl(Machine, "cancel")) of(ptr).machine.cancel();
        }

        fn lastError(ptr: *anyopaque, out: *abi.ErrorRecord) callconv(.c) void {
            out.* = of(ptr).failure.record(name);
        }
    };
}

const testing = @import("testing.zig");

const Evens = struct {
    pub const Item = u16;
    next: u16 = 0,
    end: u16,

    pub fn init(end: u16) error{Odd}!Evens {
        return if (end % 2 == 0) .{ .end = end } else error.Odd;
    }

    pub fn poll(self: *Evens, cx: *Context, out: []u16) Poll {
        if (self.next == 8) return cx.fail(error.EnoughEvens, "after {d}", .{self.next});
        out[0] = self.next;
        self.next += 2;
        return if (self.next >= self.end) .{ .done = 1 } else .{ .ready = 1 };
    }
};

test "a state machine is polled until it ends, and not beyond" {
    const Made = PollSource("evens", Evens);
    var waker: testing.TestWaker = .{};
    var items: [3]u16 = undefined;
    const four: u16 = 4;
    const handle = try testing.open(Made, testing.options(0, null), &.{&four});
    try std.testing.expectEqual(.{ 1, abi.status.ready }, testing.next(u16, handle, &waker, &items));
    try std.testing.expectEqual(.{ 1, abi.status.done }, testing.next(u16, handle, &waker, &items));
    try std.testing.expectEqual(.{ 0, abi.status.done }, testing.next(u16, handle, &waker, &items));
    Made.vtable.release(handle.state.?);

    const ten: u16 = 10;
    const failing = try testing.open(Made, testing.options(0, null), &.{&ten});
    for (0..4) |_| _ = testing.next(u16, failing, &waker, &items);
    try std.testing.expectEqual(.{ 0, abi.status.failed }, testing.next(u16, failing, &waker, &items));
    var record: abi.ErrorRecord = undefined;
    Made.vtable.last_error(failing.state.?, &record);
    try std.testing.expectEqualStrings("EnoughEvens", record.name.get());
    Made.vtable.release(failing.state.?);

    const three: u16 = 3;
    const args = [_]abi.Arg{.{ .ty = types.desc(u16), .value = &three }};
    var out: abi.RawHandle = undefined;
    try std.testing.expectEqual(abi.status.failed, Made.open(&testing.options(0, null), &args, 1, &out, &record));
    try std.testing.expectEqualStrings("Odd", record.name.get());
}
