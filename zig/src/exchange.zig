//! How items get from a function to the side that polls, or the other way.
//!
//! From and to a thread they go through a ring, and each side waits for the other. A coroutine runs inside the
//! polls, and finds the polls' own slices. Which of the two it is, `execution.zig` knows.

const std = @import("std");
const gpa = @import("heap.zig").gpa;
const Io = std.Io;
const abi = @import("abi.zig");
const handoff_mod = @import("handoff.zig");
const Execution = @import("execution.zig").Execution;
const Handoff = handoff_mod.Handoff;
const Lane = @import("coroutine/lane.zig").Lane;
const Slots = @import("coroutine/lane.zig").Slots;
const coroutines = @import("coroutine/switch.zig").supported;

/// More than any machine has.
const max_bytes = std.math.maxInt(usize) >> 17;

/// One direction; each uses its own half of the methods. In place: others point to it.
pub fn Exchange(comptime T: type) type {
    return union(enum) {
        const Self = @This();

        /// Apart, because it is large, and coroutines are many.
        thread: *Handoff(T),
        coroutine: if (coroutines) Lane(T) else noreturn,

        pub fn init(x: *Self, execution: *Execution, options: *const abi.OpenOptions) error{OutOfMemory}!void {
            const capacity: usize = if (options.capacity == 0)
                handoff_mod.defaultCapacity(T)
            else
                std.math.cast(usize, options.capacity) orelse return error.OutOfMemory;
            if (capacity > max_bytes / @max(1, @sizeOf(T))) return error.OutOfMemory;
            switch (execution.*) {
                .thread => |thread| {
                    const handoff = try gpa.create(Handoff(T));
                    errdefer gpa.destroy(handoff);
                    handoff.* = try .init(gpa, capacity, &thread.runner);
                    x.* = .{ .thread = handoff };
                },
                .coroutine => |*task| {
                    x.* = .{ .coroutine = .{ .task = task, .capacity = capacity } };
                    task.slots = &x.coroutine.no_slots;
                },
            }
        }

        /// The function has an output, where the slice that a poll wants filled is to be found.
        pub fn connect(x: *Self, slots: *Slots) void {
            switch (x.*) {
                .thread => {},
                .coroutine => |*lane| lane.task.slots = slots,
            }
        }

        /// The function has let go of everything, and what was under way is dropped.
        pub fn deinit(x: *Self) void {
            switch (x.*) {
                .thread => |handoff| {
                    handoff.deinit(gpa);
                    gpa.destroy(handoff);
                },
                .coroutine => |*lane| lane.deinit(),
            }
            x.* = undefined;
        }

        /// Whether something is under way that nobody has taken.
        pub fn hasLeft(x: *Self) bool {
            return switch (x.*) {
                .thread => |handoff| !handoff.ring.isEmpty(),
                .coroutine => |*lane| lane.hasLeft(),
            };
        }

        /// Takes what is left under way, as much as fits: once the function has returned, or when the other
        /// side takes no more.
        pub fn takeLeft(x: *Self, out: []T) usize {
            return switch (x.*) {
                .thread => |handoff| handoff.ring.pop(out),
                .coroutine => |*lane| lane.takeLeft(out),
            };
        }

        // The polled side.

        /// Moves items to `out`. None, and `null`: pending, and the waker is left. Zero: the end.
        ///
        /// `execution` is the one that it was made with, `slots` what it was connected to.
        pub inline fn pollReceive(
            x: *Self,
            execution: *Execution,
            slots: *Slots,
            cx: *const abi.PollContext,
            out: []T,
        ) ?usize {
            return switch (x.*) {
                .thread => |handoff| handoff.pollReceive(cx, out),
                .coroutine => |*lane| lane.pollReceive(&execution.coroutine, slots, cx, out),
            };
        }

        /// Hands over `items`. Fewer than all: the waker is left, unless the function has `refused`.
        pub fn pollSend(x: *Self, cx: *const abi.PollContext, items: []const T) usize {
            return switch (x.*) {
                .thread => |handoff| handoff.pollSend(cx, items),
                .coroutine => |*lane| lane.pollSend(cx, items),
            };
        }

        /// Whether an item would be taken at once: by a coroutine that asks for one, or by the ring. If not, the
        /// waker is left, unless the function has `refused`.
        pub fn pollWanted(x: *Self, cx: *const abi.PollContext) bool {
            return switch (x.*) {
                .thread => |handoff| handoff.pollRoom(cx),
                .coroutine => |*lane| lane.pollWanted(cx),
            };
        }

        /// The function takes no more items: it has returned.
        pub fn refused(x: *const Self) bool {
            return switch (x.*) {
                .thread => |handoff| handoff.refused.load(.seq_cst),
                .coroutine => |*lane| lane.task.finished(),
            };
        }

        /// No more items come from the polled side.
        pub fn end(x: *Self) void {
            switch (x.*) {
                .thread => |handoff| handoff.end(),
                .coroutine => |*lane| lane.end(),
            }
        }

        /// Whether the function has returned; if not, the waker is left.
        pub fn pollFinished(x: *Self, cx: *const abi.PollContext) bool {
            return switch (x.*) {
                .thread => |handoff| handoff.pollFinished(cx),
                .coroutine => |*lane| lane.pollFinished(cx),
            };
        }

        // The function's side.

        /// Returns once every item is on its way; waits for room.
        pub inline fn send(x: *Self, items: []const T) Io.Cancelable!void {
            return switch (x.*) {
                .thread => |handoff| handoff.send(items),
                .coroutine => |*lane| lane.send(items),
            };
        }

        /// Returns the next items, at least one, or none at the end; waits for them.
        pub inline fn receive(x: *Self, out: []T) Io.Cancelable!usize {
            return switch (x.*) {
                .thread => |handoff| handoff.receive(out),
                .coroutine => |*lane| lane.receive(out),
            };
        }

        /// The other side has taken everything and waits for more.
        pub fn starved(x: *Self) bool {
            return switch (x.*) {
                .thread => |handoff| handoff.starved(),
                .coroutine => |*lane| lane.starved(),
            };
        }

        /// The other side is at work on what it has.
        pub fn isConsumed(x: *Self) bool {
            return switch (x.*) {
                .thread => |handoff| !handoff.poller.isParked(),
                // It is here, in a poll, on the same processor.
                .coroutine => false,
            };
        }

        /// The function has returned, or will never run.
        pub fn finish(x: *Self) void {
            switch (x.*) {
                .thread => |handoff| handoff.finish(),
                .coroutine => {},
            }
        }
    };
}
