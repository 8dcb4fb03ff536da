//! The members of a `std.Io.Group`, kept in what the group itself has room for, so that a group costs no
//! memory: `token` is its first member, `state` is the fiber that awaits it and whether it was cancelled.

const std = @import("std");
const Io = std.Io;
const Fiber = @import("fiber.zig").Fiber;

const canceled_bit: usize = 1;

pub fn add(group: *Io.Group, fiber: *Fiber) void {
    fiber.group = group;
    const first = firstOf(group);
    if (first) |f| f.in_group.before = fiber;
    fiber.in_group = .{ .after = first };
    group.token.store(fiber, .release);
    if (group.state & canceled_bit != 0) fiber.requestCancel();
}

/// A member has returned. Wakes who awaits the group when it was the last one.
pub fn finish(fiber: *Fiber) void {
    const group = fiber.group.?;
    const before, const after = .{ fiber.in_group.before, fiber.in_group.after };
    if (after) |f| f.in_group.before = before;
    if (before) |f| f.in_group.after = after else group.token.store(after, .release);
    if (group.token.raw != null) return;
    const awaiter = awaiterOf(group);
    group.state = 0;
    // The group may be gone as soon as its awaiter runs.
    if (awaiter) |f| f.wake(.event);
}

pub fn isEmpty(group: *const Io.Group) bool {
    return group.token.raw == null;
}

pub fn setAwaiter(group: *Io.Group, fiber: *Fiber) void {
    std.debug.assert(awaiterOf(group) == null); // one fiber awaits a group
    group.state |= @intFromPtr(fiber);
}

pub fn forgetAwaiter(group: *Io.Group) void {
    group.state &= canceled_bit;
}

/// Asks every member to end, also those that are still to come.
pub fn cancel(group: *Io.Group) void {
    group.state |= canceled_bit;
    var at = firstOf(group);
    while (at) |fiber| : (at = fiber.in_group.after) fiber.requestCancel();
}

fn firstOf(group: *const Io.Group) ?*Fiber {
    return @ptrCast(@alignCast(group.token.raw));
}

fn awaiterOf(group: *const Io.Group) ?*Fiber {
    return @ptrFromInt(group.state & ~canceled_bit);
}
