//! The bounded one-to-one ring: no compare-and-swap, no stamp, no barrier on the way of an item.
//!
//! The algorithm and its orderings are those of `crates/channel/src/ring/spsc.rs`; the protocol is
//! described in `crates/channel/src/layout.rs`.

const std = @import("std");
const layout = @import("layout.zig");
const Header = layout.Header;
const Miss = @import("bounded.zig").Miss;
const one = layout.one;

pub fn slotLayout(comptime W: type) layout.SlotLayout {
    return .{ .stride = @sizeOf(W), .value = 0, .alignment = @alignOf(W) };
}

pub fn isClosed(h: *Header) bool {
    return @atomicLoad(u32, &h.receivers, .seq_cst) & layout.ended != 0 or
        @atomicLoad(u64, &h.last, .seq_cst) != layout.open;
}

pub fn len(h: *Header, capacity: u64) usize {
    const head = @atomicLoad(u64, &h.head, .seq_cst);
    const tail = @atomicLoad(u64, &h.tail, .seq_cst);
    return @intCast(@min((tail -% head) / one, capacity));
}

/// The sender's half.
pub fn Tx(comptime W: type) type {
    return struct {
        const Self = @This();

        header: *Header,
        slots: [*]W,
        capacity: u64,
        mask: u64,
        tail: u64,
        /// `head` as it was once.
        head: u64,

        /// `header` has been accepted, and this is its only sender.
        pub fn init(header: *Header) Self {
            // Acquire: what the last owner did. The copy of `head` says full, so that it is looked at.
            const tail = @atomicLoad(u64, &header.tail, .acquire);
            return .{
                .header = header,
                .slots = @ptrCast(@alignCast(header.slots.?)),
                .capacity = header.capacity,
                .mask = header.mask,
                .tail = tail,
                .head = tail -% header.capacity * one,
            };
        }

        /// Free slots, of which `wanted` are enough.
        inline fn free(t: *Self, wanted: u64) Miss!u64 {
            const known = t.capacity - (t.tail -% t.head) / one;
            return if (known >= wanted) known else t.freeSlow();
        }

        /// After the ring was closed: full, as far as this end knows, so that it looks before it writes.
        pub fn end(t: *Self) void {
            t.head = t.tail -% t.capacity * one;
        }

        fn freeSlow(t: *Self) Miss!u64 {
            const h = t.header;
            // Before anything is published: a receiver that has not seen the end would take what is refused.
            if (isClosed(h)) {
                t.end();
                return error.Closed;
            }
            // Acquire: the receiver has read the items whose slots are free now.
            const head = @atomicLoad(u64, &h.head, .acquire);
            const used = (t.tail -% head) / one;
            if (used > t.capacity) {
                h.fail(.position);
                t.end();
                return error.Closed;
            }
            t.head = head;
            return if (used < t.capacity) t.capacity - used else error.Blocked;
        }

        pub inline fn push(t: *Self, item: W) Miss!void {
            _ = try t.free(1);
            t.slots[(t.tail / one) & t.mask] = item;
            if (try t.publish(1) != 1) return error.Closed;
        }

        /// Moves as many items in as there is room for; at least one.
        pub inline fn pushMany(t: *Self, items: []const W) Miss!usize {
            const n: usize = @intCast(@min(try t.free(items.len), items.len));
            const start: usize = @intCast((t.tail / one) & t.mask);
            const first = @min(n, @as(usize, @intCast(t.mask + 1)) - start);
            @memcpy(t.slots[start..][0..first], items[0..first]);
            @memcpy(t.slots[0 .. n - first], items[first..n]);
            return t.publish(n);
        }

        /// Hands `count` written slots over, and returns how many of them count.
        inline fn publish(t: *Self, count: u64) Miss!usize {
            const h = t.header;
            t.tail +%= count * one;
            const word = layout.publish(&h.tail, t.tail, &h.receivers);
            if (word & (layout.parked | layout.ended) == 0) return @intCast(count);
            return t.published(word, count);
        }

        fn published(t: *Self, word: u32, count: u64) Miss!usize {
            @branchHint(.cold);
            const h = t.header;
            if (word & layout.parked != 0) h.wake(.receivers, 1);
            if (word & layout.ended == 0) return @intCast(count);
            // Whoever is first decides where the ring ends. Acq_rel: whoever sees the end sees what came
            // before it.
            const last = @cmpxchgStrong(u64, &h.last, layout.open, t.tail, .acq_rel, .acquire) orelse t.tail;
            const refused = @min((t.tail -% last) / one, count);
            // The receiver never looks at what is refused: it stays with the caller.
            t.tail -%= refused * one;
            @atomicStore(u64, &h.tail, t.tail, .release);
            return if (refused == count) error.Closed else @intCast(count - refused);
        }
    };
}

/// The receiver's half.
pub fn Rx(comptime W: type) type {
    return struct {
        const Self = @This();

        header: *Header,
        slots: [*]W,
        capacity: u64,
        mask: u64,
        head: u64,
        /// `tail` as it was once.
        tail: u64,
        /// `tail` is `last`.
        closed: bool = false,

        /// `header` has been accepted, and this is its only receiver.
        pub fn init(header: *Header) Self {
            // Acquire: what the last owner did.
            const head = @atomicLoad(u64, &header.head, .acquire);
            var r: Self = .{
                .header = header,
                .slots = @ptrCast(@alignCast(header.slots.?)),
                .capacity = header.capacity,
                .mask = header.mask,
                .head = head,
                .tail = head,
            };
            if (@atomicLoad(u64, &header.last, .acquire) != layout.open) r.end();
            return r;
        }

        /// After the ring was closed: what is left is what is before `last`.
        pub fn end(r: *Self) void {
            if (r.closed) return;
            r.closed = true;
            const last = @atomicLoad(u64, &r.header.last, .acquire);
            if ((last -% r.head) / one > r.capacity) {
                // Nothing more is taken from the other side, but what was sound before.
                r.header.fail(.position);
            } else r.tail = last;
        }

        /// Items that are there, of which `wanted` are enough.
        inline fn available(r: *Self, wanted: u64) Miss!u64 {
            const known = (r.tail -% r.head) / one;
            if (known >= wanted) return known;
            // Acquire: the items are there.
            const tail = @atomicLoad(u64, &r.header.tail, .acquire);
            const now = (tail -% r.head) / one;
            if (now >= wanted and now <= r.capacity and !r.closed) {
                r.tail = tail;
                return now;
            }
            return r.availableSlow(known);
        }

        fn availableSlow(r: *Self, known: u64) Miss!u64 {
            const h = r.header;
            if (r.closed) return if (known > 0) known else error.Closed;
            const tail = @atomicLoad(u64, &h.tail, .acquire);
            if (tail == r.head) {
                // Acquire: what the sender did before it closed.
                if (@atomicLoad(u64, &h.last, .acquire) == layout.open) return error.Blocked;
                r.end();
            } else if ((tail -% r.head) / one > r.capacity) {
                h.fail(.position);
                r.closed = true;
                return if (known > 0) known else error.Closed;
            } else r.tail = tail;
            const now = (r.tail -% r.head) / one;
            return if (now == 0) error.Closed else now;
        }

        pub inline fn pop(r: *Self) Miss!W {
            _ = try r.available(1);
            const item = r.slots[(r.head / one) & r.mask];
            r.publish(1);
            return item;
        }

        /// Takes as many items out as there are and fit; at least one.
        pub inline fn popMany(r: *Self, out: []W) Miss!usize {
            const n: usize = @intCast(@min(try r.available(out.len), out.len));
            const start: usize = @intCast((r.head / one) & r.mask);
            const first = @min(n, @as(usize, @intCast(r.mask + 1)) - start);
            @memcpy(out[0..first], r.slots[start..][0..first]);
            @memcpy(out[first..n], r.slots[0 .. n - first]);
            r.publish(n);
            return n;
        }

        inline fn publish(r: *Self, count: u64) void {
            const h = r.header;
            r.head +%= count * one;
            if (layout.publish(&h.head, r.head, &h.senders) & layout.parked != 0) h.wake(.senders, 1);
        }
    };
}
