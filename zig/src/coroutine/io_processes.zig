//! Child processes: waited for by readiness, so that a cancelation doesn't wait for a child that never ends.

const std = @import("std");
const linux = std.os.linux;
const Child = std.process.Child;
const abi = @import("../abi.zig");
const base = @import("base.zig");
const files = @import("io_files.zig");
const operations = @import("io_operations.zig");
const tasks = @import("io_tasks.zig");
const Task = @import("task.zig").Task;

pub fn wait(userdata: ?*anyopaque, child: *Child) Child.WaitError!Child.Term {
    const t = tasks.taskOf(userdata);
    try waitForEnd(t, child);
    forgetStreams(t, child);
    return base.offload(t, "childWait", .{child});
}

pub fn kill(userdata: ?*anyopaque, child: *Child) void {
    const t = tasks.taskOf(userdata);
    forgetStreams(t, child);
    return base.offload(t, "childKill", .{child});
}

/// By a descriptor of the process, which is readable when it has ended (since Linux 5.3).
fn waitForEnd(t: *Task, child: *Child) std.Io.Cancelable!void {
    try t.self().checkCancel();
    const id = child.id orelse return;
    const rc = linux.pidfd_open(id, 0);
    if (linux.errno(rc) != .SUCCESS) return;
    const fd: i32 = @intCast(rc);
    defer {
        files.forget(t, fd);
        _ = linux.close(fd);
    }
    while (true) {
        var polled = [1]std.posix.pollfd{.{ .fd = fd, .events = std.posix.POLL.IN, .revents = 0 }};
        if (std.posix.system.poll(&polled, 1, 0) != 0) return;
        try operations.waitFor(t, fd, abi.interest.readable);
    }
}

/// std closes the streams of a child by itself, in both calls; the host has to hear of it before.
fn forgetStreams(t: *Task, child: *const Child) void {
    for ([_]?std.Io.File{ child.stdin, child.stdout, child.stderr }) |stream| {
        if (stream) |file| files.forget(t, file.handle);
    }
}
