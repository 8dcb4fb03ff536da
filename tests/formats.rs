//! Code that nobody here wrote, over streams: std's decompressors, tar, JSON and SHA-256.
//!
//! The files in `tests/fixtures` are what the real programs made:
//!
//! ```sh
//! squares() { awk 'BEGIN { for (i = 0; i < 20000; i++) print i * i % 997 }'; }
//! squares | gzip -9n >squares.gz
//! squares | zstd -19 -q -c >squares.zst
//! squares | xz -9 -c >squares.xz
//! mkdir -p a/b; printf 'one\n' >a/one; squares >a/b/squares; : >a/b/empty
//! printf 'long\n' >"a/$(printf 'x%.0s' $(seq 120))"
//! tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - a | gzip -9n >tree.tar.gz
//! ```

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{SinkExt, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use support::Executor;
use ziggurat::stream::TransformBuilder;
use ziggurat::{ThroughZigExt, ZigError, ZigTransform};
use ziggurat_tests_zig::formats as zig;

type Builder = TransformBuilder<[u8], [u8]>;

/// A decompressor, the program that it is to be like, and a file of that program's.
struct Format {
    name: &'static str,
    decompress: fn() -> Builder,
    program: &'static [&'static str],
    fixture: &'static [u8],
}

const FORMATS: [Format; 3] = [
    Format {
        name: "gzip",
        decompress: zig::gunzip,
        program: &["gzip", "-c"],
        fixture: include_bytes!("fixtures/squares.gz"),
    },
    Format {
        name: "zstd",
        decompress: zig::unzstd,
        program: &["zstd", "-q", "-c"],
        fixture: include_bytes!("fixtures/squares.zst"),
    },
    Format {
        name: "xz",
        decompress: zig::unxz,
        program: &["xz", "-c"],
        fixture: include_bytes!("fixtures/squares.xz"),
    },
];

/// What is in the fixtures.
fn squares() -> Vec<u8> {
    (0..20_000_u32).flat_map(|i| format!("{}\n", i * i % 997).into_bytes()).collect()
}

/// Text of which no line is like another.
fn text(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut text = Vec::new();
    while text.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.extend_from_slice(format!("{:08} {}\n", state >> 40, text.len()).as_bytes());
    }
    text
}

/// In items of `size` bytes.
fn items(bytes: &[u8], size: usize) -> BoxStream<'static, Bytes> {
    let bytes = Bytes::copy_from_slice(bytes);
    let starts = (0..bytes.len()).step_by(size);
    stream::iter(starts.map(move |at| bytes.slice(at..bytes.len().min(at + size)))).boxed()
}

async fn through(
    input: BoxStream<'static, Bytes>,
    transform: ZigTransform<[u8], [u8]>,
) -> Result<Vec<u8>, ZigError> {
    let chunks: Vec<Bytes> = input.through_zig(transform).try_collect().await?;
    Ok(chunks.concat())
}

/// What a program of this machine makes of `input`; nothing if there is none of that name.
fn run(program: &[&str], input: Vec<u8>) -> Option<Vec<u8>> {
    let mut child = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let feed = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

on_every_executor! {
    async fn what_the_programs_packed_is_unpacked(_executor: Executor) {
        let squares = squares();
        for format in FORMATS {
            for size in [1, 7, 1000, usize::MAX / 2] {
                let input = || items(format.fixture, size);
                let unpacked = through(input(), (format.decompress)().open().unwrap()).await.unwrap();
                assert!(unpacked == squares, "{} {size}", format.name);
                let thread = (format.decompress)().on_thread().open().unwrap();
                assert!(through(input(), thread).await.unwrap() == squares, "{} {size}", format.name);
            }
        }
    }

    async fn what_the_programs_pack_now_is_unpacked(_executor: Executor) {
        let text = text(1 << 20);
        for format in FORMATS {
            let Some(packed) = run(format.program, text.clone()) else {
                println!("skipped: there is no {}", format.name);
                continue;
            };
            let transform = (format.decompress)().open().unwrap();
            let unpacked = through(items(&packed, 50_000), transform).await.unwrap();
            assert!(unpacked == text, "{}", format.name);
        }
    }

    async fn what_is_cut_short_is_an_error(_executor: Executor) {
        for format in FORMATS {
            for end in (0..format.fixture.len()).step_by(if cfg!(miri) { 500 } else { 61 }) {
                let input = items(&format.fixture[..end], 100);
                let cut = through(input, (format.decompress)().open().unwrap()).await;
                // No frames at all are an empty file for zstd, as for the program.
                if (format.name, end) == ("zstd", 0) {
                    assert_eq!(cut, Ok(Vec::new()));
                    continue;
                }
                let error = cut.expect_err(format.name);
                assert!(error.name().is_some(), "{} {end}: {error}", format.name);
            }
        }
    }

    async fn what_is_spoilt_is_an_error(_executor: Executor) {
        // In what the formats check for themselves: their headers, and in gzip everything.
        let spoilt = [("gzip", vec![0, 1, 2, 100, 1000, 2440]), ("zstd", vec![0, 3]), ("xz", vec![0, 7, 9, 13])];
        for (format, (name, places)) in FORMATS.into_iter().zip(spoilt) {
            assert_eq!(format.name, name);
            for place in places {
                let mut bytes = format.fixture.to_vec();
                bytes[place] ^= 0x55;
                let input = items(&bytes, 1000);
                let error = through(input, (format.decompress)().open().unwrap()).await.unwrap_err();
                assert!(error.name().is_some(), "{name} {place}: {error}");
            }
        }
    }

    async fn several_files_in_a_row_are_one(_executor: Executor) {
        let (gzip, squares) = (FORMATS[0].fixture, squares().repeat(3));
        let unpacked = through(items(&gzip.repeat(3), 999), zig::gunzip().open().unwrap()).await;
        assert!(unpacked.unwrap() == squares);
        // And what is no such file is none.
        let error = through(items(&[gzip, b"rubbish, and more"].concat(), 999), zig::gunzip().open().unwrap());
        assert_eq!(error.await.unwrap_err().name(), Some("BadGzipHeader"));
    }

    async fn an_archive_is_listed_as_it_is_unpacked(_executor: Executor) {
        let archive = include_bytes!("fixtures/tree.tar.gz");
        let long = "x".repeat(120);
        let expected = format!("0 a/\n0 a/b/\n0 a/b/empty\n{} a/b/squares\n4 a/one\n5 a/{long}\n", squares().len());
        for size in [10, 100_000] {
            // One stage after the other: two coroutines in one task.
            let unpacked = items(archive, size).through_zig(zig::gunzip().open().unwrap());
            let unpacked = unpacked.map(|chunk| chunk.unwrap()).boxed();
            let listed = through(unpacked, zig::tar_list().open().unwrap()).await.unwrap();
            assert_eq!(String::from_utf8(listed).unwrap(), expected);
        }
        let error = through(items(&[7; 600], 100), zig::tar_list().open().unwrap()).await.unwrap_err();
        assert!(error.name().is_some());
    }

    async fn json_is_parsed_as_it_comes(_executor: Executor) {
        let orders: String = (0..5000)
            .map(|i| format!(r#"{{ "name": "n\u00ba {i}", "count": {}, "price": {}.5 }},"#, i % 7, i % 100))
            .collect();
        let text = format!("[{}]", orders.trim_end_matches(','));
        let total: f64 = (0..5000).map(|i| f64::from(i % 7) * (f64::from(i % 100) + 0.5)).sum();
        for size in [1, 13, 100_000] {
            let mut sink = zig::json_total().open().unwrap();
            sink.send_all(&mut items(text.as_bytes(), size).map(Ok)).await.unwrap();
            assert_eq!(sink.close().await.unwrap(), total);
            let strings = items(text.as_bytes(), size).through_zig(zig::json_strings().open().unwrap());
            let strings: Vec<Bytes> = strings.try_collect().await.unwrap();
            assert_eq!(strings.len(), 4 * 5000);
            assert_eq!(&strings[0], "name");
            assert_eq!(&strings[4 * 4321 + 1], "nº 4321");
        }
        for (text, name) in [("[{\"price\": 1", "UnexpectedEndOfInput"), ("[}", "SyntaxError"), ("[1]", "UnexpectedToken")] {
            let mut sink = zig::json_total().open().unwrap();
            sink.send(Bytes::from_static(text.as_bytes())).await.unwrap();
            assert_eq!(sink.close().await.unwrap_err().name(), Some(name));
        }
    }

    async fn a_hash_is_that_of_rust(_executor: Executor) {
        let text = text(500_000);
        for size in [1, 63, 64, 65, 4096, 500_000] {
            let text = if size == 1 { &text[..5000] } else { &text[..] };
            for on_thread in [false, true] {
                let sink = zig::sha256();
                let mut sink = if on_thread { sink.on_thread() } else { sink }.open().unwrap();
                sink.send_all(&mut items(text, size).map(Ok)).await.unwrap();
                assert_eq!(sink.close().await.unwrap(), <[u8; 32]>::from(Sha256::digest(text)));
            }
        }
    }
}

/// Whatever is done to a file, reading it comes to an end.
#[test]
fn no_spoilt_file_hangs() {
    futures::executor::block_on(async {
        for format in FORMATS {
            for place in (0..format.fixture.len()).step_by(3) {
                let mut bytes = format.fixture.to_vec();
                bytes[place] ^= 1 << (place / 3 % 8);
                let input = items(&bytes, 1000);
                let ended = through(input, (format.decompress)().open().unwrap()).await;
                // gzip's checksum leaves nothing but the same, or an error.
                if let ("gzip", Ok(unpacked)) = (format.name, ended) {
                    assert!(unpacked == squares(), "gzip {place}");
                }
            }
        }
    });
}
