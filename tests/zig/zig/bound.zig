//! A function that is bound to its thread, for the integration tests.

const std = @import("std");
const zg = @import("ziggurat");
const Io = std.Io;

/// Per item, whether this is still the thread that it was: it keeps a thread-local's address across waits.
pub fn bound(io: Io, out: *zg.Out(u64), count: u64) !void {
    const here = &on_this_thread;
    here.* = count;
    for (0..count) |i| {
        try io.sleep(.fromMicroseconds(20), .awake);
        try out.send(if (here == threadLocal()) here.* else 0);
        here.* = count - i - 1;
    }
}

threadlocal var on_this_thread: u64 = 0;

noinline fn threadLocal() *u64 {
    return &on_this_thread;
}
