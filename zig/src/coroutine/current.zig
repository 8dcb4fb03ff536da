//! Which task this thread is polling.
//!
//! A fiber may go on on another thread after it has parked, and compiled code keeps addresses of
//! thread-locals across calls that it knows nothing about. So nothing that runs on a fiber holds such an address:
//! it reads the variable by value, in a function that is never inlined. A poll stays on its thread, and its own
//! code has no need for that.
//!
//! A user's own `threadlocal` has no such protection: it may be another thread's after a call that parks.

const std = @import("std");
const builtin = @import("builtin");
const Task = @import("task.zig").Task;

threadlocal var polled: ?*Task = null;

/// The task whose poll this thread is in, the innermost one.
pub noinline fn get() ?*Task {
    return polled;
}

/// For a poll's own code. Returns the one before, which is to be put back.
pub inline fn swap(task: ?*Task) ?*Task {
    defer polled = task;
    return polled;
}

/// Calls `function(context)` on the thread's own stack: at once, or, from a fiber, by going there and back.
///
/// What is not ours runs there: the host's functions, and the releases of what the host has lent, which may
/// need any depth of stack.
pub fn onThreadStack(context: anytype, comptime function: fn (@TypeOf(context)) void) void {
    if (@import("switch.zig").supported) {
        if (get()) |task| if (task.running) |fiber| {
            const Context = @TypeOf(context);
            const Call = struct {
                fn call(ptr: *anyopaque) void {
                    function(@as(*Context, @ptrCast(@alignCast(ptr))).*);
                }
            };
            var argument = context;
            return fiber.visit(.{ .function = &Call.call, .context = @ptrCast(&argument) });
        };
    }
    function(context);
}
