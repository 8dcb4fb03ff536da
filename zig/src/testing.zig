//! A host for tests: a waker to wait on, a pool to run dry, and the loops that an executor would run.

const std = @import("std");
const abi = @import("abi.zig");
const Buffer = @import("buffer.zig").Buffer;
const gpa = std.testing.allocator;

/// Counts its wakes and references; its owner can wait for the next wake.
pub const TestWaker = struct {
    handle: abi.WakerHandle = .{ .vtable = &vtable },
    references: std.atomic.Value(u32) = .init(1),
    wakes: std.atomic.Value(u32) = .init(0),

    const vtable: abi.WakerVTable = .{
        .header = .of(abi.WakerVTable),
        .retain = &retain,
        .release = &release,
        .wake = &wake,
    };

    pub fn context(w: *TestWaker) abi.PollContext {
        return .{ .struct_size = @sizeOf(abi.PollContext), .reserved = 0, .waker = &w.handle };
    }

    /// Waits until there were more than `seen` wakes.
    pub fn wait(w: *TestWaker, seen: u32) void {
        while (w.wakes.load(.seq_cst) == seen) std.testing.io.futexWaitUncancelable(u32, &w.wakes.raw, seen);
    }

    /// Waits until everybody else has let go.
    pub fn waitUnreferenced(w: *TestWaker) void {
        while (w.references.load(.acquire) > 1) std.Thread.yield() catch {};
    }

    fn of(handle: *const abi.WakerHandle) *TestWaker {
        return @constCast(@fieldParentPtr("handle", handle));
    }

    fn retain(handle: *const abi.WakerHandle) callconv(.c) void {
        _ = of(handle).references.fetchAdd(1, .monotonic);
    }

    fn release(handle: *const abi.WakerHandle) callconv(.c) void {
        _ = of(handle).references.fetchSub(1, .acq_rel);
    }

    fn wake(handle: *const abi.WakerHandle) callconv(.c) void {
        const w = of(handle);
        _ = w.wakes.fetchAdd(1, .seq_cst);
        std.testing.io.futexWake(u32, &w.wakes.raw, 1);
    }
};

/// A few blocks behind a lock, and one waiter.
pub const TestPool = struct {
    handle: abi.PoolHandle,
    mutex: std.Io.Mutex = .init,
    free: std.ArrayList(*Block) = .empty,
    blocks: []Block,
    waiter: ?*const abi.WakerHandle = null,
    references: std.atomic.Value(u32) = .init(1),

    const Block = struct { pool: *TestPool, bytes: []u8, owners: std.atomic.Value(u32) };

    const vtable: abi.PoolVTable = .{
        .header = .of(abi.PoolVTable),
        .retain = &retain,
        .release = &release,
        .acquire = &acquire,
        .drop_ticket = &dropTicket,
        .share = &share,
    };

    pub fn init(pool: *TestPool, count: usize, block_size: usize) !void {
        pool.* = .{
            .handle = .{ .vtable = &vtable, .block_size = block_size },
            .blocks = try gpa.alloc(Block, count),
        };
        try pool.free.ensureTotalCapacity(gpa, count);
        for (pool.blocks) |*block| {
            block.* = .{ .pool = pool, .bytes = try gpa.alloc(u8, block_size), .owners = .init(0) };
            pool.free.appendAssumeCapacity(block);
        }
    }

    /// Every block is home.
    pub fn deinit(pool: *TestPool) void {
        std.debug.assert(pool.free.items.len == pool.blocks.len);
        for (pool.blocks) |block| gpa.free(block.bytes);
        gpa.free(pool.blocks);
        pool.free.deinit(gpa);
    }

    /// The function's last reference goes when its thread ends.
    pub fn waitUnreferenced(pool: *TestPool) void {
        while (pool.references.load(.acquire) > 1) std.Thread.yield() catch {};
    }

    fn of(handle: *const abi.PoolHandle) *TestPool {
        return @constCast(@fieldParentPtr("handle", handle));
    }

    fn retain(handle: *const abi.PoolHandle) callconv(.c) void {
        _ = of(handle).references.fetchAdd(1, .monotonic);
    }

    fn release(handle: *const abi.PoolHandle) callconv(.c) void {
        _ = of(handle).references.fetchSub(1, .acq_rel);
    }

    fn acquire(
        handle: *const abi.PoolHandle,
        waker: ?*const abi.WakerHandle,
        ticket: *?*anyopaque,
        out: *abi.RawBuffer,
    ) callconv(.c) i32 {
        const pool = of(handle);
        pool.mutex.lockUncancelable(std.testing.io);
        defer pool.mutex.unlock(std.testing.io);
        const block = pool.free.pop() orelse {
            const w = waker orelse return abi.status.pending;
            if (pool.waiter == null) {
                w.vtable.retain(w);
                pool.waiter = w;
            }
            ticket.* = pool;
            return abi.status.pending;
        };
        block.owners.store(1, .monotonic);
        out.* = .{
            .ptr = block.bytes.ptr,
            .len = 0,
            .cap = block.bytes.len,
            .@"align" = 1,
            .release = &releaseBlock,
            .ctx = block,
        };
        return abi.status.ready;
    }

    fn releaseBlock(ctx: ?*anyopaque, _: ?[*]u8, _: usize, _: usize) callconv(.c) void {
        const block: *Block = @ptrCast(@alignCast(ctx.?));
        if (block.owners.fetchSub(1, .acq_rel) != 1) return;
        const pool = block.pool;
        pool.mutex.lockUncancelable(std.testing.io);
        pool.free.appendAssumeCapacity(block);
        pool.mutex.unlock(std.testing.io);
        pool.wakeWaiter(true);
    }

    fn wakeWaiter(pool: *TestPool, wake: bool) void {
        pool.mutex.lockUncancelable(std.testing.io);
        const waiter = pool.waiter;
        pool.waiter = null;
        pool.mutex.unlock(std.testing.io);
        if (waiter) |waker| {
            if (wake) waker.vtable.wake(waker);
            waker.vtable.release(waker);
        }
    }

    fn dropTicket(ticket: ?*anyopaque) callconv(.c) void {
        const pool: *TestPool = @ptrCast(@alignCast(ticket orelse return));
        pool.wakeWaiter(false);
    }

    fn share(buffer: *const abi.RawBuffer) callconv(.c) void {
        const block: *Block = @ptrCast(@alignCast(buffer.ctx.?));
        _ = block.owners.fetchAdd(1, .monotonic);
    }
};

/// Opens `Made` (a source or sink) with arguments whose descriptions are right.
pub fn open(comptime Made: type, how: abi.OpenOptions, values: []const *const anyopaque) !abi.RawHandle {
    var args: [Made.param_descs.len]abi.Arg = undefined;
    for (&args, Made.param_descs, values) |*arg, ty, value| arg.* = .{ .ty = ty, .value = value };
    var handle: abi.RawHandle = undefined;
    var err: abi.ErrorRecord = undefined;
    try std.testing.expectEqual(abi.status.ready, Made.open(&how, &args, args.len, &handle, &err));
    return handle;
}

pub fn options(capacity: u64, pool: ?*TestPool) abi.OpenOptions {
    return .{
        .struct_size = @sizeOf(abi.OpenOptions),
        .flags = 0,
        .capacity = capacity,
        .stack_size = 0,
        .pool = if (pool) |p| &p.handle else null,
        .host = null,
    };
}

/// Polls a source until it has items or has ended, as an executor would.
pub fn next(comptime Wire: type, handle: abi.RawHandle, waker: *TestWaker, out: []Wire) struct { usize, i32 } {
    const vtable: *const abi.SourceVTable = @ptrCast(@alignCast(handle.vtable.?));
    const cx = waker.context();
    while (true) {
        const seen = waker.wakes.load(.seq_cst);
        var n: usize = 0;
        const status = vtable.poll_batch(handle.state.?, &cx, out.ptr, out.len, &n);
        if (n > 0 or status != abi.status.pending) return .{ n, status };
        waker.wait(seen);
    }
}
