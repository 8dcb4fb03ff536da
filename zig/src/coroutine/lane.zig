//! Items between a coroutine and the side that polls it: the poll's own slice, and nothing in between.
//!
//! A source writes into the slice that the poll wants filled; a sink reads from the one that it brings. A switch
//! to the poll happens when the slice is full, or used up and more is asked for, so that one switch moves many
//! items, and none waits longer than the poll that made it.
//!
//! A sink that is busy otherwise takes up to its capacity beforehand, so that it makes no difference to a sender
//! how the function runs. That queue is made when it is first needed.

const std = @import("std");
const gpa = @import("../heap.zig").gpa;
const Io = std.Io;
const abi = @import("../abi.zig");
const Ring = @import("../ring.zig").Ring;
const switching = @import("switch.zig");
const Task = @import("task.zig").Task;

/// Addresses in the slice that a poll wants filled, and what a switch goes by when it is full. They lie in the
/// function's output, so that `send` finds them at once; the task knows of them, whatever the items are.
///
/// One poll of one item is a chain of loads, each of an address that the one before has brought. That it is
/// short is what makes it quick, so that both contexts are here, and not behind the task and its fiber.
pub const Slots = struct {
    /// The first one that is still empty.
    next: usize = 0,
    /// As `end`; or 0, when `send` has something else to see to.
    limit: usize = 0,
    start: usize = 0,
    end: usize = 0,
    /// The poll, while any fiber of the task runs.
    poll_context: switching.Context = undefined,
    /// The fiber that has stopped in `pauseFull`, until it is entered again or its own context is set.
    full_context: switching.Context = undefined,
    /// In this poll, a fiber has filled the slice. The poll ends at once.
    full: bool = false,

    /// For a poll that wants `slice` filled.
    pub inline fn set(s: *Slots, comptime T: type, slice: []T) void {
        const start = @intFromPtr(slice.ptr);
        // A slice of what there is doesn't overflow.
        const end = start +% slice.len *% @sizeOf(T);
        s.next = start;
        s.limit = end;
        s.start = start;
        s.end = end;
        s.full = false;
    }

    /// For a poll that wants nothing.
    pub fn clear(s: *Slots) void {
        s.next = 0;
        s.limit = 0;
        s.start = 0;
        s.end = 0;
        s.full = false;
    }

    /// The running fiber has filled the slice: until the next poll. Not a cancelation point. What else there is to
    /// be done is done by the poll, so that this is small where it is inlined.
    pub inline fn pauseFull(s: *Slots) void {
        s.full = true;
        switching.switchTo(&s.full_context, s.poll_context);
    }

    pub fn isEmpty(s: *const Slots) bool {
        return s.next == s.start;
    }
};

/// `?usize`, in a register.
const Count = enum(usize) {
    pending = std.math.maxInt(usize),
    _,

    fn init(n: usize) Count {
        return @fromBackingInt(@intCast(n));
    }

    fn get(count: Count) ?usize {
        return if (count == .pending) null else @backingInt(count);
    }
};

/// A poll either wants items or brings some; each direction uses its own half of the methods.
pub fn Lane(comptime T: type) type {
    return struct {
        const Self = @This();

        task: *Task,
        /// The task's, of a function without an output.
        no_slots: Slots = .{},
        /// What this poll has brought and the function has not taken.
        offered: []const T = &.{},
        /// What earlier polls have brought and the function has not taken: up to `capacity` items. Apart, because a
        /// ring is large, and few need one.
        queue: ?*Ring(T) = null,
        capacity: usize,
        /// This poll is for whatever the function does, and not only for what it brings.
        drives: bool = false,
        /// The function has a lane for the other direction as well, so that each poll is for all it does.
        paired: bool = false,
        /// Fibers that wait for an item.
        hungry: usize = 0,
        /// No poll brings any more.
        ended: bool = false,

        pub fn deinit(l: *Self) void {
            if (l.queue) |queue| {
                queue.deinit(gpa);
                gpa.destroy(queue);
            }
            l.* = undefined;
        }

        // The function's side.

        /// Returns once every item is on its way; waits for room.
        pub inline fn send(l: *Self, items: []const T) Io.Cancelable!void {
            const slots = l.task.slots;
            // All the room there is, is for the slow path: it ends the poll.
            const after = slots.next + items.len * @sizeOf(T);
            if (after >= slots.limit) return l.sendSlowly(items);
            @memcpy(slotsAt(slots.next)[0..items.len], items);
            slots.next = after;
        }

        noinline fn sendSlowly(l: *Self, items: []const T) Io.Cancelable!void {
            const slots = l.task.slots;
            try l.task.checkCancel();
            var rest = items;
            while (rest.len > 0) {
                try l.task.wait(l, hasRoom);
                const n = @min(rest.len, (slots.end - slots.next) / @sizeOf(T));
                @memcpy(slotsAt(slots.next)[0..n], rest[0..n]);
                slots.next += n * @sizeOf(T);
                rest = rest[n..];
                // The rest of the function is for the next poll. Not a cancelation point, as the items are gone
                // already.
                if (slots.next == slots.end) slots.pauseFull();
            }
        }

        fn slotsAt(address: usize) [*]T {
            return @ptrFromInt(address);
        }

        /// Returns the next items, at least one, or none at the end; waits for them.
        pub inline fn receive(l: *Self, out: []T) Io.Cancelable!usize {
            if (l.offered.len == 0 or l.queue != null or l.task.cancel_requests != 0) return l.receiveSlowly(out);
            return l.take(out);
        }

        inline fn take(l: *Self, out: []T) usize {
            const n = @min(out.len, l.offered.len);
            @memcpy(out[0..n], l.offered[0..n]);
            l.offered = l.offered[n..];
            return n;
        }

        fn receiveSlowly(l: *Self, out: []T) Io.Cancelable!usize {
            @branchHint(.unlikely);
            try l.task.checkCancel();
            if (!hasItemsOrEnd(l)) {
                // All that this poll has brought is taken.
                if (!l.drives and !l.paired) l.task.delivered = true;
                l.hungry += 1;
                defer l.hungry -= 1;
                try l.task.wait(l, hasItemsOrEnd);
            }
            if (l.queue) |queue| {
                const n = queue.pop(out);
                if (n > 0) return n;
            }
            return l.take(out);
        }

        /// The other side has taken everything and wants more.
        pub fn starved(l: *const Self) bool {
            const slots = l.task.slots;
            return slots.end > slots.start and slots.next == slots.start;
        }

        fn hasRoom(l: *Self) bool {
            return l.task.slots.next < l.task.slots.end;
        }

        fn hasItemsOrEnd(l: *Self) bool {
            if (l.queue) |queue| if (!queue.isEmpty()) return true;
            return l.offered.len > 0 or l.ended;
        }

        // The polled side.

        /// Runs the function until `out` is full, or nothing can run. None, and `null`: pending, and the waker
        /// is left.
        /// `t` and `slots` are the lane's own, known without looking.
        pub inline fn pollReceive(
            l: *Self,
            t: *Task,
            slots: *Slots,
            cx: *const abi.PollContext,
            out: []T,
        ) ?usize {
            const filler = t.beginAgain(cx) orelse return l.pollReceiveSlowly(cx, out.ptr, out.len).get();
            slots.set(T, out);
            return if (t.runFiller(slots, filler)) out.len else l.takeSlots().get();
        }

        noinline fn pollReceiveSlowly(l: *Self, cx: *const abi.PollContext, out_ptr: [*]T, out_len: usize) Count {
            const t = l.task;
            const out = out_ptr[0..out_len];
            if (t.finished()) return .init(0);
            t.begin(cx);
            t.slots.set(T, out);
            // Where somebody was asked to end, each `send` looks whether it is its function.
            if (t.cancel_requests != 0) t.slots.limit = 0;
            t.run();
            return l.takeSlots();
        }

        /// How many items the poll has got.
        noinline fn takeSlots(l: *Self) Count {
            const slots = l.task.slots;
            const n = (slots.next - slots.start) / @sizeOf(T);
            return if (n == 0 and !l.task.finished()) .pending else .init(n);
        }

        /// Runs the function until it has taken all items and asks for more, or nothing can run. What it has not
        /// taken is queued. Fewer than all: the waker is left, unless it has finished.
        pub fn pollSend(l: *Self, cx: *const abi.PollContext, items: []const T) usize {
            if (l.task.finished()) return 0;
            l.task.begin(cx);
            l.offered = items;
            l.drives = items.len == 0;
            l.task.run();
            const left = l.offered;
            l.offered = &.{};
            const queued = if (left.len > 0 and !l.task.finished()) l.enqueue(left) else 0;
            return items.len - left.len + queued;
        }

        fn enqueue(l: *Self, items: []const T) usize {
            // Without memory for it, there is no queue.
            const queue = l.queue orelse l.makeQueue() catch return 0;
            return queue.push(items);
        }

        fn makeQueue(l: *Self) error{OutOfMemory}!*Ring(T) {
            const queue = try gpa.create(Ring(T));
            errdefer gpa.destroy(queue);
            queue.* = try .init(gpa, l.capacity);
            l.queue = queue;
            return queue;
        }

        /// Runs the function without bringing anything. Whether it asks for an item; if not, the waker is left,
        /// unless it has finished.
        pub fn pollWanted(l: *Self, cx: *const abi.PollContext) bool {
            _ = l.pollSend(cx, &.{});
            return l.hungry > 0;
        }

        /// How many items are queued.
        pub fn queueLen(l: *const Self) usize {
            return if (l.queue) |queue| queue.len() else 0;
        }

        pub fn hasLeft(l: *const Self) bool {
            return l.queueLen() > 0;
        }

        /// Takes what the function will not.
        pub fn takeLeft(l: *Self, out: []T) usize {
            return if (l.queue) |queue| queue.pop(out) else 0;
        }

        /// Runs the function to its end, after `end`. Whether it has finished; if not, the waker is left.
        pub fn pollFinished(l: *Self, cx: *const abi.PollContext) bool {
            if (l.task.finished()) return true;
            l.task.begin(cx);
            l.task.run();
            return l.task.finished();
        }

        /// No more items come from the polled side.
        pub fn end(l: *Self) void {
            l.ended = true;
        }
    };
}
