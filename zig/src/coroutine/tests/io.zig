//! Sockets, files, pipes and what is offloaded, through `std.Io` as users call it.

const std = @import("std");
const Io = std.Io;
const net = Io.net;
const linux = std.os.linux;
const abi = @import("../../abi.zig");
const script = @import("script.zig");
const TestHost = @import("../../testing_host.zig").TestHost;
const expectEqual = std.testing.expectEqual;
const pause = script.pause;

const echo = struct {
    const total = 3 * 1024 * 1024;

    fn serve(io: Io, server: *net.Server) !void {
        const stream = server.accept(io) catch return error.Canceled;
        defer stream.close(io);
        var read_buffer: [4096]u8 = undefined;
        var write_buffer: [4096]u8 = undefined;
        var reader = stream.reader(io, &read_buffer);
        var writer = stream.writer(io, &write_buffer);
        _ = reader.interface.streamRemaining(&writer.interface) catch return error.Canceled;
        writer.interface.flush() catch return error.Canceled;
    }

    fn produce(io: Io, stream: net.Stream) !void {
        var buffer: [1000]u8 = undefined;
        var writer = stream.writer(io, &buffer);
        for (0..total / 8) |i| writer.interface.writeInt(u64, i, .little) catch return error.Canceled;
        writer.interface.flush() catch return error.Canceled;
        stream.shutdown(io, .send) catch return error.Canceled;
    }

    /// More than the system's buffers hold, so that every side waits for every other.
    fn run(io: Io) !u64 {
        const address: net.IpAddress = .{ .ip4 = .loopback(0) };
        var server = try address.listen(io, .{});
        defer server.deinit(io);
        var group: Io.Group = .init;
        defer group.cancel(io);
        try group.concurrent(io, serve, .{ io, &server });
        const bound = server.socket.address;
        const stream = try bound.connect(io, .{ .mode = .stream });
        defer stream.close(io);
        try group.concurrent(io, produce, .{ io, stream });
        var buffer: [5000]u8 = undefined;
        var reader = stream.reader(io, &buffer);
        for (0..total / 8) |i| try expectEqual(i, try reader.interface.takeInt(u64, .little));
        try std.testing.expectError(error.EndOfStream, reader.interface.takeByte());
        try group.await(io);
        return 1;
    }
};

test "a megabyte goes around through sockets, by readiness or without it" {
    for ([_]bool{ false, true }) |refuse| {
        // Where the host cannot wait for descriptors, its threads do.
        var host: TestHost = .{ .refuse_descriptors = refuse };
        defer host.deinit();
        try expectEqual(1, try script.resultOn(&host, echo.run));
    }
}

/// Nobody reads before everything that the system has room for is full.
const late = struct {
    const total = 16 * 1024 * 1024;

    fn read(io: Io, server: *net.Server, sum: *u64) Io.Cancelable!void {
        const stream = server.accept(io) catch return error.Canceled;
        defer stream.close(io);
        // Time passes only when the writer waits as well.
        try pause(io, 1);
        var buffer: [64 * 1024]u8 = undefined;
        var reader = stream.reader(io, &buffer);
        sum.* = reader.interface.discardRemaining() catch return error.Canceled;
    }

    fn run(io: Io) !u64 {
        const address: net.IpAddress = .{ .ip4 = .loopback(0) };
        var server = try address.listen(io, .{});
        defer server.deinit(io);
        var sum: u64 = 0;
        var group: Io.Group = .init;
        defer group.cancel(io);
        try group.concurrent(io, read, .{ io, &server, &sum });
        const stream = try server.socket.address.connect(io, .{ .mode = .stream });
        defer stream.close(io);
        var writer = stream.writer(io, &.{});
        const piece: [64 * 1024]u8 = @splat(5);
        for (0..total / piece.len) |_| try writer.interface.writeAll(&piece);
        try stream.shutdown(io, .send);
        try group.await(io);
        return sum;
    }
};

test "a socket that is full is waited for" {
    for ([_]bool{ false, true }) |refuse| {
        var host: TestHost = .{ .refuse_descriptors = refuse };
        defer host.deinit();
        try expectEqual(late.total, try script.resultOn(&host, late.run));
    }
}

test "a connection that nobody accepts, and one that times out" {
    try expectEqual(2, try script.result(struct {
        fn run(io: Io) !u64 {
            const address: net.IpAddress = .{ .ip4 = .loopback(0) };
            var server = try address.listen(io, .{ .kernel_backlog = 1 });
            const bound = server.socket.address;
            server.deinit(io);
            try std.testing.expectError(error.ConnectionRefused, bound.connect(io, .{ .mode = .stream }));

            // The backlog fills up; then nobody answers.
            var full = try address.listen(io, .{ .kernel_backlog = 1 });
            defer full.deinit(io);
            var streams: [8]net.Stream = undefined;
            var n: usize = 0;
            defer for (streams[0..n]) |stream| stream.close(io);
            while (n < streams.len) : (n += 1) {
                streams[n] = full.socket.address.connect(io, .{
                    .mode = .stream,
                    .timeout = .{ .duration = .{ .raw = .fromMilliseconds(20), .clock = .awake } },
                }) catch |err| {
                    try expectEqual(error.Timeout, err);
                    return 2;
                };
            }
            return error.NeverFull;
        }
    }.run));
}

test "a connection that is not being made is none" {
    const faults = @import("faults.zig");
    var plan: faults.Plan = .init(1);
    plan.refuse_connect = .AGAIN;
    faults.plan = &plan;
    defer faults.plan = null;
    try expectEqual(1, try script.result(struct {
        fn run(io: Io) !u64 {
            const address: net.IpAddress = .{ .ip4 = .loopback(9) };
            try std.testing.expectError(error.WouldBlock, address.connect(io, .{ .mode = .stream }));
            return 1;
        }
    }.run));
}

test "datagrams" {
    try expectEqual(5, try script.result(struct {
        fn answer(io: Io, socket: net.Socket) !void {
            var buffer: [100]u8 = undefined;
            const message = socket.receive(io, &buffer) catch return error.Canceled;
            pause(io, 1) catch return error.Canceled;
            socket.send(io, &message.from, message.data) catch return error.Canceled;
        }
        fn run(io: Io) !u64 {
            const address: net.IpAddress = .{ .ip4 = .loopback(0) };
            const a = try address.bind(io, .{ .mode = .dgram });
            defer a.close(io);
            const b = try address.bind(io, .{ .mode = .dgram });
            defer b.close(io);
            var group: Io.Group = .init;
            defer group.cancel(io);
            try group.concurrent(io, answer, .{ io, b });
            try a.send(io, &b.address, "hello");
            var buffer: [100]u8 = undefined;
            const message = try a.receive(io, &buffer);
            try std.testing.expectEqualStrings("hello", message.data);
            try std.testing.expectError(error.Timeout, a.receiveTimeout(io, &buffer, .{
                .duration = .{ .raw = .fromMilliseconds(5), .clock = .awake },
            }));
            return message.data.len;
        }
    }.run));
}

fn lookUp(io: Io, spelt: []const u8, family: ?net.IpAddress.Family) !u64 {
    var buffer: [8]net.HostName.LookupResult = undefined;
    var queue: Io.Queue(net.HostName.LookupResult) = .init(&buffer);
    var canonical: [net.HostName.max_len]u8 = undefined;
    var lookup = try io.concurrent(net.HostName.lookup, .{ net.HostName{ .bytes = spelt }, io, &queue, .{
        .port = 80,
        .family = family,
        .canonical_name_buffer = &canonical,
    } });
    defer lookup.cancel(io) catch {};
    var found: u64 = 0;
    while (queue.getOne(io)) |one| switch (one) {
        .address => |address| {
            try expectEqual(80, address.getPort());
            found = 1;
        },
        .canonical_name => |name| try expectEqual(spelt.len, name.bytes.len),
    } else |err| try expectEqual(error.Closed, err);
    try lookup.await(io);
    return found;
}

test "names are looked up" {
    try expectEqual(1, try script.result(struct {
        fn run(io: Io) !u64 {
            return lookUp(io, "localhost", null);
        }
    }.run));
}

test "an address in place of a name needs no thread" {
    var host: TestHost = .{ .offload_mode = .refused };
    defer host.deinit();
    try expectEqual(2, try script.resultOn(&host, struct {
        fn run(io: Io) !u64 {
            const found = try lookUp(io, "127.0.0.1", null) + try lookUp(io, "::1", .ip6);
            try std.testing.expectError(error.UnknownHostName, lookUp(io, "127.0.0.1", .ip6));
            try std.testing.expectError(error.UnknownHostName, lookUp(io, "::1", .ip4));
            try std.testing.expectError(error.SystemResources, lookUp(io, "localhost", null));
            return found;
        }
    }.run));
}

const files = struct {
    /// Written, read back from its start, and in the middle; then removed.
    fn run(io: Io) !u64 {
        var name_buffer: [64]u8 = undefined;
        var random: [8]u8 = undefined;
        io.random(&random);
        const name = try std.fmt.bufPrint(&name_buffer, "ziggurat-test-{x}", .{random});
        const folder = try Io.Dir.openDirAbsolute(io, "/tmp", .{});
        defer folder.close(io);
        const total = 300_000;
        {
            const file = try folder.createFile(io, name, .{ .read = true });
            defer file.close(io);
            var buffer: [4096]u8 = undefined;
            var writer = file.writer(io, &buffer);
            for (0..total / 8) |i| try writer.interface.writeInt(u64, i, .little);
            try writer.interface.flush();
            try file.sync(io);
            var at: [8]u8 = undefined;
            try expectEqual(8, try file.readPositionalAll(io, &at, 800));
            try expectEqual(100, std.mem.readInt(u64, &at, .little));
        }
        defer folder.deleteFile(io, name) catch {};
        const file = try folder.openFile(io, name, .{});
        defer file.close(io);
        try expectEqual(total, (try file.stat(io)).size);
        var buffer: [1000]u8 = undefined;
        var reader = file.readerStreaming(io, &buffer);
        for (0..total / 8) |i| try expectEqual(i, try reader.interface.takeInt(u64, .little));
        try std.testing.expectError(error.EndOfStream, reader.interface.takeByte());
        try std.testing.expectError(error.FileNotFound, folder.openFile(io, "ziggurat-test-none", .{}));
        return 1;
    }
};

test "files are written and read, whatever the host's threads do" {
    for ([_]@FieldType(TestHost, "offload_mode"){ .thread, .at_once }) |mode| {
        var host: TestHost = .{ .offload_mode = mode };
        defer host.deinit();
        try expectEqual(1, try script.resultOn(&host, files.run));
    }
}

test "without a thread for it, an offloaded call is an error and not a wait" {
    var host: TestHost = .{ .offload_mode = .refused };
    defer host.deinit();
    try expectEqual(1, try script.resultOn(&host, struct {
        fn run(io: Io) !u64 {
            try std.testing.expectError(error.SystemResources, Io.Dir.openDirAbsolute(io, "/tmp", .{}));
            // What the page cache cannot answer, here because the call fails.
            var ends: [2]i32 = undefined;
            try expectEqual(.SUCCESS, linux.errno(linux.pipe2(&ends, .{ .CLOEXEC = true })));
            defer for (ends) |fd| {
                _ = linux.close(fd);
            };
            const writable: Io.File = .{ .handle = ends[1], .flags = .{ .nonblocking = false } };
            var buffer: [1]u8 = undefined;
            var reader = writable.readerStreaming(io, &buffer);
            try std.testing.expectError(error.ReadFailed, reader.interface.takeByte());
            try expectEqual(error.SystemResources, reader.err.?);
            return 1;
        }
    }.run));
}

test "a pipe that is empty, or full, is waited for" {
    const pipes = struct {
        var ends: [2]i32 = undefined;
        const total = 200_000;
        fn fill(io: Io) !void {
            const file: Io.File = .{ .handle = ends[1], .flags = .{ .nonblocking = false } };
            defer file.close(io);
            var buffer: [100]u8 = undefined;
            var writer = file.writerStreaming(io, &buffer);
            for (0..total / 8) |i| writer.interface.writeInt(u64, i, .little) catch return error.Canceled;
            writer.interface.flush() catch return error.Canceled;
        }
        fn run(io: Io) !u64 {
            const file: Io.File = .{ .handle = ends[0], .flags = .{ .nonblocking = false } };
            defer file.close(io);
            var future = try io.concurrent(fill, .{io});
            defer future.cancel(io) catch {};
            var buffer: [1000]u8 = undefined;
            var reader = file.readerStreaming(io, &buffer);
            for (0..total / 8) |i| try expectEqual(i, try reader.interface.takeInt(u64, .little));
            try std.testing.expectError(error.EndOfStream, reader.interface.takeByte());
            try future.await(io);
            return 1;
        }
    };
    try expectEqual(.SUCCESS, linux.errno(linux.pipe2(&pipes.ends, .{ .CLOEXEC = true })));
    try expectEqual(1, try script.result(pipes.run));
}

test "what only looks like a file is waited for, and a cancelation ends that" {
    const counter = struct {
        var fd: i32 = undefined;
        fn read(io: Io) !u64 {
            const file: Io.File = .{ .handle = fd, .flags = .{ .nonblocking = false } };
            var bytes: [8]u8 = undefined;
            var reader = file.readerStreaming(io, &bytes);
            return reader.interface.takeInt(u64, .little) catch return reader.err.?;
        }
        fn run(io: Io) !u64 {
            var canceled = try io.concurrent(read, .{io});
            try pause(io, 1);
            try std.testing.expectError(error.Canceled, canceled.cancel(io));
            var future = try io.concurrent(read, .{io});
            try pause(io, 1);
            try expectEqual(8, linux.write(fd, std.mem.asBytes(&@as(u64, 5)), 8));
            return future.await(io);
        }
    };
    counter.fd = @intCast(linux.eventfd(0, linux.EFD.CLOEXEC));
    defer _ = linux.close(counter.fd);
    // Not by a thread, which could not be told to stop. (An emulator may not know reads that don't block; then
    // there is one that may, when there is something to read.)
    var bytes: [8]u8 = undefined;
    const iovecs = [1]std.posix.iovec{.{ .base = &bytes, .len = bytes.len }};
    const attempt = linux.errno(linux.preadv2(counter.fd, &iovecs, iovecs.len, -1, linux.RWF.NOWAIT));
    var host: TestHost = .{ .offload_mode = if (attempt == .AGAIN) .refused else .at_once };
    defer host.deinit();
    try expectEqual(5, try script.resultOn(&host, counter.run));
}

test "a fiber that has locked stderr keeps others out while it is parked, and not itself" {
    try expectEqual(1, try script.result(struct {
        var has: u32 = 0;
        fn other(io: Io) !void {
            _ = try io.lockStderr(&.{}, null);
            defer io.unlockStderr();
            try expectEqual(0, has);
        }
        fn run(io: Io) !u64 {
            var future = try io.concurrent(other, .{io});
            defer future.cancel(io) catch {};
            {
                var buffer: [10]u8 = undefined;
                const locked = try io.lockStderr(&buffer, null);
                defer io.unlockStderr();
                has = 1;
                defer has = 0;
                try pause(io, 5);
                const again = (try io.tryLockStderr(&.{}, .no_color)).?;
                try expectEqual(locked.file_writer, again.file_writer);
                try expectEqual(.no_color, again.terminal_mode);
                io.unlockStderr();
                try pause(io, 5);
            }
            try future.await(io);
            return 1;
        }
    }.run));
}

test "two directions of one socket are waited for at the same time, and a batch takes what comes first" {
    try expectEqual(1, try script.result(struct {
        fn run(io: Io) !u64 {
            const address: net.IpAddress = .{ .ip4 = .loopback(0) };
            var server = try address.listen(io, .{});
            defer server.deinit(io);
            const a = try server.socket.address.connect(io, .{ .mode = .stream });
            defer a.close(io);
            const b = try server.accept(io);
            defer b.close(io);

            var from_a: [10]u8 = undefined;
            var from_b: [10]u8 = undefined;
            var data_a = [1][]u8{&from_a};
            var data_b = [1][]u8{&from_b};
            var storage: [2]Io.Operation.Storage = undefined;
            var batch: Io.Batch = .init(&storage);
            defer batch.cancel(io);
            batch.addAt(0, .{ .net_read = .{ .socket_handle = a.socket.handle, .data = &data_a } });
            batch.addAt(1, .{ .net_read = .{ .socket_handle = b.socket.handle, .data = &data_b } });
            const timeout: Io.Timeout = .{ .duration = .{ .raw = .fromMilliseconds(5), .clock = .awake } };
            try std.testing.expectError(error.Timeout, batch.awaitConcurrent(io, timeout));
            var writer = b.writer(io, &.{});
            try writer.interface.writeAll("for a");
            try batch.awaitConcurrent(io, .none);
            const completion = batch.next().?;
            try expectEqual(0, completion.index);
            try expectEqual(5, (try completion.result.net_read).data_len);
            try std.testing.expectEqualStrings("for a", from_a[0..5]);
            try expectEqual(null, batch.next());
            return 1;
        }
    }.run));
}

test "a process is run, and its output read" {
    try expectEqual(3, try script.result(struct {
        fn run(io: Io) !u64 {
            const result = try std.process.run(std.testing.allocator, io, .{ .argv = &.{ "echo", "ok" } });
            defer std.testing.allocator.free(result.stdout);
            defer std.testing.allocator.free(result.stderr);
            try std.testing.expectEqualStrings("ok\n", result.stdout);
            return result.stdout.len;
        }
    }.run));
}

test "a wait for a process that never ends can be cancelled" {
    try expectEqual(1, try script.result(struct {
        fn waits(io: Io, child: *std.process.Child) bool {
            _ = child.wait(io) catch |err| return err == error.Canceled;
            return false;
        }
        fn run(io: Io) !u64 {
            var child = try std.process.spawn(io, .{ .argv = &.{ "sleep", "1000000" }, .stdout = .pipe });
            defer child.kill(io);
            var future = try io.concurrent(waits, .{ io, &child });
            try pause(io, 1);
            return @intFromBool(future.cancel(io));
        }
    }.run));
}

test "the time of day is the host's" {
    var host: TestHost = .{};
    defer host.deinit();
    try expectEqual(@as(u64, TestHost.epoch + 1_000), try script.resultOn(&host, struct {
        fn run(io: Io) !u64 {
            try std.testing.expect(Io.Clock.cpu_process.now(io).nanoseconds > 0);
            return @intCast(Io.Clock.real.now(io).nanoseconds);
        }
    }.run));
}
