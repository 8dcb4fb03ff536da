//! The lines by which a build script talks to cargo.

use std::fmt;

/// Prints `cargo::` lines as they come, so that what has to be watched is known to cargo even if
/// the build fails later, and keeps them for the caller.
#[derive(Debug)]
pub(crate) struct Metadata {
    print: bool,
    lines: Vec<String>,
}

impl Metadata {
    pub(crate) fn new(print: bool) -> Self {
        Self { print, lines: Vec::new() }
    }

    pub(crate) fn line(&mut self, instruction: fmt::Arguments<'_>) {
        let line = format!("cargo::{instruction}");
        if self.print {
            println!("{line}");
        }
        self.lines.push(line);
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}
