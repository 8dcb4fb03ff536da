//! What a function's side of a hand-off waits by, whichever way the function runs.

const std = @import("std");
const Io = std.Io;
const Runner = @import("runner.zig").Runner;
const Task = @import("coroutine/task.zig").Task;
const coroutines = @import("coroutine/switch.zig").supported;

pub const Waiter = union(enum) {
    thread: *Runner,
    coroutine: if (coroutines) *Task else noreturn,

    /// Until `isReady(context)`, or the function is cancelled.
    pub fn wait(w: Waiter, context: anytype, comptime isReady: fn (@TypeOf(context)) bool) Io.Cancelable!void {
        return switch (w) {
            .thread => |runner| runner.wait(context, isReady),
            .coroutine => |task| task.wait(context, isReady),
        };
    }

    /// From any thread, after a change of what it waits for.
    pub fn unpark(w: Waiter) void {
        switch (w) {
            .thread => |runner| runner.unpark(),
            .coroutine => |task| task.unpark(),
        }
    }

    /// Adds a reference to the function's state.
    pub fn retain(w: Waiter) void {
        switch (w) {
            .thread => |runner| runner.callbacks.retain(runner),
            .coroutine => |task| task.callbacks.retain(task),
        }
    }

    pub fn release(w: Waiter) void {
        switch (w) {
            .thread => |runner| runner.callbacks.release(runner),
            .coroutine => |task| task.callbacks.release(task),
        }
    }
};
