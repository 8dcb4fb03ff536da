//! std's decompressors, parsers and hashes over streams, for `tests/formats.rs`.

const std = @import("std");
const Io = std.Io;
const zg = @import("ziggurat");
const flate = std.compress.flate;
const xz = std.compress.xz;
const zstd = std.compress.zstd;

const In = zg.In([]const u8);
const Out = zg.Out([]const u8);

pub const exports = zg.exports(.{
    .gunzip = zg.transform(gunzip),
    .unzstd = zg.transform(unzstd),
    .unxz = zg.transform(unxz),
    .tar_list = zg.transform(tarList),
    .json_strings = zg.transform(jsonStrings),
    .json_total = zg.sink(jsonTotal),
    .sha256 = zg.sink(sha256),
});

const gpa = std.heap.c_allocator;

/// As `gunzip -c`: also of several files in a row.
pub fn gunzip(_: Io, in: *In, out: *Out) !void {
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
        } else |err| if (err != error.EndOfStream) return cause(err, file.err);
        // std reads the two, and leaves the comparison to others.
        const said = file.container_metadata.gzip;
        if (said.crc != crc.final() or said.count != length) return error.WrongGzipChecksum;
        if (try isAtEnd(reader)) return;
    }
}

fn isAtEnd(reader: *Io.Reader) error{ReadFailed}!bool {
    _ = reader.peekByte() catch |err| return if (err == error.EndOfStream) true else error.ReadFailed;
    return false;
}

/// What a decompressor says was behind its `error.ReadFailed`.
fn cause(err: anyerror, said: ?anyerror) anyerror {
    return if (err == error.ReadFailed) said orelse err else err;
}

/// As `zstd -dc`, but for the checksums of contents, which std doesn't check.
fn unzstd(_: Io, in: *In, out: *Out) !void {
    const window = try gpa.alloc(u8, zstd.default_window_len + zstd.block_size_max);
    defer gpa.free(window);
    var decompress: zstd.Decompress = .init(try in.reader(), window, .{});
    _ = decompress.reader.streamRemaining(out.writer()) catch |err| return cause(err, decompress.err);
}

/// As `xz -dc`, but for the checksums of contents, which std doesn't check.
fn unxz(_: Io, in: *In, out: *Out) !void {
    var decompress: xz.Decompress = try .init(try in.reader(), gpa, &.{});
    defer decompress.deinit();
    _ = decompress.reader.streamRemaining(out.writer()) catch |err| return cause(err, decompress.err);
    // std takes an end within the checksum for that of the file.
    if (decompress.block_count != std.math.maxInt(usize)) return error.EndOfStream;
}

/// A line for each entry of an archive: its size and its name.
fn tarList(_: Io, in: *In, out: *Out) !void {
    var name: [std.fs.max_path_bytes]u8 = undefined;
    var link: [std.fs.max_path_bytes]u8 = undefined;
    var entries: std.tar.Iterator = .init(try in.reader(), .{ .file_name_buffer = &name, .link_name_buffer = &link });
    while (try entries.next()) |entry| try out.writer().print("{d} {s}\n", .{ entry.size, entry.name });
}

/// Every string of a JSON text, keys included.
fn jsonStrings(_: Io, in: *In, out: *Out) !void {
    var reader: std.json.Reader = .init(gpa, try in.reader());
    defer reader.deinit();
    while (true) {
        var string: std.array_list.Managed(u8) = .init(gpa);
        defer string.deinit();
        switch (try reader.peekNextTokenType()) {
            .string => {
                const slice = try reader.allocNextIntoArrayList(&string, .alloc_if_needed);
                try out.send(slice orelse string.items);
            },
            .end_of_document => return,
            else => _ = try reader.next(),
        }
    }
}

/// What a list of orders comes to, parsed as it streams in, without what nobody asks for.
fn jsonTotal(_: Io, in: *In) !f64 {
    const Order = struct { price: f64, count: u32 };
    var reader: std.json.Reader = .init(gpa, try in.reader());
    defer reader.deinit();
    const orders = std.json.parseFromTokenSource([]Order, gpa, &reader, .{ .ignore_unknown_fields = true }) catch |err|
        return in.fail(err, "at byte {d}", .{reader.scanner.cursor});
    defer orders.deinit();
    var total: f64 = 0;
    for (orders.value) |order| total += order.price * @as(f64, @floatFromInt(order.count));
    return total;
}

fn sha256(_: Io, in: *In) ![32]u8 {
    var hash: std.crypto.hash.sha2.Sha256 = .init(.{});
    while (try in.next()) |chunk| hash.update(chunk);
    return hash.finalResult();
}
