//! Where a sink takes what it consumes.

const std = @import("std");
const gpa = @import("heap.zig").gpa;
const Io = std.Io;
const types = @import("types.zig");
const Buffer = @import("buffer.zig").Buffer;
const Failure = @import("failure.zig").Failure;
const Exchange = @import("exchange.zig").Exchange;

/// The input of a sink whose items are `T`: any plain type, or `[]const u8` for runs of bytes.
///
/// It belongs to the function it was passed to: one task at a time uses it.
pub fn In(comptime T: type) type {
    return if (types.isBytes(T)) ByteIn else ItemIn(T);
}

fn ItemIn(comptime T: type) type {
    return struct {
        const Self = @This();
        pub const Item = T;

        exchange: *Exchange(T),
        failure: *Failure,

        /// The next item, or `null` at the end; waits for it.
        pub inline fn next(in: *Self) Io.Cancelable!?T {
            var item: [1]T = undefined;
            return if (try in.exchange.receive(&item) == 1) item[0] else null;
        }

        /// The next items, as many as there are and fit, or none at the end; waits for the first.
        pub fn nextMany(in: *Self, items: []T) Io.Cancelable![]T {
            return items[0..try in.exchange.receive(items)];
        }

        /// Gives the error that the function is about to return a message:
        /// `return in.fail(error.BadMagic, "record {d} is not one", .{n});`
        pub fn fail(in: *Self, err: anytype, comptime fmt: []const u8, args: anytype) @TypeOf(err) {
            in.failure.say(fmt, args);
            return err;
        }
    };
}

/// The input of a sink of bytes.
const ByteIn = struct {
    pub const Item = []const u8;

    exchange: *Exchange(Buffer),
    failure: *Failure,
    /// What `next` or the reader is at.
    current: Buffer = .empty,
    /// The part of `current` that the reader has not yet passed on.
    rest: []const u8 = &.{},
    interface: Io.Reader = .{ .vtable = &reader_vtable, .buffer = &.{}, .seek = 0, .end = 0 },
    /// Why the reader failed.
    err: ?Io.Cancelable = null,

    pub fn deinit(in: *ByteIn) void {
        in.current.deinit();
        gpa.free(in.interface.buffer);
        in.* = undefined;
    }

    /// The next item, or `null` at the end; waits for it. No copy: it is valid until the next call.
    ///
    /// After the reader has read a part of an item, this is the rest of it.
    pub fn next(in: *ByteIn) Io.Cancelable!?[]const u8 {
        if (in.takeUnread()) |unread| return unread;
        return in.nextChunk();
    }

    /// The next item as a buffer that is the caller's to keep, to hand on, or to `deinit`.
    ///
    /// After the reader has read a part of an item, this is a copy of the rest of it.
    pub fn nextBuffer(in: *ByteIn) (Io.Cancelable || error{OutOfMemory})!?Buffer {
        const unread = in.peekUnread() orelse return in.receive();
        const copy: Buffer = try .initCopy(unread);
        _ = in.takeUnread();
        return copy;
    }

    fn nextChunk(in: *ByteIn) Io.Cancelable!?[]const u8 {
        const current = in.current;
        in.current = .empty;
        current.deinit();
        in.current = try in.receive() orelse return null;
        return in.current.slice();
    }

    fn receive(in: *ByteIn) Io.Cancelable!?Buffer {
        var item: [1]Buffer = undefined;
        return if (try in.exchange.receive(&item) == 1) item[0] else null;
    }

    /// What the reader has taken over and nobody has read.
    fn takeUnread(in: *ByteIn) ?[]const u8 {
        const unread = in.peekUnread() orelse return null;
        const r = &in.interface;
        if (r.seek < r.end) r.seek = r.end else in.rest = &.{};
        return unread;
    }

    fn peekUnread(in: *ByteIn) ?[]const u8 {
        const buffered = in.interface.buffered();
        if (buffered.len > 0) return buffered;
        return if (in.rest.len > 0) in.rest else null;
    }

    /// At the end: a copy of what the reader has taken over and nobody has read.
    pub fn takeRest(in: *ByteIn) error{OutOfMemory}!Buffer {
        const buffered = in.interface.buffered();
        if (buffered.len + in.rest.len == 0) return .empty;
        const bytes = try std.heap.c_allocator.alloc(u8, buffered.len + in.rest.len);
        @memcpy(bytes[0..buffered.len], buffered);
        @memcpy(bytes[buffered.len..], in.rest);
        return .initOwned(bytes);
    }

    /// A `std.Io.Reader` of all the bytes, whatever items they come in. `stream` passes them on without
    /// a copy; what asks for contiguous bytes goes through a buffer of `reader_buffer_len` bytes.
    ///
    /// It fails with `error.ReadFailed`; a function that returns that ends as if it had returned what
    /// was behind it (`error.Canceled`).
    pub fn reader(in: *ByteIn) error{OutOfMemory}!*Io.Reader {
        if (in.interface.buffer.len == 0) {
            in.interface.buffer = try gpa.alloc(u8, reader_buffer_len);
        }
        return &in.interface;
    }

    /// Bytes that can be peeked or taken in one piece.
    pub const reader_buffer_len = 64 * 1024;

    /// As for other inputs: `return in.fail(error.BadMagic, "not a PNG", .{});`
    pub fn fail(in: *ByteIn, err: anytype, comptime fmt: []const u8, args: anytype) @TypeOf(err) {
        in.failure.say(fmt, args);
        return err;
    }

    const reader_vtable: Io.Reader.VTable = .{ .stream = &stream };

    fn stream(r: *Io.Reader, w: *Io.Writer, limit: Io.Limit) Io.Reader.StreamError!usize {
        const in: *ByteIn = @alignCast(@fieldParentPtr("interface", r));
        while (in.rest.len == 0) {
            in.rest = in.nextChunk() catch |err| {
                in.err = err;
                return error.ReadFailed;
            } orelse return error.EndOfStream;
        }
        const n = try w.write(limit.sliceConst(in.rest));
        in.rest = in.rest[n..];
        return n;
    }
};
