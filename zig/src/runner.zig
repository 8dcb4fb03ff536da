//! Runs one function on a thread of its own, against `std.Io.Threaded`.
//!
//! This is how a function runs; what it is (a source, a sink) is none of this file's business. The
//! owner embeds a `Runner`, starts it, and is told by `Callbacks` when to run and when the thread has
//! let go of everything.
//!
//! As std demands, a function awaits or cancels every future and group that it made before it returns.

const std = @import("std");
const builtin = @import("builtin");
const Io = std.Io;
const assert = std.debug.assert;
const exit_hook = @import("exit_hook.zig");
const interrupt = @import("interrupt.zig");
const panic = @import("panic.zig");
const thread_io = @import("thread_io.zig");

/// Stack of the function's thread unless the opener says otherwise. It is reserved, not committed.
pub const default_stack_size = 2 * 1024 * 1024;
/// A smaller stack is made this large: the C library refuses one that has no room for a thread's own
/// data, and std takes that refusal for a bug.
pub const min_stack_size = 128 * 1024;
/// More than any machine has; for arithmetic that does not overflow.
const max_stack_size = std.math.maxInt(usize) >> 17;

pub const Runner = struct {
    threaded: Io.Threaded = .init_single_threaded,
    /// Set by the starter, which may still be on its way while the thread runs already.
    future: std.atomic.Value(?*Io.AnyFuture) = .init(null),
    /// What the thread does, and whether it should end.
    mode: std.atomic.Value(Mode) = .init(.idle),
    /// Counts wakes of the thread; the thread sleeps on it while `parked`.
    epoch: std.atomic.Value(u32) = .init(0),
    /// Tasks of the function's that wait for the other side.
    waiting: std.atomic.Value(u32) = .init(0),
    /// There is no `future`, and there will be none.
    start_failed: std.atomic.Value(bool) = .init(false),
    /// Who frees `future`.
    canceler: std.atomic.Value(Canceler) = .init(.unknown),
    callbacks: *const Callbacks,

    pub const Callbacks = struct {
        /// The exported name.
        name: []const u8,
        /// "stream", "sink".
        kind: []const u8,
        /// What the host's handle points to.
        owner: *const fn (*Runner) *anyopaque,
        /// The function's body. Runs once, on the thread.
        run: *const fn (*Runner, Io) void,
        /// Adds a reference to the owner.
        retain: *const fn (*Runner) void,
        /// Drops a reference to the owner; the last one frees it, this runner included.
        release: *const fn (*Runner) void,
        /// As `release`, on a thread that is about to end and has none of its thread-locals left.
        release_at_exit: *const fn (*Runner) void,
    };

    const Mode = enum(u32) {
        /// Not started.
        idle,
        /// Cancelled before it was started: it never runs.
        never,
        running,
        /// The function waits for the other side (and for nothing else).
        parked,
        /// A task of the function's waits for the other side; the function may wait for anything.
        parked_child,
        /// Several tasks wait for the other side, which may be on both of its sides.
        parked_several,
        /// To end, and whatever it next asks of a hand-off says so. No cancelation is under way in
        /// `threaded`.
        canceled_here,
        /// To end, and `threaded` delivers it, so that a sleep or a system call ends as well.
        canceled_by_io,
        /// The function has returned.
        finished,
    };

    const Canceler = enum(u32) {
        /// The function has not ended; or a canceler is at work.
        unknown,
        /// The function ended uncancelled (by `threaded`), so that its thread frees the future.
        none,
        /// A canceler has freed the future.
        done,
    };

    pub fn init(callbacks: *const Callbacks, stack_size: u64) Runner {
        var r: Runner = .{ .callbacks = callbacks };
        // From the state without signal handlers, and with what `Threaded.init` would set.
        r.threaded.allocator = std.heap.c_allocator;
        r.threaded.stack_size = if (stack_size == 0)
            default_stack_size
        else
            std.math.clamp(std.math.cast(usize, stack_size) orelse max_stack_size, min_stack_size, max_stack_size);
        r.threaded.concurrent_limit = .unlimited;
        r.threaded.async_limit = .limited(asyncLimit());
        return r;
    }

    pub fn started(r: *const Runner) bool {
        return switch (r.mode.load(.monotonic)) {
            .idle, .never => false,
            else => true,
        };
    }

    /// Starts the thread. A second call does nothing.
    pub fn start(r: *Runner) error{ ThreadUnavailable, Canceled }!void {
        if (r.mode.cmpxchgStrong(.idle, .running, .acq_rel, .acquire)) |mode| {
            return if (mode == .never) error.Canceled;
        }
        errdefer {
            r.start_failed.store(true, .release);
            r.mode.store(.finished, .release);
        }
        if (!exit_hook.available or !exit_hook.prepare()) return error.ThreadUnavailable;
        interrupt.prepare();
        r.readEnvironment();
        r.callbacks.retain(r);
        errdefer r.callbacks.release(r);
        const io = r.threaded.io();
        const context: *Runner = r;
        const future = io.vtable.concurrent(
            io.userdata,
            0,
            .@"1",
            std.mem.asBytes(&context),
            .of(*Runner),
            &threadMain,
        ) catch return error.ThreadUnavailable;
        r.future.store(future, .release);
    }

    /// What the function's `io` knows of the environment. Read late, as a program sets its own
    /// variables before it starts threads; null after `clearenv`.
    fn readEnvironment(r: *Runner) void {
        const block = &r.threaded.environ.process_environ.block;
        if (!@hasField(@TypeOf(block.*), "slice")) return;
        const environ: *const ?[*:null]?[*:0]u8 = @ptrCast(&std.c.environ);
        block.slice = std.mem.span(environ.* orelse return);
        r.threaded.environ_initialized = false;
    }

    /// The function's `Io`: that of threads (`thread_io.zig`), but for what a cancelation by a hand-off changes.
    fn functionIo(r: *Runner) Io {
        return .{ .userdata = &r.threaded, .vtable = &function_vtable };
    }

    const function_vtable: Io.VTable = vtable: {
        var vtable = thread_io.vtable;
        vtable.recancel = &recancel;
        break :vtable vtable;
    };

    fn threadMain(context: *const anyopaque, _: *anyopaque) void {
        const r = @as(*const *Runner, @ptrCast(@alignCast(context))).*;
        // From here on `threadExit` is certain to be called, after `threaded` has let go of this thread.
        exit_hook.arm(r);
        interrupt.unblock();
        on_own_thread = r;
        panic.on_thread = .{ .function = r.callbacks.name, .kind = r.callbacks.kind, .state = r.callbacks.owner(r) };
        r.callbacks.run(r, r.functionIo());
        panic.on_thread = null;
        if (r.mode.swap(.finished, .acq_rel) != .canceled_by_io) {
            r.canceler.store(.none, .release);
        }
        // The worker thread would wait for more tasks; it is to end.
        const io = r.threaded.io();
        r.threaded.mutex.lockUncancelable(io);
        r.threaded.join_requested = true;
        r.threaded.mutex.unlock(io);
    }

    /// The thread's last act, when `threaded` no longer knows it.
    pub fn threadExit(r: *Runner) void {
        const io = r.threaded.io();
        while (true) switch (r.canceler.load(.acquire)) {
            // The canceler is about to see that the function has ended.
            .unknown => io.futexWaitUncancelable(Canceler, &r.canceler.raw, .unknown),
            // The future is done, so this doesn't wait.
            .none => break io.vtable.await(io.userdata, r.startedFuture().?, &.{}, .@"1"),
            .done => break,
        };
        // Ends and joins the threads of whatever the function left running concurrently.
        r.threaded.deinit();
        r.callbacks.release_at_exit(r);
    }

    /// Asks the function to end. Idempotent, from any thread, never blocks.
    pub fn cancel(r: *Runner) void {
        while (true) switch (r.mode.load(.seq_cst)) {
            .idle => if (r.swapMode(.idle, .never)) return,
            .parked => if (r.swapMode(.parked, .canceled_here)) return r.wakeThread(),
            .parked_child, .parked_several => |mode| if (r.swapMode(mode, .canceled_by_io)) {
                r.wakeThread();
                return r.startCanceler();
            },
            .running => if (r.swapMode(.running, .canceled_by_io)) return r.startCanceler(),
            .never, .canceled_here, .canceled_by_io, .finished => return,
        };
    }

    /// `Io`'s own cancelation waits for the function to end, so it gets a thread of its own.
    fn startCanceler(r: *Runner) void {
        if (!exit_hook.available) unreachable; // nothing runs
        r.callbacks.retain(r);
        const thread = std.Thread.spawn(.{}, cancelAndRelease, .{r}) catch {
            // Without one, the function ends when it next asks something of a hand-off. If it has
            // ended meanwhile, its `threadExit` waits for a canceler: be one, for a done future.
            if (!r.swapMode(.canceled_by_io, .canceled_here)) r.releaseFuture();
            r.callbacks.release(r);
            return;
        };
        thread.detach();
    }

    fn cancelAndRelease(r: *Runner) void {
        r.releaseFuture();
        r.callbacks.release(r);
    }

    fn releaseFuture(r: *Runner) void {
        const io = r.threaded.io();
        if (r.startedFuture()) |future| io.vtable.cancel(io.userdata, future, &.{}, .@"1");
        r.canceler.store(.done, .release);
        io.futexWake(Canceler, &r.canceler.raw, 1);
    }

    fn startedFuture(r: *Runner) ?*Io.AnyFuture {
        while (true) {
            if (r.future.load(.acquire)) |future| return future;
            if (r.start_failed.load(.acquire)) return null;
            // The starter is between `concurrent` and the next line.
            std.Thread.yield() catch {};
        }
    }

    /// Function side: waits until `ready(context)`, or until it is cancelled. Returns at once when it is.
    pub fn wait(r: *Runner, context: anytype, comptime ready: fn (@TypeOf(context)) bool) Io.Cancelable!void {
        const io = r.threaded.io();
        for (0..looks) |_| {
            for (0..4) |_| std.atomic.spinLoopHint();
            if (ready(context)) return;
        }
        const parked: Mode = if (on_own_thread == r) .parked else .parked_child;
        _ = r.waiting.fetchAdd(1, .seq_cst);
        defer _ = r.waiting.fetchSub(1, .seq_cst);
        while (true) {
            const seen = r.epoch.load(.seq_cst);
            if (!r.park(parked)) return r.deliver();
            if (!ready(context)) io.futexWaitUncancelable(u32, &r.epoch.raw, seen);
            if (!r.leave()) return r.deliver();
            if (ready(context)) return;
        }
    }

    /// From here on an `unpark` counts up `epoch`. False when cancelled.
    fn park(r: *Runner, alone: Mode) bool {
        while (true) switch (r.mode.load(.seq_cst)) {
            .running => if (r.swapMode(.running, alone)) return true,
            .parked, .parked_child => |mode| if (r.swapMode(mode, .parked_several)) return true,
            .parked_several => return true,
            else => return false,
        };
    }

    /// Undoes `park`, unless whoever woke us has. False when cancelled.
    fn leave(r: *Runner) bool {
        while (true) switch (r.mode.load(.seq_cst)) {
            .running => return true,
            .parked, .parked_child, .parked_several => |mode| if (r.swapMode(mode, .running)) {
                // For the others it is as if they had been woken: they look, and park again.
                if (r.waiting.load(.seq_cst) > 1) r.wakeThread();
                return true;
            },
            else => return false,
        };
    }

    /// Function side: returns `error.Canceled` once it is cancelled.
    pub inline fn checkCancel(r: *Runner) Io.Cancelable!void {
        switch (r.mode.load(.monotonic)) {
            .canceled_here, .canceled_by_io => return r.deliver(),
            else => {},
        }
    }

    /// A function is told once, so that its `defer`s are not interrupted again: once told here, it
    /// isn't told by `Io` as well, whose own cancelation may be on its way.
    fn deliver(r: *Runner) Io.Cancelable {
        @branchHint(.cold);
        delivered_here = true;
        _ = r.threaded.io().swapCancelProtection(.blocked);
        return error.Canceled;
    }

    /// The function wants to be told again. `Io.Threaded` would panic if it was not the one who told.
    fn recancel(userdata: ?*anyopaque) void {
        if (!delivered_here) return thread_io.std_vtable.recancel(userdata);
        const threaded: *Io.Threaded = @ptrCast(@alignCast(userdata));
        const r: *Runner = @fieldParentPtr("threaded", threaded);
        delivered_here = false;
        _ = threaded.io().swapCancelProtection(.unblocked);
        // A hand-off tells anyway; from here on `Io` does as well.
        if (r.swapMode(.canceled_here, .canceled_by_io)) r.startCanceler();
    }

    /// Other side, after it changed what the thread waits for.
    pub inline fn unpark(r: *Runner) void {
        switch (r.mode.load(.seq_cst)) {
            .parked, .parked_child, .parked_several => |mode| r.unparkSlow(mode),
            else => {},
        }
    }

    fn unparkSlow(r: *Runner, seen: Mode) void {
        @branchHint(.cold);
        var mode = seen;
        // Another task that parks meanwhile changes how, and not whether somebody is to be woken.
        while (r.mode.cmpxchgWeak(mode, .running, .seq_cst, .seq_cst)) |now| switch (now) {
            .parked, .parked_child, .parked_several => mode = now,
            else => return,
        };
        r.wakeThread();
    }

    fn wakeThread(r: *Runner) void {
        _ = r.epoch.fetchAdd(1, .seq_cst);
        r.threaded.io().futexWake(u32, &r.epoch.raw, std.math.maxInt(u32));
    }

    fn swapMode(r: *Runner, from: Mode, to: Mode) bool {
        return r.mode.cmpxchgStrong(from, to, .seq_cst, .seq_cst) == null;
    }
};

/// The runner whose function this thread runs itself, as opposed to a task of the function's.
threadlocal var on_own_thread: ?*Runner = null;
/// The last `error.Canceled` on this thread came from a hand-off.
threadlocal var delivered_here: bool = false;

/// How often a thread looks again before it goes to sleep: a microsecond or two.
const looks = 16;

/// As `Threaded.init` chooses it; the processors are counted once.
fn asyncLimit() usize {
    const cpus = struct {
        var count: std.atomic.Value(usize) = .init(0);
    };
    var n = cpus.count.load(.monotonic);
    if (n == 0) {
        n = @max(1, std.Thread.getCpuCount() catch 1);
        cpus.count.store(n, .monotonic);
    }
    return n - 1;
}

test "who is to be woken is woken, also if another task parks at that moment" {
    var r: Runner = .init(undefined, 0);
    // Seen before the second one parked, and acted on afterwards.
    for ([_]Runner.Mode{ .parked, .parked_child }, 1..) |seen, turn| {
        r.mode.store(.parked_several, .seq_cst);
        r.unparkSlow(seen);
        try std.testing.expectEqual(.running, r.mode.raw);
        try std.testing.expectEqual(turn, r.epoch.raw);
    }
    // Nobody waits any more.
    r.unparkSlow(.parked);
    r.mode.store(.canceled_here, .seq_cst);
    r.unparkSlow(.parked);
    try std.testing.expectEqual(2, r.epoch.raw);
}
