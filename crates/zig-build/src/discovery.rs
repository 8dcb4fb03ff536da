//! Finding a Zig of exactly the pinned version, and remembering why each other one was refused.
//!
//! A compiler that was named (by [`Build::zig`](crate::Build::zig) or `ZIGGURAT_ZIG`) is used or is
//! an error; one that is merely there (`ZIG`, `PATH`, Python, the cache) is used if it fits.

use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, PINNED_ZIG, environment::Environment, install};

/// The variables that discovery and installation read; a change of one reruns the build script.
/// `PATH` is left out on purpose: it differs between a terminal and an editor, and each switch
/// would rebuild the user's crate.
pub(crate) const VARIABLES: &[&str] =
    &[NAMING_VARIABLE, "ZIG", "ZIGGURAT_ZIG_INSTALL", "ZIGGURAT_CACHE_DIR"];

/// The variable that names a compiler, as opposed to `ZIG`, which other tools set as well.
const NAMING_VARIABLE: &str = "ZIGGURAT_ZIG";

/// A compiler that answered with the pinned version.
#[derive(Clone, Debug)]
pub(crate) struct Zig {
    program: PathBuf,
    prefix: &'static [&'static str],
}

impl Zig {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.prefix);
        command
    }
}

/// A place where Zig is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Candidate {
    /// [`Build::zig`](crate::Build::zig).
    Builder(PathBuf),
    /// The environment variable of this name.
    Variable(&'static str),
    /// The first executable `zig` on `PATH`.
    Path,
    /// `python3 -m ziglang`.
    Python,
    /// What an earlier build installed, in this folder.
    Cache(PathBuf),
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builder(_) => f.write_str("Build::zig"),
            Self::Variable(name) => f.write_str(name),
            Self::Path => f.write_str("zig on PATH"),
            Self::Python => f.write_str("python3 -m ziglang"),
            Self::Cache(dir) => write!(f, "{}", dir.display()),
        }
    }
}

/// A candidate that was not used.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused {
    /// Where it was looked for.
    pub candidate: Candidate,
    /// Why it was not used.
    pub reason: Reason,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.candidate, self.reason)
    }
}

/// Why a candidate was not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The environment variable is not set.
    #[error("is not set")]
    NotSet,
    /// There is no such program.
    #[error("was not found")]
    NotFound,
    /// The program could not be started.
    #[error("is {}, which cannot be run: {error}", program.display())]
    NotRunnable {
        /// The program.
        program: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// `zig version` failed.
    #[error("is {}, whose `version` failed ({status}){}", program.display(), after_colon(stderr))]
    Failed {
        /// The program.
        program: PathBuf,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What it wrote.
        stderr: String,
    },
    /// It is another version than [`PINNED_ZIG`].
    #[error("is {}, version {found}", program.display())]
    WrongVersion {
        /// The program.
        program: PathBuf,
        /// The version that it reported.
        found: String,
    },
}

fn after_colon(stderr: &str) -> String {
    // Python's tracebacks and the like end with the line that says what happened.
    stderr.trim_end().lines().last().map(|line| format!(": {line}")).unwrap_or_default()
}

/// Finds the compiler, in the documented order; installs it when nothing fits and the user asked
/// for that. `cache` is the folder of installed toolchains.
pub(crate) fn find(
    named: Option<&Path>,
    environment: &Environment,
    cache: &Path,
) -> Result<Zig, Error> {
    let by_name = match named {
        Some(program) => Some(Candidate::Builder(program.to_owned())),
        None => environment.get(NAMING_VARIABLE).map(|_| Candidate::Variable(NAMING_VARIABLE)),
    };
    if let Some(candidate) = by_name {
        return attempt(&candidate, environment, cache)
            .map_err(|reason| Error::NamedZig { refused: Box::new(refuse(candidate, reason)) });
    }

    let mut refused = vec![refuse(Candidate::Variable(NAMING_VARIABLE), Reason::NotSet)];
    let candidates = [
        Candidate::Variable("ZIG"),
        Candidate::Path,
        Candidate::Python,
        Candidate::Cache(install::location(cache)),
    ];
    for candidate in candidates {
        match attempt(&candidate, environment, cache) {
            Ok(zig) => return Ok(zig),
            Err(reason) => refused.push(refuse(candidate, reason)),
        }
    }

    if environment.get("ZIGGURAT_ZIG_INSTALL").is_some_and(|value| value == "1") {
        return Ok(install::install(environment, cache)?);
    }
    Err(Error::ZigNotFound { refused })
}

fn attempt(candidate: &Candidate, environment: &Environment, cache: &Path) -> Result<Zig, Reason> {
    match candidate {
        Candidate::Builder(program) => check(resolve(program.into(), environment)?),
        Candidate::Variable(name) => {
            check(resolve(environment.get(name).ok_or(Reason::NotSet)?, environment)?)
        }
        Candidate::Path => check(resolve("zig".into(), environment)?),
        Candidate::Python => {
            let program = python(environment).ok_or(Reason::NotFound)?;
            accept(Zig { program, prefix: &["-m", "ziglang"] })
        }
        Candidate::Cache(_) => install::installed(cache),
    }
}

pub(crate) fn refuse(candidate: Candidate, reason: Reason) -> Refused {
    Refused { candidate, reason }
}

/// A bare name is searched for on `PATH`; anything else is a path, made absolute because the
/// compiler is run from another folder.
fn resolve(program: OsString, environment: &Environment) -> Result<PathBuf, Reason> {
    let path = Path::new(&program);
    if path.components().count() > 1 {
        return std::path::absolute(path).map_err(|_| Reason::NotFound);
    }
    on_path(&program, environment).ok_or(Reason::NotFound)
}

fn on_path(program: &OsString, environment: &Environment) -> Option<PathBuf> {
    which::which_in_global(program, environment.get("PATH")).ok()?.next()
}

/// The Python interpreter on `PATH`.
pub(crate) fn python(environment: &Environment) -> Option<PathBuf> {
    ["python3", "python"].iter().find_map(|name| on_path(&name.into(), environment))
}

/// Accepts a `zig` executable of the pinned version.
pub(crate) fn check(program: PathBuf) -> Result<Zig, Reason> {
    accept(Zig { program, prefix: &[] })
}

fn accept(zig: Zig) -> Result<Zig, Reason> {
    let program = zig.program.clone();
    let output = match zig.command().arg("version").output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !program.exists() => {
            return Err(Reason::NotFound);
        }
        Err(error) => return Err(Reason::NotRunnable { program, error }),
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Reason::Failed { program, status: output.status, stderr });
    }
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if found != PINNED_ZIG {
        return Err(Reason::WrongVersion { program, found });
    }
    Ok(zig)
}
