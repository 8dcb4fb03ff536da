//! Compiles Zig code from a `build.rs` and links it into the crate, as `cc` does for C.
//!
//! ```no_run
//! // build.rs
//! fn main() {
//!     ziggurat_zig_build::Build::new("zig/pipeline.zig").compile("pipeline");
//! }
//! ```
//!
//! The file becomes a static library with a single exported symbol, which hands to Rust what the
//! file's `pub const exports` lists; the symbol's name reaches the crate as the environment
//! variable `ZIGGURAT_EXPORTS_pipeline`. The Zig code can `@import("ziggurat")`: that package is
//! carried inside this crate, at the matching version.
//!
//! # Which Zig
//!
//! Exactly version [`PINNED_ZIG`], from the first of these places that has it:
//!
//! 1. [`Build::zig`]
//! 2. the environment variable `ZIGGURAT_ZIG`
//! 3. the environment variable `ZIG`
//! 4. `zig` on `PATH`
//! 5. `python3 -m ziglang`
//! 6. the toolchain that an earlier build installed in the cache folder
//!
//! The first two name a compiler: if that one doesn't fit, the build fails rather than use
//! another. When nothing fits, the error lists every place and what was wrong with it. Nothing is
//! downloaded unless `ZIGGURAT_ZIG_INSTALL=1` is set: then pip installs the `ziglang` package into
//! the cache folder, which is `ZIGGURAT_CACHE_DIR`, else `ziggurat` in the user's cache folder.
//!
//! # Guarantees
//!
//! - The target, the optimisation mode and the CPU follow cargo's. A target that is not known is an
//!   error, the host is never substituted for it; the CPU is the target's baseline plus the target
//!   features that Rust was given, never silently the build machine's; safety checks are only
//!   compiled out for `opt-level` `s` and `z`, or by your choice of [`Optimize::Fast`].
//! - The build script runs again when a file changes that the root reaches by `@import` or
//!   `@embedFile`, and the compiler runs again only if what it would see has changed.
//! - Zig's messages are shown as Zig wrote them, with paths relative to your package.
//! - Two crates, or two versions of one, may use the same library name in one program.
//! - The library brings no copy of Zig's compiler-rt: the program's `memcpy` stays what it was.
//! - Where Zig can emit stack probes (x86 without Windows), code has them in every mode.
//!
//! # Not guaranteed
//!
//! - Files that Zig reads without a literal `@import` or `@embedFile` (C headers, names computed at
//!   comptime) are not seen; name them with [`Build::rerun_if_changed`].
//! - `-C target-feature=-x` doesn't remove `x` from the target's baseline.
//! - A change of `PATH` alone doesn't run the build script again.
//! - That the Zig package supports a target: see its own documentation.
//!
//! # Linking
//!
//! [`Build::compile`] prints what cargo needs, and cargo links the library into the package's lib
//! target, or into its binaries if it has none.

#![forbid(unsafe_code)]
#![allow(clippy::needless_doctest_main)] // the example is a whole build.rs

mod artifact;
mod builder;
mod command;
mod compile;
mod cpu;
mod discovery;
mod environment;
mod error;
mod fingerprint;
mod imports;
mod install;
mod metadata;
mod module;
mod names;
mod optimize;
mod package;
mod plan;
mod root_file;
mod target;

pub use artifact::Artifact;
pub use builder::Build;
pub use discovery::{Candidate, Reason, Refused};
pub use error::{Error, InstallError};
pub use module::Module;
pub use optimize::Optimize;

/// The version of Zig that Ziggurat is written for. Zig's language and standard library change
/// with every release, so no other version is accepted.
pub const PINNED_ZIG: &str = "0.17.1";

/// The tables, for the tests that compare them with what Zig accepts. Not a public interface.
#[doc(hidden)]
pub mod tables {
    pub use crate::cpu::all_features;

    /// Rust's triple, Zig's, and the CPU of each supported target.
    pub fn targets() -> &'static [(&'static str, &'static str, &'static str)] {
        crate::target::ROWS
    }
}
