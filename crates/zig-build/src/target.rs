//! From Rust's target triples to Zig's: one table, and nothing outside of it is guessed.
//!
//! A row also names the CPU to start from. Zig's `baseline` is not everywhere as low as what Rust
//! promises for the target (on s390x Zig starts at z13, Rust at z10), and code that needs more than
//! Rust does would crash on machines that the Rust half runs on.

use crate::{Error, environment::Environment};

/// What to compile for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The argument of Zig's `-target`.
    pub(crate) zig: String,
    /// The CPU that Rust's own baseline for the target corresponds to.
    pub(crate) cpu: &'static str,
}

impl Target {
    /// Looks a Rust triple up.
    pub(crate) fn from_rust(triple: &str, environment: &Environment) -> Result<Self, Error> {
        let row = ROWS.iter().find(|row| row.0 == triple);
        let (_, zig, cpu) =
            row.ok_or_else(|| Error::UnknownTarget { triple: triple.to_owned() })?;
        let zig = match deployment_target(triple) {
            Some((variable, default)) => {
                let version = environment.get_str(variable);
                with_os_version(zig, version.as_deref().unwrap_or(default))
            }
            None => (*zig).to_owned(),
        };
        Ok(Self { zig, cpu })
    }

    /// A target in Zig's own words.
    pub(crate) fn from_zig(target: &str) -> Self {
        Self { zig: target.to_owned(), cpu: "baseline" }
    }

    /// The architecture by Zig's name for it.
    pub(crate) fn arch(&self) -> &str {
        self.zig.split('-').next().unwrap_or_default()
    }

    pub(crate) fn is_windows(&self) -> bool {
        self.os().starts_with("windows")
    }

    pub(crate) fn is_windows_msvc(&self) -> bool {
        self.is_windows() && self.zig.ends_with("-msvc")
    }

    /// Whether Zig can emit stack probes, as `supportsStackProbing` in its compiler says.
    pub(crate) fn has_stack_probes(&self) -> bool {
        matches!(self.arch(), "x86" | "x86_64") && !self.is_windows() && self.os() != "uefi"
    }

    /// Whether there is a C library: without one, `-lc` would have Zig's std call into nothing.
    pub(crate) fn has_libc(&self) -> bool {
        self.os() != "freestanding"
    }

    fn os(&self) -> &str {
        self.zig.split('-').nth(1).unwrap_or_default()
    }
}

/// `aarch64-macos-none` and `11.0` give `aarch64-macos.11.0-none`.
fn with_os_version(zig: &str, version: &str) -> String {
    let mut parts = zig.splitn(3, '-');
    let mut part = || parts.next().unwrap_or("none");
    format!("{}-{}.{version}-{}", part(), part(), part())
}

/// The variable that sets the oldest system to run on, and rustc's default for it. Zig's own
/// defaults are newer; its std would then use functions that the promised systems do not have.
fn deployment_target(triple: &str) -> Option<(&'static str, &'static str)> {
    let (_, system) = triple.split_once("-apple-")?;
    let arm = triple.starts_with("a");
    Some(match system {
        "darwin" => ("MACOSX_DEPLOYMENT_TARGET", if arm { "11.0" } else { "10.12" }),
        "ios-macabi" => ("IPHONEOS_DEPLOYMENT_TARGET", if arm { "14.0" } else { "13.1" }),
        "ios-sim" => ("IPHONEOS_DEPLOYMENT_TARGET", "14.0"),
        "ios" => ("IPHONEOS_DEPLOYMENT_TARGET", "10.0"),
        "tvos-sim" => ("TVOS_DEPLOYMENT_TARGET", "14.0"),
        "tvos" => ("TVOS_DEPLOYMENT_TARGET", "10.0"),
        "visionos" | "visionos-sim" => ("XROS_DEPLOYMENT_TARGET", "1.0"),
        "watchos-sim" => ("WATCHOS_DEPLOYMENT_TARGET", if arm { "7.0" } else { "5.0" }),
        "watchos" => ("WATCHOS_DEPLOYMENT_TARGET", "26.0"),
        _ => return None,
    })
}

/// The variables that [`Target::from_rust`] reads.
pub(crate) const VARIABLES: &[&str] = &[
    "MACOSX_DEPLOYMENT_TARGET",
    "IPHONEOS_DEPLOYMENT_TARGET",
    "TVOS_DEPLOYMENT_TARGET",
    "WATCHOS_DEPLOYMENT_TARGET",
    "XROS_DEPLOYMENT_TARGET",
];

/// ARMv7-A without NEON, as Rust's `armv7` targets are; `baseline` has NEON.
const ARMV7: &str = "generic+has_v7+aclass+db+thumb2+vfp3d16";
const ARMV7_SOFT: &str = "generic+has_v7+aclass+db+thumb2+soft_float";
const ARMV6_SOFT: &str = "arm1136j_s+soft_float";
const ARMV5_SOFT: &str = "arm926ej_s+soft_float";

/// Every target that is supported: Rust's triple, Zig's, the CPU to start from.
///
/// Left out on purpose: bare-metal targets (the Zig package needs an operating system, WebAssembly
/// hosts excepted), the ELFv1 ABI of `powerpc64-unknown-linux-gnu`, and systems Zig does not know.
#[rustfmt::skip]
pub(crate) const ROWS: &[(&str, &str, &str)] = &[
    // Linux, glibc
    ("aarch64-unknown-linux-gnu",            "aarch64-linux-gnu",            "baseline"),
    ("aarch64_be-unknown-linux-gnu",         "aarch64_be-linux-gnu",         "baseline"),
    ("arm-unknown-linux-gnueabi",            "arm-linux-gnueabi",            ARMV6_SOFT),
    ("arm-unknown-linux-gnueabihf",          "arm-linux-gnueabihf",          "arm1136jf_s"),
    ("armv4t-unknown-linux-gnueabi",         "arm-linux-gnueabi",            "arm7tdmi+soft_float"),
    ("armv5te-unknown-linux-gnueabi",        "arm-linux-gnueabi",            ARMV5_SOFT),
    ("armv7-unknown-linux-gnueabi",          "arm-linux-gnueabi",            ARMV7_SOFT),
    ("armv7-unknown-linux-gnueabihf",        "arm-linux-gnueabihf",          ARMV7),
    ("thumbv7neon-unknown-linux-gnueabihf",  "arm-linux-gnueabihf",          "baseline"),
    ("i586-unknown-linux-gnu",               "x86-linux-gnu",                "pentium"),
    ("i686-unknown-linux-gnu",               "x86-linux-gnu",                "baseline"),
    ("loongarch64-unknown-linux-gnu",        "loongarch64-linux-gnu",        "baseline"),
    ("mips-unknown-linux-gnu",               "mips-linux-gnueabihf",         "baseline"),
    ("mipsel-unknown-linux-gnu",             "mipsel-linux-gnueabihf",       "baseline"),
    ("mips64-unknown-linux-gnuabi64",        "mips64-linux-gnuabi64",        "baseline"),
    ("mips64el-unknown-linux-gnuabi64",      "mips64el-linux-gnuabi64",      "baseline"),
    ("powerpc-unknown-linux-gnu",            "powerpc-linux-gnueabihf",      "baseline"),
    ("powerpc64le-unknown-linux-gnu",        "powerpc64le-linux-gnu",        "baseline"),
    ("riscv32gc-unknown-linux-gnu",          "riscv32-linux-gnu",            "baseline"),
    ("riscv64gc-unknown-linux-gnu",          "riscv64-linux-gnu",            "baseline"),
    ("riscv64a23-unknown-linux-gnu",         "riscv64-linux-gnu",            "baseline+rva23u64"),
    ("s390x-unknown-linux-gnu",              "s390x-linux-gnu",              "z10"),
    ("sparc64-unknown-linux-gnu",            "sparc64-linux-gnu",            "v9"),
    ("x86_64-unknown-linux-gnu",             "x86_64-linux-gnu",             "baseline"),
    ("x86_64-unknown-linux-gnux32",          "x86_64-linux-gnux32",          "baseline"),
    // Linux, musl
    ("aarch64-unknown-linux-musl",           "aarch64-linux-musl",           "baseline"),
    ("aarch64_be-unknown-linux-musl",        "aarch64_be-linux-musl",        "baseline"),
    ("arm-unknown-linux-musleabi",           "arm-linux-musleabi",           ARMV6_SOFT),
    ("arm-unknown-linux-musleabihf",         "arm-linux-musleabihf",         "arm1136jf_s"),
    ("armv5te-unknown-linux-musleabi",       "arm-linux-musleabi",           ARMV5_SOFT),
    ("armv7-unknown-linux-musleabi",         "arm-linux-musleabi",           ARMV7_SOFT),
    ("armv7-unknown-linux-musleabihf",       "arm-linux-musleabihf",         ARMV7),
    ("thumbv7neon-unknown-linux-musleabihf", "arm-linux-musleabihf",         "baseline"),
    ("i586-unknown-linux-musl",              "x86-linux-musl",               "pentium"),
    ("i686-unknown-linux-musl",              "x86-linux-musl",               "baseline"),
    ("loongarch64-unknown-linux-musl",       "loongarch64-linux-musl",       "baseline"),
    ("mips-unknown-linux-musl",              "mips-linux-musleabi",          "baseline+soft_float"),
    ("mipsel-unknown-linux-musl",            "mipsel-linux-musleabi",        "baseline+soft_float"),
    ("mips64-unknown-linux-muslabi64",       "mips64-linux-muslabi64",       "baseline"),
    ("mips64el-unknown-linux-muslabi64",     "mips64el-linux-muslabi64",     "baseline"),
    ("powerpc-unknown-linux-musl",           "powerpc-linux-musleabihf",     "baseline"),
    ("powerpc64-unknown-linux-musl",         "powerpc64-linux-musl",         "ppc64"),
    ("powerpc64le-unknown-linux-musl",       "powerpc64le-linux-musl",       "baseline"),
    ("riscv32gc-unknown-linux-musl",         "riscv32-linux-musl",           "baseline"),
    ("riscv64gc-unknown-linux-musl",         "riscv64-linux-musl",           "baseline"),
    ("s390x-unknown-linux-musl",             "s390x-linux-musl",             "z10"),
    ("x86_64-unknown-linux-musl",            "x86_64-linux-musl",            "baseline"),
    // Android (Rust's oldest API level is 21) and OpenHarmony
    ("aarch64-linux-android",                "aarch64-linux-android.21",     "baseline"),
    ("arm-linux-androideabi",                "arm-linux-androideabi.21",     ARMV5_SOFT),
    ("armv7-linux-androideabi",              "arm-linux-androideabi.21",     ARMV7),
    ("thumbv7neon-linux-androideabi",        "arm-linux-androideabi.21",     "baseline"),
    ("i686-linux-android",                   "x86-linux-android.21",         "baseline"),
    ("riscv64-linux-android",                "riscv64-linux-android.35",     "baseline"),
    ("x86_64-linux-android",                 "x86_64-linux-android.21",      "baseline"),
    ("aarch64-unknown-linux-ohos",           "aarch64-linux-ohos",           "baseline"),
    ("armv7-unknown-linux-ohos",             "arm-linux-ohoseabi",           ARMV7_SOFT),
    ("loongarch64-unknown-linux-ohos",       "loongarch64-linux-ohos",       "baseline"),
    ("x86_64-unknown-linux-ohos",            "x86_64-linux-ohos",            "baseline"),
    // Apple
    ("aarch64-apple-darwin",                 "aarch64-macos-none",           "baseline"),
    ("x86_64-apple-darwin",                  "x86_64-macos-none",            "baseline"),
    ("x86_64h-apple-darwin",                 "x86_64-macos-none",            "haswell"),
    ("aarch64-apple-ios",                    "aarch64-ios-none",             "apple_a7"),
    ("aarch64-apple-ios-sim",                "aarch64-ios-simulator",        "apple_a12"),
    ("aarch64-apple-ios-macabi",             "aarch64-maccatalyst-none",     "apple_a12"),
    ("x86_64-apple-ios",                     "x86_64-ios-simulator",         "core2"),
    ("x86_64-apple-ios-macabi",              "x86_64-maccatalyst-none",      "core2"),
    ("aarch64-apple-tvos",                   "aarch64-tvos-none",            "apple_a7"),
    ("aarch64-apple-tvos-sim",               "aarch64-tvos-simulator",       "apple_a12"),
    ("x86_64-apple-tvos",                    "x86_64-tvos-simulator",        "core2"),
    ("aarch64-apple-visionos",               "aarch64-visionos-none",        "apple_a12"),
    ("aarch64-apple-visionos-sim",           "aarch64-visionos-simulator",   "apple_a12"),
    ("aarch64-apple-watchos",                "aarch64-watchos-none",         "apple_a7"),
    ("aarch64-apple-watchos-sim",            "aarch64-watchos-simulator",    "apple_a12"),
    ("x86_64-apple-watchos-sim",             "x86_64-watchos-simulator",     "core2"),
    // Windows
    ("aarch64-pc-windows-gnullvm",           "aarch64-windows-gnu",          "baseline"),
    ("aarch64-pc-windows-msvc",              "aarch64-windows-msvc",         "baseline"),
    ("i686-pc-windows-gnu",                  "x86-windows-gnu",              "baseline"),
    ("i686-pc-windows-gnullvm",              "x86-windows-gnu",              "baseline"),
    ("i686-pc-windows-msvc",                 "x86-windows-msvc",             "baseline"),
    ("x86_64-pc-windows-gnu",                "x86_64-windows-gnu",           "baseline"),
    ("x86_64-pc-windows-gnullvm",            "x86_64-windows-gnu",           "baseline"),
    ("x86_64-pc-windows-msvc",               "x86_64-windows-msvc",          "baseline"),
    // BSD, illumos and others
    ("aarch64-unknown-freebsd",              "aarch64-freebsd-none",         "baseline"),
    ("armv6-unknown-freebsd",                "arm-freebsd-eabihf",           "arm1136jf_s"),
    ("armv7-unknown-freebsd",                "arm-freebsd-eabihf",           ARMV7),
    ("i686-unknown-freebsd",                 "x86-freebsd-none",             "baseline"),
    ("powerpc64-unknown-freebsd",            "powerpc64-freebsd-none",       "ppc64"),
    ("powerpc64le-unknown-freebsd",          "powerpc64le-freebsd-none",     "baseline"),
    ("riscv64gc-unknown-freebsd",            "riscv64-freebsd-none",         "baseline"),
    ("x86_64-unknown-freebsd",               "x86_64-freebsd-none",          "baseline"),
    ("aarch64-unknown-netbsd",               "aarch64-netbsd-none",          "baseline"),
    ("aarch64_be-unknown-netbsd",            "aarch64_be-netbsd-none",       "baseline"),
    ("armv6-unknown-netbsd-eabihf",          "arm-netbsd-eabihf",            "arm1136jf_s"),
    ("armv7-unknown-netbsd-eabihf",          "arm-netbsd-eabihf",            ARMV7),
    ("i586-unknown-netbsd",                  "x86-netbsd-none",              "pentium"),
    ("i686-unknown-netbsd",                  "x86-netbsd-none",              "baseline"),
    ("powerpc-unknown-netbsd",               "powerpc-netbsd-eabihf",        "baseline"),
    ("riscv64gc-unknown-netbsd",             "riscv64-netbsd-none",          "baseline"),
    ("sparc64-unknown-netbsd",               "sparc64-netbsd-none",          "v9"),
    ("x86_64-unknown-netbsd",                "x86_64-netbsd-none",           "baseline"),
    ("aarch64-unknown-openbsd",              "aarch64-openbsd-none",         "baseline"),
    ("i686-unknown-openbsd",                 "x86-openbsd-none",             "baseline"),
    ("powerpc64-unknown-openbsd",            "powerpc64-openbsd-none",       "ppc64"),
    ("riscv64gc-unknown-openbsd",            "riscv64-openbsd-none",         "baseline"),
    ("sparc64-unknown-openbsd",              "sparc64-openbsd-none",         "v9"),
    ("x86_64-unknown-openbsd",               "x86_64-openbsd-none",          "baseline"),
    ("x86_64-unknown-dragonfly",             "x86_64-dragonfly-none",        "baseline"),
    ("aarch64-unknown-illumos",              "aarch64-illumos-none",         "baseline"),
    ("x86_64-unknown-illumos",               "x86_64-illumos-none",          "baseline"),
    ("i686-unknown-haiku",                   "x86-haiku-none",               "baseline"),
    ("x86_64-unknown-haiku",                 "x86_64-haiku-none",            "baseline"),
    ("i686-unknown-hurd-gnu",                "x86-hurd-gnu",                 "baseline"),
    ("x86_64-unknown-hurd-gnu",              "x86_64-hurd-gnu",              "baseline"),
    ("aarch64-unknown-fuchsia",              "aarch64-fuchsia-none",         "baseline"),
    ("riscv64gc-unknown-fuchsia",            "riscv64-fuchsia-none",         "baseline"),
    ("x86_64-unknown-fuchsia",               "x86_64-fuchsia-none",          "baseline"),
    // WebAssembly: Zig's `baseline` has extended-const, which Rust does not ask for
    ("wasm32-unknown-emscripten",            "wasm32-emscripten-none",       "generic"),
    ("wasm32-unknown-unknown",               "wasm32-freestanding-none",     "generic"),
    ("wasm32v1-none",                        "wasm32-freestanding-none",     "mvp+mutable_globals"),
    ("wasm64-unknown-unknown",               "wasm64-freestanding-none",     "generic"),
    ("wasm32-wasip1",                        "wasm32-wasi-musl",             "generic"),
    ("wasm32-wasip1-threads",                "wasm32-wasi-musl",             "generic+atomics"),
    ("wasm32-wasip2",                        "wasm32-wasi-musl",             "generic"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn map(triple: &str) -> Result<Target, Error> {
        let mut environment = Environment::default();
        environment.clear();
        Target::from_rust(triple, &environment)
    }

    #[test]
    fn every_row_is_reachable_and_well_formed() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.0).collect();
        assert_eq!(names.len(), ROWS.len(), "a triple is listed twice");
        for (rust, zig, cpu) in ROWS {
            let target = map(rust).unwrap();
            assert_eq!(target.cpu, *cpu);
            assert_eq!(target.zig.split('-').count(), 3, "{zig}");
            assert!(rust.contains("apple") || target.zig == *zig, "{rust} -> {}", target.zig);
            assert_ne!(target.arch(), "native");
            assert_ne!(target.cpu, "native");
        }
    }

    #[test]
    fn an_unknown_target_is_an_error() {
        for triple in ["", "native", "x86_64-linux-gnu", "my-board", "thumbv6m-none-eabi"] {
            let error = map(triple).unwrap_err();
            assert!(matches!(error, Error::UnknownTarget { triple: named } if named == triple));
        }
    }

    #[test]
    fn apple_targets_carry_the_oldest_system() {
        assert_eq!(map("aarch64-apple-darwin").unwrap().zig, "aarch64-macos.11.0-none");
        assert_eq!(map("x86_64-apple-darwin").unwrap().zig, "x86_64-macos.10.12-none");
        assert_eq!(map("aarch64-apple-ios-sim").unwrap().zig, "aarch64-ios.14.0-simulator");
        let mut environment = Environment::default();
        environment.clear();
        environment.set("MACOSX_DEPLOYMENT_TARGET", Some("13.3".into()));
        let target = Target::from_rust("aarch64-apple-darwin", &environment).unwrap();
        assert_eq!(target.zig, "aarch64-macos.13.3-none");
        for (rust, ..) in ROWS {
            assert_eq!(rust.contains("-apple-"), deployment_target(rust).is_some(), "{rust}");
        }
    }

    #[test]
    fn properties_follow_the_triple() {
        let linux = map("x86_64-unknown-linux-gnu").unwrap();
        assert!(linux.has_stack_probes() && linux.has_libc() && !linux.is_windows());
        let msvc = map("x86_64-pc-windows-msvc").unwrap();
        assert!(msvc.is_windows_msvc() && !msvc.has_stack_probes());
        let gnu = map("x86_64-pc-windows-gnu").unwrap();
        assert!(gnu.is_windows() && !gnu.is_windows_msvc());
        assert!(!map("aarch64-unknown-linux-gnu").unwrap().has_stack_probes());
        assert!(!map("wasm32-unknown-unknown").unwrap().has_libc());
        assert!(map("wasm32-wasip1").unwrap().has_libc());
        assert!(Target::from_zig("x86_64-linux").has_stack_probes());
    }
}
