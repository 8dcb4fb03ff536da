//! Files, pipes and terminals, without blocking: from the page cache when what is wanted is there, by
//! readiness where there is such a thing, and otherwise on a thread of the host's.

const std = @import("std");
const Io = std.Io;
const File = Io.File;
const linux = std.os.linux;
const posix = std.posix;
const system = if (@import("builtin").is_test) @import("tests/faults.zig") else linux;
const abi = @import("../abi.zig");
const base = @import("base.zig");
const current = @import("current.zig");
const tasks = @import("io_tasks.zig");
const Attempt = @import("io_operations.zig").Attempt;
const Task = @import("task.zig").Task;

/// As much as std passes on in one call.
const max_iovecs = 8;

/// An attempt to read from where the file stands. (`RWF_NOWAIT`, since Linux 4.14.)
pub fn read(o: Io.Operation.FileReadStreaming) Attempt {
    var iovecs: [max_iovecs]posix.iovec = undefined;
    const n = gather(&iovecs, o.data);
    if (n == 0) return .{ .done = .{ .file_read_streaming = 0 } };
    return switch (nowait(o.file.handle, iovecs[0..n], -1)) {
        .moved => |len| .{ .done = .{ .file_read_streaming = if (len == 0) error.EndOfStream else len } },
        .would_block => if (isFile(o.file.handle)) .blocks else .{
            .wait = .{ .fd = o.file.handle, .interest = abi.interest.readable },
        },
        .unsupported => whenReady(o.file.handle, posix.POLL.IN, abi.interest.readable),
        // Said again, and in std's words, by the call that is allowed to block.
        .failed => .blocks,
    };
}

/// An attempt to write to where the file stands.
pub fn write(o: Io.Operation.FileWriteStreaming) Attempt {
    var iovecs: [max_iovecs]posix.iovec_const = undefined;
    const n = gatherConst(&iovecs, o.header, o.data, o.splat);
    if (n == 0) return .{ .done = .{ .file_write_streaming = 0 } };
    while (true) {
        const rc = system.pwritev2(o.file.handle, &iovecs, n, -1, linux.RWF.NOWAIT);
        switch (linux.errno(rc)) {
            .SUCCESS => return .{ .done = .{ .file_write_streaming = rc } },
            .INTR => {},
            .AGAIN => return if (isFile(o.file.handle)) .blocks else .{
                .wait = .{ .fd = o.file.handle, .interest = abi.interest.writable },
            },
            .OPNOTSUPP, .NOSYS, .INVAL => return whenReady(o.file.handle, posix.POLL.OUT, abi.interest.writable),
            else => return .blocks,
        }
    }
}

/// For a descriptor that knows no calls that don't block: readiness, and then a call that may, in case
/// somebody else was faster.
fn whenReady(fd: i32, events: i16, interest: u32) Attempt {
    if (isFile(fd)) return .blocks;
    var polled = [1]posix.pollfd{.{ .fd = fd, .events = events, .revents = 0 }};
    if (posix.system.poll(&polled, 1, 0) != 0 or !isOpenFor(fd, interest)) return .blocks;
    return .{ .wait = .{ .fd = fd, .interest = interest } };
}

pub fn readPositional(
    userdata: ?*anyopaque,
    file: File,
    data: []const []u8,
    offset: u64,
) File.ReadPositionalError!usize {
    const t = tasks.taskOf(userdata);
    try t.self().checkCancel();
    var iovecs: [max_iovecs]posix.iovec = undefined;
    const n = gather(&iovecs, data);
    if (n == 0) return 0;
    if (std.math.cast(i64, offset)) |at| switch (nowait(file.handle, iovecs[0..n], at)) {
        .moved => |len| {
            t.spend();
            return len;
        },
        .would_block, .unsupported, .failed => {},
    };
    return base.offload(t, "fileReadPositional", .{ file, data, offset });
}

const Read = union(enum) {
    moved: usize,
    would_block,
    unsupported,
    failed,
};

fn nowait(fd: i32, iovecs: []const posix.iovec, offset: i64) Read {
    while (true) {
        const rc = system.preadv2(fd, iovecs.ptr, iovecs.len, offset, linux.RWF.NOWAIT);
        return switch (linux.errno(rc)) {
            .SUCCESS => .{ .moved = rc },
            .INTR => continue,
            .AGAIN => .would_block,
            .OPNOTSUPP, .NOSYS, .INVAL => .unsupported,
            else => .failed,
        };
    }
}

/// Nobody tells when such a file is ready; it always is, and takes its time.
fn isFile(fd: i32) bool {
    if (linux.errno(linux.lseek(fd, 0, linux.SEEK.CUR)) != .SUCCESS) return false;
    // Timers, events, and what watches folders let themselves be sought in as well, and are ready when they are.
    var status: linux.Statx = undefined;
    if (linux.errno(linux.statx(fd, "", linux.AT.EMPTY_PATH, .{ .TYPE = true }, &status)) != .SUCCESS) return true;
    return switch (status.mode & linux.S.IFMT) {
        linux.S.IFREG, linux.S.IFDIR, linux.S.IFBLK => true,
        else => false,
    };
}

/// One that is not is never ready, and the call says so at once.
fn isOpenFor(fd: i32, interest: u32) bool {
    const flags = linux.fcntl(fd, linux.F.GETFL, 0);
    if (linux.errno(flags) != .SUCCESS) return false;
    const open: linux.O = @bitCast(@as(u32, @truncate(flags)));
    return if (interest == abi.interest.readable) open.ACCMODE != .WRONLY else open.ACCMODE != .RDONLY;
}

/// The descriptors' tickets go before the descriptors.
pub fn close(userdata: ?*anyopaque, closed: []const File) void {
    for (closed) |file| forget(tasks.taskOf(userdata), file.handle);
    base.call("fileClose", .{closed});
}

pub fn forget(t: *Task, fd: i32) void {
    const Close = struct { task: *Task, fd: i32 };
    if (!t.descriptors.knows(fd)) return;
    current.onThreadStack(Close{ .task = t, .fd = fd }, struct {
        fn close(c: Close) void {
            c.task.descriptors.close(c.fd);
        }
    }.close);
}

pub fn gather(iovecs: []posix.iovec, data: []const []u8) usize {
    var n: usize = 0;
    for (data) |bytes| {
        if (n == iovecs.len) break;
        if (bytes.len == 0) continue;
        iovecs[n] = .{ .base = bytes.ptr, .len = bytes.len };
        n += 1;
    }
    return n;
}

/// The last of `data` is written `splat` times. What doesn't fit is the caller's next write.
pub fn gatherConst(iovecs: []posix.iovec_const, header: []const u8, data: []const []const u8, splat: usize) usize {
    var n: usize = 0;
    add(iovecs, &n, header);
    if (data.len == 0) return n;
    for (data[0 .. data.len - 1]) |bytes| add(iovecs, &n, bytes);
    for (0..@min(splat, iovecs.len)) |_| add(iovecs, &n, data[data.len - 1]);
    return n;
}

fn add(iovecs: []posix.iovec_const, n: *usize, bytes: []const u8) void {
    if (bytes.len == 0 or n.* == iovecs.len) return;
    iovecs[n.*] = .{ .base = bytes.ptr, .len = bytes.len };
    n.* += 1;
}
