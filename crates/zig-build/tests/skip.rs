//! When the compiler runs again, and what it is told. The compiler is a shell script that counts.
#![cfg(unix)]

mod common;

use std::fs;

use common::Package;
use ziggurat_zig_build::{Build, Error, Module, Optimize, PINNED_ZIG};

fn package() -> (Package, Build) {
    let package = Package::new();
    package.fake_zig("bin/zig", PINNED_ZIG);
    package.write("zig/pipeline.zig", "_ = @import(\"a.zig\"); _ = @embedFile(\"data.txt\");\n");
    package.write("zig/a.zig", "");
    package.write("zig/data.txt", "one");
    let build = package.isolated_build();
    (package, build)
}

/// Builds, and returns whether the compiler ran.
fn runs(package: &Package, build: &Build) -> bool {
    let before = package.compilations();
    let artifact = build.try_compile("pipeline").unwrap();
    let ran = package.compilations() > before;
    assert_eq!(artifact.was_compiled(), ran);
    ran
}

/// The last compilation's command line.
fn last_call(package: &Package) -> String {
    package.log().into_iter().rfind(|line| line.contains("build-lib")).unwrap()
}

#[test]
fn an_unchanged_build_does_not_run_the_compiler() {
    let (package, build) = package();
    assert!(runs(&package, &build));
    assert!(!runs(&package, &build));
    // Written again with the same contents, by an editor or a checkout.
    package.write("zig/a.zig", "");
    assert!(!runs(&package, &build));
}

#[test]
fn a_change_of_anything_that_matters_does() {
    let (package, mut build) = package();
    assert!(runs(&package, &build));
    package.write("zig/a.zig", "const x = 1;");
    assert!(runs(&package, &build), "an imported file");
    package.write("zig/data.txt", "two");
    assert!(runs(&package, &build), "an embedded file");
    fs::remove_file(package.path("zig/data.txt")).unwrap();
    assert!(runs(&package, &build), "a removed file");
    build.rerun_if_changed("include/header.h");
    package.write("include/header.h", "int f(void);");
    assert!(runs(&package, &build), "a watched file");
    package.write("zig/wire.zig", "");
    build.module("wire", "zig/wire.zig");
    assert!(runs(&package, &build), "a module");
    package.write("zig/wire.zig", "const y = 1;");
    assert!(runs(&package, &build), "a module's file");
    assert!(runs(&package, build.optimize(Optimize::Fast)), "the mode");
    assert!(runs(&package, build.cpu("x86_64_v3")), "the CPU");
    assert!(runs(&package, build.target("x86_64-unknown-linux-musl")), "the target");
    assert!(runs(&package, build.flag("-DX=1")), "a flag");
    assert!(runs(&package, build.stack_check(false)), "stack checks");
    assert!(runs(&package, build.strip(true)), "debug information");
    assert!(runs(&package, build.valgrind(true)), "Valgrind");
    assert!(!runs(&package, &build), "nothing");
}

#[test]
fn a_missing_output_or_a_failed_build_is_built_again() {
    let (package, build) = package();
    let artifact = build.try_compile("pipeline").unwrap();
    fs::remove_file(artifact.path()).unwrap();
    assert!(runs(&package, &build));

    package.script(
        "bin/zig",
        &format!("[ $1 = version ] && echo {PINNED_ZIG} && exit\necho 'error: no' >&2\nexit 1\n"),
    );
    package.write("zig/a.zig", "broken");
    assert!(matches!(build.try_compile("pipeline"), Err(Error::Compile { .. })));
    // Back to what was good before the failure; its output may have been touched since.
    package.fake_zig("bin/zig", PINNED_ZIG);
    package.write("zig/a.zig", "");
    assert!(runs(&package, &build));
}

#[test]
fn libraries_of_one_package_do_not_share_a_stamp() {
    let (package, build) = package();
    assert!(runs(&package, &build));
    assert!(build.try_compile("other").unwrap().was_compiled());
    assert!(!runs(&package, &build));
    assert!(!build.try_compile("other").unwrap().was_compiled());
}

#[test]
fn cargo_watches_every_file_that_is_reached() {
    let (package, mut build) = package();
    package.write("zig/wire.zig", "_ = @import(\"wire/frame.zig\");");
    build.module("wire", "zig/wire.zig").rerun_if_changed("include/header.h");
    let artifact = build.try_compile("pipeline").unwrap();
    for name in [
        "zig/pipeline.zig",
        "zig/a.zig",
        "zig/data.txt",
        "zig/wire.zig",
        "zig/wire/frame.zig", // does not exist yet
        "include/header.h",
    ] {
        let line = format!("cargo::rerun-if-changed={}", package.path(name).display());
        assert!(artifact.cargo_metadata().contains(&line), "{line}");
    }
}

#[test]
fn cargo_is_told_how_to_link() {
    let (package, build) = package();
    let artifact = build.try_compile("pipeline").unwrap();
    let out = package.out_dir();
    for line in [
        format!("cargo::rustc-env=ZIGGURAT_EXPORTS_pipeline={}", artifact.symbol()),
        format!("cargo::rustc-link-search=native={}", out.display()),
        format!("cargo::rustc-link-lib=static={}", artifact.link_name()),
    ] {
        assert!(artifact.cargo_metadata().contains(&line), "{line}");
    }
    assert_eq!(artifact.path(), out.join(format!("lib{}.a", artifact.link_name())));
}

#[test]
fn windows_has_its_own_file_name_and_libraries() {
    let (package, mut build) = package();
    let artifact = build.target("x86_64-pc-windows-msvc").try_compile("pipeline").unwrap();
    let file = format!("{}.lib", artifact.link_name());
    assert_eq!(artifact.path(), package.out_dir().join(file));
    let line = "cargo::rustc-link-lib=dylib=ntdll".to_owned();
    assert!(artifact.cargo_metadata().contains(&line));
}

#[test]
fn the_command_line_follows_cargo() {
    let (package, mut build) = package();
    build.env("OPT_LEVEL", "3").env("DEBUG", "false").env("NUM_JOBS", "7");
    build.env("CARGO_CFG_TARGET_FEATURE", "avx2,crt-static,fxsr,sse4.2");
    build.try_compile("pipeline").unwrap();
    let call = last_call(&package);
    for words in [
        " build-lib -static ",
        " -target x86_64-linux-gnu -mcpu baseline+avx2+fxsr+sse4_2+crc32 -O safe -fPIC ",
        " -fstack-check ",
        " -fstrip ",
        " -fno-compiler-rt ",
        " -lc ",
        " -j7",
    ] {
        assert!(call.contains(words), "no {words:?} in {call}");
    }
    assert!(!call.contains("-fllvm"), "{call}");

    build.env("OPT_LEVEL", "0").env("DEBUG", "true");
    build.try_compile("pipeline").unwrap();
    let call = last_call(&package);
    assert!(call.contains(" -O debug ") && call.contains(" -fno-strip "), "{call}");
    assert!(call.contains(" -fllvm "), "stack probes need LLVM: {call}");

    build.target("aarch64-apple-darwin").try_compile("pipeline").unwrap();
    let call = last_call(&package);
    // The features are those of cargo's target, not of this one.
    assert!(call.contains(" -target aarch64-macos.11.0-none -mcpu baseline "), "{call}");
    assert!(!call.contains("-fstack-check"), "{call}");

    build.target("wasm32-unknown-unknown").try_compile("pipeline").unwrap();
    assert!(!last_call(&package).contains(" -lc "));

    build.zig_target("x86_64-linux-gnu.2.17").cpu("native").try_compile("pipeline").unwrap();
    assert!(last_call(&package).contains(" -target x86_64-linux-gnu.2.17 -mcpu native "));
}

#[test]
fn unknown_target_features_are_warned_of() {
    let (package, mut build) = package();
    build.env("CARGO_CFG_TARGET_FEATURE", "avx,quantum");
    let artifact = build.try_compile("pipeline").unwrap();
    let warnings = artifact.cargo_metadata().iter().filter(|line| line.contains("warning="));
    assert_eq!(warnings.filter(|line| line.contains("`quantum`")).count(), 1);
    assert!(last_call(&package).contains("-mcpu baseline+avx "));
}

#[test]
fn flags_stand_before_every_module() {
    let (package, mut build) = package();
    package.write("zig/wire.zig", "");
    build.module("wire", "zig/wire.zig").flags(["-fsanitize-thread", "-DA=1"]);
    build.try_compile("pipeline").unwrap();
    let call = last_call(&package);
    assert_eq!(call.matches("-fsanitize-thread -DA=1 -M").count(), 4, "{call}");
}

#[test]
fn modules_see_what_they_depend_on() {
    let (package, mut build) = package();
    package.write("zig/wire.zig", "");
    package.write("zig/codec.zig", "");
    build.module("wire", "zig/wire.zig");
    build.add_module(Module::new("codec", "zig/codec.zig").dependency("wire"));
    build.try_compile("pipeline").unwrap();
    let call = last_call(&package);
    let dependencies = |module: &str| -> Vec<String> {
        let end = call.find(&format!(" -M{module}=")).unwrap();
        let start = call[..end].rfind(" -M").map_or(0, |at| at + 3);
        call[start..end]
            .split(" --dep ")
            .skip(1)
            .map(|it| it.split(' ').next().unwrap().into())
            .collect()
    };
    assert_eq!(dependencies("root"), ["ziggurat", "user"]);
    assert_eq!(dependencies("user"), ["ziggurat", "wire", "codec"]);
    assert_eq!(dependencies("wire"), ["ziggurat"]);
    assert_eq!(dependencies("codec"), ["ziggurat", "wire"]);
    assert_eq!(dependencies("ziggurat"), [""; 0]);
}

#[test]
fn wrong_settings_are_typed_errors() {
    let (package, build) = package();
    let attempt = |change: &dyn Fn(&mut Build) -> &mut Build| {
        let mut build = build.clone();
        change(&mut build);
        build.try_compile("pipeline").unwrap_err()
    };
    assert!(matches!(build.try_compile("c"), Err(Error::InvalidName { what: "library", .. })));
    assert!(matches!(build.try_compile("my-lib"), Err(Error::InvalidName { .. })));
    assert!(matches!(
        attempt(&|build| build.target("riscv128gc-unknown-linux-gnu")),
        Error::UnknownTarget { triple } if triple == "riscv128gc-unknown-linux-gnu"
    ));
    assert!(matches!(
        attempt(&|build| build.env("OPT_LEVEL", "9")),
        Error::UnknownOptLevel { value } if value == "9"
    ));
    assert!(matches!(
        attempt(&|build| build.env_remove("OUT_DIR")),
        Error::MissingVariable { name: "OUT_DIR" }
    ));
    assert!(matches!(
        attempt(&|build| build.module("gone", "zig/gone.zig")),
        Error::SourceNotFound { module, path }
            if module == "gone" && path == package.path("zig/gone.zig")
    ));
    assert!(matches!(
        attempt(&|build| build.module("std", "zig/a.zig")),
        Error::InvalidName { what: "module", .. }
    ));
    assert!(matches!(
        attempt(&|build| build.module("w", "zig/a.zig").module("w", "zig/a.zig")),
        Error::InvalidName { what: "module", .. }
    ));
    assert!(matches!(
        attempt(&|build| build.add_module(Module::new("w", "zig/a.zig").dependency("x"))),
        Error::UnknownDependency { module, dependency } if module == "w" && dependency == "x"
    ));

    fs::remove_file(package.path("zig/pipeline.zig")).unwrap();
    let error = build.try_compile("pipeline").unwrap_err();
    let path = package.path("zig/pipeline.zig");
    assert_eq!(
        error.to_string(),
        format!("module `user` has no root file: {} does not exist", path.display())
    );
    assert_eq!(package.compilations(), 0);
}
