//! Byte streams: files in, files out.

const std = @import("std");
const ziggurat = @import("ziggurat");

/// A file in chunks, read straight into the memory that Rust gets.
pub fn chunks(io: std.Io, out: *ziggurat.Out([]const u8), path: []const u8) !void {
    const file = std.Io.Dir.cwd().openFile(io, path, .{}) catch |err|
        return out.fail(err, "{s}", .{path});
    defer file.close(io);
    var reader = file.reader(io, &.{});
    _ = reader.interface.streamRemaining(out.writer()) catch |err| switch (err) {
        error.ReadFailed => return out.fail(reader.err.?, "{s}", .{path}),
        error.WriteFailed => |e| return e,
    };
}

/// Every line of a file, without its newline.
pub fn lines(io: std.Io, out: *ziggurat.Out([]const u8), path: []const u8) !void {
    const file = std.Io.Dir.cwd().openFile(io, path, .{}) catch |err|
        return out.fail(err, "{s}", .{path});
    defer file.close(io);
    var buffer: [64 * 1024]u8 = undefined;
    var reader = file.reader(io, &buffer);
    while (try reader.interface.takeDelimiter('\n')) |line| try out.send(line);
}

/// What is in a gzip file, or in several in a row.
pub fn gunzip(_: std.Io, in: *ziggurat.In([]const u8), out: *ziggurat.Out([]const u8)) !void {
    const flate = std.compress.flate;
    const reader = try in.reader();
    var window: [flate.max_window_len]u8 = undefined;
    while (true) {
        var file: flate.Decompress = .init(reader, .gzip, &window);
        var crc: std.hash.Crc32 = .init();
        var length: u32 = 0;
        while (file.reader.peekGreedy(1)) |bytes| {
            try out.writer().writeAll(bytes);
            crc.update(bytes);
            length +%= @truncate(bytes.len);
            file.reader.toss(bytes.len);
        } else |err| switch (err) {
            error.ReadFailed => return file.err orelse err,
            error.EndOfStream => {},
        }
        // std reads the two, and leaves the comparison to others.
        const said = file.container_metadata.gzip;
        if (said.crc != crc.final() or said.count != length) return error.WrongGzipChecksum;
        _ = reader.peekByte() catch |err| return if (err != error.EndOfStream) err;
    }
}

/// How many newlines there are, as `wc -l` counts them.
pub fn countLines(_: std.Io, in: *ziggurat.In([]const u8)) !u64 {
    var count: u64 = 0;
    while (try in.next()) |chunk| count += std.mem.countScalar(u8, chunk, '\n');
    return count;
}

/// Writes all it gets to a file, and returns how many bytes that was.
pub fn store(io: std.Io, in: *ziggurat.In([]const u8), path: []const u8) !u64 {
    const file = std.Io.Dir.cwd().createFile(io, path, .{}) catch |err|
        return in.fail(err, "{s}", .{path});
    defer file.close(io);
    var buffer: [64 * 1024]u8 = undefined;
    var writer = file.writer(io, &buffer);
    const reader = try in.reader();
    const n = reader.streamRemaining(&writer.interface) catch |err| switch (err) {
        error.WriteFailed => return in.fail(writer.err.?, "{s}", .{path}),
        error.ReadFailed => |e| return e,
    };
    try writer.interface.flush();
    return n;
}
