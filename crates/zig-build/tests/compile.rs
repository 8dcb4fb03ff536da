//! Builds with the real compiler, and looks at what comes out. Needs Zig.

mod common;

use std::{collections::BTreeSet, fs};

use common::Package;
use object::{Object as _, ObjectSymbol as _, SymbolFlags};
use ziggurat_zig_build::{Artifact, Error, Module, Optimize};

/// The names that a linker sees: (defined, undefined), without hidden ones.
fn symbols(artifact: &Artifact) -> (BTreeSet<String>, BTreeSet<String>) {
    let data = fs::read(artifact.path()).unwrap();
    let archive = object::read::archive::ArchiveFile::parse(&*data).unwrap();
    let (mut defined, mut undefined) = (BTreeSet::new(), BTreeSet::new());
    for member in archive.members() {
        let member = member.unwrap().data(&*data).unwrap();
        let file = object::File::parse(member).unwrap();
        for symbol in file.symbols().filter(|symbol| symbol.is_global()) {
            let hidden = match symbol.flags() {
                SymbolFlags::Elf { st_other, .. } => st_other & 3 == object::elf::STV_HIDDEN,
                _ => false,
            };
            let name = symbol.name().unwrap().to_owned();
            match symbol.is_undefined() {
                true => undefined.insert(name),
                false => !hidden && defined.insert(name),
            };
        }
    }
    (defined, undefined)
}

#[test]
fn a_library_exports_one_symbol() {
    let package = Package::new();
    for mode in [Optimize::Debug, Optimize::Safe, Optimize::Fast, Optimize::Small] {
        let artifact = package.build().optimize(mode).try_compile("pipeline").unwrap();
        let (defined, _) = symbols(&artifact);
        let prefix = if cfg!(target_vendor = "apple") { "_" } else { "" };
        assert_eq!(defined, BTreeSet::from([format!("{prefix}{}", artifact.symbol())]), "{mode:?}");
    }
}

#[test]
fn a_library_brings_no_memcpy() {
    let package = Package::new();
    package.write_root(
        "export fn copy(to: [*]u8, from: [*]const u8, n: usize) void {\n\
         \x20   @memcpy(to[0..n], from[0..n]);\n}\n",
    );
    let artifact = package.build().optimize(Optimize::Safe).try_compile("pipeline").unwrap();
    let (defined, undefined) = symbols(&artifact);
    assert_eq!(defined.len(), 2, "{defined:?}");
    assert!(undefined.iter().any(|name| name.trim_start_matches('_') == "memcpy"));
}

#[test]
#[cfg(all(target_arch = "x86_64", not(windows)))]
fn large_frames_are_probed_in_every_mode() {
    let package = Package::new();
    package.write_root(
        "extern fn fill(buffer: [*]u8) void;\n\
         export fn large() u8 {\n\
         \x20   var buffer: [100_000]u8 = undefined;\n\
         \x20   fill(&buffer);\n\
         \x20   return buffer[0];\n}\n",
    );
    for mode in [Optimize::Debug, Optimize::Safe, Optimize::Fast, Optimize::Small] {
        let mut build = package.build();
        build.optimize(mode);
        let probed = |artifact: &Artifact| {
            // By whom it is defined is the Zig package's affair.
            let data = fs::read(artifact.path()).unwrap();
            data.windows(17).any(|window| window == b"__zig_probe_stack")
        };
        assert!(probed(&build.try_compile("pipeline").unwrap()), "{mode:?}");
    }
}

#[test]
fn two_crates_may_use_one_library_name() {
    let (one, two) = (Package::named("one", "1.0.0"), Package::named("two", "1.0.0"));
    let newer = Package::named("one", "2.0.0");
    let artifacts =
        [&one, &two, &newer].map(|package| package.build().try_compile("pipeline").unwrap());
    let symbols: BTreeSet<_> = artifacts.iter().map(Artifact::symbol).collect();
    let files: BTreeSet<_> = artifacts.iter().map(|it| it.path().file_name()).collect();
    assert_eq!((symbols.len(), files.len()), (3, 3));
}

#[test]
fn modules_and_embedded_files_compile() {
    let package = Package::new();
    package.write_root(
        "const wire = @import(\"wire\");\nconst codec = @import(\"codec\");\n\
         const part = @import(\"sub/part.zig\");\n\
         comptime {\n\
         \x20   if (wire.x + codec.y + part.z != 10) @compileError(\"wrong sum\");\n\
         \x20   if (@embedFile(\"data.txt\").len != 3) @compileError(\"wrong data\");\n}\n",
    );
    package.write("zig/sub/part.zig", "pub const z = 5;\n");
    package.write("zig/data.txt", "abc");
    package.write("modules/wire.zig", "pub const x = 2;\n");
    package.write(
        "modules/codec.zig",
        "pub const y = @import(\"wire\").x + 1;\n\
         comptime {\n    _ = @import(\"ziggurat\");\n}\n",
    );
    let mut build = package.build();
    build.module("wire", "modules/wire.zig");
    build.add_module(Module::new("codec", "modules/codec.zig").dependency("wire"));
    build.try_compile("pipeline").unwrap();
}

#[test]
fn an_unchanged_library_is_not_compiled_again() {
    let package = Package::new();
    assert!(package.build().try_compile("pipeline").unwrap().was_compiled());
    assert!(!package.build().try_compile("pipeline").unwrap().was_compiled());
}

#[test]
fn std_options_of_the_user_win() {
    let package = Package::new();
    package.write_root(
        "const std = @import(\"std\");\n\
         pub const std_options: std.Options = .{ .log_level = .err };\n\
         comptime {\n\
         \x20   if (std.options.log_level != .err) @compileError(\"not used\");\n}\n",
    );
    package.build().try_compile("pipeline").unwrap();
}

#[test]
fn zigs_message_is_shown_verbatim() {
    let package = Package::new();
    package.write_root(
        "pub fn lines() void {\n    const x: u32 = \"text\";\n    _ = x;\n}\n\
         comptime {\n    _ = &lines;\n}\n",
    );
    let error = package.build().try_compile("pipeline").unwrap_err();
    let Error::Compile { library, stderr, .. } = &error else { panic!("{error:?}") };
    assert_eq!(library, "pipeline");
    let message = "error: expected type 'u32', found '*const [4:0]u8'\n    \
                   const x: u32 = \"text\";\n                   ^~~~~~";
    assert!(stderr.contains(message), "{stderr}");
    let text = error.to_string();
    assert!(text.starts_with("zig could not compile `pipeline`\n"), "{text}");
    assert!(text.contains(stderr.trim_end()), "{text}");
    // Relative to the package, as cargo's users know it from `cc`.
    assert!(text.contains("\nzig/pipeline.zig:2:20: ") || cfg!(windows), "{text}");
    assert!(text.contains("build-lib -static"), "{text}");
}
