//! What linking Zig libraries into a Rust program brings into it, and what not.

use object::{Object, ObjectSymbol};
use ziggurat::ffi::Library;
use ziggurat::ffi::abi::LAYOUT;

#[test]
fn two_crates_with_zig_link_and_both_work() {
    use futures::StreamExt;
    use futures::executor::block_on;
    let one = ziggurat_examples_zig::counter(10).open().unwrap();
    let two = ziggurat_tests_zig::machine(10, 120).open().unwrap();
    assert_eq!(block_on(one.zip(two).filter(|(a, b)| std::future::ready(a == b)).count()), 10);
}

#[test]
#[cfg(target_os = "linux")]
fn a_library_adds_one_symbol_that_carries_its_crate_and_no_memcpy() {
    let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let file = object::File::parse(&*this).unwrap();
    let symbols: Vec<_> = file
        .symbols()
        .filter(|s| s.is_global() && s.is_definition())
        .filter_map(|s| s.name().ok())
        .collect();
    let mut exports: Vec<_> = symbols.iter().filter(|n| n.starts_with("zg_")).collect();
    exports.sort_unstable();
    assert_eq!(exports.len(), 2, "{exports:?}");
    assert!(exports[0].starts_with("zg_ziggurat_examples_zig_examples_"), "{exports:?}");
    assert!(exports[1].starts_with("zg_ziggurat_tests_zig_fixtures_"), "{exports:?}");
    // The C library's own, chosen for this processor, not a portable one out of Zig's runtime.
    for name in ["memcpy", "memset", "memmove", "memcmp"] {
        assert!(!symbols.contains(&name), "{name} is defined in the program");
    }
    // Thread-local storage is paid for by every thread of the program.
    let tls: u64 = object::ObjectSection::size(&file.section_by_name(".tbss").unwrap());
    assert!(tls < 4096, "{tls} bytes of thread-local storage");
}

#[test]
fn both_languages_agree_about_the_layout() {
    let exports = ziggurat_tests_zig::exports();
    // SAFETY: a static table of a library that `ziggurat-zig-build` compiled.
    let library = unsafe { Library::open(exports) }.unwrap();
    assert!(library.names().any(|name| name == "numbers"));
    // SAFETY: as above.
    let theirs = unsafe { std::slice::from_raw_parts((*exports).layout, (*exports).layout_count) };
    assert_eq!(theirs, LAYOUT);
}
