//! Panics that end their coroutine, and not the process: the policy `poison`.
//!
//! A fiber that panics switches away for good, and the poll that ran it buries the task: none of its fibers runs
//! again, and no `defer` does. Their stacks are never reused or unmapped, because other tasks, threads and
//! offloaded calls may have pointers into them. So what the function itself held is lost: memory, descriptors,
//! threads, and the locks that others now wait for in vain. What the runtime held for it is given back: timers,
//! tickets, places in queues, its arguments, its ends of channels, the buffers it was at work on.
//!
//! A panic still ends the process
//!
//! - outside of the fibers' stacks: in the runtime's own polls, and in whatever the host does;
//! - in a `Section`, in which something is half changed that others share or that the burial needs;
//! - by an overflow outside of the program's own code: a C library's function may hold a lock of the process's.

const std = @import("std");
const current = @import("current.zig");
const futex = @import("futex.zig");
const overflow = @import("overflow.zig");
const panic = @import("../panic.zig");
const Fiber = @import("fiber.zig").Fiber;
const Task = @import("task.zig").Task;

/// A task's part of it.
pub const Panics = struct {
    /// They end the task. Otherwise, the process.
    contained: bool = false,
    /// How many `Section`s the running fiber is in.
    sections: u8 = 0,
    /// What the panic said. On the stack of the fiber that panicked, or static: valid for ever.
    words: ?[]const u8 = null,
    holds: std.DoublyLinkedList = .{},
};

/// Longer messages are cut.
pub const max_message = 1024;

/// Called where a panic begins: does not return if it is contained.
pub fn contain(message: []const u8) void {
    const t = current.get() orelse return;
    const fiber = t.running orelse return;
    if (!mayEnd(t) or !fiber.stack.contains(@frameAddress())) return;
    // Stays as it is, as all of the stack does.
    var text: [max_message]u8 = undefined;
    endTask(t, fiber, cut(&text, message));
}

/// From a signal handler, whose `context` the fiber goes on with when it returns: whether `fiber`'s overflow is
/// contained.
pub fn containOverflow(t: *Task, fiber: *Fiber, context: *overflow.SignalContext) bool {
    if (!overflow.isOurCode(context.programCounter())) return false;
    // One that has ended, and had no stack left to switch away on, still switches away.
    if (t.panics.words == null) {
        if (!mayEnd(t)) return false;
        markEnded(t, fiber, overflow_message);
    }
    // Below what the poll has suspended, its stack is free.
    const stack: [*]u8 = @ptrCast(t.slots.poll_context);
    context.callOn(stack - 512, &switchAway, fiber);
    return true;
}

const overflow_message = "stack overflow";

fn switchAway(argument: *anyopaque) callconv(.c) noreturn {
    const fiber: *Fiber = @ptrCast(@alignCast(argument));
    fiber.suspendForGood();
}

fn mayEnd(t: *const Task) bool {
    return t.panics.contained and t.panics.sections == 0 and t.panics.words == null;
}

fn endTask(t: *Task, fiber: *Fiber, words: []const u8) noreturn {
    markEnded(t, fiber, words);
    fiber.suspendForGood();
}

fn markEnded(t: *Task, fiber: *Fiber, words: []const u8) void {
    t.panics.words = words;
    // An overflow on the way to a visit, or to the poll that a slice was filled for.
    t.visit = null;
    t.slots.full = false;
    fiber.done = true;
}

/// As much of `message` as there is room for, and no half of a character.
fn cut(buffer: []u8, message: []const u8) []const u8 {
    var n = @min(buffer.len, message.len);
    if (n < message.len) while (n > 0 and message[n] & 0xc0 == 0x80) : (n -= 1) {};
    @memcpy(buffer[0..n], message[0..n]);
    return buffer[0..n];
}

/// On the polling thread's stack, after a fiber of `t` has ended it.
pub fn bury(t: *Task) void {
    t.ready = .{};
    t.pollers = .{};
    leaveFutexes(t);
    while (t.panics.holds.popFirst()) |node| {
        const hold: *Hold = @alignCast(@fieldParentPtr("node", node));
        hold.giveBack(hold);
    }
    t.fibers = .{};
    t.live = 0;
    t.root = .finished;
    t.timers = .{};
    t.dropTickets();
    t.callbacks.poisoned(t);
}

/// Takes the task's fibers out of all queues. A wake that one has got, and did not live to see, is the next
/// waiter's.
fn leaveFutexes(t: *Task) void {
    var at = t.fibers.first;
    while (at) |node| : (at = node.next) {
        const fiber: *Fiber = @alignCast(@fieldParentPtr("all", node));
        const waiter = fiber.futex_waiter orelse continue;
        // If somebody has taken it out, that thread has a reference to the task, which outlives its `bring`.
        if (waiter.leave()) fiber.futex_waiter = null;
    }
    at = t.fibers.first;
    while (at) |node| : (at = node.next) {
        const fiber: *Fiber = @alignCast(@fieldParentPtr("all", node));
        if (fiber.futex_waiter) |waiter| futex.wake(waiter.word, 1);
    }
}

/// What a fiber has registered elsewhere under an address on its stack, while it waits.
pub const Hold = struct {
    node: std.DoublyLinkedList.Node = .{},
    task: ?*Task = null,
    /// Undoes it, for a fiber that cannot.
    giveBack: *const fn (*Hold) void,

    /// By the running fiber, if this is one. In place: it has to stay where it is until `forget`.
    pub fn remember(hold: *Hold) void {
        const t = current.get() orelse return;
        if (t.running == null or !t.panics.contained) return;
        const section: Section = .begin(t);
        defer section.end();
        hold.task = t;
        t.panics.holds.append(&hold.node);
    }

    /// The fiber has undone it, or is about to.
    pub fn forget(hold: *Hold) void {
        const t = hold.task orelse return;
        const section: Section = .begin(t);
        defer section.end();
        t.panics.holds.remove(&hold.node);
        hold.task = null;
    }
};

/// While a fiber changes what others share, or what `bury` needs. It begins with a look whether there is stack
/// enough, so that it is not an overflow that ends it half-way.
pub const Section = struct {
    task: *Task,

    pub inline fn begin(t: *Task) Section {
        if (t.panics.contained) enter(t);
        return .{ .task = t };
    }

    pub inline fn end(section: Section) void {
        if (section.task.panics.contained) section.task.panics.sections -= 1;
    }

    /// More than the longest of them takes, in debug builds, with what it calls of the C library.
    const room = 6 * 1024;

    noinline fn enter(t: *Task) void {
        @branchHint(.unlikely);
        if (t.running) |fiber| {
            const left = @frameAddress() -| @intFromPtr(fiber.stack.usable().ptr);
            if (left < room and fiber.stack.contains(@frameAddress()) and mayEnd(t)) {
                endTask(t, fiber, overflow_message);
            }
        }
        t.panics.sections += 1;
    }
};

test cut {
    var buffer: [5]u8 = undefined;
    try std.testing.expectEqualStrings("abcde", cut(&buffer, "abcde"));
    try std.testing.expectEqualStrings("abcde", cut(&buffer, "abcdef"));
    try std.testing.expectEqualStrings("abcd", cut(&buffer, "abcdäf"));
    try std.testing.expectEqualStrings("abcä", cut(&buffer, "abcäf"));
    try std.testing.expectEqualStrings("", cut(&buffer, ""));
}
