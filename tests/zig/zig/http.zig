//! std's HTTP client and server, as they are, for `tests/http.rs`. A library of its own: they take long to compile.

const std = @import("std");
const Io = std.Io;
const http = std.http;
const zg = @import("ziggurat");

pub const std_options: std.Options = options: {
    var options = zg.std_options;
    // Nothing here speaks TLS, which would take longer to compile than all the rest.
    options.http_disable_tls = true;
    break :options options;
};

pub const exports = zg.exports(.{
    .get = zg.source(get),
    .get_again = zg.source(getAgain),
    .get_together = zg.source(getTogether),
    .serve = zg.source(serve),
});

const gpa = std.heap.c_allocator;

/// The body at `url`.
fn get(io: Io, out: *zg.Out([]const u8), url: []const u8) !void {
    var client: http.Client = .{ .allocator = gpa, .io = io };
    defer client.deinit();
    return download(&client, out, url);
}

/// The same `count` times, by one client, which keeps its connection.
fn getAgain(io: Io, out: *zg.Out([]const u8), url: []const u8, count: u32) !void {
    var client: http.Client = .{ .allocator = gpa, .io = io };
    defer client.deinit();
    for (0..count) |_| try download(&client, out, url);
}

fn download(client: *http.Client, out: *zg.Out([]const u8), url: []const u8) !void {
    var request = try client.request(.GET, try .parse(url), .{ .headers = .{ .accept_encoding = .omit } });
    defer request.deinit();
    try request.sendBodiless();
    var response = request.receiveHead(&.{}) catch |err| return reason(request, err);
    if (response.head.status != .ok)
        return out.fail(error.HttpStatus, "{d} of {s}", .{ @backingInt(response.head.status), url });
    const expected = response.head.content_length;
    const arrived = response.reader(&.{}).streamRemaining(out.writer()) catch |err| return switch (err) {
        error.ReadFailed => response.bodyErr() orelse reason(request, err),
        error.WriteFailed => err,
    };
    // std takes the end of the connection for that of the body.
    if (expected) |length| if (arrived != length) return error.HttpBodyTruncated;
}

/// What was behind a failed read.
fn reason(request: http.Client.Request, err: anyerror) anyerror {
    if (err != error.ReadFailed) return err;
    return request.connection.?.stream_reader.err orelse err;
}

/// The sizes of `count` bodies at once, by one client and as many of its tasks.
fn getTogether(io: Io, out: *zg.Out(u64), url: []const u8, count: u32) !void {
    var client: http.Client = .{ .allocator = gpa, .io = io };
    defer client.deinit();
    var buffer: [16]anyerror!u64 = undefined;
    var sizes: Io.Queue(anyerror!u64) = .init(&buffer);
    var group: Io.Group = .init;
    defer group.cancel(io);
    for (0..count) |_| try group.concurrent(io, measure, .{ io, &client, url, &sizes });
    for (0..count) |_| try out.send(try try sizes.getOne(io));
}

fn measure(io: Io, client: *http.Client, url: []const u8, sizes: *Io.Queue(anyerror!u64)) Io.Cancelable!void {
    sizes.putOne(io, sizeOf(client, url)) catch |err| switch (err) {
        error.Canceled => |e| return e,
        error.Closed => unreachable, // nobody closes it
    };
}

fn sizeOf(client: *http.Client, url: []const u8) anyerror!u64 {
    var buffer: [512]u8 = undefined;
    var counter: Io.Writer.Discarding = .init(&buffer);
    const result = try client.fetch(.{ .location = .{ .url = url }, .response_writer = &counter.writer });
    return if (result.status == .ok) counter.fullCount() else error.HttpStatus;
}

/// Its port, then one item for each request that it has answered, until it has had `connections`.
fn serve(io: Io, out: *zg.Out(u64), connections: u32) !void {
    const address: Io.net.IpAddress = .{ .ip4 = .loopback(0) };
    var server = try address.listen(io, .{ .reuse_address = true });
    defer server.deinit(io);
    try out.send(server.socket.address.getPort());

    var buffer: [16]u64 = undefined;
    var answered: Io.Queue(u64) = .init(&buffer);
    var accepting = try io.concurrent(acceptAll, .{ io, &server, &answered, connections });
    defer accepting.cancel(io) catch {};
    while (answered.getOne(io)) |number| try out.send(number) else |err| if (err != error.Closed) return err;
    try accepting.await(io);
}

fn acceptAll(io: Io, server: *Io.net.Server, answered: *Io.Queue(u64), connections: u32) !void {
    defer answered.close(io);
    var group: Io.Group = .init;
    defer group.cancel(io);
    for (0..connections) |_| {
        const stream = try server.accept(io);
        errdefer stream.close(io);
        try group.concurrent(io, answerAll, .{ io, stream, answered });
    }
    try group.await(io);
}

fn answerAll(io: Io, stream: Io.net.Stream, answered: *Io.Queue(u64)) Io.Cancelable!void {
    defer stream.close(io);
    var read_buffer: [4096]u8 = undefined;
    var write_buffer: [4096]u8 = undefined;
    var reader = stream.reader(io, &read_buffer);
    var writer = stream.writer(io, &write_buffer);
    var server: http.Server = .init(&reader.interface, &writer.interface);
    var number: u64 = 0;
    while (true) : (number += 1) {
        var request = server.receiveHead() catch return; // it has hung up
        answer(&request) catch return;
        answered.putOne(io, number) catch |err| switch (err) {
            error.Canceled => |e| return e,
            error.Closed => unreachable, // only after this has returned
        };
        if (!request.head.keep_alive) return;
    }
}

/// `/length/N` and `/chunked/N` have a body of N bytes, by either encoding; `/echo` is what was sent.
fn answer(request: *http.Server.Request) !void {
    const target = request.head.target;
    if (std.mem.eql(u8, target, "/echo")) {
        var all: Io.Writer.Allocating = .init(gpa);
        defer all.deinit();
        var buffer: [1024]u8 = undefined;
        _ = try (try request.readerExpectContinue(&buffer)).streamRemaining(&all.writer);
        return request.respond(all.written(), .{});
    }
    const slash = std.mem.findScalarLast(u8, target, '/').?;
    const size = std.fmt.parseInt(u64, target[slash + 1 ..], 10) catch
        return request.respond("no such thing\n", .{ .status = .not_found });
    const chunked = std.mem.startsWith(u8, target, "/chunked/");
    var buffer: [1000]u8 = undefined;
    var body = try request.respondStreaming(&buffer, .{ .content_length = if (chunked) null else size });
    for (0..@intCast(size)) |i| try body.writer.writeByte(@truncate(i *% 31 +% i / 251));
    try body.end();
}
