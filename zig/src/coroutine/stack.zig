//! Stacks of fibers: reserved when they are made, committed page by page as they are used, guarded at
//! their lower end, and kept for reuse when their fiber ends.
//!
//! A size is rounded up to a power of two, and each size has a few places for stacks that wait for their next
//! fiber. Such a stack keeps the memory that it has used so far; there are at most `max_pooled` of a size.
//! What is larger than `max_pooled_size` goes back to the system at once.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const assert = std.debug.assert;

/// Unless the opener says otherwise. Only what is used is committed.
pub const default_size = 1024 * 1024;
/// A smaller one is made this large: there is a page or two of ours on it.
pub const min_size = 32 * 1024;
/// More than any machine has.
const too_large = std.math.maxInt(usize) >> 17;
/// Below each stack. Compiled code probes each page (`-fstack-check`), so that one page would do; code that
/// was compiled without, such as a C library's, jumps this far unnoticed at most.
pub const guard_size = 64 * 1024;

const page_size = std.heap.page_size_min;

pub const Stack = struct {
    /// The whole mapping, guard included.
    memory: []align(page_size) u8,
    /// What Valgrind calls it.
    valgrind_id: usize,

    pub const Error = error{StackUnavailable};

    /// A stack of at least `size` bytes, from the pool if there is one; 0 is the default.
    pub fn acquire(size: u64) Error!Stack {
        const wanted = try roundSize(size);
        if (builtin.is_test) try test_supply.take();
        if (classOf(wanted)) |class| {
            if (class.take()) |stack| return stack;
        }
        return map(wanted);
    }

    /// Nothing runs on it any more.
    pub fn release(stack: Stack) void {
        if (builtin.is_test) test_supply.putBack();
        if (classOf(stack.usable().len)) |class| {
            if (class.put(stack)) return;
        }
        stack.unmap();
    }

    /// The part above the guard.
    pub fn usable(stack: Stack) []align(page_size) u8 {
        return @alignCast(stack.memory[guard_size..]);
    }

    pub fn contains(stack: Stack, address: usize) bool {
        const start = @intFromPtr(stack.memory.ptr);
        return address >= start + guard_size and address < start + stack.memory.len;
    }

    /// Whether a fault at `address` is this stack's overflow.
    pub fn guards(stack: Stack, address: usize) bool {
        const start = @intFromPtr(stack.memory.ptr);
        return address >= start and address < start + guard_size;
    }

    fn map(size: usize) Error!Stack {
        const len = guard_size + size;
        const address = linux.mmap(
            null,
            len,
            .{ .READ = true, .WRITE = true },
            map_flags,
            -1,
            0,
        );
        if (linux.errno(address) != .SUCCESS) return error.StackUnavailable;
        const memory = @as([*]align(page_size) u8, @ptrFromInt(address))[0..len];
        errdefer _ = linux.munmap(memory.ptr, len);
        try installGuard(memory.ptr);
        var stack: Stack = .{ .memory = memory, .valgrind_id = 0 };
        if (std.valgrind.runningOnValgrind() > 0) stack.valgrind_id = std.valgrind.stackRegister(stack.usable());
        return stack;
    }

    fn unmap(stack: Stack) void {
        if (std.valgrind.runningOnValgrind() > 0) std.valgrind.stackDeregister(stack.valgrind_id);
        _ = linux.munmap(stack.memory.ptr, stack.memory.len);
    }
};

/// For tests: how many stacks there are, so that they can run out, or be missing afterwards.
pub var test_supply: if (builtin.is_test) struct {
    left: std.atomic.Value(usize) = .init(plenty),

    pub const plenty = 1 << 40;

    fn take(supply: *@This()) Stack.Error!void {
        if (supply.left.fetchSub(1, .monotonic) > 0) return;
        supply.putBack();
        return error.StackUnavailable;
    }

    fn putBack(supply: *@This()) void {
        _ = supply.left.fetchAdd(1, .monotonic);
    }
} else void = if (builtin.is_test) .{} else {};

const map_flags: linux.MAP = flags: {
    var flags: linux.MAP = .{ .TYPE = .PRIVATE, .ANONYMOUS = true };
    // std doesn't name these everywhere, and they are hints.
    if (@hasField(linux.MAP, "NORESERVE")) flags.NORESERVE = true;
    if (@hasField(linux.MAP, "STACK")) flags.STACK = true;
    break :flags flags;
};

/// Since Linux 6.13: a guard that doesn't split the mapping in two, of which a process has 65,530.
const madv_guard_install = 102;

/// Whether `madv_guard_install` does what it says. Some emulators accept any advice and follow none.
var advice_guards: std.atomic.Value(enum(u8) { unknown, yes, no }) = .init(.unknown);

fn installGuard(memory: [*]align(page_size) u8) Stack.Error!void {
    const known = advice_guards.load(.monotonic);
    if (known != .no and linux.errno(linux.madvise(memory, guard_size, madv_guard_install)) == .SUCCESS) {
        if (known == .yes or !isWritable(memory)) return advice_guards.store(.yes, .monotonic);
    }
    advice_guards.store(.no, .monotonic);
    if (linux.errno(linux.mprotect(memory, guard_size, .{})) != .SUCCESS) return error.StackUnavailable;
}

/// Asks the kernel, which answers where an access would end the process.
fn isWritable(memory: [*]align(page_size) u8) bool {
    return linux.errno(linux.syscall2(.clock_gettime, 1, @intFromPtr(memory))) == .SUCCESS;
}

fn roundSize(size: u64) Stack.Error!usize {
    if (size > too_large) return error.StackUnavailable;
    const wanted = if (size == 0) default_size else @max(size, min_size);
    return std.math.ceilPowerOfTwoAssert(usize, @intCast(wanted));
}

/// As many as a few dozen functions need that connect somewhere, which takes std four fibers each.
pub const max_pooled = 256;
pub const max_pooled_size = 8 * 1024 * 1024;

const min_log2 = std.math.log2_int(usize, min_size);
const max_log2 = std.math.log2_int(usize, max_pooled_size);
var classes: [max_log2 - min_log2 + 1]Class = @splat(.{});

fn classOf(size: usize) ?*Class {
    assert(std.math.isPowerOfTwo(size));
    return if (size > max_pooled_size) null else &classes[std.math.log2_int(usize, size) - min_log2];
}

/// Places for stacks of one size. A place is taken and filled by one atomic exchange each, so that nobody
/// waits for anybody, and no place is ever mistaken for what it was before.
const Class = struct {
    places: [max_pooled]std.atomic.Value(?*Waiting) = @splat(.init(null)),

    /// At the upper end of a stack that waits, where it was used in any case.
    const Waiting = struct { stack: Stack };

    fn take(class: *Class) ?Stack {
        for (&class.places) |*place| {
            if (place.load(.monotonic) == null) continue;
            // Acquires what the last user left behind.
            if (place.swap(null, .acquire)) |waiting| return waiting.stack;
        }
        return null;
    }

    fn put(class: *Class, stack: Stack) bool {
        const end = stack.memory.ptr + stack.memory.len;
        const waiting: *Waiting = @ptrCast(@alignCast(end - std.mem.alignForward(usize, @sizeOf(Waiting), 64)));
        waiting.* = .{ .stack = stack };
        for (&class.places) |*place| {
            if (place.load(.monotonic) != null) continue;
            // Releases the stack's contents to the next user.
            if (place.cmpxchgStrong(null, waiting, .release, .monotonic) == null) return true;
        }
        return false;
    }
};

test "a stack is reused, up to its size and the pool's" {
    try std.testing.expectError(error.StackUnavailable, Stack.acquire(std.math.maxInt(u64)));
    const first: Stack = try .acquire(100 * 1024);
    try std.testing.expectEqual(128 * 1024, first.usable().len);
    first.usable()[0] = 1;
    first.usable()[first.usable().len - 1] = 1;
    first.release();
    const again: Stack = try .acquire(128 * 1024);
    try std.testing.expectEqual(first.memory.ptr, again.memory.ptr);
    const other: Stack = try .acquire(0);
    try std.testing.expectEqual(default_size, other.usable().len);
    other.release();
    again.release();

    var many: [max_pooled + 3]Stack = undefined;
    for (&many) |*stack| stack.* = try .acquire(64 * 1024);
    for (many) |stack| stack.release();
    for (&many) |*stack| stack.* = try .acquire(64 * 1024);
    for (many, 1..) |a, i| for (many[i..]) |b| try std.testing.expect(a.memory.ptr != b.memory.ptr);
    for (many) |stack| stack.release();
}

test "the guard is below, and cannot be touched" {
    const stack: Stack = try .acquire(0);
    defer stack.release();
    const start = @intFromPtr(stack.memory.ptr);
    try std.testing.expect(stack.guards(start));
    try std.testing.expect(stack.guards(start + guard_size - 1));
    try std.testing.expect(!stack.guards(start + guard_size));
    try std.testing.expect(!stack.guards(start - 1));
    try std.testing.expect(!isWritable(stack.memory.ptr));
    try std.testing.expect(!isWritable(@alignCast(stack.memory.ptr + guard_size - page_size)));
    try std.testing.expect(isWritable(stack.usable().ptr));
}

test "threads that take and give stacks share none" {
    const Worker = struct {
        fn run(seed: usize) void {
            for (0..2000) |turn| {
                const stack = Stack.acquire(32 * 1024) catch unreachable;
                const word: *usize = @ptrCast(@alignCast(stack.usable().ptr));
                word.* = seed +% turn;
                std.Thread.yield() catch {};
                assert(word.* == seed +% turn);
                stack.release();
            }
        }
    };
    var threads: [3]std.Thread = undefined;
    for (&threads, 0..) |*thread, i| thread.* = try .spawn(.{}, Worker.run, .{i << 32});
    for (threads) |thread| thread.join();
}
