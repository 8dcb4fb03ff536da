//! Standard error's lock, as a fiber's.
//!
//! std's is a thread's, which may take it again. But a fiber that holds it may park, leave its thread to others, and
//! go on on another one: these others would be let in, and it would be kept out. So who holds it is a fiber here, and
//! the lock inside is only ever free. It is for fibers of all tasks, as std's is for all threads of a `Threaded`.

const std = @import("std");
const Io = std.Io;
const base = @import("base.zig");
const tasks = @import("io_tasks.zig");
const Fiber = @import("fiber.zig").Fiber;

var holder: std.atomic.Value(?*Fiber) = .init(null);
/// The holder's: how often it has taken the lock, and what it got.
var depth: usize = 0;
var held: Io.LockedStderr = undefined;

pub fn lock(userdata: ?*anyopaque, mode: ?Io.Terminal.Mode) Io.Cancelable!Io.LockedStderr {
    while (true) {
        if (try tryLock(userdata, mode)) |locked| return locked;
        try tasks.sleep(userdata, .{ .duration = .{ .raw = .fromMilliseconds(1), .clock = .awake } });
    }
}

pub fn tryLock(userdata: ?*anyopaque, mode: ?Io.Terminal.Mode) Io.Cancelable!?Io.LockedStderr {
    const me = tasks.taskOf(userdata).self();
    if (holder.load(.monotonic) == me) {
        depth += 1;
        return .{ .file_writer = held.file_writer, .terminal_mode = mode orelse held.terminal_mode };
    }
    // Acquires what the last holder left behind.
    if (holder.cmpxchgStrong(null, me, .acquire, .monotonic) != null) return null;
    errdefer holder.store(null, .release);
    held = (try base.call("tryLockStderr", .{mode})).?;
    depth = 1;
    return held;
}

pub fn unlock(userdata: ?*anyopaque) void {
    std.debug.assert(holder.raw == tasks.taskOf(userdata).self());
    depth -= 1;
    if (depth > 0) {
        // As std does it: the buffer is that of who took the lock again.
        const writer = held.file_writer;
        if (writer.err == null) writer.interface.flush() catch {};
        writer.err = null;
        writer.interface.end = 0;
        writer.interface.buffer = &.{};
        return;
    }
    base.call("unlockStderr", .{});
    holder.store(null, .release);
}
