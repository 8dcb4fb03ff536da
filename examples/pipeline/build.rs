fn main() {
    ziggurat_zig_build::Build::new("zig/pipeline.zig").compile("pipeline");
}
