//! Where a source puts what it produces.

const std = @import("std");
const gpa = @import("heap.zig").gpa;
const Io = std.Io;
const abi = @import("abi.zig");
const types = @import("types.zig");
const Buffer = @import("buffer.zig").Buffer;
const Failure = @import("failure.zig").Failure;
const Exchange = @import("exchange.zig").Exchange;
const PoolClient = @import("pool.zig").PoolClient;
const Slots = @import("coroutine/lane.zig").Slots;
const coroutines = @import("coroutine/switch.zig").supported;

/// The output of a source whose items are `T`: any plain type, or `[]const u8` for runs of bytes.
///
/// It belongs to the function it was passed to: one task at a time uses it. When the consumer lags,
/// sending waits; when the consumer is gone, sending returns `error.Canceled`.
pub fn Out(comptime T: type) type {
    return if (types.isBytes(T)) ByteOut else ItemOut(T);
}

fn ItemOut(comptime T: type) type {
    return struct {
        const Self = @This();
        pub const Item = T;

        /// In the slice that a poll wants filled. None on a thread.
        slots: Slots = .{},
        exchange: *Exchange(T),
        failure: *Failure,

        /// Hands over one item.
        pub inline fn send(out: *Self, item: T) Io.Cancelable!void {
            const at = out.slots.next;
            const after = at +% @sizeOf(T);
            // The limit is 0 where something else is to be seen to first.
            if (after > out.slots.limit) return out.sendSlowly(item);
            put(at, item);
            // Last, so that the compiler sees what the next call finds here.
            out.slots.next = after;
            if (coroutines and after == out.slots.limit) out.slots.pauseFull();
        }

        inline fn put(at: usize, item: T) void {
            // The slice's alignment was checked where it came from.
            @setRuntimeSafety(false);
            @as(*T, @ptrFromInt(at)).* = item;
        }

        noinline fn sendSlowly(out: *Self, item: T) Io.Cancelable!void {
            return out.exchange.send(&.{item});
        }

        /// Hands over all `items`, in order.
        pub fn sendMany(out: *Self, items: []const T) Io.Cancelable!void {
            return out.exchange.send(items);
        }

        /// Gives the error that the function is about to return a message:
        /// `return out.fail(error.BadMagic, "{s} is not a PNG", .{path});`
        pub fn fail(out: *Self, err: anytype, comptime fmt: []const u8, args: anytype) @TypeOf(err) {
            out.failure.say(fmt, args);
            return err;
        }
    };
}

/// The output of a source of bytes. An item is what one `send`, one `sendBuffer`, or one filled or
/// flushed block of `writer()` makes.
const ByteOut = struct {
    pub const Item = []const u8;
    pub const Error = Io.Cancelable || error{OutOfMemory};

    slots: Slots = .{},
    exchange: *Exchange(Buffer),
    failure: *Failure,
    pool: *PoolClient,
    /// The block that is being filled. `interface.buffer` is its part that nobody else has yet.
    block: ?abi.RawBuffer = null,
    interface: Io.Writer = .{ .buffer = &.{}, .vtable = &writer_vtable },
    /// Why the writer failed.
    err: ?Error = null,

    pub fn deinit(out: *ByteOut) void {
        out.releaseBlock();
        // The pool may hold a reference to this function's state, and would keep it alive.
        out.pool.letGo();
        // The poll has still to see what is in the slice.
        const slots = out.slots;
        out.* = undefined;
        out.slots = slots;
    }

    /// Hands over a copy of `bytes` as one item, its boundaries kept. Small items share a block; one
    /// larger than a block gets memory of its own.
    pub fn send(out: *ByteOut, bytes: []const u8) Error!void {
        try out.flush();
        if (bytes.len > out.pool.pool.block_size) return out.sendBuffer(try .initCopy(bytes));
        if (bytes.len == 0) return out.sendBuffer(.empty);
        if (bytes.len > out.interface.buffer.len) try out.nextBlock();
        @memcpy(out.interface.buffer[0..bytes.len], bytes);
        return out.sendHead(bytes.len);
    }

    /// Hands over `buffer` as one item. No copy. On an error the buffer is released.
    pub fn sendBuffer(out: *ByteOut, buffer: Buffer) Error!void {
        errdefer buffer.deinit();
        try out.flush();
        try out.exchange.send(&.{buffer});
    }

    /// A `std.Io.Writer` that fills blocks of the host's pool, which become the items: nothing is
    /// copied after it was written. A block goes out when it is full, on `flush`, and when the
    /// function returns.
    ///
    /// It fails with `error.WriteFailed`; a function that returns that ends as if it had returned what
    /// was behind it (`error.Canceled`, `error.OutOfMemory`).
    pub fn writer(out: *ByteOut) *Io.Writer {
        return &out.interface;
    }

    /// Hands over what was written and is not yet on its way.
    pub fn flush(out: *ByteOut) Error!void {
        const n = out.interface.end;
        if (n == 0) return;
        out.interface.end = 0;
        return out.sendHead(n);
    }

    /// As for other outputs: `return out.fail(error.BadMagic, "{s} is not a PNG", .{path});`
    pub fn fail(out: *ByteOut, err: anytype, comptime fmt: []const u8, args: anytype) @TypeOf(err) {
        out.failure.say(fmt, args);
        return err;
    }

    /// Hands over the first `n` bytes of the writable part as one item.
    fn sendHead(out: *ByteOut, n: usize) Error!void {
        const writable = out.interface.buffer;
        const block = &out.block.?;
        const item: Buffer = .{ .raw = .{
            .ptr = writable.ptr,
            .len = n,
            .cap = n,
            .@"align" = if (writable.ptr == block.ptr.?) block.@"align" else 1,
            .release = block.release,
            .ctx = block.ctx,
        } };
        if (writable.len - n < out.pool.pool.block_size / 16) {
            // Little or nothing is left: the item takes over our own share of the block.
            out.forgetBlock();
        } else {
            out.pool.share(block);
            out.interface.buffer = writable[n..];
        }
        out.exchange.send(&.{item}) catch |err| {
            item.deinit();
            return err;
        };
    }

    fn nextBlock(out: *ByteOut) Error!void {
        out.releaseBlock();
        const block = try out.pool.acquire();
        out.block = block;
        out.interface.buffer = block.ptr.?[0..block.cap];
    }

    fn releaseBlock(out: *ByteOut) void {
        const block = out.block;
        out.forgetBlock();
        if (block) |raw| (Buffer{ .raw = raw }).deinit();
    }

    fn forgetBlock(out: *ByteOut) void {
        out.block = null;
        out.interface.buffer = &.{};
        out.interface.end = 0;
    }

    const writer_vtable: Io.Writer.VTable = .{
        .drain = &drain,
        .rebase = &rebase,
    };

    fn of(w: *Io.Writer) *ByteOut {
        return @alignCast(@fieldParentPtr("interface", w));
    }

    fn drain(w: *Io.Writer, data: []const []const u8, splat: usize) Io.Writer.Error!usize {
        const out = of(w);
        out.flush() catch |err| return out.failed(err);
        if (w.buffer.len == 0 and needsRoom(data, splat)) out.nextBlock() catch |err| return out.failed(err);
        // Into the block itself, as much as fits; the caller comes back with the rest.
        var n: usize = 0;
        for (data[0 .. data.len - 1]) |bytes| {
            n += fill(w, bytes);
            if (w.end == w.buffer.len) return n;
        }
        const pattern = data[data.len - 1];
        for (0..splat) |_| {
            if (pattern.len == 0 or w.end == w.buffer.len) break;
            n += fill(w, pattern);
        }
        return n;
    }

    fn needsRoom(data: []const []const u8, splat: usize) bool {
        for (data[0 .. data.len - 1]) |bytes| if (bytes.len > 0) return true;
        return splat > 0 and data[data.len - 1].len > 0;
    }

    fn fill(w: *Io.Writer, bytes: []const u8) usize {
        const n = @min(bytes.len, w.buffer.len - w.end);
        @memcpy(w.buffer[w.end..][0..n], bytes[0..n]);
        w.end += n;
        return n;
    }

    /// Makes room for `capacity` bytes in one piece, keeping the last `preserve` bytes unsent.
    fn rebase(w: *Io.Writer, preserve: usize, capacity: usize) Io.Writer.Error!void {
        const out = of(w);
        const keep = @min(preserve, w.end);
        if (keep + capacity > out.pool.pool.block_size) return out.failed(error.OutOfMemory);
        // Aside, because the block goes back before another is waited for: it may be the only one.
        const kept: []u8 = if (keep == 0) &.{} else gpa.dupe(u8, w.buffer[w.end - keep .. w.end]) catch |err|
            return out.failed(err);
        defer gpa.free(kept);
        w.end -= keep;
        out.flush() catch |err| return out.failed(err);
        if (w.buffer.len < keep + capacity) out.nextBlock() catch |err| return out.failed(err);
        @memcpy(w.buffer[0..keep], kept);
        w.end = keep;
    }

    fn failed(out: *ByteOut, err: Error) error{WriteFailed} {
        out.err = err;
        return error.WriteFailed;
    }
};
