//! What every function has, whatever it is and however it runs: references, its exchange with the other side,
//! and how it ended.

const std = @import("std");
const builtin = @import("builtin");
const Io = std.Io;
const abi = @import("abi.zig");
const exchange_mod = @import("exchange.zig");
const Buffer = @import("buffer.zig").Buffer;
const Failure = @import("failure.zig").Failure;
const PoolClient = @import("pool.zig").PoolClient;
const Runner = @import("runner.zig").Runner;
const Task = @import("coroutine/task.zig").Task;
const coroutines = @import("coroutine/switch.zig").supported;

/// The first field, named `state`, of `Owner`, which is what the host's handle points to. `Owner` has a
/// `deinit` that frees itself, called after this is gone, and says by `holdsEnd` whether that drops the
/// end of a channel.
pub fn State(comptime Owner: type, comptime name: []const u8, comptime Wire: type) type {
    return struct {
        const Self = @This();
        const Exchange = exchange_mod.Exchange(Wire);
        const Pool = if (Wire == Buffer) PoolClient else void;

        /// Whoever uses the memory: all of the host's handles together, the function's thread, wakers that
        /// others keep.
        references: std.atomic.Value(u32),
        /// The host's handles.
        handles: std.atomic.Value(u32),
        exchange: Exchange,
        failure: Failure,
        /// For functions whose items are bytes and that were given one.
        pool: ?Pool,
        body: *const fn (*Self, Io) void,
        /// A terminal status, from before `exchange.finish()` on.
        outcome: i32,

        /// In place: the parts point to each other. On an error nothing is left to free.
        pub fn init(
            s: *Self,
            options: *const abi.OpenOptions,
            body: *const fn (*Self, Io) void,
        ) error{OutOfMemory}!void {
            try s.exchange.init(&callbacks, options);
            s.references = .init(1);
            s.handles = .init(1);
            s.failure = .{};
            s.pool = if (Wire == Buffer and options.pool != null) .init(
                options.pool.?,
                s.exchange.waiter(),
                if (options.flags & abi.option_spill != 0) &s.exchange else null,
            ) else null;
            s.body = body;
            s.outcome = abi.status.canceled;
        }

        fn destroy(s: *Self) void {
            if (Wire == Buffer) s.exchange.dropItems();
            if (Wire == Buffer) if (s.pool) |*pool| pool.deinit();
            s.exchange.deinit();
            s.failure.deinit();
            owner(s).deinit();
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

        /// Starts the function at the first poll. If that is not to be, it ends at once, and `outcome` says how.
        pub inline fn startOnce(s: *Self) void {
            if (!s.exchange.started()) s.startFirst();
        }

        noinline fn startFirst(s: *Self) void {
            s.exchange.start() catch |err| {
                switch (err) {
                    error.Canceled => {},
                    error.ThreadUnavailable, error.StackUnavailable => {
                        s.failure.domain = abi.domain.runtime;
                        const what = if (err == error.ThreadUnavailable) "thread" else "stack";
                        s.failure.say("the system has no {s} for `{s}`", .{ what, name });
                    },
                }
                s.fail(err);
                s.exchange.finish();
            };
        }

        const callbacks: Exchange.Callbacks = .{
            .thread = .{
                .name = name,
                .run = &OnThread.run,
                .retain = &OnThread.retain,
                .release = &OnThread.release,
                .release_at_exit = &OnThread.releaseAtExit,
            },
            .coroutine = if (coroutines) .{
                .name = name,
                .run = &AsCoroutine.run,
                .retain = &AsCoroutine.retain,
                .release = &AsCoroutine.release,
            },
        };

        const OnThread = struct {
            fn from(r: *Runner) *Self {
                const part: *Exchange.OnThread = @alignCast(@fieldParentPtr("runner", r));
                return @alignCast(@fieldParentPtr("exchange", part.exchange));
            }

            fn run(r: *Runner, io: Io) void {
                const s = from(r);
                s.body(s, io);
            }

            fn retain(r: *Runner) void {
                from(r).retain();
            }

            fn release(r: *Runner) void {
                from(r).release();
            }

            /// Buffers and ends of channels that nobody took go back to whoever made them, Rust code that may
            /// use thread-locals: not on a thread that has lost them.
            fn releaseAtExit(r: *Runner) void {
                const s = from(r);
                if (s.references.fetchSub(1, .acq_rel) != 1) return;
                const handoff = &s.exchange.thread.handoff;
                const left = (Wire == Buffer and !handoff.ring.isEmpty()) or owner(s).holdsEnd();
                if (!builtin.single_threaded and left) {
                    if (std.Thread.spawn(.{}, destroy, .{s})) |thread| return thread.detach() else |_| {}
                }
                s.destroy();
            }
        };

        const AsCoroutine = struct {
            fn from(t: *Task) *Self {
                const part: *Exchange.AsCoroutine = @alignCast(@fieldParentPtr("task", t));
                const exchange: *Exchange = @alignCast(@fieldParentPtr("coroutine", part));
                return @alignCast(@fieldParentPtr("exchange", exchange));
            }

            fn run(t: *Task, io: Io) void {
                const s = from(t);
                s.body(s, io);
            }

            fn retain(t: *Task) void {
                from(t).retain();
            }

            fn release(t: *Task) void {
                from(t).release();
            }
        };

        fn retain(s: *Self) void {
            _ = s.references.fetchAdd(1, .monotonic);
        }

        fn release(s: *Self) void {
            if (dropped(&s.references)) s.destroy();
        }

        /// Whether the caller's reference, which it gives up, was the last one.
        fn dropped(count: *std.atomic.Value(u32)) bool {
            // The only one, which is the caller's, stays the only one: nobody else has one to add to. Acquires what
            // the others did before they dropped theirs, as the decrement does.
            return count.load(.acquire) == 1 or count.fetchSub(1, .acq_rel) == 1;
        }

        // The vtable's common entries.

        pub fn retainC(ptr: *anyopaque) callconv(.c) void {
            _ = of(ptr).handles.fetchAdd(1, .monotonic);
        }

        pub fn releaseC(ptr: *anyopaque) callconv(.c) void {
            const s = of(ptr);
            if (!dropped(&s.handles)) return;
            s.exchange.abandon();
            s.release();
        }

        pub fn cancelC(ptr: *anyopaque) callconv(.c) void {
            of(ptr).exchange.cancel();
        }

        pub fn lastErrorC(ptr: *anyopaque, out: *abi.ErrorRecord) callconv(.c) void {
            out.* = of(ptr).failure.record(name);
        }
    };
}
