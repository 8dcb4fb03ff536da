//! Where the package's own memory comes from: the C library's heap, which the rest of the program uses as well.

const std = @import("std");
const builtin = @import("builtin");
const Allocator = std.mem.Allocator;

pub const gpa: Allocator = if (builtin.is_test)
    .{ .ptr = undefined, .vtable = &replaceable }
else
    std.heap.c_allocator;

/// For tests, of what happens when there is no memory, or that all of it comes back. Whatever is allocated from it
/// has to be freed before it is taken away.
pub var replacement: ?Allocator = null;

fn actual() Allocator {
    return replacement orelse std.heap.c_allocator;
}

const replaceable: Allocator.VTable = .{
    .alloc = &alloc,
    .resize = &resize,
    .remap = &remap,
    .free = &free,
};

fn alloc(_: *anyopaque, len: usize, alignment: std.mem.Alignment, ra: usize) ?[*]u8 {
    return actual().rawAlloc(len, alignment, ra);
}

fn resize(_: *anyopaque, memory: []u8, alignment: std.mem.Alignment, len: usize, ra: usize) bool {
    return actual().rawResize(memory, alignment, len, ra);
}

fn remap(_: *anyopaque, memory: []u8, alignment: std.mem.Alignment, len: usize, ra: usize) ?[*]u8 {
    return actual().rawRemap(memory, alignment, len, ra);
}

fn free(_: *anyopaque, memory: []u8, alignment: std.mem.Alignment, ra: usize) void {
    actual().rawFree(memory, alignment, ra);
}
