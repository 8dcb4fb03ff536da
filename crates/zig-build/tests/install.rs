//! Installing the compiler into the cache folder. Python and pip are a shell script.
#![cfg(unix)]

mod common;

use std::{fs, sync::Barrier, thread};

use common::Package;
use ziggurat_zig_build::{Build, Error, InstallError, PINNED_ZIG, Reason};

/// A `python3` without ziglang whose pip "installs" a fake Zig of `version` and then runs `then`.
fn python_with_pip(package: &Package, version: &str, then: &str) {
    let log = package.path("log");
    let zig = common::fake_zig(&log, version);
    let body = format!(
        r#"[ "$2" = pip ] || {{ echo 'No module named ziglang' >&2; exit 1; }}
echo "pip $*" >> '{log}'
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/ziglang"
cat > "$2/ziglang/zig" <<'END'
#!/bin/sh
{zig}END
chmod +x "$2/ziglang/zig"
{then}
"#,
        log = log.display()
    );
    package.script("bin/python3", &body);
}

fn installing_build(package: &Package) -> Build {
    let mut build = package.isolated_build();
    build.env("ZIGGURAT_ZIG_INSTALL", "1");
    build
}

fn pip_calls(package: &Package) -> Vec<String> {
    package.log().into_iter().filter(|line| line.starts_with("pip ")).collect()
}

/// The names in the cache folder that have to do with installations.
fn cached(package: &Package) -> Vec<String> {
    let entries = fs::read_dir(package.path("cache")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("ziglang"))
        .collect();
    names.sort();
    names
}

fn package_dir(package: &Package) -> std::path::PathBuf {
    package.path(&format!("cache/ziglang-{PINNED_ZIG}"))
}

#[test]
fn nothing_is_installed_unless_asked_for() {
    let package = Package::new();
    python_with_pip(&package, PINNED_ZIG, "");
    for value in [None, Some("0"), Some(""), Some("yes")] {
        let mut build = package.isolated_build();
        if let Some(value) = value {
            build.env("ZIGGURAT_ZIG_INSTALL", value);
        }
        assert!(matches!(build.try_compile("pipeline"), Err(Error::ZigNotFound { .. })));
    }
    assert!(pip_calls(&package).is_empty());
}

#[test]
fn nothing_is_installed_if_something_fits() {
    let package = Package::new();
    python_with_pip(&package, PINNED_ZIG, "");
    package.fake_zig("bin/zig", PINNED_ZIG);
    installing_build(&package).try_compile("pipeline").unwrap();
    assert!(pip_calls(&package).is_empty());
}

#[test]
fn an_installation_is_used_now_and_found_later() {
    let package = Package::new();
    python_with_pip(&package, PINNED_ZIG, "");
    installing_build(&package).try_compile("pipeline").unwrap();
    let calls = pip_calls(&package);
    assert_eq!(calls.len(), 1);
    assert!(calls[0].ends_with(&format!(" ziglang=={PINNED_ZIG}")), "{}", calls[0]);
    assert_eq!(
        cached(&package),
        [format!("ziglang-{PINNED_ZIG}"), format!("ziglang-{PINNED_ZIG}.lock")]
    );

    // The toolchain is run directly: Python can go.
    fs::remove_file(package.path("bin/python3")).unwrap();
    fs::remove_dir_all(package.out_dir()).unwrap();
    package.isolated_build().try_compile("pipeline").unwrap();
    assert_eq!(package.compilations(), 2);
}

#[test]
fn builds_that_start_together_install_once() {
    const BUILDS: usize = 8;
    let package = Package::new();
    python_with_pip(&package, PINNED_ZIG, "");
    let start = Barrier::new(BUILDS);
    thread::scope(|scope| {
        for index in 0..BUILDS {
            let (package, start) = (&package, &start);
            scope.spawn(move || {
                let mut build = installing_build(package);
                build.out_dir(package.path(&format!("out-{index}")));
                start.wait();
                build.try_compile("pipeline").unwrap();
            });
        }
    });
    assert_eq!(pip_calls(&package).len(), 1);
    assert_eq!(package.compilations(), BUILDS);
}

#[test]
fn what_a_killed_installation_left_is_not_used() {
    let package = Package::new();
    python_with_pip(&package, PINNED_ZIG, "");
    // Killed while pip was running, by this version, …
    let partial = format!("cache/.ziglang-{PINNED_ZIG}-partial-dead/ziglang");
    package.fake_zig(&format!("{partial}/zig"), PINNED_ZIG);
    // … and a folder at the final place that nothing of ours would have put there half-done.
    package.write(&format!("cache/ziglang-{PINNED_ZIG}/ziglang/lib/std.zig"), "");

    let mut refusing = package.isolated_build();
    refusing.env_remove("ZIGGURAT_ZIG_INSTALL");
    assert!(matches!(refusing.try_compile("pipeline"), Err(Error::ZigNotFound { .. })));

    installing_build(&package).try_compile("pipeline").unwrap();
    assert_eq!(pip_calls(&package).len(), 1);
    assert!(!package.path(&partial).exists());
    assert!(!package_dir(&package).join("ziglang/lib").exists());
}

#[test]
fn a_failing_pip_is_quoted_and_leaves_nothing() {
    let package = Package::new();
    python_with_pip(
        &package,
        PINNED_ZIG,
        "echo 'ERROR: No matching distribution found' >&2\nexit 1",
    );
    let error = installing_build(&package).try_compile("pipeline").unwrap_err();
    assert!(matches!(&error, Error::Install(InstallError::Pip { .. })), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("ERROR: No matching distribution found"), "{text}");
    assert!(text.contains("-m pip install "), "{text}");
    assert_eq!(cached(&package), [format!("ziglang-{PINNED_ZIG}.lock")]);
}

#[test]
fn what_pip_installed_is_checked_before_it_is_kept() {
    let package = Package::new();
    python_with_pip(&package, "0.17.0", "");
    let error = installing_build(&package).try_compile("pipeline").unwrap_err();
    let Error::Install(InstallError::Unusable { refused }) = &error else { panic!("{error:?}") };
    assert!(matches!(&refused.reason, Reason::WrongVersion { found, .. } if found == "0.17.0"));
    assert!(!package_dir(&package).exists());
}

#[test]
fn a_machine_without_python_or_pip_is_told_so() {
    let package = Package::new();
    let error = installing_build(&package).try_compile("pipeline").unwrap_err();
    assert!(matches!(error, Error::Install(InstallError::NoPython)), "{error:?}");

    package.script("bin/python3", "echo \"/usr/bin/python3: No module named $2\" >&2\nexit 1\n");
    let error = installing_build(&package).try_compile("pipeline").unwrap_err();
    assert!(matches!(error, Error::Install(InstallError::NoPip { .. })), "{error:?}");
}

#[test]
fn without_a_cache_folder_the_toolchain_goes_beside_out_dir() {
    let package = Package::new();
    python_with_pip(&package, PINNED_ZIG, "");
    let mut build = installing_build(&package);
    build.env_remove("ZIGGURAT_CACHE_DIR");
    build.try_compile("pipeline").unwrap();
    let dir = package.path(&format!("ziggurat-cache/ziglang-{PINNED_ZIG}"));
    assert!(dir.join("ziglang/zig").is_file());
}
