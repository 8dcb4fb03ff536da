//! A bounded queue between one producer and one consumer, without locks and without waiting.
//!
//! Two counters that only grow; a slot is a counter modulo the array's length. Each side keeps a copy
//! of the other's counter and reads the real one only when the copy says full or empty, so that in a
//! steady stream a cache line crosses between the cores once per lap and not once per item
//! (Lamport 1983; the cached counters are from Lee, Bu, Chandranmenon, "A lock-free, cache-efficient
//! shared ring buffer", 2009).
//!
//! The counters are stored sequentially consistent. That is what waiting is built on (see
//! `Poller` and `Runner`): a side that parks first says so and then looks at the counter once more;
//! the other side first moves the counter and then looks whether anyone is parked. In one total order
//! of these four accesses, one of the two sees the other.

const std = @import("std");
const assert = std.debug.assert;
const cache_line = std.atomic.cache_line;

pub fn Ring(comptime T: type) type {
    return struct {
        const Self = @This();

        /// A power of two long.
        slots: []T,
        capacity: usize,
        /// Items ever pushed; written by the producer.
        tail: std.atomic.Value(usize) align(cache_line) = .init(0),
        /// The producer's copy of `head`.
        head_seen: usize = 0,
        /// Items ever popped; written by the consumer.
        head: std.atomic.Value(usize) align(cache_line) = .init(0),
        /// The consumer's copy of `tail`.
        tail_seen: usize = 0,

        pub fn init(gpa: std.mem.Allocator, capacity: usize) error{OutOfMemory}!Self {
            assert(capacity > 0);
            const slots = std.math.ceilPowerOfTwo(usize, capacity) catch return error.OutOfMemory;
            return .{ .slots = try gpa.alloc(T, slots), .capacity = capacity };
        }

        /// The caller has popped, or does not need, what is left.
        pub fn deinit(ring: *Self, gpa: std.mem.Allocator) void {
            gpa.free(ring.slots);
            ring.* = undefined;
        }

        /// Producer: moves as many of `items` as fit, and returns how many.
        pub inline fn push(ring: *Self, items: []const T) usize {
            const tail = ring.tail.raw;
            var free = ring.capacity - (tail -% ring.head_seen);
            if (free < items.len) {
                ring.head_seen = ring.head.load(.seq_cst);
                free = ring.capacity - (tail -% ring.head_seen);
                if (free == 0) return 0;
            }
            const n = @min(free, items.len);
            const start = tail & (ring.slots.len - 1);
            const first = @min(n, ring.slots.len - start);
            @memcpy(ring.slots[start..][0..first], items[0..first]);
            @memcpy(ring.slots[0 .. n - first], items[first..n]);
            ring.tail.store(tail +% n, .seq_cst);
            return n;
        }

        /// Consumer: moves as many items to `out` as there are and fit, and returns how many.
        pub inline fn pop(ring: *Self, out: []T) usize {
            const head = ring.head.raw;
            var available = ring.tail_seen -% head;
            if (available < out.len) {
                ring.tail_seen = ring.tail.load(.seq_cst);
                available = ring.tail_seen -% head;
                if (available == 0) return 0;
            }
            const n = @min(available, out.len);
            const start = head & (ring.slots.len - 1);
            const first = @min(n, ring.slots.len - start);
            @memcpy(out[0..first], ring.slots[start..][0..first]);
            @memcpy(out[first..n], ring.slots[0 .. n - first]);
            ring.head.store(head +% n, .seq_cst);
            return n;
        }

        /// How many items there are, if neither side is at work.
        pub fn len(ring: *const Self) usize {
            return ring.tail.load(.monotonic) -% ring.head.load(.monotonic);
        }

        /// Either side, for deciding whether to wait.
        pub fn isEmpty(ring: *const Self) bool {
            return ring.tail.load(.seq_cst) == ring.head.load(.seq_cst);
        }

        /// Either side, for deciding whether to wait.
        pub fn isFull(ring: *const Self) bool {
            // `head` first: the difference can then only be too large, never negative.
            const head = ring.head.load(.seq_cst);
            return ring.tail.load(.seq_cst) -% head >= ring.capacity;
        }
    };
}

test "keeps the order and the capacity" {
    const gpa = std.testing.allocator;
    var ring: Ring(u32) = try .init(gpa, 5);
    defer ring.deinit(gpa);
    var out: [8]u32 = undefined;
    try std.testing.expect(ring.isEmpty());
    try std.testing.expectEqual(5, ring.push(&.{ 0, 1, 2, 3, 4, 5, 6 }));
    try std.testing.expect(ring.isFull());
    try std.testing.expectEqual(0, ring.push(&.{9}));
    try std.testing.expectEqual(3, ring.pop(out[0..3]));
    try std.testing.expectEqualSlices(u32, &.{ 0, 1, 2 }, out[0..3]);
    try std.testing.expectEqual(3, ring.push(&.{ 5, 6, 7, 8 }));
    try std.testing.expectEqual(5, ring.pop(&out));
    try std.testing.expectEqualSlices(u32, &.{ 3, 4, 5, 6, 7 }, out[0..5]);
    try std.testing.expectEqual(0, ring.pop(&out));
}

test "two threads move a million items in order" {
    const gpa = std.testing.allocator;
    const total = 1_000_000;
    var ring: Ring(u64) = try .init(gpa, 100);
    defer ring.deinit(gpa);
    const producer = try std.Thread.spawn(.{}, struct {
        fn run(r: *Ring(u64)) void {
            var next: u64 = 0;
            while (next < total) {
                const batch = [_]u64{ next, next + 1, next + 2 };
                next += r.push(batch[0..@min(3, total - next)]);
            }
        }
    }.run, .{&ring});
    var expected: u64 = 0;
    var out: [7]u64 = undefined;
    while (expected < total) {
        for (out[0..ring.pop(&out)]) |item| {
            try std.testing.expectEqual(expected, item);
            expected += 1;
        }
    }
    producer.join();
}
