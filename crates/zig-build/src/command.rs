//! Showing a command line so that it can be pasted into a shell.

use std::{ffi::OsStr, process::Command};

/// The program and its arguments, quoted where a POSIX shell needs it.
pub(crate) fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_a_shell_would_split() {
        let mut command = Command::new("/opt/my zig/zig");
        command.args(["build-lib", "-Mroot=a.zig", "it's", ""]);
        assert_eq!(display(&command), r"'/opt/my zig/zig' build-lib -Mroot=a.zig 'it'\''s' ''");
    }
}
