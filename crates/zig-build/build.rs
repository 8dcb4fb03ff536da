//! Lists the Zig package's sources, so that a file added under `zig/src` is embedded in this crate
//! without anyone having to name it.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    let root = manifest.join("zig/src");
    let mut files = Vec::new();
    if let Err(error) = collect(&root, &mut files) {
        // `zig` is a symbolic link in the repository; a checkout without links has a text file.
        panic!("cannot list the Zig package in {}: {error}", root.display());
    }
    files.sort();

    let mut table = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&root).expect("found under the root");
        let name = name.to_str().expect("Zig file names are UTF-8").replace('\\', "/");
        let path = file.to_str().expect("the path of this crate is UTF-8");
        writeln!(table, "    ({name:?}, include_str!({path:?})),").expect("writing to a string");
    }
    table.push_str("]\n");
    fs::write(out.join("zig_package.rs"), table).expect("OUT_DIR is writable");
}

/// Collects the `.zig` files under `dir`, and tells cargo to watch each of them and each folder.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", dir.display());
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "zig") {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
    Ok(())
}
