//! Compiles the Zig code next door.

use ziggurat_zig_build::{Build, Optimize};

fn main() {
    Build::new("zig/fixtures.zig").compile("fixtures");
    Build::new("zig/channels.zig").compile("channels");
    Build::new("zig/panics.zig").optimize(Optimize::Debug).compile("panics_debug");
    Build::new("zig/panics.zig").optimize(Optimize::Safe).compile("panics_safe");
    Build::new("zig/formats.zig").compile("formats");
    Build::new("zig/http.zig").compile("http");
    Build::new("zig/unchecked.zig").optimize(Optimize::Fast).compile("unchecked");
    Build::new("zig/sync.zig").compile("sync");
}
