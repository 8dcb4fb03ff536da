//! What a successful build produced.

use std::path::{Path, PathBuf};

/// A compiled library (or object file) and how to link it.
///
/// ```no_run
/// use ziggurat_zig_build::Build;
///
/// # fn main() -> Result<(), ziggurat_zig_build::Error> {
/// let artifact = Build::new("zig/pipeline.zig").cargo_metadata(false).try_compile("pipeline")?;
/// for line in artifact.cargo_metadata() {
///     println!("{line}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Artifact {
    pub(crate) path: PathBuf,
    pub(crate) link_name: String,
    pub(crate) symbol: String,
    pub(crate) compiled: bool,
    pub(crate) metadata: Vec<String>,
}

impl Artifact {
    /// The library or object file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the library for a linker's `-l`.
    pub fn link_name(&self) -> &str {
        &self.link_name
    }

    /// The name of the one function that is exported.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// Whether the compiler ran; `false` if an earlier build's output was still good.
    pub fn was_compiled(&self) -> bool {
        self.compiled
    }

    /// The instructions for cargo, one `cargo::…` line each. They have been printed unless
    /// [`Build::cargo_metadata`](crate::Build::cargo_metadata) was set to `false`.
    pub fn cargo_metadata(&self) -> &[String] {
        &self.metadata
    }
}
