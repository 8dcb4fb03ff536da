//! Functions that behave in every way a stream or sink can, for the integration tests.

const std = @import("std");
const zg = @import("ziggurat");
const faults = @import("faults.zig");
const futures = @import("futures.zig");
const transforms = @import("transforms.zig");
const Io = std.Io;
const Slot = @import("slots.zig").Slot;
const mark = @import("slots.zig").mark;
const slots = &@import("slots.zig").slots;

pub const exports = zg.exports(.{
    .numbers = zg.source(numbers),
    .machine = zg.source(Machine),
    .late_machine = zg.source(LateMachine),
    .broken_machine = zg.source(BrokenMachine),
    .fails = zg.source(fails),
    .pairs = zg.source(pairs),
    .sleeper = zg.source(sleeper),
    .naps = zg.source(naps),
    .pipe_reader = zg.source(pipeReader),
    .spinner = zg.source(spinner),
    .stubborn = zg.source(stubborn),
    .children = zg.source(children),
    .child_sends = zg.source(childSends),
    .recancels = zg.source(recancels),
    .progress = zg.source(Progress),
    .echo = zg.source(echo),
    .blobs = zg.source(blobs),
    .written = zg.source(written),
    .fetched = zg.source(fetched),
    .pattern = zg.source(pattern),
    .panics = zg.source(faults.panics),
    .overflows = zg.source(faults.overflows),
    .sum = zg.sink(sum),
    .take = zg.sink(take),
    .refuse = zg.sink(refuse),
    .tally = zg.sink(tally),
    .drowsy = zg.sink(@import("sinks.zig").drowsy),
    .hold = zg.sink(hold),
    .slowly = zg.sink(slowly),
    .checksum = zg.sink(checksum),
    .read_lines = zg.sink(readLines),
    .addresses = zg.sink(addresses),
    .sip = zg.sink(sip),
    .mixed = zg.sink(mixed),
    .added = zg.future(futures.added),
    .napped = zg.future(futures.napped),
    .filled = zg.future(futures.filled),
    .failing = zg.future(futures.failing),
    .passed = zg.future(futures.passed),
    .bound = zg.source(@import("bound.zig").bound),
    .doubled = zg.transform(transforms.doubled),
    .repeated = zg.transform(transforms.repeated),
    .sieved = zg.transform(transforms.sieved),
    .relayed = zg.transform(transforms.relayed),
    .first_of = zg.transform(transforms.firstOf),
    .breaks = zg.transform(transforms.breaks),
    .held = zg.transform(transforms.held),
    .shouted = zg.transform(transforms.shouted),
    .line_lengths = zg.transform(transforms.lineLengths),
    .rendered = zg.transform(transforms.rendered),
    .header = zg.transform(transforms.header),
});

/// One item: a slot as it is now.
const Progress = struct {
    pub const Item = Slot;
    slot: u32,

    pub fn init(slot: u32) error{NoSuchSlot}!Progress {
        return if (slot < slots.len) .{ .slot = slot } else error.NoSuchSlot;
    }

    pub fn poll(self: *Progress, _: *zg.Context, out: []Slot) zg.Poll {
        const counters = &slots[self.slot];
        out[0] = .{
            .started = counters[0].load(.seq_cst),
            .sent = counters[1].load(.seq_cst),
            .deferred = counters[2].load(.seq_cst),
            .canceled = counters[3].load(.seq_cst),
        };
        return .{ .done = 1 };
    }
};

fn numbers(_: Io, out: *zg.Out(u64), end: u64, slot: u32) !void {
    mark(slot, "started");
    defer mark(slot, "deferred");
    var i: u64 = 0;
    while (i < end) : (i += 1) {
        try out.send(i);
        mark(slot, "sent");
    }
}

const Machine = struct {
    pub const Item = u64;
    next: u64 = 0,
    end: u64,
    slot: u32,

    pub fn init(end: u64, slot: u32) Machine {
        mark(slot, "started");
        return .{ .end = end, .slot = slot };
    }

    pub fn deinit(self: *Machine) void {
        mark(self.slot, "deferred");
    }

    pub fn cancel(self: *Machine) void {
        mark(self.slot, "canceled");
    }

    pub fn poll(self: *Machine, _: *zg.Context, out: []u64) zg.Poll {
        const n = @min(out.len, self.end - self.next);
        for (out[0..n], 0..) |*item, i| item.* = self.next + i;
        self.next += n;
        return if (self.next == self.end) .{ .done = n } else .{ .ready = n };
    }
};

/// Says pending before every item, and is woken by a thread of its own.
const LateMachine = struct {
    pub const Item = u64;
    next: u64 = 0,
    end: u64,
    ready: bool = false,

    pub fn init(end: u64) LateMachine {
        return .{ .end = end };
    }

    pub fn poll(self: *LateMachine, cx: *zg.Context, out: []u64) zg.Poll {
        if (self.next == self.end) return .{ .done = 0 };
        self.ready = !self.ready;
        if (self.ready) {
            const thread = std.Thread.spawn(.{ .stack_size = 64 * 1024 }, wake, .{cx.waker().retain()}) catch
                return cx.fail(error.NoThread, "no thread to wake from", .{});
            thread.detach();
            return .pending;
        }
        out[0] = self.next;
        self.next += 1;
        return .{ .ready = 1 };
    }

    fn wake(waker: zg.Waker) void {
        waker.wake();
        waker.release();
        // A late wake is harmless; so is a release after the stream is gone.
    }
};

/// Fails in the way it is told to.
const BrokenMachine = struct {
    pub const Item = u64;
    how: u8,

    pub fn init(how: u8) error{BrokenOnPurpose}!BrokenMachine {
        return if (how == 0) error.BrokenOnPurpose else .{ .how = how };
    }

    pub fn poll(self: *BrokenMachine, cx: *zg.Context, out: []u64) zg.Poll {
        _ = out;
        return switch (self.how) {
            1 => .{ .failed = error.BrokenOnPurpose },
            2 => cx.fail(error.BrokenOnPurpose, "how={d}", .{self.how}),
            3 => .{ .failed = error.Canceled },
            else => .{ .ready = 0 },
        };
    }
};

fn fails(_: Io, out: *zg.Out(u64), after: u64, message: []const u8) !void {
    var i: u64 = 0;
    while (i < after) : (i += 1) try out.send(i);
    if (message.len > 0) return out.fail(error.OnPurpose, "{s} after {d}", .{ message, after });
    return error.OnPurpose;
}

const Pair = extern struct { a: u64, b: f32, c: [4]u8 };

fn pairs(_: Io, out: *zg.Out(Pair), count: u64, step: f32) !void {
    var some: [3]Pair = undefined;
    var i: u64 = 0;
    while (i < count) : (i += 3) {
        for (&some, i..) |*pair, a| pair.* = .{ .a = a, .b = step * @as(f32, @floatFromInt(a)), .c = "pair".* };
        try out.sendMany(some[0..@min(3, count - i)]);
    }
}

/// `count` numbers from `first` on, each after a sleep that depends on it.
fn naps(io: Io, out: *zg.Out(u64), first: u64, count: u64) !void {
    for (first..first + count) |number| {
        try io.sleep(.fromMilliseconds(@intCast(1 + number % 7)), .awake);
        try out.send(number);
    }
}

fn sleeper(io: Io, out: *zg.Out(u64), slot: u32) !void {
    mark(slot, "started");
    defer mark(slot, "deferred");
    errdefer mark(slot, "canceled");
    try out.send(1);
    try io.sleep(.fromSeconds(3600), .awake);
}

fn pipeReader(io: Io, out: *zg.Out(u64), fd: i32, slot: u32) !void {
    mark(slot, "started");
    defer mark(slot, "deferred");
    errdefer mark(slot, "canceled");
    const file: Io.File = .{ .handle = fd, .flags = .{ .nonblocking = false } };
    try out.send(1);
    var byte: [1]u8 = undefined;
    const n = try file.readStreaming(io, &.{&byte});
    try out.send(n);
}

/// Busy, and asks now and then.
fn spinner(_: Io, out: *zg.Out(u64), slot: u32) !void {
    mark(slot, "started");
    defer mark(slot, "deferred");
    var x: u64 = 1;
    while (true) {
        for (0..1000) |_| x = x *% 6364136223846793005 +% 1;
        try out.send(x);
    }
}

/// Is not impressed by its first cancelation, and waits in its `defer`.
fn stubborn(io: Io, out: *zg.Out(u64), slot: u32) !void {
    mark(slot, "started");
    defer {
        io.sleep(.fromMilliseconds(1), .awake) catch mark(slot, "sent");
        mark(slot, "deferred");
    }
    while (true) out.send(0) catch {
        mark(slot, "canceled");
        return;
    };
}

/// Has children of its own.
fn children(io: Io, out: *zg.Out(u64), slot: u32) !void {
    mark(slot, "started");
    defer mark(slot, "deferred");
    var child = try io.concurrent(child_, .{ io, slot });
    defer child.cancel(io) catch {};
    while (true) try out.send(7);
}

fn child_(io: Io, slot: u32) Io.Cancelable!void {
    io.sleep(.fromSeconds(3600), .awake) catch |err| {
        mark(slot, "canceled");
        return err;
    };
}

/// Its child sends, and it waits for something else.
fn childSends(io: Io, out: *zg.Out(u64), slot: u32) !void {
    mark(slot, "started");
    defer mark(slot, "deferred");
    var child = try io.concurrent(sendForEver, .{ out, slot });
    defer child.cancel(io) catch {};
    io.sleep(.fromSeconds(3600), .awake) catch |err| {
        mark(slot, "canceled");
        return err;
    };
}

fn sendForEver(out: *zg.Out(u64), slot: u32) Io.Cancelable!void {
    while (true) out.send(1) catch |err| {
        mark(slot, "sent");
        return err;
    };
}

/// Asks to be cancelled again, and is.
fn recancels(io: Io, out: *zg.Out(u64), slot: u32) !void {
    defer mark(slot, "deferred");
    while (true) out.send(1) catch break;
    mark(slot, "started");
    io.recancel();
    io.sleep(.fromSeconds(3600), .awake) catch mark(slot, "canceled");
    // And once is once.
    io.sleep(.fromMilliseconds(1), .awake) catch mark(slot, "sent");
}

fn echo(
    _: Io,
    out: *zg.Out([]const u8),
    bytes: []const u8,
    small: u8,
    negative: i64,
    float: f32,
    pair: Pair,
) !void {
    const writer = out.writer();
    try writer.print("{s} {d} {d} {d} {d} {d} {s}", .{ bytes, small, negative, float, pair.a, pair.b, &pair.c });
}

/// Items of sizes around every limit: `size` of them per round, by every way to send.
fn blobs(_: Io, out: *zg.Out([]const u8), rounds: u64) !void {
    const sizes = [_]usize{ 0, 1, 7, 4095, 4096, 4097, 10_000 };
    var round: u64 = 0;
    while (round < rounds) : (round += 1) {
        for (sizes) |size| {
            const bytes = try std.heap.c_allocator.alloc(u8, size);
            defer std.heap.c_allocator.free(bytes);
            @memset(bytes, @truncate(round));
            try out.send(bytes);
            try out.sendBuffer(try .initCopy(bytes));
        }
    }
}

/// Text through the writer, with flushes at odd places.
/// What a server on this machine says until it hangs up, to whom a name is said first. Each step waits: for the
/// connection, for the server, for a child that says the name, and for whoever reads.
fn fetched(io: Io, out: *zg.Out([]const u8), port: u32, name: []const u8) !void {
    const address: Io.net.IpAddress = .{ .ip4 = .loopback(@intCast(port)) };
    const stream = try address.connect(io, .{ .mode = .stream });
    defer stream.close(io);
    var saying = try io.concurrent(say, .{ io, stream, name });
    defer saying.cancel(io) catch {};
    var buffer: [4096]u8 = undefined;
    var reader = stream.reader(io, &buffer);
    _ = try reader.interface.streamRemaining(out.writer());
    try saying.await(io);
}

fn say(io: Io, stream: Io.net.Stream, name: []const u8) !void {
    try io.sleep(.fromMilliseconds(1), .awake);
    var writer = stream.writer(io, &.{});
    try writer.interface.writeAll(name);
    try stream.shutdown(io, .send);
}

fn written(_: Io, out: *zg.Out([]const u8), numbers_: u64, flush_every: u64) !void {
    const writer = out.writer();
    var i: u64 = 0;
    while (i < numbers_) : (i += 1) {
        try writer.print("{d}\n", .{i});
        if (flush_every > 0 and i % flush_every == 0) try out.flush();
        if (i % 1000 == 999) {
            // Room in one piece beside what is there already.
            const room = try writer.writableSliceGreedyPreserve(2, 100);
            std.debug.assert(room.len >= 100);
            try writer.splatByteAll('#', 3);
            try writer.writeByte('\n');
        }
    }
}

/// `count` blocks, each full, whose memory is only touched at its head.
fn pattern(_: Io, out: *zg.Out([]const u8), count: u64, block: u64) !void {
    const writer = out.writer();
    var i: u64 = 0;
    while (i < count) : (i += 1) {
        const room = try writer.writableSlice(block);
        std.mem.writeInt(u64, room[0..8], i, .little);
        try out.flush();
    }
}

/// How many bytes it gets. It waits before the first item, and after each.
fn slowly(io: Io, in: *zg.In([]const u8)) !u64 {
    var total: u64 = 0;
    try io.sleep(.fromMilliseconds(1), .awake);
    while (try in.next()) |bytes| {
        total += bytes.len;
        try io.sleep(.fromMilliseconds(1), .awake);
    }
    return total;
}

fn sum(_: Io, in: *zg.In(u64), slot: u32) !u64 {
    mark(slot, "started");
    defer mark(slot, "deferred");
    var total: u64 = 0;
    var items: [16]u64 = undefined;
    while (true) {
        const some = try in.nextMany(&items);
        if (some.len == 0) return total;
        for (some) |item| {
            total += item;
            mark(slot, "sent");
        }
    }
}

fn take(_: Io, in: *zg.In(u64), count: u64) !u64 {
    var total: u64 = 0;
    var i: u64 = 0;
    while (i < count) : (i += 1) total += try in.next() orelse break;
    return total;
}

fn refuse(_: Io, in: *zg.In(u64), after: u64) !void {
    var i: u64 = 0;
    while (i < after) : (i += 1) _ = try in.next();
    return in.fail(error.Refused, "after {d}", .{after});
}

/// The sum, also of what there was when it was cancelled.
fn tally(_: Io, in: *zg.In(u64), slot: u32) !u64 {
    mark(slot, "started");
    defer mark(slot, "deferred");
    var total: u64 = 0;
    while (in.next() catch null) |item| total += item;
    return total;
}

/// Takes nothing until it is cancelled.
fn hold(io: Io, in: *zg.In([]const u8), slot: u32) !void {
    _ = in;
    mark(slot, "started");
    defer mark(slot, "deferred");
    try io.sleep(.fromSeconds(3600), .awake);
}

const Checksum = extern struct { sum: u64, bytes: u64, chunks: u64 };

fn checksum(_: Io, in: *zg.In([]const u8)) !Checksum {
    var result: Checksum = .{ .sum = 0, .bytes = 0, .chunks = 0 };
    while (try in.next()) |chunk| {
        for (chunk) |byte| result.sum += byte;
        result.bytes += chunk.len;
        result.chunks += 1;
    }
    return result;
}

fn readLines(_: Io, in: *zg.In([]const u8)) !u64 {
    const reader = try in.reader();
    var total: u64 = 0;
    while (try reader.takeDelimiter('\n')) |line| total += try std.fmt.parseInt(u64, line, 10);
    return total;
}

/// The sum of the chunks' addresses: proof that nothing was copied.
fn addresses(_: Io, in: *zg.In([]const u8)) !u64 {
    var total: u64 = 0;
    while (try in.nextBuffer()) |buffer| {
        total +%= @intFromPtr(buffer.slice().ptr);
        buffer.deinit();
    }
    return total;
}

/// Takes one chunk, and then no more.
fn sip(io: Io, in: *zg.In([]const u8), slot: u32) !void {
    defer mark(slot, "deferred");
    _ = try in.next();
    (try in.nextBuffer() orelse return).deinit();
    mark(slot, "started");
    try io.sleep(.fromSeconds(3600), .awake);
}

/// Counts bytes, by every way to read in turn.
fn mixed(_: Io, in: *zg.In([]const u8)) !Checksum {
    var result: Checksum = .{ .sum = 0, .bytes = 0, .chunks = 0 };
    const reader = try in.reader();
    while (true) : (result.chunks += 1) {
        const byte = reader.takeByte() catch |err| switch (err) {
            error.EndOfStream => return result,
            else => |e| return e,
        };
        result.sum += byte;
        result.bytes += 1;
        if (result.chunks % 3 == 2) {
            const buffer = try in.nextBuffer() orelse return result;
            defer buffer.deinit();
            for (buffer.slice()) |b| result.sum += b;
            result.bytes += buffer.slice().len;
        } else {
            const chunk = try in.next() orelse return result;
            for (chunk) |b| result.sum += b;
            result.bytes += chunk.len;
        }
    }
}
