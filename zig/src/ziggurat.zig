//! The Zig half of Ziggurat: Zig code as Rust streams, sinks, transforms and futures.
//!
//! Write ordinary, blocking-looking code against `std.Io`, and say what you offer:
//!
//! ```zig
//! const std = @import("std");
//! const ziggurat = @import("ziggurat");
//!
//! /// Every line of a file, without its newline.
//! fn lines(io: std.Io, out: *ziggurat.Out([]const u8), path: []const u8) !void {
//!     const file = try std.Io.Dir.cwd().openFile(io, path, .{});
//!     defer file.close(io);
//!     var buffer: [64 * 1024]u8 = undefined;
//!     var reader = file.reader(io, &buffer);
//!     while (try reader.interface.takeDelimiter('\n')) |line| try out.send(line);
//! }
//!
//! pub const exports = ziggurat.exports(.{
//!     .lines = ziggurat.source(lines),
//! });
//! ```
//!
//! A function may also take ends of channels that Rust has made, with a bound or without: `*ziggurat.Sender(T)`,
//! `*ziggurat.Receiver(T)`.
//! A function runs as a coroutine of the task that polls it (what `io` then does is described in
//! `coroutine/io.zig`), or on a thread of its own if Rust asks for that or the system has no coroutines.

const std = @import("std");
const builtin = @import("builtin");

/// The Zig release that this package is written for.
pub const zig_version = "0.17.1";

comptime {
    if (!std.mem.eql(u8, builtin.zig_version_string, zig_version)) @compileError(
        "ziggurat needs Zig " ++ zig_version ++ ", and this is Zig " ++ builtin.zig_version_string,
    );
    _ = @import("probe_stack.zig");
}

pub const abi = @import("abi.zig");
/// What a result of type `[]u8` is allocated from: the C library's heap.
pub const allocator = std.heap.c_allocator;
pub const Buffer = @import("buffer.zig").Buffer;
pub const Context = poll_source.Context;
pub const In = @import("in.zig").In;
pub const Out = @import("out.zig").Out;
pub const Poll = poll_source.Poll;
pub const Waker = poll_source.Waker;
pub const Receiver = ends.Receiver;
pub const Sender = ends.Sender;
pub const exports = exports_mod.exports;
pub const future = exports_mod.future;
pub const sink = exports_mod.sink;
pub const source = exports_mod.source;
pub const transform = exports_mod.transform;

/// The offsets of a channel's fields, for a test that compares them with Rust's.
pub const channel_offsets = @import("channel/layout.zig").offsets;

/// What a library is compiled with, unless its root file has a `pub const std_options` of its own, which had
/// better begin with a copy of these: signal handlers belong to the Rust program.
pub const std_options: std.Options = .{
    .enable_segfault_handler = false,
    .allow_stack_tracing = false,
    // std would keep 256 KiB for a signal stack in the thread-local storage of every thread in the program,
    // Rust's included.
    .signal_stack_size = null,
};

/// For the generated root file.
pub const exportLibrary = exports_mod.exportLibrary;
/// For the generated root file.
pub const panicHandler = @import("panic.zig").panicHandler;

const ends = @import("channel/ends.zig");
const exports_mod = @import("exports.zig");
const poll_source = @import("poll_source.zig");

test {
    _ = @import("abi.zig");
    _ = @import("buffer.zig");
    _ = @import("channel/ends.zig");
    _ = @import("channel/hostile_tests.zig");
    _ = @import("channel/parker.zig");
    _ = @import("channel/row_tests.zig");
    _ = @import("channel/tests.zig");
    if (@import("coroutine/switch.zig").supported) _ = @import("coroutine/tests.zig");
    _ = @import("coroutine/halves.zig");
    _ = @import("coroutine/stack.zig");
    _ = @import("coroutine/switch.zig");
    _ = @import("coroutine/timers.zig");
    _ = @import("coroutine/wakeup.zig");
    _ = @import("failure.zig");
    _ = @import("function_future.zig");
    _ = @import("function_sink.zig");
    _ = @import("function_source.zig");
    _ = @import("function_transform.zig");
    _ = @import("handoff.zig");
    _ = @import("opening.zig");
    _ = @import("poll_source.zig");
    _ = @import("poller.zig");
    _ = @import("ring.zig");
    _ = @import("runner.zig");
    _ = @import("shape.zig");
    _ = @import("thread_io.zig");
    _ = @import("transform_tests.zig");
    _ = @import("types.zig");
}
