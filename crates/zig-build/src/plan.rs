//! A build whose open questions are answered: what to compile, for what, with which arguments.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{
    Build, Error, Module, Optimize, PINNED_ZIG, cpu,
    fingerprint::Fingerprint,
    imports,
    metadata::Metadata,
    names::{self, LinkNames},
    package, root_file,
    target::Target,
};

/// What to produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    StaticLibrary,
    Object,
}

pub(crate) struct Plan<'a> {
    pub(crate) build: &'a Build,
    pub(crate) library: &'a str,
    pub(crate) output: Output,
    pub(crate) names: LinkNames,
    pub(crate) package_dir: PathBuf,
    pub(crate) out_dir: PathBuf,
    pub(crate) target: Target,
    cpu: String,
    optimize: Optimize,
    /// `user`, and those that the user added.
    modules: Vec<PlannedModule<'a>>,
}

/// A module with its root file's full path and everything it can import.
struct PlannedModule<'a> {
    name: &'a str,
    root: PathBuf,
    imports: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(
        build: &'a Build,
        library: &'a str,
        output: Output,
        metadata: &mut Metadata,
    ) -> Result<Self, Error> {
        names::check_library(library)?;
        let environment = &build.environment;
        let package = environment.require_str("CARGO_PKG_NAME")?;
        let version = environment.require_str("CARGO_PKG_VERSION")?;
        let package_dir = PathBuf::from(environment.require("CARGO_MANIFEST_DIR")?);
        let optimize = match build.optimize {
            Some(mode) => mode,
            None => Optimize::from_opt_level(&environment.require_str("OPT_LEVEL")?)?,
        };
        let target = resolve_target(build)?;
        Ok(Self {
            build,
            library,
            output,
            names: LinkNames::new(&package, &version, library),
            out_dir: out_dir(build, &package_dir)?,
            modules: plan_modules(build, &package_dir)?,
            package_dir,
            cpu: resolve_cpu(build, &target, metadata),
            target,
            optimize,
        })
    }

    /// Every file of the user that the output depends on.
    pub(crate) fn sources(&self) -> Vec<PathBuf> {
        let mut files = imports::reachable(self.modules.iter().map(|module| module.root.clone()));
        files.extend(self.build.watched.iter().map(|path| self.package_dir.join(path)));
        files.into_iter().collect()
    }

    /// The file to produce.
    pub(crate) fn artifact(&self) -> PathBuf {
        let name = &self.names.library;
        self.out_dir.join(match (self.output, self.target.is_windows_msvc()) {
            (Output::StaticLibrary, false) => format!("lib{name}.a"),
            (Output::StaticLibrary, true) => format!("{name}.lib"),
            (Output::Object, false) => format!("{name}.o"),
            (Output::Object, true) => format!("{name}.obj"),
        })
    }

    /// Writes the inputs that are not the user's: the root file and the Zig package.
    pub(crate) fn write_generated(&self) -> Result<(), Error> {
        let source = root_file::source(&self.names.symbol);
        package::write_if_changed(&self.generated_root(), &source)?;
        package::unpack(&self.package_copy())
    }

    fn generated_root(&self) -> PathBuf {
        self.out_dir.join(format!("{}_root.zig", self.library))
    }

    fn package_copy(&self) -> PathBuf {
        self.out_dir.join("ziggurat-zig")
    }

    /// A hash over everything that decides what the output is.
    pub(crate) fn fingerprint(&self, sources: &[PathBuf]) -> String {
        let mut fingerprint = Fingerprint::default();
        fingerprint.add(env!("CARGO_PKG_VERSION")).add(PINNED_ZIG);
        for argument in self.arguments() {
            fingerprint.add(argument.as_encoded_bytes());
        }
        fingerprint.add(root_file::source(&self.names.symbol));
        package::add_to(&mut fingerprint);
        for source in sources {
            fingerprint.add_file(source);
        }
        fingerprint.hex()
    }

    /// The arguments that decide what the output is.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        match self.output {
            Output::StaticLibrary => push(&mut arguments, &["build-lib", "-static"]),
            Output::Object => push(&mut arguments, &["build-obj"]),
        }
        push(&mut arguments, &["--color", "off", "--name", &self.names.library]);
        // compiler-rt would replace the program's own memcpy and the like; Rust links one already.
        push(&mut arguments, &["-fno-compiler-rt", "-fno-ubsan-rt"]);
        let probes = self.build.stack_check && self.target.has_stack_probes();
        if probes && self.optimize == Optimize::Debug {
            // Zig's own backend accepts -fstack-check and ignores it.
            push(&mut arguments, &["-fllvm"]);
        }
        if self.target.has_libc() {
            push(&mut arguments, &["-lc"]);
        }
        arguments.push(joined("-femit-bin=", &self.artifact()));

        // The first module is the main one.
        self.push_module(&mut arguments, "root", &self.generated_root(), &["ziggurat", "user"]);
        for module in &self.modules {
            self.push_module(&mut arguments, module.name, &module.root, &module.imports);
        }
        let ziggurat = self.package_copy().join(package::ROOT);
        self.push_module(&mut arguments, "ziggurat", &ziggurat, &[]);
        arguments
    }

    /// Zig wants a module's imports and flags in front of its `-M`.
    fn push_module(&self, to: &mut Vec<OsString>, name: &str, root: &Path, imports: &[&str]) {
        for import in imports {
            push(to, &["--dep", import]);
        }
        push(to, &["-target", &self.target.zig, "-mcpu", &self.cpu]);
        push(to, &["-O", self.optimize.flag(), "-fPIC"]);
        if self.target.has_stack_probes() {
            push(to, &[if self.build.stack_check { "-fstack-check" } else { "-fno-stack-check" }]);
        }
        if self.target.is_windows() && !self.target.is_windows_msvc() {
            // MinGW has the stack protector's functions in a library that Rust doesn't link.
            push(to, &["-fno-stack-protector"]);
        }
        push(to, &[if self.strips() { "-fstrip" } else { "-fno-strip" }]);
        if self.build.valgrind {
            push(to, &["-fvalgrind"]);
        }
        to.extend(self.build.flags.iter().cloned());
        to.push(joined(&format!("-M{name}="), root));
    }

    fn strips(&self) -> bool {
        let no_debug = || self.build.environment.get_str("DEBUG").is_some_and(|it| it == "false");
        self.build.strip.unwrap_or_else(no_debug)
    }
}

/// The folder for everything that is written.
pub(crate) fn out_dir(build: &Build, package_dir: &Path) -> Result<PathBuf, Error> {
    match &build.out_dir {
        Some(dir) => Ok(package_dir.join(dir)),
        None => Ok(build.environment.require("OUT_DIR")?.into()),
    }
}

fn plan_modules<'a>(build: &'a Build, package_dir: &Path) -> Result<Vec<PlannedModule<'a>>, Error> {
    let mut user = PlannedModule {
        name: "user",
        root: package_dir.join(&build.root),
        imports: vec!["ziggurat"],
    };
    let mut added: Vec<PlannedModule<'_>> = Vec::new();
    for module in &build.modules {
        names::check_module(&module.name)?;
        if added.iter().any(|earlier| earlier.name == module.name) {
            let reason = "another module has this name";
            return Err(Error::InvalidName { what: "module", name: module.name.clone(), reason });
        }
        user.imports.push(&module.name);
        added.push(PlannedModule {
            name: &module.name,
            root: package_dir.join(&module.root),
            imports: imports_of(module, build)?,
        });
    }
    added.insert(0, user);
    for PlannedModule { name, root, .. } in &added {
        if !root.is_file() {
            return Err(Error::SourceNotFound { module: (*name).to_owned(), path: root.clone() });
        }
    }
    Ok(added)
}

fn imports_of<'a>(module: &'a Module, build: &Build) -> Result<Vec<&'a str>, Error> {
    let mut imports = vec!["ziggurat"];
    for dependency in &module.dependencies {
        if dependency == "ziggurat" {
            continue;
        }
        if !build.modules.iter().any(|other| other.name == *dependency) {
            return Err(Error::UnknownDependency {
                module: module.name.clone(),
                dependency: dependency.clone(),
            });
        }
        imports.push(dependency);
    }
    Ok(imports)
}

fn resolve_target(build: &Build) -> Result<Target, Error> {
    if let Some(target) = &build.zig_target {
        return Ok(Target::from_zig(target));
    }
    match &build.target {
        Some(triple) => Target::from_rust(triple, &build.environment),
        None => Target::from_rust(&build.environment.require_str("TARGET")?, &build.environment),
    }
}

fn resolve_cpu(build: &Build, target: &Target, metadata: &mut Metadata) -> String {
    if let Some(cpu) = &build.cpu {
        return cpu.clone();
    }
    if !is_cargos_target(build, target) {
        return target.cpu.to_owned();
    }
    let features = build.environment.get_str("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let cpu = cpu::with_features(target.cpu, target.arch(), &features);
    for feature in &cpu.unknown {
        metadata.line(format_args!(
            "warning=Zig code is compiled without the target feature `{feature}`, \
             for which no Zig name is known"
        ));
    }
    cpu.flag
}

/// Whether the target features that cargo reports are those of `target`.
fn is_cargos_target(build: &Build, target: &Target) -> bool {
    if build.zig_target.is_some() {
        // Zig's names of architectures are Rust's, some with the byte order added.
        let arch = build.environment.get_str("CARGO_CFG_TARGET_ARCH");
        return arch.is_none_or(|arch| target.arch().starts_with(&arch));
    }
    build.target.is_none() || build.target == build.environment.get_str("TARGET")
}

fn push(to: &mut Vec<OsString>, words: &[&str]) {
    to.extend(words.iter().map(OsString::from));
}

fn joined(prefix: &str, path: &Path) -> OsString {
    let mut word = OsString::from(prefix);
    word.push(path);
    word
}
