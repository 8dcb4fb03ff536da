//! The environment that a build reads: the process's own, or one that the caller laid over it.

use std::{collections::BTreeMap, env, ffi::OsString, path::PathBuf};

use crate::Error;

/// Environment variables as a value, so that nothing has to change the process's own to be tested.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    cleared: bool,
    /// `None` hides a variable of the process.
    overrides: BTreeMap<String, Option<OsString>>,
}

impl Environment {
    pub(crate) fn set(&mut self, name: &str, value: Option<OsString>) {
        self.overrides.insert(name.to_owned(), value);
    }

    pub(crate) fn clear(&mut self) {
        self.cleared = true;
        self.overrides.clear();
    }

    /// The variable's value; an empty one counts as not set, as it does for cargo and `cc`.
    pub(crate) fn get(&self, name: &str) -> Option<OsString> {
        let value = match self.overrides.get(name) {
            Some(value) => value.clone(),
            None if self.cleared => None,
            None => env::var_os(name),
        };
        value.filter(|value| !value.is_empty())
    }

    /// As [`get`](Self::get), for variables that cargo defines as UTF-8.
    pub(crate) fn get_str(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.to_string_lossy().into_owned())
    }

    pub(crate) fn require(&self, name: &'static str) -> Result<OsString, Error> {
        self.get(name).ok_or(Error::MissingVariable { name })
    }

    pub(crate) fn require_str(&self, name: &'static str) -> Result<String, Error> {
        self.get_str(name).ok_or(Error::MissingVariable { name })
    }

    /// Where Ziggurat keeps what outlives a build: `ZIGGURAT_CACHE_DIR`, else `ziggurat` in the
    /// user's cache folder. `None` when the user has no such folder.
    pub(crate) fn cache_dir(&self) -> Option<PathBuf> {
        if let Some(dir) = self.get("ZIGGURAT_CACHE_DIR") {
            return Some(dir.into());
        }
        if self.cleared {
            return None;
        }
        dirs::cache_dir().map(|dir| dir.join("ziggurat"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_hide_the_process() {
        let mut environment = Environment::default();
        assert!(environment.get("PATH").is_some());
        environment.set("PATH", None);
        assert_eq!(environment.get("PATH"), None);
        environment.set("PATH", Some("/only".into()));
        assert_eq!(environment.get("PATH"), Some("/only".into()));
        environment.clear();
        assert_eq!(environment.get("PATH"), None);
    }

    #[test]
    fn empty_is_unset() {
        let mut environment = Environment::default();
        environment.set("ZIG", Some(OsString::new()));
        assert_eq!(environment.get("ZIG"), None);
        assert!(matches!(environment.require("ZIG"), Err(Error::MissingVariable { name: "ZIG" })));
    }

    #[test]
    fn cache_dir_prefers_the_variable() {
        let mut environment = Environment::default();
        environment.clear();
        assert_eq!(environment.cache_dir(), None);
        environment.set("ZIGGURAT_CACHE_DIR", Some("/cache".into()));
        assert_eq!(environment.cache_dir(), Some("/cache".into()));
    }
}
