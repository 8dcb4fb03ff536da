//! The ends of a channel that Rust has made: `Sender(T)` and `Receiver(T)`.

const std = @import("std");
const Io = std.Io;
const abi = @import("../abi.zig");
const layout = @import("layout.zig");
const one_to_one = @import("one_to_one.zig");
const types = @import("../types.zig");
const waiting = @import("waiting.zig");
const bounded = @import("bounded.zig");
const Bounded = bounded.Bounded;
const row = @import("row.zig");
const Buffer = @import("../buffer.zig").Buffer;
const Header = layout.Header;
const Miss = bounded.Miss;
const Side = layout.Side;

/// The sending end of a channel of `T`s: any plain type, or `Buffer` (`[]const u8` is the same) for runs
/// of bytes, which are handed over without a copy.
///
/// A function takes it as `*ziggurat.Sender(T)`. It is dropped when the function returns, unless the
/// function has moved it elsewhere (`take`). When the last sender is gone, the channel is closed. Of a
/// many-to-many channel any number of threads and tasks may use one at the same time; the end of a
/// one-to-one channel belongs to one at a time.
pub fn Sender(comptime T: type) type {
    return struct {
        const Self = @This();
        const W = types.Wire(T);
        const common = Common(T, .senders);
        /// What is sent.
        pub const Item = W;
        pub const channel_side = Side.senders;

        header: *Header,
        /// Of a row: the slots of its first ring.
        ring: union(enum) { many: Bounded(W), one: one_to_one.Tx(W), row: u64, gone },
        rings: row.Known = .{},
        patience: waiting.Patience = .{},

        /// Takes over an end that came through the ABI.
        pub fn fromAbi(pointer: ?*anyopaque) layout.AcceptError!Self {
            const header = try common.accept(pointer);
            return .{ .header = header, .ring = switch (header.kind) {
                layout.kind_bounded => .{ .many = .init(header) },
                layout.kind_growable => .{ .row = header.mask + 1 },
                else => .{ .one = .init(header) },
            } };
        }

        /// Sends an item, and waits for room when there is none; in a channel without a bound there always
        /// is. On an error the item is still the caller's.
        ///
        /// It is a cancelation point when it waits. (Without a bound it never does: a coroutine that only sends
        /// gives nobody else a turn.)
        pub inline fn send(s: *Self, io: Io, item: Item) waiting.Error!void {
            s.push(item) catch |miss| return s.sendSlow(io, item, miss);
        }

        fn sendSlow(s: *Self, io: Io, item: Item, miss: Miss) waiting.Error!void {
            @branchHint(.unlikely);
            if (miss == error.Closed) return error.Closed;
            const context: struct { s: *Self, item: Item } = .{ .s = s, .item = item };
            return waiting.until(void, common.place(s), &s.patience, io, &context, struct {
                fn attempt(c: @TypeOf(&context)) Miss!void {
                    return c.s.push(c.item);
                }
            }.attempt);
        }

        /// Sends an item if there is room. On an error the item is still the caller's.
        pub inline fn trySend(s: *Self, item: Item) error{ Full, Closed }!void {
            s.push(item) catch |miss| return s.trySendSlow(item, miss);
        }

        fn trySendSlow(s: *Self, item: Item, first: Miss) error{ Full, Closed }!void {
            @branchHint(.unlikely);
            var miss = first;
            var backoff: layout.Backoff = .{};
            while (true) : (backoff.snooze()) {
                switch (miss) {
                    error.Closed => return error.Closed,
                    error.Blocked => return error.Full,
                    error.Busy => if (backoff.turns > common.peer_turns) return error.Full,
                }
                return s.push(item) catch |next| {
                    miss = next;
                    continue;
                };
            }
        }

        /// Sends all of `items`, and waits for room as long as some are left. Returns how many were sent:
        /// all, unless the channel was closed or the task canceled after some of them were sent. Then the
        /// next call returns that error. What was not sent is still the caller's.
        ///
        /// Items of one call follow each other in the channel as far as there was room for them at a time.
        pub fn sendMany(s: *Self, io: Io, items: []const Item) waiting.Error!usize {
            var sent: usize = 0;
            while (sent < items.len) {
                sent += s.pushMany(items[sent..]) catch |miss| s.waitMany(io, items[sent..], miss) catch |err| {
                    if (sent == 0) return err;
                    if (err == error.Canceled) io.recancel();
                    return sent;
                };
            }
            return sent;
        }

        fn waitMany(s: *Self, io: Io, items: []const Item, miss: Miss) waiting.Error!usize {
            @branchHint(.unlikely);
            if (miss == error.Closed) return error.Closed;
            const context: struct { s: *Self, items: []const Item } = .{ .s = s, .items = items };
            return waiting.until(usize, common.place(s), &s.patience, io, &context, struct {
                fn attempt(c: @TypeOf(&context)) Miss!usize {
                    return c.s.pushMany(c.items);
                }
            }.attempt);
        }

        /// Sends as many of `items` as there is room for, and returns how many: at least one, unless there
        /// are none.
        pub fn trySendMany(s: *Self, items: []const Item) error{ Full, Closed }!usize {
            if (items.len == 0) return 0;
            return s.pushMany(items) catch |miss| switch (miss) {
                error.Closed => error.Closed,
                error.Blocked => error.Full,
                error.Busy => {
                    try s.trySend(items[0]);
                    return 1;
                },
            };
        }

        inline fn push(s: *Self, item: Item) Miss!void {
            return switch (s.ring) {
                .many => |*ring| ring.push(item),
                .one => |*tx| tx.push(item),
                .row => common.rowOf(s).push(item),
                .gone => error.Closed,
            };
        }

        inline fn pushMany(s: *Self, items: []const Item) Miss!usize {
            return switch (s.ring) {
                .many => |*ring| ring.pushMany(items),
                .one => |*tx| tx.pushMany(items),
                .row => common.rowOf(s).pushMany(items),
                .gone => error.Closed,
            };
        }

        /// Closes the channel for everybody: nothing more can be sent, what is in it can be received.
        pub fn close(s: *Self) void {
            common.close(s);
            if (s.ring == .one) s.ring.one.end();
        }

        pub fn isClosed(s: *const Self) bool {
            return common.isClosed(s);
        }

        /// Items in the channel.
        pub fn len(s: *const Self) usize {
            return common.len(s);
        }

        /// Items that there is room for in all. Without a bound it is the largest number there is.
        pub fn capacity(s: *const Self) usize {
            return common.capacity(s);
        }

        /// Why the channel was closed by force, if it was.
        pub fn fault(s: *const Self) layout.Fault {
            return common.fault(s);
        }

        /// Another sender into the same channel. `deinit` it.
        pub fn clone(s: *const Self) error{OneToOne}!Self {
            return common.clone(s);
        }

        /// Moves the end out: into a result, or to whoever lives longer than the function. What is left
        /// behaves as one of a closed channel.
        pub fn take(s: *Self) Self {
            return common.take(s);
        }

        /// Gives the end up, as what crosses.
        pub fn toAbi(s: *Self) ?*Header {
            return common.toAbi(s);
        }

        /// Drops the end. The last sender closes the channel.
        pub fn deinit(s: *Self) void {
            common.deinit(s);
        }
    };
}

/// The receiving end of a channel of `T`s. What is said of `Sender` is true of it as well.
pub fn Receiver(comptime T: type) type {
    return struct {
        const Self = @This();
        const W = types.Wire(T);
        const common = Common(T, .receivers);
        /// What is received. A `Buffer` is the receiver's to keep, to hand on, or to `deinit`.
        pub const Item = W;
        pub const channel_side = Side.receivers;

        header: *Header,
        ring: union(enum) { many: Bounded(W), one: one_to_one.Rx(W), row: u64, gone },
        rings: row.Known = .{},
        patience: waiting.Patience = .{},

        /// Takes over an end that came through the ABI.
        pub fn fromAbi(pointer: ?*anyopaque) layout.AcceptError!Self {
            const header = try common.accept(pointer);
            return .{ .header = header, .ring = switch (header.kind) {
                layout.kind_bounded => .{ .many = .init(header) },
                layout.kind_growable => .{ .row = header.mask + 1 },
                else => .{ .one = .init(header) },
            } };
        }

        /// The next item; waits for it. `error.Closed` comes when the channel is closed and empty.
        ///
        /// It is a cancelation point when it waits.
        pub inline fn recv(r: *Self, io: Io) waiting.Error!Item {
            return r.pop() catch |miss| r.recvSlow(io, miss);
        }

        fn recvSlow(r: *Self, io: Io, miss: Miss) waiting.Error!Item {
            @branchHint(.unlikely);
            if (miss == error.Closed) return error.Closed;
            return waiting.until(Item, common.place(r), &r.patience, io, r, pop);
        }

        /// The next item, if there is one.
        pub inline fn tryRecv(r: *Self) error{ Empty, Closed }!Item {
            return r.pop() catch |miss| r.tryRecvSlow(miss);
        }

        fn tryRecvSlow(r: *Self, first: Miss) error{ Empty, Closed }!Item {
            @branchHint(.unlikely);
            var miss = first;
            var backoff: layout.Backoff = .{};
            while (true) : (backoff.snooze()) {
                switch (miss) {
                    error.Closed => return error.Closed,
                    error.Blocked => return error.Empty,
                    error.Busy => if (backoff.turns > common.peer_turns) return error.Empty,
                }
                return r.pop() catch |next| {
                    miss = next;
                    continue;
                };
            }
        }

        /// Moves items to `out`, as many as there are and fit, and returns how many; waits for the first.
        pub fn recvMany(r: *Self, io: Io, out: []Item) waiting.Error!usize {
            if (out.len == 0) return 0;
            return r.popMany(out) catch |miss| r.recvManySlow(io, out, miss);
        }

        fn recvManySlow(r: *Self, io: Io, out: []Item, miss: Miss) waiting.Error!usize {
            @branchHint(.unlikely);
            if (miss == error.Closed) return error.Closed;
            const context: struct { r: *Self, out: []Item } = .{ .r = r, .out = out };
            return waiting.until(usize, common.place(r), &r.patience, io, &context, struct {
                fn attempt(c: @TypeOf(&context)) Miss!usize {
                    return c.r.popMany(c.out);
                }
            }.attempt);
        }

        /// Moves items to `out`, as many as there are and fit, and returns how many: at least one, unless
        /// nothing fits.
        pub fn tryRecvMany(r: *Self, out: []Item) error{ Empty, Closed }!usize {
            if (out.len == 0) return 0;
            return r.popMany(out) catch |miss| switch (miss) {
                error.Closed => error.Closed,
                error.Blocked => error.Empty,
                error.Busy => {
                    out[0] = try r.tryRecv();
                    return 1;
                },
            };
        }

        inline fn pop(r: *Self) Miss!Item {
            const item = try switch (r.ring) {
                .many => |*ring| ring.pop(),
                .one => |*rx| rx.pop(),
                .row => common.rowOf(r).pop(),
                .gone => @as(Miss!Item, error.Closed),
            };
            if (Item == Buffer and !item.isPossible()) return r.refused();
            return item;
        }

        /// What cannot be is left alone, and the channel is closed. Yields the next item.
        fn refused(r: *Self) Miss!Item {
            @branchHint(.cold);
            r.header.fail(.item);
            return r.pop();
        }

        inline fn popMany(r: *Self, out: []Item) Miss!usize {
            const n = try switch (r.ring) {
                .many => |*ring| ring.popMany(out),
                .one => |*rx| rx.popMany(out),
                .row => common.rowOf(r).popMany(out),
                .gone => @as(Miss!usize, error.Closed),
            };
            return if (Item == Buffer) r.sift(out, n) else n;
        }

        fn sift(r: *Self, out: []Item, n: usize) Miss!usize {
            var kept: usize = 0;
            for (out[0..n]) |item| if (item.isPossible()) {
                out[kept] = item;
                kept += 1;
            };
            if (kept == n) return n;
            r.header.fail(.item);
            return if (kept > 0) kept else r.popMany(out);
        }

        /// Closes the channel for everybody: nothing more can be sent, what is in it can be received.
        pub fn close(r: *Self) void {
            common.close(r);
            if (r.ring == .one) r.ring.one.end();
        }

        pub fn isClosed(r: *const Self) bool {
            return common.isClosed(r);
        }

        /// Items in the channel.
        pub fn len(r: *const Self) usize {
            return common.len(r);
        }

        /// Items that there is room for in all. Without a bound it is the largest number there is.
        pub fn capacity(r: *const Self) usize {
            return common.capacity(r);
        }

        /// Why the channel was closed by force, if it was.
        pub fn fault(r: *const Self) layout.Fault {
            return common.fault(r);
        }

        /// Another receiver of the same channel: each item is received by one of them. `deinit` it.
        pub fn clone(r: *const Self) error{OneToOne}!Self {
            return common.clone(r);
        }

        /// Moves the end out: into a result, or to whoever lives longer than the function. What is left
        /// behaves as one of a closed and empty channel.
        pub fn take(r: *Self) Self {
            return common.take(r);
        }

        /// Gives the end up, as what crosses.
        pub fn toAbi(r: *Self) ?*Header {
            return common.toAbi(r);
        }

        /// Drops the end. The last receiver closes the channel.
        pub fn deinit(r: *Self) void {
            common.deinit(r);
        }
    };
}

/// What both ends can do with their channel.
fn Common(comptime T: type, comptime side: Side) type {
    return struct {
        const W = types.Wire(T);

        comptime {
            if (@sizeOf(usize) != 8) @compileError("ziggurat: channels are for 64-bit machines");
        }

        /// How often what does not wait looks again while somebody is in the middle of an operation. A peer
        /// that never finishes looks like one that does not run.
        const peer_turns = 100_000;

        fn accept(pointer: ?*anyopaque) layout.AcceptError!*Header {
            return layout.accept(pointer, types.desc(T), Bounded(W).slot_layout, one_to_one.slotLayout(W));
        }

        /// The row of an end that has one.
        inline fn rowOf(end: anytype) row.Row(W) {
            return .{ .header = end.header, .known = @constCast(&end.rings), .first = end.ring.row };
        }

        /// Where one of this side waits. (No sender does for a row. Of those who receive it is looked on as usual.)
        fn place(end: anytype) waiting.Place {
            const h = end.header;
            const other = if (side == .receivers) &h.tail else &h.head;
            return .{
                .header = h,
                .side = side,
                .progress = if (end.ring == .row) rowOf(end).progress() else other,
                .capacity = if (end.ring == .row) 128 else h.capacity,
            };
        }

        fn close(end: anytype) void {
            if (end.ring != .gone) end.header.call("close", .{.none});
        }

        fn isClosed(end: anytype) bool {
            return switch (end.ring) {
                .many => |*ring| ring.isClosed(),
                .one => one_to_one.isClosed(end.header),
                .row => rowOf(end).isClosed(),
                .gone => true,
            };
        }

        fn len(end: anytype) usize {
            return switch (end.ring) {
                .many => |*ring| ring.len(),
                .one => |*half| one_to_one.len(end.header, half.capacity),
                .row => rowOf(end).len(),
                .gone => 0,
            };
        }

        fn capacity(end: anytype) usize {
            return @intCast(switch (end.ring) {
                .many => |*ring| ring.capacity,
                .one => |*half| half.capacity,
                .row => std.math.maxInt(usize),
                .gone => 0,
            });
        }

        fn fault(end: anytype) layout.Fault {
            return if (end.ring == .gone) .none else @atomicLoad(layout.Fault, &end.header.fault, .acquire);
        }

        fn clone(end: anytype) error{OneToOne}!@TypeOf(end.*) {
            switch (end.ring) {
                .many, .row => end.header.call("clone_end", .{side}),
                .one => return error.OneToOne,
                .gone => {},
            }
            return .{ .header = end.header, .ring = end.ring };
        }

        fn take(end: anytype) @TypeOf(end.*) {
            const taken = end.*;
            end.ring = .gone;
            return taken;
        }

        fn toAbi(end: anytype) ?*Header {
            if (end.ring == .gone) return null;
            end.ring = .gone;
            return end.header;
        }

        fn deinit(end: anytype) void {
            if (end.ring == .gone) return;
            end.ring = .gone;
            end.header.call("drop_end", .{side});
        }
    };
}

/// Whether `T` is an end of a channel.
pub fn isEnd(comptime T: type) bool {
    return switch (@typeInfo(T)) {
        .@"struct" => @hasDecl(T, "channel_side"),
        else => false,
    };
}

/// What a parameter of type `P` is kept as: an end for a pointer to one.
pub fn Kept(comptime P: type) type {
    return switch (@typeInfo(P)) {
        .pointer => |p| if (p.size == .one and isEnd(p.child)) p.child else P,
        else => P,
    };
}

/// The description of an end.
pub fn desc(comptime End: type) abi.TypeDesc {
    const item = types.desc(End.Item);
    const kind = switch (End.channel_side) {
        .senders => abi.kind.sender,
        .receivers => abi.kind.receiver,
    };
    return .{ .kind = kind | item.kind << abi.item_shift, .@"align" = item.@"align", .size = item.size };
}
