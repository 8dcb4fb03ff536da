//! Deciding whether the compiler has to run: a hash over everything that its output depends on.

use std::{
    fs,
    hash::{DefaultHasher, Hasher},
    path::Path,
};

/// A 64-bit hash of a sequence of fields. It guards against accidents, not against attackers, and
/// is not the same for every version of Rust's standard library.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprint(DefaultHasher);

impl Fingerprint {
    /// Adds a field. The length goes in too, so that `ab`, `c` and `a`, `bc` differ.
    pub(crate) fn add(&mut self, field: impl AsRef<[u8]>) -> &mut Self {
        let field = field.as_ref();
        self.0.write_u64(field.len() as u64);
        self.0.write(field);
        self
    }

    /// Adds a file's path and contents, or that it cannot be read.
    pub(crate) fn add_file(&mut self, path: &Path) -> &mut Self {
        self.add(path.as_os_str().as_encoded_bytes());
        match fs::read(path) {
            Ok(contents) => self.add("file").add(contents),
            Err(_) => self.add("absent"),
        }
    }

    /// Sixteen hexadecimal digits.
    pub(crate) fn hex(&self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[&str]) -> String {
        let mut fingerprint = Fingerprint::default();
        for field in fields {
            fingerprint.add(field);
        }
        fingerprint.hex()
    }

    #[test]
    fn field_borders_count() {
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
        assert_eq!(of(&[]).len(), 16);
    }

    #[test]
    fn files_count_by_path_and_contents() {
        let dir = tempfile::tempdir().unwrap();
        let hash = |name: &str| Fingerprint::default().add_file(&dir.path().join(name)).hex();
        let absent = hash("a");
        fs::write(dir.path().join("a"), "").unwrap();
        let empty = hash("a");
        fs::write(dir.path().join("a"), "x").unwrap();
        assert_ne!(absent, empty);
        assert_ne!(empty, hash("a"));
    }
}
