//! For benches: what std does without Zig's safety checks, in its fast mode, as a Rust program in release mode does
//! without most of its own.

const zg = @import("ziggurat");
const formats = @import("formats.zig");

pub const exports = zg.exports(.{
    .gunzip = zg.transform(formats.gunzip),
});
