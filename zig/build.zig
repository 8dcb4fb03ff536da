//! The Zig package `ziggurat`: `b.dependency("ziggurat", .{}).module("ziggurat")`.
const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{});
    const module = b.addModule("ziggurat", .{
        .root_source_file = b.path("src/ziggurat.zig"),
        .target = target,
        .optimize = optimize,
        .link_libc = true,
    });
    const tests = b.addTest(.{ .root_module = module });
    const test_step = b.step("test", "Run the package's tests");
    test_step.dependOn(&b.addRunArtifact(tests).step);
}
