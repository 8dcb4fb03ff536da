//! The entries of `std.Io` that need nothing but the task itself: concurrency, cancelation, futexes, time.

const std = @import("std");
const Io = std.Io;
const assert = std.debug.assert;
const abi = @import("../abi.zig");
const base = @import("base.zig");
const futex = @import("futex.zig");
const groups = @import("groups.zig");
const Fiber = @import("fiber.zig").Fiber;
const Task = @import("task.zig").Task;

pub fn taskOf(userdata: ?*anyopaque) *Task {
    return @ptrCast(@alignCast(userdata));
}

fn fiberOf(t: *Task, future: *Io.AnyFuture) *Fiber {
    const fiber: *Fiber = @ptrCast(@alignCast(future));
    assert(fiber.task == t); // a future of another coroutine
    return fiber;
}

// Concurrency.

pub fn async(
    userdata: ?*anyopaque,
    result: []u8,
    result_alignment: std.mem.Alignment,
    argument: []const u8,
    argument_alignment: std.mem.Alignment,
    start: *const fn (*const anyopaque, *anyopaque) void,
) ?*Io.AnyFuture {
    return concurrent(userdata, result.len, result_alignment, argument, argument_alignment, start) catch {
        start(argument.ptr, result.ptr);
        return null;
    };
}

pub fn concurrent(
    userdata: ?*anyopaque,
    result_len: usize,
    result_alignment: std.mem.Alignment,
    argument: []const u8,
    argument_alignment: std.mem.Alignment,
    start: *const fn (*const anyopaque, *anyopaque) void,
) Io.ConcurrentError!*Io.AnyFuture {
    const t = taskOf(userdata);
    const fiber = Fiber.create(
        t,
        .future,
        .{ .future = start },
        argument,
        argument_alignment,
        result_len,
        result_alignment,
    ) catch return error.ConcurrencyUnavailable;
    t.ready.push(fiber);
    return @ptrCast(fiber);
}

pub fn await(userdata: ?*anyopaque, future: *Io.AnyFuture, result: []u8, _: std.mem.Alignment) void {
    const t = taskOf(userdata);
    const me = t.self();
    const child = fiberOf(t, future);
    // A request to end goes on to the child, and is this fiber's again if the child didn't notice.
    var passed_on = false;
    while (!child.done) {
        if (!passed_on and me.takeCancel()) {
            passed_on = true;
            child.requestCancel();
            continue;
        }
        assert(child.awaiter == null); // one fiber awaits a future
        child.awaiter = me;
        if (me.park(.{ .child = child }) == .canceled) {
            me.cancel = .delivered;
            passed_on = true;
            child.requestCancel();
        }
    }
    if (passed_on and child.cancel != .delivered) me.recancel();
    takeResult(child, result);
}

pub fn cancel(userdata: ?*anyopaque, future: *Io.AnyFuture, result: []u8, _: std.mem.Alignment) void {
    const t = taskOf(userdata);
    const child = fiberOf(t, future);
    child.requestCancel();
    while (!child.done) {
        assert(child.awaiter == null); // one fiber awaits a future
        child.awaiter = t.self();
        _ = t.self().park(.completion);
    }
    takeResult(child, result);
}

fn takeResult(child: *Fiber, result: []u8) void {
    @memcpy(result, child.result[0..result.len]);
    child.destroy();
}

pub fn groupAsync(
    userdata: ?*anyopaque,
    group: *Io.Group,
    argument: []const u8,
    argument_alignment: std.mem.Alignment,
    start: *const fn (*const anyopaque) void,
) void {
    groupConcurrent(userdata, group, argument, argument_alignment, start) catch start(argument.ptr);
}

pub fn groupConcurrent(
    userdata: ?*anyopaque,
    group: *Io.Group,
    argument: []const u8,
    argument_alignment: std.mem.Alignment,
    start: *const fn (*const anyopaque) void,
) Io.ConcurrentError!void {
    const t = taskOf(userdata);
    const fiber = Fiber.create(t, .member, .{ .member = start }, argument, argument_alignment, 0, .@"1") catch
        return error.ConcurrencyUnavailable;
    groups.add(group, fiber);
    t.ready.push(fiber);
}

pub fn groupAwait(userdata: ?*anyopaque, group: *Io.Group, _: *anyopaque) Io.Cancelable!void {
    const me = taskOf(userdata).self();
    var canceled = false;
    while (!groups.isEmpty(group)) {
        if (!canceled and me.takeCancel()) {
            canceled = true;
            groups.cancel(group);
            continue;
        }
        groups.setAwaiter(group, me);
        if (me.park(.{ .group = group }) == .canceled) {
            me.cancel = .delivered;
            canceled = true;
            groups.cancel(group);
        }
    }
    if (canceled) return error.Canceled;
}

pub fn groupCancel(userdata: ?*anyopaque, group: *Io.Group, _: *anyopaque) void {
    const me = taskOf(userdata).self();
    groups.cancel(group);
    while (!groups.isEmpty(group)) {
        groups.setAwaiter(group, me);
        _ = me.park(.completion);
    }
}

// Cancelation.

pub fn recancel(userdata: ?*anyopaque) void {
    taskOf(userdata).self().recancel();
}

pub fn swapCancelProtection(userdata: ?*anyopaque, new: Io.CancelProtection) Io.CancelProtection {
    const me = taskOf(userdata).self();
    defer me.protection = new;
    return me.protection;
}

/// Also lets others run now and then: what asks in a loop whether to end is a long loop.
pub fn checkCancel(userdata: ?*anyopaque) Io.Cancelable!void {
    const t = taskOf(userdata);
    t.spend();
    return t.self().checkCancel();
}

// Futexes.

pub fn futexWait(userdata: ?*anyopaque, word: *const u32, expected: u32, timeout: Io.Timeout) Io.Cancelable!void {
    const t = taskOf(userdata);
    const me = t.self();
    try me.checkCancel();
    const deadline = deadlineOf(t, timeout);
    var waiter: futex.Waiter = .{ .word = word, .fiber = me, .cancelable = true };
    if (!waiter.enter(expected)) return t.spend();
    if (deadline) |at| t.arm(at);
    defer me.futex_waiter = null;
    _ = try me.parkCancelable(.{ .futex = &waiter });
}

pub fn futexWaitUncancelable(userdata: ?*anyopaque, word: *const u32, expected: u32) void {
    const t = taskOf(userdata);
    const me = t.self();
    var waiter: futex.Waiter = .{ .word = word, .fiber = me, .cancelable = false };
    if (!waiter.enter(expected)) return t.spend();
    defer me.futex_waiter = null;
    _ = me.park(.{ .futex = &waiter });
}

/// From any thread.
pub fn futexWake(_: ?*anyopaque, word: *const u32, max: u32) void {
    futex.wake(word, max);
}

// Time.

pub fn sleep(userdata: ?*anyopaque, timeout: Io.Timeout) Io.Cancelable!void {
    const t = taskOf(userdata);
    const me = t.self();
    try me.checkCancel();
    if (deadlineOf(t, timeout)) |at| t.arm(at);
    _ = try me.parkCancelable(.timer);
}

/// The host's time, which in a test may be a virtual one.
pub fn now(userdata: ?*anyopaque, clock: Io.Clock) Io.Timestamp {
    const t = taskOf(userdata);
    if (hostClock(clock)) |which| {
        const nanoseconds = t.clock(which);
        if (nanoseconds != std.math.minInt(i64)) return .{ .nanoseconds = nanoseconds };
    }
    return base.call("now", .{clock});
}

fn hostClock(clock: Io.Clock) ?u32 {
    return switch (clock) {
        .real => abi.clock.real,
        .awake => abi.clock.awake,
        .boot => abi.clock.boot,
        .cpu_process, .cpu_thread => null,
    };
}

/// When a timeout is over, by the timers' clock. A deadline of another clock is taken as the time until then.
pub fn deadlineOf(t: *Task, timeout: Io.Timeout) ?i64 {
    const from_now: i96 = switch (timeout) {
        .none => return null,
        .duration => |duration| duration.raw.nanoseconds,
        .deadline => |deadline| from_now: {
            if (deadline.clock == .awake) return std.math.lossyCast(i64, deadline.raw.nanoseconds);
            break :from_now deadline.raw.nanoseconds -| now(t, deadline.clock).nanoseconds;
        },
    };
    return std.math.lossyCast(i64, @as(i96, t.now()) +| from_now);
}
