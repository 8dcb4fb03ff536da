//! Everything that can go wrong, in words for the person who ran `cargo build`.

use std::{io, path::PathBuf};

use crate::{PINNED_ZIG, discovery::Refused};

/// Why a build did not produce a library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A variable that cargo sets for build scripts is absent.
    #[error("environment variable {name} is not set; cargo sets it for build scripts")]
    MissingVariable {
        /// The variable.
        name: &'static str,
    },

    /// The name of a library or module cannot be used.
    #[error("{name:?} cannot name a {what}: {reason}")]
    InvalidName {
        /// `"library"` or `"module"`.
        what: &'static str,
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The root file of a module does not exist.
    #[error("module `{module}` has no root file: {} does not exist", path.display())]
    SourceNotFound {
        /// The module: `user` for the file passed to [`Build::new`](crate::Build::new).
        module: String,
        /// The path that was looked at.
        path: PathBuf,
    },

    /// A module depends on one that was never added.
    #[error("module `{module}` depends on `{dependency}`, which was not added to the build")]
    UnknownDependency {
        /// The module with the dependency.
        module: String,
        /// The missing one.
        dependency: String,
    },

    /// There is no known Zig equivalent of a Rust target triple.
    #[error(
        "no Zig target is known for the Rust target {triple:?}; name one with `Build::zig_target`"
    )]
    UnknownTarget {
        /// Rust's triple.
        triple: String,
    },

    /// Cargo's `OPT_LEVEL` has a value that this crate does not know.
    #[error("no Zig optimisation mode is known for OPT_LEVEL={value:?}")]
    UnknownOptLevel {
        /// The value.
        value: String,
    },

    /// The compiler that was named explicitly, by [`Build::zig`](crate::Build::zig) or
    /// `ZIGGURAT_ZIG`, is not usable. Nothing else is tried: it was asked for by name.
    #[error("Zig {PINNED_ZIG} is needed, but {refused}")]
    NamedZig {
        /// How it was named, and what is wrong with it.
        refused: Box<Refused>,
    },

    /// No candidate was a usable compiler.
    #[error(
        "Zig {PINNED_ZIG} was not found; looked at{}\n\
         install it with `python3 -m pip install ziglang=={PINNED_ZIG}`, \
         or set ZIGGURAT_ZIG_INSTALL=1 to have the build do so in its own cache folder",
        listed(refused)
    )]
    ZigNotFound {
        /// Every candidate, in the order in which they were tried.
        refused: Vec<Refused>,
    },

    /// `ZIGGURAT_ZIG_INSTALL=1` is set and the installation failed.
    #[error(transparent)]
    Install(#[from] InstallError),

    /// Zig rejected the code.
    #[error("zig could not compile `{library}`\n\n{}\n\ncommand: {command}", stderr.trim_end())]
    Compile {
        /// The library.
        library: String,
        /// The command line.
        command: String,
        /// What Zig wrote, verbatim.
        stderr: String,
    },

    /// Zig was found, and then could not be started.
    #[error("cannot run {command}")]
    Spawn {
        /// The command line.
        command: String,
        /// Why.
        source: io::Error,
    },

    /// A file of the build could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// `"read"`, `"write"`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Adapts an [`io::Error`] for `map_err`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

/// Why the pinned Zig could not be installed into the cache folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// There is no Python to run pip with.
    #[error("cannot install Zig {PINNED_ZIG}: no python3 on PATH")]
    NoPython,

    /// Python has no pip.
    #[error("cannot install Zig {PINNED_ZIG}: {} has no pip", python.display())]
    NoPip {
        /// The interpreter.
        python: PathBuf,
    },

    /// pip ran and failed.
    #[error("cannot install Zig {PINNED_ZIG}: `{command}` failed\n\n{}", stderr.trim_end())]
    Pip {
        /// The command line.
        command: String,
        /// What pip wrote, verbatim.
        stderr: String,
    },

    /// pip succeeded, and what it installed is not the pinned compiler.
    #[error("installed Zig {PINNED_ZIG}, but the result {}", refused.reason)]
    Unusable {
        /// What is wrong with it.
        refused: Box<Refused>,
    },

    /// The cache folder could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// `"lock"`, `"create"`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn listed(refused: &[Refused]) -> String {
    refused.iter().map(|refused| format!("\n  {refused}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_fit_into_boxes() {
        fn fits<T: std::error::Error + Send + Sync + 'static>() {}
        fits::<Error>();
        fits::<InstallError>();
    }
}
