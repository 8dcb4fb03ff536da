//! Counters by which a test sees what a function has done.

const std = @import("std");

/// What a function has done, seen from outside it. Each test has a slot of its own.
pub const Slot = extern struct {
    started: u64 = 0,
    sent: u64 = 0,
    deferred: u64 = 0,
    canceled: u64 = 0,
};

pub var slots: [240][4]std.atomic.Value(u64) = @splat(@splat(.init(0)));

pub fn mark(slot: u32, comptime field: []const u8) void {
    const index = @offsetOf(Slot, field) / @sizeOf(u64); // as in `Progress.poll`
    _ = slots[slot][index].fetchAdd(1, .seq_cst);
}
