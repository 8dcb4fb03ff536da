//! What becomes of a coroutine whose handle was dropped: it is cancelled, and what it still has to do is done in
//! the background. The dropper runs it up to where it first has to wait, and never waits itself.

const std = @import("std");
const gpa = @import("../heap.zig").gpa;
const abi = @import("../abi.zig");
const panic = @import("../panic.zig");
const Task = @import("task.zig").Task;

/// Coroutines that were dropped and have not come to their end. Who sees that one has, sees its memory given back.
var ending: std.atomic.Value(usize) = .init(0);

/// How many coroutines were dropped and still run, to end their `defer`s.
pub fn count() usize {
    return ending.load(.acquire);
}

/// Nobody will poll `t` again but this. The caller has a reference to its owner.
pub fn abandon(t: *Task) void {
    if (!t.started() or t.finished()) return;
    t.cancel();
    // The reaper's own.
    t.callbacks.retain(t);
    _ = ending.fetchAdd(1, .monotonic);
    const nobody: abi.PollContext = .{
        .struct_size = @sizeOf(abi.PollContext),
        .reserved = 0,
        .waker = &nobody_handle,
    };
    if (poll(t, &nobody) == abi.status.done) return;
    // What woke nobody is seen by the first poll on somebody's behalf.
    if (t.host.vtable.drive(t.host, &poll, t) == abi.status.ready) return;
    const thread = std.Thread.spawn(.{}, driveOnThread, .{t}) catch {
        // Neither the host nor the system can take it. It stays as it is, and is counted.
        return;
    };
    thread.detach();
}

fn poll(state: ?*anyopaque, cx: *const abi.PollContext) callconv(.c) i32 {
    if (!advance(@ptrCast(@alignCast(state.?)), cx)) return abi.status.pending;
    _ = ending.fetchSub(1, .release);
    return abi.status.done;
}

/// Whether it came to its end, and is given back.
fn advance(t: *Task, cx: *const abi.PollContext) bool {
    t.begin(cx);
    t.run();
    if (!t.finished()) return false;
    if (t.panics.words) |words| panic.report(t, words);
    t.callbacks.release(t);
    return true;
}

const nobody_handle: abi.WakerHandle = .{ .vtable = &.{
    .header = .of(abi.WakerVTable),
    .retain = &nothing,
    .release = &nothing,
    .wake = &nothing,
} };

fn nothing(_: *const abi.WakerHandle) callconv(.c) void {}

/// For a host that drives nothing.
fn driveOnThread(t: *Task) void {
    const waker = ThreadWaker.create() catch return;
    const cx: abi.PollContext = .{ .struct_size = @sizeOf(abi.PollContext), .reserved = 0, .waker = &waker.handle };
    while (true) {
        waker.woken.store(0, .seq_cst);
        if (advance(t, &cx)) break;
        waker.wait();
    }
    ThreadWaker.release(&waker.handle);
    _ = ending.fetchSub(1, .release);
}

const ThreadWaker = struct {
    handle: abi.WakerHandle = .{ .vtable = &vtable },
    references: std.atomic.Value(u32) = .init(1),
    woken: std.atomic.Value(u32) = .init(0),

    const io = std.Io.Threaded.global_single_threaded.io();
    const vtable: abi.WakerVTable = .{
        .header = .of(abi.WakerVTable),
        .retain = &retain,
        .release = &release,
        .wake = &wake,
    };

    fn create() error{OutOfMemory}!*ThreadWaker {
        const waker = try gpa.create(ThreadWaker);
        waker.* = .{};
        return waker;
    }

    fn wait(w: *ThreadWaker) void {
        while (w.woken.load(.seq_cst) == 0) io.futexWaitUncancelable(u32, &w.woken.raw, 0);
    }

    fn of(handle: *const abi.WakerHandle) *ThreadWaker {
        return @alignCast(@constCast(@fieldParentPtr("handle", handle)));
    }

    fn retain(handle: *const abi.WakerHandle) callconv(.c) void {
        _ = of(handle).references.fetchAdd(1, .monotonic);
    }

    fn release(handle: *const abi.WakerHandle) callconv(.c) void {
        if (of(handle).references.fetchSub(1, .acq_rel) == 1) gpa.destroy(of(handle));
    }

    fn wake(handle: *const abi.WakerHandle) callconv(.c) void {
        const w = of(handle);
        w.woken.store(1, .seq_cst);
        io.futexWake(u32, &w.woken.raw, 1);
    }
};
