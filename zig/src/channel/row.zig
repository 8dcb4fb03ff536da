//! The many-to-many queue without a bound: a row of bounded rings, each twice as large as the one before.
//!
//! The algorithm and its orderings are those of `crates/channel/src/ring/row.rs`; the protocol is described
//! in `crates/channel/src/layout.rs`.

const std = @import("std");
const layout = @import("layout.zig");
const bounded = @import("bounded.zig");
const Header = layout.Header;
const Miss = bounded.Miss;
const Words = layout.Words;
const moved = bounded.moved;
const one = layout.one;

/// The rings that an end has asked for. Any number of threads may use an end, and so this.
pub const Known = struct {
    words: [layout.row_most]?*Words = @splat(null),
};

/// A view of a row.
pub fn Row(comptime W: type) type {
    return struct {
        const Self = @This();
        const Ring = bounded.Bounded(W);
        /// Where the slots are in a ring.
        pub const slots_offset = std.mem.alignForward(usize, @sizeOf(Words), @alignOf(Ring.Slot));

        header: *Header,
        known: *Known,
        /// Slots of the first ring.
        first: u64,

        const Claimed = struct { ring: Ring, claim: Ring.Claim };

        /// The ring of a number that anybody may have written.
        inline fn ringAt(r: *const Self, number: u64) ?Ring {
            if (number >= layout.row_most) return null;
            // Acquire: pairs with the release in `ask`.
            const words = @atomicLoad(?*Words, &r.known.words[@intCast(number)], .acquire) orelse
                r.ask(number, false) orelse return null;
            const memory: [*]u8 = @ptrCast(words);
            const capacity = r.first << @intCast(number);
            return .{
                .header = r.header,
                .tail = &words.tail,
                .head = &words.head,
                .slots = @ptrCast(@alignCast(memory + slots_offset)),
                .capacity = capacity,
                .mask = capacity - 1,
                .wrap = 0,
            };
        }

        /// Once per ring.
        noinline fn ask(r: *const Self, number: u64, make: bool) ?*Words {
            const words = r.header.ring(number, make) orelse return null;
            // Release: whoever finds it here finds what Rust has made.
            @atomicStore(?*Words, &r.known.words[@intCast(number)], words, .release);
            return words;
        }

        fn fault(r: *const Self) error{Closed} {
            @branchHint(.cold);
            r.header.fail(.position);
            return error.Closed;
        }

        /// Moves an item in. There is always room.
        pub inline fn push(r: *const Self, item: W) Miss!void {
            const last = @atomicLoad(u64, &r.header.tail, .acquire);
            if (last & layout.closed == 0) {
                if (r.ringAt(last / one)) |ring| if (ring.pushQuick(item)) return moved(r, .receivers, 1);
            }
            return r.pushSlow(item);
        }

        fn pushSlow(r: *const Self, item: W) Miss!void {
            @branchHint(.cold);
            _ = try r.pushMany(&.{item});
        }

        /// Moves items in, as many as there is room for in one ring; at least one.
        pub fn pushMany(r: *const Self, items: []const W) Miss!usize {
            const claimed = try r.claimPush(items.len);
            claimed.ring.fill(claimed.claim, items);
            moved(r, .receivers, claimed.claim.count);
            return @intCast(claimed.claim.count);
        }

        /// Takes an item out.
        pub inline fn pop(r: *const Self) Miss!W {
            if (r.ringAt(@atomicLoad(u64, &r.header.head, .acquire) / one)) |ring| if (ring.popQuick()) |item| {
                moved(r, .senders, 1);
                return item;
            };
            return r.popSlow();
        }

        fn popSlow(r: *const Self) Miss!W {
            @branchHint(.cold);
            var item: [1]W = undefined;
            _ = try r.popMany(&item);
            return item[0];
        }

        /// Takes items out, as many as there are in one ring and fit; at least one.
        pub fn popMany(r: *const Self, out: []W) Miss!usize {
            const claimed = try r.claimPop(out.len);
            claimed.ring.drain(claimed.claim, out);
            moved(r, .senders, claimed.claim.count);
            return @intCast(claimed.claim.count);
        }

        /// Whether one of a side would find what it waits for. No sender waits.
        pub fn isReady(r: *const Self, side: layout.Side) bool {
            return side == .receivers and r.len() > 0;
        }

        fn claimPush(r: *const Self, most: u64) Miss!Claimed {
            var backoff: layout.Backoff = .{};
            // Acquire, here and below: the ring is there.
            var last = @atomicLoad(u64, &r.header.tail, .acquire);
            while (true) {
                const ring = r.ringAt(last / one) orelse return r.fault();
                if (last & layout.closed != 0) {
                    // Whoever closes may not have come to it, and a receiver must not see it open any more.
                    ring.seal();
                    return error.Closed;
                }
                // A slot that is being emptied soon is; but nobody waits for a receiver that does not run.
                var soon = false;
                if (ring.claimPush(most)) |claim| {
                    return .{ .ring = ring, .claim = claim };
                } else |miss| if (miss == error.Busy and backoff.turns < 7) {
                    soon = true;
                    backoff.snooze();
                }
                const now = @atomicLoad(u64, &r.header.tail, .acquire);
                last = if (soon or now != last) now else try r.grow(ring, last);
            }
        }

        /// Ends `ring`, which `last` says and which is full or ended already, and returns what `last` is then.
        fn grow(r: *const Self, ring: Ring, last: u64) error{Closed}!u64 {
            @branchHint(.cold);
            const next = (last & layout.position) +% one;
            // First of all: whoever sees the end of a ring, or its number, finds the next one.
            if (next / one >= layout.row_most) return r.fault();
            _ = r.ask(next / one, true) orelse return r.fault();
            ring.seal();
            // Seq_cst: see "Parked words" in `layout.rs`. Otherwise: somebody else has, or the channel has
            // been closed.
            return @cmpxchgStrong(u64, &r.header.tail, last, next, .seq_cst, .acquire) orelse next;
        }

        fn claimPop(r: *const Self, most: u64) Miss!Claimed {
            // Acquire: `last` is at least that.
            var first = @atomicLoad(u64, &r.header.head, .acquire);
            while (true) {
                const ring = r.ringAt(first / one) orelse return r.fault();
                if (ring.claimPop(most)) |claim| {
                    return .{ .ring = ring, .claim = claim };
                } else |miss| switch (miss) {
                    error.Closed => first = try r.leave(first),
                    error.Busy => return error.Busy,
                    error.Blocked => {
                        const last = @atomicLoad(u64, &r.header.tail, .acquire);
                        if (first / one == last / one) return error.Blocked;
                        // It has ended since: a ring ends before `last` says another.
                        if (first > last or !ring.isClosed()) return r.fault();
                    },
                }
            }
        }

        /// Goes on from the ring that `first` says, which has ended and is empty. Returns what `first` is then.
        fn leave(r: *const Self, first: u64) Miss!u64 {
            @branchHint(.cold);
            // Seq_cst: see "Parked words" in `layout.rs`. Whoever parks looks here after its fence.
            const last = @atomicLoad(u64, &r.header.tail, .seq_cst);
            if (last / one < first / one) return r.fault();
            // Open: somebody is growing. Nothing is sent into the next ring before `last` says so.
            if (last / one == first / one) return if (last & layout.closed != 0) error.Closed else error.Blocked;
            const next = (first & layout.position) +% one;
            // Acq_rel: whoever sees the number sees that `last` is at least that.
            return @cmpxchgStrong(u64, &r.header.head, first, next, .acq_rel, .acquire) orelse next;
        }

        pub fn isClosed(r: *const Self) bool {
            // Seq_cst: as for one ring.
            const last = @atomicLoad(u64, &r.header.tail, .seq_cst);
            if (last & layout.closed == 0) return false;
            const ring = r.ringAt(last / one) orelse return true;
            return ring.isClosed();
        }

        /// What senders write for every item.
        pub fn progress(r: *const Self) *const u64 {
            const ring = r.ringAt(@atomicLoad(u64, &r.header.tail, .acquire) / one) orelse return &r.header.tail;
            return ring.tail;
        }

        /// Items that were claimed by senders and not yet by receivers.
        pub fn len(r: *const Self) usize {
            const h = r.header;
            while (true) {
                // Seq_cst: all belong to one moment, that at which `head` was read, when nothing has changed.
                const last = @atomicLoad(u64, &h.tail, .seq_cst) / one;
                const newest = r.ringAt(last) orelse return 0;
                const tail = @atomicLoad(u64, newest.tail, .seq_cst) / one;
                const first = @atomicLoad(u64, &h.head, .seq_cst);
                const oldest = r.ringAt(first / one) orelse return 0;
                const head = @atomicLoad(u64, oldest.head, .seq_cst) / one;
                if (@atomicLoad(u64, &h.head, .seq_cst) != first) continue;
                if (@atomicLoad(u64, newest.tail, .seq_cst) / one != tail) continue;
                if (@atomicLoad(u64, &h.tail, .seq_cst) / one != last) continue;
                if (first / one > last) return 0;
                // Those before the newest one have ended.
                var sent = tail;
                for (@intCast(first / one)..@intCast(last)) |number| {
                    const ring = r.ringAt(number) orelse return 0;
                    sent +%= @atomicLoad(u64, ring.tail, .seq_cst) / one;
                }
                return @intCast(sent -% head);
            }
        }
    };
}
