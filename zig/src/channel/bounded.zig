//! The bounded many-to-many ring: Vyukov's, with exact capacities and batches. A channel has one, whose words are
//! in its header, or a row of them (`row.zig`).
//!
//! The algorithm and its orderings are those of `crates/channel/src/ring/bounded.rs`; the protocol is
//! described in `crates/channel/src/layout.rs`.

const std = @import("std");
const layout = @import("layout.zig");
const Header = layout.Header;
const one = layout.one;

/// Why nothing was moved.
pub const Miss = error{
    /// Full for a sender, empty for a receiver.
    Blocked,
    /// Somebody else is in the middle of an operation on the slot whose turn it is.
    Busy,
    /// Closed; for a receiver: and empty.
    Closed,
};

/// After something was moved that `count` of a side may wait for: wakes whom it concerns. `channel` is a ring
/// or a row.
pub inline fn moved(channel: anytype, side: layout.Side, count: u64) void {
    const h = channel.header;
    // Seq_cst: see "Parked words" in `layout.rs`.
    const receivers = @atomicLoad(u32, &h.receivers, .seq_cst);
    const senders = @atomicLoad(u32, &h.senders, .seq_cst);
    if (receivers | senders != 0) wakeAfter(channel, side, count);
}

fn wakeAfter(channel: anytype, side: layout.Side, count: u64) void {
    @branchHint(.cold);
    const h = channel.header;
    // Seq_cst: as in `moved`.
    if (@atomicLoad(u32, h.word(side), .seq_cst) & layout.parked != 0) h.wake(side, count);
    // See "A slot that is claimed but not finished" in `layout.rs`.
    const own: layout.Side = if (side == .receivers) .senders else .receivers;
    if (@atomicLoad(u32, h.word(own), .seq_cst) & layout.parked != 0 and channel.isReady(own)) h.wake(own, 1);
}

pub fn Bounded(comptime W: type) type {
    return struct {
        const Self = @This();
        pub const Slot = extern struct { stamp: u64, value: W };
        pub const slot_layout: layout.SlotLayout = .{
            .stride = @sizeOf(Slot),
            .value = @offsetOf(Slot, "value"),
            .alignment = @alignOf(Slot),
        };

        /// The channel's, which has the parked words.
        header: *Header,
        tail: *u64,
        head: *u64,
        slots: [*]Slot,
        capacity: u64,
        mask: u64,
        wrap: u64,

        pub const Claim = struct { at: u64, count: u64 };

        /// `header` has been accepted.
        pub fn init(header: *Header) Self {
            return .{
                .header = header,
                .tail = &header.tail,
                .head = &header.head,
                .slots = @ptrCast(@alignCast(header.slots.?)),
                .capacity = header.capacity,
                .mask = header.mask,
                .wrap = header.wrap,
            };
        }

        inline fn advance(r: *const Self, at: u64, n: u64) u64 {
            const next = at +% n * one;
            return if (r.wrap != 0 and next >= r.wrap) next - r.wrap else next;
        }

        inline fn distance(r: *const Self, from: u64, to: u64) u64 {
            const words = to -% from;
            return (if (to < from) words +% r.wrap else words) / one;
        }

        inline fn slotAt(r: *const Self, at: u64) *Slot {
            const index = at / one;
            return &r.slots[if (r.mask != 0) index & r.mask else index % r.capacity];
        }

        /// Moves an item in.
        pub inline fn push(r: *const Self, item: W) Miss!void {
            if (r.pushQuick(item)) return moved(r, .receivers, 1);
            return r.pushSlow(item);
        }

        /// Moves an item in if that takes no second look.
        pub inline fn pushQuick(r: *const Self, item: W) bool {
            // The orderings are those of `claimPush`; this is its first round, for one item.
            const tail = @atomicLoad(u64, r.tail, .acquire);
            const slot = r.slotAt(tail);
            // A stamp of a free slot has no lower bits, so that `tail` has none, either, if they are equal.
            if (@atomicLoad(u64, &slot.stamp, .acquire) != tail) return false;
            if (@cmpxchgStrong(u64, r.tail, tail, r.advance(tail, 1), .seq_cst, .monotonic) != null) return false;
            slot.value = item;
            // Release: the item is there when the stamp says so.
            @atomicStore(u64, &slot.stamp, tail | layout.full, .release);
            return true;
        }

        fn pushSlow(r: *const Self, item: W) Miss!void {
            @branchHint(.cold);
            _ = try r.pushMany(&.{item});
        }

        /// Moves as many items in as there is room for; at least one.
        pub fn pushMany(r: *const Self, items: []const W) Miss!usize {
            const claim = try r.claimPush(items.len);
            r.fill(claim, items);
            moved(r, .receivers, claim.count);
            return @intCast(claim.count);
        }

        /// Fills a claim with the first of `items`.
        pub fn fill(r: *const Self, claim: Claim, items: []const W) void {
            var at = claim.at;
            for (items[0..@intCast(claim.count)]) |item| {
                const slot = r.slotAt(at);
                slot.value = item;
                // Release: the item is there when the stamp says so.
                @atomicStore(u64, &slot.stamp, at | layout.full, .release);
                at = r.advance(at, 1);
            }
        }

        /// Takes an item out.
        pub inline fn pop(r: *const Self) Miss!W {
            if (r.popQuick()) |item| {
                moved(r, .senders, 1);
                return item;
            }
            return r.popSlow();
        }

        /// Takes an item out if that takes no second look.
        pub inline fn popQuick(r: *const Self) ?W {
            const head = @atomicLoad(u64, r.head, .monotonic);
            const slot = r.slotAt(head);
            if (@atomicLoad(u64, &slot.stamp, .acquire) != head | layout.full) return null;
            if (@cmpxchgStrong(u64, r.head, head, r.advance(head, 1), .seq_cst, .monotonic) != null) return null;
            const item = slot.value;
            // Release: the slot is empty when the stamp says so.
            @atomicStore(u64, &slot.stamp, r.advance(head, r.capacity), .release);
            return item;
        }

        fn popSlow(r: *const Self) Miss!W {
            @branchHint(.cold);
            var item: [1]W = undefined;
            _ = try r.popMany(&item);
            return item[0];
        }

        /// Takes as many items out as there are and fit; at least one.
        pub fn popMany(r: *const Self, out: []W) Miss!usize {
            const claim = try r.claimPop(out.len);
            r.drain(claim, out);
            moved(r, .senders, claim.count);
            return @intCast(claim.count);
        }

        /// Takes the items of a claim out.
        pub fn drain(r: *const Self, claim: Claim, out: []W) void {
            var at = claim.at;
            for (out[0..@intCast(claim.count)]) |*item| {
                const slot = r.slotAt(at);
                item.* = slot.value;
                // Release: the slot is empty when the stamp says so.
                @atomicStore(u64, &slot.stamp, r.advance(at, r.capacity), .release);
                at = r.advance(at, 1);
            }
        }

        /// Whether one of a side would find what it waits for.
        pub fn isReady(r: *const Self, side: layout.Side) bool {
            @branchHint(.cold);
            switch (side) {
                .senders => {
                    const first = r.afterReserved(@atomicLoad(u64, r.tail, .acquire));
                    return r.stampOf(first) == first;
                },
                .receivers => {
                    const head = @atomicLoad(u64, r.head, .acquire);
                    return r.stampOf(head) == head | layout.full;
                },
            }
        }

        inline fn stampOf(r: *const Self, at: u64) u64 {
            // Acquire: pairs with the release of whoever used the slot before.
            return @atomicLoad(u64, &r.slotAt(at).stamp, .acquire);
        }

        /// Claims between 1 and `most` positions for sending.
        pub fn claimPush(r: *const Self, most: u64) Miss!Claim {
            // Acquire, and seq_cst below: a slot that is kept for reservations was found free by whoever
            // changed `tail` before, not necessarily by whoever uses it. Seq_cst: see "Parked words" in
            // `layout.rs`, here and wherever `tail` and `head` move.
            var tail = @atomicLoad(u64, r.tail, .acquire);
            var backoff: layout.Backoff = .{};
            while (true) {
                if (tail & layout.closed != 0) return error.Closed;
                const at = tail & layout.position;
                const first = r.afterReserved(tail);
                const count = r.run(first, most, 0);
                if (count == 0) {
                    // Acquire: what came before the last change is needed for the checks.
                    const now = @atomicLoad(u64, r.tail, .acquire);
                    if (now == tail) return r.whyNoPush(tail, first);
                    tail = now;
                    continue;
                }
                const next = r.advance(at, count) | (tail & ~layout.position);
                // That neither `closed` nor the reservations have changed is part of the comparison.
                tail = @cmpxchgWeak(u64, r.tail, tail, next, .seq_cst, .acquire) orelse {
                    const claim: Claim = .{ .at = at, .count = count };
                    if (tail & layout.reserved != 0) r.waitFree(claim);
                    return claim;
                };
                backoff.snooze();
            }
        }

        /// Waits until the slots of a claim are free. They are, unless somebody makes room by force beside
        /// reservations and is not finished.
        fn waitFree(r: *const Self, claim: Claim) void {
            @branchHint(.cold);
            for (0..@intCast(claim.count)) |i| {
                const at = r.advance(claim.at, i);
                var backoff: layout.Backoff = .{};
                while (r.stampOf(at) != at) backoff.snooze();
            }
        }

        /// The first position that is not kept for those who have reserved.
        inline fn afterReserved(r: *const Self, tail: u64) u64 {
            const count = (tail & layout.reserved) / layout.reservation;
            const at = tail & layout.position;
            return if (count == 0) at else r.advance(at, count);
        }

        /// How many positions from `first` on, at most `most`, have the stamp of their position, with
        /// `bits`.
        inline fn run(r: *const Self, first: u64, most: u64, bits: u64) u64 {
            const limit = @min(most, r.capacity);
            var at = first;
            var count: u64 = 0;
            while (count < limit and r.stampOf(at) == at | bits) : (count += 1) at = r.advance(at, 1);
            return count;
        }

        /// Why the slot of `first` is not free, `tail` being what it was when that was seen.
        fn whyNoPush(r: *const Self, tail: u64, first: u64) Miss {
            @branchHint(.cold);
            // Seq_cst: a full ring is full in the order that all threads agree on.
            const head = @atomicLoad(u64, r.head, .seq_cst) & layout.position;
            const kept = (tail & layout.reserved) / layout.reservation;
            const used = r.distance(head, tail & layout.position) + kept;
            const stamp = r.stampOf(first);
            if (used == r.capacity) return error.Blocked;
            // Being emptied, or emptied since; or `tail` is out of date.
            if (stamp == first or r.isBehind(stamp, first)) return error.Busy;
            if (@atomicLoad(u64, r.tail, .acquire) != tail) return error.Busy;
            r.header.fail(.stamp);
            return error.Closed;
        }

        /// Claims between 1 and `most` positions for receiving.
        pub fn claimPop(r: *const Self, most: u64) Miss!Claim {
            var head = @atomicLoad(u64, r.head, .monotonic);
            var backoff: layout.Backoff = .{};
            while (true) {
                const count = r.run(head, most, layout.full);
                if (count == 0) {
                    const now = @atomicLoad(u64, r.head, .acquire);
                    if (now == head) return r.whyNoPop(head);
                    head = now;
                    continue;
                }
                // Seq_cst: see `claimPush`. The order of the items is carried by the stamps.
                const next = r.advance(head, count);
                head = @cmpxchgWeak(u64, r.head, head, next, .seq_cst, .monotonic) orelse
                    return .{ .at = head, .count = count };
                backoff.snooze();
            }
        }

        /// Why the slot of `head` has no item.
        fn whyNoPop(r: *const Self, head: u64) Miss {
            @branchHint(.cold);
            // Seq_cst: an empty ring is empty in the order that all threads agree on, and what came before
            // the close is visible to whoever sees it closed.
            const tail = @atomicLoad(u64, r.tail, .seq_cst);
            if (tail & layout.position == head)
                return if (tail & layout.closed != 0) error.Closed else error.Blocked;
            const stamp = r.stampOf(head);
            const current = @atomicLoad(u64, r.head, .acquire) == head;
            if (!current or stamp == head | layout.full) return error.Busy;
            // One more than the capacity is what making room by force does in between.
            const fault: layout.Fault = if (r.distance(head, tail & layout.position) > r.capacity + 1)
                .position
            else if (stamp == head or r.isBehind(stamp, head)) return error.Busy else .stamp;
            r.header.fail(fault);
            return error.Closed;
        }

        /// Whether a stamp is one that the slot of `at` may have had before its turn: that of the lap before,
        /// or, while room is made by force, of the one before that.
        fn isBehind(r: *const Self, stamp: u64, at: u64) bool {
            const lap = r.lapBefore(at);
            return stamp == lap or stamp == lap | layout.full or stamp == r.lapBefore(lap) | layout.full;
        }

        fn lapBefore(r: *const Self, at: u64) u64 {
            const lap = r.capacity * one;
            return if (r.wrap != 0 and at < lap) at + r.wrap - lap else at -% lap;
        }

        /// Ends a ring of a row: nothing more is sent into it.
        pub fn seal(r: *const Self) void {
            @branchHint(.cold);
            // Seq_cst: in one order with the senders' claims, and with the parkers' looks.
            if (!r.isClosed()) _ = @atomicRmw(u64, r.tail, .Or, layout.closed, .seq_cst);
        }

        pub fn isClosed(r: *const Self) bool {
            return @atomicLoad(u64, r.tail, .seq_cst) & layout.closed != 0;
        }

        /// Items that were claimed by senders and not yet by receivers.
        pub fn len(r: *const Self) usize {
            while (true) {
                // Seq_cst: both belong to one moment when `tail` is the same again.
                const tail = @atomicLoad(u64, r.tail, .seq_cst);
                const head = @atomicLoad(u64, r.head, .seq_cst);
                if (@atomicLoad(u64, r.tail, .seq_cst) != tail) continue;
                return @intCast(@min(r.distance(head & layout.position, tail & layout.position), r.capacity));
            }
        }
    };
}
