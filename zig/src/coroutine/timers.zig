//! The deadlines that fibers of one task wait for, the earliest first: a pairing heap whose nodes are the
//! waiters' own, so that a timer costs no memory and a removal doesn't search (Fredman, Sedgewick, Sleator,
//! Tarjan: "The pairing heap", 1986).

const std = @import("std");

/// Nanoseconds of the host's monotonic clock.
pub const Deadline = i64;

/// In at most one heap at a time.
pub const Timer = struct {
    deadline: Deadline = 0,
    child: ?*Timer = null,
    /// The next one among the parent's children.
    next: ?*Timer = null,
    /// The parent, for the first child; otherwise the one before.
    previous: ?*Timer = null,
    armed: bool = false,
};

pub const Timers = struct {
    root: ?*Timer = null,

    pub fn earliest(h: *const Timers) ?Deadline {
        return if (h.root) |root| root.deadline else null;
    }

    pub fn insert(h: *Timers, timer: *Timer, deadline: Deadline) void {
        std.debug.assert(!timer.armed);
        timer.* = .{ .deadline = deadline, .armed = true };
        h.root = if (h.root) |root| meld(root, timer) else timer;
    }

    pub fn remove(h: *Timers, timer: *Timer) void {
        if (!timer.armed) return;
        timer.armed = false;
        const children = mergePairs(timer.child);
        timer.child = null;
        if (timer.previous) |previous| {
            if (previous.child == timer) previous.child = timer.next else previous.next = timer.next;
            if (timer.next) |next| next.previous = previous;
            if (children) |rest| h.root = meld(h.root.?, rest);
        } else h.root = children;
        timer.next = null;
        timer.previous = null;
    }

    /// Removes and returns one whose deadline has passed at `now`.
    pub fn popDue(h: *Timers, now: Deadline) ?*Timer {
        const root = h.root orelse return null;
        if (root.deadline > now) return null;
        h.remove(root);
        return root;
    }

    /// Two roots become one.
    fn meld(a: *Timer, b: *Timer) *Timer {
        const parent, const child = if (b.deadline < a.deadline) .{ b, a } else .{ a, b };
        child.previous = parent;
        child.next = parent.child;
        if (child.next) |next| next.previous = child;
        parent.child = child;
        parent.next = null;
        parent.previous = null;
        return parent;
    }

    /// Siblings become one root: pair by pair from the left, then all from the right.
    fn mergePairs(first: ?*Timer) ?*Timer {
        var pairs: ?*Timer = null;
        var rest = first;
        while (rest) |a| {
            const b = a.next;
            rest = if (b) |sibling| sibling.next else null;
            a.next = null;
            const pair = if (b) |sibling| pair: {
                sibling.next = null;
                break :pair meld(a, sibling);
            } else a;
            pair.next = pairs;
            pairs = pair;
        }
        var result = pairs orelse return null;
        var more = result.next;
        result.next = null;
        result.previous = null;
        while (more) |pair| {
            more = pair.next;
            pair.next = null;
            result = meld(result, pair);
        }
        return result;
    }
};

test "the earliest comes first, whatever is inserted and removed" {
    var random: std.Random.DefaultPrng = .init(7);
    var heap: Timers = .{};
    var timers: [100]Timer = @splat(.{});
    for (0..5000) |_| {
        const timer = &timers[random.random().uintLessThan(usize, timers.len)];
        if (timer.armed) heap.remove(timer) else heap.insert(timer, random.random().intRangeAtMost(i64, 0, 50));
        var least: ?Deadline = null;
        for (&timers) |*t| {
            if (t.armed) least = @min(least orelse t.deadline, t.deadline);
        }
        try std.testing.expectEqual(least, heap.earliest());
    }
    var last: Deadline = 0;
    while (heap.popDue(40)) |timer| {
        try std.testing.expect(timer.deadline >= last and timer.deadline <= 40);
        last = timer.deadline;
    }
    for (timers) |timer| try std.testing.expect(!timer.armed or timer.deadline > 40);
}
