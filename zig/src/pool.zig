//! The host's buffer pool, as a function on a thread uses it.

const std = @import("std");
const Io = std.Io;
const abi = @import("abi.zig");
const Runner = @import("runner.zig").Runner;

/// One function's way to a pool that the host lends.
pub const PoolClient = struct {
    /// Retained.
    pool: *const abi.PoolHandle,
    runner: *Runner,
    /// What the pool knows us by while we wait; null otherwise.
    ticket: ?*anyopaque = null,
    handle: abi.WakerHandle = .{ .vtable = &waker_vtable },
    woken: std.atomic.Value(bool) = .init(false),

    pub fn init(pool: *const abi.PoolHandle, runner: *Runner) PoolClient {
        pool.vtable.retain(pool);
        return .{ .pool = pool, .runner = runner };
    }

    pub fn deinit(c: *PoolClient) void {
        c.dropTicket();
        c.pool.vtable.release(c.pool);
    }

    /// A block with nothing in it; waits for one when all are in use.
    pub fn acquire(c: *PoolClient) (Io.Cancelable || error{OutOfMemory})!abi.RawBuffer {
        var block: abi.RawBuffer = undefined;
        while (true) {
            c.woken.store(false, .seq_cst);
            switch (c.pool.vtable.acquire(c.pool, &c.handle, &c.ticket, &block)) {
                abi.status.ready => return block,
                abi.status.pending => c.runner.wait(&c.woken, isSet) catch |err| {
                    // Lets the pool forget its reference to us.
                    c.dropTicket();
                    return err;
                },
                else => return error.OutOfMemory,
            }
        }
    }

    pub fn share(c: *PoolClient, block: *const abi.RawBuffer) void {
        c.pool.vtable.share(block);
    }

    fn dropTicket(c: *PoolClient) void {
        if (c.ticket) |ticket| c.pool.vtable.drop_ticket(ticket);
        c.ticket = null;
    }

    fn isSet(flag: *std.atomic.Value(bool)) bool {
        return flag.load(.seq_cst);
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
        const runner = of(handle).runner;
        runner.callbacks.retain(runner);
    }

    fn release(handle: *const abi.WakerHandle) callconv(.c) void {
        const runner = of(handle).runner;
        runner.callbacks.release(runner);
    }

    fn wake(handle: *const abi.WakerHandle) callconv(.c) void {
        const c = of(handle);
        c.woken.store(true, .seq_cst);
        c.runner.unpark();
    }
};
