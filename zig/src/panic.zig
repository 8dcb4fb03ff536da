//! What a Zig panic does in a Rust program: it says what happened and where, and aborts. It never
//! unwinds into Rust.

const std = @import("std");
const builtin = @import("builtin");
const current = @import("coroutine/current.zig");
const coroutines = @import("coroutine/switch.zig").supported;

/// The exported function whose own thread this is.
pub threadlocal var current_function: []const u8 = "";

/// The exported function that runs here, on its thread or as a coroutine; or none.
pub fn runningFunction() []const u8 {
    if (coroutines) if (current.get()) |task| return task.callbacks.name;
    return current_function;
}

/// For `pub const panic = std.debug.FullPanic(ziggurat.panicHandler);` in the root file. std's own
/// handler prints a stack trace, for which release builds compile a DWARF reader: much slower.
pub fn panicHandler(message: []const u8, first_trace_addr: ?usize) noreturn {
    @branchHint(.cold);
    var buffer: [1024]u8 = undefined;
    const address = first_trace_addr orelse @returnAddress();
    const function = runningFunction();
    const text = if (function.len > 0)
        std.fmt.bufPrint(&buffer, "ziggurat: panic in the Zig function `{s}` at 0x{x}: {s}\n", .{ function, address, message })
    else
        std.fmt.bufPrint(&buffer, "ziggurat: panic in Zig at 0x{x}: {s}\n", .{ address, message });
    write(text catch message);
    std.c.abort();
}

/// Ends the process after a message that names the function. Called from a signal handler.
pub fn die(comptime what: []const u8, function: []const u8) noreturn {
    write("ziggurat: " ++ what ++ " in the Zig function `");
    write(function);
    write("`\n");
    std.c.abort();
}

/// Straight to standard error: nothing that a panicking program might hold a lock of.
fn write(text: []const u8) void {
    var rest = text;
    while (rest.len > 0) {
        const n = if (builtin.os.tag == .windows)
            _write(2, rest.ptr, @intCast(rest.len))
        else
            std.c.write(2, rest.ptr, rest.len);
        if (n <= 0) return;
        rest = rest[@intCast(n)..];
    }
}

/// The C library's name for it on Windows.
extern "c" fn _write(fd: c_int, ptr: [*]const u8, len: c_uint) c_int;
