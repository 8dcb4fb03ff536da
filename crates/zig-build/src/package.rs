//! The Zig package `ziggurat`, carried inside this crate and unpacked for the compiler.
//!
//! Carrying it keeps both halves at one version, and makes a change of the package rebuild every
//! build script that uses this crate, and so the libraries.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{Error, fingerprint::Fingerprint};

/// Path below `zig/src` and contents of each file.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/zig_package.rs"));

/// The package's root file.
pub(crate) const ROOT: &str = "ziggurat.zig";

/// Unpacks the package into `dir`. A file that is already as it should be is not written, and one
/// that isn't part of the package is removed.
pub(crate) fn unpack(dir: &Path) -> Result<(), Error> {
    let mut wanted = BTreeSet::new();
    for (name, contents) in FILES {
        let path = dir.join(name);
        write_if_changed(&path, contents)?;
        wanted.insert(path);
    }
    remove_others(dir, &wanted)
}

/// Adds the package's contents to a fingerprint.
pub(crate) fn add_to(fingerprint: &mut Fingerprint) {
    for (name, contents) in FILES {
        fingerprint.add(name).add(contents);
    }
}

/// Writes a file, and the folders it is in, unless it has these contents.
pub(crate) fn write_if_changed(path: &Path, contents: &str) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|present| present == contents.as_bytes()) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    fs::write(path, contents).map_err(Error::io("write", path))
}

fn remove_others(dir: &Path, wanted: &BTreeSet<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path.is_dir() {
            remove_others(&path, wanted)?;
        } else if !wanted.contains(&path) {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacks_everything_and_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("package");
        fs::create_dir_all(dir.join("old")).unwrap();
        fs::write(dir.join("old/removed.zig"), "").unwrap();

        unpack(&dir).unwrap();
        assert!(dir.join(ROOT).is_file());
        assert!(!dir.join("old/removed.zig").exists());
        for (name, contents) in FILES {
            assert_eq!(fs::read_to_string(dir.join(name)).unwrap(), *contents, "{name}");
        }
    }

    #[test]
    fn unchanged_files_are_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        unpack(temp.path()).unwrap();
        let root = temp.path().join(ROOT);
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        fs::File::options().write(true).open(&root).unwrap().set_modified(old).unwrap();
        unpack(temp.path()).unwrap();
        assert_eq!(fs::metadata(&root).unwrap().modified().unwrap(), old);
    }

    #[test]
    fn every_file_of_the_repository_is_carried() {
        fn count(dir: &Path) -> usize {
            let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
            entries
                .map(|path| match path.is_dir() {
                    true => count(&path),
                    false => path.extension().is_some_and(|extension| extension == "zig").into(),
                })
                .sum()
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("zig/src");
        assert_eq!(FILES.len(), count(&source));
    }
}
