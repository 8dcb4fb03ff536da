//! How a function runs, and how its items get to and from the side that polls.
//!
//! On a thread of its own, they go through a ring, and each side waits for the other. As a coroutine, the
//! function runs inside the polls, and finds the polls' own slices. What the function is, a source or a sink,
//! makes no difference here.

const std = @import("std");
const gpa = @import("heap.zig").gpa;
const Io = std.Io;
const abi = @import("abi.zig");
const handoff_mod = @import("handoff.zig");
const Buffer = @import("buffer.zig").Buffer;
const Handoff = handoff_mod.Handoff;
const Lane = @import("coroutine/lane.zig").Lane;
const Slots = @import("coroutine/lane.zig").Slots;
const Runner = @import("runner.zig").Runner;
const Task = @import("coroutine/task.zig").Task;
const Waiter = @import("waiter.zig").Waiter;
const reaper = @import("coroutine/reaper.zig");
const coroutines = @import("coroutine/switch.zig").supported;

/// More than any machine has.
const max_bytes = std.math.maxInt(usize) >> 17;

/// In place: the parts point to each other.
pub fn Exchange(comptime T: type) type {
    return union(enum) {
        const Self = @This();

        /// Apart, because it is large, and coroutines are many.
        thread: *OnThread,
        coroutine: if (coroutines) AsCoroutine else noreturn,

        pub const OnThread = struct {
            exchange: *Self,
            runner: Runner,
            handoff: Handoff(T),
        };

        pub const AsCoroutine = struct {
            task: Task,
            lane: Lane(T),
        };

        pub const Callbacks = struct {
            thread: Runner.Callbacks,
            coroutine: if (coroutines) Task.Callbacks else void,
        };

        pub const InitError = error{ OutOfMemory, PoisonUnsupported };

        /// A coroutine, if there is a host that one can wait by, unless a thread is asked for.
        pub fn init(x: *Self, callbacks: *const Callbacks, options: *const abi.OpenOptions) InitError!void {
            const capacity: usize = if (options.capacity == 0)
                handoff_mod.defaultCapacity(T)
            else
                std.math.cast(usize, options.capacity) orelse return error.OutOfMemory;
            if (capacity > max_bytes / @max(1, @sizeOf(T))) return error.OutOfMemory;
            if (coroutines and options.flags & abi.option_thread == 0) if (options.host) |host| {
                const task: Task = .init(&callbacks.coroutine, host, options.stack_size);
                x.* = .{ .coroutine = .{ .task = task, .lane = .{ .task = undefined, .capacity = capacity } } };
                x.coroutine.lane.task = &x.coroutine.task;
                x.coroutine.task.slots = &x.coroutine.lane.no_slots;
                x.coroutine.task.panics.contained = options.flags & abi.option_poison != 0;
                return;
            };
            if (options.flags & abi.option_poison != 0) return error.PoisonUnsupported;
            const thread = try gpa.create(OnThread);
            errdefer gpa.destroy(thread);
            thread.* = .{
                .exchange = x,
                .runner = .init(&callbacks.thread, options.stack_size),
                .handoff = try .init(gpa, capacity, &thread.runner),
            };
            x.* = .{ .thread = thread };
        }

        /// The function has let go of everything, and what was under way is dropped.
        pub fn deinit(x: *Self) void {
            switch (x.*) {
                .thread => |thread| {
                    thread.handoff.deinit(gpa);
                    gpa.destroy(thread);
                },
                .coroutine => |*coroutine| {
                    coroutine.lane.deinit();
                    coroutine.task.deinit();
                },
            }
            x.* = undefined;
        }

        /// The consumer, when it takes no more: releases the buffers that are left under way.
        pub fn dropItems(x: *Self) void {
            switch (x.*) {
                .thread => |thread| {
                    var left: [1]Buffer = undefined;
                    while (thread.handoff.ring.pop(&left) > 0) left[0].deinit();
                },
                .coroutine => |*coroutine| while (coroutine.lane.popLeft()) |buffer| buffer.deinit(),
            }
        }

        /// The function has an output, where the slice that a poll wants filled is to be found.
        pub fn connect(x: *Self, slots: *Slots) void {
            switch (x.*) {
                .thread => {},
                .coroutine => |*coroutine| coroutine.task.slots = slots,
            }
        }

        pub fn waiter(x: *Self) Waiter {
            return switch (x.*) {
                .thread => |thread| .{ .thread = &thread.runner },
                .coroutine => |*coroutine| .{ .coroutine = &coroutine.task },
            };
        }

        // The polled side.

        pub inline fn started(x: *const Self) bool {
            return switch (x.*) {
                .thread => |thread| thread.runner.started(),
                .coroutine => |*coroutine| coroutine.task.started(),
            };
        }

        pub const StartError = error{ ThreadUnavailable, StackUnavailable, Canceled };

        /// Starts the function. A second call does nothing.
        pub fn start(x: *Self) StartError!void {
            return switch (x.*) {
                .thread => |thread| thread.runner.start(),
                .coroutine => |*coroutine| coroutine.task.start(),
            };
        }

        /// Asks the function to end. Idempotent, from any thread, never blocks.
        pub fn cancel(x: *Self) void {
            switch (x.*) {
                .thread => |thread| thread.runner.cancel(),
                .coroutine => |*coroutine| coroutine.task.cancel(),
            }
        }

        /// Nobody polls any more. A function on a thread goes on by itself, to where it is cancelled.
        pub fn abandon(x: *Self) void {
            switch (x.*) {
                .thread => {},
                .coroutine => |*coroutine| reaper.abandon(&coroutine.task),
            }
        }

        /// Moves items to `out`. None, and `null`: pending, and the waker is left. Zero: the end.
        pub inline fn pollReceive(x: *Self, cx: *const abi.PollContext, out: []T) ?usize {
            return switch (x.*) {
                .thread => |thread| thread.handoff.pollReceive(cx, out),
                .coroutine => |*coroutine| coroutine.lane.pollReceive(cx, out),
            };
        }

        /// Hands over `items`. Fewer than all: the waker is left, unless the function has `refused`.
        pub fn pollSend(x: *Self, cx: *const abi.PollContext, items: []const T) usize {
            return switch (x.*) {
                .thread => |thread| thread.handoff.pollSend(cx, items),
                .coroutine => |*coroutine| coroutine.lane.pollSend(cx, items),
            };
        }

        /// The function takes no more items: it has returned.
        pub fn refused(x: *const Self) bool {
            return switch (x.*) {
                .thread => |thread| thread.handoff.refused.load(.seq_cst),
                .coroutine => |*coroutine| coroutine.task.finished(),
            };
        }

        /// No more items come from the polled side.
        pub fn end(x: *Self) void {
            switch (x.*) {
                .thread => |thread| thread.handoff.end(),
                .coroutine => |*coroutine| coroutine.lane.end(),
            }
        }

        /// Whether the function has returned; if not, the waker is left.
        pub fn pollFinished(x: *Self, cx: *const abi.PollContext) bool {
            return switch (x.*) {
                .thread => |thread| thread.handoff.pollFinished(cx),
                .coroutine => |*coroutine| coroutine.lane.pollFinished(cx),
            };
        }

        // The function's side.

        /// Returns once every item is on its way; waits for room.
        pub inline fn send(x: *Self, items: []const T) Io.Cancelable!void {
            return switch (x.*) {
                .thread => |thread| thread.handoff.send(items),
                .coroutine => |*coroutine| coroutine.lane.send(items),
            };
        }

        /// A coroutine: its output's slice is full.
        pub inline fn pauseFull(x: *Self) void {
            switch (x.*) {
                .thread => unreachable, // it has no such slice
                .coroutine => |*coroutine| coroutine.task.pauseFull(),
            }
        }

        /// Returns the next items, at least one, or none at the end; waits for them.
        pub inline fn receive(x: *Self, out: []T) Io.Cancelable!usize {
            return switch (x.*) {
                .thread => |thread| thread.handoff.receive(out),
                .coroutine => |*coroutine| coroutine.lane.receive(out),
            };
        }

        /// The other side has taken everything and waits for more.
        pub fn starved(x: *Self) bool {
            return switch (x.*) {
                .thread => |thread| thread.handoff.starved(),
                .coroutine => |*coroutine| coroutine.lane.starved(),
            };
        }

        /// The other side is at work on what it has.
        pub fn isConsumed(x: *Self) bool {
            return switch (x.*) {
                .thread => |thread| !thread.handoff.poller.isParked(),
                // It is here, in a poll, on the same processor.
                .coroutine => false,
            };
        }

        /// The function has returned, or will never run.
        pub fn finish(x: *Self) void {
            switch (x.*) {
                .thread => |thread| thread.handoff.finish(),
                .coroutine => {},
            }
        }
    };
}
