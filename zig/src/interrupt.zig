//! The signal that interrupts a system call of a cancelled function.
//!
//! `std.Io.Threaded` sends SIGIO to the thread. Its default action ends the process, so a handler that
//! does nothing takes its place, once, unless the program already has a handler of its own. (One with
//! SA_RESTART lets a blocked system call go on; then the function ends when that returns.)

const std = @import("std");
const posix = std.posix;

var prepared: std.atomic.Value(bool) = .init(false);

pub fn prepare() void {
    if (posix.Sigaction == void) return;
    if (!@hasField(posix.SIG, "IO")) return;
    if (prepared.load(.acquire)) return;
    var current: posix.Sigaction = undefined;
    posix.sigaction(.IO, null, &current);
    // One that is ignored interrupts nothing, and is what a parent process left rather than a choice.
    if (current.handler.handler == posix.SIG.DFL or current.handler.handler == posix.SIG.IGN) {
        const nothing: posix.Sigaction = .{
            .handler = .{ .handler = doNothing },
            .mask = posix.sigemptyset(),
            // Without SA_RESTART: the call has to come back.
            .flags = 0,
        };
        posix.sigaction(.IO, &nothing, null);
    }
    prepared.store(true, .release);
}

/// A new thread inherits what its starter blocks, and an executor's thread may block every signal.
pub fn unblock() void {
    if (posix.Sigaction == void) return;
    if (!@hasField(posix.SIG, "IO")) return;
    var set = posix.sigemptyset();
    posix.sigaddset(&set, .IO);
    posix.sigprocmask(posix.SIG.UNBLOCK, &set, null);
}

fn doNothing(_: posix.SIG) callconv(.c) void {}
