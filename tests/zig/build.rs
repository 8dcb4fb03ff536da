//! Compiles the Zig code next door.

fn main() {
    ziggurat_zig_build::Build::new("zig/fixtures.zig").compile("fixtures");
    ziggurat_zig_build::Build::new("zig/channels.zig").compile("channels");
    ziggurat_zig_build::Build::new("zig/http.zig").compile("http");
    ziggurat_zig_build::Build::new("zig/sync.zig").compile("sync");
}
