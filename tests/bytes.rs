//! Zig byte streams: chunks and their boundaries, no copies, backpressure by the pool, AsyncRead.

mod support;

use bytes::Bytes;
use futures::io::{AsyncBufReadExt, AsyncReadExt};
use futures::{StreamExt, TryStreamExt, poll};
use support::Executor;
use tokio::io::AsyncReadExt as _;
use tokio_util::compat::FuturesAsyncReadCompatExt;
use ziggurat::{Buffer, BufferPool};
use ziggurat_tests_zig::{self as zig, Pair};

const SIZES: [usize; 7] = [0, 1, 7, 4095, 4096, 4097, 10_000];

/// What `written` makes: numbers, one a line, with a line of `###` after each thousand.
fn expected_text(numbers: u64) -> String {
    (0..numbers)
        .map(|i| if i % 1000 == 999 { format!("{i}\n###\n") } else { format!("{i}\n") })
        .collect()
}

on_every_executor! {
    async fn chunks_keep_their_boundaries(_executor: Executor) {
        let mut stream = zig::blobs(50).block_size(4096).open().unwrap();
        for round in 0..50_u8 {
            for size in SIZES {
                for _ in 0..2 {
                    let chunk = stream.next().await.unwrap().unwrap();
                    assert_eq!(chunk.len(), size);
                    assert!(chunk.iter().all(|&b| b == round));
                }
            }
        }
        assert!(stream.next().await.is_none());
    }

    async fn a_consumer_may_keep_everything(_executor: Executor) {
        let chunks: Vec<Bytes> =
            zig::pattern(500, 4096).block_size(4096).open().unwrap().try_collect().await.unwrap();
        assert_eq!(chunks.len(), 500);
        for (i, chunk) in chunks.iter().enumerate() {
            assert_eq!(chunk.len(), 4096);
            assert_eq!(chunk[..8], (i as u64).to_le_bytes());
        }
    }

    async fn a_given_pool_bounds_all_there_is(_executor: Executor) {
        let pool = BufferPool::builder(4096).blocks(3).build().unwrap();
        let mut stream = zig::pattern(100, 4096).pool(pool.clone()).open().unwrap().into_buffers();
        let mut kept: Vec<Buffer> = Vec::new();
        for _ in 0..3 {
            kept.push(stream.next().await.unwrap().unwrap());
        }
        // Every block is here: whatever Zig does, nothing more can come.
        for _ in 0..200 {
            assert!(poll!(stream.next()).is_pending());
            std::thread::yield_now();
        }
        // One goes back, one comes.
        kept.remove(0);
        let fourth = stream.next().await.unwrap().unwrap();
        assert_eq!(fourth[..8], 3_u64.to_le_bytes());
        drop((kept, fourth));
        assert_eq!(stream.map(Result::unwrap).count().await, 96);
        assert_eq!(pool.blocks(), 3);
    }

    async fn the_writer_delivers_all_that_was_written(_executor: Executor) {
        for flush_every in [0, 1, 7, 1000] {
            let stream = zig::written(5000, flush_every).block_size(1000).open().unwrap();
            let text: Vec<u8> = stream
                .try_fold(Vec::new(), |mut text, chunk| async move {
                    text.extend_from_slice(&chunk);
                    Ok(text)
                })
                .await
                .unwrap();
            assert!(text == expected_text(5000).as_bytes());
        }
    }

    async fn one_block_is_enough(_executor: Executor) {
        let pool = BufferPool::builder(1000).blocks(1).build().unwrap();
        let mut stream = zig::written(5000, 70).pool(pool).open().unwrap();
        let mut text = Vec::new();
        while let Some(chunk) = stream.try_next().await.unwrap() {
            text.extend_from_slice(&chunk);
        }
        assert!(text == expected_text(5000).as_bytes());
    }

    async fn arguments_of_every_kind_arrive(_executor: Executor) {
        let pair = Pair { a: 7, b: 0.0, c: *b"zig!" };
        let stream = zig::echo(b"bytes", 255, -5, 1.5, &pair).open().unwrap();
        let chunks: Vec<Bytes> = stream.try_collect().await.unwrap();
        assert_eq!(chunks.concat(), b"bytes 255 -5 1.5 7 0 zig!");
    }

    async fn async_read_reads_lines_and_all(_executor: Executor) {
        let reader = zig::written(3000, 0).block_size(512).open().unwrap().into_async_read();
        let lines: Vec<String> = reader.lines().try_collect().await.unwrap();
        assert!(lines.iter().map(String::as_str).eq(expected_text(3000).lines()));

        let mut reader = zig::written(3000, 3).block_size(512).open().unwrap().into_async_read();
        let mut text = String::new();
        futures::AsyncReadExt::read_to_string(&mut reader, &mut text).await.unwrap();
        assert!(text == expected_text(3000));

        // tokio's traits, on any executor.
        let reader = zig::written(3000, 5).block_size(512).open().unwrap().into_async_read();
        let mut text = String::new();
        reader.compat().read_to_string(&mut text).await.unwrap();
        assert!(text == expected_text(3000));
    }

    async fn a_reader_hands_back_what_it_holds(_executor: Executor) {
        let mut reader = zig::written(100, 10).block_size(512).open().unwrap().into_async_read();
        let mut head = [0; 5];
        futures::AsyncReadExt::read_exact(&mut reader, &mut head).await.unwrap();
        let (rest, stream) = reader.into_parts();
        let tail: Vec<Bytes> = stream.try_collect().await.unwrap();
        let all = [&head[..], &rest, &tail.concat()].concat();
        assert!(all == expected_text(100).as_bytes());
    }

    async fn tokio_stream_and_futures_combinators_compose(_executor: Executor) {
        let stream = zig::written(1000, 1).open().unwrap();
        let lengths = StreamExt::map(stream, |chunk| chunk.unwrap().len());
        let long = tokio_stream::StreamExt::filter(lengths, |&len| len > 3);
        let some = tokio_stream::StreamExt::take(tokio_stream::StreamExt::skip(long, 1), 500);
        assert_eq!(StreamExt::count(some).await, 500);
    }
}

#[test]
fn the_memory_that_rust_sees_is_the_pools() {
    let pool = BufferPool::builder(4096).blocks(2).align(4096).build().unwrap();
    let known: Vec<usize> = {
        let blocks: Vec<_> = (0..2).map(|_| pool.try_acquire().unwrap()).collect();
        blocks
            .into_iter()
            .map(|b| b.into_raw())
            .map(|raw| {
                let address = raw.ptr as usize;
                // SAFETY: taken apart just above, and given back once.
                unsafe { (raw.release.unwrap())(raw.ctx, raw.ptr, raw.cap, raw.align) };
                address
            })
            .collect()
    };
    futures::executor::block_on(async {
        let mut stream = zig::pattern(20, 4096).pool(pool.clone()).open().unwrap();
        while let Some(chunk) = stream.try_next().await.unwrap() {
            assert!(known.contains(&(chunk.as_ptr() as usize)));
        }
    });
}

#[test]
fn read_errors_have_the_kind_and_name_of_the_cause() {
    futures::executor::block_on(async {
        let stream = ziggurat_examples_zig::chunks("/no/such/file".as_ref()).open().unwrap();
        let mut reader = stream.into_async_read();
        let error = reader.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), "/no/such/file: FileNotFound");
        // After the error it reads as ended.
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
    });
}
