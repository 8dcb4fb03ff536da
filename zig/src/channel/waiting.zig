//! How a task waits for one side of a channel: it looks on for a moment, and then parks.
//!
//! Parking and being woken costs microseconds on both sides, and two sides that follow each other closely
//! pull the same cache lines back and forth for every item. So a task that finds nothing first sees whether
//! the other side is at work; then it stays away from the lines for as long as a batch takes, and takes
//! the batch. If the other side stands still, it looks on for as long as that has paid off of late.

const std = @import("std");
const Io = std.Io;
const layout = @import("layout.zig");
const Header = layout.Header;
const Side = layout.Side;
const Miss = @import("bounded.zig").Miss;
const Parker = @import("parker.zig").Parker;
const Hold = @import("../coroutine/poison.zig").Hold;
const coroutines = @import("../coroutine/switch.zig").supported;

pub const Error = error{Closed} || Io.Cancelable;

/// What an end has learned about looking on. All of it is a hint: nothing depends on it but speed.
pub const Patience = struct {
    /// For how many pauses of the processor it is worth while.
    worth: std.atomic.Value(u32) = .init(first),
    /// The other side moved one by one when it was waited for last.
    one_by_one: std.atomic.Value(bool) = .init(false),
    /// Parks since it was not worth while.
    parks: std.atomic.Value(u32) = .init(0),

    /// A pause is some 15 to 45 nanoseconds.
    const first = 128;
    const most = 1024;
    const least = 16;
    /// Pauses for seeing whether the other side is at work.
    const probe = 2;
    /// Pauses after which the processor is offered to others.
    const turn = 64;

    /// For how long to look on now.
    fn budget(p: *Patience) u32 {
        const worth = p.worth.load(.monotonic);
        if (worth > 0) return worth;
        // Things may have changed.
        return if (p.parks.fetchAdd(1, .monotonic) % 32 == 31) first else 0;
    }

    fn rewarded(p: *Patience, spent: u32) void {
        if (spent * 4 > p.worth.load(.monotonic)) p.worth.store(@min(most, spent * 4), .monotonic);
    }

    fn disappointed(p: *Patience) void {
        p.one_by_one.store(false, .monotonic);
        const worth = p.worth.load(.monotonic) / 2;
        p.worth.store(if (worth < least) 0 else worth, .monotonic);
    }
};

/// Where a task waits.
pub const Place = struct {
    header: *Header,
    side: Side,
    /// What the other side writes for every item.
    progress: *const u64,
    capacity: u64,
};

/// Repeats `attempt`, a function from `context` to `Miss!T`, until it is neither blocked nor busy, and waits in
/// between.
///
/// On `error.Canceled` nothing was moved since the last attempt, and a wake that was meant for this task
/// goes to the next one.
pub fn until(
    comptime T: type,
    place: Place,
    patience: *Patience,
    io: Io,
    context: anytype,
    comptime attempt: anytype,
) Error!T {
    @branchHint(.unlikely);
    if (try lookOn(T, place, patience, context, attempt)) |done| return done;
    const header, const side = .{ place.header, place.side };
    const parker = Parker.create(io) catch return poll(T, io, context, attempt);
    defer parker.destroy();
    var ticket: u64 = 0;
    var registration: Registration = .{ .header = header, .side = side, .ticket = &ticket, .parker = parker };
    if (coroutines) registration.hold.remember();
    defer if (coroutines) registration.hold.forget();
    while (true) {
        // Registered before the last look, so that whatever comes after that look wakes the task.
        parker.arm();
        header.call("park", .{ side, &ticket, &parker.handle });
        if (settle(T, io, context, attempt)) |done| {
            // A wake that has come since is for the next waiter.
            header.call("unpark", .{ side, &ticket, 0 });
            return done;
        } else |miss| switch (miss) {
            error.Blocked => {},
            error.Closed, error.Canceled => |err| {
                header.call("unpark", .{ side, &ticket, @intFromBool(err == error.Closed) });
                return err;
            },
        }
        parker.sleep() catch |err| {
            header.call("unpark", .{ side, &ticket, 0 });
            return err;
        };
    }
}

/// What a coroutine that ends here by a panic would leave in the channel.
const Registration = struct {
    hold: Hold = .{ .giveBack = &giveBack },
    header: *Header,
    side: Side,
    ticket: *u64,
    parker: *Parker,

    fn giveBack(hold: *Hold) void {
        const r: *Registration = @alignCast(@fieldParentPtr("hold", hold));
        // A wake that it has got is for the next waiter.
        r.header.call("unpark", .{ r.side, r.ticket, 0 });
        r.parker.destroy();
    }
};

/// The last look before sleeping. Somebody who is in the middle of an operation has claimed its slot before that
/// look, and may not see that somebody is parked: see "Parked words" in `layout.rs`. So he is waited for.
fn settle(
    comptime T: type,
    io: Io,
    context: anytype,
    comptime attempt: anytype,
) (error{ Blocked, Closed } || Io.Cancelable)!T {
    var backoff: layout.Backoff = .{};
    while (true) {
        return attempt(context) catch |miss| switch (miss) {
            error.Busy => {
                backoff.snooze();
                if (backoff.turns % 64 == 0) try io.checkCancel();
                continue;
            },
            error.Blocked => error.Blocked,
            error.Closed => error.Closed,
        };
    }
}

/// One task at a time: waits as a whole for its turn. `null`: it is time to park.
fn lookOn(
    comptime T: type,
    place: Place,
    patience: *Patience,
    context: anytype,
    comptime attempt: anytype,
) error{Closed}!?T {
    const progress = place.progress;
    // As long as it takes to move a batch: a many-to-many ring's lines go back and forth item by item.
    const shortest: u32 = if (place.header.kind == layout.kind_one_to_one) 8 else 32;
    const batch: u32 = @intCast(std.math.clamp(place.capacity / 16, shortest, 64));
    const budget = patience.budget();
    if (patience.one_by_one.load(.monotonic)) {
        // It most likely still does: not even to look at its line is the quickest for both.
        pause(2 * batch);
        if (attempt(context)) |done| return done else |miss| if (miss == error.Closed) return error.Closed;
    }
    var seen = @atomicLoad(u64, progress, .monotonic);
    var spent: u32 = 0;
    while (spent < budget) {
        pause(Patience.probe);
        spent += Patience.probe;
        const now = @atomicLoad(u64, progress, .monotonic);
        if (now != seen) {
            const before = spent;
            // What comes in batches is worth taking at once.
            const one_by_one = (now -% seen) / layout.one < place.capacity / 4;
            if (one_by_one) {
                pause(batch);
                spent += batch;
            }
            seen = now;
            if (attempt(context)) |done| {
                patience.rewarded(before);
                patience.one_by_one.store(one_by_one, .monotonic);
                return done;
            } else |miss| if (miss == error.Closed) return error.Closed;
        } else if (spent % Patience.turn == 0) {
            // The other side's thread may be waiting for this processor.
            std.Thread.yield() catch {};
        }
    }
    if (budget > 0) patience.disappointed();
    return null;
}

fn pause(count: u32) void {
    for (0..count) |_| std.atomic.spinLoopHint();
}

/// There is no memory to wait with: look again every millisecond.
fn poll(
    comptime T: type,
    io: Io,
    context: anytype,
    comptime attempt: anytype,
) Error!T {
    @branchHint(.cold);
    while (true) {
        if (attempt(context)) |done| return done else |miss| if (miss == error.Closed) return error.Closed;
        try io.sleep(.fromMilliseconds(1), .awake);
    }
}
