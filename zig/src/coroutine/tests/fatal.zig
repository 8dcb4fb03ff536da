//! Panics of coroutines that end the process, seen from another one.

const std = @import("std");
const Io = std.Io;
const linux = std.os.linux;
const abi = @import("../../abi.zig");
const current = @import("../current.zig");
const panic = @import("../../panic.zig").panicHandler;
const poison = @import("../poison.zig");
const switching = @import("../switch.zig");
const FunctionSource = @import("../../function_source.zig").FunctionSource;
const Out = @import("../../out.zig").Out;
const Running = @import("../../testing_host.zig").Running;
const Stack = @import("../stack.zig").Stack;
const Task = @import("../task.zig").Task;
const TestHost = @import("../../testing_host.zig").TestHost;
const deep = @import("overflow.zig").deep;
const expectEqual = std.testing.expectEqual;

/// Standard error, as long as it is taken down.
pub const Capture = struct {
    old: i32,
    reader: i32,

    pub fn begin() !Capture {
        var ends: [2]i32 = undefined;
        if (linux.errno(linux.pipe2(&ends, .{ .CLOEXEC = true })) != .SUCCESS) return error.NoPipe;
        const old: i32 = @intCast(linux.dup(2));
        _ = linux.dup2(ends[1], 2);
        _ = linux.close(ends[1]);
        return .{ .old = old, .reader = ends[0] };
    }

    pub fn end(capture: Capture, buffer: []u8) []u8 {
        _ = linux.dup2(capture.old, 2);
        _ = linux.close(capture.old);
        defer _ = linux.close(capture.reader);
        var n: usize = 0;
        while (n < buffer.len) {
            const rc = linux.read(capture.reader, buffer[n..].ptr, buffer.len - n);
            if (linux.errno(rc) != .SUCCESS or rc == 0) break;
            n += rc;
        }
        return buffer[0..n];
    }
};

/// Runs `function` in a process of its own, which must abort, and say `what`.
fn expectAbort(comptime function: fn () void, what: []const u8) !void {
    var text: [400]u8 = undefined;
    const capture: Capture = try .begin();
    const pid = std.c.fork();
    if (pid == 0) {
        // The child has no other thread, and so nothing but this.
        function();
        std.c._exit(0);
    }
    const said = capture.end(&text);
    var status: c_int = 0;
    try expectEqual(pid, std.c.waitpid(pid, &status, 0));
    if (status & 0x7f != @backingInt(linux.SIG.ABRT) or std.mem.indexOf(u8, said, what) == null) {
        std.debug.print("status {x}: {s}\n", .{ status, said });
        return error.NotAborted;
    }
}

const fatal = struct {
    fn runOnce(comptime function: fn (Io, *Out(u64)) anyerror!void, flags: u32) void {
        const Made = FunctionSource("fatal", function);
        var host: TestHost = .{};
        var how = host.options(null);
        how.flags |= flags;
        var running: Running(Made, u64) = undefined;
        running.open(&host, how, &.{}) catch return;
        var out: [1]u64 = undefined;
        while (true) {
            _, const status = running.next(&out);
            if (status != abi.status.ready) return;
        }
    }

    fn panics(_: Io, _: *Out(u64)) !void {
        panic("as it likes", null);
    }
    fn byDefault() void {
        runOnce(panics, 0);
    }

    fn overflows(_: Io, out: *Out(u64)) !void {
        try out.send(deep.down(1 << 40));
    }
    fn overflowByDefault() void {
        runOnce(overflows, 0);
    }

    fn visits(_: Io, _: *Out(u64)) !void {
        const nothing: void = {};
        current.onThreadStack(nothing, struct {
            fn call(_: void) void {
                panic("in what is the host's", null);
            }
        }.call);
    }
    fn onThePollersStack() void {
        runOnce(visits, abi.option_poison);
    }

    fn halfway(io: Io, _: *Out(u64)) !void {
        const t: *Task = @ptrCast(@alignCast(io.userdata));
        const section: poison.Section = .begin(t);
        defer section.end();
        panic("half-way", null);
    }
    fn inASection() void {
        runOnce(halfway, abi.option_poison);
    }

    /// As a signal handler does that uses Zig: on a stack that is not the fiber's.
    fn elsewhere(io: Io, _: *Out(u64)) !void {
        const t: *Task = @ptrCast(@alignCast(io.userdata));
        const other: Stack = try .acquire(0);
        const Other = struct {
            fn main(_: *anyopaque) callconv(.c) noreturn {
                panic("on another stack", null);
            }
        };
        const top: [*]align(16) u8 = @alignCast(other.usable().ptr + other.usable().len);
        var back: switching.Context = undefined;
        switching.switchTo(&back, switching.prepare(top, &Other.main, t));
    }
    fn onAnotherStack() void {
        runOnce(elsewhere, abi.option_poison);
    }

    fn writesNowhere(_: Io, _: *Out(u64)) !void {
        // A copy by the C library, to where a stack has ended: what it was doing there, nobody knows.
        const t = current.get().?;
        const guard: [*]u8 = t.running.?.stack.memory.ptr;
        swab("text", guard, 4);
    }
    /// One that the compiler knows nothing of.
    extern "c" fn swab(from: [*]const u8, to: [*]u8, n: isize) void;
    fn inTheCLibrary() void {
        runOnce(writesNowhere, abi.option_poison);
    }
};

test "everything else ends the process, and says in which function and stream" {
    try expectAbort(fatal.byDefault, "ziggurat: panic in the Zig function `fatal` (stream 0x");
    try expectAbort(fatal.overflowByDefault, "ziggurat: stack overflow in the Zig function `fatal` (stream 0x");
    try expectAbort(fatal.onThePollersStack, "in what is the host's");
    try expectAbort(fatal.inASection, "half-way");
    try expectAbort(fatal.onAnotherStack, "on another stack");
    // Where the C library is a part of the program, its code is not told from ours.
    if (!@import("builtin").abi.isMusl()) {
        try expectAbort(fatal.inTheCLibrary, "stack overflow in the Zig function `fatal`");
    }
}
