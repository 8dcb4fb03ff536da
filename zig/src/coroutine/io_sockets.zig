//! Sockets, by calls that don't block and readiness. (`std.Io.Threaded` takes `EAGAIN` for a bug, so that
//! these are our own. The errors are its.)

const std = @import("std");
const Io = std.Io;
const net = Io.net;
const posix = std.posix;
const system = if (@import("builtin").is_test) @import("tests/faults.zig") else posix.system;
const Threaded = Io.Threaded;
const abi = @import("../abi.zig");
const base = @import("base.zig");
const files = @import("io_files.zig");
const operations = @import("io_operations.zig");
const tasks = @import("io_tasks.zig");
const Attempt = operations.Attempt;
const Found = @import("../thread_io.zig").Found;
const Operation = Io.Operation;
const Task = @import("task.zig").Task;

const max_iovecs = 8;

/// Something that std's errors have no name for. std's own reporting prints a stack trace in debug builds.
fn unexpected() Io.UnexpectedError {
    return error.Unexpected;
}

pub fn read(o: Operation.NetRead) Attempt {
    var iovecs: [max_iovecs]posix.iovec = undefined;
    const n = files.gather(&iovecs, o.data);
    if (n == 0) return .{ .done = .{ .net_read = .{ .data_len = 0 } } };
    var message: posix.msghdr = .{
        .name = null,
        .namelen = 0,
        .iov = &iovecs,
        .iovlen = @intCast(n),
        .control = if (o.control.len == 0) null else o.control.ptr,
        .controllen = @intCast(o.control.len),
        .flags = 0,
    };
    while (true) {
        const rc = system.recvmsg(o.socket_handle, &message, posix.MSG.DONTWAIT | posix.MSG.CMSG_CLOEXEC);
        const result: Operation.NetRead.Result = switch (posix.errno(rc)) {
            .SUCCESS => .{
                .data_len = @intCast(rc),
                .control_len = @intCast(message.controllen),
                .control_truncated = message.flags & posix.MSG.CTRUNC != 0,
            },
            .INTR => continue,
            .AGAIN => return readable(o.socket_handle),
            .NOBUFS, .NOMEM => error.SystemResources,
            .NOTCONN, .PIPE => error.SocketUnconnected,
            .CONNRESET => error.ConnectionResetByPeer,
            .TIMEDOUT => error.ConnectionTimedOut,
            .NETDOWN => error.NetworkDown,
            else => unexpected(),
        };
        return .{ .done = .{ .net_read = result } };
    }
}

pub fn write(o: Operation.NetWrite) Attempt {
    var iovecs: [max_iovecs]posix.iovec_const = undefined;
    const n = files.gatherConst(&iovecs, o.header, o.data, o.splat);
    const message: posix.msghdr_const = .{
        .name = null,
        .namelen = 0,
        .iov = &iovecs,
        .iovlen = @intCast(n),
        .control = if (o.control.len == 0) null else @constCast(o.control.ptr),
        .controllen = @intCast(o.control.len),
        .flags = 0,
    };
    while (true) {
        const rc = system.sendmsg(o.socket_handle, &message, posix.MSG.DONTWAIT | posix.MSG.NOSIGNAL);
        const result: Operation.NetWrite.Result = switch (posix.errno(rc)) {
            .SUCCESS => @intCast(rc),
            .INTR => continue,
            .AGAIN => return writable(o.socket_handle),
            .ALREADY => error.FastOpenAlreadyInProgress,
            .CONNRESET => error.ConnectionResetByPeer,
            .NOBUFS, .NOMEM => error.SystemResources,
            .PIPE, .NOTCONN => error.SocketUnconnected,
            .AFNOSUPPORT => error.AddressFamilyUnsupported,
            .HOSTUNREACH => error.HostUnreachable,
            .NETUNREACH => error.NetworkUnreachable,
            .TIMEDOUT => error.ConnectionTimedOut,
            .NETDOWN => error.NetworkDown,
            else => unexpected(),
        };
        return .{ .done = .{ .net_write = result } };
    }
}

/// One message, as `std.Io.Threaded` does.
pub fn receive(o: Operation.NetReceive) Attempt {
    const message = &o.message_buffer[0];
    const flags: u32 = @as(u32, if (o.flags.oob) posix.MSG.OOB else 0) |
        @as(u32, if (o.flags.peek) posix.MSG.PEEK else 0) |
        @as(u32, if (o.flags.trunc) posix.MSG.TRUNC else 0) | posix.MSG.DONTWAIT;
    var from: Threaded.PosixAddress = undefined;
    var iovec: posix.iovec = .{ .base = o.data_buffer.ptr, .len = o.data_buffer.len };
    var header: posix.msghdr = .{
        .name = &from.any,
        .namelen = @sizeOf(Threaded.PosixAddress),
        .iov = (&iovec)[0..1],
        .iovlen = 1,
        .control = message.control.ptr,
        .controllen = @intCast(message.control.len),
        .flags = 0,
    };
    const err: net.Socket.ReceiveError = while (true) {
        const rc = system.recvmsg(o.socket_handle, &header, flags);
        switch (posix.errno(rc)) {
            .SUCCESS => {
                // With `trunc` the length is that of the message, which may be more than there was room for.
                const len = @min(@as(usize, @intCast(rc)), o.data_buffer.len);
                message.* = .{
                    .from = Threaded.addressFromPosix(&from),
                    .data = o.data_buffer[0..len],
                    .control = message.control[0..@min(header.controllen, message.control.len)],
                    .flags = .{
                        .eor = header.flags & posix.MSG.EOR != 0,
                        .trunc = header.flags & posix.MSG.TRUNC != 0,
                        .ctrunc = header.flags & posix.MSG.CTRUNC != 0,
                        .oob = header.flags & posix.MSG.OOB != 0,
                        .errqueue = header.flags & posix.MSG.ERRQUEUE != 0,
                    },
                };
                return .{ .done = .{ .net_receive = .{ null, 1 } } };
            },
            .INTR => {},
            .AGAIN => return readable(o.socket_handle),
            .NFILE => break error.SystemFdQuotaExceeded,
            .MFILE => break error.ProcessFdQuotaExceeded,
            .NOBUFS, .NOMEM => break error.SystemResources,
            .NOTCONN, .PIPE => break error.SocketUnconnected,
            .MSGSIZE => break error.MessageOversize,
            .CONNRESET => break error.ConnectionResetByPeer,
            .TIMEDOUT => break error.ConnectionTimedOut,
            .NETDOWN => break error.NetworkDown,
            else => break unexpected(),
        }
    };
    return .{ .done = .{ .net_receive = .{ err, 0 } } };
}

/// As many messages as go without waiting, at least one.
pub fn send(o: Operation.NetSend) Attempt {
    const flags: u32 = @as(u32, if (o.flags.confirm) posix.MSG.CONFIRM else 0) |
        @as(u32, if (o.flags.dont_route) posix.MSG.DONTROUTE else 0) |
        @as(u32, if (o.flags.eor) posix.MSG.EOR else 0) |
        @as(u32, if (o.flags.oob) posix.MSG.OOB else 0) |
        @as(u32, if (o.flags.fastopen) posix.MSG.FASTOPEN else 0) |
        posix.MSG.DONTWAIT | posix.MSG.NOSIGNAL;
    for (o.messages, 0..) |*message, sent| {
        sendOne(o.socket_handle, message, flags) catch |err| switch (err) {
            // std's contract is all or an error, so what is left is sent later.
            error.WouldBlock => return if (sent == 0)
                writable(o.socket_handle)
            else
                .{ .done = .{ .net_send = .{ null, sent } } },
            else => |e| return .{ .done = .{ .net_send = .{ e, sent } } },
        };
    }
    return .{ .done = .{ .net_send = .{ null, o.messages.len } } };
}

fn sendOne(fd: posix.fd_t, message: *net.OutgoingMessage, flags: u32) (net.Socket.SendError || error{WouldBlock})!void {
    var to: Threaded.PosixAddress = undefined;
    var iovec: posix.iovec_const = .{ .base = message.data_ptr, .len = message.data_len };
    const header: posix.msghdr_const = .{
        .name = &to.any,
        .namelen = Threaded.addressToPosix(message.address, &to),
        .iov = (&iovec)[0..1],
        .iovlen = 1,
        .control = if (message.control.len == 0) null else @constCast(message.control.ptr),
        .controllen = @intCast(message.control.len),
        .flags = 0,
    };
    while (true) {
        const rc = system.sendmsg(fd, &header, flags);
        switch (posix.errno(rc)) {
            .SUCCESS => {
                message.data_len = @intCast(rc);
                return;
            },
            .INTR => {},
            .AGAIN => return error.WouldBlock,
            .ACCES => return error.AccessDenied,
            .ALREADY => return error.FastOpenAlreadyInProgress,
            .CONNRESET => return error.ConnectionResetByPeer,
            .CONNREFUSED => return error.ConnectionRefused,
            .MSGSIZE => return error.MessageOversize,
            .NOBUFS, .NOMEM => return error.SystemResources,
            .PIPE, .NOTCONN => return error.SocketUnconnected,
            .AFNOSUPPORT => return error.AddressFamilyUnsupported,
            .HOSTUNREACH => return error.HostUnreachable,
            .NETUNREACH => return error.NetworkUnreachable,
            .TIMEDOUT => return error.ConnectionTimedOut,
            .NETDOWN => return error.NetworkDown,
            else => return unexpected(),
        }
    }
}

fn readable(fd: posix.fd_t) Attempt {
    return .{ .wait = .{ .fd = fd, .interest = abi.interest.readable } };
}

fn writable(fd: posix.fd_t) Attempt {
    return .{ .wait = .{ .fd = fd, .interest = abi.interest.writable } };
}

pub fn accept(
    userdata: ?*anyopaque,
    listener: net.Socket.Handle,
    options: net.Server.AcceptOptions,
) net.Server.AcceptError!net.Socket {
    _ = options;
    const t = tasks.taskOf(userdata);
    try t.self().checkCancel();
    // There is no flag for a single call: a listener that a coroutine accepts on is non-blocking from then on.
    try setNonblocking(listener);
    while (true) {
        var from: Threaded.PosixAddress = undefined;
        var len: posix.socklen_t = @sizeOf(Threaded.PosixAddress);
        const rc = system.accept4(listener, &from.any, &len, posix.SOCK.CLOEXEC);
        switch (posix.errno(rc)) {
            .SUCCESS => {
                t.spend();
                return .{ .handle = @intCast(rc), .address = Threaded.addressFromPosix(&from) };
            },
            .INTR => {},
            .AGAIN => try operations.waitFor(t, listener, abi.interest.readable),
            .CONNABORTED => return error.ConnectionAborted,
            .INVAL => return error.SocketNotListening,
            .MFILE => return error.ProcessFdQuotaExceeded,
            .NFILE => return error.SystemFdQuotaExceeded,
            .NOBUFS, .NOMEM => return error.SystemResources,
            .PROTO => return error.ProtocolFailure,
            .PERM => return error.BlockedByFirewall,
            else => return unexpected(),
        }
    }
}

fn setNonblocking(fd: posix.fd_t) Io.UnexpectedError!void {
    const flags = system.fcntl(fd, posix.F.GETFL, @as(usize, 0));
    if (posix.errno(flags) != .SUCCESS) return unexpected();
    const nonblocking = @as(usize, 1) << @bitOffsetOf(posix.O, "NONBLOCK");
    const wanted = @as(usize, @intCast(flags)) | nonblocking;
    if (wanted == flags) return;
    if (posix.errno(system.fcntl(fd, posix.F.SETFL, wanted)) != .SUCCESS) return unexpected();
}

pub fn connect(
    userdata: ?*anyopaque,
    address: *const net.IpAddress,
    options: net.IpAddress.ConnectOptions,
) net.IpAddress.ConnectError!net.Socket {
    const t = tasks.taskOf(userdata);
    try t.self().checkCancel();
    const deadline = tasks.deadlineOf(t, options.timeout);
    const fd = try open(Threaded.posixAddressFamily(address), options);
    errdefer closeOne(t, fd);
    var storage: Threaded.PosixAddress = undefined;
    var len = Threaded.addressToPosix(address, &storage);
    switch (posix.errno(system.connect(fd, &storage.any, len))) {
        .SUCCESS => {},
        // Also after a signal the connection goes on being made.
        .INPROGRESS, .INTR => {
            try waitConnected(t, fd, deadline);
            var code: c_int = 0;
            var code_len: posix.socklen_t = @sizeOf(c_int);
            const rc = system.getsockopt(fd, posix.SOL.SOCKET, posix.SO.ERROR, @ptrCast(&code), &code_len);
            if (posix.errno(rc) != .SUCCESS) return unexpected();
            if (code != 0) return connectError(@fromBackingInt(@intCast(code)));
        },
        else => |err| return connectError(err),
    }
    if (posix.errno(system.getsockname(fd, &storage.any, &len)) != .SUCCESS) return unexpected();
    return .{ .handle = fd, .address = Threaded.addressFromPosix(&storage) };
}

/// Readiness may be reported too often, and a socket that is still connecting has no error either: so the
/// system is asked.
fn waitConnected(t: *Task, fd: posix.fd_t, deadline: ?i64) (Io.Cancelable || Io.Timeout.Error)!void {
    while (true) {
        var polled = [1]posix.pollfd{.{ .fd = fd, .events = posix.POLL.OUT, .revents = 0 }};
        if (system.poll(&polled, 1, 0) != 0 and polled[0].revents != 0) return;
        try operations.waitUntil(t, fd, abi.interest.writable, deadline);
    }
}

fn open(family: posix.sa_family_t, options: net.IpAddress.ConnectOptions) net.IpAddress.ConnectError!posix.fd_t {
    const mode, const protocol = try Threaded.posixSocketModeProtocol(family, options.mode, options.protocol);
    const rc = system.socket(family, mode | posix.SOCK.CLOEXEC | posix.SOCK.NONBLOCK, protocol);
    return switch (posix.errno(rc)) {
        .SUCCESS => @intCast(rc),
        .AFNOSUPPORT => error.AddressFamilyUnsupported,
        .INVAL => error.ProtocolUnsupportedBySystem,
        .MFILE => error.ProcessFdQuotaExceeded,
        .NFILE => error.SystemFdQuotaExceeded,
        .NOBUFS, .NOMEM => error.SystemResources,
        .PROTONOSUPPORT => error.ProtocolUnsupportedByAddressFamily,
        .PROTOTYPE => error.SocketModeUnsupported,
        else => unexpected(),
    };
}

fn connectError(err: posix.E) net.IpAddress.ConnectError {
    return switch (err) {
        .ADDRNOTAVAIL => error.AddressUnavailable,
        .AFNOSUPPORT => error.AddressFamilyUnsupported,
        // Not that it is being made: nothing has begun.
        .AGAIN => error.WouldBlock,
        .ALREADY => error.ConnectionPending,
        .CONNREFUSED => error.ConnectionRefused,
        .CONNRESET => error.ConnectionResetByPeer,
        .HOSTUNREACH => error.HostUnreachable,
        .NETUNREACH => error.NetworkUnreachable,
        .TIMEDOUT => error.Timeout,
        .ACCES, .PERM => error.AccessDenied,
        .NETDOWN => error.NetworkDown,
        else => unexpected(),
    };
}

pub fn close(userdata: ?*anyopaque, closed: []const net.Socket) void {
    for (closed) |socket| closeOne(tasks.taskOf(userdata), socket.handle);
}

fn closeOne(t: *Task, fd: posix.fd_t) void {
    files.forget(t, fd);
    base.call("netClose", .{&.{net.Socket{ .handle = fd, .address = .{ .ip4 = .loopback(0) } }}});
}

/// The resolver blocks, and publishes through a queue: on its thread through one of its own, whose contents
/// then go through the caller's. What is an address already needs no resolver, and no thread.
pub fn lookup(
    userdata: ?*anyopaque,
    name: net.HostName,
    resolved: *Io.Queue(net.HostName.LookupResult),
    options: net.HostName.LookupOptions,
) net.HostName.LookupError!void {
    const t = tasks.taskOf(userdata);
    defer resolved.close(t.io());
    try t.self().checkCancel();
    if (try literal(name.bytes, options)) |address| {
        var results: [2]net.HostName.LookupResult = .{ .{ .address = address }, undefined };
        const buffer = options.canonical_name_buffer;
        if (buffer) |canonical| {
            @memcpy(canonical[0..name.bytes.len], name.bytes);
            results[1] = .{ .canonical_name = .{ .bytes = canonical[0..name.bytes.len] } };
        }
        return publish(t, resolved, results[0..if (buffer == null) 1 else 2]);
    }
    const Lookup = struct {
        name: net.HostName,
        options: net.HostName.LookupOptions,
        found: Found = .{},
        result: net.HostName.LookupError!void = {},

        fn run(l: *@This()) void {
            l.result = l.found.lookup(base.io(), l.name, l.options);
        }
    };
    var l: Lookup = .{ .name = name, .options = options };
    try base.elsewhere(t, &l, Lookup.run);
    try publish(t, resolved, l.found.buffer[0..l.found.count]);
    return l.result;
}

fn publish(
    t: *Task,
    resolved: *Io.Queue(net.HostName.LookupResult),
    results: []const net.HostName.LookupResult,
) Io.Cancelable!void {
    resolved.putAll(t.io(), results) catch |err| switch (err) {
        error.Closed => unreachable, // nobody closes it before the look-up returns
        error.Canceled => |e| return e,
    };
}

/// The address that `name` spells, as std takes it where it does without a system's resolver.
fn literal(name: []const u8, options: net.HostName.LookupOptions) error{UnknownHostName}!?net.IpAddress {
    const address: net.IpAddress = net.IpAddress.parseIp6(name, options.port) catch
        net.IpAddress.parseIp4(name, options.port) catch return null;
    if (options.family) |family| if (address != family) return error.UnknownHostName;
    return address;
}
