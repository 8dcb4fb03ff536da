//! Which compiler is taken, and what is said when none is. The compilers are shell scripts.
#![cfg(unix)]

mod common;

use std::{fs, path::PathBuf};

use common::Package;
use ziggurat_zig_build::{Build, Candidate, Error, PINNED_ZIG, Reason};

/// Builds from nothing, and returns the program that compiled.
fn compiled_with(package: &Package, build: &Build) -> PathBuf {
    for path in [package.path("log"), package.out_dir()] {
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir_all(&path);
    }
    build.try_compile("pipeline").unwrap();
    let log = package.log();
    let call = log.iter().find(|line| line.contains(" build-lib ")).unwrap();
    call.split(' ').next().unwrap().into()
}

fn python(package: &Package, version: &str) {
    let log = package.path("log");
    let body = format!(
        "[ \"$1 $2\" = '-m ziglang' ] || exit 9\nshift 2\n{}",
        common::fake_zig(&log, version)
    );
    package.script("bin/python3", &body);
}

#[test]
fn the_order_of_the_candidates() {
    let package = Package::new();
    let explicit = package.fake_zig("tools/explicit", PINNED_ZIG);
    let ziggurat_zig = package.fake_zig("tools/ziggurat-zig", PINNED_ZIG);
    let zig = package.fake_zig("tools/zig-variable", PINNED_ZIG);
    let on_path = package.fake_zig("bin/zig", PINNED_ZIG);
    python(&package, PINNED_ZIG);
    let cached = package.fake_zig(&format!("cache/ziglang-{PINNED_ZIG}/ziglang/zig"), PINNED_ZIG);

    let mut build = package.isolated_build();
    build.env("ZIGGURAT_ZIG", &ziggurat_zig).env("ZIG", &zig);
    let mut explicit_build = build.clone();
    explicit_build.zig(&explicit);
    assert_eq!(compiled_with(&package, &explicit_build), explicit);

    assert_eq!(compiled_with(&package, &build), ziggurat_zig);
    build.env_remove("ZIGGURAT_ZIG");
    assert_eq!(compiled_with(&package, &build), zig);
    build.env_remove("ZIG");
    for program in [on_path, package.path("bin/python3"), cached] {
        assert_eq!(compiled_with(&package, &build), program);
        fs::remove_file(program).unwrap();
    }
    assert!(matches!(build.try_compile("pipeline"), Err(Error::ZigNotFound { .. })));
}

#[test]
fn candidates_of_another_version_are_passed_over() {
    let package = Package::new();
    let zig = package.fake_zig("tools/zig", "0.16.0");
    package.fake_zig("bin/zig", "0.18.0-dev.1");
    python(&package, "0.17.0");
    package.fake_zig(&format!("cache/ziglang-{PINNED_ZIG}/ziglang/zig"), PINNED_ZIG);

    let mut build = package.isolated_build();
    build.env("ZIG", zig);
    let cached = package.path(&format!("cache/ziglang-{PINNED_ZIG}/ziglang/zig"));
    assert_eq!(compiled_with(&package, &build), cached);
    // Each candidate was asked once.
    let versions = package.log().iter().filter(|line| line.ends_with(" version")).count();
    assert_eq!(versions, 4);
}

#[test]
fn a_named_compiler_that_does_not_fit_is_an_error() {
    let package = Package::new();
    package.fake_zig("bin/zig", PINNED_ZIG);
    let wrong = package.fake_zig("tools/old-zig", "0.13.0");

    let mut build = package.isolated_build();
    build.env("ZIGGURAT_ZIG", &wrong);
    let error = build.try_compile("pipeline").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "Zig {PINNED_ZIG} is needed, but ZIGGURAT_ZIG is {}, version 0.13.0",
            wrong.display()
        )
    );

    build.zig(package.path("tools/absent"));
    let error = build.try_compile("pipeline").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Zig {PINNED_ZIG} is needed, but Build::zig was not found")
    );
    assert_eq!(package.compilations(), 0);
}

#[test]
fn a_bare_name_is_looked_up_on_path() {
    let package = Package::new();
    let named = package.fake_zig("bin/zig-pinned", PINNED_ZIG);
    let mut build = package.isolated_build();
    build.env("ZIGGURAT_ZIG", "zig-pinned");
    assert_eq!(compiled_with(&package, &build), named);
}

#[test]
fn the_error_lists_every_candidate_and_its_reason() {
    let package = Package::new();
    let broken = package.script("tools/broken", "echo 'no such target' >&2; exit 3\n");
    package.fake_zig("bin/zig", "0.16.0");
    package.script("bin/python3", "echo '/usr/bin/python3: No module named ziglang' >&2; exit 1\n");
    // Not executable: found by its path, and refused.
    package.write(&format!("cache/ziglang-{PINNED_ZIG}/ziglang/zig"), "");

    let mut build = package.isolated_build();
    build.env("ZIG", &broken);
    let error = build.try_compile("pipeline").unwrap_err();
    let Error::ZigNotFound { refused } = &error else { panic!("{error:?}") };
    let reasons: Vec<_> = refused.iter().map(|refused| &refused.reason).collect();
    assert!(matches!(
        reasons[..],
        [
            Reason::NotSet,
            Reason::Failed { .. },
            Reason::WrongVersion { .. },
            Reason::Failed { .. },
            Reason::NotRunnable { .. },
        ]
    ));
    assert_eq!(refused[2].candidate, Candidate::Path);

    let text = error.to_string();
    let bin = package.path("bin");
    for line in [
        "  ZIGGURAT_ZIG is not set".to_owned(),
        format!(
            "  ZIG is {}, whose `version` failed (exit status: 3): no such target",
            broken.display()
        ),
        format!("  zig on PATH is {}, version 0.16.0", bin.join("zig").display()),
        format!(
            "  python3 -m ziglang is {}, whose `version` failed (exit status: 1): \
             /usr/bin/python3: No module named ziglang",
            bin.join("python3").display()
        ),
        "install it with `python3 -m pip install ziglang==0.17.1`, or set \
         ZIGGURAT_ZIG_INSTALL=1 to have the build do so in its own cache folder"
            .to_owned(),
    ] {
        assert!(text.lines().any(|it| it == line), "no line {line:?} in\n{text}");
    }
}

#[test]
fn an_empty_machine_is_told_what_to_do() {
    let package = Package::new();
    let error = package.isolated_build().try_compile("pipeline").unwrap_err();
    let Error::ZigNotFound { refused } = &error else { panic!("{error:?}") };
    assert!(matches!(
        refused.iter().map(|refused| &refused.reason).collect::<Vec<_>>()[..],
        [Reason::NotSet, Reason::NotSet, Reason::NotFound, Reason::NotFound, Reason::NotFound]
    ));
}

#[test]
fn a_file_on_path_that_is_not_executable_is_not_a_program() {
    let package = Package::new();
    package.write("bin/zig", "#!/bin/sh\necho 0.17.1\n");
    let error = package.isolated_build().try_compile("pipeline").unwrap_err();
    let Error::ZigNotFound { refused } = &error else { panic!("{error:?}") };
    assert!(matches!(refused[2].reason, Reason::NotFound));
}

#[test]
fn a_change_of_the_variables_reruns_the_build_script() {
    let package = Package::new();
    package.fake_zig("bin/zig", PINNED_ZIG);
    let artifact = package.isolated_build().try_compile("pipeline").unwrap();
    for name in ["ZIGGURAT_ZIG", "ZIG", "ZIGGURAT_ZIG_INSTALL", "ZIGGURAT_CACHE_DIR"] {
        let line = format!("cargo::rerun-if-env-changed={name}");
        assert!(artifact.cargo_metadata().contains(&line), "{line}");
    }
}
