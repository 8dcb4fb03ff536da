//! Two sides that poll one coroutine: where its items come from, and where they go. Each has a waker of its own,
//! and they may be on different threads.
//!
//! One of them polls at a time. The other one does not wait for that: it is woken when its turn has come. What the
//! coroutine itself waits by is one handle, which wakes both. A side that polls may leave the coroutine where only
//! the other one can help it on; then the other one is woken as well (see `State`).

const std = @import("std");
const gpa = @import("../heap.zig").gpa;
const abi = @import("../abi.zig");
const Wakeup = @import("wakeup.zig").Wakeup;

pub const Side = enum(u1) { sink, source };

/// Apart from the coroutine's state, and reference-counted, because a host keeps wakers for longer than that.
pub const Halves = struct {
    /// What the coroutine's polls see as their waker.
    handle: abi.WakerHandle = .{ .vtable = &vtable },
    references: std.atomic.Value(u32) = .init(1),
    wakeups: [2]Wakeup = .{ .{}, .{} },
    turn: std.atomic.Value(Turn) = .init(.free),

    const Turn = enum(u32) {
        free,
        /// One side polls.
        taken,
        /// As `taken`, and the other side wants to.
        wanted,
    };

    const vtable: abi.WakerVTable = .{
        .header = .of(abi.WakerVTable),
        .retain = &retain,
        .release = &releaseC,
        .wake = &wake,
    };

    pub fn create() error{OutOfMemory}!*Halves {
        const halves = try gpa.create(Halves);
        halves.* = .{};
        return halves;
    }

    pub fn release(h: *Halves) void {
        if (h.references.fetchSub(1, .acq_rel) != 1) return;
        for (&h.wakeups) |*wakeup| wakeup.deinit();
        gpa.destroy(h);
    }

    /// A side's poll begins. Returns what the coroutine's poll gets to see, or null when it is the other side's
    /// turn: pending, and `cx`'s waker is left.
    pub fn enter(h: *Halves, side: Side, cx: *const abi.PollContext) ?abi.PollContext {
        const wakeup = &h.wakeups[@backingInt(side)];
        while (true) {
            // What comes from here on is not missed.
            wakeup.begin(cx.waker);
            if (h.take()) return .{
                .struct_size = @sizeOf(abi.PollContext),
                .reserved = 0,
                .waker = &h.handle,
            };
            if (wakeup.wait()) return null;
        }
    }

    fn take(h: *Halves) bool {
        while (true) switch (h.turn.load(.seq_cst)) {
            .free => if (h.turn.cmpxchgWeak(.free, .taken, .seq_cst, .seq_cst) == null) return true,
            .taken => if (h.turn.cmpxchgWeak(.taken, .wanted, .seq_cst, .seq_cst) == null) return false,
            .wanted => return false,
        };
    }

    /// The side that has entered is done. `help`: the other side is woken if it waits.
    pub fn leave(h: *Halves, side: Side, help: bool) void {
        const wanted = h.turn.swap(.free, .seq_cst) == .wanted;
        if (wanted or help) h.wakeups[@backingInt(side) ^ 1].notify();
    }

    /// The side's poll ends by waiting.
    pub fn wait(h: *Halves, side: Side, cx: *const abi.PollContext) void {
        // Whatever came meanwhile is worth another poll.
        if (!h.wakeups[@backingInt(side)].wait()) cx.waker.vtable.wake(cx.waker);
    }

    fn of(handle: *const abi.WakerHandle) *Halves {
        return @alignCast(@constCast(@fieldParentPtr("handle", handle)));
    }

    fn retain(handle: *const abi.WakerHandle) callconv(.c) void {
        _ = of(handle).references.fetchAdd(1, .monotonic);
    }

    fn releaseC(handle: *const abi.WakerHandle) callconv(.c) void {
        of(handle).release();
    }

    fn wake(handle: *const abi.WakerHandle) callconv(.c) void {
        for (&of(handle).wakeups) |*wakeup| wakeup.notify();
    }
};

const TestWaker = @import("../testing.zig").TestWaker;

test "one side at a time, and the other is woken when its turn has come" {
    const halves: *Halves = try .create();
    var wakers: [2]TestWaker = .{ .{}, .{} };
    const sink = wakers[0].context();
    const source = wakers[1].context();
    const inner = halves.enter(.sink, &sink).?;
    try std.testing.expectEqual(null, halves.enter(.source, &source));
    halves.leave(.sink, false);
    halves.wait(.sink, &sink);
    try std.testing.expectEqual(0, wakers[0].wakes.raw);
    try std.testing.expectEqual(1, wakers[1].wakes.raw);
    // Both wait: a wake of the coroutine wakes both.
    _ = halves.enter(.source, &source).?;
    halves.leave(.source, false);
    halves.wait(.source, &source);
    inner.waker.vtable.wake(inner.waker);
    try std.testing.expectEqual(1, wakers[0].wakes.raw);
    try std.testing.expectEqual(2, wakers[1].wakes.raw);
    // One that is woken while it polls polls again.
    _ = halves.enter(.source, &source).?;
    inner.waker.vtable.wake(inner.waker);
    halves.leave(.source, true);
    halves.wait(.source, &source);
    try std.testing.expectEqual(3, wakers[1].wakes.raw);
    halves.release();
    try std.testing.expectEqual(1, wakers[0].references.raw);
    try std.testing.expectEqual(1, wakers[1].references.raw);
}
