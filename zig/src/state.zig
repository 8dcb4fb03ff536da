//! What every function has, whatever it is and however it runs: references, its exchanges with the other side,
//! and how it ended.

const std = @import("std");
const builtin = @import("builtin");
const Io = std.Io;
const abi = @import("abi.zig");
const Buffer = @import("buffer.zig").Buffer;
const Exchange = @import("exchange.zig").Exchange;
const Execution = @import("execution.zig").Execution;
const Failure = @import("failure.zig").Failure;
const PoolClient = @import("pool.zig").PoolClient;
const Runner = @import("runner.zig").Runner;
const Side = @import("coroutine/halves.zig").Side;
const Halves = @import("coroutine/halves.zig").Halves;
const Slots = @import("coroutine/lane.zig").Slots;
const Task = @import("coroutine/task.zig").Task;
const coroutines = @import("coroutine/switch.zig").supported;

/// The first field, named `state`, of `Owner`, which is what the host's handles point to. `Owner` has a
/// `deinit` that frees itself, called after this is gone, and says by `holdsEnd` whether that drops the
/// end of a channel. After a panic that was contained, `letGo` drops its ends of channels, and `dropPorts` what its
/// input and output hold.
///
/// `Taken` and `Given` are the items that the function takes and gives, as they are under way; `void` where
/// there are none. With both, each direction has a handle of its own.
pub fn State(comptime Owner: type, comptime name: []const u8, comptime Taken: type, comptime Given: type) type {
    return struct {
        const Self = @This();
        const paired = Taken != void and Given != void;
        const In = if (Taken == void) void else Exchange(Taken);
        const Out = if (Given == void) void else Exchange(Given);
        const Pool = if (Given == Buffer) PoolClient else void;

        /// Whoever uses the memory: all of the host's handles together, the function's thread, wakers that
        /// others keep.
        references: std.atomic.Value(u32),
        /// The host's handles.
        handles: std.atomic.Value(u32),
        execution: Execution,
        in: In,
        out: Out,
        /// Of a coroutine that two sides poll.
        halves: if (paired) ?*Halves else void,
        /// For a thread that either of two sides may start.
        starting: if (paired) std.atomic.Value(bool) else void,
        /// What the function has received and not read.
        unread: if (Taken == Buffer) Buffer else void,
        failure: Failure,
        /// For functions that give bytes.
        pool: ?Pool,
        body: *const fn (*Self, Io) void,
        /// A terminal status, from before `finish` on.
        outcome: i32,

        /// In place: the parts point to each other. On an error nothing is left to free.
        pub fn init(
            s: *Self,
            options: *const abi.OpenOptions,
            body: *const fn (*Self, Io) void,
        ) Execution.InitError!void {
            try s.execution.init(&callbacks, options);
            errdefer s.execution.deinit();
            if (In != void) try s.in.init(&s.execution, options);
            errdefer if (In != void) s.in.deinit();
            if (Out != void) try s.out.init(&s.execution, options);
            errdefer if (Out != void) s.out.deinit();
            if (paired) try s.initHalves();
            s.references = .init(1);
            s.handles = .init(if (paired) 2 else 1);
            s.failure = .{};
            if (Taken == Buffer) s.unread = .empty;
            s.pool = if (Given == Buffer and options.pool != null) .init(
                options.pool.?,
                s.execution.waiter(),
                if (options.flags & abi.option_spill != 0) &s.out else null,
            ) else null;
            s.body = body;
            s.outcome = abi.status.canceled;
        }

        fn initHalves(s: *Self) error{OutOfMemory}!void {
            s.starting = .init(false);
            s.halves = null;
            if (!coroutines or s.execution != .coroutine) return;
            s.halves = try .create();
            s.in.coroutine.paired = true;
        }

        fn destroy(s: *Self) void {
            if (s.outcome == abi.status.panicked) owner(s).dropPorts();
            if (Taken == Buffer) {
                s.unread.deinit();
                dropLeft(&s.in);
            }
            if (Given == Buffer) {
                dropLeft(&s.out);
                if (s.pool) |*pool| pool.deinit();
            }
            if (In != void) s.in.deinit();
            if (Out != void) s.out.deinit();
            s.execution.deinit();
            if (paired) if (s.halves) |halves| halves.release();
            s.failure.deinit();
            owner(s).deinit();
        }

        fn dropLeft(exchange: *Exchange(Buffer)) void {
            var left: [1]Buffer = undefined;
            while (exchange.takeLeft(&left) > 0) left[0].deinit();
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

        /// The function has returned. What its input has received and not read can be had back.
        pub fn keepUnread(s: *Self, in: anytype) void {
            s.unread = in.takeRest() catch unread: {
                // Not lost without a word.
                if (s.outcome == abi.status.done) s.fail(error.OutOfMemory);
                break :unread .empty;
            };
            in.deinit();
        }

        /// The function has returned, or will never run.
        pub fn finish(s: *Self) void {
            // First: who has seen the end of what comes out can have back what went in.
            if (In != void) s.in.finish();
            if (Out != void) s.out.finish();
        }

        /// Starts the function at the first poll. If that is not to be, it ends at once, and `outcome` says how.
        pub inline fn startOnce(s: *Self) void {
            if (!s.execution.started()) s.startFirst();
        }

        noinline fn startFirst(s: *Self) void {
            // A coroutine's sides take turns; a thread's may come at the same time.
            if (paired) if (s.halves == null and s.starting.swap(true, .acq_rel)) return;
            s.execution.start() catch |err| {
                switch (err) {
                    error.Canceled => {},
                    error.ThreadUnavailable, error.StackUnavailable => {
                        s.failure.domain = abi.domain.runtime;
                        const what = if (err == error.ThreadUnavailable) "thread" else "stack";
                        s.failure.say("the system has no {s} for `{s}`", .{ what, name });
                    },
                }
                s.fail(err);
                s.finish();
            };
        }

        // The polled side. Where there are two, they take turns.

        /// `slots` is what its output is connected to.
        pub inline fn pollBatch(
            s: *Self,
            slots: *Slots,
            cx: *const abi.PollContext,
            items: []Given,
            n: *usize,
        ) i32 {
            n.* = 0;
            const turn = Turn.begin(s, .source, cx) orelse return abi.status.pending;
            s.startOnce();
            const received = s.out.pollReceive(&s.execution, slots, turn.context(cx), items);
            n.* = received orelse 0;
            const status = if (received == null)
                abi.status.pending
            else if (n.* > 0) abi.status.ready else s.outcome;
            turn.end(s, .source, cx, status);
            return status;
        }

        pub fn sendBatch(s: *Self, cx: *const abi.PollContext, items: []const Taken, n: *usize) i32 {
            n.* = 0;
            const turn = Turn.begin(s, .sink, cx) orelse return abi.status.pending;
            s.startOnce();
            var taken = true;
            if (items.len == 0) {
                taken = s.in.pollWanted(turn.context(cx)) and !s.in.refused();
            } else {
                n.* = s.in.pollSend(turn.context(cx), items);
                taken = n.* == items.len;
            }
            const status = if (taken)
                abi.status.ready
            else if (s.in.refused()) s.outcome else abi.status.pending;
            turn.end(s, .sink, cx, status);
            return status;
        }

        /// The input ends. Pending, or how the function has ended.
        pub fn pollClose(s: *Self, cx: *const abi.PollContext) i32 {
            const turn = Turn.begin(s, .sink, cx) orelse return abi.status.pending;
            s.startOnce();
            s.in.end();
            const finished = s.in.pollFinished(turn.context(cx));
            const status = if (finished) s.outcome else abi.status.pending;
            turn.end(s, .sink, cx, status);
            return status;
        }

        /// After the end: what was handed over and the function has not consumed, as much as fits.
        pub fn takeBack(s: *Self, items: []Taken) usize {
            if (items.len == 0) return 0;
            if (Taken == Buffer and s.unread.slice().len > 0) {
                items[0] = s.unread;
                s.unread = .empty;
                return 1;
            }
            return s.in.takeLeft(items);
        }

        /// A side's turn to poll, and what the coroutine then sees as its waker.
        const Turn = struct {
            inner: if (paired) ?abi.PollContext else void,
            queued: usize,

            fn begin(s: *Self, side: Side, cx: *const abi.PollContext) ?Turn {
                if (!paired) return .{ .inner = {}, .queued = 0 };
                const halves = s.halves orelse return .{ .inner = null, .queued = 0 };
                const inner = halves.enter(side, cx) orelse return null;
                return .{ .inner = inner, .queued = if (coroutines) s.in.coroutine.queueLen() else 0 };
            }

            fn context(turn: *const Turn, cx: *const abi.PollContext) *const abi.PollContext {
                if (!paired) return cx;
                return if (turn.inner) |*inner| inner else cx;
            }

            fn end(turn: *const Turn, s: *Self, side: Side, cx: *const abi.PollContext, status: i32) void {
                if (!paired or !coroutines) return;
                const halves = s.halves orelse return;
                halves.leave(side, turn.helps(s, side));
                if (status == abi.status.pending) halves.wait(side, cx);
            }

            /// Whether this turn has left the coroutine where the other side can help it on, or has to see to it
            /// that something does.
            fn helps(turn: *const Turn, s: *Self, side: Side) bool {
                const task = &s.execution.coroutine;
                if (task.finished() or !task.waits()) return true;
                const lane = &s.in.coroutine;
                return switch (side) {
                    // It waits for room, or for a block that only a reader who waits justifies.
                    .sink => task.polling > lane.hungry,
                    .source => lane.hungry > 0 or lane.queueLen() < turn.queued,
                };
            }
        };

        const kind_name = switch (Owner.kind) {
            abi.export_kind.sink => "sink",
            abi.export_kind.transform => "transform",
            abi.export_kind.future => "future",
            else => "stream",
        };

        const callbacks: Execution.Callbacks = .{
            .thread = .{
                .name = name,
                .kind = kind_name,
                .owner = &OnThread.ownerOf,
                .run = &OnThread.run,
                .retain = &OnThread.retain,
                .release = &OnThread.release,
                .release_at_exit = &OnThread.releaseAtExit,
            },
            .coroutine = if (coroutines) .{
                .name = name,
                .kind = kind_name,
                .owner = &AsCoroutine.ownerOf,
                .run = &AsCoroutine.run,
                .retain = &AsCoroutine.retain,
                .release = &AsCoroutine.release,
                .poisoned = &AsCoroutine.poisoned,
            },
        };

        const OnThread = struct {
            fn from(r: *Runner) *Self {
                const part: *Execution.OnThread = @alignCast(@fieldParentPtr("runner", r));
                return @alignCast(@fieldParentPtr("execution", part.execution));
            }

            fn ownerOf(r: *Runner) *anyopaque {
                return owner(from(r));
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
                const left = (Taken == Buffer and s.in.hasLeft()) or (Given == Buffer and s.out.hasLeft()) or
                    owner(s).holdsEnd();
                if (!builtin.single_threaded and left) {
                    if (std.Thread.spawn(.{}, destroy, .{s})) |thread| return thread.detach() else |_| {}
                }
                s.destroy();
            }
        };

        const AsCoroutine = struct {
            fn from(t: *Task) *Self {
                const execution: *Execution = @alignCast(@fieldParentPtr("coroutine", t));
                return @alignCast(@fieldParentPtr("execution", execution));
            }

            fn ownerOf(t: *Task) *anyopaque {
                return owner(from(t));
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

            /// What an offloaded call may still be using stays until the state goes.
            fn poisoned(t: *Task) void {
                const s = from(t);
                s.outcome = abi.status.panicked;
                // The pool may hold a reference to the state, and would keep it alive.
                if (Given == Buffer) if (s.pool) |*pool| pool.letGo();
                owner(s).letGo();
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
            s.execution.abandon();
            s.release();
        }

        pub fn cancelC(ptr: *anyopaque) callconv(.c) void {
            of(ptr).execution.cancel();
        }

        pub fn sendBatchC(
            ptr: *anyopaque,
            cx: *const abi.PollContext,
            items: *const anyopaque,
            count: usize,
            n: *usize,
        ) callconv(.c) i32 {
            return of(ptr).sendBatch(cx, @as([*]const Taken, @ptrCast(@alignCast(items)))[0..count], n);
        }

        pub fn takeBackC(ptr: *anyopaque, out: *anyopaque, cap: usize) callconv(.c) usize {
            return of(ptr).takeBack(@as([*]Taken, @ptrCast(@alignCast(out)))[0..cap]);
        }

        pub fn lastErrorC(ptr: *anyopaque, out: *abi.ErrorRecord) callconv(.c) void {
            const s = of(ptr);
            out.* = s.failure.record(name);
            if (coroutines and s.outcome == abi.status.panicked) {
                out.message = .of(s.execution.coroutine.panics.words.?);
            }
        }
    };
}
