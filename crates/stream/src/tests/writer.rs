//! Chunks from `AsyncWrite`.

use std::io::ErrorKind;

use futures::io::AsyncWriteExt;
use ziggurat_core::{BufferPool, RawBuffer};
use ziggurat_zig_ffi::abi::{self, ErrorRecord};
use ziggurat_zig_ffi::testing::{Closing, FakeSink, Taking, Task, text};

use super::{drive, poll_once};
use crate::{ByteWriter, ZigByteSink, ZigError};

type Fake = FakeSink<RawBuffer, u64>;

fn pool(blocks: usize) -> BufferPool {
    BufferPool::builder(4).blocks(blocks).align(4).build().unwrap()
}

fn writer(fake: &Fake, pool: &BufferPool, batch: usize) -> ByteWriter<u64> {
    ZigByteSink::from_sink(fake.open(), batch).unwrap().into_async_write(pool.clone())
}

/// What the sink has taken since it was asked last; its blocks return to their pool.
fn taken(fake: &Fake) -> Vec<String> {
    let buffers = fake.take_buffers();
    buffers.iter().map(|b| String::from_utf8(b.to_vec()).unwrap()).collect()
}

#[test]
fn bytes_are_gathered_in_blocks() {
    let (fake, pool) = (Fake::bytes([], [Closing::done(9)]), pool(4));
    let mut writer = writer(&fake, &pool, 8);
    assert_eq!(drive(writer.write(b"")).unwrap(), 0);
    assert_eq!(drive(writer.write(b"ab")).unwrap(), 2);
    assert_eq!(drive(writer.write(b"cdef")).unwrap(), 2, "as much as fits into the block");
    assert_eq!(drive(writer.write(b"ef")).unwrap(), 2);
    assert_eq!(fake.calls().crossings, 0);
    drive(writer.flush()).unwrap();
    assert_eq!(taken(&fake), ["abcd", "ef"]);
    drive(writer.flush()).unwrap();
    drive(writer.write_all(b"ghi")).unwrap();
    assert_eq!(writer.take_result(), None);
    drive(writer.close()).unwrap();
    assert_eq!(taken(&fake), ["ghi"]);
    drive(writer.close()).unwrap();
    assert_eq!((writer.take_result(), writer.take_result()), (Some(9), None));
    drop(writer);
    assert_eq!(fake.calls().cancels, 0);
    fake.assert_released();
}

#[test]
fn a_pool_smaller_than_the_batch_is_enough() {
    let (fake, pool) = (Fake::bytes([], []), pool(2));
    let mut writer = writer(&fake, &pool, 8);
    drive(writer.write_all(b"abcdefgh")).unwrap();
    assert_eq!(fake.calls().crossings, 0, "both blocks wait here");
    // The third waits for a block, and so sends the two on their way.
    let task = Task::new();
    let mut third = writer.write_all(b"ijk");
    let waker = task.waker();
    let polled = std::pin::Pin::new(&mut third);
    assert!(polled.poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    assert_eq!(taken(&fake), ["abcd", "efgh"]);
    assert_eq!(task.wakes(), 1, "woken by the blocks that came back");
    drive(third).unwrap();
    drive(writer.close()).unwrap();
    assert_eq!(taken(&fake), ["ijk"]);
    drop(writer);
    fake.assert_released();
}

#[test]
fn a_sink_that_makes_the_writer_wait() {
    let takings = [Taking::pending(0), Taking::pending(1), Taking::pending(0)];
    let (fake, pool) = (Fake::bytes(takings, [Closing::pending()]), pool(8));
    let mut writer = writer(&fake, &pool, 1);
    drive(writer.write_all(b"abcdefghijkl")).unwrap();
    drive(writer.close()).unwrap();
    assert_eq!(taken(&fake).concat(), "abcdefghijkl");
    drop(writer);
    fake.assert_released();
}

#[test]
fn a_write_that_was_dropped_has_written_nothing() {
    let (fake, pool) = (Fake::bytes([Taking::pending(0)], []), pool(2));
    let mut writer = writer(&fake, &pool, 1);
    drive(writer.write_all(b"abcdefgh")).unwrap();
    assert!(poll_once(&mut writer.write(b"lost")).is_pending(), "the sink has no room");
    assert!(poll_once(&mut writer.write(b"lost")).is_pending(), "every block is in use");
    assert_eq!(taken(&fake), ["abcd", "efgh"]);
    assert_eq!(drive(writer.write(b"x")).unwrap(), 1);
    drive(writer.close()).unwrap();
    assert_eq!(taken(&fake), ["x"]);
    drop(writer);
    fake.assert_released();
}

#[test]
fn writing_to_a_function_that_has_returned_is_a_broken_pipe() {
    let (fake, pool) = (Fake::bytes([Taking::done(1)], [Closing::done(3)]), pool(4));
    let mut writer = writer(&fake, &pool, 8);
    drive(writer.write_all(b"abcdefgh")).unwrap();
    assert_eq!(drive(writer.flush()).unwrap_err().kind(), ErrorKind::BrokenPipe);
    drive(writer.write_all(b"ij")).unwrap();
    let closed = drive(writer.close()).unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::BrokenPipe);
    // It has a result all the same, and what it did not take is still here.
    assert_eq!(writer.take_result(), Some(3));
    let (sink, block) = writer.into_parts();
    assert_eq!(block.as_deref(), Some(&b"ij"[..]));
    assert_eq!(sink.into_unsent().iter().map(|b| &b[..]).collect::<Vec<_>>(), [b"efgh"]);
    assert_eq!(taken(&fake), ["abcd"]);
    fake.assert_released();
}

#[test]
fn a_function_that_returns_before_the_last_block_still_has_its_result() {
    let (fake, pool) = (Fake::bytes([Taking::done(1)], [Closing::done(3)]), pool(4));
    let mut writer = writer(&fake, &pool, 8);
    drive(writer.write_all(b"abcd")).unwrap();
    drive(writer.flush()).unwrap();
    drive(writer.write_all(b"e")).unwrap();
    for _ in 0..2 {
        assert_eq!(drive(writer.close()).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
    assert_eq!(writer.take_result(), Some(3));
    assert_eq!(taken(&fake), ["abcd"]);
}

#[test]
fn an_error_keeps_its_source_and_the_bytes() {
    let record = ErrorRecord { name: text(b"NoSpaceLeft"), ..ErrorRecord::EMPTY };
    let fake = Fake::bytes([Taking::new(0, abi::ERROR)], []).describing(record);
    let pool = pool(4);
    let mut writer = writer(&fake, &pool, 1);
    drive(writer.write_all(b"abcdef")).unwrap();
    let error = drive(writer.flush()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    let source = error.into_inner().unwrap().downcast::<ZigError>().unwrap();
    assert_eq!(source.name(), Some("NoSpaceLeft"));
    assert_eq!(drive(writer.close()).unwrap_err().kind(), ErrorKind::BrokenPipe);
    let (sink, block) = writer.into_parts();
    assert_eq!(block.as_deref(), Some(&b"ef"[..]));
    assert_eq!(sink.unsent().len(), 1);
    drop((sink, block));
    assert_eq!((0..5).map_while(|_| pool.try_acquire()).collect::<Vec<_>>().len(), 4);
    fake.assert_released();
}

#[test]
fn dropping_the_writer_at_every_poll_returns_every_block() {
    for polls in 0.. {
        let takings = [Taking::pending(0), Taking::pending(1)];
        let (fake, pool) = (Fake::bytes(takings, [Closing::pending()]), pool(3));
        let mut writer = writer(&fake, &pool, 2);
        let run = async {
            writer.write_all(b"abcdefghijklm").await.unwrap();
            writer.close().await.unwrap();
        };
        // The blocks that were taken come back between the polls.
        let mut text = String::new();
        let mut run = Box::pin(run);
        let done = (0..polls).any(|_| {
            let ready = poll_once(&mut run).is_ready();
            text.extend(taken(&fake));
            ready
        });
        drop(run);
        drop(writer);
        assert!("abcdefghijklm".starts_with(&text));
        let blocks: Vec<_> = (0..4).map_while(|_| pool.try_acquire()).collect();
        assert_eq!(blocks.len(), 3);
        assert_eq!(fake.calls().cancels, usize::from(!done));
        fake.assert_released();
        if done {
            assert_eq!(text, "abcdefghijklm");
            break;
        }
    }
}
