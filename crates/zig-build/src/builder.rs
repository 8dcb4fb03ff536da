//! The builder: what a `build.rs` says. The work is in `plan` and `compile`.

use std::{
    error::Error as _,
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::Command,
};

use crate::{Artifact, Error, Module, Optimize, compile, environment::Environment, plan::Output};

/// A Zig library to be built; see the [crate's documentation](crate) for what happens.
///
/// Relative paths are relative to the package (`CARGO_MANIFEST_DIR`).
///
/// ```no_run
/// use ziggurat_zig_build::{Build, Optimize};
///
/// Build::new("zig/pipeline.zig").optimize(Optimize::Fast).compile("pipeline");
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is built until `compile` is called"]
pub struct Build {
    pub(crate) root: PathBuf,
    pub(crate) modules: Vec<Module>,
    pub(crate) zig: Option<PathBuf>,
    pub(crate) optimize: Option<Optimize>,
    pub(crate) cpu: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) zig_target: Option<String>,
    pub(crate) out_dir: Option<PathBuf>,
    pub(crate) flags: Vec<OsString>,
    pub(crate) watched: Vec<PathBuf>,
    pub(crate) stack_check: bool,
    pub(crate) strip: Option<bool>,
    pub(crate) valgrind: bool,
    pub(crate) cargo_metadata: bool,
    pub(crate) environment: Environment,
}

impl Build {
    /// Starts a build of the Zig file `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            modules: Vec::new(),
            zig: None,
            optimize: None,
            cpu: None,
            target: None,
            zig_target: None,
            out_dir: None,
            flags: Vec::new(),
            watched: Vec::new(),
            stack_check: true,
            strip: None,
            valgrind: false,
            cargo_metadata: true,
            environment: Environment::default(),
        }
    }

    /// Uses this compiler and no other: a path, or a name to look up on `PATH`.
    pub fn zig(&mut self, program: impl Into<PathBuf>) -> &mut Self {
        self.zig = Some(program.into());
        self
    }

    /// Sets the optimisation mode. Default: by cargo's `OPT_LEVEL`, see
    /// [`Optimize::from_opt_level`].
    pub fn optimize(&mut self, mode: Optimize) -> &mut Self {
        self.optimize = Some(mode);
        self
    }

    /// Sets Zig's `-mcpu` (`"baseline"`, `"native"`, `"x86_64_v3"`, `"baseline+avx2"`). Default:
    /// what Rust assumes of the target, with the target features that Rust was given.
    pub fn cpu(&mut self, cpu: impl Into<String>) -> &mut Self {
        self.cpu = Some(cpu.into());
        self
    }

    /// Sets the target by its Rust triple. Default: cargo's `TARGET`.
    pub fn target(&mut self, triple: impl Into<String>) -> &mut Self {
        self.target = Some(triple.into());
        self
    }

    /// Sets the target in Zig's words (`"x86_64-linux-gnu.2.17"`), for targets that this crate
    /// doesn't know and for more exact ones. It wins over [`target`](Self::target). The CPU then
    /// starts from Zig's `baseline`.
    pub fn zig_target(&mut self, target: impl Into<String>) -> &mut Self {
        self.zig_target = Some(target.into());
        self
    }

    /// Sets the folder for everything that is written. Default: cargo's `OUT_DIR`.
    pub fn out_dir(&mut self, dir: impl Into<PathBuf>) -> &mut Self {
        self.out_dir = Some(dir.into());
        self
    }

    /// Adds a module that the root file can `@import` by `name`, and that imports `ziggurat` at
    /// most. For one with more dependencies see [`add_module`](Self::add_module).
    pub fn module(&mut self, name: impl Into<String>, root: impl Into<PathBuf>) -> &mut Self {
        self.add_module(Module::new(name, root))
    }

    /// Adds a module that the root file can `@import`.
    pub fn add_module(&mut self, module: Module) -> &mut Self {
        self.modules.push(module);
        self
    }

    /// Adds a flag for Zig. It is given to each module, so that a flag that belongs to modules
    /// (`-DNAME`, `-Ipath`, `-fsanitize-thread`) reaches all of them.
    pub fn flag(&mut self, flag: impl AsRef<OsStr>) -> &mut Self {
        self.flags.push(flag.as_ref().to_owned());
        self
    }

    /// Adds flags for Zig, as [`flag`](Self::flag) does.
    pub fn flags(&mut self, flags: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        for flag in flags {
            self.flag(flag);
        }
        self
    }

    /// Watches a file that the compiler reads without a literal `@import` or `@embedFile`.
    pub fn rerun_if_changed(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.watched.push(path.into());
        self
    }

    /// Whether functions touch each page of a large stack frame, so that an overflow hits the
    /// guard page instead of jumping over it. Default: `true`; it has an effect where Zig can do it
    /// (x86 without Windows).
    ///
    /// Only Zig's LLVM backend can, so with this on [`Optimize::Debug`] uses LLVM too, which takes
    /// seconds where Zig's own backend takes less than one. Without it, a deep frame in a coroutine
    /// can corrupt memory.
    pub fn stack_check(&mut self, enable: bool) -> &mut Self {
        self.stack_check = enable;
        self
    }

    /// Whether to leave debug information out. Default: as cargo's profile says (`DEBUG`).
    pub fn strip(&mut self, enable: bool) -> &mut Self {
        self.strip = Some(enable);
        self
    }

    /// Whether optimised code tells Valgrind about memory and stacks. Default: `false`.
    pub fn valgrind(&mut self, enable: bool) -> &mut Self {
        self.valgrind = enable;
        self
    }

    /// Whether to print instructions for cargo. Default: `true`.
    pub fn cargo_metadata(&mut self, enable: bool) -> &mut Self {
        self.cargo_metadata = enable;
        self
    }

    /// Sets an environment variable for this build, over the process's own. This is about the
    /// variables that this crate reads (cargo's included), not those of the compiler's process; it
    /// is for callers that are not a build script.
    pub fn env(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.environment.set(name, Some(value.into()));
        self
    }

    /// Hides an environment variable of the process from this build.
    pub fn env_remove(&mut self, name: &str) -> &mut Self {
        self.environment.set(name, None);
        self
    }

    /// Hides all environment variables from this build, and forgets those set before.
    pub fn env_clear(&mut self) -> &mut Self {
        self.environment.clear();
        self
    }

    /// Builds the static library `name` and has cargo link it.
    ///
    /// `name` is an identifier (`[A-Za-z_][A-Za-z0-9_]*`). The file and the symbol have longer
    /// names, which no other crate uses.
    ///
    /// On an error, this prints it and **ends the process** with status 1, which is how a build
    /// script fails without a panic message in front of what Zig has to say.
    pub fn compile(&self, name: &str) {
        if let Err(error) = self.try_compile(name) {
            eprintln!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  caused by: {cause}");
                source = cause.source();
            }
            std::process::exit(1);
        }
    }

    /// Builds as [`compile`](Self::compile) does, and returns the error.
    ///
    /// # Errors
    /// Each variant of [`Error`] is one; [`Error::Compile`] is the one with Zig's messages.
    pub fn try_compile(&self, name: &str) -> Result<Artifact, Error> {
        compile::run(self, name, Output::StaticLibrary)
    }

    /// Compiles to a single object file, which cargo is not told to link. Needing no linker and no
    /// libraries, it works for every target from every machine.
    ///
    /// # Errors
    /// As [`try_compile`](Self::try_compile).
    pub fn try_compile_object(&self, name: &str) -> Result<Artifact, Error> {
        compile::run(self, name, Output::Object)
    }

    /// The compiler that the build would use, ready for arguments of your own, such as
    /// `translate-c`.
    ///
    /// # Errors
    /// [`Error::NamedZig`], [`Error::ZigNotFound`] and [`Error::Install`].
    pub fn try_zig_command(&self) -> Result<Command, Error> {
        compile::zig_command(self)
    }
}
