//! Items between a function on a thread and the side that polls: a ring and two places to wait.

const std = @import("std");
const Io = std.Io;
const abi = @import("abi.zig");
const Buffer = @import("buffer.zig").Buffer;
const Poller = @import("poller.zig").Poller;
const Ring = @import("ring.zig").Ring;
const Runner = @import("runner.zig").Runner;

/// Items under way unless the opener says otherwise.
pub fn defaultCapacity(comptime T: type) usize {
    if (T == Buffer) return 64;
    return std.math.clamp(16 * 1024 / @max(1, @sizeOf(T)), 4, 1024);
}

/// How long a poller that found nothing looks again before it parks. Parking and being woken costs
/// microseconds on both sides, which a stream that is merely a little faster on one side would pay for
/// every few items. So it looks again for a moment, as long as that helps: an executor's thread is not for
/// spinning.
///
/// For single items the moment is about a microsecond; when it doesn't help it is ever less, down to a rare
/// try.
const ItemPatience = struct {
    level: u8 = max,
    /// Parks since the last try at level 0.
    parks: u8 = 0,

    const max = 3;

    fn looks(p: *ItemPatience) usize {
        if (p.level > 0) return p.level;
        p.parks +%= 1;
        return if (p.parks % 32 == 0) 1 else 0;
    }

    fn rewarded(p: *ItemPatience) void {
        p.level = @min(max, p.level * 2 + 1);
    }

    fn disappointed(p: *ItemPatience) void {
        p.level /= 2;
    }

    /// Before each look, ever longer: a look takes the other side's cache line away, so it is to find
    /// many items, not one.
    fn pause(look: usize) void {
        for (0..@as(usize, 16) << @intCast(look)) |_| std.atomic.spinLoopHint();
    }
};

/// As `ItemPatience`, for buffers. One takes longer to fill than a microsecond, and what parking costs is
/// paid for each of them, so the moment is some 10 microseconds. It is worth it while at least every second
/// one helps; otherwise it is a rare try.
const BufferPatience = struct {
    /// Rewards less disappointments, within bounds.
    credit: u8 = max_credit,
    /// Parks without a look.
    parks: u8 = 0,

    const max_credit = 8;
    const max = 24;

    fn looks(p: *BufferPatience) usize {
        if (p.credit > 0) return max;
        p.parks +%= 1;
        return if (p.parks % 32 == 0) max else 0;
    }

    fn rewarded(p: *BufferPatience) void {
        p.credit = @min(max_credit, p.credit + 1);
    }

    fn disappointed(p: *BufferPatience) void {
        p.credit -|= 1;
    }

    /// Some 16 times 15 to 45 nanoseconds. A look takes the other side's cache line away, which is nothing
    /// beside a buffer.
    fn pause(_: usize) void {
        for (0..16) |_| std.atomic.spinLoopHint();
    }
};

/// The function's side may wait (`runner`), the other side may be polled (`poller`). Which of the two
/// produces is up to the owner; each direction uses its own half of the methods.
pub fn Handoff(comptime T: type) type {
    return struct {
        const Self = @This();
        const Patience = if (T == Buffer) BufferPatience else ItemPatience;

        ring: Ring(T),
        runner: *Runner,
        poller: Poller = .{},
        /// The producer will push no more.
        ended: std.atomic.Value(bool) = .init(false),
        /// The consumer will pop no more.
        refused: std.atomic.Value(bool) = .init(false),
        /// The poller's own, away from what the other side reads for every item.
        patience: Patience align(std.atomic.cache_line) = .{},

        pub fn init(gpa: std.mem.Allocator, capacity: usize, runner: *Runner) error{OutOfMemory}!Self {
            return .{ .ring = try .init(gpa, capacity), .runner = runner };
        }

        pub fn deinit(h: *Self, gpa: std.mem.Allocator) void {
            h.ring.deinit(gpa);
            h.poller.deinit();
        }

        // The function's side.

        /// Returns once every item is in the ring; waits for room.
        pub inline fn send(h: *Self, items: []const T) Io.Cancelable!void {
            try h.runner.checkCancel();
            const n = h.ring.push(items);
            h.poller.notify();
            if (n < items.len) try h.sendRest(items[n..]);
        }

        fn sendRest(h: *Self, items: []const T) Io.Cancelable!void {
            @branchHint(.unlikely);
            var rest = items;
            while (rest.len > 0) {
                try h.runner.wait(&h.ring, hasRoom);
                rest = rest[h.ring.push(rest)..];
                h.poller.notify();
            }
        }

        /// Returns the next items, at least one, or none at the end; waits for them.
        pub inline fn receive(h: *Self, out: []T) Io.Cancelable!usize {
            try h.runner.checkCancel();
            while (true) {
                const n = h.ring.pop(out);
                if (n > 0) {
                    h.poller.notify();
                    return n;
                }
                if (h.ended.load(.acquire) and h.ring.isEmpty()) return 0;
                try h.runner.wait(h, hasItemOrEnd);
            }
        }

        /// The other side has taken everything and waits for more.
        pub fn starved(h: *Self) bool {
            return h.poller.isParked() and h.ring.isEmpty();
        }

        /// The function has returned.
        pub fn finish(h: *Self) void {
            h.ended.store(true, .seq_cst);
            h.refused.store(true, .seq_cst);
            h.poller.notify();
        }

        fn hasRoom(ring: *Ring(T)) bool {
            return !ring.isFull();
        }

        fn hasItemOrEnd(h: *Self) bool {
            return !h.ring.isEmpty() or h.ended.load(.seq_cst);
        }

        // The polled side.

        /// Moves items to `out`. None, and `null`: pending, and the waker is left.
        pub fn pollReceive(h: *Self, cx: *const abi.PollContext, out: []T) ?usize {
            if (h.popAndUnpark(out)) |n| return n;
            for (0..h.patience.looks()) |look| {
                Patience.pause(look);
                if (h.popAndUnpark(out)) |n| {
                    h.patience.rewarded();
                    return n;
                }
            }
            h.patience.disappointed();
            h.poller.park(cx);
            const n = h.popAndUnpark(out) orelse {
                // The function may be waiting for something that only this side's hunger justifies.
                h.runner.unpark();
                return null;
            };
            h.poller.unpark();
            return n;
        }

        fn popAndUnpark(h: *Self, out: []T) ?usize {
            // Before the ring is found empty: what was pushed before the end is then seen.
            const ended = h.ended.load(.seq_cst);
            const n = h.ring.pop(out);
            if (n == 0) return if (ended) 0 else null;
            h.runner.unpark();
            return n;
        }

        /// Moves `items` into the ring. Fewer than all: the waker is left, unless it is `refused`.
        pub fn pollSend(h: *Self, cx: *const abi.PollContext, items: []const T) usize {
            var n = h.pushAndUnpark(items);
            if (n == items.len or h.refused.load(.seq_cst)) return n;
            h.poller.park(cx);
            n += h.pushAndUnpark(items[n..]);
            if (n == items.len or h.refused.load(.seq_cst)) h.poller.unpark();
            return n;
        }

        /// Whether there is room; if not, the waker is left, unless it is `refused`.
        pub fn pollRoom(h: *Self, cx: *const abi.PollContext) bool {
            if (!h.ring.isFull()) return true;
            h.poller.park(cx);
            if (h.ring.isFull() and !h.refused.load(.seq_cst)) return false;
            h.poller.unpark();
            return !h.ring.isFull();
        }

        fn pushAndUnpark(h: *Self, items: []const T) usize {
            if (h.refused.load(.seq_cst)) return 0;
            const n = h.ring.push(items);
            if (n > 0) h.runner.unpark();
            return n;
        }

        /// No more items come from the polled side.
        pub fn end(h: *Self) void {
            if (h.ended.swap(true, .seq_cst)) return;
            h.runner.unpark();
        }

        /// Whether the function has returned; if not, the waker is left.
        pub fn pollFinished(h: *Self, cx: *const abi.PollContext) bool {
            if (h.refused.load(.seq_cst)) return true;
            h.poller.park(cx);
            if (!h.refused.load(.seq_cst)) return false;
            h.poller.unpark();
            return true;
        }
    };
}
