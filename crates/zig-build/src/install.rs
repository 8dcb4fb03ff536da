//! Installing the pinned Zig from its PyPI package into the cache folder.
//!
//! Two build scripts may want this at once, and either may be killed half-way. So the work happens
//! under a file lock, in a temporary folder beside the destination, and what has been checked to
//! be the right compiler appears at its final place by one rename.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    PINNED_ZIG,
    discovery::{self, Candidate, Reason, Zig},
    environment::Environment,
    error::InstallError,
};

/// Where the pinned toolchain lives in the cache folder.
pub(crate) fn location(cache: &Path) -> PathBuf {
    cache.join(format!("ziglang-{PINNED_ZIG}"))
}

/// The toolchain of an earlier installation.
pub(crate) fn installed(cache: &Path) -> Result<Zig, Reason> {
    discovery::check(executable(&location(cache)))
}

/// The compiler inside of an installed package: run directly, it needs no Python.
fn executable(package: &Path) -> PathBuf {
    package.join("ziglang").join(if cfg!(windows) { "zig.exe" } else { "zig" })
}

/// Installs the toolchain, or returns the one that another process installed while this one was
/// waiting for the lock.
pub(crate) fn install(environment: &Environment, cache: &Path) -> Result<Zig, InstallError> {
    let python = discovery::python(environment).ok_or(InstallError::NoPython)?;
    fs::create_dir_all(cache).map_err(io_error("create", cache))?;

    let lock_path = cache.join(format!("ziglang-{PINNED_ZIG}.lock"));
    let lock_file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(io_error("open", &lock_path))?;
    let mut lock = fd_lock::RwLock::new(lock_file);
    let _held = lock.write().map_err(io_error("lock", &lock_path))?;

    if let Ok(zig) = installed(cache) {
        return Ok(zig);
    }
    // Under the lock, whatever else is here belongs to a process that died.
    let destination = location(cache);
    remove_dir(&destination)?;
    remove_partial(cache)?;

    let partial = tempfile::Builder::new()
        .prefix(&partial_prefix())
        .tempdir_in(cache)
        .map_err(io_error("create a temporary folder in", cache))?;
    eprintln!("installing Zig {PINNED_ZIG} into {}", destination.display());
    pip_install(&python, partial.path())?;
    discovery::check(executable(partial.path())).map_err(unusable(partial.path()))?;

    fs::rename(partial.path(), &destination).map_err(io_error("create", &destination))?;
    // The folder has moved away; there is nothing left to remove.
    let _ = partial.keep();
    installed(cache).map_err(unusable(&destination))
}

fn pip_install(python: &Path, target: &Path) -> Result<(), InstallError> {
    let mut command = Command::new(python);
    command
        .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
        .args(["--no-deps", "--no-compile", "--target"])
        .arg(target)
        .arg(format!("ziglang=={PINNED_ZIG}"))
        // A user-wide `user = true` in pip's configuration contradicts `--target`.
        .env("PIP_USER", "0");
    let output = command.output().map_err(io_error("run", python))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if stderr.contains("No module named pip") {
        return Err(InstallError::NoPip { python: python.to_owned() });
    }
    Err(InstallError::Pip { command: crate::command::display(&command), stderr })
}

fn partial_prefix() -> String {
    format!(".ziglang-{PINNED_ZIG}-partial-")
}

fn remove_partial(cache: &Path) -> Result<(), InstallError> {
    let prefix = partial_prefix();
    for entry in fs::read_dir(cache).map_err(io_error("list", cache))? {
        let entry = entry.map_err(io_error("list", cache))?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            remove_dir(&entry.path())?;
        }
    }
    Ok(())
}

fn remove_dir(path: &Path) -> Result<(), InstallError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn unusable(package: &Path) -> impl FnOnce(Reason) -> InstallError {
    let candidate = Candidate::Cache(package.to_owned());
    move |reason| InstallError::Unusable { refused: Box::new(discovery::refuse(candidate, reason)) }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> InstallError {
    let path = path.to_owned();
    move |source| InstallError::Io { action, path, source }
}
