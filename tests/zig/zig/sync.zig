//! std's queues, locks and the like, shared by functions wherever they run, for `tests/sync.rs`.

const std = @import("std");
const Io = std.Io;
const zg = @import("ziggurat");

const Out = zg.Out(u64);

pub const exports = zg.exports(.{
    .put = zg.source(put),
    .take = zg.source(take),
    .close = zg.source(close),
    .turns = zg.source(turns),
    .enter = zg.source(enter),
    .hold = zg.source(hold),
    .read_or_write = zg.source(readOrWrite),
    .wait_for_event = zg.source(waitForEvent),
    .set_event = zg.source(setEvent),
    .races = zg.source(races),
    .inside = zg.source(inside),
    .look_up = zg.source(lookUp),
});

/// What functions share that were given the same number.
const Room = struct {
    opening: Io.Mutex = .init,
    /// Under `opening`: the queue is there.
    open: bool = false,
    buffer: [3]u64 = undefined,
    queue: Io.Queue(u64) = undefined,
    mutex: Io.Mutex = .init,
    condition: Io.Condition = .init,
    event: Io.Event = .unset,
    semaphore: Io.Semaphore = .{ .permits = 2 },
    lock: Io.RwLock = .init,
    /// Under `mutex`, `lock` or `semaphore`, by what the function is about.
    number: u64 = 0,
    inside: std.atomic.Value(u64) = .init(0),
    waiting: std.atomic.Value(u64) = .init(0),
};

var rooms: [1024]Room = @splat(.{});

/// Its queue is ready. Whoever is first makes it so.
fn room(io: Io, number: u32) *Room {
    const r = &rooms[number];
    r.opening.lockUncancelable(io);
    defer r.opening.unlock(io);
    if (!r.open) r.queue = .init(&r.buffer);
    r.open = true;
    return r;
}

/// Puts `from` up to `end` into the queue. An item for each.
fn put(io: Io, out: *Out, number: u32, from: u64, end: u64) !void {
    const r = room(io, number);
    var i = from;
    while (i < end) : (i += 1) {
        try r.queue.putOne(io, i);
        try out.send(i);
    }
}

/// Takes up to `count` out of the queue, or until it is closed. Says their sum, which the room keeps as well,
/// however this ends.
fn take(io: Io, out: *Out, number: u32, count: u64) !void {
    const r = room(io, number);
    var sum: u64 = 0;
    for (0..@intCast(count)) |_| {
        const item = r.queue.getOne(io) catch |err| if (err == error.Closed) break else return err;
        sum += item;
        r.mutex.lockUncancelable(io);
        r.number += item;
        r.mutex.unlock(io);
    }
    try out.send(sum);
}

/// Closes the queue, and says what the room has kept.
fn close(io: Io, out: *Out, number: u32) !void {
    const r = room(io, number);
    r.queue.close(io);
    try out.send(r.number);
}

/// Every `players`th number, beginning with `me`, in turn with the others.
fn turns(io: Io, out: *Out, number: u32, me: u64, players: u64, end: u64) !void {
    const r = room(io, number);
    while (true) {
        try r.mutex.lock(io);
        defer r.mutex.unlock(io);
        while (r.number < end and r.number % players != me) try r.condition.wait(io, &r.mutex);
        if (r.number >= end) return;
        // The lock is kept while this waits for its reader.
        try out.send(r.number);
        r.number += 1;
        // Under the lock. std's condition reads its epoch before it counts a waiter, so that one who comes
        // between a broadcast's two steps would take the signal of one who waits already, for ever.
        r.condition.broadcast(io);
    }
}

/// How many were behind the semaphore at once, `times` times.
fn enter(io: Io, out: *Out, number: u32, times: u64) !void {
    const r = room(io, number);
    for (0..@intCast(times)) |i| {
        try r.semaphore.wait(io);
        defer r.semaphore.post(io);
        const n = r.inside.fetchAdd(1, .seq_cst) + 1;
        defer _ = r.inside.fetchSub(1, .seq_cst);
        if (i % 4 == 0) try io.sleep(.fromNanoseconds(1), .awake);
        try out.send(n);
    }
}

/// Locks the mutex for ever. An item once it has.
fn hold(io: Io, out: *Out, number: u32) !void {
    const r = room(io, number);
    {
        _ = r.waiting.fetchAdd(1, .seq_cst);
        defer _ = r.waiting.fetchSub(1, .seq_cst);
        try r.mutex.lock(io);
    }
    defer r.mutex.unlock(io);
    _ = r.inside.fetchAdd(1, .seq_cst);
    defer _ = r.inside.fetchSub(1, .seq_cst);
    try out.send(1);
    try io.sleep(.fromSeconds(3600), .awake);
}

/// How many hold the mutex, and how many wait for it.
fn inside(_: Io, out: *Out, number: u32) !void {
    try out.send(rooms[number].inside.load(.seq_cst));
    try out.send(rooms[number].waiting.load(.seq_cst));
}

/// Reads the number that writers change in two steps, or changes it.
fn readOrWrite(io: Io, out: *Out, number: u32, writes: u8, times: u64) !void {
    const r = room(io, number);
    for (0..@intCast(times)) |_| {
        if (writes == 0) {
            try r.lock.lockShared(io);
            defer r.lock.unlockShared(io);
            if (r.number % 2 == 1) return error.HalfWritten;
            try out.send(r.number);
        } else {
            try r.lock.lock(io);
            defer r.lock.unlock(io);
            r.number += 1;
            try io.sleep(.fromNanoseconds(1), .awake);
            r.number += 1;
        }
    }
}

/// Says 0 for each time-out before the event, then 1.
fn waitForEvent(io: Io, out: *Out, number: u32) !void {
    const r = room(io, number);
    while (true) {
        r.event.waitTimeout(io, .{ .duration = .{ .raw = .fromMilliseconds(1), .clock = .awake } }) catch |err| {
            if (err != error.Timeout) return err;
            try out.send(0);
            continue;
        };
        return out.send(1);
    }
}

fn setEvent(io: Io, out: *Out, number: u32) !void {
    room(io, number).event.set(io);
    try out.send(1);
}

/// What comes first, again and again: a number from the queue, or never anything.
fn races(io: Io, out: *Out, number: u32, count: u64) !void {
    const r = room(io, number);
    const Result = union(enum) { number: anyerror!u64, slept: Io.Cancelable!void };
    for (0..@intCast(count)) |_| {
        var buffer: [2]Result = undefined;
        var select: Io.Select(Result) = .init(io, &buffer);
        defer select.cancelDiscard();
        try select.concurrent(.slept, sleep, .{io});
        try select.concurrent(.number, next, .{ io, r });
        switch (try select.await()) {
            .number => |item| try out.send(try item),
            .slept => return error.AnHourTooEarly,
        }
    }
}

fn sleep(io: Io) Io.Cancelable!void {
    return io.sleep(.fromSeconds(3600), .awake);
}

fn next(io: Io, r: *Room) anyerror!u64 {
    return r.queue.getOne(io);
}

/// How many addresses a name of this machine has.
fn lookUp(io: Io, out: *Out, name: []const u8) !void {
    var buffer: [16]Io.net.HostName.LookupResult = undefined;
    var found: Io.Queue(Io.net.HostName.LookupResult) = .init(&buffer);
    var canonical_name: [Io.net.HostName.max_len]u8 = undefined;
    var looking = try io.concurrent(Io.net.HostName.lookup, .{
        try Io.net.HostName.init(name),
        io,
        &found,
        .{ .port = 80, .canonical_name_buffer = &canonical_name },
    });
    defer looking.cancel(io) catch {};
    var addresses: u64 = 0;
    while (found.getOne(io)) |one| switch (one) {
        .address => addresses += 1,
        .canonical_name => {},
    } else |err| if (err != error.Closed) return err;
    try looking.await(io);
    try out.send(addresses);
}
