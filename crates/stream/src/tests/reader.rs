//! Chunks as `AsyncRead` and `AsyncBufRead`.

use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt};
use futures::{StreamExt, TryStreamExt};
use ziggurat_core::RawBuffer;
use ziggurat_zig_ffi::abi::{self, ErrorRecord};
use ziggurat_zig_ffi::testing::{Buffers, Crossing, FakeSource, Task, text};

use super::{drive, poll_once};
use crate::{ByteReader, ZigByteStream, ZigError};

fn reader(fake: &FakeSource<RawBuffer>) -> ByteReader {
    ZigByteStream::from_source(fake.open(), 8).unwrap().into_async_read()
}

fn lend(buffers: &Buffers, chunks: &[&str]) -> Vec<RawBuffer> {
    chunks.iter().map(|chunk| buffers.lend(chunk.as_bytes())).collect()
}

#[test]
fn bytes_are_read_whatever_their_chunks() {
    for size in 1..8 {
        let buffers = Buffers::new();
        let fake = FakeSource::bytes([
            Crossing::ready(lend(&buffers, &["he", "", "llo"])),
            Crossing::pending(),
            Crossing::ready(lend(&buffers, &["", ", world"])),
            Crossing::done(),
        ]);
        let mut reader = reader(&fake);
        let (mut all, mut part) = (Vec::new(), vec![0; size]);
        loop {
            match drive(reader.read(&mut part)).unwrap() {
                0 => break,
                n => all.extend_from_slice(&part[..n]),
            }
        }
        assert_eq!(all, b"hello, world");
        assert_eq!(drive(reader.read(&mut part)).unwrap(), 0);
        buffers.assert_released();
        drop(reader);
        fake.assert_released();
    }
}

#[test]
fn an_empty_read_is_ready_and_polls_nobody() {
    let fake = FakeSource::bytes([]);
    let mut reader = reader(&fake);
    assert_eq!(drive(reader.read(&mut [])).unwrap(), 0);
    assert_eq!(fake.calls().crossings, 0);
}

#[test]
fn lines_cross_the_borders_of_chunks() {
    let buffers = Buffers::new();
    let fake = FakeSource::bytes([
        Crossing::ready(lend(&buffers, &["one\ntw", "o\n", "\nth"])),
        Crossing::pending(),
        Crossing::done().items(lend(&buffers, &["ree"])),
    ]);
    let lines: Vec<String> = drive(reader(&fake).lines().try_collect()).unwrap();
    assert_eq!(lines, ["one", "two", "", "three"]);
    buffers.assert_released();
    fake.assert_released();
}

#[test]
fn a_chunk_is_lent_where_it_lies_until_it_is_consumed() {
    let buffers = Buffers::new();
    let lent = lend(&buffers, &["abc", "d"]);
    let fake = FakeSource::bytes([Crossing::ready(lent.clone())]);
    let (mut reader, waker) = (reader(&fake), Task::new().waker());
    let mut cx = Context::from_waker(&waker);
    for (read, rest) in [(0, "abc"), (0, "abc"), (2, "c"), (1, "d")] {
        Pin::new(&mut reader).consume(read);
        let Poll::Ready(Ok(here)) = Pin::new(&mut reader).poll_fill_buf(&mut cx) else {
            panic!("there is more")
        };
        assert_eq!(here, rest.as_bytes());
        if rest == "abc" {
            assert_eq!(here.as_ptr(), lent[0].ptr.cast_const());
        }
    }
    assert_eq!(buffers.releases(), [1, 0]);
    Pin::new(&mut reader).consume(1);
    assert!(Pin::new(&mut reader).poll_fill_buf(&mut cx).is_pending());
    // While it waits it holds no block, which may be the one that the other side waits for.
    buffers.assert_released();
}

#[test]
#[should_panic = "consumed more than was lent"]
fn consuming_more_than_was_lent_panics() {
    let fake = FakeSource::bytes([]);
    Pin::new(&mut reader(&fake)).consume(1);
}

#[test]
fn an_error_comes_after_the_bytes_and_then_it_is_over() {
    let buffers = Buffers::new();
    let record = ErrorRecord { name: text(b"FileNotFound"), ..ErrorRecord::EMPTY };
    let crossing = Crossing::new(abi::ERROR).items(lend(&buffers, &["ab"]));
    let fake = FakeSource::bytes([crossing]).describing(record);
    let (mut reader, mut part) = (reader(&fake), [0; 8]);
    assert_eq!(drive(reader.read(&mut part)).unwrap(), 2);
    let error = drive(reader.read(&mut part)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let source = error.into_inner().unwrap().downcast::<ZigError>().unwrap();
    assert_eq!(source.name(), Some("FileNotFound"));
    assert_eq!(drive(reader.read(&mut part)).unwrap(), 0);
    assert!(drive(reader.fill_buf()).unwrap().is_empty());
    assert_eq!(fake.calls().crossings, 1);
}

#[test]
fn parts_are_the_rest_of_the_chunk_and_the_rest_of_the_stream() {
    for read in 0..=3 {
        let buffers = Buffers::new();
        let fake = FakeSource::bytes([Crossing::done().items(lend(&buffers, &["abc", "def"]))]);
        let mut reader = reader(&fake);
        drive(reader.fill_buf()).unwrap();
        Pin::new(&mut reader).consume(read);
        let (rest, mut stream) = reader.into_parts();
        assert_eq!(rest, &b"abc"[read..]);
        // What was read to its end is not kept by an empty rest.
        assert_eq!(buffers.releases(), [usize::from(read == 3), 0]);
        let next = drive(stream.next()).unwrap().unwrap();
        assert_eq!(next, "def");
        assert!(drive(stream.next()).is_none());
        drop((rest, next));
        buffers.assert_released();
    }
    let fake = FakeSource::bytes([]);
    let (rest, stream) = reader(&fake).into_parts();
    assert!(rest.is_empty());
    drop(stream);
    fake.assert_released();
}

#[test]
fn a_read_that_was_dropped_has_read_nothing() {
    let buffers = Buffers::new();
    let fake = FakeSource::bytes([
        Crossing::pending(),
        Crossing::pending(),
        Crossing::done().items(lend(&buffers, &["abc"])),
    ]);
    let (mut reader, mut part) = (reader(&fake), [0; 2]);
    assert!(poll_once(&mut reader.read(&mut part)).is_pending());
    assert!(poll_once(&mut reader.fill_buf()).is_pending());
    let mut all = String::new();
    drive(reader.read_to_string(&mut all)).unwrap();
    assert_eq!(all, "abc");
    let waker = Task::new().waker();
    let end = Pin::new(&mut reader).poll_read(&mut Context::from_waker(&waker), &mut part);
    assert!(matches!(end, Poll::Ready(Ok(0))));
}
