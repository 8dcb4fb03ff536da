//! What the integration tests share: a scratch package to build, and fake programs.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ziggurat_zig_build::Build;

/// The least that a root file has to say.
pub const NO_EXPORTS: &str = "pub const exports = @import(\"ziggurat\").exports(.{});\n";

/// The target that these tests run on.
pub fn host() -> String {
    let output = Command::new(env!("CARGO")).arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// A package in a temporary folder, as cargo would hand it to its build script.
pub struct Package {
    pub dir: tempfile::TempDir,
    name: &'static str,
    version: &'static str,
}

impl Package {
    /// A package whose `zig/pipeline.zig` exports nothing.
    pub fn new() -> Self {
        Self::named("scratch", "1.2.3")
    }

    pub fn named(name: &'static str, version: &'static str) -> Self {
        let package = Self { dir: tempfile::tempdir().unwrap(), name, version };
        package.write("zig/pipeline.zig", NO_EXPORTS);
        fs::create_dir(package.out_dir()).unwrap();
        package
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn out_dir(&self) -> PathBuf {
        self.path("out")
    }

    /// Writes the root file: what every root file needs, and `code`.
    pub fn write_root(&self, code: &str) {
        self.write("zig/pipeline.zig", &format!("{code}\n{NO_EXPORTS}"));
    }

    pub fn write(&self, name: &str, contents: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// A build with the compiler that the machine has.
    pub fn build(&self) -> Build {
        let mut build = Build::new("zig/pipeline.zig");
        self.set_cargo_variables(&mut build);
        build.cargo_metadata(false);
        build
    }

    /// A build that sees no compiler but what the test sets up, with an empty cache folder.
    pub fn isolated_build(&self) -> Build {
        let mut build = Build::new("zig/pipeline.zig");
        build.env_clear();
        self.set_cargo_variables(&mut build);
        build.env("TARGET", "x86_64-unknown-linux-gnu");
        build.env("PATH", self.path("bin")).env("ZIGGURAT_CACHE_DIR", self.path("cache"));
        build.cargo_metadata(false);
        build
    }

    fn set_cargo_variables(&self, build: &mut Build) {
        build
            .env("CARGO_PKG_NAME", self.name)
            .env("CARGO_PKG_VERSION", self.version)
            .env("CARGO_MANIFEST_DIR", self.dir.path())
            .env("OUT_DIR", self.out_dir())
            .env("OPT_LEVEL", "0")
            .env("TARGET", host())
            .env_remove("CARGO_CFG_TARGET_FEATURE");
    }

    /// Puts an executable shell script into the package and returns its path.
    pub fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        write_script(&path, body);
        path
    }

    /// A script that answers `version` and writes what `-femit-bin` names. It logs its calls, one
    /// line each, to `log` in the package.
    pub fn fake_zig(&self, name: &str, version: &str) -> PathBuf {
        self.script(name, &fake_zig(&self.path("log"), version))
    }

    /// What the fake programs logged.
    pub fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often a fake compiler compiled.
    pub fn compilations(&self) -> usize {
        self.log().iter().filter(|line| line.contains("build-")).count()
    }
}

pub fn fake_zig(log: &Path, version: &str) -> String {
    format!(
        r#"echo "$0 $*" >> '{}'
if [ "$1" = version ]; then echo {version}; exit; fi
for word in "$@"; do
    case "$word" in -femit-bin=*) : > "${{word#-femit-bin=}}";; esac
done
"#,
        log.display()
    )
}

/// Writes an executable script by way of a child process. If this process held the file open for
/// writing, a child forked by another test's thread would inherit that, and the script could not be
/// executed for a moment ("text file busy").
pub fn write_script(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut child = Command::new("/bin/sh")
        .args(["-c", r#"cat > "$1" && chmod +x "$1""#, "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    write!(child.stdin.take().unwrap(), "#!/bin/sh\n{body}").unwrap();
    assert!(child.wait().unwrap().success());
}
