//! A stream of chunks: the memory is the source's, and goes back once.

use bytes::Bytes;
use futures::StreamExt;
use ziggurat_core::BufferPool;
use ziggurat_zig_ffi::abi;
use ziggurat_zig_ffi::testing::{Buffers, Crossing, FakeSource, Task};

use super::{collect, next};
use crate::{OpenError, ZigByteStream, ZigError};

#[test]
fn chunks_are_the_memory_that_was_lent() {
    let buffers = Buffers::new();
    let lent = [buffers.lend(b"hello, "), buffers.lend(b"world")];
    let fake = FakeSource::bytes([Crossing::ready(lent), Crossing::pending(), Crossing::done()]);
    let chunks = collect(ZigByteStream::from_source(fake.open(), 8).unwrap());
    let chunks: Vec<Bytes> = chunks.into_iter().map(Result::unwrap).collect();
    for (chunk, raw) in chunks.iter().zip(lent) {
        assert_eq!(chunk.as_ptr(), raw.ptr.cast_const());
    }
    assert_eq!(chunks.concat(), b"hello, world");
    let tail = chunks[1].slice(3..);
    drop(chunks);
    assert_eq!(buffers.releases(), [1, 0], "a slice keeps its chunk");
    drop(tail);
    buffers.assert_released();
    fake.assert_released();
}

#[test]
fn buffers_are_the_same_without_an_allocation() {
    let buffers = Buffers::new();
    let lent = [buffers.lend(b"ab"), buffers.lend(b"c")];
    let fake = FakeSource::bytes([Crossing::new(abi::CANCELLED).items(lent)]);
    let mut stream = ZigByteStream::from_source(fake.open(), 1).unwrap().into_buffers();
    let first = futures::executor::block_on(stream.next()).unwrap().unwrap();
    assert_eq!((&first[..], first.as_ptr()), (&b"ab"[..], lent[0].ptr.cast_const()));
    drop(first);
    assert_eq!(buffers.releases(), [1, 0]);
    let rest = collect(stream.into_inner());
    assert_eq!(rest, [Ok(Bytes::from_static(b"c")), Err(ZigError::Canceled)]);
}

#[test]
fn the_hint_counts_an_error_as_an_item() {
    let buffers = Buffers::new();
    let items = (0..5).map(|i| buffers.lend(&[i]));
    let fake = FakeSource::bytes([Crossing::new(abi::ERROR).items(items)]);
    assert_eq!(collect(ZigByteStream::from_source(fake.open(), 2).unwrap()).len(), 6);
    buffers.assert_released();
    let items = (0..5).map(|i| buffers.lend(&[i]));
    let fake = FakeSource::bytes([Crossing::new(abi::ERROR).items(items)]);
    let stream = ZigByteStream::from_source(fake.open(), 8).unwrap();
    assert_eq!(collect(stream.into_buffers()).len(), 6);
    fake.assert_released();
}

#[test]
fn a_source_that_is_always_ready_yields() {
    let buffers = Buffers::new();
    let fake = FakeSource::bytes([Crossing::ready((0..200).map(|i| buffers.lend(&[i])))]);
    let mut stream = ZigByteStream::from_source(fake.open(), 8).unwrap();
    let (task, mut seen, mut yields) = (Task::new(), 0, 0);
    while seen < 200 {
        match next(&mut stream, &task) {
            std::task::Poll::Ready(chunk) => {
                assert_eq!(chunk.unwrap().unwrap()[..], [seen]);
                seen += 1;
            }
            std::task::Poll::Pending => yields += 1,
        }
    }
    assert_eq!((yields, task.wakes()), (3, 3));
}

#[test]
fn chunks_of_a_pool_return_to_it() {
    let pool = BufferPool::builder(8).blocks(2).build().unwrap();
    let block = |byte| {
        let mut block = pool.try_acquire().unwrap();
        block.put_slice(&[byte; 8]);
        block.into_raw()
    };
    let fake = FakeSource::bytes([Crossing::ready([block(1), block(2)])]);
    let mut stream = ZigByteStream::from_source(fake.open(), 8).unwrap();
    let first = next(&mut stream, &Task::new());
    assert!(pool.try_acquire().is_none());
    drop(stream);
    assert!(pool.try_acquire().is_some(), "what was not taken is back");
    assert!(matches!(&first, std::task::Poll::Ready(Some(Ok(chunk))) if chunk[..] == [1; 8]));
    drop(first);
    assert_eq!([pool.try_acquire(), pool.try_acquire()].iter().flatten().count(), 2);
}

#[test]
fn impossible_configurations_are_refused_and_leave_nothing_behind() {
    let fake = FakeSource::bytes([]);
    let refused = ZigByteStream::from_source(fake.open(), 0).map(drop);
    assert_eq!(refused, Err(OpenError::Zero("batch")));
    fake.assert_released();
    let plain = FakeSource::<u64>::new([]);
    let refused = ZigByteStream::from_source(plain.open(), 1).map(drop);
    assert!(matches!(refused, Err(OpenError::ItemType { .. })));
    plain.assert_released();
    // The other way round: a descriptor is no plain item, whatever its size.
    let refused = crate::ZigStream::<[u64; 6]>::from_source(fake.open(), 1).map(drop);
    assert!(matches!(refused, Err(OpenError::ItemType { .. })));
    fake.assert_released();
}
