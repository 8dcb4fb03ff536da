//! `std.Io` for the fibers of a task: every entry, and what it does to the executor's thread.
//!
//! No entry blocks it. An entry
//!
//! - **parks**: the fiber waits, and others run. A cancelation point, unless it says *uncancelable*;
//! - is **offloaded**: a thread of the host's does it, by `std.Io.Threaded`'s function, while the fiber is parked.
//!   A cancelation point before it begins. Once begun it is waited for, because what it reads and writes belongs
//!   to the fiber;
//! - is **inline**: done at once. What is in memory, or in the kernel's.
//!
//! | entry | how |
//! |---|---|
//! | `async`, `groupAsync` | inline: a fiber of this task; without a stack for it, the function itself |
//! | `concurrent`, `groupConcurrent` | inline: a fiber of this task |
//! | `await`, `groupAwait` | parks; a cancelation goes on to who is awaited |
//! | `cancel`, `groupCancel` | parks, uncancelable |
//! | `recancel`, `swapCancelProtection` | inline |
//! | `checkCancel` | inline; now and then parks, so that the executor gets its thread back |
//! | `futexWait`, `sleep` | parks |
//! | `futexWaitUncancelable` | parks, uncancelable |
//! | `futexWake` | inline, from any thread |
//! | `operate`: `net_…` | inline when it goes without waiting, otherwise parks for readiness |
//! | `operate`: `file_…_streaming` | inline from and to the page cache; a pipe parks; otherwise offloaded |
//! | `operate`: `device_io_control` | offloaded |
//! | `batchAwaitAsync`, `batchAwaitConcurrent` | each operation as above; parks for any of up to 64 |
//! | `batchCancel` | inline |
//! | `fileReadPositional` | inline from the page cache, otherwise offloaded |
//! | `fileClose`, `dirClose`, `netClose` | inline, after the host has forgotten the descriptor |
//! | `fileIsTty`, `file…AnsiEscapeCodes`, `fileSeekBy`, `fileSeekTo` | inline |
//! | `fileTryLock`, `fileUnlock`, `fileDowngradeLock` | inline |
//! | other `file…`, `dir…` and `process…` entries, `childKill` | offloaded |
//! | `childWait` | parks until the child has ended |
//! | `file…WriteFile…`, `netWriteFile` | `error.Unimplemented`, for which std reads and writes |
//! | `netAccept`, `netConnectIp` | parks for readiness, and until the timeout |
//! | `netConnectUnix`, `netListenUnix`, `netInterface…` | offloaded |
//! | `netLookup` | offloaded; inline where the name is an address |
//! | `netListenIp`, `netBindIp`, `netSocketCreatePair`, `netShutdown` | inline |
//! | `now` | inline, by the host's clock; those of the processor by the system's |
//! | `clockResolution`, `random` | inline |
//! | `randomSecure` | offloaded: early in a machine's life it waits for entropy |
//! | `lockStderr` | inline when it is free, otherwise parks for a millisecond at a time |
//! | `tryLockStderr`, `unlockStderr`, `crashHandler` | inline |
//! | `progressParentFile`, `inheritParentDir`, `inheritParentFile` | inline |
//!
//! What is written to stderr under its lock blocks as long as stderr does, as Rust's `eprintln!`. The lock is the
//! fiber's, which may park while it has it.
//!
//! An `Io` belongs to the fibers of its task. The one entry for other threads is `futexWake` (and so what only
//! wakes: an event that is set, a mutex that is unlocked). Futures and groups are awaited in the task that
//! made them. A descriptor that was waited for is closed through an `io` of the task that waited.

const std = @import("std");
const Io = std.Io;
const net = Io.net;
const base = @import("base.zig");
const current = @import("current.zig");
const files = @import("io_files.zig");
const operations = @import("io_operations.zig");
const processes = @import("io_processes.zig");
const sockets = @import("io_sockets.zig");
const stderr = @import("io_stderr.zig");
const tasks = @import("io_tasks.zig");

/// Entries that are ours.
const ours = struct {
    pub const async = tasks.async;
    pub const concurrent = tasks.concurrent;
    pub const await = tasks.await;
    pub const cancel = tasks.cancel;
    pub const groupAsync = tasks.groupAsync;
    pub const groupConcurrent = tasks.groupConcurrent;
    pub const groupAwait = tasks.groupAwait;
    pub const groupCancel = tasks.groupCancel;
    pub const recancel = tasks.recancel;
    pub const swapCancelProtection = tasks.swapCancelProtection;
    pub const checkCancel = tasks.checkCancel;
    pub const futexWait = tasks.futexWait;
    pub const futexWaitUncancelable = tasks.futexWaitUncancelable;
    pub const futexWake = tasks.futexWake;
    pub const now = tasks.now;
    pub const sleep = tasks.sleep;
    pub const operate = operations.operate;
    pub const batchAwaitAsync = operations.batchAwaitAsync;
    pub const batchAwaitConcurrent = operations.batchAwaitConcurrent;
    pub const batchCancel = operations.batchCancel;
    pub const fileReadPositional = files.readPositional;
    pub const fileClose = files.close;
    pub const childWait = processes.wait;
    pub const childKill = processes.kill;
    pub const netAccept = sockets.accept;
    pub const netConnectIp = sockets.connect;
    pub const netClose = sockets.close;
    pub const netLookup = sockets.lookup;
    pub const lockStderr = stderr.lock;
    pub const tryLockStderr = stderr.tryLock;
    pub const unlockStderr = stderr.unlock;

    pub fn fileWriteFileStreaming(
        _: ?*anyopaque,
        _: Io.File,
        _: []const u8,
        _: *Io.File.Reader,
        _: Io.Limit,
    ) Io.File.Writer.WriteFileError!usize {
        return error.Unimplemented;
    }

    pub fn fileWriteFilePositional(
        _: ?*anyopaque,
        _: Io.File,
        _: []const u8,
        _: *Io.File.Reader,
        _: Io.Limit,
        _: u64,
    ) Io.File.WriteFilePositionalError!usize {
        return error.Unimplemented;
    }

    pub fn netWriteFile(
        _: ?*anyopaque,
        _: net.Socket.Handle,
        _: []const u8,
        _: *Io.File.Reader,
        _: Io.Limit,
    ) net.Stream.Writer.WriteFileError!usize {
        return error.Unimplemented;
    }

    /// Not on the fiber's own stack: an overflow would leave std's lock locked, for the whole process.
    pub fn random(_: ?*anyopaque, buffer: []u8) void {
        current.onThreadStack(buffer, struct {
            fn fill(bytes: []u8) void {
                base.call("random", .{bytes});
            }
        }.fill);
    }
};

/// Entries of std's that don't block.
const inlined = [_][]const u8{
    "crashHandler",
    "dirClose",
    "fileIsTty",
    "fileSupportsAnsiEscapeCodes",
    "fileEnableAnsiEscapeCodes",
    "fileSeekBy",
    "fileSeekTo",
    "fileUnlock",
    "fileTryLock",
    "fileDowngradeLock",
    "netListenIp",
    "netBindIp",
    "netSocketCreatePair",
    "netShutdown",
    "clockResolution",
    "progressParentFile",
    "inheritParentDir",
    "inheritParentFile",
};

/// Entries of std's that may block.
const offloaded = [_][]const u8{
    "dirCreateDir",         "dirCreateDirPath",        "dirCreateDirPathOpen",   "dirOpenDir",
    "dirStat",              "dirStatFile",             "dirAccess",              "dirCreateFile",
    "dirCreateFileAtomic",  "dirOpenFile",             "dirRead",                "dirRealPath",
    "dirRealPathFile",      "dirDeleteFile",           "dirDeleteDir",           "dirRename",
    "dirRenamePreserve",    "dirSymLink",              "dirReadLink",            "dirSetOwner",
    "dirSetFileOwner",      "dirSetPermissions",       "dirSetFilePermissions",  "dirSetTimestamps",
    "dirHardLink",          "fileStat",                "fileLength",             "fileWritePositional",
    "fileSync",             "fileSetLength",           "fileSetOwner",           "fileSetPermissions",
    "fileSetTimestamps",    "fileLock",                "fileRealPath",           "fileHardLink",
    "fileMemoryMapCreate",  "fileMemoryMapDestroy",    "fileMemoryMapSetLength", "fileMemoryMapRead",
    "fileMemoryMapWrite",   "processExecutableOpen",   "processExecutablePath",  "processCurrentPath",
    "processSetCurrentDir", "processSetCurrentPath",   "processReplace",         "processSpawn",
    "childWait",            "childKill",               "randomSecure",           "netListenUnix",
    "netConnectUnix",       "netInterfaceNameResolve", "netInterfaceName",
};

/// An entry that a future std adds is a compile error, not a guess.
pub const vtable: Io.VTable = vtable: {
    @setEvalBranchQuota(100_000);
    var table: Io.VTable = undefined;
    for (@typeInfo(Io.VTable).@"struct".field_names) |name| {
        @field(table, name) = if (@hasDecl(ours, name))
            &@field(ours, name)
        else if (contains(&inlined, name))
            base.inlined(name)
        else if (contains(&offloaded, name))
            base.offloaded(name)
        else
            @compileError("ziggurat: std.Io has an entry `" ++ name ++ "` that coroutines know nothing of");
    }
    break :vtable table;
};

fn contains(list: []const []const u8, name: []const u8) bool {
    for (list) |entry| if (std.mem.eql(u8, entry, name)) return true;
    return false;
}
