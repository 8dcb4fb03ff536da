//! How a task that waits is polled again: any thread may ask for it, at any time.
//!
//! There is one poller and any number of notifiers. A notifier first makes known what it brings, and then
//! notifies; the poller first says that it is going to wait, and is refused if anybody has notified since its
//! poll began. All of it is sequentially consistent.
//!
//! A notifier needs a reference to whatever this is part of: what it brings may make the task run to
//! its end, and be freed, before the notifier is done here.

const std = @import("std");
const abi = @import("../abi.zig");

pub const Wakeup = struct {
    state: std.atomic.Value(State) = .init(.polling),
    /// Notifiers that may be about to take a reference to the waker.
    notifying: std.atomic.Value(u32) = .init(0),
    /// Retained. The poller changes it only while no notifier can see it.
    waker: ?*const abi.WakerHandle = null,

    const State = enum(u32) {
        /// A poll is going on, or another one is certain to come.
        polling,
        /// As `polling`, and somebody has notified.
        notified,
        /// The poller waits.
        waiting,
    };

    pub fn deinit(w: *Wakeup) void {
        if (w.waker) |waker| waker.vtable.release(waker);
        w.* = undefined;
    }

    /// Poller: a poll begins, on behalf of `waker`. What notifiers brought up to here is to be looked at
    /// after this.
    pub inline fn begin(w: *Wakeup, waker: *const abi.WakerHandle) void {
        if (w.state.load(.monotonic) != .polling) w.state.store(.polling, .seq_cst);
        if (w.waker != waker) w.replace(waker);
    }

    /// Poller: as `begin`, if nothing has changed since the last poll began: nobody has notified, and it does not
    /// wait, and the waker is the same. Otherwise there is nothing done.
    pub inline fn beginAgain(w: *Wakeup, waker: *const abi.WakerHandle) bool {
        // Monotonic, as nothing is read because of it. A notification that is not seen here stays, and `wait` sees
        // it, or the next poll.
        return w.state.load(.monotonic) == .polling and w.waker == waker;
    }

    fn replace(w: *Wakeup, waker: *const abi.WakerHandle) void {
        @branchHint(.cold);
        // Whoever notifies from here on finds the state `polling`, and leaves the waker alone. Whoever found it
        // `waiting` is counted already, and is about to have a reference of its own.
        while (w.notifying.load(.seq_cst) != 0) std.Thread.yield() catch {};
        waker.vtable.retain(waker);
        if (w.waker) |old| old.vtable.release(old);
        w.waker = waker;
    }

    /// Poller: from here on a notification wakes the waker. Returns false when there has been one since
    /// `begin`: then the poll goes on.
    pub fn wait(w: *Wakeup) bool {
        if (w.state.cmpxchgStrong(.polling, .waiting, .seq_cst, .seq_cst) == null) return true;
        w.state.store(.polling, .seq_cst);
        return false;
    }

    /// Poller: nobody has notified since it began to wait.
    pub fn waits(w: *const Wakeup) bool {
        return w.state.load(.monotonic) == .waiting;
    }

    /// Any thread, with a reference to the owner.
    pub fn notify(w: *Wakeup) void {
        _ = w.notifying.fetchAdd(1, .seq_cst);
        const waker = if (w.state.swap(.notified, .seq_cst) == .waiting) w.waker.? else null;
        if (waker) |handle| handle.vtable.retain(handle);
        // Releases our last look at the waker to `replace`. Not after the wake: that may drop the task on this very
        // thread, as the wakers of executors do that are no more.
        _ = w.notifying.fetchSub(1, .release);
        const handle = waker orelse return;
        handle.vtable.wake(handle);
        handle.vtable.release(handle);
    }
};

const TestWaker = @import("../testing.zig").TestWaker;

test "who waits is woken once, who was notified doesn't wait, and the waker may change" {
    var first: TestWaker = .{};
    var second: TestWaker = .{};
    var wakeup: Wakeup = .{};
    wakeup.begin(&first.handle);
    try std.testing.expect(wakeup.wait());
    wakeup.notify();
    wakeup.notify();
    try std.testing.expectEqual(1, first.wakes.raw);
    wakeup.begin(&first.handle);
    wakeup.notify();
    try std.testing.expect(!wakeup.wait());
    try std.testing.expect(wakeup.wait());
    wakeup.begin(&second.handle);
    try std.testing.expectEqual(1, first.references.raw);
    try std.testing.expect(wakeup.wait());
    wakeup.notify();
    try std.testing.expectEqual(1, first.wakes.raw);
    try std.testing.expectEqual(1, second.wakes.raw);
    wakeup.deinit();
    try std.testing.expectEqual(1, second.references.raw);
}

test "no notification is lost, whoever notifies" {
    const rounds = 20_000;
    const Shared = struct {
        wakeup: Wakeup = .{},
        brought: std.atomic.Value(u32) = .init(0),

        fn bring(s: *@This()) void {
            for (0..rounds) |_| {
                _ = s.brought.fetchAdd(1, .seq_cst);
                s.wakeup.notify();
            }
        }
    };
    var shared: Shared = .{};
    var wakers: [2]TestWaker = .{ .{}, .{} };
    var threads: [3]std.Thread = undefined;
    for (&threads) |*thread| thread.* = try .spawn(.{}, Shared.bring, .{&shared});
    var seen: u32 = 0;
    var turn: usize = 0;
    while (seen < threads.len * rounds) : (turn += 1) {
        // Changing the waker now and then, as a task that moves to the reaper does.
        const waker = &wakers[turn / 7 % 2];
        const wakes = waker.wakes.load(.seq_cst);
        shared.wakeup.begin(&waker.handle);
        while (true) {
            const brought = shared.brought.load(.seq_cst);
            if (brought != seen) {
                seen = brought;
                break;
            }
            if (shared.wakeup.wait()) {
                waker.wait(wakes);
                break;
            }
        }
    }
    for (threads) |thread| thread.join();
    shared.wakeup.deinit();
}
