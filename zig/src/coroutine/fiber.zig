//! One stack of a task: what runs on it, what it waits for, and whether it was asked to end.
//!
//! Everything here happens in polls of the task, and so on one thread at a time. The one exception is
//! `next`, by which another thread that has taken the fiber out of a futex's queue links it into the
//! task's list of those that were woken from afar.

const std = @import("std");
const Io = std.Io;
const assert = std.debug.assert;
const descriptors = @import("descriptors.zig");
const futex = @import("futex.zig");
const groups = @import("groups.zig");
const switching = @import("switch.zig");
const timers = @import("timers.zig");
const Stack = @import("stack.zig").Stack;
const Task = @import("task.zig").Task;

pub const Fiber = struct {
    /// While it is suspended.
    context: switching.Context,
    task: *Task,
    stack: Stack,
    kind: Kind,
    start: Start,
    /// On this stack, above.
    argument: *const anyopaque,
    result: [*]u8,
    /// In the queue of those that can run, or in a list of those that were woken.
    next: ?*Fiber = null,
    /// Among all of the task's fibers.
    all: std.DoublyLinkedList.Node = .{},
    timer: timers.Timer = .{},
    waiting: Waiting = .nothing,
    /// From before it waits for a word until it goes on.
    futex_waiter: ?*futex.Waiter = null,
    woken: Woken = .event,
    cancel: Cancel = .none,
    protection: Io.CancelProtection = .unblocked,
    /// It has returned; its stack is kept for its result.
    done: bool = false,
    /// Who waits for this one to return.
    awaiter: ?*Fiber = null,
    /// For one of a group.
    group: ?*Io.Group = null,
    in_group: struct { before: ?*Fiber = null, after: ?*Fiber = null } = .{},

    pub const Kind = enum {
        /// The exported function itself.
        root,
        /// Somebody is going to await it.
        future,
        /// One of a group.
        member,
    };

    pub const Start = union {
        root: *const fn (*Task) void,
        future: *const fn (argument: *const anyopaque, result: *anyopaque) void,
        member: *const fn (argument: *const anyopaque) void,
    };

    /// What a parked fiber waits for, and so what has to be undone to wake it otherwise.
    pub const Waiting = union(enum) {
        /// It runs, or can run.
        nothing,
        /// The other side of the hand-off: any poll.
        poll,
        /// Its timer, and nothing else.
        timer,
        futex: *futex.Waiter,
        descriptors: []descriptors.Wait,
        child: *Fiber,
        group: *Io.Group,
        /// Something that cannot be called off.
        completion,
    };

    pub const Woken = enum { event, timeout, canceled };

    const Cancel = enum {
        none,
        /// The next cancelation point says so.
        requested,
        /// A cancelation point has said so.
        delivered,
    };

    /// A call that a fiber makes on the stack of the thread that polls.
    pub const Visit = struct {
        function: *const fn (*anyopaque) void,
        context: *anyopaque,
    };

    /// With a copy of `argument` and room for a result on the stack. It can run.
    pub fn create(
        task: *Task,
        kind: Kind,
        start: Start,
        argument: []const u8,
        argument_alignment: std.mem.Alignment,
        result_len: usize,
        result_alignment: std.mem.Alignment,
    ) Stack.Error!*Fiber {
        const stack: Stack = try .acquire(task.stack_size);
        errdefer stack.release();
        const usable = stack.usable();
        var top = @intFromPtr(usable.ptr) + usable.len;
        const bottom = @intFromPtr(usable.ptr);
        // What lies on the stack leaves at least half of it for what it is for.
        const lying = argument.len +| result_len +| @sizeOf(Fiber);
        if (lying +| 4096 > usable.len / 2) return error.StackUnavailable;
        top = argument_alignment.backward(top - argument.len);
        const argument_copy: [*]u8 = @ptrFromInt(top);
        @memcpy(argument_copy[0..argument.len], argument);
        top = result_alignment.backward(top - result_len);
        const result: [*]u8 = @ptrFromInt(top);
        top = std.mem.alignBackward(usize, top - @sizeOf(Fiber), @max(16, @alignOf(Fiber)));
        assert(top - bottom >= usable.len / 2 - 4096);
        const fiber: *Fiber = @ptrFromInt(top);
        fiber.* = .{
            .context = switching.prepare(@ptrFromInt(top), &main, fiber),
            .task = task,
            .stack = stack,
            .kind = kind,
            .start = start,
            .argument = argument_copy,
            .result = result,
        };
        task.adopt(fiber);
        return fiber;
    }

    /// It has returned, and nobody needs its result any more.
    pub fn destroy(fiber: *Fiber) void {
        assert(fiber.done and !fiber.timer.armed);
        fiber.task.disown(fiber);
        // A copy: the fiber lies on the stack that it is about to give away.
        const stack = fiber.stack;
        stack.release();
    }

    fn main(argument: *anyopaque) callconv(.c) noreturn {
        const fiber: *Fiber = @ptrCast(@alignCast(argument));
        switch (fiber.kind) {
            .root => fiber.start.root(fiber.task),
            .future => fiber.start.future(fiber.argument, fiber.result),
            .member => fiber.start.member(fiber.argument),
        }
        fiber.done = true;
        fiber.suspendForGood();
    }

    /// To the task's poll, and back when that resumes this fiber, perhaps on another thread.
    fn suspendSelf(fiber: *Fiber) void {
        switching.switchTo(&fiber.context, fiber.task.slots.poll_context);
    }

    /// As `suspendSelf`, when it is not going to be resumed.
    pub fn suspendForGood(fiber: *Fiber) noreturn {
        fiber.suspendSelf();
        unreachable;
    }

    /// Makes a call on the polling thread's own stack.
    pub fn visit(fiber: *Fiber, call: Visit) void {
        assert(fiber.task.running == fiber);
        fiber.task.visit = call;
        fiber.suspendSelf();
    }

    /// Waits for what `waiting` says, and says why it no longer does. The caller has made sure that somebody
    /// is going to wake it, and undoes nothing: whoever wakes it has.
    pub fn park(fiber: *Fiber, waiting: Waiting) Woken {
        fiber.waiting = waiting;
        fiber.suspendSelf();
        assert(fiber.waiting == .nothing);
        return fiber.woken;
    }

    /// As `park`, as a cancelation point.
    pub fn parkCancelable(fiber: *Fiber, waiting: Waiting) Io.Cancelable!Woken {
        assert(waiting != .completion);
        const woken = fiber.park(waiting);
        if (woken == .canceled) {
            fiber.cancel = .delivered;
            return error.Canceled;
        }
        return woken;
    }

    /// Lets the others run, and the executor's other tasks.
    pub fn yield(fiber: *Fiber) void {
        fiber.task.ready.push(fiber);
        fiber.suspendSelf();
    }

    /// Whether the next cancelation point says `error.Canceled`.
    pub inline fn cancelIsDue(fiber: *const Fiber) bool {
        return fiber.cancel == .requested and fiber.protection == .unblocked;
    }

    /// A cancelation point.
    pub fn checkCancel(fiber: *Fiber) Io.Cancelable!void {
        if (!fiber.cancelIsDue()) return;
        fiber.cancel = .delivered;
        return error.Canceled;
    }

    /// Takes a request for itself, to pass it on. True if there was one.
    pub fn takeCancel(fiber: *Fiber) bool {
        fiber.checkCancel() catch return true;
        return false;
    }

    /// What was delivered is to be delivered again.
    pub fn recancel(fiber: *Fiber) void {
        assert(fiber.cancel == .delivered); // `recancel` without an `error.Canceled` before it
        fiber.cancel = .requested;
    }

    /// From outside: asks the fiber to end. Once in its life.
    pub fn requestCancel(fiber: *Fiber) void {
        if (fiber.cancel != .none) return;
        fiber.cancel = .requested;
        fiber.task.cancel_requests += 1;
        fiber.task.slots.limit = 0;
        if (fiber.protection == .unblocked and fiber.cancelable()) fiber.interrupt(.canceled);
    }

    /// Whether what it waits for is a cancelation point.
    fn cancelable(fiber: *const Fiber) bool {
        return switch (fiber.waiting) {
            .nothing, .completion => false,
            .futex => |waiter| waiter.cancelable,
            .poll, .timer, .descriptors, .child, .group => true,
        };
    }

    /// Wakes it for another reason than the one it waits for, unless that one has come already.
    pub fn interrupt(fiber: *Fiber, woken: Woken) void {
        switch (fiber.waiting) {
            .nothing, .completion => unreachable, // not to be interrupted
            .poll => fiber.task.pollers.remove(fiber),
            .timer => {},
            .futex => |waiter| if (!waiter.leave()) {
                // Somebody has taken it out, and is bringing it.
                return fiber.task.timers.remove(&fiber.timer);
            },
            .descriptors => |waits| fiber.task.descriptors.forget(waits),
            .child => |child| child.awaiter = null,
            .group => |group| groups.forgetAwaiter(group),
        }
        fiber.wake(woken);
    }

    /// It can run again, because of what it waited for or by `interrupt`.
    pub fn wake(fiber: *Fiber, woken: Woken) void {
        fiber.task.timers.remove(&fiber.timer);
        fiber.waiting = .nothing;
        fiber.woken = woken;
        fiber.task.ready.push(fiber);
    }
};

/// Fibers in the order they came, linked by `next`.
pub const Queue = struct {
    first: ?*Fiber = null,
    last: ?*Fiber = null,

    pub fn push(q: *Queue, fiber: *Fiber) void {
        fiber.next = null;
        if (q.last) |last| last.next = fiber else q.first = fiber;
        q.last = fiber;
    }

    pub fn pop(q: *Queue) ?*Fiber {
        const fiber = q.first orelse return null;
        q.first = fiber.next;
        if (q.first == null) q.last = null;
        fiber.next = null;
        return fiber;
    }

    pub fn remove(q: *Queue, fiber: *Fiber) void {
        var before: ?*Fiber = null;
        var at = q.first;
        while (at) |f| : ({
            before = f;
            at = f.next;
        }) {
            if (f != fiber) continue;
            if (before) |b| b.next = f.next else q.first = f.next;
            if (q.last == f) q.last = before;
            f.next = null;
            return;
        }
    }
};
