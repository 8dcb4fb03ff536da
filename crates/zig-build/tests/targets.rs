//! Compares this crate's tables with what the real compiler accepts. Needs Zig.

mod common;

use std::{fs, path::Path, process::Output, sync::Mutex, thread};

use common::Package;
use ziggurat_zig_build::{Build, tables};

/// Runs the compiler that a build would use.
fn zig(build: &Build, arguments: &[&str]) -> Output {
    build.try_zig_command().unwrap().args(arguments).output().unwrap()
}

#[test]
fn zig_accepts_every_target_and_its_cpu() {
    let package = Package::new();
    let build = package.build();
    package.write("half.zig", "export fn half(x: f32) f32 {\n    return x / 2;\n}\n");
    let source = package.path("half.zig");
    let source = source.to_str().unwrap();
    let rows = Mutex::new(tables::targets().iter());
    thread::scope(|scope| {
        for worker in 0..2 {
            let (rows, build, dir) = (&rows, &build, package.dir.path());
            scope.spawn(move || {
                let cache = dir.join(format!("cache-{worker}"));
                let object = format!("-femit-bin={}", dir.join(format!("{worker}.o")).display());
                let next = || rows.lock().unwrap().next();
                while let Some((rust, target, cpu)) = next() {
                    let arguments = ["build-obj", "-j1", "-target", target, "-mcpu", cpu, "-fPIC"];
                    let cache = ["--cache-dir", cache.to_str().unwrap(), &object, source];
                    let output = zig(build, &[&arguments[..], &cache[..]].concat());
                    let stderr = String::from_utf8_lossy(&output.stderr);
                    assert!(output.status.success(), "{rust} -> {target} {cpu}: {stderr}");
                }
            });
        }
    });
}

#[test]
fn zig_knows_every_cpu_feature() {
    let package = Package::new();
    for (arch, cpu) in tables::all_features() {
        let target = format!("{arch}-{}", if arch == "wasm32" { "wasi" } else { "linux" });
        let arguments = ["build-obj", "--show-builtin", "-target", &target, "-mcpu", &cpu];
        let output = zig(&package.build(), &arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arch}: {stderr}");
    }
}

/// The first bytes of an object file for a target.
fn object_header(triple: &str) -> Vec<u8> {
    let package = Package::new();
    let artifact = package.build().target(triple).try_compile_object("pipeline").unwrap();
    assert!(artifact.cargo_metadata().iter().all(|line| !line.contains("rustc-link")));
    read(artifact.path())
}

fn read(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    bytes.truncate(20);
    bytes
}

#[test]
fn cross_compiles_to_elf() {
    let header = object_header("aarch64-unknown-linux-gnu");
    assert_eq!(header[..6], *b"\x7fELF\x02\x01"); // 64-bit, little-endian
    assert_eq!(header[18..20], 183_u16.to_le_bytes()); // EM_AARCH64
}

#[test]
fn cross_compiles_to_coff() {
    let header = object_header("x86_64-pc-windows-gnu");
    assert_eq!(header[..2], 0x8664_u16.to_le_bytes()); // IMAGE_FILE_MACHINE_AMD64
}

#[test]
fn cross_compiles_to_mach_o() {
    let header = object_header("aarch64-apple-darwin");
    assert_eq!(header[..4], 0xfeed_facf_u32.to_le_bytes()); // MH_MAGIC_64
    assert_eq!(header[4..8], 0x0100_000c_u32.to_le_bytes()); // CPU_TYPE_ARM64
}

#[test]
fn cross_compiles_to_wasm() {
    let header = object_header("wasm32-wasip1");
    assert_eq!(header[..8], *b"\0asm\x01\0\0\0");
}
