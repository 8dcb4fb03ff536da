//! Taste, kept: widths, lengths, stray marks, dead files, and a README that is true.
//!
//! The exceptions are what there was when a rule came; they may shrink and must not grow.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Columns. rustfmt keeps code within 100; comments, and code in macros, may stick out by a word.
const RUST_WIDTH: usize = 106;
const ZIG_WIDTH: usize = 120;

/// Lines of a file without the test module at its end.
const LENGTH: usize = 500;
const LONG_FILES: &[(&str, usize)] = &[];

/// Put together here, so that this file does not find itself.
const MARKS: &[&str] = &[concat!("todo", "!("), concat!("TO", "DO"), concat!("FIX", "ME")];
const MACHINE_PATHS: &[&str] =
    &[concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// A file of the repository.
struct File {
    /// With `/`, from the root.
    name: String,
    text: String,
}

impl File {
    fn is(&self, extension: &str) -> bool {
        self.name.ends_with(extension)
    }

    /// Its lines, with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Everything that people write, without what tools make.
fn files() -> Vec<File> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let (path, kind) = (entry.path(), entry.file_type().expect("a type"));
            let name = entry.file_name().into_string().expect("UTF-8");
            let made = ["target", ".git", ".zig-cache", "zig-out", "Cargo.lock"];
            if made.contains(&name.as_str()) {
                continue;
            } else if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                files.extend(read(&path));
            }
        }
    }
    files
}

fn read(path: &Path) -> Option<File> {
    let name = path.strip_prefix(root()).expect("below the root").to_str()?.replace('\\', "/");
    Some(File { name, text: fs::read_to_string(path).ok()? })
}

/// Fails with all findings at once.
fn assert_none(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n  {}", findings.join("\n  "));
}

#[test]
fn lines_are_not_too_wide() {
    let mut findings = Vec::new();
    for file in files() {
        let limit = match (file.is(".rs"), file.is(".zig")) {
            (true, _) => RUST_WIDTH,
            (_, true) => ZIG_WIDTH,
            _ => continue,
        };
        for (number, line) in file.lines() {
            // What cannot be broken: links, and texts in quotes.
            let whole = line.contains("](") || line.contains("://") || line.contains('"');
            if line.chars().count() > limit && !whole {
                findings.push(format!("{}:{number}", file.name));
            }
        }
    }
    assert_none("too wide", &findings);
}

#[test]
fn files_are_not_too_long() {
    let mut findings = Vec::new();
    for file in files().iter().filter(|file| file.is(".rs") || file.is(".zig")) {
        let tests = |line: &str| line.starts_with("#[cfg(") && line.contains("test");
        let length = file.text.lines().take_while(|line| !tests(line)).count();
        let exception = LONG_FILES.iter().find(|(name, _)| *name == file.name);
        if length > exception.map_or(LENGTH, |(_, limit)| *limit) {
            findings.push(format!("{}: {length} lines", file.name));
        }
    }
    assert_none("too long", &findings);
}

#[test]
fn nothing_is_left_lying_about() {
    let mut findings = Vec::new();
    for file in files() {
        for (number, line) in file.lines() {
            let found = MARKS.iter().chain(MACHINE_PATHS).find(|mark| line.contains(**mark));
            findings.extend(found.map(|mark| format!("{}:{number}: {mark}", file.name)));
        }
    }
    assert_none("marks and paths of one machine", &findings);
}

/// The same path without `..`.
fn without_parents(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut folder, part| {
        match part {
            Component::ParentDir => _ = folder.pop(),
            part => folder.push(part),
        }
        folder
    })
}

/// A file that nobody imports is neither compiled nor tested.
#[test]
fn every_zig_file_is_reachable() {
    let folder = root().join("zig/src");
    let mut reached = BTreeSet::new();
    let mut pending = vec![PathBuf::from("ziggurat.zig")];
    while let Some(name) = pending.pop() {
        if !reached.insert(name.clone()) {
            continue;
        }
        let text = fs::read_to_string(folder.join(&name)).expect("an imported file exists");
        let imports = text.split("@import(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let beside = name.parent().expect("a folder");
        let files = imports.filter(|i| i.ends_with(".zig"));
        pending.extend(files.map(|i| without_parents(&beside.join(i))));
    }
    let names = files().into_iter().filter(|file| file.is(".zig"));
    let ours = names.filter_map(|file| file.name.strip_prefix("zig/src/").map(PathBuf::from));
    let dead: Vec<_> = ours.filter(|name| !reached.contains(name)).collect();
    assert!(dead.is_empty(), "not reachable from ziggurat.zig: {dead:?}");
}

/// The code that the README shows is the crate that is built, and it names every example.
#[test]
fn the_readme_is_true() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    for name in ["build.rs", "src/main.rs", "zig/pipeline.zig"] {
        let text = fs::read_to_string(root().join("examples/pipeline").join(name)).expect("a file");
        assert!(readme.contains(&text), "the README's {name} is not that of examples/pipeline");
    }
    for entry in fs::read_dir(root().join("examples")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("UTF-8");
            assert!(readme.contains(&format!("| `{name}")), "the README's table lacks `{name}`");
        }
    }
}
