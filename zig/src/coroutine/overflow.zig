//! What a stack overflow in a coroutine does: a fault in the guard below its stack becomes a message that names
//! the function, and the process ends. Any other fault is passed on to whoever handled it before.
//!
//! The handler needs a stack that has not overflowed. Rust's runtime gives one to each of its threads; a thread
//! that polls and has none gets one here, for the rest of its life.

const std = @import("std");
const posix = std.posix;
const linux = std.os.linux;
const current = @import("current.zig");
const panic = @import("../panic.zig");

var installed: std.atomic.Value(enum(u32) { no, installing, yes }) = .init(.no);
var before: posix.Sigaction = undefined;

/// Installs the handler, once. Before the first coroutine starts.
pub fn prepare() void {
    if (installed.load(.acquire) == .yes) return;
    if (installed.cmpxchgStrong(.no, .installing, .acquire, .monotonic) != null) return;
    var action: posix.Sigaction = .{
        .handler = .{ .sigaction = &onFault },
        .mask = posix.sigemptyset(),
        .flags = posix.SA.SIGINFO | posix.SA.ONSTACK,
    };
    // What to pass other faults on to is known before there can be one.
    posix.sigaction(.SEGV, null, &before);
    posix.sigaction(.SEGV, &action, null);
    installed.store(.yes, .release);
}

/// Whether this thread is known to have a stack for signals. For a poll's own code: see `current`.
threadlocal var has_signal_stack: bool = false;

/// At each poll: makes sure that the handler has a stack on this thread.
pub inline fn prepareThread() void {
    if (!has_signal_stack) makeSignalStack();
}

const signal_stack_size = 32 * 1024;

noinline fn makeSignalStack() void {
    @branchHint(.cold);
    has_signal_stack = true;
    var present: linux.stack_t = undefined;
    if (linux.errno(linux.sigaltstack(null, &present)) != .SUCCESS) return;
    if (present.flags & linux.SS.DISABLE == 0) return;
    // Kept as long as the thread lives, which has no hook for its end here: threads that poll are few.
    const memory = std.heap.c_allocator.alignedAlloc(u8, .@"16", signal_stack_size) catch return;
    var stack: linux.stack_t = .{ .sp = memory.ptr, .flags = 0, .size = memory.len };
    _ = linux.sigaltstack(&stack, null);
}

fn onFault(signal: posix.SIG, info: *const posix.siginfo_t, context: ?*anyopaque) callconv(.c) void {
    const address = @intFromPtr(info.fields.sigfault.addr);
    if (current.get()) |task| if (task.running) |fiber| {
        if (fiber.stack.guards(address)) panic.die("stack overflow", task.callbacks.name);
    };
    passOn(signal, info, context);
}

fn passOn(signal: posix.SIG, info: *const posix.siginfo_t, context: ?*anyopaque) void {
    if (before.flags & posix.SA.SIGINFO != 0) {
        if (before.handler.sigaction) |handler| return handler(signal, info, context);
    } else if (before.handler.handler) |handler| {
        if (handler != posix.SIG.DFL and handler != posix.SIG.IGN) return handler(signal);
    }
    // On return the access faults again, and ends the process as it would have without us.
    const default: posix.Sigaction = .{
        .handler = .{ .handler = posix.SIG.DFL },
        .mask = posix.sigemptyset(),
        .flags = 0,
    };
    posix.sigaction(.SEGV, &default, null);
}
