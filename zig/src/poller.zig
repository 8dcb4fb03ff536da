//! The side of a hand-off that is polled: it parks by leaving the host's waker.

const std = @import("std");
const abi = @import("abi.zig");

/// One poller and one notifier. The host's waker is kept from poll to poll (one reference in all), so
/// that neither parking nor waking allocates or counts.
pub const Poller = struct {
    state: std.atomic.Value(State) = .init(.idle),
    /// Retained. The poller writes it in `idle` or `parked`; the notifier reads it while `waking`.
    waker: ?*const abi.WakerHandle = null,

    const State = enum(u32) {
        /// Nobody needs to be woken.
        idle,
        /// The poller waits.
        parked,
        /// The notifier is about to call the waker, or is calling it.
        waking,
        /// As `waking`, and meanwhile the poller has come back and waits again.
        waking_parked,
    };

    pub fn deinit(p: *Poller) void {
        if (p.waker) |waker| waker.vtable.release(waker);
        p.* = undefined;
    }

    /// Poll side: from here on a `notify` wakes the waker of `cx`. Look once more after this, and call
    /// `unpark` when there is no reason to wait after all.
    pub fn park(p: *Poller, cx: *const abi.PollContext) void {
        if (p.waker != cx.waker) p.replaceWaker(cx.waker);
        while (true) switch (p.state.load(.seq_cst)) {
            .parked, .waking_parked => return,
            .idle => if (p.state.cmpxchgWeak(.idle, .parked, .seq_cst, .seq_cst) == null) return,
            .waking => if (p.state.cmpxchgWeak(.waking, .waking_parked, .seq_cst, .seq_cst) == null) return,
        };
    }

    /// Poll side: there was no reason to wait. A wake may still come; it is harmless.
    pub fn unpark(p: *Poller) void {
        while (true) switch (p.state.load(.monotonic)) {
            .idle, .waking => return,
            .parked => if (p.state.cmpxchgWeak(.parked, .idle, .seq_cst, .seq_cst) == null) return,
            .waking_parked => if (p.state.cmpxchgWeak(.waking_parked, .waking, .seq_cst, .seq_cst) == null) return,
        };
    }

    /// The other side: whether the poller waits.
    pub fn isParked(p: *const Poller) bool {
        return p.state.load(.seq_cst) == .parked;
    }

    fn replaceWaker(p: *Poller, waker: *const abi.WakerHandle) void {
        @branchHint(.cold);
        // A host may change its handle. Wait for a wake of the old one that is under way: it calls the
        // host's `wake`, which never polls, so this is short.
        while (true) {
            p.unpark();
            if (p.state.load(.acquire) == .idle) break;
            std.atomic.spinLoopHint();
        }
        waker.vtable.retain(waker);
        if (p.waker) |old| old.vtable.release(old);
        p.waker = waker;
    }

    /// The other side, after it changed what the poller waits for.
    pub inline fn notify(p: *Poller) void {
        if (p.state.load(.seq_cst) == .parked) p.notifySlow();
    }

    fn notifySlow(p: *Poller) void {
        @branchHint(.cold);
        if (p.state.cmpxchgStrong(.parked, .waking, .seq_cst, .seq_cst) != null) return;
        const waker = p.waker.?;
        waker.vtable.wake(waker);
        if (p.state.cmpxchgStrong(.waking, .idle, .seq_cst, .seq_cst) != null) {
            // `waking_parked`: nothing has changed since the poller looked, because the only one who
            // changes anything is here.
            p.state.store(.parked, .seq_cst);
        }
    }
};

const TestWaker = @import("testing.zig").TestWaker;

test "only a parked poller is woken, and once" {
    var waker: TestWaker = .{};
    const cx = waker.context();
    var poller: Poller = .{};
    poller.notify();
    poller.park(&cx);
    poller.notify();
    poller.notify();
    try std.testing.expectEqual(1, waker.wakes.raw);
    poller.park(&cx);
    poller.unpark();
    poller.notify();
    try std.testing.expectEqual(1, waker.wakes.raw);
    try std.testing.expectEqual(2, waker.references.raw);
    poller.deinit();
    try std.testing.expectEqual(1, waker.references.raw);
}

test "a host may change its waker" {
    var first: TestWaker = .{};
    var second: TestWaker = .{};
    var poller: Poller = .{};
    const first_cx = first.context();
    const second_cx = second.context();
    poller.park(&first_cx);
    poller.park(&second_cx);
    poller.notify();
    try std.testing.expectEqual(0, first.wakes.raw);
    try std.testing.expectEqual(1, second.wakes.raw);
    try std.testing.expectEqual(1, first.references.raw);
    poller.deinit();
}
