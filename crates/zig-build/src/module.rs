//! A Zig module beside the user's root file.

use std::path::PathBuf;

/// A Zig module that the root file can `@import` by name.
///
/// Every module can import `ziggurat`; what else it can import is named with
/// [`dependency`](Self::dependency). A Zig file belongs to one module only.
///
/// ```no_run
/// use ziggurat_zig_build::{Build, Module};
///
/// Build::new("zig/pipeline.zig")
///     .module("wire", "zig/wire.zig")
///     .add_module(Module::new("codec", "zig/codec.zig").dependency("wire"))
///     .compile("pipeline");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    pub(crate) name: String,
    pub(crate) root: PathBuf,
    pub(crate) dependencies: Vec<String>,
}

impl Module {
    /// A module whose root is the file `root`, relative to the package.
    pub fn new(name: impl Into<String>, root: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), root: root.into(), dependencies: Vec::new() }
    }

    /// Lets the module import another one that is added to the same build.
    #[must_use = "the dependency is added to the returned module"]
    pub fn dependency(mut self, name: impl Into<String>) -> Self {
        self.dependencies.push(name.into());
        self
    }
}
