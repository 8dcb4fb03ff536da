//! How a function runs: on a thread of its own, or as a coroutine inside its polls. What it is, a source, a sink
//! or anything else, makes no difference here; how its items get across is `exchange.zig`.

const std = @import("std");
const gpa = @import("heap.zig").gpa;
const abi = @import("abi.zig");
const Runner = @import("runner.zig").Runner;
const Task = @import("coroutine/task.zig").Task;
const Waiter = @import("waiter.zig").Waiter;
const reaper = @import("coroutine/reaper.zig");
const coroutines = @import("coroutine/switch.zig").supported;

/// In place: others point to it.
pub const Execution = union(enum) {
    /// Apart, because it is large, and coroutines are many.
    thread: *OnThread,
    coroutine: if (coroutines) Task else noreturn,

    pub const OnThread = struct {
        execution: *Execution,
        runner: Runner,
    };

    pub const Callbacks = struct {
        thread: Runner.Callbacks,
        coroutine: if (coroutines) Task.Callbacks else void,
    };

    pub const InitError = error{ OutOfMemory, PoisonUnsupported };

    /// A coroutine, if there is a host that one can wait by, unless a thread is asked for.
    pub fn init(x: *Execution, callbacks: *const Callbacks, options: *const abi.OpenOptions) InitError!void {
        if (coroutines and options.flags & abi.option_thread == 0) if (options.host) |host| {
            x.* = .{ .coroutine = .init(&callbacks.coroutine, host, options.stack_size) };
            x.coroutine.panics.contained = options.flags & abi.option_poison != 0;
            return;
        };
        if (options.flags & abi.option_poison != 0) return error.PoisonUnsupported;
        const thread = try gpa.create(OnThread);
        thread.* = .{ .execution = x, .runner = .init(&callbacks.thread, options.stack_size) };
        x.* = .{ .thread = thread };
    }

    /// The function has let go of everything.
    pub fn deinit(x: *Execution) void {
        switch (x.*) {
            .thread => |thread| gpa.destroy(thread),
            .coroutine => |*task| task.deinit(),
        }
        x.* = undefined;
    }

    pub fn waiter(x: *Execution) Waiter {
        return switch (x.*) {
            .thread => |thread| .{ .thread = &thread.runner },
            .coroutine => |*task| .{ .coroutine = task },
        };
    }

    pub inline fn started(x: *const Execution) bool {
        return switch (x.*) {
            .thread => |thread| thread.runner.started(),
            .coroutine => |*task| task.started(),
        };
    }

    pub const StartError = error{ ThreadUnavailable, StackUnavailable, Canceled };

    /// Starts the function. A second call does nothing.
    pub fn start(x: *Execution) StartError!void {
        return switch (x.*) {
            .thread => |thread| thread.runner.start(),
            .coroutine => |*task| task.start(),
        };
    }

    /// Asks the function to end. Idempotent, from any thread, never blocks.
    pub fn cancel(x: *Execution) void {
        switch (x.*) {
            .thread => |thread| thread.runner.cancel(),
            .coroutine => |*task| task.cancel(),
        }
    }

    /// Nobody polls any more. A function on a thread goes on by itself, to where it is cancelled.
    pub fn abandon(x: *Execution) void {
        switch (x.*) {
            .thread => {},
            .coroutine => |*task| reaper.abandon(task),
        }
    }
};
