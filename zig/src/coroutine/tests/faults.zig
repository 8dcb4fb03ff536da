//! The system calls of sockets and files, with faults that a test asks for: interrupted, moving less than there is, or
//! with the connection gone. What an empty or full socket does needs no pretence: see `TestHost.fickle`.

const std = @import("std");
const linux = std.os.linux;
const posix = std.posix;
const system = posix.system;

/// No faults unless set. For one test at a time, on the thread that polls.
pub threadlocal var plan: ?*Plan = null;

pub const Plan = struct {
    random: std.Random.DefaultPrng,
    /// What becomes of every attempt to connect.
    refuse_connect: ?posix.E = null,
    /// Bytes until every connection is reset.
    bytes_until_reset: usize = std.math.maxInt(usize),
    /// How many there were.
    interrupted: usize = 0,
    shortened: usize = 0,
    blocked: usize = 0,
    resets: usize = 0,

    pub fn init(seed: u64) Plan {
        return .{ .random = .init(seed) };
    }

    fn oneIn(p: *Plan, n: u32) bool {
        return p.random.random().uintLessThan(u32, n) == 0;
    }

    /// What to answer instead of a call.
    fn instead(p: *Plan) ?posix.E {
        if (p.bytes_until_reset == 0) {
            p.resets += 1;
            return .CONNRESET;
        }
        if (!p.oneIn(3)) return null;
        p.interrupted += 1;
        return .INTR;
    }

    /// How many bytes to move of so many.
    fn shorten(p: *Plan, len: usize) usize {
        if (len < 2 or p.oneIn(3)) return @min(len, p.bytes_until_reset);
        p.shortened += 1;
        return @min(1 + p.random.random().uintLessThan(usize, len - 1), p.bytes_until_reset);
    }
};

fn fail(comptime R: type, err: posix.E) R {
    std.c._errno().* = @backingInt(err);
    return -1;
}

pub const fcntl = system.fcntl;
pub const getsockname = system.getsockname;
pub const getsockopt = system.getsockopt;
pub const poll = system.poll;
pub const socket = system.socket;

pub fn recvmsg(fd: i32, message: *posix.msghdr, flags: u32) isize {
    const p = plan orelse return system.recvmsg(fd, message, flags);
    if (message.iovlen == 0) return system.recvmsg(fd, message, flags);
    if (p.instead()) |err| return fail(isize, err);
    var iovec = message.iov[0];
    // Not of datagrams, which come whole.
    if (message.name == null) iovec.len = p.shorten(iovec.len);
    var shorter = message.*;
    shorter.iov = (&iovec)[0..1];
    shorter.iovlen = 1;
    const rc = system.recvmsg(fd, &shorter, flags);
    message.namelen = shorter.namelen;
    message.controllen = shorter.controllen;
    message.flags = shorter.flags;
    return moved(p, rc);
}

pub fn sendmsg(fd: i32, message: *const posix.msghdr_const, flags: u32) isize {
    const p = plan orelse return system.sendmsg(fd, message, flags);
    if (p.instead()) |err| return fail(isize, err);
    if (message.name != null or message.iovlen == 0) return system.sendmsg(fd, message, flags);
    var iovec = message.iov[0];
    iovec.len = p.shorten(iovec.len);
    var shorter = message.*;
    shorter.iov = (&iovec)[0..1];
    shorter.iovlen = 1;
    return moved(p, system.sendmsg(fd, &shorter, flags));
}

fn moved(p: *Plan, rc: isize) isize {
    if (rc > 0) p.bytes_until_reset -|= @intCast(rc);
    if (rc < 0 and posix.errno(rc) == .AGAIN) p.blocked += 1;
    return rc;
}

pub fn accept4(fd: i32, address: *posix.sockaddr, len: *posix.socklen_t, flags: u32) c_int {
    if (plan) |p| if (p.oneIn(2)) {
        p.interrupted += 1;
        return fail(c_int, .INTR);
    };
    return system.accept4(fd, address, len, flags);
}

pub fn connect(fd: i32, address: *const posix.sockaddr, len: posix.socklen_t) c_int {
    if (plan) |p| if (p.refuse_connect) |err| return fail(c_int, err);
    return system.connect(fd, address, len);
}

pub fn preadv2(fd: i32, iovecs: [*]const posix.iovec, count: usize, offset: i64, flags: linux.kernel_rwf) usize {
    const p = plan orelse return linux.preadv2(fd, iovecs, count, offset, flags);
    if (instead(p, fd)) |rc| return rc;
    var iovec = iovecs[0];
    iovec.len = p.shorten(iovec.len);
    return linux.preadv2(fd, (&iovec)[0..1], 1, offset, flags);
}

pub fn pwritev2(fd: i32, iovecs: [*]const posix.iovec_const, count: usize, offset: i64, flags: linux.kernel_rwf) usize {
    const p = plan orelse return linux.pwritev2(fd, iovecs, count, offset, flags);
    if (instead(p, fd)) |rc| return rc;
    var iovec = iovecs[0];
    iovec.len = p.shorten(iovec.len);
    return linux.pwritev2(fd, (&iovec)[0..1], 1, offset, flags);
}

/// What is in the page cache by now need not be there the next time.
fn instead(p: *Plan, fd: i32) ?usize {
    const seekable = linux.errno(linux.lseek(fd, 0, linux.SEEK.CUR)) == .SUCCESS;
    const err: linux.E = switch (p.random.random().uintLessThan(u32, 4)) {
        0 => .INTR,
        1 => if (seekable) .AGAIN else return null,
        else => return null,
    };
    if (err == .INTR) p.interrupted += 1 else p.blocked += 1;
    return @bitCast(-@as(isize, @backingInt(err)));
}
