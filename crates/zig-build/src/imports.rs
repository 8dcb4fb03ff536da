//! Which files a Zig root file pulls in, found by reading `@import` and `@embedFile`.
//!
//! It is a scan of tokens, not an analysis: a reference in code that Zig never looks at counts
//! too (it costs a needless rebuild at most), and a name that is computed at comptime is not seen
//! ([`Build::rerun_if_changed`](crate::Build::rerun_if_changed) is for those).

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

/// All files reached from `roots`, the roots included; a file that doesn't exist is listed too,
/// because the build must run again once it does.
pub(crate) fn reachable(roots: impl IntoIterator<Item = PathBuf>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut pending: Vec<_> = roots.into_iter().collect();
    while let Some(path) = pending.pop() {
        if !found.insert(path.clone())
            || path.extension().is_none_or(|extension| extension != "zig")
        {
            continue;
        }
        let Ok(source) = fs::read(&path) else { continue };
        let folder = path.parent().unwrap_or(Path::new(""));
        pending.extend(references(&source).iter().map(|name| normalized(&folder.join(name))));
    }
    found
}

/// Removes `.` and resolves `..` in the text of a path, as Zig does.
fn normalized(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if result.file_name().is_some() => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

/// The relative paths that a source file names, in order.
fn references(source: &[u8]) -> Vec<String> {
    let mut tokens = Tokens { rest: source };
    let mut names = Vec::new();
    while let Some(token) = tokens.next() {
        let Token::Builtin(builtin @ (b"import" | b"embedFile")) = token else { continue };
        let (Some(Token::Other(b'(')), Some(Token::String(name))) = (tokens.next(), tokens.next())
        else {
            continue;
        };
        // Any other import names a module.
        let is_file = |name: &str| name.ends_with(".zig") || name.ends_with(".zon");
        if let Some(name) = unescape(name).filter(|name| builtin == b"embedFile" || is_file(name)) {
            names.push(name);
        }
    }
    names
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    /// `@name`, without the `@`.
    Builtin(&'a [u8]),
    /// The inside of `"…"`, escapes as written.
    String(&'a [u8]),
    /// One byte of anything else.
    Other(u8),
}

/// Splits Zig source; skips whitespace, comments, multi-line strings and character literals.
struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    /// Drops `count` bytes and returns them.
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let count = self.rest.iter().position(|&byte| !keep(byte)).unwrap_or(self.rest.len());
        self.take(count)
    }

    /// The inside of a literal whose opening quote is next. An unclosed one ends with its line.
    fn quoted(&mut self, quote: u8) -> &'a [u8] {
        self.take(1);
        let start = self.rest;
        let mut length = 0;
        while let Some(&byte) = start.get(length) {
            match byte {
                b'\\' => length += 2,
                b'\n' => break,
                _ if byte == quote => break,
                _ => length += 1,
            }
        }
        let inside = self.take(length);
        if self.rest.first() == Some(&quote) {
            self.take(1);
        }
        inside
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            match *self.rest {
                [] => return None,
                [b'/', b'/', ..] | [b'\\', b'\\', ..] => {
                    self.take_while(|byte| byte != b'\n');
                }
                [byte, ..] if byte.is_ascii_whitespace() => {
                    self.take(1);
                }
                [b'\'', ..] => {
                    self.quoted(b'\'');
                }
                // `@"name"` is an identifier.
                [b'@', b'"', ..] => {
                    self.take(1);
                    self.quoted(b'"');
                }
                [b'"', ..] => return Some(Token::String(self.quoted(b'"'))),
                [b'@', ..] => {
                    self.take(1);
                    let name = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    return Some(Token::Builtin(name));
                }
                [byte, ..] => {
                    self.take(1);
                    return Some(Token::Other(byte));
                }
            }
        }
    }
}

/// The value of a string literal; `None` if it is not a valid one.
fn unescape(literal: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(literal.len());
    let mut rest = literal;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let [escape, tail @ ..] = rest else { return None };
        rest = tail;
        match escape {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'\\' | b'"' | b'\'' => bytes.push(*escape),
            b'x' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            b'u' => {
                let text = std::str::from_utf8(rest).ok()?;
                let (digits, _) = text.strip_prefix('{')?.split_once('}')?;
                let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
                bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
                rest = &rest[digits.len() + 2..];
            }
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_in_code_count() {
        let table: &[(&str, &[&str])] = &[
            (r#"const a = @import("a.zig");"#, &["a.zig"]),
            (r#"const a = @import("std"); const b = @import("ziggurat");"#, &[]),
            (r#"const d = @embedFile("data.bin");"#, &["data.bin"]),
            (r#"const d = @embedFile("no_extension");"#, &["no_extension"]),
            (r#"const d = @import("data.zon");"#, &["data.zon"]),
            ("@import  (\n // why\n \"a.zig\" )", &["a.zig"]),
            (r#"@import("sub/../b.zig") ++ @import("c.zig")"#, &["sub/../b.zig", "c.zig"]),
            (r#"@import("\x61\u{62}.zig")"#, &["ab.zig"]),
            (r#"f(@import("a.zig").x, '"', @import("b.zig"))"#, &["a.zig", "b.zig"]),
            (r#"'\'' @import("a.zig") '"'"#, &["a.zig"]),
            ("\"open\n@import(\"a.zig\")", &["a.zig"]),
            (r#"@import(name) @embedFile("x.txt")"#, &["x.txt"]),
        ];
        for (source, names) in table {
            assert_eq!(references(source.as_bytes()), *names, "{source}");
        }
    }

    #[test]
    fn references_in_text_do_not() {
        let sources = [
            r#"// @import("a.zig")"#,
            r#"/// @import("a.zig")"#,
            r#"//! @embedFile("a.bin")"#,
            r#"const s = "@import(\"a.zig\")";"#,
            "const s =\n    \\\\ @import(\"a.zig\")\n;",
            r#"@"import"("a.zig")"#,
            r#"import("a.zig")"#,
            r#"@importing("a.zig")"#,
            r#"@import("bad\qescape.zig")"#,
            "@import(\"a",
            "@import(",
            "@",
            "\"\\",
            "'",
        ];
        for source in sources {
            assert_eq!(references(source.as_bytes()), [""; 0], "{source}");
        }
    }

    #[test]
    fn a_scan_follows_imports_through_cycles_and_stops_at_missing_files() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("root.zig"), r#"_ = @import("sub/b.zig"); _ = @embedFile("d.txt");"#).unwrap();
        fs::write(at("sub/b.zig"), r#"_ = @import("../root.zig"); _ = @import("./gone.zig");"#)
            .unwrap();
        // Embedded data is not code, whatever it looks like.
        fs::write(at("d.txt"), r#"@import("never.zig")"#).unwrap();
        fs::write(at("unused.zig"), "").unwrap();

        let found: Vec<_> = reachable([at("root.zig")]).into_iter().collect();
        assert_eq!(found, [at("d.txt"), at("root.zig"), at("sub/b.zig"), at("sub/gone.zig")]);
    }
}
