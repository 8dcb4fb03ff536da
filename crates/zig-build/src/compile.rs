//! Carrying a build out: prepare the inputs, run Zig if needed, tell cargo.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Artifact, Build, Error, command, discovery,
    metadata::Metadata,
    names::LinkNames,
    package,
    plan::{self, Output, Plan},
    target,
};

pub(crate) fn run(build: &Build, library: &str, output: Output) -> Result<Artifact, Error> {
    let mut metadata = Metadata::new(build.cargo_metadata);
    for name in discovery::VARIABLES.iter().chain(target::VARIABLES) {
        metadata.line(format_args!("rerun-if-env-changed={name}"));
    }
    let plan = Plan::new(build, library, output, &mut metadata)?;
    let sources = plan.sources();
    for source in &sources {
        metadata.line(format_args!("rerun-if-changed={}", source.display()));
    }

    plan.write_generated()?;
    let compiled = compile_if_needed(&plan, &sources)?;
    if output == Output::StaticLibrary {
        link(&plan, &mut metadata);
    }
    Ok(Artifact {
        path: plan.artifact(),
        link_name: plan.names.library,
        symbol: plan.names.symbol,
        compiled,
        metadata: metadata.into_lines(),
    })
}

/// The compiler that a build would use.
pub(crate) fn zig_command(build: &Build) -> Result<Command, Error> {
    let package_dir = PathBuf::from(build.environment.require("CARGO_MANIFEST_DIR")?);
    let cache = cache_dir(build, &plan::out_dir(build, &package_dir)?);
    let zig = discovery::find(build.zig.as_deref(), &build.environment, &cache)?;
    Ok(zig.command())
}

/// The user's cache folder, or one beside `OUT_DIR` for a user without one.
fn cache_dir(build: &Build, out_dir: &Path) -> PathBuf {
    let fallback = || out_dir.parent().unwrap_or(out_dir).join("ziggurat-cache");
    build.environment.cache_dir().unwrap_or_else(fallback)
}

/// Runs the compiler unless the artifact is there and nothing it depends on has changed. Returns
/// whether it ran.
fn compile_if_needed(plan: &Plan<'_>, sources: &[PathBuf]) -> Result<bool, Error> {
    let cache = cache_dir(plan.build, &plan.out_dir);
    let zig = discovery::find(plan.build.zig.as_deref(), &plan.build.environment, &cache)?;

    let artifact = plan.artifact();
    let stamp = stamp(&artifact);
    let fingerprint = plan.fingerprint(sources);
    if artifact.is_file() && fs::read_to_string(&stamp).is_ok_and(|old| old == fingerprint) {
        return Ok(false);
    }
    // From here to the new stamp, what is in OUT_DIR isn't known to be good.
    ignore_absent(fs::remove_file(&stamp)).map_err(Error::io("remove", &stamp))?;
    compile(plan, zig.command(), &cache)?;
    package::write_if_changed(&stamp, &fingerprint)?;
    Ok(true)
}

fn stamp(artifact: &Path) -> PathBuf {
    let name = artifact.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    artifact.with_file_name(format!("{name}.stamp"))
}

fn compile(plan: &Plan<'_>, mut command: Command, cache: &Path) -> Result<(), Error> {
    // Zig never removes anything from its cache, and the stamp has made it useless here.
    let local_cache = plan.out_dir.join("zig-cache").join(plan.library);
    ignore_absent(fs::remove_dir_all(&local_cache)).map_err(Error::io("remove", &local_cache))?;

    // Zig shows paths relative to its working folder, where they lie below it.
    command.current_dir(&plan.package_dir).args(plan.arguments());
    command.arg("--cache-dir").arg(local_cache);
    if plan.build.environment.get("ZIG_GLOBAL_CACHE_DIR").is_none() {
        command.arg("--global-cache-dir").arg(global_cache_dir(plan, cache));
    }
    if let Some(jobs) = plan.build.environment.get_str("NUM_JOBS") {
        command.arg(format!("-j{jobs}"));
    }

    let shown = command::display(&command);
    let output = match command.output() {
        Ok(output) => output,
        Err(source) => return Err(Error::Spawn { command: shown, source }),
    };
    let mut stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        eprint!("{stderr}");
        return Ok(());
    }
    if stderr.trim().is_empty() {
        stderr = format!("zig wrote nothing and ended with {}", output.status);
    }
    Err(Error::Compile { library: plan.library.to_owned(), command: shown, stderr })
}

/// The folder where Zig keeps its reading of std, shared by all builds if it can be written.
fn global_cache_dir(plan: &Plan<'_>, cache: &Path) -> PathBuf {
    let shared = cache.join("zig-cache");
    match fs::create_dir_all(&shared) {
        Ok(()) => shared,
        Err(_) => plan.out_dir.join("zig-global-cache"),
    }
}

fn link(plan: &Plan<'_>, metadata: &mut Metadata) {
    let LinkNames { library, symbol } = &plan.names;
    metadata.line(format_args!("rustc-env=ZIGGURAT_EXPORTS_{}={symbol}", plan.library));
    metadata.line(format_args!("rustc-link-search=native={}", plan.out_dir.display()));
    metadata.line(format_args!("rustc-link-lib=static={library}"));
    if plan.target.is_windows() {
        // Zig's std calls into these by name; the first two are Rust's as well.
        for name in ["ntdll", "kernel32", "crypt32"] {
            metadata.line(format_args!("rustc-link-lib=dylib={name}"));
        }
    }
}

fn ignore_absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
