//! What a Zig panic does in a Rust program: it says what happened and where, and aborts; or it ends its coroutine
//! only, if that was opened so (`coroutine/poison.zig`). It never unwinds into Rust.

const std = @import("std");
const builtin = @import("builtin");
const current = @import("coroutine/current.zig");
const poison = @import("coroutine/poison.zig");
const Task = @import("coroutine/task.zig").Task;
const coroutines = @import("coroutine/switch.zig").supported;

/// A function that runs.
pub const Running = struct {
    /// The exported name; empty for none.
    function: []const u8,
    /// "stream", "sink".
    kind: []const u8,
    /// The state that the host's handle points to.
    state: *const anyopaque,

    fn ofTask(task: *Task) Running {
        const callbacks = task.callbacks;
        return .{ .function = callbacks.name, .kind = callbacks.kind, .state = callbacks.owner(task) };
    }
};

/// The exported function whose own thread this is.
pub threadlocal var on_thread: ?Running = null;

/// The exported function that runs here, on its thread or as a coroutine; or none.
fn running() ?Running {
    if (coroutines) if (current.get()) |task| return .ofTask(task);
    return on_thread;
}

/// For `pub const panic = std.debug.FullPanic(ziggurat.panicHandler);` in the root file. std's own
/// handler prints a stack trace, for which release builds compile a DWARF reader: much slower.
pub fn panicHandler(message: []const u8, first_trace_addr: ?usize) noreturn {
    @branchHint(.cold);
    if (coroutines) poison.contain(message);
    const address = first_trace_addr orelse @returnAddress();
    var place: [256]u8 = undefined;
    var number: [32]u8 = undefined;
    write(&.{
        "ziggurat: panic in ",                                       describe(&place, running()),
        std.fmt.bufPrint(&number, " at 0x{x}", .{address}) catch "", ": ",
        message,                                                     "\n",
    });
    std.c.abort();
}

/// Ends the process after a message that names the function. Called from a signal handler.
pub fn die(comptime what: []const u8) noreturn {
    var place: [256]u8 = undefined;
    write(&.{ "ziggurat: " ++ what ++ " in ", describe(&place, running()), "\n" });
    std.c.abort();
}

/// Of a contained panic that nobody else is told about.
pub fn report(task: *Task, message: []const u8) void {
    var place: [256]u8 = undefined;
    write(&.{ "ziggurat: panic in ", describe(&place, .ofTask(task)), ", which was dropped: ", message, "\n" });
}

fn describe(buffer: []u8, which: ?Running) []const u8 {
    const r = which orelse return "Zig";
    return std.fmt.bufPrint(buffer, "the Zig function `{s}` ({s} 0x{x})", .{
        r.function, r.kind, @intFromPtr(r.state),
    }) catch r.function;
}

/// Straight to standard error: nothing that a panicking program might hold a lock of. In one call where there is one,
/// so that lines of several threads don't mix.
fn write(parts: []const []const u8) void {
    if (builtin.os.tag != .windows) {
        var iovecs: [8]std.posix.iovec_const = undefined;
        for (parts, iovecs[0..parts.len]) |part, *iovec| iovec.* = .{ .base = part.ptr, .len = part.len };
        _ = std.c.writev(2, &iovecs, @intCast(parts.len));
    } else for (parts) |part| {
        var rest = part;
        while (rest.len > 0) {
            const n = _write(2, rest.ptr, @intCast(rest.len));
            if (n <= 0) return;
            rest = rest[@intCast(n)..];
        }
    }
}

/// The C library's name for it on Windows.
extern "c" fn _write(fd: c_int, ptr: [*]const u8, len: c_uint) c_int;
