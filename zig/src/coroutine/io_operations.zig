//! The operations of `std.Io`, one at a time and in batches: tried at once, and again whenever the
//! descriptor is ready; by a thread of the host's where there is nothing to wait for.

const std = @import("std");
const Io = std.Io;
const Operation = Io.Operation;
const abi = @import("../abi.zig");
const base = @import("base.zig");
const files = @import("io_files.zig");
const sockets = @import("io_sockets.zig");
const tasks = @import("io_tasks.zig");
const Task = @import("task.zig").Task;
const Wait = @import("descriptors.zig").Wait;

/// What an attempt that doesn't block comes to.
pub const Attempt = union(enum) {
    done: Operation.Result,
    /// Not now: when the descriptor is ready in this direction (a bit of `abi.interest`).
    wait: struct { fd: i32, interest: u32 },
    /// It would block, and nothing tells when it wouldn't: a file whose contents are on a disk, say.
    blocks,
};

fn attempt(operation: Operation) Attempt {
    return switch (operation) {
        .file_read_streaming => |o| files.read(o),
        .file_write_streaming => |o| files.write(o),
        // What a driver does is anybody's guess.
        .device_io_control => .blocks,
        .net_receive => |o| sockets.receive(o),
        .net_send => |o| sockets.send(o),
        .net_read => |o| sockets.read(o),
        .net_write => |o| sockets.write(o),
    };
}

pub fn operate(userdata: ?*anyopaque, operation: Operation) Io.Cancelable!Operation.Result {
    const t = tasks.taskOf(userdata);
    while (true) {
        try t.self().checkCancel();
        switch (attempt(operation)) {
            .done => |result| {
                t.spend();
                return result;
            },
            .wait => |wait| try waitFor(t, wait.fd, wait.interest),
            .blocks => return offload(t, operation),
        }
    }
}

/// By a thread of the host's. Without one it says so where it can, which `base.offload` doesn't know: the errors are
/// in the result.
fn offload(t: *Task, operation: Operation) Io.Cancelable!Operation.Result {
    const Call = struct {
        operation: Operation,
        result: Io.Cancelable!Operation.Result = undefined,

        fn run(c: *@This()) void {
            c.result = base.call("operate", .{c.operation});
        }
    };
    var c: Call = .{ .operation = operation };
    base.elsewhere(t, &c, Call.run) catch |err| switch (operation) {
        .file_read_streaming => return .{ .file_read_streaming = err },
        .file_write_streaming => return .{ .file_write_streaming = err },
        else => Call.run(&c),
    };
    return c.result;
}

/// Until the descriptor is ready, or may be.
pub fn waitFor(t: *Task, fd: i32, interest: u32) Io.Cancelable!void {
    waitUntil(t, fd, interest, null) catch |err| switch (err) {
        error.Timeout => unreachable,
        error.Canceled => |e| return e,
    };
}

/// As `waitFor`, until `deadline` at the latest.
pub fn waitUntil(t: *Task, fd: i32, interest: u32, deadline: ?i64) (Io.Cancelable || Io.Timeout.Error)!void {
    var waits = [1]Wait{.{ .fd = fd, .interest = interest }};
    return waitForAny(t, &waits, deadline);
}

fn waitForAny(t: *Task, waits: []Wait, deadline: ?i64) (Io.Cancelable || Io.Timeout.Error)!void {
    const me = t.self();
    try me.checkCancel();
    t.descriptors.add(me, waits) catch return pollElsewhere(t, waits, deadline);
    if (deadline) |at| t.arm(at);
    switch (try me.parkCancelable(.{ .descriptors = waits })) {
        .event => {},
        .timeout => return error.Timeout,
        .canceled => unreachable,
    }
    for (waits) |wait| if (wait.refused) return pollElsewhere(t, waits, deadline);
}

/// For a descriptor that the host cannot wait for: a thread of the host's does, for a moment at a time, so that
/// a cancelation or a deadline isn't missed for longer than that.
fn pollElsewhere(t: *Task, waits: []Wait, deadline: ?i64) (Io.Cancelable || Io.Timeout.Error)!void {
    var polled: [64]std.posix.pollfd = undefined;
    const n = @min(waits.len, polled.len);
    for (polled[0..n], waits[0..n]) |*p, wait| p.* = .{
        .fd = wait.fd,
        .events = if (wait.interest == abi.interest.readable) std.posix.POLL.IN else std.posix.POLL.OUT,
        .revents = 0,
    };
    const Poll = struct {
        fds: []std.posix.pollfd,
        ready: bool = false,

        fn moment(p: *@This()) void {
            p.ready = std.posix.system.poll(p.fds.ptr, @intCast(p.fds.len), 50) != 0;
        }
    };
    var poll: Poll = .{ .fds = polled[0..n] };
    while (!poll.ready) {
        try t.self().checkCancel();
        if (deadline) |at| if (t.now() >= at) return error.Timeout;
        // Without a thread the caller tries again, after everybody else.
        base.elsewhere(t, &poll, Poll.moment) catch return t.self().yield();
    }
}

// Batches.

pub fn batchAwaitAsync(userdata: ?*anyopaque, batch: *Io.Batch) Io.Cancelable!void {
    awaitBatch(tasks.taskOf(userdata), batch, null, false) catch |err| switch (err) {
        error.Timeout, error.ConcurrencyUnavailable => unreachable,
        error.Canceled => |e| return e,
    };
}

pub fn batchAwaitConcurrent(
    userdata: ?*anyopaque,
    batch: *Io.Batch,
    timeout: Io.Timeout,
) Io.Batch.AwaitConcurrentError!void {
    const t = tasks.taskOf(userdata);
    return awaitBatch(t, batch, tasks.deadlineOf(t, timeout), true);
}

/// An operation is only ever attempted while somebody awaits the batch, so that none is under way between.
pub fn batchCancel(_: ?*anyopaque, batch: *Io.Batch) void {
    std.debug.assert(batch.pending.head == .none);
    batch.userdata = null;
}

const max_waits = 64;

fn awaitBatch(t: *Task, batch: *Io.Batch, deadline: ?i64, concurrent: bool) Io.Batch.AwaitConcurrentError!void {
    while (true) {
        try t.self().checkCancel();
        var waits: [max_waits]Wait = undefined;
        var waiting: usize = 0;
        var before: Operation.OptionalIndex = .none;
        var index = batch.submitted.head;
        while (index != .none) {
            const submission = batch.storage[index.toIndex()].submission;
            const next = submission.node.next;
            const result: Operation.Result = switch (attempt(submission.operation)) {
                .done => |result| result,
                .wait => |wait| {
                    if (waiting == max_waits) {
                        if (concurrent) return error.ConcurrencyUnavailable;
                    } else {
                        waits[waiting] = .{ .fd = wait.fd, .interest = wait.interest };
                        waiting += 1;
                    }
                    before = index;
                    index = next;
                    continue;
                },
                .blocks => try offload(t, submission.operation),
            };
            complete(batch, before, index, result);
            index = next;
        }
        if (batch.completed.head != .none or waiting == 0) return t.spend();
        try waitForAny(t, waits[0..waiting], deadline);
    }
}

/// From the submitted ones, where `before` comes before it, to the end of the completed ones.
fn complete(
    batch: *Io.Batch,
    before: Operation.OptionalIndex,
    index: Operation.OptionalIndex,
    result: Operation.Result,
) void {
    const storage = &batch.storage[index.toIndex()];
    const next = storage.submission.node.next;
    switch (before) {
        .none => batch.submitted.head = next,
        else => batch.storage[before.toIndex()].submission.node.next = next,
    }
    if (next == .none) batch.submitted.tail = before;
    switch (batch.completed.tail) {
        .none => batch.completed.head = index,
        else => |last| batch.storage[last.toIndex()].completion.node.next = index,
    }
    storage.* = .{ .completion = .{ .node = .{ .next = .none }, .result = result } };
    batch.completed.tail = index;
}
