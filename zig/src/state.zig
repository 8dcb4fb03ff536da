//! What every function on a thread has, whatever it is: references, a runner, a hand-off, and how it
//! ended.

const std = @import("std");
const builtin = @import("builtin");
const Io = std.Io;
const abi = @import("abi.zig");
const handoff_mod = @import("handoff.zig");
const Buffer = @import("buffer.zig").Buffer;
const Failure = @import("failure.zig").Failure;
const Handoff = handoff_mod.Handoff;
const PoolClient = @import("pool.zig").PoolClient;
const Runner = @import("runner.zig").Runner;

/// The first field, named `state`, of `Owner`, which is what the host's handle points to. `Owner` has a
/// `deinit` that frees itself, called after this is gone, and says by `holdsEnd` whether that drops the
/// end of a channel.
pub fn State(comptime Owner: type, comptime name: []const u8, comptime Wire: type) type {
    return struct {
        const Self = @This();

        references: std.atomic.Value(u32),
        runner: Runner,
        handoff: Handoff(Wire),
        failure: Failure,
        /// For functions whose items are bytes and that were given one.
        pool: ?PoolClient,
        body: *const fn (*Self, Io) void,
        /// A terminal status, from before `handoff.finish()` on.
        outcome: i32,

        /// In place: the parts point to each other. On an error nothing is left to free.
        pub fn init(
            s: *Self,
            options: *const abi.OpenOptions,
            body: *const fn (*Self, Io) void,
        ) error{OutOfMemory}!void {
            const capacity: usize = if (options.capacity == 0)
                handoff_mod.defaultCapacity(Wire)
            else
                std.math.cast(usize, options.capacity) orelse return error.OutOfMemory;
            s.handoff = try .init(std.heap.c_allocator, capacity, &s.runner);
            s.references = .init(1);
            s.runner = .init(&callbacks, options.stack_size);
            s.failure = .{};
            s.pool = if (Wire == Buffer and options.pool != null) .init(
                options.pool.?,
                &s.runner,
                if (options.flags & abi.option_spill != 0) &s.handoff else null,
            ) else null;
            s.body = body;
            s.outcome = abi.status.canceled;
        }

        fn destroy(s: *Self) void {
            if (Wire == Buffer) s.dropItems();
            if (s.pool) |*pool| pool.deinit();
            s.handoff.deinit(std.heap.c_allocator);
            s.failure.deinit();
            owner(s).deinit();
        }

        /// The consumer, when it takes no more: releases the buffers that are left.
        pub fn dropItems(s: *Self) void {
            var left: [1]Buffer = undefined;
            while (s.handoff.ring.pop(&left) > 0) left[0].deinit();
        }

        fn owner(s: *Self) *Owner {
            return @alignCast(@fieldParentPtr("state", s));
        }

        pub fn of(ptr: *anyopaque) *Self {
            const o: *Owner = @ptrCast(@alignCast(ptr));
            return &o.state;
        }

        pub fn fail(s: *Self, err: anyerror) void {
            s.outcome = if (err == error.Canceled) abi.status.canceled else abi.status.failed;
            s.failure.err = err;
        }

        /// Starts the thread at the first poll. If that is not to be, the hand-off ends at once, and
        /// `outcome` says how.
        pub fn startOnce(s: *Self) void {
            if (s.runner.started()) return;
            s.runner.start() catch |err| {
                if (err == error.ThreadUnavailable) {
                    s.failure.domain = abi.domain.runtime;
                    s.failure.say("the system has no thread for `{s}`", .{name});
                }
                s.fail(err);
                s.handoff.finish();
            };
        }

        const callbacks: Runner.Callbacks = .{
            .name = name,
            .run = &run,
            .retain = &retain,
            .release = &release,
            .release_at_exit = &releaseAtExit,
        };

        fn fromRunner(r: *Runner) *Self {
            return @alignCast(@fieldParentPtr("runner", r));
        }

        fn run(r: *Runner, io: Io) void {
            const s = fromRunner(r);
            s.body(s, io);
        }

        fn retain(r: *Runner) void {
            _ = fromRunner(r).references.fetchAdd(1, .monotonic);
        }

        fn release(r: *Runner) void {
            const s = fromRunner(r);
            if (s.references.fetchSub(1, .acq_rel) == 1) s.destroy();
        }

        /// Buffers and ends of channels that nobody took go back to whoever made them, Rust code that may
        /// use thread-locals: not on a thread that has lost them.
        fn releaseAtExit(r: *Runner) void {
            const s = fromRunner(r);
            if (s.references.fetchSub(1, .acq_rel) != 1) return;
            const left = (Wire == Buffer and !s.handoff.ring.isEmpty()) or owner(s).holdsEnd();
            if (!builtin.single_threaded and left) {
                if (std.Thread.spawn(.{}, destroy, .{s})) |thread| return thread.detach() else |_| {}
            }
            s.destroy();
        }

        // The vtable's common entries.

        pub fn retainC(ptr: *anyopaque) callconv(.c) void {
            retain(&of(ptr).runner);
        }

        pub fn releaseC(ptr: *anyopaque) callconv(.c) void {
            release(&of(ptr).runner);
        }

        pub fn cancelC(ptr: *anyopaque) callconv(.c) void {
            of(ptr).runner.cancel();
        }

        pub fn lastErrorC(ptr: *anyopaque, out: *abi.ErrorRecord) callconv(.c) void {
            out.* = of(ptr).failure.record(name);
        }
    };
}
