const std = @import("std");
const zg = @import("ziggurat");

/// Every line of a file, without its newline.
fn lines(io: std.Io, out: *zg.Out([]const u8), path: []const u8) !void {
    const file = try std.Io.Dir.cwd().openFile(io, path, .{});
    defer file.close(io);
    var buffer: [64 * 1024]u8 = undefined;
    var reader = file.reader(io, &buffer);
    while (try reader.interface.takeDelimiter('\n')) |line| try out.send(line);
}

pub const exports = zg.exports(.{ .lines = zg.source(lines) });
