//! Calls back when a thread has ended everything but itself.
//!
//! `std.Io.Threaded` still uses its own state after a task has returned, until its worker thread ends,
//! and has no hook for that moment. The C library has one: destructors of thread-specific values run
//! as a thread's last act.

const std = @import("std");
const builtin = @import("builtin");
const Runner = @import("runner.zig").Runner;

/// Whether this target can run a function on a thread of its own.
pub const available = !builtin.single_threaded and (std.Thread.use_pthreads or builtin.os.tag == .windows);

const State = enum(u32) { unset, setting, set, failed };
var state: std.atomic.Value(State) = .init(.unset);
var key: if (builtin.os.tag == .windows) u32 else std.c.pthread_key_t = undefined;

/// Makes the process-wide key. Returns false when the system has none left.
pub fn prepare() bool {
    while (true) switch (state.load(.acquire)) {
        .set => return true,
        .failed => return false,
        .setting => std.Thread.yield() catch {},
        .unset => if (state.cmpxchgStrong(.unset, .setting, .acquire, .monotonic) == null) {
            state.store(if (create()) .set else .failed, .release);
        },
    };
}

/// From here on the end of this thread calls `runner`'s exit.
pub fn arm(runner: *Runner) void {
    // The first value of a fresh key on a fresh thread: the C libraries keep room for it.
    if (builtin.os.tag == .windows) {
        if (FlsSetValue(key, runner) == 0) @panic("FlsSetValue failed");
    } else if (std.c.pthread_setspecific(key, runner) != 0) @panic("pthread_setspecific failed");
}

fn create() bool {
    if (!available) return false;
    if (builtin.os.tag == .windows) {
        key = FlsAlloc(&onExitWindows);
        return key != std.math.maxInt(u32);
    }
    return std.c.pthread_key_create(&key, &onExit) == .SUCCESS;
}

fn onExit(value: *anyopaque) callconv(.c) void {
    Runner.threadExit(@ptrCast(@alignCast(value)));
}

fn onExitWindows(value: ?*anyopaque) callconv(.winapi) void {
    if (value) |v| Runner.threadExit(@ptrCast(@alignCast(v)));
}

extern "kernel32" fn FlsAlloc(callback: *const fn (?*anyopaque) callconv(.winapi) void) callconv(.winapi) u32;
extern "kernel32" fn FlsSetValue(index: u32, value: ?*anyopaque) callconv(.winapi) c_int;
