//! One task's place to wait: a word that it sleeps on, behind a waker that any thread may wake.
//!
//! A wake may come late: whoever takes the waker out of a list calls it with nothing held, perhaps after
//! the task has gone on. So it is reference-counted memory, and a word says whether the task is still
//! there: the task's `Io` is not used after it has left.

const std = @import("std");
const Io = std.Io;
const abi = @import("../abi.zig");
const gpa = @import("../heap.zig").gpa;
const thread_io = @import("../thread_io.zig");
const coroutines = @import("../coroutine/switch.zig").supported;

pub const Parker = struct {
    handle: abi.WakerHandle = .{ .vtable = &vtable },
    references: std.atomic.Value(u32) = .init(1),
    state: std.atomic.Value(State) = .init(.gone),
    io: Io,

    const State = enum(u32) {
        /// The task waits, or is about to; the first wake counts.
        waiting,
        /// A waker is about to use `io`, or is using it. Not where that is ours.
        waking,
        woken,
        /// The task does not wait; a wake does nothing.
        gone,
    };

    pub fn create(io: Io) error{OutOfMemory}!*Parker {
        const p = try gpa.create(Parker);
        p.* = .{ .io = io };
        return p;
    }

    /// The task has done with it.
    pub fn destroy(p: *Parker) void {
        p.leave();
        release(&p.handle);
    }

    /// From here on a wake counts.
    pub fn arm(p: *Parker) void {
        p.leave();
        p.state.store(.waiting, .release);
    }

    /// Sleeps until it is woken.
    pub fn sleep(p: *Parker) Io.Cancelable!void {
        while (p.state.load(.acquire) == .waiting) try p.io.futexWait(State, &p.state.raw, .waiting);
    }

    /// No wake counts any more, and none is using `io`.
    fn leave(p: *Parker) void {
        if (p.state.cmpxchgStrong(.waiting, .gone, .acq_rel, .acquire) == null) return;
        // Whoever wakes is between two lines of `wake`.
        while (p.state.load(.acquire) == .waking) std.Thread.yield() catch std.atomic.spinLoopHint();
    }

    fn of(handle: *const abi.WakerHandle) *Parker {
        return @constCast(@fieldParentPtr("handle", handle));
    }

    const vtable: abi.WakerVTable = .{
        .header = .of(abi.WakerVTable),
        .retain = &retain,
        .release = &release,
        .wake = &wake,
    };

    fn retain(handle: *const abi.WakerHandle) callconv(.c) void {
        _ = of(handle).references.fetchAdd(1, .monotonic);
    }

    fn release(handle: *const abi.WakerHandle) callconv(.c) void {
        const p = of(handle);
        if (p.references.fetchSub(1, .acq_rel) == 1) gpa.destroy(p);
    }

    fn wake(handle: *const abi.WakerHandle) callconv(.c) void {
        const p = of(handle);
        const ours = isOurs(p.io.vtable);
        // Acq_rel: what came before the wake is seen by whoever it wakes.
        if (p.state.cmpxchgStrong(.waiting, if (ours) .woken else .waking, .acq_rel, .monotonic) != null) return;
        p.io.futexWake(State, &p.state.raw, 1);
        if (!ours) p.state.store(.woken, .release);
    }

    /// Whether it wakes by the word alone, so that the task may be gone by then. It may be gone because of the wake:
    /// dropped by an executor's waker, on this very thread, it must not wait for this call to be over.
    fn isOurs(io_vtable: *const Io.VTable) bool {
        if (io_vtable.futexWake == thread_io.vtable.futexWake) return true;
        return coroutines and io_vtable.futexWake == @import("../coroutine/io.zig").vtable.futexWake;
    }
};

test "a wake before the sleep counts, one after the task has left does nothing" {
    const parker: *Parker = try .create(std.testing.io);
    const handle = &parker.handle;
    handle.vtable.retain(handle);
    parker.arm();
    handle.vtable.wake(handle);
    try parker.sleep();
    parker.arm();
    const thread = try std.Thread.spawn(.{}, struct {
        fn run(p: *Parker) void {
            p.handle.vtable.wake(&p.handle);
        }
    }.run, .{parker});
    try parker.sleep();
    thread.join();
    parker.destroy();
    // Late.
    handle.vtable.wake(handle);
    handle.vtable.release(handle);
}
