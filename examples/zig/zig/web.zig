//! std's HTTP client. A library of its own, as it takes long to compile.

const std = @import("std");
const ziggurat = @import("ziggurat");

pub const std_options: std.Options = options: {
    var options = ziggurat.std_options;
    // The examples' servers speak none. With it, `https://` works, and compiling takes four times as long.
    options.http_disable_tls = true;
    break :options options;
};

pub const exports = ziggurat.exports(.{
    .download = ziggurat.source(download),
});

/// The body at `url`, as it comes.
fn download(io: std.Io, out: *ziggurat.Out([]const u8), url: []const u8) !void {
    var client: std.http.Client = .{ .allocator = std.heap.c_allocator, .io = io };
    defer client.deinit();
    var request = client.request(.GET, try .parse(url), .{ .headers = .{ .accept_encoding = .omit } }) catch |err|
        return out.fail(err, "{s}", .{url});
    defer request.deinit();
    try request.sendBodiless();
    var redirects: [8 * 1024]u8 = undefined;
    var response = try request.receiveHead(&redirects);
    if (response.head.status != .ok)
        return out.fail(error.HttpStatus, "{d} for {s}", .{ @backingInt(response.head.status), url });
    const promised = response.head.content_length;
    const body = response.reader(&.{});
    const length = body.streamRemaining(out.writer()) catch |err| switch (err) {
        error.ReadFailed => {
            if (response.bodyErr()) |cause| return cause;
            return request.connection.?.stream_reader.err orelse err;
        },
        error.WriteFailed => |e| return e,
    };
    // std takes the end of the connection for that of the body.
    if (promised) |n| if (length != n) return out.fail(error.HttpBodyTruncated, "{d} of {d} bytes", .{ length, n });
}
