//! What the examples offer to Rust.

const ziggurat = @import("ziggurat");
const bytes = @import("bytes.zig");
const samples = @import("samples.zig");

pub const exports = ziggurat.exports(.{
    .chunks = ziggurat.source(bytes.chunks),
    .lines = ziggurat.source(bytes.lines),
    .gunzip = ziggurat.transform(bytes.gunzip),
    .count_lines = ziggurat.sink(bytes.countLines),
    .store = ziggurat.sink(bytes.store),
    .sine = ziggurat.source(samples.sine),
    .mean = ziggurat.sink(samples.mean),
    .first_at_least = ziggurat.sink(samples.firstAtLeast),
    .heartbeat = ziggurat.source(samples.heartbeat),
    .numbers = ziggurat.source(samples.numbers),
    .numbers_by_slices = ziggurat.source(samples.numbersBySlices),
    .counter = ziggurat.source(samples.Counter),
});
