//! Compiles the Zig code next door.

fn main() {
    ziggurat_zig_build::Build::new("zig/examples.zig").compile("examples");
    ziggurat_zig_build::Build::new("zig/channels.zig").compile("channels");
    ziggurat_zig_build::Build::new("zig/web.zig").compile("web");
}
