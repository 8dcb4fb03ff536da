//! The host's buffer pool, as a function uses it.

const std = @import("std");
const gpa = @import("heap.zig").gpa;
const Io = std.Io;
const abi = @import("abi.zig");
const Buffer = @import("buffer.zig").Buffer;
const Exchange = @import("exchange.zig").Exchange;
const Waiter = @import("waiter.zig").Waiter;
const onThreadStack = @import("coroutine/current.zig").onThreadStack;

/// One function's way to a pool that the host lends.
pub const PoolClient = struct {
    /// Retained.
    pool: *const abi.PoolHandle,
    waiter: Waiter,
    /// Where the blocks go, if the pool bounds only what is under way to there: when the other side has
    /// taken everything, keeps it, and wants more, blocks come from the heap instead.
    spill: ?*Exchange(Buffer),
    /// What the pool knows us by while we wait; null otherwise.
    ticket: ?*anyopaque = null,
    /// Blocks taken ahead of need, the next one last; only of a pool that is this function's own.
    ahead: [max_ahead]abi.RawBuffer = undefined,
    ahead_len: usize = 0,
    handle: abi.WakerHandle = .{ .vtable = &waker_vtable },
    woken: std.atomic.Value(bool) = .init(false),

    const max_ahead = 32;

    pub fn init(pool: *const abi.PoolHandle, waiter: Waiter, spill: ?*Exchange(Buffer)) PoolClient {
        pool.vtable.retain(pool);
        return .{ .pool = pool, .waiter = waiter, .spill = spill };
    }

    pub fn deinit(c: *PoolClient) void {
        c.letGo();
        c.pool.vtable.release(c.pool);
    }

    /// A block with nothing in it; waits for one when all are in use.
    pub fn acquire(c: *PoolClient) (Io.Cancelable || error{OutOfMemory})!abi.RawBuffer {
        if (c.ahead_len == 0) {
            const block = try c.acquireOne();
            if (!c.streaming()) return block;
            c.takeAhead(block);
        }
        c.ahead_len -= 1;
        return c.ahead[c.ahead_len];
    }

    /// The pool is our own, and the other side is at work.
    fn streaming(c: *PoolClient) bool {
        const exchange = c.spill orelse return false;
        return exchange.isConsumed();
    }

    /// Takes all the free blocks, to use the one that has been free the longest first. The pool itself
    /// hands out the latest one, which the other side has just read: its memory is in that processor's
    /// cache, and to overwrite it from there is slow. Where the other side waits anyway, few blocks in
    /// use, and little memory, are better.
    fn takeAhead(c: *PoolClient, latest: abi.RawBuffer) void {
        c.ahead[0] = latest;
        c.ahead_len = 1;
        while (c.ahead_len < max_ahead) : (c.ahead_len += 1) {
            if (c.askPool(null, &c.ahead[c.ahead_len]) != abi.status.ready) return;
        }
    }

    fn acquireOne(c: *PoolClient) (Io.Cancelable || error{OutOfMemory})!abi.RawBuffer {
        var block: abi.RawBuffer = undefined;
        while (true) {
            c.woken.store(false, .seq_cst);
            switch (c.askPool(&c.handle, &block)) {
                abi.status.ready => return block,
                abi.status.pending => {
                    // Whatever comes of it, the pool can forget us unless we wait again.
                    errdefer c.dropTicket();
                    try c.waiter.wait(c, wokenOrStarved);
                    if (!c.woken.load(.seq_cst)) {
                        c.dropTicket();
                        return c.heapBlock();
                    }
                },
                else => return error.OutOfMemory,
            }
        }
    }

    fn askPool(c: *PoolClient, waker: ?*const abi.WakerHandle, block: *abi.RawBuffer) i32 {
        const Call = struct { client: *PoolClient, waker: ?*const abi.WakerHandle, block: *abi.RawBuffer, status: i32 };
        var call: Call = .{ .client = c, .waker = waker, .block = block, .status = undefined };
        onThreadStack(&call, struct {
            fn acquire(its: *Call) void {
                const pool = its.client.pool;
                its.status = pool.vtable.acquire(pool, its.waker, &its.client.ticket, its.block);
            }
        }.acquire);
        return call.status;
    }

    /// Adds an owner to a block.
    pub fn share(c: *PoolClient, block: *const abi.RawBuffer) void {
        if (block.release == &HeapBlock.release) HeapBlock.of(block).share() else c.pool.vtable.share(block);
    }

    fn heapBlock(c: *PoolClient) error{OutOfMemory}!abi.RawBuffer {
        return HeapBlock.create(c.pool.block_size);
    }

    /// When the function takes no more: gives back what it has of the pool, and makes the pool forget us.
    pub fn letGo(c: *PoolClient) void {
        c.dropTicket();
        for (c.ahead[0..c.ahead_len]) |block| (Buffer{ .raw = block }).deinit();
        c.ahead_len = 0;
    }

    /// Makes the pool forget us.
    fn dropTicket(c: *PoolClient) void {
        if (c.ticket == null) return;
        onThreadStack(c, struct {
            fn drop(client: *PoolClient) void {
                client.pool.vtable.drop_ticket(client.ticket);
                client.ticket = null;
            }
        }.drop);
    }

    fn wokenOrStarved(c: *PoolClient) bool {
        if (c.woken.load(.seq_cst)) return true;
        return if (c.spill) |exchange| exchange.starved() else false;
    }

    const waker_vtable: abi.WakerVTable = .{
        .header = .of(abi.WakerVTable),
        .retain = &retain,
        .release = &release,
        .wake = &wake,
    };

    fn of(handle: *const abi.WakerHandle) *PoolClient {
        return @constCast(@fieldParentPtr("handle", handle));
    }

    fn retain(handle: *const abi.WakerHandle) callconv(.c) void {
        of(handle).waiter.retain();
    }

    fn release(handle: *const abi.WakerHandle) callconv(.c) void {
        of(handle).waiter.release();
    }

    fn wake(handle: *const abi.WakerHandle) callconv(.c) void {
        const c = of(handle);
        c.woken.store(true, .seq_cst);
        c.waiter.unpark();
    }
};

/// A block from the heap, reference-counted like the pool's.
const HeapBlock = struct {
    references: std.atomic.Value(usize),
    bytes: [*]u8,
    len: usize,

    fn create(len: usize) error{OutOfMemory}!abi.RawBuffer {
        const block = try gpa.create(HeapBlock);
        errdefer gpa.destroy(block);
        const bytes = try gpa.alloc(u8, len);
        block.* = .{ .references = .init(1), .bytes = bytes.ptr, .len = len };
        return .{ .ptr = bytes.ptr, .len = 0, .cap = len, .@"align" = 1, .release = &release, .ctx = block };
    }

    fn of(raw: *const abi.RawBuffer) *HeapBlock {
        return @ptrCast(@alignCast(raw.ctx.?));
    }

    fn share(block: *HeapBlock) void {
        _ = block.references.fetchAdd(1, .monotonic);
    }

    fn release(ctx: ?*anyopaque, _: ?[*]u8, _: usize, _: usize) callconv(.c) void {
        const block: *HeapBlock = @ptrCast(@alignCast(ctx.?));
        if (block.references.fetchSub(1, .acq_rel) != 1) return;
        gpa.free(block.bytes[0..block.len]);
        gpa.destroy(block);
    }
};
