//! The `std.Io` of a function on a thread: that of `std.Io.Threaded`, but for the entries by which threads and
//! coroutines meet.
//!
//! `Threaded`'s futexes are the kernel's, and coroutines wait in a table (`coroutine/futex.zig`). So threads wait in
//! that table as well, each for a word of its own, which it sleeps on by `Threaded`'s own means: the cancelation of a
//! wait is `Threaded`'s. Where there are no coroutines, everything is.

const std = @import("std");
const Io = std.Io;
const LookupResult = Io.net.HostName.LookupResult;
const futex = @import("coroutine/futex.zig");
const coroutines = @import("coroutine/switch.zig").supported;

/// `Threaded`'s own table. The userdata of both is the `Threaded`.
pub const std_vtable: *const Io.VTable = Io.Threaded.global_single_threaded.io().vtable;

pub const vtable: Io.VTable = vtable: {
    var table = std_vtable.*;
    if (coroutines) {
        table.futexWait = &futexWait;
        table.futexWaitUncancelable = &futexWaitUncancelable;
        table.futexWake = &futexWake;
        table.netLookup = &netLookup;
    }
    break :vtable table;
};

fn futexWait(userdata: ?*anyopaque, word: *const u32, expected: u32, timeout: Io.Timeout) Io.Cancelable!void {
    const io: Io = .{ .userdata = userdata, .vtable = std_vtable };
    try io.checkCancel();
    var waiter: futex.Waiter = .{ .word = word, .fiber = null, .cancelable = true };
    if (!waiter.enter(expected)) return;
    const deadline = timeout.toDeadline(io);
    while (!waiter.isWoken()) {
        io.vtable.futexWait(userdata, &waiter.woken.raw, 0, deadline) catch |err| {
            if (waiter.leave()) return err;
            // The wake came first, and counts: nobody else was woken for it. The request is for the next
            // cancelation point.
            awaitWake(userdata, &waiter);
            return io.recancel();
        };
        if (isOver(deadline, io)) return if (!waiter.leave()) awaitWake(userdata, &waiter);
    }
}

fn futexWaitUncancelable(userdata: ?*anyopaque, word: *const u32, expected: u32) void {
    var waiter: futex.Waiter = .{ .word = word, .fiber = null, .cancelable = false };
    if (waiter.enter(expected)) awaitWake(userdata, &waiter);
}

/// Somebody wakes it, or is about to. It is on this thread's stack, and theirs until they have.
fn awaitWake(userdata: ?*anyopaque, waiter: *futex.Waiter) void {
    while (!waiter.isWoken()) std_vtable.futexWaitUncancelable(userdata, &waiter.woken.raw, 0);
}

fn isOver(deadline: Io.Timeout, io: Io) bool {
    const left = deadline.toDurationFromNow(io) orelse return false;
    return left.raw.nanoseconds <= 0;
}

fn futexWake(_: ?*anyopaque, word: *const u32, max: u32) void {
    futex.wake(word, max);
}

/// `Threaded`'s resolver publishes through `Threaded`'s futexes, where nobody waits: through a queue of its own,
/// whose contents then go through the caller's.
fn netLookup(
    userdata: ?*anyopaque,
    name: Io.net.HostName,
    resolved: *Io.Queue(LookupResult),
    options: Io.net.HostName.LookupOptions,
) Io.net.HostName.LookupError!void {
    const io: Io = .{ .userdata = userdata, .vtable = &vtable };
    defer resolved.close(io);
    var found: Found = .{};
    const result = found.lookup(.{ .userdata = userdata, .vtable = std_vtable }, name, options);
    resolved.putAll(io, found.buffer[0..found.count]) catch |err| switch (err) {
        error.Closed => unreachable, // nobody closes it before this returns
        error.Canceled => |e| return e,
    };
    return result;
}

/// What a look-up found.
pub const Found = struct {
    /// More than std's own resolver ever finds.
    buffer: [64]LookupResult = undefined,
    count: usize = 0,

    /// Looks `name` up through `io`, which is `Threaded`'s own, on a thread that may block.
    pub fn lookup(
        found: *Found,
        io: Io,
        name: Io.net.HostName,
        options: Io.net.HostName.LookupOptions,
    ) Io.net.HostName.LookupError!void {
        var buffer: [64]LookupResult = undefined;
        var queue: Io.Queue(LookupResult) = .init(&buffer);
        const result = io.vtable.netLookup(io.userdata, name, &queue, options);
        // Closed by now, and so this waits for nothing.
        while (queue.getOneUncancelable(io)) |one| : (found.count += 1) found.buffer[found.count] = one else |_| {}
        return result;
    }
};

test "a thread's wait ends by a wake, by its time, and by cancelation" {
    const waits = struct {
        fn forEvent(io: Io, event: *Io.Event) Io.Cancelable!void {
            return event.wait(io);
        }
    };
    const io: Io = .{ .userdata = std.testing.io.userdata, .vtable = &vtable };
    const brief: Io.Timeout = .{ .duration = .{ .raw = .fromMilliseconds(1), .clock = .awake } };
    for (0..200) |turn| {
        var event: Io.Event = .unset;
        if (turn % 8 == 0) try std.testing.expectError(error.Timeout, event.waitTimeout(io, brief));
        var woken = try io.concurrent(waits.forEvent, .{ io, &event });
        var canceled = try io.concurrent(waits.forEvent, .{ io, &event });
        // Before the wait, in it, or, for the second, at the same time as the wake.
        if (turn % 2 == 0) std.Thread.yield() catch {};
        if (turn % 3 == 0) try std.testing.expectError(error.Canceled, canceled.cancel(io));
        event.set(io);
        canceled.cancel(io) catch {};
        try woken.await(io);
    }
}
