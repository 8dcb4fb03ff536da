//! The whole way: cargo builds and runs a program of two crates whose Zig libraries share a name.
//! Needs Zig.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use common::Package;

const BUILD_RS: &str = r#"fn main() {
    ziggurat_zig_build::Build::new("zig/pipeline.zig").compile("pipeline");
}
"#;

/// Each crate exports a number besides the library's own function, whose symbol this calls too.
fn rust_source(name: &str) -> String {
    format!(
        r#"mod zig {{
    unsafe extern "C" {{
        #[link_name = env!("ZIGGURAT_EXPORTS_pipeline")]
        pub fn exports() -> *const u8;
        pub fn {name}_number() -> u32;
    }}
}}
pub fn number() -> u32 {{
    assert_ne!(zig::exports as usize, 0);
    unsafe {{ zig::{name}_number() }}
}}
"#
    )
}

fn zig_source(name: &str, number: u32) -> String {
    format!("export fn {name}_number() u32 {{\n    return {number};\n}}\n{}", common::NO_EXPORTS)
}

/// The manifest of a crate; `dependencies` is in TOML.
fn manifest(name: &str, dependencies: &str) -> String {
    let this_crate = Path::new(env!("CARGO_MANIFEST_DIR"));
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [dependencies]\n{dependencies}\n\n\
         [build-dependencies]\nziggurat-zig-build = {{ path = {this_crate:?} }}\n"
    )
}

fn scratch_program() -> Package {
    let package = Package::new();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let _ = fs::copy(workspace.join("Cargo.lock"), package.path("Cargo.lock"));
    package.write(
        "Cargo.toml",
        &format!("{}\n[workspace]\n", manifest("app", "dep = { path = \"dep\" }")),
    );
    package.write("dep/Cargo.toml", &manifest("dep", ""));
    for (dir, name, number) in [("", "app", 40), ("dep/", "dep", 2)] {
        package.write(&format!("{dir}build.rs"), BUILD_RS);
        package.write(&format!("{dir}zig/pipeline.zig"), &zig_source(name, number));
    }
    package.write("dep/src/lib.rs", &rust_source("dep"));
    let main = "fn main() {\n    println!(\"sum {}\", number() + dep::number());\n}\n";
    package.write("src/main.rs", &(rust_source("app") + main));
    package
}

/// Runs the program with cargo. The target folder outlives the test, so that only the first run on
/// a machine compiles the dependencies.
fn cargo_run(package: &Package) -> Output {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("scratch-program");
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--offline"]).current_dir(package.dir.path());
    // The variables of the cargo that runs this test are about another package.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command.env("CARGO_TARGET_DIR", target).env("CARGO_TERM_COLOR", "never");
    command.output().unwrap()
}

#[test]
fn a_program_of_two_crates_links_runs_and_reports_errors() {
    let package = scratch_program();
    let output = cargo_run(&package);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "sum 42\n");

    // A change in an imported file reaches the program.
    package.write_root(
        "const part = @import(\"part.zig\");\n\
         export fn app_number() u32 {\n    return part.number;\n}",
    );
    package.write("zig/part.zig", "pub const number = 98;\n");
    let output = cargo_run(&package);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "sum 100\n");

    package.write("zig/part.zig", "pub const number = undeclared;\n");
    let output = cargo_run(&package);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let message = "zig/part.zig:1:20: error: use of undeclared identifier 'undeclared'\n  \
                   pub const number = undeclared;\n                     ^~~~~~~~~~\n";
    assert!(stderr.contains(message), "{stderr}");
    assert!(stderr.contains("error: zig could not compile `pipeline`"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}
