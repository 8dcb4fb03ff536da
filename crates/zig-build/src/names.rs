//! Names: which ones a user may choose, and which ones are derived so that they never clash.

use crate::{Error, fingerprint::Fingerprint};

/// Names of libraries that are linked into nearly every program. A library of the same name
/// would be told apart by the linker and confused by every reader.
const RESERVED_LIBRARIES: &[&str] =
    &["c", "m", "dl", "rt", "pthread", "util", "gcc", "gcc_s", "unwind", "core", "alloc", "std"];

/// Modules that exist in every build.
const RESERVED_MODULES: &[&str] = &["std", "builtin", "root", "user", "ziggurat"];

pub(crate) fn check_library(name: &str) -> Result<(), Error> {
    check("library", name, RESERVED_LIBRARIES, "it is the name of a system or Rust library")
}

pub(crate) fn check_module(name: &str) -> Result<(), Error> {
    check("module", name, RESERVED_MODULES, "every build has a module of this name")
}

fn check(
    what: &'static str,
    name: &str,
    reserved: &[&str],
    reserved_reason: &'static str,
) -> Result<(), Error> {
    let invalid = |reason| Err(Error::InvalidName { what, name: name.to_owned(), reason });
    if !is_identifier(name) {
        return invalid("it is not an identifier (letters, digits and _, no digit first)");
    }
    if reserved.contains(&name) {
        return invalid(reserved_reason);
    }
    Ok(())
}

fn is_identifier(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(word) && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

/// The names by which a library is known to the linker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkNames {
    /// `zg_<crate>_<library>_<hash>`: what `-l` takes.
    pub(crate) library: String,
    /// The one function that the library exports.
    pub(crate) symbol: String,
}

impl LinkNames {
    /// The hash tells versions of a package apart, which may be linked into one program; it holds
    /// no path, so that builds on two machines agree. A package of the same name *and* version
    /// from two sources is not told apart.
    pub(crate) fn new(package: &str, version: &str, library: &str) -> Self {
        let hash = Fingerprint::default()
            .add(package)
            .add(version)
            .add(library)
            .add(env!("CARGO_PKG_VERSION"))
            .hex();
        let package: String =
            package.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let library = format!("zg_{package}_{library}_{hash}");
        Self { symbol: format!("{library}_exports"), library }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_names() {
        for name in ["pipeline", "a", "_x", "Zip2", "ziggurat", "user"] {
            check_library(name).unwrap();
        }
        for name in ["", "2fast", "my-lib", "a.b", "naïve", "a b", "c", "m", "std", "pthread"] {
            assert!(matches!(check_library(name), Err(Error::InvalidName { .. })), "{name}");
        }
    }

    #[test]
    fn module_names() {
        check_module("wire").unwrap();
        for name in ["", "std", "builtin", "root", "user", "ziggurat", "a-b"] {
            assert!(matches!(check_module(name), Err(Error::InvalidName { .. })), "{name}");
        }
    }

    #[test]
    fn link_names_differ_where_they_must() {
        let base = LinkNames::new("my-app", "1.0.0", "pipeline");
        assert_eq!(base, LinkNames::new("my-app", "1.0.0", "pipeline"));
        assert!(base.library.starts_with("zg_my_app_pipeline_"), "{}", base.library);
        assert_eq!(base.symbol, format!("{}_exports", base.library));
        assert_eq!(base.library.rsplit('_').next().unwrap().len(), 16);
        for (package, version, library) in [
            ("my_app", "1.0.0", "pipeline"),
            ("my-app", "1.0.1", "pipeline"),
            ("my-app", "1.0.0", "other"),
            ("my", "1.0.0", "app_pipeline"),
        ] {
            assert_ne!(base.symbol, LinkNames::new(package, version, library).symbol);
        }
    }
}
